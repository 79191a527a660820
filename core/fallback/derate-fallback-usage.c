/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-fallback-usage-private.h"

#include <string.h>

#include "derate-counter.h"
#include "derate-gauge.h"
#include "derate-histogram-private.h"
#include "derate-log-private.h"
#include "derate-names-private.h"

/* Threads: the mutex guards the list of entries and their `logged_at`; an entry is never removed,
 * and counting in one takes no lock. */

#define N_REASONS DERATE_FALLBACK_N_REASONS

/* A fallback that answers a thousand times a second writes one line in this time. */
#define LOG_INTERVAL (60 * G_TIME_SPAN_SECOND)

/* semantics §12: 0.00001 to 1, with the 10 ms that the seeds promise among them. */
const double derate_fallback_bounds[DERATE_FALLBACK_N_BOUNDS] = {
  0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025,
  0.005,   0.01,     0.025,   0.05,   0.1,     0.25,   0.5,   1,
};

typedef struct
{
  char *name;
  char *strategy;
  DerateCounter *used[N_REASONS];
  DerateCounter *failures;
  DerateHistogram *duration;
  gint64 last_used; /* wall clock, µs; atomic, 0 before the first */
  gint64 logged_at; /* time of the clock, or -1 */
  guint64 not_logged;
} Entry;

/**
 * DerateFallbackUsage:
 *
 * How often, why and how fast fallbacks answered: a collector of the metrics
 * `circuit_breaker_fallback_used_total` and `fallback_*`, and the writer of the log event
 * `fallback_used`, at most one a minute for each. A [class@FallbackChain] notes what it does here.
 * All functions may be called from any thread.
 *
 * Since: 1.0
 */
struct _DerateFallbackUsage
{
  GObject parent_instance;

  DerateClock *clock;
  GMutex mutex;
  GPtrArray *entries; /* (element-type Entry) */
  int aliases; /* atomic */
};

static void collector_iface_init (DerateMetricsCollectorInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DerateFallbackUsage,
                               derate_fallback_usage,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_METRICS_COLLECTOR,
                                                      collector_iface_init))

static void
entry_free (Entry *entry)
{
  g_free (entry->name);
  g_free (entry->strategy);
  for (guint i = 0; i < N_REASONS; i++)
    g_clear_pointer (&entry->used[i], derate_counter_unref);
  derate_counter_unref (entry->failures);
  derate_histogram_unref (entry->duration);
  g_free (entry);
}

static void
derate_fallback_usage_finalize (GObject *object)
{
  DerateFallbackUsage *usage = DERATE_FALLBACK_USAGE (object);

  g_ptr_array_unref (usage->entries);
  g_clear_object (&usage->clock);
  g_mutex_clear (&usage->mutex);
  G_OBJECT_CLASS (derate_fallback_usage_parent_class)->finalize (object);
}

static void
derate_fallback_usage_class_init (DerateFallbackUsageClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_fallback_usage_finalize;
}

static void
derate_fallback_usage_init (DerateFallbackUsage *usage)
{
  g_mutex_init (&usage->mutex);
  usage->entries = g_ptr_array_new_with_free_func ((GDestroyNotify)entry_free);
}

/**
 * derate_fallback_usage_new:
 * @clock: (nullable): a clock; %NULL for the system's
 *
 * Makes a record with nothing in it.
 *
 * Returns: (transfer full): the record
 *
 * Since: 1.0
 */
DerateFallbackUsage *
derate_fallback_usage_new (DerateClock *clock)
{
  DerateFallbackUsage *usage = g_object_new (DERATE_TYPE_FALLBACK_USAGE, NULL);

  usage->clock = g_object_ref (clock != NULL ? clock : derate_clock_get_system ());
  return usage;
}

