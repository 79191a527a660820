/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-registry-private.h"

#include <string.h>

#include "derate-breaker-private.h"
#include "derate-env.h"
#include "derate-error.h"
#include "derate-names-private.h"

/* Threads: the mutex guards the table, the queue and who watches. A breaker's mutex may be taken
 * while it is held, to look whether that breaker may go, and never the other way round; no breaker
 * is freed under it. */

/**
 * DerateBreakerRegistry:
 *
 * Circuit breakers by name. All functions may be called from any thread.
 *
 * Since: 1.0
 */
struct _DerateBreakerRegistry
{
  GObject parent_instance;

  DerateClock *clock;
  GMutex mutex;
  GHashTable *entries; /* name, owned by the breaker → Entry */
  GQueue recent; /* of Entry: the one asked for last comes first */
  guint max_breakers; /* 0: no bound */
  gboolean disabled; /* what comes in is set to that mode; before anything does */
  GPtrArray *watches; /* (element-type Watch) */
  guint last_watch;
};

typedef struct
{
  guint id;
  DerateBreakerRegistryWatch func;
  gpointer data;
  GDestroyNotify destroy;
} Watch;

typedef struct
{
  DerateBreaker *breaker;
  GList link; /* in recent */
} Entry;

G_DEFINE_FINAL_TYPE (DerateBreakerRegistry, derate_breaker_registry, G_TYPE_OBJECT)

static void
entry_free (gpointer data)
{
  Entry *entry = data;

  g_object_unref (entry->breaker);
  g_free (entry);
}

static void
watch_clear (gpointer data)
{
  Watch *watch = data;

  if (watch->destroy != NULL)
    watch->destroy (watch->data);
}

static void
watch_unref (gpointer data)
{
  g_atomic_rc_box_release_full (data, watch_clear);
}

static void
derate_breaker_registry_finalize (GObject *object)
{
  DerateBreakerRegistry *self = DERATE_BREAKER_REGISTRY (object);

  g_ptr_array_unref (self->watches);
  g_hash_table_unref (self->entries);
  g_clear_object (&self->clock);
  g_mutex_clear (&self->mutex);
  G_OBJECT_CLASS (derate_breaker_registry_parent_class)->finalize (object);
}

static void
derate_breaker_registry_class_init (DerateBreakerRegistryClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_breaker_registry_finalize;
}

static void
derate_breaker_registry_init (DerateBreakerRegistry *self)
{
  g_mutex_init (&self->mutex);
  g_queue_init (&self->recent);
  self->entries = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, entry_free);
  self->watches = g_ptr_array_new_with_free_func (watch_unref);
}

/**
 * derate_breaker_registry_new:
 * @clock: (nullable): the clock of its breakers, or %NULL for the system's
 *
 * Makes an empty registry. Where `ENABLE_RESILIENCE` is false every breaker that comes into it is
 * set to mode disabled.
 *
 * Returns: (transfer full): the registry
 *
 * Since: 1.0
 */
DerateBreakerRegistry *
derate_breaker_registry_new (DerateClock *clock)
{
  DerateBreakerRegistry *self = g_object_new (DERATE_TYPE_BREAKER_REGISTRY, NULL);
  gboolean enabled = TRUE;

  /* A value that does not parse is refused where a core or a config is made. */
  if (derate_env_get_boolean (DERATE_ENV_ENABLE, TRUE, &enabled, NULL))
    self->disabled = !enabled;
  self->clock = g_object_ref (clock != NULL ? clock : derate_clock_get_system ());
  return self;
}

void
derate_breaker_registry_disable (DerateBreakerRegistry *registry)
{
  registry->disabled = TRUE;
}

guint
derate_breaker_registry_add_watch (DerateBreakerRegistry *registry,
                                   DerateBreakerRegistryWatch func,
                                   gpointer data,
                                   GDestroyNotify destroy)
{
  Watch *watch = g_atomic_rc_box_new0 (Watch);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&registry->mutex);

  watch->id = ++registry->last_watch;
  watch->func = func;
  watch->data = data;
  watch->destroy = destroy;
  g_ptr_array_add (registry->watches, watch);
  return watch->id;
}

