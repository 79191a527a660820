/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-machine-private.h"

#include <math.h>

/* What a breaker has counted. */

guint64
derate_breaker_sum (DerateBreaker *self, guint cell)
{
  return derate_shard_sum (self->cells + cell);
}

guint64
derate_breaker_count_successes_locked (DerateBreaker *self)
{
  return derate_breaker_sum (self, CELL_SUCCESS) + self->slow_successes;
}

/* Successes of a healthy breaker do not read the clock: the last is dated when somebody looks, and
 * in the window they are taken to be as old as they may be. */
void
derate_breaker_observe_locked (DerateBreaker *self, gint64 now)
{
  guint64 successes = derate_breaker_count_successes_locked (self);

  if (successes != self->seen_successes)
    self->last_success = now;
  derate_breaker_look_at_window_locked (self, now, successes - self->seen_successes);
  self->seen_successes = successes;
  self->seen_time = now;
}

void
derate_breaker_read_totals_locked (DerateBreaker *self, DerateBreakerTotals *totals)
{
  /* Ends before beginnings, so that no more calls end than were let through. */
  totals->success = derate_breaker_sum (self, CELL_SUCCESS);
  totals->neutral = derate_breaker_sum (self, CELL_NEUTRAL);
  totals->failure = self->failures;
  totals->slow_success = self->slow_successes;
  totals->slow_failure = self->slow_failures;
  totals->blocked = derate_breaker_sum (self, CELL_BLOCKED);
  totals->requests = derate_breaker_sum (self, CELL_ADMITTED) + totals->blocked;
  for (guint i = 0; i < 4; i++)
    for (guint j = 0; j < 4; j++)
      totals->edges[i][j] = self->edges[i][j];
  totals->failure_rate = derate_breaker_get_failure_rate_locked (self);
  totals->slow_call_rate = derate_breaker_get_slow_rate_locked (self);
  totals->state = self->state;
}

void
derate_breaker_get_totals (DerateBreaker *breaker, DerateBreakerTotals *totals)
{
  gint64 now;

  g_return_if_fail (DERATE_IS_BREAKER (breaker));

  now = derate_clock_get_time (breaker->clock);
  g_mutex_lock (&breaker->mutex);
  derate_breaker_observe_locked (breaker, now);
  derate_breaker_read_totals_locked (breaker, totals);
  g_mutex_unlock (&breaker->mutex);
}

DerateHistogram *
derate_breaker_get_durations (DerateBreaker *breaker)
{
  return __atomic_load_n (&breaker->durations, __ATOMIC_ACQUIRE);
}

guint64
derate_breaker_get_in_flight (DerateBreaker *breaker)
{
  DerateBreakerTotals totals;
  guint64 ended;
  guint64 begun;

  derate_breaker_get_totals (breaker, &totals);
  ended =
      totals.success + totals.failure + totals.neutral + totals.slow_success + totals.slow_failure;
  begun = totals.requests - totals.blocked;
  return begun > ended ? begun - ended : 0;
}

static void
read_marks_locked (DerateBreaker *self, DerateBreakerMarks *marks)
{
  marks->successes = derate_breaker_count_successes_locked (self);
  marks->failures = self->failures + self->slow_failures;
  marks->slow = self->slow_failures + self->slow_successes;
  marks->blocked = derate_breaker_sum (self, CELL_BLOCKED);
  marks->admitted = derate_breaker_sum (self, CELL_ADMITTED);
}

/* A state begins. */
void
derate_breaker_mark_locked (DerateBreaker *self)
{
  read_marks_locked (self, &self->marks);
}

/* What was counted since the state began. */
void
derate_breaker_count_state_locked (DerateBreaker *self, gint64 now, DerateBreakerCounters *counters)
{
  DerateBreakerMarks marks;

  read_marks_locked (self, &marks);
  counters->duration = MAX (now - self->state_since, 0);
  counters->calls = marks.admitted - self->marks.admitted;
  counters->blocked = marks.blocked - self->marks.blocked;
  counters->successes = marks.successes - self->marks.successes;
  counters->failures = marks.failures - self->marks.failures;
  counters->slow_calls = marks.slow - self->marks.slow;
  counters->failure_count = self->failure_streak;
  counters->failure_rate = derate_breaker_get_probe_rate_locked (self);
  if (self->state != DERATE_BREAKER_STATE_HALF_OPEN || isnan (counters->failure_rate))
    counters->failure_rate = derate_breaker_get_failure_rate_locked (self);
}

void
derate_breaker_get_window (DerateBreaker *breaker,
                           GTimeSpan span,
                           double *failure_rate,
                           guint *outcomes)
{
  gint64 now = derate_clock_get_time (breaker->clock);
  guint64 n = 0;
  double rate;

  g_mutex_lock (&breaker->mutex);
  derate_breaker_observe_locked (breaker, now);
  rate = derate_breaker_get_failure_rate_locked (breaker);
  if (breaker->counts != NULL)
    n = derate_breaker_counts_since (breaker->counts, now - span);
  else if (breaker->slices != NULL)
    n = derate_breaker_slices_since (breaker->slices, now - span);
  g_mutex_unlock (&breaker->mutex);

  if (failure_rate != NULL)
    *failure_rate = rate;
  if (outcomes != NULL)
    *outcomes = (guint)MIN (n, G_MAXUINT);
}

gint64
derate_breaker_get_last_success (DerateBreaker *breaker)
{
  gint64 now = derate_clock_get_time (breaker->clock);
  gint64 last;

  g_mutex_lock (&breaker->mutex);
  derate_breaker_observe_locked (breaker, now);
  last = breaker->last_success;
  g_mutex_unlock (&breaker->mutex);
  return last;
}

