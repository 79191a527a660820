/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pools are added by any thread, and read by the thread that renders. What is counted stands in the
 * meters, which the collector keeps: they do not go with their pools, so no counter ever falls. Of
 * a pool that is gone there is no gauge any more. */
#include "derate-pg-collector.h"

#include "derate-pg-meter-private.h"
#include "derate-pg-pool-private.h"

#include <derate-error.h>

typedef struct
{
  DeratePgMeter *meter;
  GWeakRef pool;
} Entry;

/* What one exposition shows of one pool. */
typedef struct
{
  DeratePgMeter *meter;
  DeratePgPool *pool; /* NULL once gone */
  DeratePgPoolStats stats;
  guint in_use; /* no caller may have them now, whoever they are busy for */
} Snapshot;

/**
 * DeratePgCollector:
 *
 * The `db_*` metrics of any number of pools, to be given to
 * [method@Derate.MetricsRegistry.add_collector]. Every series is there from the beginning, at 0.
 *
 * Since: 1.0
 */
struct _DeratePgCollector
{
  GObject parent_instance;

  GMutex lock;
  GPtrArray *entries; /* under the lock; only ever grows */
};

static const char *const pool_label[] = { "pool", NULL };

static void
write_gauges (DerateMetricsWriter *writer, const GArray *snapshots)
{
  static const char *const size_labels[] = { "pool", "status", NULL };
  static const char *const state_labels[] = { "pool", "state", NULL };
  static const struct
  {
    const char *family, *help, *value;
    const char *const *labels;
    gsize offset;
  } gauges[] = {
    { "db_pool_size", "Sessions a pool keeps, may have, and has.", "min", size_labels,
      G_STRUCT_OFFSET (Snapshot, stats.min) },
    { NULL, NULL, "max", NULL, G_STRUCT_OFFSET (Snapshot, stats.max) },
    { NULL, NULL, "current", NULL, G_STRUCT_OFFSET (Snapshot, stats.total) },
    { "db_pool_connections",
      "Sessions of a pool that are free, and that are not: lent, or still busy after their holder.",
      "available", state_labels, G_STRUCT_OFFSET (Snapshot, stats.idle) },
    { NULL, NULL, "in_use", NULL, G_STRUCT_OFFSET (Snapshot, in_use) },
  };
  gboolean writes = FALSE;

  for (guint g = 0; g < G_N_ELEMENTS (gauges); g++)
    {
      if (gauges[g].family != NULL)
        writes =
            derate_metrics_writer_begin_family (writer, gauges[g].family, DERATE_METRIC_TYPE_GAUGE,
                                                gauges[g].help, gauges[g].labels);
      for (guint i = 0; writes && i < snapshots->len; i++)
        {
          const Snapshot *snapshot = &g_array_index (snapshots, Snapshot, i);
          const char *values[] = { derate_pg_meter_get_name (snapshot->meter), gauges[g].value,
                                   NULL };

          if (snapshot->pool != NULL)
            derate_metrics_writer_sample (writer, values,
                                          G_STRUCT_MEMBER (guint, snapshot, gauges[g].offset));
        }
    }
}

static void
write_write_mode (DerateMetricsWriter *writer, const GArray *snapshots)
{
  if (!derate_metrics_writer_begin_family (writer, "db_write_mode", DERATE_METRIC_TYPE_GAUGE,
                                           "Whether a pool takes writes: 1 if so, 0 read-only.",
                                           pool_label))
    return;
  for (guint i = 0; i < snapshots->len; i++)
    {
      const Snapshot *snapshot = &g_array_index (snapshots, Snapshot, i);
      const char *values[] = { derate_pg_meter_get_name (snapshot->meter), NULL };

      if (snapshot->pool != NULL)
        derate_metrics_writer_sample (writer, values,
                                      derate_pg_pool_get_write_mode (snapshot->pool));
    }
}

static void
write_acquires (DerateMetricsWriter *writer, const GArray *snapshots)
{
  if (!derate_metrics_writer_begin_family (writer, "db_pool_acquire_duration_seconds",
                                           DERATE_METRIC_TYPE_HISTOGRAM,
                                           "How long was waited for a session.", pool_label))
    return;
  for (guint i = 0; i < snapshots->len; i++)
    {
      DeratePgMeter *meter = g_array_index (snapshots, Snapshot, i).meter;
      const char *values[] = { derate_pg_meter_get_name (meter), NULL };

      derate_metrics_writer_add_histogram (writer, values, derate_pg_meter_get_acquires (meter));
    }
}

