/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-collector.h"

#include "derate-breaker-private.h"

/**
 * DerateBreakerCollector:
 *
 * The `circuit_breaker_*` metrics of the breakers in a registry, read when they are rendered.
 *
 * Since: 1.0
 */
struct _DerateBreakerCollector
{
  GObject parent_instance;

  DerateBreakerRegistry *registry;
};

typedef struct
{
  DerateBreaker *breaker;
  DerateBreakerTotals totals;
} Snapshot;

/* A family with one series a breaker. */
typedef struct
{
  const char *name;
  DerateMetricType type;
  const char *help;
  double (*get) (const DerateBreakerTotals *totals);
} Family;

static double
get_state (const DerateBreakerTotals *totals)
{
  return (double)totals->state - DERATE_BREAKER_STATE_CLOSED;
}

static double
get_requests (const DerateBreakerTotals *totals)
{
  return (double)totals->requests;
}

static double
get_failures (const DerateBreakerTotals *totals)
{
  return (double)(totals->failure + totals->slow_failure);
}

static double
get_successes (const DerateBreakerTotals *totals)
{
  return (double)(totals->success + totals->slow_success);
}

static double
get_blocked (const DerateBreakerTotals *totals)
{
  return (double)totals->blocked;
}

static double
get_failure_rate (const DerateBreakerTotals *totals)
{
  return totals->failure_rate;
}

static double
get_slow_call_rate (const DerateBreakerTotals *totals)
{
  return totals->slow_call_rate;
}

static const Family families[] = {
  { "circuit_breaker_state", DERATE_METRIC_TYPE_GAUGE,
    "State of the circuit breaker: 0 closed, 1 open, 2 half-open.", get_state },
  { "circuit_breaker_requests_total", DERATE_METRIC_TYPE_COUNTER,
    "Calls asked for, let through or refused.", get_requests },
  { "circuit_breaker_failures_total", DERATE_METRIC_TYPE_COUNTER, "Calls that failed.",
    get_failures },
  { "circuit_breaker_successes_total", DERATE_METRIC_TYPE_COUNTER, "Calls that succeeded.",
    get_successes },
  { "circuit_breaker_calls_blocked_total", DERATE_METRIC_TYPE_COUNTER, "Calls refused.",
    get_blocked },
  { "circuit_breaker_failure_rate", DERATE_METRIC_TYPE_GAUGE,
    "Share of failed calls in the window, NaN while unknown.", get_failure_rate },
  { "circuit_breaker_slow_call_rate", DERATE_METRIC_TYPE_GAUGE,
    "Share of slow calls in the window, NaN while unknown.", get_slow_call_rate },
};

static void
write_simple (DerateMetricsWriter *writer, const GArray *snapshots)
{
  static const char *const labels[] = { "name", NULL };

  for (guint f = 0; f < G_N_ELEMENTS (families); f++)
    {
      const Family *family = &families[f];

      if (!derate_metrics_writer_begin_family (writer, family->name, family->type, family->help,
                                               labels))
        continue;
      for (guint i = 0; i < snapshots->len; i++)
        {
          const Snapshot *snapshot = &g_array_index (snapshots, Snapshot, i);
          const char *values[] = { derate_breaker_get_name (snapshot->breaker), NULL };

          derate_metrics_writer_sample (writer, values, family->get (&snapshot->totals));
        }
    }
}

static void
write_calls (DerateMetricsWriter *writer, const GArray *snapshots)
{
  static const char *const labels[] = { "name", "outcome", NULL };

  if (!derate_metrics_writer_begin_family (writer, "circuit_breaker_calls_total",
                                           DERATE_METRIC_TYPE_COUNTER,
                                           "Calls that ended, by outcome.", labels))
    return;
  for (guint i = 0; i < snapshots->len; i++)
    {
      const Snapshot *snapshot = &g_array_index (snapshots, Snapshot, i);
      const DerateBreakerTotals *totals = &snapshot->totals;
      const struct
      {
        const char *outcome;
        guint64 n;
      } rows[] = {
        { "success", totals->success },           { "failure", totals->failure },
        { "neutral", totals->neutral },           { "slow_success", totals->slow_success },
        { "slow_failure", totals->slow_failure },
      };

      for (guint r = 0; r < G_N_ELEMENTS (rows); r++)
        {
          const char *values[] = { derate_breaker_get_name (snapshot->breaker), rows[r].outcome,
                                   NULL };

          derate_metrics_writer_sample (writer, values, (double)rows[r].n);
        }
    }
}

