/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-degradation-collector-private.h"

#include <stdlib.h>
#include <string.h>

#include "derate-degradation-state-private.h"

/* Everything is copied under the manager's mutex, and written without it. Every series is there
 * from the start: a counter that first appears at 1 shows no increase. */

struct _DerateDegradationCollector
{
  GObject parent_instance;

  DerateDegradationManager *manager;
};

static const DerateLevel levels[DERATE_N_LEVELS] = {
  DERATE_LEVEL_OPTIMAL, DERATE_LEVEL_DEGRADED,  DERATE_LEVEL_LIMITED,
  DERATE_LEVEL_MINIMAL, DERATE_LEVEL_EMERGENCY,
};

static const char *const sources[DERATE_N_ANSWER_SOURCES] = { "real", "fallback", "refused" };

typedef struct
{
  DerateLevel level;
  DerateLevel computed;
  guint64 transitions[DERATE_N_LEVELS][DERATE_N_LEVELS];
  double seconds[DERATE_N_LEVELS];
  char **rules;
  guint64 *decisions; /* of `rules` */
  guint n_rules;
  guint holds[2]; /* by DerateHoldMode */
  gboolean masks_outage;
  GPtrArray *gates; /* (element-type DerateGate) */
  double evaluated_at;
} Snapshot;

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 (*(const char *const *)a, *(const char *const *)b);
}

static void
copy_decisions (Snapshot *snapshot, GHashTable *decisions)
{
  g_autofree gpointer *keys = g_hash_table_get_keys_as_array (decisions, &snapshot->n_rules);

  snapshot->rules = g_new0 (char *, snapshot->n_rules + 1);
  snapshot->decisions = g_new0 (guint64, snapshot->n_rules);
  for (guint i = 0; i < snapshot->n_rules; i++)
    snapshot->rules[i] = g_strdup (keys[i]);
  qsort (snapshot->rules, snapshot->n_rules, sizeof (char *), compare_names);
  for (guint i = 0; i < snapshot->n_rules; i++)
    snapshot->decisions[i] = *(guint64 *)g_hash_table_lookup (decisions, snapshot->rules[i]);
}

static void
take_snapshot (Snapshot *snapshot, DerateDegradationManager *manager)
{
  gint64 now = derate_clock_get_time (manager->clock);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&manager->mutex);
  const DerateDecider *decider = &manager->decider;

  snapshot->level = decider->published.level;
  snapshot->computed = decider->computed.level;
  memcpy (snapshot->transitions, decider->history.transitions, sizeof snapshot->transitions);
  for (guint i = 0; i < DERATE_N_LEVELS; i++)
    snapshot->seconds[i] =
        derate_degradation_history_get_seconds (&decider->history, levels[i], now);
  copy_decisions (snapshot, decider->history.decisions);
  for (guint i = 0; i < decider->holds.holds->len; i++)
    snapshot->holds[((DerateHold *)g_ptr_array_index (decider->holds.holds, i))->mode]++;
  snapshot->masks_outage = derate_decider_masks_outage (decider);
  snapshot->gates = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_gate_unref);
  for (guint i = 0; i < derate_gate_set_get_n (decider->gates); i++)
    g_ptr_array_add (snapshot->gates, derate_gate_ref (derate_gate_set_get (decider->gates, i)));
  snapshot->evaluated_at = (double)decider->evaluated_at / G_TIME_SPAN_SECOND;
}

static void
snapshot_clear (Snapshot *snapshot)
{
  g_strfreev (snapshot->rules);
  g_free (snapshot->decisions);
  g_ptr_array_unref (snapshot->gates);
}

static void
write_gauge (DerateMetricsWriter *writer, const char *name, const char *help, double value)
{
  derate_metrics_writer_begin_family (writer, name, DERATE_METRIC_TYPE_GAUGE, help, NULL);
  derate_metrics_writer_sample (writer, NULL, value);
}

static void
begin (DerateMetricsWriter *writer,
       const char *name,
       DerateMetricType type,
       const char *help,
       const char *first_label,
       const char *second_label)
{
  const char *labels[] = { first_label, second_label, NULL };

  derate_metrics_writer_begin_family (writer, name, type, help, labels);
}

static void
sample (DerateMetricsWriter *writer, const char *first, const char *second, double value)
{
  const char *values[] = { first, second, NULL };

  derate_metrics_writer_sample (writer, values, value);
}

static void
write_levels (DerateMetricsWriter *writer, const Snapshot *snapshot)
{
  write_gauge (writer, "degradation_level",
               "The level in force: 1 optimal to 5 emergency, 0 before the first.",
               derate_level_get_number (snapshot->level));
  write_gauge (writer, "degradation_computed_level",
               "The level that follows from the services alone, without holds and waiting.",
               derate_level_get_number (snapshot->computed));
  write_gauge (writer, "degradation_functionality_ratio",
               "How much of the program works at this level, as a description.",
               derate_level_get_functionality_percent (snapshot->level) / 100.0);
  write_gauge (writer, "degradation_last_evaluation_timestamp_seconds",
               "When the level was last computed.", snapshot->evaluated_at);
}