void
derate_breaker_registry_remove_watch (DerateBreakerRegistry *registry, guint id)
{
  gpointer removed = NULL;

  g_mutex_lock (&registry->mutex);
  for (guint i = 0; i < registry->watches->len && removed == NULL; i++)
    if (((Watch *)g_ptr_array_index (registry->watches, i))->id == id)
      removed = g_ptr_array_steal_index (registry->watches, i);
  g_mutex_unlock (&registry->mutex);
  g_clear_pointer (&removed, watch_unref);
}

static gpointer
watch_ref (gconstpointer watch, gpointer unused)
{
  return g_atomic_rc_box_acquire ((gpointer)watch);
}

static void
tell_watches (DerateBreakerRegistry *self)
{
  g_autoptr (GPtrArray) watches = NULL;

  g_mutex_lock (&self->mutex);
  if (self->watches->len > 0)
    watches = g_ptr_array_copy (self->watches, watch_ref, NULL);
  g_mutex_unlock (&self->mutex);
  for (guint i = 0; watches != NULL && i < watches->len; i++)
    {
      Watch *watch = g_ptr_array_index (watches, i);

      watch->func (watch->data);
    }
}

/* The breaker of that name, with a reference, as the one asked for last; NULL when there is none.
 */
static DerateBreaker *
use_locked (DerateBreakerRegistry *self, const char *name)
{
  Entry *entry = g_hash_table_lookup (self->entries, name);

  if (entry == NULL)
    return NULL;
  g_queue_unlink (&self->recent, &entry->link);
  g_queue_push_head_link (&self->recent, &entry->link);
  return g_object_ref (entry->breaker);
}

/* Takes the breaker out; its reference goes to the caller. */
static DerateBreaker *
steal_locked (DerateBreakerRegistry *self, const char *name)
{
  Entry *entry = g_hash_table_lookup (self->entries, name);
  DerateBreaker *breaker;

  if (entry == NULL)
    return NULL;
  breaker = g_object_ref (entry->breaker);
  g_queue_unlink (&self->recent, &entry->link);
  g_hash_table_remove (self->entries, name);
  return breaker;
}

/* What can go is closed, in the mode that it would be made in, and has no call in flight. */
static gboolean
is_idle_locked (DerateBreakerRegistry *self, DerateBreaker *breaker)
{
  DerateBreakerMode mode = derate_breaker_get_mode (breaker);

  return derate_breaker_get_state (breaker) == DERATE_BREAKER_STATE_CLOSED &&
         (mode == DERATE_BREAKER_MODE_NORMAL ||
          (mode == DERATE_BREAKER_MODE_DISABLED && self->disabled)) &&
         derate_breaker_get_in_flight (breaker) == 0 &&
         derate_breaker_get_retry_after (breaker) == 0; /* a ramp would be lost with it */
}

/* How many are looked at for one that may go, from the one not asked for longest. */
#define EVICTION_CANDIDATES 16

/* Takes out one that may go, when there are too many; NULL when there is none. Those looked at in
 * vain go to the front, so that busy ones do not hide those that may go. */
static DerateBreaker *
steal_idle_locked (DerateBreakerRegistry *self, DerateBreaker *but)
{
  guint n = MIN (self->recent.length, EVICTION_CANDIDATES);
  GList *link = self->recent.tail;

  if (self->max_breakers == 0 || self->recent.length <= self->max_breakers)
    return NULL;
  for (guint i = 0; i < n; i++)
    {
      DerateBreaker *breaker = ((Entry *)link->data)->breaker;
      GList *previous = link->prev;

      if (breaker != but && is_idle_locked (self, breaker))
        return steal_locked (self, derate_breaker_get_name (breaker));
      g_queue_unlink (&self->recent, link);
      g_queue_push_head_link (&self->recent, link);
      link = previous;
    }
  return NULL;
}

static gboolean
evict_one (DerateBreakerRegistry *self, DerateBreaker *but)
{
  g_autoptr (DerateBreaker) evicted = NULL;

  g_mutex_lock (&self->mutex);
  evicted = steal_idle_locked (self, but);
  g_mutex_unlock (&self->mutex);
  if (evicted != NULL)
    tell_watches (self);
  return evicted != NULL;
}

/* Takes a reference; called locked, for a name that is free. */
static void
insert_locked (DerateBreakerRegistry *registry, DerateBreaker *breaker)
{
  Entry *entry = g_new0 (Entry, 1);

  entry->breaker = g_object_ref (breaker);
  entry->link.data = entry;
  g_hash_table_insert (registry->entries, (gpointer)derate_breaker_get_name (breaker), entry);
  g_queue_push_head_link (&registry->recent, &entry->link);
}