static void
write_edges_of (DerateMetricsWriter *writer, const Snapshot *snapshot)
{
  for (guint from = 0; from < 4; from++)
    for (guint to = 0; to < 4; to++)
      {
        const char *values[] = { derate_breaker_get_name (snapshot->breaker),
                                 derate_breaker_state_to_nick (from),
                                 derate_breaker_state_to_nick (to), NULL };

        if (derate_breaker_has_edge (from, to))
          derate_metrics_writer_sample (writer, values, (double)snapshot->totals.edges[from][to]);
      }
}

static void
write_edges (DerateMetricsWriter *writer, const GArray *snapshots)
{
  static const char *const labels[] = { "name", "from", "to", NULL };

  if (!derate_metrics_writer_begin_family (writer, "circuit_breaker_state_transitions_total",
                                           DERATE_METRIC_TYPE_COUNTER,
                                           "Transitions between states.", labels))
    return;
  for (guint i = 0; i < snapshots->len; i++)
    write_edges_of (writer, &g_array_index (snapshots, Snapshot, i));
}

static void
write_durations (DerateMetricsWriter *writer, const GArray *snapshots)
{
  static const char *const labels[] = { "name", NULL };

  if (!derate_metrics_writer_begin_family (writer, "circuit_breaker_call_duration_seconds",
                                           DERATE_METRIC_TYPE_HISTOGRAM,
                                           "How long calls took, where slow calls are watched for.",
                                           labels))
    return;
  for (guint i = 0; i < snapshots->len; i++)
    {
      const Snapshot *snapshot = &g_array_index (snapshots, Snapshot, i);
      const char *values[] = { derate_breaker_get_name (snapshot->breaker), NULL };
      DerateHistogram *durations = derate_breaker_get_durations (snapshot->breaker);

      if (durations != NULL)
        derate_metrics_writer_add_histogram (writer, values, durations);
    }
}

static void
derate_breaker_collector_collect (DerateMetricsCollector *collector, DerateMetricsWriter *writer)
{
  DerateBreakerCollector *self = DERATE_BREAKER_COLLECTOR (collector);
  g_autoptr (GPtrArray) list = derate_breaker_registry_list (self->registry);
  g_autoptr (GArray) snapshots = g_array_sized_new (FALSE, FALSE, sizeof (Snapshot), list->len);

  for (guint i = 0; i < list->len; i++)
    {
      Snapshot snapshot = { .breaker = g_ptr_array_index (list, i) };

      derate_breaker_get_totals (snapshot.breaker, &snapshot.totals);
      g_array_append_val (snapshots, snapshot);
    }
  write_simple (writer, snapshots);
  write_calls (writer, snapshots);
  write_edges (writer, snapshots);
  write_durations (writer, snapshots);
}

static void
derate_breaker_collector_iface_init (DerateMetricsCollectorInterface *iface)
{
  iface->collect = derate_breaker_collector_collect;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (DerateBreakerCollector,
                               derate_breaker_collector,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_METRICS_COLLECTOR,
                                                      derate_breaker_collector_iface_init))

static void
derate_breaker_collector_finalize (GObject *object)
{
  DerateBreakerCollector *self = DERATE_BREAKER_COLLECTOR (object);

  g_clear_object (&self->registry);
  G_OBJECT_CLASS (derate_breaker_collector_parent_class)->finalize (object);
}

static void
derate_breaker_collector_class_init (DerateBreakerCollectorClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_breaker_collector_finalize;
}

static void
derate_breaker_collector_init (DerateBreakerCollector *self)
{
}

/**
 * derate_breaker_collector_new:
 * @registry: the breakers
 *
 * Makes a collector; give it to derate_metrics_registry_add_collector().
 *
 * Returns: (transfer full): the collector
 *
 * Since: 1.0
 */
DerateMetricsCollector *
derate_breaker_collector_new (DerateBreakerRegistry *registry)
{
  DerateBreakerCollector *self;

  g_return_val_if_fail (DERATE_IS_BREAKER_REGISTRY (registry), NULL);

  self = g_object_new (DERATE_TYPE_BREAKER_COLLECTOR, NULL);
  self->registry = g_object_ref (registry);
  return DERATE_METRICS_COLLECTOR (self);
}
