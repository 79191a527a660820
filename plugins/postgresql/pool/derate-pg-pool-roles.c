/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Read-only mode: what a pool does whose servers take no writes. Sessions with a standby, or with a
 * primary that was made read-only, go on serving reads; writes are refused. Meanwhile it asks its
 * sessions, by an empty query after which the server's word counts, and looks for another host that
 * takes writes, again and again with a pause that grows. The mode is a function of the sessions
 * that there are; while there are none it stays what it was. Threads: the pool thread's, but for
 * what says otherwise. */
#include "derate-pg-waiter-private.h"

#include "derate-pg-backoff-private.h"
#include "derate-pg-connection-private.h"
#include "derate-pg-error.h"
#include "derate-pg-target-private.h"

#include <derate-log.h>

/* Between two looks for a server that takes writes. */
#define MIN_PAUSE (50 * G_TIME_SPAN_MILLISECOND)
#define MAX_PAUSE (1 * G_TIME_SPAN_SECOND)

static gboolean
is_read_only (DeratePgPool *pool)
{
  return (__atomic_load_n (&pool->gate, __ATOMIC_RELAXED) & GATE_READ_ONLY) != 0;
}

static void
plan_probe (DeratePgRoles *roles, gint64 now)
{
  roles->probe_at = now + derate_pg_backoff_grow (&roles->pause, MIN_PAUSE, MAX_PAUSE);
}

/* Telling */

static gboolean
notify_mode (gpointer data)
{
  g_object_notify (data, "write-mode");
  return G_SOURCE_REMOVE;
}

static void
tell_mode (DeratePgPool *pool, gboolean writes)
{
  const char *host = pool->roles.host != NULL ? pool->roles.host : "";
  g_autofree char *message =
      writes ? g_strdup_printf ("pool %s: writes again, at %s", pool->settings.name, host)
             : g_strdup_printf ("pool %s: read-only, at %s%s%s", pool->settings.name, host,
                                pool->roles.passed_over != NULL ? "; " : "",
                                pool->roles.passed_over != NULL ? pool->roles.passed_over : "");
  GSource *source = g_idle_source_new ();

  derate_log_event (writes || !pool->roles.wants_writes ? G_LOG_LEVEL_INFO : G_LOG_LEVEL_WARNING,
                    "write_mode_changed", pool->settings.name, message, "PREVIOUS_STATE",
                    writes ? "disabled" : "enabled", "STATE", writes ? "enabled" : "disabled",
                    NULL);
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, notify_mode, g_object_ref (pool), g_object_unref);
  g_source_attach (source, pool->owner_context);
  g_source_unref (source);
}

static void
set_mode (DeratePgPool *pool, gboolean writes)
{
  g_auto (GQueue) ended = G_QUEUE_INIT;

  g_mutex_lock (&pool->lock);
  if (writes)
    __atomic_and_fetch (&pool->gate, ~GATE_READ_ONLY, __ATOMIC_SEQ_CST);
  else
    {
      __atomic_or_fetch (&pool->gate, GATE_READ_ONLY, __ATOMIC_SEQ_CST);
      derate_pg_waiters_fail_writes (pool, &ended);
    }
  g_mutex_unlock (&pool->lock);
  derate_pg_waiter_end_all (&ended);
  derate_pg_attachment_tell (pool);
  tell_mode (pool, writes);
}

/* The mode */

static gboolean
has_session (guint64 word)
{
  DeratePgSlotState state = derate_pg_slot_state (word);

  return state == DERATE_PG_SLOT_IDLE || state == DERATE_PG_SLOT_BUSY ||
         state == DERATE_PG_SLOT_RESERVED || state == DERATE_PG_SLOT_DRAINING;
}

static void
count_sessions (DeratePgPool *pool, guint *writable, guint *others)
{
  *writable = *others = 0;
  for (guint i = 0; i < pool->n_slots; i++)
    {
      guint64 word = derate_pg_slot_read (&pool->slots[i]);

      if (!has_session (word))
        continue;
      if ((word & SLOT_WRITABLE) == 0)
        ++*others;
      else if ((word & SLOT_RETIRE) == 0)
        ++*writable;
    }
}