/**
 * derate_breaker_registry_get_or_create:
 * @registry: a registry
 * @name: a name, not empty
 * @config: (nullable): how the breaker decides if it has to be made; else it keeps its own
 * @created: (out) (optional): whether it was made
 *
 * Gets the breaker of that name, and makes it if there is none. In a bounded registry that is full
 * the idle closed breaker that was not asked for longest goes; if none may go the bound is
 * exceeded.
 *
 * Returns: (transfer full): the breaker
 *
 * Since: 1.0
 */
DerateBreaker *
derate_breaker_registry_get_or_create (DerateBreakerRegistry *registry,
                                       const char *name,
                                       const DerateBreakerConfig *config,
                                       gboolean *created)
{
  g_autoptr (DerateBreaker) fresh = NULL;
  DerateBreaker *breaker;

  g_return_val_if_fail (DERATE_IS_BREAKER_REGISTRY (registry), NULL);
  g_return_val_if_fail (name != NULL && *name != '\0', NULL);

  if (created != NULL)
    *created = FALSE;
  g_mutex_lock (&registry->mutex);
  breaker = use_locked (registry, name);
  g_mutex_unlock (&registry->mutex);
  if (breaker != NULL)
    return breaker;

  fresh = derate_breaker_new_with_clock (name, config, registry->clock);
  if (fresh == NULL)
    return NULL;
  if (registry->disabled)
    derate_breaker_set_mode (fresh, DERATE_BREAKER_MODE_DISABLED);
  g_mutex_lock (&registry->mutex);
  breaker = use_locked (registry, name);
  if (breaker == NULL)
    insert_locked (registry, fresh);
  g_mutex_unlock (&registry->mutex);
  if (breaker != NULL)
    return breaker;

  if (created != NULL)
    *created = TRUE;
  while (evict_one (registry, fresh))
    ;
  tell_watches (registry);
  return g_steal_pointer (&fresh);
}

/**
 * derate_breaker_registry_add:
 * @registry: a registry
 * @breaker: a breaker of the same clock
 * @error: where to put the error
 *
 * Adds a breaker that was made elsewhere. Adding one that is in it already does nothing. May be
 * called from any thread.
 *
 * Returns: %FALSE with %DERATE_ERROR_EXISTS where another breaker has its name
 *
 * Since: 1.0
 */
gboolean
derate_breaker_registry_add (DerateBreakerRegistry *registry,
                             DerateBreaker *breaker,
                             GError **error)
{
  g_autoptr (DerateBreaker) other = NULL;

  g_return_val_if_fail (DERATE_IS_BREAKER_REGISTRY (registry), FALSE);
  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), FALSE);

  g_mutex_lock (&registry->mutex);
  other = use_locked (registry, derate_breaker_get_name (breaker));
  if (other == NULL)
    insert_locked (registry, breaker);
  g_mutex_unlock (&registry->mutex);
  if (other == NULL && registry->disabled)
    derate_breaker_set_mode (breaker, DERATE_BREAKER_MODE_DISABLED);
  if (other == NULL)
    tell_watches (registry);
  if (other == NULL || other == breaker)
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_EXISTS, "there is a breaker “%s” already",
               derate_breaker_get_name (breaker));
  return FALSE;
}

/**
 * derate_breaker_registry_lookup:
 * @registry: a registry
 * @name: a name
 *
 * Looks a breaker up.
 *
 * Returns: (transfer full) (nullable): the breaker, or %NULL when there is none of that name
 *
 * Since: 1.0
 */
DerateBreaker *
derate_breaker_registry_lookup (DerateBreakerRegistry *registry, const char *name)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_BREAKER_REGISTRY (registry), NULL);
  g_return_val_if_fail (name != NULL, NULL);

  locker = g_mutex_locker_new (&registry->mutex);
  return use_locked (registry, name);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  DerateBreaker *const *first = a;
  DerateBreaker *const *second = b;

  return strcmp (derate_breaker_get_name (*first), derate_breaker_get_name (*second));
}

/**
 * derate_breaker_registry_list:
 * @registry: a registry
 *
 * Lists the breakers in the order of their names.
 *
 * Returns: (transfer container) (element-type DerateBreaker): the breakers
 *
 * Since: 1.0
 */
