/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-cached-fallback.h"

#include <string.h>

/* Threads: the mutex guards table, order and sizes. What is thrown out is collected under it and
 * freed after it: the last reference to a value may be the program's own memory. */

/**
 * DerateCachedFallback:
 *
 * A fallback that gives the last good answer of the service, kept in memory.
 *
 * An answer is fresh up to one age and, when the service does not answer, given as stale up to
 * another; past that it is never given. The cache holds a bounded number of entries and bytes, and
 * throws out first what was longest not asked for. It may be used from any thread.
 *
 * Since: 1.0
 */
struct _DerateCachedFallback
{
  GObject parent_instance;

  DerateClock *clock;
  GTimeSpan max_age;
  GTimeSpan stale_if_error;
  gsize max_entries;
  gsize max_bytes;

  GMutex mutex;
  GHashTable *table; /* key → Entry, borrowed from order */
  GQueue order; /* of Entry by their links; the head was asked for last */
  gsize n_bytes;
};

static void fallback_iface_init (DerateFallbackInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DerateCachedFallback,
                               derate_cached_fallback,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_FALLBACK, fallback_iface_init))

typedef struct
{
  GList link;
  GVariant *value;
  gint64 stored_at;
  gsize n_bytes;
  char key[];
} Entry;

static void
entry_free (Entry *entry)
{
  g_variant_unref (entry->value);
  g_free (entry);
}

static Entry *
entry_new (const char *key, GVariant *value, gint64 now)
{
  gsize key_size = strlen (key) + 1;
  Entry *entry = g_malloc0 (sizeof *entry + key_size);

  entry->link.data = entry;
  entry->value = g_variant_ref_sink (value);
  entry->stored_at = now;
  entry->n_bytes = sizeof *entry + key_size + g_variant_get_size (value);
  memcpy (entry->key, key, key_size);
  return entry;
}

/* Called locked: takes @entry out and puts it before @removed. */
static void
take_out (DerateCachedFallback *cache, Entry *entry, GList **removed)
{
  g_hash_table_remove (cache->table, entry->key);
  g_queue_unlink (&cache->order, &entry->link);
  cache->n_bytes -= entry->n_bytes;
  entry->link.next = *removed;
  *removed = &entry->link;
}

static void
free_removed (GList *removed)
{
  while (removed != NULL)
    {
      Entry *entry = removed->data;

      removed = removed->next;
      entry_free (entry);
    }
}

static void
derate_cached_fallback_finalize (GObject *object)
{
  DerateCachedFallback *cache = DERATE_CACHED_FALLBACK (object);

  g_hash_table_unref (cache->table);
  free_removed (cache->order.head);
  g_clear_object (&cache->clock);
  g_mutex_clear (&cache->mutex);
  G_OBJECT_CLASS (derate_cached_fallback_parent_class)->finalize (object);
}

static void
derate_cached_fallback_class_init (DerateCachedFallbackClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_cached_fallback_finalize;
}

static void
derate_cached_fallback_init (DerateCachedFallback *cache)
{
  g_mutex_init (&cache->mutex);
  g_queue_init (&cache->order);
  cache->table = g_hash_table_new (g_str_hash, g_str_equal);
}

/**
 * derate_cached_fallback_new:
 * @clock: (nullable): the clock that tells ages; %NULL for the system's
 * @max_age: how long an answer is fresh, in microseconds
 * @stale_if_error: how much longer it may be given as stale, in microseconds
 * @max_entries: how many answers it holds
 * @max_bytes: how many bytes they take, keys included
 *
 * Makes an empty cache.
 *
 * Returns: (transfer full): the fallback
 *
 * Since: 1.0
 */
DerateFallback *
derate_cached_fallback_new (DerateClock *clock,
                            GTimeSpan max_age,
                            GTimeSpan stale_if_error,
                            gsize max_entries,
                            gsize max_bytes)
{
  DerateCachedFallback *cache;

  g_return_val_if_fail (max_age >= 0 && stale_if_error >= 0, NULL);
  g_return_val_if_fail (max_entries > 0 && max_bytes > 0, NULL);

  cache = g_object_new (DERATE_TYPE_CACHED_FALLBACK, NULL);
  cache->clock = g_object_ref (clock != NULL ? clock : derate_clock_get_system ());
  cache->max_age = max_age;
  cache->stale_if_error = stale_if_error;
  cache->max_entries = max_entries;
  cache->max_bytes = max_bytes;
  return DERATE_FALLBACK (cache);
}

static gboolean
is_nothing (GVariant *value)
{
  return g_variant_is_of_type (value, G_VARIANT_TYPE_MAYBE) && g_variant_n_children (value) == 0;
}

/**
 * derate_cached_fallback_put:
 * @cache: a cache
 * @key: (nullable): what was asked for; %NULL for the one answer of a service
 * @value: what the service answered; a floating reference is taken
 *
 * Keeps an answer in the place of the one before. One that is greater than the whole cache is not
 * kept, nor is nothing, an empty `m…`: there may be any number of things that are not there. The
 * one before goes all the same: it is no longer the last.
 *
 * Since: 1.0
 */