static void
update (DeratePgPool *pool)
{
  guint writable, others;

  count_sessions (pool, &writable, &others);
  if (writable > 0 && is_read_only (pool))
    set_mode (pool, TRUE);
  else if (writable == 0 && others > 0 && !is_read_only (pool))
    {
      pool->roles.pause = 0;
      plan_probe (&pool->roles, derate_pg_pool_now (pool));
      set_mode (pool, FALSE);
    }
}

/* Closes as soon as they are free those with the given flag, or without it. Those that are being
 * opened may have been told that they take writes before it became untrue. */
static void
retire_all (DeratePgPool *pool, gboolean writable)
{
  for (guint i = 0; i < pool->n_slots; i++)
    {
      guint64 word = derate_pg_slot_read (&pool->slots[i]);

      if (derate_pg_slot_state (word) == DERATE_PG_SLOT_CONNECTING
              ? writable
              : has_session (word) && ((word & SLOT_WRITABLE) != 0) == writable)
        derate_pg_slot_flag (&pool->slots[i], SLOT_RETIRE, 0);
    }
  g_mutex_lock (&pool->lock);
  derate_pg_pool_kick (pool);
  g_mutex_unlock (&pool->lock);
}

/* The empty query of those that are free; the others go when they come back. */
static void
ask_all (DeratePgPool *pool)
{
  for (guint i = 0; i < pool->n_slots; i++)
    {
      DeratePgSlot *slot = &pool->slots[i];
      guint64 word = derate_pg_slot_read (slot);

      if ((word & SLOT_WRITABLE) != 0)
        continue;
      if (!derate_pg_pool_check_idle (pool, slot, word, 0) &&
          derate_pg_slot_state (word) == DERATE_PG_SLOT_BUSY)
        derate_pg_slot_flag (slot, SLOT_RETIRE, 0);
    }
}

/* Gives whether the role is another. */
static gboolean
judge (DeratePgPool *pool, DeratePgSlot *slot)
{
  gboolean was = (derate_pg_slot_read (slot) & SLOT_WRITABLE) != 0;
  gboolean writable = !derate_pg_connection_is_read_only (slot->connection);

  if (was && !writable)
    retire_all (pool, TRUE); /* this one, too: their server is not what it was */
  if (was != writable)
    derate_pg_slot_flag (slot, writable ? SLOT_WRITABLE : 0, writable ? 0 : SLOT_WRITABLE);
  update (pool);
  return was != writable;
}

void
derate_pg_roles_connected (DeratePgPool *pool, DeratePgSlot *slot)
{
  g_free (pool->roles.host);
  pool->roles.host = g_strdup (derate_pg_connection_get_host (slot->connection));
  g_free (pool->roles.passed_over);
  pool->roles.passed_over = g_strdup (derate_pg_connection_get_passed_over (slot->connection));
  judge (pool, slot);
}

void
derate_pg_roles_look (DeratePgPool *pool, DeratePgSlot *slot)
{
  /* Or it would be no clean session any more, and come here at each return. */
  derate_pg_connection_saw_read_only (slot->connection);
  if (judge (pool, slot) && (derate_pg_slot_read (slot) & SLOT_WRITABLE) != 0)
    ask_all (pool);
}

gboolean
derate_pg_roles_refuse (DeratePgPool *pool, DeratePgAccess access, GError **error)
{
  if (access != DERATE_PG_ACCESS_WRITE || !is_read_only (pool))
    return FALSE;
  g_mutex_lock (&pool->lock);
  pool->counts.refused++;
  g_mutex_unlock (&pool->lock);
  if (error != NULL)
    *error = g_error_copy (pool->roles.refusal);
  return TRUE;
}

void
derate_pg_roles_init (DeratePgPool *pool)
{
  g_autoptr (DeratePgRoute) route =
      derate_pg_route_parse (pool->settings.uri, pool->settings.password, NULL);

  pool->roles.refusal = g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_READ_ONLY,
                                     "pool %s: no server takes writes now", pool->settings.name);
  pool->roles.wants_writes = derate_pg_route_wants_writes (route);
  pool->roles.has_other_hosts =
      pool->roles.wants_writes && route->role != DERATE_PG_ROLE_ANY && route->targets.length > 1;
}