static void
write_counters (DerateMetricsWriter *writer, const Snapshot *snapshot)
{
  begin (writer, "degradation_level_transitions_total", DERATE_METRIC_TYPE_COUNTER,
         "Changes of the level.", "from", "to");
  for (guint i = 0; i < DERATE_N_LEVELS; i++)
    for (guint j = 0; j < DERATE_N_LEVELS; j++)
      if (i != j)
        sample (writer, derate_level_get_nick (levels[i]), derate_level_get_nick (levels[j]),
                (double)snapshot->transitions[i][j]);
  begin (writer, "degradation_rule_decisions_total", DERATE_METRIC_TYPE_COUNTER,
         "How often a rule came to decide the level.", "rule", NULL);
  for (guint i = 0; i < snapshot->n_rules; i++)
    sample (writer, snapshot->rules[i], NULL, (double)snapshot->decisions[i]);
  begin (writer, "degradation_level_seconds_total", DERATE_METRIC_TYPE_COUNTER,
         "Time spent in each level.", "level", NULL);
  for (guint i = 0; i < DERATE_N_LEVELS; i++)
    sample (writer, derate_level_get_nick (levels[i]), NULL, snapshot->seconds[i]);
}

static void
write_answers (DerateMetricsWriter *writer, DerateShardSlot answers)
{
  begin (writer, "degradation_answers_total", DERATE_METRIC_TYPE_COUNTER,
         "Answers of the program, by the level in force and where they came from.", "level",
         "source");
  for (guint i = 0; i < DERATE_N_LEVELS; i++)
    for (guint j = 0; j < DERATE_N_ANSWER_SOURCES; j++)
      sample (writer, derate_level_get_nick (levels[i]), sources[j],
              (double)derate_shard_sum (answers + i * DERATE_N_ANSWER_SOURCES + j));
}

static void
write_holds (DerateMetricsWriter *writer, const Snapshot *snapshot)
{
  begin (writer, "degradation_hold_active", DERATE_METRIC_TYPE_GAUGE, "How many holds there are.",
         "mode", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (snapshot->holds); i++)
    sample (writer, derate_hold_mode_get_nick (i), NULL, snapshot->holds[i]);
  write_gauge (writer, "degradation_hold_masks_outage",
               "1 while a better level is forced than the services have.", snapshot->masks_outage);
}

static void
write_features (DerateMetricsWriter *writer, const Snapshot *snapshot)
{
  begin (writer, "degradation_feature_enabled", DERATE_METRIC_TYPE_GAUGE,
         "1 while a feature is on or queued, 0 while it is off.", "feature", NULL);
  for (guint i = 0; i < snapshot->gates->len; i++)
    {
      DerateGate *gate = g_ptr_array_index (snapshot->gates, i);

      sample (writer, derate_gate_get_name (gate), NULL,
              derate_gate_get_mode (gate, NULL) != DERATE_GATE_MODE_OFF);
    }
}

static void
collect (DerateMetricsCollector *collector, DerateMetricsWriter *writer)
{
  DerateDegradationCollector *self = DERATE_DEGRADATION_COLLECTOR (collector);
  Snapshot snapshot = { 0 };

  take_snapshot (&snapshot, self->manager);
  write_levels (writer, &snapshot);
  write_counters (writer, &snapshot);
  write_answers (writer, self->manager->answers);
  write_holds (writer, &snapshot);
  write_features (writer, &snapshot);
  snapshot_clear (&snapshot);
}

static void
collector_init (DerateMetricsCollectorInterface *iface)
{
  iface->collect = collect;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (DerateDegradationCollector,
                               derate_degradation_collector,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_METRICS_COLLECTOR,
                                                      collector_init))

static void
derate_degradation_collector_finalize (GObject *object)
{
  g_object_unref (DERATE_DEGRADATION_COLLECTOR (object)->manager);
  G_OBJECT_CLASS (derate_degradation_collector_parent_class)->finalize (object);
}

static void
derate_degradation_collector_class_init (DerateDegradationCollectorClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_degradation_collector_finalize;
}

static void
derate_degradation_collector_init (DerateDegradationCollector *self)
{
}

DerateMetricsCollector *
derate_degradation_collector_new (DerateDegradationManager *manager)
{
  DerateDegradationCollector *self = g_object_new (DERATE_TYPE_DEGRADATION_COLLECTOR, NULL);

  self->manager = g_object_ref (manager);
  return DERATE_METRICS_COLLECTOR (self);
}