void
derate_cached_fallback_put (DerateCachedFallback *cache, const char *key, GVariant *value)
{
  GList *removed = NULL;
  Entry *entry;
  Entry *before;

  g_return_if_fail (DERATE_IS_CACHED_FALLBACK (cache) && value != NULL);

  entry = entry_new (key != NULL ? key : "", value, derate_clock_get_time (cache->clock));
  g_mutex_lock (&cache->mutex);
  before = g_hash_table_lookup (cache->table, entry->key);
  if (before != NULL)
    take_out (cache, before, &removed);
  if (entry->n_bytes <= cache->max_bytes && !is_nothing (entry->value))
    {
      while (cache->order.length >= cache->max_entries ||
             cache->n_bytes + entry->n_bytes > cache->max_bytes)
        take_out (cache, cache->order.tail->data, &removed);
      g_queue_push_head_link (&cache->order, &entry->link);
      g_hash_table_insert (cache->table, entry->key, entry);
      cache->n_bytes += entry->n_bytes;
      entry = NULL;
    }
  g_mutex_unlock (&cache->mutex);

  free_removed (removed);
  g_clear_pointer (&entry, entry_free);
}

/* The answer up to @bound old, with a reference; one that nobody may have any more goes. */
static GVariant *
look_up (DerateCachedFallback *cache, const char *key, GTimeSpan bound, GTimeSpan *age)
{
  gint64 now = derate_clock_get_time (cache->clock);
  GList *removed = NULL;
  GVariant *value = NULL;
  Entry *entry;

  g_mutex_lock (&cache->mutex);
  entry = g_hash_table_lookup (cache->table, key != NULL ? key : "");
  if (entry != NULL)
    {
      *age = MAX (now - entry->stored_at, 0);
      /* Two bounds, taken off one after the other: their sum may be more than a number holds. */
      if (*age - cache->max_age > cache->stale_if_error)
        take_out (cache, entry, &removed);
      else
        {
          g_queue_unlink (&cache->order, &entry->link);
          g_queue_push_head_link (&cache->order, &entry->link);
          value = *age <= bound ? g_variant_ref (entry->value) : NULL;
        }
    }
  g_mutex_unlock (&cache->mutex);
  free_removed (removed);
  return value;
}

/**
 * derate_cached_fallback_lookup:
 * @cache: a cache
 * @key: (nullable): what is asked for
 * @age: (out) (optional): how old the answer is, in microseconds
 *
 * Looks for a fresh answer, as one does before asking the service. A stale one is given only as a
 * fallback.
 *
 * Returns: (transfer full) (nullable): the answer, or %NULL where there is no fresh one
 *
 * Since: 1.0
 */
GVariant *
derate_cached_fallback_lookup (DerateCachedFallback *cache, const char *key, GTimeSpan *age)
{
  GTimeSpan found_age = 0;
  GVariant *value;

  g_return_val_if_fail (DERATE_IS_CACHED_FALLBACK (cache), NULL);

  value = look_up (cache, key, cache->max_age, &found_age);
  if (age != NULL)
    *age = found_age;
  return value;
}

/**
 * derate_cached_fallback_clear:
 * @cache: a cache
 *
 * Forgets all answers.
 *
 * Since: 1.0
 */
void
derate_cached_fallback_clear (DerateCachedFallback *cache)
{
  GList *removed = NULL;

  g_return_if_fail (DERATE_IS_CACHED_FALLBACK (cache));

  g_mutex_lock (&cache->mutex);
  while (cache->order.tail != NULL)
    take_out (cache, cache->order.tail->data, &removed);
  g_mutex_unlock (&cache->mutex);
  free_removed (removed);
}

/**
 * derate_cached_fallback_get_n_entries:
 * @cache: a cache
 *
 * How many answers it holds.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
gsize
derate_cached_fallback_get_n_entries (DerateCachedFallback *cache)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_CACHED_FALLBACK (cache), 0);

  locker = g_mutex_locker_new (&cache->mutex);
  return cache->order.length;
}

/**
 * derate_cached_fallback_get_n_bytes:
 * @cache: a cache
 *
 * How many bytes its answers take.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
gsize
derate_cached_fallback_get_n_bytes (DerateCachedFallback *cache)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_CACHED_FALLBACK (cache), 0);

  locker = g_mutex_locker_new (&cache->mutex);
  return cache->n_bytes;
}

static const char *
derate_cached_fallback_get_strategy (DerateFallback *base)
{
  return "cached";
}

static DerateFallbackResult *
derate_cached_fallback_answer (DerateFallback *base, DerateFallbackRequest *request, GError **error)
{
  DerateCachedFallback *cache = DERATE_CACHED_FALLBACK (base);
  const char *key = derate_fallback_request_get_key (request);
  GTimeSpan age = 0;
  g_autoptr (GVariant) value = NULL;

  if (!derate_fallback_request_is_write (request))
    value = look_up (cache, key, G_MAXINT64, &age);
  if (value != NULL)
    return derate_fallback_result_new (value, "cached", age <= cache->max_age ? "cache" : "stale",
                                       derate_fallback_request_get_reason (request), age);

  if (derate_fallback_request_is_write (request))
    g_set_error_literal (error, DERATE_ERROR, DERATE_ERROR_UNAVAILABLE,
                         "a cache does not answer a write");
  else
    g_set_error (error, DERATE_ERROR, DERATE_ERROR_UNAVAILABLE,
                 "no answer young enough is kept for “%s”", key != NULL ? key : "");
  return NULL;
}

static void
derate_cached_fallback_note_answer (DerateFallback *base, const char *key, GVariant *value)
{
  derate_cached_fallback_put (DERATE_CACHED_FALLBACK (base), key, value);
}

static void
fallback_iface_init (DerateFallbackInterface *iface)
{
  iface->get_strategy = derate_cached_fallback_get_strategy;
  iface->answer = derate_cached_fallback_answer;
  iface->note_answer = derate_cached_fallback_note_answer;
}