/* The count of a histogram is the counter: nothing is counted twice. */
static void
write_queries_of (DerateMetricsWriter *writer, DeratePgMeter *meter, gboolean durations)
{
  for (guint operation = 0; operation < DERATE_PG_N_OPERATIONS; operation++)
    for (guint status = 0; status < DERATE_PG_N_STATUSES; status++)
      {
        DerateHistogram *histogram = derate_pg_meter_get_queries (meter, operation, status);
        const char *values[] = { derate_pg_meter_get_name (meter),
                                 derate_pg_operation_to_nick (operation),
                                 derate_pg_status_to_nick (status), NULL };

        if (durations)
          derate_metrics_writer_add_histogram (writer, values, histogram);
        else
          derate_metrics_writer_sample (writer, values,
                                        (double)derate_histogram_get_count (histogram));
      }
}

static void
write_queries (DerateMetricsWriter *writer, const GArray *snapshots)
{
  static const char *const labels[] = { "pool", "operation", "status", NULL };

  if (derate_metrics_writer_begin_family (writer, "db_query_duration_seconds",
                                          DERATE_METRIC_TYPE_HISTOGRAM, "How long statements took.",
                                          labels))
    for (guint i = 0; i < snapshots->len; i++)
      write_queries_of (writer, g_array_index (snapshots, Snapshot, i).meter, TRUE);
  if (derate_metrics_writer_begin_family (writer, "db_queries_total", DERATE_METRIC_TYPE_COUNTER,
                                          "Statements that ended.", labels))
    for (guint i = 0; i < snapshots->len; i++)
      write_queries_of (writer, g_array_index (snapshots, Snapshot, i).meter, FALSE);
}

static void
write_slow (DerateMetricsWriter *writer, const GArray *snapshots)
{
  if (!derate_metrics_writer_begin_family (writer, "db_slow_queries_total",
                                           DERATE_METRIC_TYPE_COUNTER,
                                           "Statements that took SLOW_QUERY_THRESHOLD_MS or more.",
                                           pool_label))
    return;
  for (guint i = 0; i < snapshots->len; i++)
    {
      DeratePgMeter *meter = g_array_index (snapshots, Snapshot, i).meter;
      const char *values[] = { derate_pg_meter_get_name (meter), NULL };

      derate_metrics_writer_sample (writer, values, (double)derate_pg_meter_get_slow (meter));
    }
}

static void
snapshot_clear (gpointer data)
{
  Snapshot *snapshot = data;

  derate_pg_meter_unref (snapshot->meter);
  g_clear_object (&snapshot->pool);
}

/* A pool may end at any moment but not while it is looked at. */
static GArray *
take_snapshots (DeratePgCollector *self)
{
  GArray *snapshots = g_array_new (FALSE, TRUE, sizeof (Snapshot));

  g_array_set_clear_func (snapshots, snapshot_clear);
  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->entries->len; i++)
    {
      Entry *entry = g_ptr_array_index (self->entries, i);
      Snapshot snapshot = { derate_pg_meter_ref (entry->meter), g_weak_ref_get (&entry->pool) };

      g_array_append_val (snapshots, snapshot);
    }
  g_mutex_unlock (&self->lock);
  for (guint i = 0; i < snapshots->len; i++)
    {
      Snapshot *snapshot = &g_array_index (snapshots, Snapshot, i);

      if (snapshot->pool == NULL)
        continue;
      derate_pg_pool_read_stats (snapshot->pool, &snapshot->stats);
      snapshot->in_use = snapshot->stats.total - snapshot->stats.idle - snapshot->stats.connecting;
    }
  return snapshots;
}

static void
derate_pg_collector_collect (DerateMetricsCollector *collector, DerateMetricsWriter *writer)
{
  g_autoptr (GArray) snapshots = take_snapshots (DERATE_PG_COLLECTOR (collector));

  write_gauges (writer, snapshots);
  write_write_mode (writer, snapshots);
  write_acquires (writer, snapshots);
  write_queries (writer, snapshots);
  write_slow (writer, snapshots);
}

static void
derate_pg_collector_collector_init (DerateMetricsCollectorInterface *iface)
{
  iface->collect = derate_pg_collector_collect;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (DeratePgCollector,
                               derate_pg_collector,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_METRICS_COLLECTOR,
                                                      derate_pg_collector_collector_init))