void
derate_pg_roles_clear (DeratePgPool *pool)
{
  g_clear_error (&pool->roles.refusal);
  g_clear_pointer (&pool->roles.host, g_free);
  g_clear_pointer (&pool->roles.passed_over, g_free);
}

/* Looking for a server that takes writes */

static void
opened (GObject *source, GAsyncResult *result, gpointer user_data)
{
  DeratePgSlot *slot = user_data;
  DeratePgPool *pool = slot->pool;
  DeratePgConnection *found = derate_pg_connection_open_finish (result, NULL);

  g_clear_object (&slot->cancellable);
  pool->roles.is_probing = FALSE;
  plan_probe (&pool->roles, derate_pg_pool_now (pool));
  if (found == NULL)
    {
      g_mutex_lock (&pool->lock);
      derate_pg_pool_delist (pool, slot, DERATE_PG_SLOT_CONNECTING);
      derate_pg_pool_kick (pool);
      g_mutex_unlock (&pool->lock);
      return;
    }
  retire_all (pool, FALSE); /* those of the server that takes none */
  derate_pg_growth_adopt (pool, slot, found);
}

/* There is always room for the one session that would make an end of it. */
static DeratePgSlot *
make_room (DeratePgPool *pool)
{
  DeratePgSlot *slot = NULL;

  g_mutex_lock (&pool->lock);
  if ((pool->gate & (GATE_CLOSED | GATE_PAUSED)) == 0 && pool->n_live < pool->sizing.limit)
    {
      slot = derate_pg_pool_find_empty (pool);
      derate_pg_pool_enlist (pool, slot);
    }
  g_mutex_unlock (&pool->lock);
  for (guint i = 0; slot == NULL && i < pool->n_slots; i++)
    {
      guint64 word = derate_pg_slot_read (&pool->slots[i]);

      if (derate_pg_slot_state (word) == DERATE_PG_SLOT_IDLE)
        {
          derate_pg_slot_flag (&pool->slots[i], SLOT_RETIRE, 0);
          break;
        }
    }
  return slot;
}

static void
ask_other_hosts (DeratePgPool *pool)
{
  DeratePgPreference preference = { .timeout = pool->settings.connect_timeout };
  DeratePgSlot *slot = make_room (pool);

  if (slot == NULL)
    return;
  pool->roles.is_probing = TRUE;
  slot->cancellable = g_cancellable_new ();
  derate_pg_connection_open_preferring_async (pool->settings.uri, pool->settings.password,
                                              &preference, slot->cancellable, opened, slot);
}

static void
ask_one (DeratePgPool *pool)
{
  for (guint i = 0; i < pool->n_slots; i++)
    {
      DeratePgSlot *slot = &pool->slots[i];

      if (derate_pg_pool_check_idle (pool, slot, derate_pg_slot_read (slot), 0))
        return;
    }
}

void
derate_pg_roles_turn (DeratePgPool *pool, gint64 now)
{
  update (pool);
  if (!is_read_only (pool) || now < pool->roles.probe_at || pool->roles.is_probing)
    return;
  plan_probe (&pool->roles, now);
  ask_one (pool);
  if (pool->roles.has_other_hosts)
    ask_other_hosts (pool);
}

gint64
derate_pg_roles_next (DeratePgPool *pool)
{
  return is_read_only (pool) && !pool->roles.is_probing ? pool->roles.probe_at : DERATE_CLOCK_NEVER;
}

void
derate_pg_roles_prefer (DeratePgPool *pool, DeratePgPreference *preference)
{
  guint writable, others;

  count_sessions (pool, &writable, &others);
  preference->timeout = pool->settings.connect_timeout;
  preference->first = pool->roles.host;
  preference->any_role = is_read_only (pool) && pool->roles.wants_writes;
  preference->or_read_only = writable == 0;
}

/**
 * derate_pg_pool_get_write_mode:
 * @pool: a pool
 *
 * Whether the pool takes writes: see [property@PgPool:write-mode]. May be called from any thread.
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
derate_pg_pool_get_write_mode (DeratePgPool *pool)
{
  g_return_val_if_fail (DERATE_IS_PG_POOL (pool), FALSE);

  return (__atomic_load_n (&pool->gate, __ATOMIC_RELAXED) & GATE_READ_ONLY) == 0;
}
