/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads. What a session's word says decides who may touch it (derate-pg-slot-private.h). The pool
 * thread, one a pool, connects, watches, validates, resets, drains and closes sessions, and counts
 * time; with a DerateManualClock the context that the pool was made in does it, so that a test
 * decides when. The lock guards who waits and how many sessions there may be; it is never taken by
 * an acquire that finds a session free, nor by its return. What the pool thread holds of the pool
 * is not counted: a pool that is closed, or whose last reference is dropped, keeps itself until the
 * thread is done with it. */
#include "derate-pg-waiter-private.h"

#include "derate-pg-error.h"
#include "derate-pg-target-private.h"

#include <string.h>

/**
 * DeratePgPool:
 *
 * Sessions with a PostgreSQL server, kept open and lent to whoever has something to ask.
 *
 * A pool keeps at least `min-size` sessions and has at most `max-size`; it grows in the background
 * while somebody waits, and shrinks when sessions are idle for `idle-timeout`. Whoever finds no
 * session free waits in line, first come, first served. A session is looked at again before it is
 * lent: one that was idle for `validate-after` by a round trip, any other by what it said of
 * itself; one that its server ended is dropped at once. What a lease left open is rolled back.
 *
 * Every function may be called from any thread; properties are set before the pool is opened.
 *
 * Since: 1.0
 */
static void derate_pg_pool_initable_init (GInitableIface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DeratePgPool,
                               derate_pg_pool,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (G_TYPE_INITABLE,
                                                      derate_pg_pool_initable_init))

static gboolean
derate_pg_pool_initable_real_init (GInitable *initable, GCancellable *cancellable, GError **error)
{
  DeratePgPool *self = DERATE_PG_POOL (initable);
  const char *name = self->settings.name;

  if (name == NULL || !g_ascii_islower (name[0]) || strlen (name) > 63 ||
      name[strspn (name, "abcdefghijklmnopqrstuvwxyz0123456789_-")] != '\0')
    {
      g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CONFIG,
                   "“%s” is not a name such as main or read-side_2", name != NULL ? name : "");
      return FALSE;
    }
  if (!derate_pg_connection_check_uri (self->settings.uri != NULL ? self->settings.uri : "", error))
    {
      g_prefix_error (error, "pool %s: ", name);
      return FALSE;
    }
  if (self->clock == NULL)
    self->clock = g_object_ref (derate_clock_get_system ());
  derate_pg_roles_init (self);
  self->meter = derate_pg_meter_new (name, error);
  return self->meter != NULL;
}

static void
derate_pg_pool_initable_init (GInitableIface *iface)
{
  iface->init = derate_pg_pool_initable_real_init;
}

static void
derate_pg_pool_dispose (GObject *object)
{
  DeratePgPool *self = DERATE_PG_POOL (object);
  g_auto (GQueue) ended = G_QUEUE_INIT; /* nobody: who waits holds the pool */

  g_mutex_lock (&self->lock);
  derate_pg_pool_shut (self, DERATE_CLOCK_NEVER, &ended);
  g_mutex_unlock (&self->lock);

  G_OBJECT_CLASS (derate_pg_pool_parent_class)->dispose (object);
}

static void
derate_pg_pool_finalize (GObject *object)
{
  DeratePgPool *self = DERATE_PG_POOL (object);

  g_clear_pointer (&self->thread, g_thread_unref);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_main_context_unref (self->owner_context);
  g_ptr_array_unref (self->openings);
  g_ptr_array_unref (self->drains);
  g_ptr_array_unref (self->closings);
  g_clear_error (&self->growth.error);
  derate_pg_roles_clear (self);
  derate_pg_attachment_clear (self);
  g_clear_object (&self->breaker);
  g_clear_pointer (&self->meter, derate_pg_meter_unref);
  g_clear_object (&self->clock);
  g_mutex_clear (&self->lock);
  for (guint i = 0; i < self->n_slots; i++)
    g_free (self->slots[i].holder);
  g_free (self->slots_memory);
  derate_pg_secret_free (self->settings.password);
  derate_pg_secret_free (self->settings.uri);
  g_free (self->settings.name);

  G_OBJECT_CLASS (derate_pg_pool_parent_class)->finalize (object);
}

static void
derate_pg_pool_class_init (DeratePgPoolClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->dispose = derate_pg_pool_dispose;
  object_class->finalize = derate_pg_pool_finalize;
  derate_pg_pool_install_properties (object_class);
}

static void
derate_pg_pool_init (DeratePgPool *self)
{
  self->gate = GATE_UNOPENED;
  self->epoll = -1;
  self->growth.window = 1;
  self->sweep_at = DERATE_CLOCK_NEVER;
  self->close_by = DERATE_CLOCK_NEVER;
  self->owner_context = g_main_context_ref_thread_default ();
  self->openings = g_ptr_array_new_with_free_func (g_object_unref);
  self->drains = g_ptr_array_new_with_free_func (g_object_unref);
  self->closings = g_ptr_array_new_with_free_func (g_object_unref);
  g_mutex_init (&self->lock);
  derate_pg_pool_init_properties (self);
  /* Memory that is never written to is never there: most pools use ten of them. */
  self->slots_memory = g_malloc0_n (MAX_SLOTS + 1, sizeof (DeratePgSlot));
  self->slots = (gpointer)(((guintptr)self->slots_memory + G_ALIGNOF (DeratePgSlot) - 1) &
                           ~(guintptr)(G_ALIGNOF (DeratePgSlot) - 1));
}

/**
 * derate_pg_pool_new:
 * @name: what the pool is called: small letters, digits, `-` and `_`, at most 63, a letter first
 * @uri: a connection URI or keyword string, as libpq has them
 * @error: where to put the error
 *
 * Makes a pool. Nothing is connected before it is opened or used.
 *
 * Returns: (transfer full): the pool; %NULL with %DERATE_PG_ERROR_CONFIG where @name or @uri cannot
 *   be used, or %DERATE_ERROR_INVALID_CONFIG where `SLOW_QUERY_THRESHOLD_MS` or
 *   `ENABLE_QUERY_LOGGING` cannot
 *
 * Since: 1.0
 */
DeratePgPool *
derate_pg_pool_new (const char *name, const char *uri, GError **error)
{
  return g_initable_new (DERATE_TYPE_PG_POOL, NULL, error, "name", name, "uri", uri, NULL);
}

/**
 * derate_pg_pool_get_name:
 * @pool: a pool
 *
 * What the pool is called. May be called from any thread.
 *
 * Returns: (transfer none): the name
 *
 * Since: 1.0
 */
const char *
derate_pg_pool_get_name (DeratePgPool *pool)
{
  g_return_val_if_fail (DERATE_IS_PG_POOL (pool), NULL);

  return pool->settings.name;
}