GPtrArray *
derate_breaker_registry_list (DerateBreakerRegistry *registry)
{
  GPtrArray *list;

  g_return_val_if_fail (DERATE_IS_BREAKER_REGISTRY (registry), NULL);

  list = g_ptr_array_new_with_free_func (g_object_unref);
  g_mutex_lock (&registry->mutex);
  for (GList *link = registry->recent.head; link != NULL; link = link->next)
    g_ptr_array_add (list, g_object_ref (((Entry *)link->data)->breaker));
  g_mutex_unlock (&registry->mutex);
  g_ptr_array_sort (list, compare_names);
  return list;
}

/**
 * derate_breaker_registry_remove:
 * @registry: a registry
 * @name: a name
 *
 * Takes a breaker out, and its series out of the metrics. Who has it keeps it.
 *
 * Returns: %TRUE when there was one of that name
 *
 * Since: 1.0
 */
gboolean
derate_breaker_registry_remove (DerateBreakerRegistry *registry, const char *name)
{
  g_autoptr (DerateBreaker) removed = NULL;

  g_return_val_if_fail (DERATE_IS_BREAKER_REGISTRY (registry), FALSE);
  g_return_val_if_fail (name != NULL, FALSE);

  g_mutex_lock (&registry->mutex);
  removed = steal_locked (registry, name);
  g_mutex_unlock (&registry->mutex);
  if (removed != NULL)
    tell_watches (registry);
  return removed != NULL;
}

/**
 * derate_breaker_registry_reset_all:
 * @registry: a registry
 *
 * Resets each breaker: see derate_breaker_reset().
 *
 * Returns: how many there are
 *
 * Since: 1.0
 */
guint
derate_breaker_registry_reset_all (DerateBreakerRegistry *registry)
{
  g_autoptr (GPtrArray) list = NULL;

  g_return_val_if_fail (DERATE_IS_BREAKER_REGISTRY (registry), 0);

  list = derate_breaker_registry_list (registry);
  for (guint i = 0; i < list->len; i++)
    derate_breaker_reset (g_ptr_array_index (list, i));
  return list->len;
}

/**
 * derate_breaker_registry_get_max_breakers:
 * @registry: a registry
 *
 * Gets the bound.
 *
 * Returns: how many breakers at most, 0 = no bound
 *
 * Since: 1.0
 */
guint
derate_breaker_registry_get_max_breakers (DerateBreakerRegistry *registry)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_BREAKER_REGISTRY (registry), 0);

  locker = g_mutex_locker_new (&registry->mutex);
  return registry->max_breakers;
}

/**
 * derate_breaker_registry_set_max_breakers:
 * @registry: a registry
 * @max_breakers: how many breakers at most, 0 = no bound, the default
 *
 * Bounds the registry. Idle closed breakers over it go at once; an open or forced one, one in
 * another mode than normal and one with a call in flight never do.
 *
 * Since: 1.0
 */
void
derate_breaker_registry_set_max_breakers (DerateBreakerRegistry *registry, guint max_breakers)
{
  g_return_if_fail (DERATE_IS_BREAKER_REGISTRY (registry));

  g_mutex_lock (&registry->mutex);
  registry->max_breakers = max_breakers;
  g_mutex_unlock (&registry->mutex);
  while (evict_one (registry, NULL))
    ;
}

/**
 * derate_breaker_registry_to_variant:
 * @registry: a registry
 *
 * Makes what `/circuit-breakers` shows: for each name what derate_breaker_stats_to_variant() gives.
 *
 * Returns: (transfer none): a floating `a{sv}`
 *
 * Since: 1.0
 */
GVariant *
derate_breaker_registry_to_variant (DerateBreakerRegistry *registry)
{
  g_autoptr (GPtrArray) list = NULL;
  GVariantBuilder dict;

  g_return_val_if_fail (DERATE_IS_BREAKER_REGISTRY (registry), NULL);

  list = derate_breaker_registry_list (registry);
  g_variant_builder_init (&dict, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; i < list->len; i++)
    {
      g_autoptr (DerateBreakerStats) stats = derate_breaker_dup_stats (list->pdata[i]);

      g_variant_builder_add (&dict, "{sv}", stats->name, derate_breaker_stats_to_variant (stats));
    }
  return g_variant_builder_end (&dict);
}
