/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-drill-record-private.h"

#include <math.h>

#include "derate-breaker-private.h"
#include "derate-gate-private.h"

/* The mode that a gate had, and the worst other one that it has had since. */
typedef struct
{
  DerateGateMode from;
  DerateGateMode to;
} Modes;

static guint64
count_refused (DerateBreaker *breaker)
{
  return breaker != NULL ? derate_breaker_count_drilled (breaker) : 0;
}

void
derate_drill_record_begin (DerateDrillRecord *record,
                           GPtrArray *targets,
                           DerateBreaker *breaker,
                           DerateDegradationManager *manager,
                           DerateFallbackUsage *usage)
{
  record->before = record->worst = derate_degradation_manager_get_level (manager);
  record->rule = derate_degradation_manager_dup_rule (manager);
  record->gates = derate_degradation_manager_copy_gates (manager);
  record->modes = g_array_new (FALSE, FALSE, sizeof (Modes));
  for (guint i = 0; i < record->gates->len; i++)
    {
      DerateGateMode mode = derate_gate_get_mode (g_ptr_array_index (record->gates, i), NULL);
      Modes modes = { mode, mode };

      g_array_append_val (record->modes, modes);
    }
  record->refused = count_refused (breaker);
  derate_degradation_manager_count_answers (manager, record->answers);
  record->fallbacks = g_ptr_array_new_with_free_func ((GDestroyNotify)g_array_unref);
  for (guint i = 0; i < targets->len; i++)
    {
      const char *name = derate_service_get_name (g_ptr_array_index (targets, i));

      g_ptr_array_add (record->fallbacks, derate_fallback_usage_snapshot (usage, name));
    }
}

void
derate_drill_record_clear (DerateDrillRecord *record)
{
  g_free (record->rule);
  g_clear_pointer (&record->gates, g_ptr_array_unref);
  g_clear_pointer (&record->modes, g_array_unref);
  g_clear_pointer (&record->fallbacks, g_ptr_array_unref);
}

void
derate_drill_record_note (DerateDrillRecord *record, DerateLevel level, const char *rule)
{
  if (level > record->worst)
    {
      record->worst = level;
      g_free (record->rule);
      record->rule = g_strdup (rule);
    }
  for (guint i = 0; i < record->gates->len; i++)
    {
      Modes *modes = &g_array_index (record->modes, Modes, i);
      DerateGateMode mode = derate_gate_get_mode (g_ptr_array_index (record->gates, i), NULL);

      if (mode != modes->from && (modes->to == modes->from || mode < modes->to))
        modes->to = mode;
    }
}

static void
add (GVariantBuilder *builder, const char *key, GVariant *value)
{
  g_variant_builder_add (builder, "{sv}", key, value);
}

static GVariant *
report_level (const DerateDrillRecord *record, DerateLevel after)
{
  GVariantBuilder level;

  g_variant_builder_init (&level, G_VARIANT_TYPE_VARDICT);
  add (&level, "before", g_variant_new_string (derate_level_get_nick (record->before)));
  add (&level, "worst", g_variant_new_string (derate_level_get_nick (record->worst)));
  add (&level, "rule", g_variant_new_string (record->rule));
  add (&level, "after", g_variant_new_string (derate_level_get_nick (after)));
  return g_variant_builder_end (&level);
}

static GVariant *
report_features (const DerateDrillRecord *record)
{
  GVariantBuilder features;

  g_variant_builder_init (&features, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; i < record->gates->len; i++)
    {
      const Modes *modes = &g_array_index (record->modes, Modes, i);
      GVariantBuilder feature;

      if (modes->from == modes->to)
        continue;
      g_variant_builder_init (&feature, G_VARIANT_TYPE_VARDICT);
      add (&feature, "from", g_variant_new_string (derate_gate_mode_get_nick (modes->from)));
      add (&feature, "to", g_variant_new_string (derate_gate_mode_get_nick (modes->to)));
      add (&features, derate_gate_get_name (g_ptr_array_index (record->gates, i)),
           g_variant_builder_end (&feature));
    }
  return g_variant_builder_end (&features);
}

/* Seconds that 95 of 100 took at most: the bound of their bucket, or all of them together, which no
 * one of them exceeds. */
static double
get_p95 (const DerateFallbackCounts *since, guint64 count)
{
  guint64 sum = 0;
  guint i = 0;

  while (i < DERATE_FALLBACK_N_BOUNDS && (sum += since->buckets[i]) * 100 < count * 95)
    i++;
  return i < DERATE_FALLBACK_N_BOUNDS ? MIN (derate_fallback_bounds[i], since->seconds)
                                      : since->seconds;
}

