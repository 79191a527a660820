/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-stats.h"

#include <math.h>

G_DEFINE_BOXED_TYPE (DerateBreakerStats,
                     derate_breaker_stats,
                     derate_breaker_stats_copy,
                     derate_breaker_stats_free)

/**
 * derate_breaker_stats_copy:
 * @stats: statistics
 *
 * Copies statistics.
 *
 * Returns: (transfer full): the copy
 *
 * Since: 1.0
 */
DerateBreakerStats *
derate_breaker_stats_copy (const DerateBreakerStats *stats)
{
  DerateBreakerStats *copy;

  g_return_val_if_fail (stats != NULL, NULL);

  copy = g_memdup2 (stats, sizeof *stats);
  copy->name = g_strdup (stats->name);
  return copy;
}

/**
 * derate_breaker_stats_free:
 * @stats: (transfer full): statistics
 *
 * Frees statistics.
 *
 * Since: 1.0
 */
void
derate_breaker_stats_free (DerateBreakerStats *stats)
{
  g_free (stats->name);
  g_free (stats);
}

static double
to_seconds (gint64 microseconds)
{
  return (double)microseconds / G_TIME_SPAN_SECOND;
}

static GVariant *
new_rate (double rate)
{
  return g_variant_new_maybe (G_VARIANT_TYPE_DOUBLE,
                              isnan (rate) ? NULL : g_variant_new_double (rate));
}

static GVariant *
new_instant (gint64 time)
{
  return g_variant_new_maybe (G_VARIANT_TYPE_DOUBLE,
                              time == 0 ? NULL : g_variant_new_double (to_seconds (time)));
}

/**
 * derate_breaker_stats_to_variant:
 * @stats: statistics
 *
 * Makes what `/circuit-breakers/NAME` shows: durations in seconds, instants in seconds since 1970,
 * and nothing (in JSON, null) for a rate that is unknown and an instant that never was.
 *
 * Returns: (transfer none): a floating `a{sv}`
 *
 * Since: 1.0
 */
GVariant *
derate_breaker_stats_to_variant (const DerateBreakerStats *stats)
{
  GVariantBuilder dict;
#define ADD(key, value) g_variant_builder_add (&dict, "{sv}", key, value)
#define ADD_COUNT(field) ADD (#field, g_variant_new_uint64 (stats->field))

  g_return_val_if_fail (stats != NULL, NULL);

  g_variant_builder_init (&dict, G_VARIANT_TYPE_VARDICT);
  ADD ("name", g_variant_new_string (stats->name));
  ADD ("state", g_variant_new_string (derate_breaker_state_to_nick (stats->state)));
  ADD ("mode", g_variant_new_string (derate_breaker_mode_to_nick (stats->mode)));
  ADD_COUNT (failure_count);
  ADD_COUNT (success_count);
  ADD ("failure_rate", new_rate (stats->failure_rate));
  ADD ("slow_call_rate", new_rate (stats->slow_call_rate));
  ADD ("failure_threshold", g_variant_new_uint32 (stats->failure_threshold));
  ADD ("recovery_timeout", g_variant_new_double (to_seconds (stats->recovery_timeout)));
  ADD_COUNT (total_requests);
  ADD_COUNT (calls);
  ADD_COUNT (successful_requests);
  ADD_COUNT (failed_requests);
  ADD_COUNT (calls_blocked);
  ADD_COUNT (consecutive_failures);
  ADD_COUNT (consecutive_successes);
  ADD_COUNT (circuit_open_count);
  ADD_COUNT (circuit_half_open_count);
  ADD ("last_failure_time", new_instant (stats->last_failure_time));
  ADD ("last_success_time", new_instant (stats->last_success_time));
  ADD ("last_state_change", new_instant (stats->last_state_change));
  ADD ("time_in_current_state", g_variant_new_double (to_seconds (stats->time_in_current_state)));
  ADD ("retry_after_seconds", g_variant_new_double (to_seconds (stats->retry_after)));
#undef ADD_COUNT
#undef ADD
  return g_variant_builder_end (&dict);
}