static void
entry_free (gpointer data)
{
  Entry *entry = data;

  derate_pg_meter_unref (entry->meter);
  g_weak_ref_clear (&entry->pool);
  g_free (entry);
}

static void
derate_pg_collector_finalize (GObject *object)
{
  DeratePgCollector *self = DERATE_PG_COLLECTOR (object);

  g_ptr_array_unref (self->entries);
  g_mutex_clear (&self->lock);

  G_OBJECT_CLASS (derate_pg_collector_parent_class)->finalize (object);
}

static void
derate_pg_collector_class_init (DeratePgCollectorClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_pg_collector_finalize;
}

static void
derate_pg_collector_init (DeratePgCollector *self)
{
  g_mutex_init (&self->lock);
  self->entries = g_ptr_array_new_with_free_func (entry_free);
}

/**
 * derate_pg_collector_new:
 *
 * Makes a collector of no pools yet. May be called from any thread.
 *
 * Returns: (transfer full): the collector
 *
 * Since: 1.0
 */
DeratePgCollector *
derate_pg_collector_new (void)
{
  return g_object_new (DERATE_TYPE_PG_COLLECTOR, NULL);
}

static Entry *
find_entry (DeratePgCollector *self, const char *name)
{
  for (guint i = 0; i < self->entries->len; i++)
    {
      Entry *entry = g_ptr_array_index (self->entries, i);

      if (g_str_equal (derate_pg_meter_get_name (entry->meter), name))
        return entry;
    }
  return NULL;
}

static void
add_entry (DeratePgCollector *self, DeratePgPool *pool)
{
  Entry *entry = g_new0 (Entry, 1);

  entry->meter = derate_pg_meter_ref (pool->meter);
  g_weak_ref_init (&entry->pool, pool);
  g_ptr_array_add (self->entries, entry);
}

/* Nothing was counted yet. */
static gboolean
adopt_meter (DeratePgPool *pool, DeratePgMeter *meter)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&pool->lock);

  if ((pool->gate & GATE_UNOPENED) == 0)
    return FALSE;
  derate_pg_meter_unref (pool->meter);
  pool->meter = derate_pg_meter_ref (meter);
  return TRUE;
}

/* A pool of a name that was there goes on counting where that one stopped. */
static gboolean
continue_entry (Entry *entry, DeratePgPool *pool, GError **error)
{
  g_autoptr (DeratePgPool) old = g_weak_ref_get (&entry->pool);

  if (old == pool)
    return TRUE;
  if (old != NULL && (__atomic_load_n (&old->gate, __ATOMIC_ACQUIRE) & GATE_CLOSED) == 0)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_EXISTS,
                   "pool %s: another pool of this name is shown already",
                   derate_pg_meter_get_name (entry->meter));
      return FALSE;
    }
  if (!adopt_meter (pool, entry->meter))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE,
                   "pool %s: it goes on for another one, and is open already",
                   derate_pg_meter_get_name (entry->meter));
      return FALSE;
    }
  g_weak_ref_set (&entry->pool, pool);
  return TRUE;
}

/**
 * derate_pg_collector_add:
 * @collector: a collector
 * @pool: a pool
 * @error: where to put the error
 *
 * Shows @pool from now on. The collector holds no reference to it: the gauges of a pool end with
 * it, and its counters stay as they are. A new pool of the same name goes on where that one
 * stopped; it must be added before it is used. May be called from any thread.
 *
 * Returns: %TRUE, or %FALSE with %DERATE_ERROR_EXISTS where another pool of that name is shown and
 *   not closed, or with %DERATE_ERROR_INVALID_STATE where @pool goes on for another one and is
 *   open already
 *
 * Since: 1.0
 */
gboolean
derate_pg_collector_add (DeratePgCollector *collector, DeratePgPool *pool, GError **error)
{
  Entry *entry;
  gboolean added = TRUE;

  g_return_val_if_fail (DERATE_IS_PG_COLLECTOR (collector), FALSE);
  g_return_val_if_fail (DERATE_IS_PG_POOL (pool), FALSE);

  g_mutex_lock (&collector->lock);
  entry = find_entry (collector, derate_pg_pool_get_name (pool));
  if (entry == NULL)
    add_entry (collector, pool);
  else
    added = continue_entry (entry, pool, error);
  g_mutex_unlock (&collector->lock);
  return added;
}