/* From the breaker's clock to the wall clock, for what is shown. */
static gint64
to_real_time (gint64 time, gint64 offset)
{
  return time != 0 ? time + offset : 0;
}

/* A date must not tremble because two clocks are read one after the other: only a step of the wall
 * clock moves it. */
static gint64
get_real_offset_locked (DerateBreaker *self, gint64 fresh)
{
  if (ABS (fresh - self->real_offset) > G_TIME_SPAN_MILLISECOND)
    self->real_offset = fresh;
  return self->real_offset;
}

static guint64
since_zero (guint64 n, guint64 zero)
{
  return n > zero ? n - zero : 0;
}

static void
fill_counts_locked (DerateBreaker *self, DerateBreakerStats *stats)
{
  static const DerateBreakerTotals nothing = { 0 };
  const DerateBreakerTotals *zero = self->zero != NULL ? self->zero : &nothing;
  DerateBreakerTotals now;

  derate_breaker_read_totals_locked (self, &now);
  stats->total_requests = since_zero (now.requests, zero->requests);
  stats->calls_blocked = since_zero (now.blocked, zero->blocked);
  stats->calls = since_zero (stats->total_requests, stats->calls_blocked);
  stats->successful_requests =
      since_zero (now.success + now.slow_success, zero->success + zero->slow_success);
  stats->failed_requests =
      since_zero (now.failure + now.slow_failure, zero->failure + zero->slow_failure);
  for (guint i = 0; i < 4; i++)
    {
      stats->circuit_open_count +=
          now.edges[i][DERATE_BREAKER_STATE_OPEN] - zero->edges[i][DERATE_BREAKER_STATE_OPEN];
      stats->circuit_half_open_count += now.edges[i][DERATE_BREAKER_STATE_HALF_OPEN] -
                                        zero->edges[i][DERATE_BREAKER_STATE_HALF_OPEN];
    }
  stats->failure_rate = now.failure_rate;
  stats->slow_call_rate = now.slow_call_rate;
}

static GTimeSpan
get_retry_after_locked (DerateBreaker *self, gint64 now)
{
  gint64 due = now;

  if (self->mode == DERATE_BREAKER_MODE_FORCED_OPEN)
    return self->settings->open_duration;
  if (self->state == DERATE_BREAKER_STATE_OPEN)
    due = self->open_until;
  else if (self->state == DERATE_BREAKER_STATE_HALF_OPEN)
    {
      if (derate_breaker_has_probe_locked (self))
        return 0;
      due = derate_breaker_get_earliest_lease_locked (self);
    }
  else if (self->ramp != NULL)
    due = self->ramp->end;
  return MAX (due - now, 0);
}

/**
 * derate_breaker_get_retry_after:
 * @breaker: a breaker
 *
 * How long until it is worth asking again. While a breaker is half-open and its probes are out, the
 * time until the first of them is given up; while it ramps, until it lets every call through; while
 * it is forced open nobody knows, and it is the configured open duration. May be called from any
 * thread.
 *
 * Returns: microseconds, 0 when a call would be let through now
 *
 * Since: 1.0
 */
GTimeSpan
derate_breaker_get_retry_after (DerateBreaker *breaker)
{
  GTimeSpan retry_after;
  gint64 now;

  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), 0);

  now = derate_clock_get_time (breaker->clock);
  g_mutex_lock (&breaker->mutex);
  retry_after = get_retry_after_locked (breaker, now);
  g_mutex_unlock (&breaker->mutex);
  return retry_after;
}

/**
 * derate_breaker_dup_stats:
 * @breaker: a breaker
 *
 * Takes a snapshot of what the breaker counted since it was made or reset. May be called from any
 * thread.
 *
 * Returns: (transfer full): the statistics
 *
 * Since: 1.0
 */
DerateBreakerStats *
derate_breaker_dup_stats (DerateBreaker *breaker)
{
  DerateBreakerStats *stats;
  gint64 now;
  gint64 offset;

  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), NULL);

  stats = g_new0 (DerateBreakerStats, 1);
  stats->name = g_strdup (breaker->name);
  now = derate_clock_get_time (breaker->clock);
  offset = derate_clock_get_real_time (breaker->clock) - now;

  g_mutex_lock (&breaker->mutex);
  offset = get_real_offset_locked (breaker, offset);
  derate_breaker_observe_locked (breaker, now);
  fill_counts_locked (breaker, stats);
  stats->state = breaker->state;
  stats->mode = breaker->mode;
  stats->failure_count = breaker->failure_streak;
  stats->consecutive_failures = breaker->consecutive_failures;
  stats->consecutive_successes = breaker->consecutive_failures == 0
                                     ? since_zero (breaker->seen_successes, breaker->success_mark)
                                     : 0;
  stats->success_count = stats->consecutive_successes;
  stats->failure_threshold = breaker->settings->failure_threshold;
  stats->recovery_timeout = breaker->settings->open_duration;
  stats->last_failure_time = to_real_time (breaker->last_failure, offset);
  stats->last_success_time = to_real_time (breaker->last_success, offset);
  stats->last_state_change = to_real_time (breaker->state_since, offset);
  stats->time_in_current_state = MAX (now - breaker->state_since, 0);
  stats->retry_after = get_retry_after_locked (breaker, now);
  g_mutex_unlock (&breaker->mutex);
  return stats;
}