/* Without the digits that a difference of two sums of many numbers has by accident. */
static double
round_off (double seconds)
{
  return round (seconds * 1e9) / 1e9;
}

/* What @now has more than @then, which is all zero for a strategy that is new. */
static DerateFallbackCounts
subtract (const DerateFallbackCounts *now, const DerateFallbackCounts *then)
{
  DerateFallbackCounts since = *now;

  for (guint i = 0; i < G_N_ELEMENTS (since.used); i++)
    since.used[i] -= then->used[i];
  for (guint i = 0; i < G_N_ELEMENTS (since.buckets); i++)
    since.buckets[i] -= then->buckets[i];
  since.failures -= then->failures;
  since.seconds = round_off (since.seconds - then->seconds);
  return since;
}

/* How long it took is known of a strategy, not of each reason. */
static void
add_fallback (GVariantBuilder *list, const char *service, const DerateFallbackCounts *since)
{
  guint64 count = 0;

  for (guint i = 0; i < G_N_ELEMENTS (since->buckets); i++)
    count += since->buckets[i];
  for (guint reason = 0; reason < G_N_ELEMENTS (since->used); reason++)
    {
      if (since->used[reason] == 0)
        continue;
      g_variant_builder_open (list, G_VARIANT_TYPE_VARDICT);
      add (list, "service", g_variant_new_string (service));
      add (list, "strategy", g_variant_new_string (since->strategy));
      add (list, "reason", g_variant_new_string (derate_fallback_reason_get_nick (reason)));
      add (list, "count", g_variant_new_uint64 (since->used[reason]));
      add (list, "mean_seconds",
           g_variant_new_double (round_off (since->seconds / (double)MAX (count, 1))));
      add (list, "p95_seconds", g_variant_new_double (get_p95 (since, count)));
      g_variant_builder_close (list);
    }
}

static void
report_fallbacks (const DerateDrillRecord *record,
                  GPtrArray *targets,
                  DerateFallbackUsage *usage,
                  GVariantBuilder *report)
{
  const DerateFallbackCounts nothing = { 0 };
  guint64 failures = 0;
  GVariantBuilder list;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < targets->len; i++)
    {
      const char *name = derate_service_get_name (g_ptr_array_index (targets, i));
      g_autoptr (GArray) now = derate_fallback_usage_snapshot (usage, name);
      GArray *then = g_ptr_array_index (record->fallbacks, i);

      for (guint j = 0; j < now->len; j++)
        {
          DerateFallbackCounts since =
              subtract (&g_array_index (now, DerateFallbackCounts, j),
                        j < then->len ? &g_array_index (then, DerateFallbackCounts, j) : &nothing);

          failures += since.failures;
          add_fallback (&list, name, &since);
        }
    }
  add (report, "fallbacks", g_variant_builder_end (&list));
  add (report, "fallback_failures", g_variant_new_uint64 (failures));
}

static GVariant *
report_answers (const DerateDrillRecord *record, DerateDegradationManager *manager)
{
  static const char *const sources[DERATE_N_ANSWER_SOURCES] = {
    [DERATE_ANSWER_SOURCE_REAL] = "real",
    [DERATE_ANSWER_SOURCE_FALLBACK] = "fallback",
    [DERATE_ANSWER_SOURCE_REFUSED] = "refused",
  };
  guint64 counts[DERATE_N_ANSWER_SOURCES];
  GVariantBuilder answers;

  derate_degradation_manager_count_answers (manager, counts);
  g_variant_builder_init (&answers, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; i < G_N_ELEMENTS (sources); i++)
    add (&answers, sources[i], g_variant_new_uint64 (counts[i] - record->answers[i]));
  return g_variant_builder_end (&answers);
}

void
derate_drill_record_report (const DerateDrillRecord *record,
                            GPtrArray *targets,
                            DerateBreaker *breaker,
                            DerateDegradationManager *manager,
                            DerateFallbackUsage *usage,
                            GVariantBuilder *report)
{
  DerateLevel after = derate_degradation_manager_get_allowed_level (manager);

  add (report, "level", report_level (record, after));
  add (report, "features", report_features (record));
  add (report, "refused", g_variant_new_uint64 (count_refused (breaker) - record->refused));
  report_fallbacks (record, targets, usage, report);
  add (report, "answers", report_answers (record, manager));
}