static Entry *
entry_new (const char *name, const char *strategy)
{
  Entry *entry = g_new0 (Entry, 1);

  entry->name = g_strdup (name);
  entry->strategy = g_strdup (strategy);
  for (guint i = DERATE_FALLBACK_REASON_OPEN; i < N_REASONS; i++)
    entry->used[i] = derate_counter_new ();
  entry->failures = derate_counter_new ();
  entry->duration = derate_histogram_new (derate_fallback_bounds, DERATE_FALLBACK_N_BOUNDS);
  entry->logged_at = -1;
  return entry;
}

/* Few are ever there: as many as fallbacks are configured. */
static Entry *
ensure_entry (DerateFallbackUsage *usage, const char *name, const char *strategy)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&usage->mutex);
  Entry *entry;

  for (guint i = 0; i < usage->entries->len; i++)
    {
      entry = g_ptr_array_index (usage->entries, i);
      if (strcmp (entry->name, name) == 0 && strcmp (entry->strategy, strategy) == 0)
        return entry;
    }
  entry = entry_new (name, strategy);
  g_ptr_array_add (usage->entries, entry);
  return entry;
}

/**
 * derate_fallback_usage_add:
 * @usage: a record
 * @name: the service or breaker it answers for
 * @strategy: its strategy
 *
 * Makes a fallback's series at 0, before its first answer.
 *
 * Since: 1.0
 */
void
derate_fallback_usage_add (DerateFallbackUsage *usage, const char *name, const char *strategy)
{
  g_return_if_fail (DERATE_IS_FALLBACK_USAGE (usage));
  g_return_if_fail (name != NULL && strategy != NULL);

  ensure_entry (usage, name, strategy);
}

/* Decides under the lock whether this answer is logged, and for how many it stands. */
static gboolean
may_log (DerateFallbackUsage *usage, Entry *entry, guint64 *count)
{
  gint64 now = derate_clock_get_time (usage->clock);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&usage->mutex);

  entry->not_logged++;
  if (entry->logged_at >= 0 && now - entry->logged_at < LOG_INTERVAL)
    return FALSE;
  *count = entry->not_logged;
  entry->not_logged = 0;
  entry->logged_at = now;
  return TRUE;
}

static void
log_used (const Entry *entry, DerateFallbackReason reason, guint64 count, const char *id)
{
  const char *nick = derate_fallback_reason_get_nick (reason);
  g_autofree char *message = NULL;
  g_autofree char *count_text = g_strdup_printf ("%" G_GUINT64_FORMAT, count);

  message = g_strdup_printf ("fallback %s answered for %s (%s), %s since the last such message",
                             entry->strategy, entry->name, nick, count_text);
  derate_log_event (G_LOG_LEVEL_INFO, DERATE_EVENT_FALLBACK_USED, entry->name, message,
                    DERATE_FIELD_REASON, nick, DERATE_FIELD_STRATEGY, entry->strategy,
                    DERATE_FIELD_COUNT, count_text,
                    /* The thread's own is there already. */
                    DERATE_FIELD_REQUEST_ID, derate_log_get_request_id () == NULL ? id : NULL,
                    NULL);
}

/* With the call it stood in for, where that has an id. */
static void
observe (Entry *entry, double seconds, const char *id)
{
  if (id != NULL)
    derate_histogram_observe_with_exemplar (entry->duration, seconds, DERATE_EXEMPLAR_LABEL, id);
  else
    derate_histogram_observe (entry->duration, seconds);
}

/**
 * derate_fallback_usage_set_aliases:
 * @usage: a record
 * @aliases: whether to
 *
 * Shows `circuit_breaker_fallback_used_total` once more as `circuit_breaker_fallback_calls_total`,
 * for boards that know it by that name. The key `metrics-aliases` sets it; default %FALSE.
 *
 * Since: 1.0
 */
void
derate_fallback_usage_set_aliases (DerateFallbackUsage *usage, gboolean aliases)
{
  g_return_if_fail (DERATE_IS_FALLBACK_USAGE (usage));

  g_atomic_int_set (&usage->aliases, aliases);
}

