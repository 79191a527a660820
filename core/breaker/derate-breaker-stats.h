/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-breaker-state.h>

G_BEGIN_DECLS

#define DERATE_TYPE_BREAKER_STATS (derate_breaker_stats_get_type ())

typedef struct _DerateBreakerStats DerateBreakerStats;

/**
 * DerateBreakerStats:
 * @name: the breaker's name
 * @state: its state
 * @mode: its mode
 * @failure_count: failures in a row; kept while open and half-open, 0 after closing
 * @success_count: successes in a row
 * @failure_rate: share of failures in the window, NaN while unknown
 * @slow_call_rate: share of slow calls in the window, NaN while unknown
 * @failure_threshold: failures in a row that open it, 0 = off
 * @recovery_timeout: its open duration, in microseconds
 * @total_requests: calls let through and refused
 * @calls: calls let through
 * @successful_requests: calls that succeeded
 * @failed_requests: calls that failed
 * @calls_blocked: calls refused
 * @consecutive_failures: failures since the last success
 * @consecutive_successes: successes since the last failure
 * @circuit_open_count: how often it opened
 * @circuit_half_open_count: how often it went half-open
 * @last_failure_time: microseconds since 1970, 0 = never
 * @last_success_time: microseconds since 1970, 0 = never; while all is well it is the time at which
 *   somebody first asked after the success
 * @last_state_change: microseconds since 1970, 0 = never
 * @time_in_current_state: in microseconds
 * @retry_after: microseconds until a call may be let through, 0 unless open
 *
 * One consistent snapshot of what a breaker counted, a copy. Counts are since the last reset.
 *
 * Since: 1.0
 */
struct _DerateBreakerStats
{
  char *name;
  DerateBreakerState state;
  DerateBreakerMode mode;
  guint64 failure_count;
  guint64 success_count;
  double failure_rate;
  double slow_call_rate;
  guint failure_threshold;
  GTimeSpan recovery_timeout;
  guint64 total_requests;
  guint64 calls;
  guint64 successful_requests;
  guint64 failed_requests;
  guint64 calls_blocked;
  guint64 consecutive_failures;
  guint64 consecutive_successes;
  guint64 circuit_open_count;
  guint64 circuit_half_open_count;
  gint64 last_failure_time;
  gint64 last_success_time;
  gint64 last_state_change;
  GTimeSpan time_in_current_state;
  GTimeSpan retry_after;
};

DERATE_AVAILABLE_IN_1_0
GType derate_breaker_stats_get_type (void);

DERATE_AVAILABLE_IN_1_0
DerateBreakerStats *derate_breaker_stats_copy (const DerateBreakerStats *stats);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_stats_free (DerateBreakerStats *stats);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_breaker_stats_to_variant (const DerateBreakerStats *stats);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateBreakerStats, derate_breaker_stats_free)

G_END_DECLS