static void
note (DerateFallbackUsage *usage,
      const char *name,
      const char *strategy,
      DerateFallbackReason reason,
      GTimeSpan duration,
      gboolean answered,
      const char *id)
{
  Entry *entry = ensure_entry (usage, name, strategy);
  guint64 count;

  if (id == NULL)
    id = derate_log_get_request_id ();
  observe (entry, (double)duration / G_TIME_SPAN_SECOND, id);
  if (!answered)
    {
      derate_counter_inc (entry->failures);
      return;
    }
  if (reason == DERATE_FALLBACK_REASON_UNKNOWN || reason >= N_REASONS)
    reason = DERATE_FALLBACK_REASON_ERROR;
  derate_counter_inc (entry->used[reason]);
  __atomic_store_n (&entry->last_used, derate_clock_get_real_time (usage->clock), __ATOMIC_RELAXED);
  if (may_log (usage, entry, &count))
    log_used (entry, reason, count, id);
}

/**
 * derate_fallback_usage_note:
 * @usage: a record
 * @name: the service or breaker it answered for
 * @strategy: its strategy
 * @reason: why it was asked
 * @duration: how long it took, in microseconds
 * @answered: whether it had an answer
 *
 * Notes that a fallback was asked.
 *
 * Since: 1.0
 */
void
derate_fallback_usage_note (DerateFallbackUsage *usage,
                            const char *name,
                            const char *strategy,
                            DerateFallbackReason reason,
                            GTimeSpan duration,
                            gboolean answered)
{
  g_return_if_fail (DERATE_IS_FALLBACK_USAGE (usage));
  g_return_if_fail (name != NULL && strategy != NULL);

  note (usage, name, strategy, reason, duration, answered, NULL);
}

void
derate_fallback_usage_note_request (DerateFallbackUsage *usage,
                                    DerateFallbackRequest *request,
                                    const char *name,
                                    const char *strategy,
                                    GTimeSpan duration,
                                    gboolean answered)
{
  note (usage, name, strategy, derate_fallback_request_get_reason (request), duration, answered,
        derate_fallback_request_get_id (request));
}

/* A copy of the list, so that nothing is written under the lock. */
static GPtrArray *
copy_entries (DerateFallbackUsage *usage)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&usage->mutex);
  GPtrArray *entries = g_ptr_array_new ();

  g_ptr_array_extend (entries, usage->entries, NULL, NULL);
  return entries;
}

static guint64
sum_used (const Entry *entry)
{
  guint64 sum = 0;

  for (guint i = DERATE_FALLBACK_REASON_OPEN; i < N_REASONS; i++)
    sum += derate_counter_get_value (entry->used[i]);
  return sum;
}

/**
 * derate_fallback_usage_get_count:
 * @usage: a record
 * @name: a service or breaker
 *
 * How often a fallback has answered for it.
 *
 * Returns: the number of answers of all its strategies
 *
 * Since: 1.0
 */
guint64
derate_fallback_usage_get_count (DerateFallbackUsage *usage, const char *name)
{
  g_autoptr (GPtrArray) entries = NULL;
  guint64 count = 0;

  g_return_val_if_fail (DERATE_IS_FALLBACK_USAGE (usage) && name != NULL, 0);

  entries = copy_entries (usage);
  for (guint i = 0; i < entries->len; i++)
    {
      const Entry *entry = g_ptr_array_index (entries, i);

      if (strcmp (entry->name, name) == 0)
        count += sum_used (entry);
    }
  return count;
}

GArray *
derate_fallback_usage_snapshot (DerateFallbackUsage *usage, const char *name)
{
  g_autoptr (GPtrArray) entries = copy_entries (usage);
  GArray *list = g_array_new (FALSE, FALSE, sizeof (DerateFallbackCounts));

  for (guint i = 0; i < entries->len; i++)
    {
      const Entry *entry = g_ptr_array_index (entries, i);
      DerateFallbackCounts counts = { .strategy = entry->strategy };

      if (strcmp (entry->name, name) != 0)
        continue;
      for (guint reason = DERATE_FALLBACK_REASON_OPEN; reason < N_REASONS; reason++)
        counts.used[reason] = derate_counter_get_value (entry->used[reason]);
      counts.failures = derate_counter_get_value (entry->failures);
      counts.seconds = derate_histogram_get_sum (entry->duration);
      derate_histogram_get_buckets (entry->duration, counts.buckets);
      g_array_append_val (list, counts);
    }
  return list;
}

static void
write_used (GPtrArray *entries, DerateMetricsWriter *writer, const char *family)
{
  static const char *const labels[] = { "name", "strategy", "reason", NULL };

  derate_metrics_writer_begin_family (writer, family, DERATE_METRIC_TYPE_COUNTER,
                                      "Answers that a fallback gave, by reason.", labels);
  for (guint i = 0; i < entries->len; i++)
    {
      const Entry *entry = g_ptr_array_index (entries, i);

      for (guint reason = DERATE_FALLBACK_REASON_OPEN; reason < N_REASONS; reason++)
        {
          const char *const values[] = { entry->name, entry->strategy,
                                         derate_fallback_reason_get_nick (reason), NULL };

          derate_metrics_writer_sample (writer, values,
                                        (double)derate_counter_get_value (entry->used[reason]));
        }
    }
}

static void
write_failures (GPtrArray *entries, DerateMetricsWriter *writer, const char *const *labels)
{
  derate_metrics_writer_begin_family (writer, "fallback_failures_total", DERATE_METRIC_TYPE_COUNTER,
                                      "Times a fallback was asked and had no answer.", labels);
  for (guint i = 0; i < entries->len; i++)
    {
      const Entry *entry = g_ptr_array_index (entries, i);
      const char *const values[] = { entry->name, entry->strategy, NULL };

      derate_metrics_writer_sample (writer, values,
                                    (double)derate_counter_get_value (entry->failures));
    }
}

static void
write_duration (GPtrArray *entries, DerateMetricsWriter *writer, const char *const *labels)
{
  derate_metrics_writer_begin_family (writer, "fallback_duration_seconds",
                                      DERATE_METRIC_TYPE_HISTOGRAM,
                                      "How long a fallback took, with or without answer.", labels);
  for (guint i = 0; i < entries->len; i++)
    {
      const Entry *entry = g_ptr_array_index (entries, i);
      const char *const values[] = { entry->name, entry->strategy, NULL };

      derate_metrics_writer_add_histogram (writer, values, entry->duration);
    }
}

static void
write_last_used (GPtrArray *entries, DerateMetricsWriter *writer, const char *const *labels)
{
  derate_metrics_writer_begin_family (writer, "fallback_last_used_timestamp_seconds",
                                      DERATE_METRIC_TYPE_GAUGE,
                                      "When a fallback last answered; 0 if never.", labels);
  for (guint i = 0; i < entries->len; i++)
    {
      const Entry *entry = g_ptr_array_index (entries, i);
      const char *const values[] = { entry->name, entry->strategy, NULL };
      gint64 last_used = __atomic_load_n (&entry->last_used, __ATOMIC_RELAXED);

      derate_metrics_writer_sample (writer, values, (double)last_used / G_USEC_PER_SEC);
    }
}

static void
derate_fallback_usage_collect (DerateMetricsCollector *collector, DerateMetricsWriter *writer)
{
  static const char *const labels[] = { "name", "strategy", NULL };
  DerateFallbackUsage *usage = DERATE_FALLBACK_USAGE (collector);
  g_autoptr (GPtrArray) entries = copy_entries (usage);

  write_used (entries, writer, "circuit_breaker_fallback_used_total");
  if (g_atomic_int_get (&usage->aliases))
    write_used (entries, writer, "circuit_breaker_fallback_calls_total");
  write_failures (entries, writer, labels);
  write_duration (entries, writer, labels);
  write_last_used (entries, writer, labels);
}

static void
collector_iface_init (DerateMetricsCollectorInterface *iface)
{
  iface->collect = derate_fallback_usage_collect;
}
