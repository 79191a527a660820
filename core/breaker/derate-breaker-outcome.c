/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-machine-private.h"

#include "derate-env-private.h"
#include "derate-error.h"
#include "derate-names-private.h"

/* How a call is let through, and what its end does. */

static void
refuse (DerateBreaker *self, DerateError code, GError **error)
{
  derate_shard_add (self->cells + CELL_BLOCKED, 1);
  if (error == NULL)
    return;
  /* No numbers: the text is the same for each refusal, and retry-after is asked of the breaker. */
  g_set_error (error, DERATE_ERROR, code,
               code == DERATE_ERROR_OPEN     ? "circuit breaker '%s' is open"
               : code == DERATE_ERROR_FORCED ? "circuit breaker '%s' is forced open"
                                             : "circuit breaker '%s' is half-open and its probes "
                                               "are out",
               self->name);
}

static DerateError
reason_while_open (guint mode)
{
  return mode == DERATE_BREAKER_MODE_FORCED_OPEN ? DERATE_ERROR_FORCED : DERATE_ERROR_OPEN;
}

static void
admit (DerateBreaker *self, DeratePermitData *permit, guint64 word, guint32 probe)
{
  permit->breaker = self;
  permit->word = word;
  permit->start = 0;
  permit->probe = probe;
  permit->shared = FALSE;
  if (word & WORD_UNCOUNTED)
    return;
  if (word & WORD_MEASURES)
    permit->start = derate_clock_get_time (self->clock);
  derate_shard_add (self->cells + CELL_ADMITTED, 1);
}

/* A place for a probe, or 0. */
static guint32
take_lease_locked (DerateBreaker *self, gint64 now)
{
  guint n = MIN (self->n_leases, self->settings->half_open_max_calls);

  for (guint i = 0; i < n; i++)
    if (self->leases[i] == 0)
      {
        self->leases[i] = now + derate_breaker_settings_get_lease (self->settings);
        return i + 1;
      }
  return 0;
}

static gboolean
acquire_locking (DerateBreaker *self, DeratePermitData *permit, GError **error)
{
  gint64 now = derate_clock_get_time (self->clock);
  guint32 probe = 0;
  guint64 word;
  guint state;
  guint mode;

  g_mutex_lock (&self->mutex);
  derate_breaker_advance_locked (self, now);
  if (self->state == DERATE_BREAKER_STATE_HALF_OPEN)
    {
      self->asked_for = TRUE;
      probe = take_lease_locked (self, now);
    }
  word = self->word;
  state = self->state;
  mode = self->mode;
  derate_breaker_unlock (self);

  if (probe != 0 || (word & WORD_ADMITS))
    {
      admit (self, permit, word, probe);
      if (probe != 0)
        permit->start = now;
      return TRUE;
    }
  refuse (self,
          state == DERATE_BREAKER_STATE_OPEN ? reason_while_open (mode)
                                             : DERATE_ERROR_HALF_OPEN_FULL,
          error);
  return FALSE;
}

/* All but the case of a breaker that is closed and does not measure. */
G_NO_INLINE static gboolean
acquire_slowly (DerateBreaker *self, DeratePermit *permit, GError **error)
{
  DeratePermitData *data = (DeratePermitData *)permit;
  guint64 word = derate_breaker_load_word (self);

  if (data->breaker != NULL)
    derate_permit_cancel (permit);
  if (word & WORD_ADMITS)
    {
      admit (self, data, word, 0);
      return TRUE;
    }
  /* An open breaker refuses without the lock until its time has come. */
  if ((word & WORD_REFUSES) &&
      derate_clock_get_time (self->clock) < __atomic_load_n (&self->open_until, __ATOMIC_RELAXED))
    {
      refuse (self, reason_while_open ((word >> WORD_MODE_SHIFT) & WORD_MODE_MASK), error);
      return FALSE;
    }
  return acquire_locking (self, data, error);
}

/**
 * derate_breaker_acquire: (skip)
 * @breaker: a breaker; it must outlive the permit
 * @permit: a permit set to %DERATE_PERMIT_INIT
 * @error: (nullable): return location for the refusal: %DERATE_ERROR_OPEN,
 *   %DERATE_ERROR_HALF_OPEN_FULL or %DERATE_ERROR_FORCED
 *
 * Asks for the right to make one call. When it is given, say how the call ended by
 * derate_permit_succeed() or derate_permit_fail(); a permit that ends its scope before that counts
 * nothing:
 *
 * ```c
 * g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
 * if (!derate_breaker_acquire (breaker, &permit, &error))
 *   return serve_fallback (error);
 * if (call_backend (&error))
 *   derate_permit_succeed (&permit);
 * else
 *   derate_permit_fail (&permit, error);
 * ```
 *
 * While the breaker is closed and nothing fails this takes no lock and writes nothing that another
 * thread reads. May be called from any thread.
 *
 * Returns: %TRUE when the call may be made
 *
 * Since: 1.0
 */
gboolean
derate_breaker_acquire (DerateBreaker *breaker, DeratePermit *permit, GError **error)
{
  DeratePermitData *data = (DeratePermitData *)permit;
  guint64 word = derate_breaker_load_word (breaker);

  if (G_UNLIKELY ((word & (WORD_ADMITS | WORD_MEASURES | WORD_UNCOUNTED)) != WORD_ADMITS ||
                  data->breaker != NULL))
    return acquire_slowly (breaker, permit, error);
  data->breaker = breaker;
  data->word = word;
  data->start = 0;
  data->probe = 0;
  data->shared = FALSE;
  derate_shard_add (breaker->cells + CELL_ADMITTED, 1);
  return TRUE;
}

static gboolean
reaches (guint part, guint whole, double rate)
{
  return part * DERATE_RATE_UNIT >= (guint64)(rate * (double)DERATE_RATE_UNIT) * whole;
}

static gboolean
must_open (DerateBreaker *self)
{
  const DerateBreakerSettings *settings = self->settings;
  const DerateBreakerCounts *window = self->window;

  if (settings->failure_threshold > 0 && self->consecutive_failures >= settings->failure_threshold)
    return TRUE;
  if (window == NULL || window->fill < derate_breaker_settings_get_minimum_calls (settings))
    return FALSE;
  if (reaches (window->failures, window->fill, settings->failure_rate_threshold))
    return TRUE;
  return settings->slow_call_duration > 0 &&
         reaches (window->slow, window->fill, settings->slow_call_rate_threshold);
}

/* RESILIENCE_ALERT_THRESHOLD; one that does not parse is refused where a core is made, not here. */
static double
get_alert_threshold (void)
{
  static gsize once = 0;

  if (g_once_init_enter (&once))
    {
      double threshold = 0.8;

      if (!derate_env_get_number (DERATE_ENV_ALERT_THRESHOLD, 0.8, 0, 1, &threshold, NULL))
        threshold = 0.8;
      g_once_init_leave (&once, 1 + (gsize)(threshold * 1e6));
    }
  return (double)(once - 1) / 1e6;
}

/* Says once that the failure rate is bad, until the window is clean again. */
static void
alert_on_rate (DerateBreaker *self, gint64 now)
{
  const DerateBreakerCounts *window = self->window;
  DerateBreakerEvent *event;

  if (window == NULL || window->fill < derate_breaker_settings_get_minimum_calls (self->settings))
    return;
  if (window->failures == 0)
    self->alerted = FALSE;
  if (self->alerted || window->failures == 0 ||
      !reaches (window->failures, window->fill, get_alert_threshold ()))
    return;
  self->alerted = TRUE;
  event = derate_breaker_push_event_locked (self, now);
  event->new_state = event->old_state;
  event->alert = TRUE;
}

static void
count_failure_locked (DerateBreaker *self, gint64 now)
{
  self->consecutive_failures++;
  self->failure_streak++;
  self->last_failure = now;
}

static void
add_to_window (DerateBreaker *self, DerateOutcome outcome, gboolean slow, gint64 now)
{
  DerateBreakerCounts *window = self->window;
  guint minimum = derate_breaker_settings_get_minimum_calls (self->settings);
  gboolean was_known = window->fill >= minimum;

  derate_breaker_counts_add (window, outcome == OUTCOME_FAILURE, slow, now);
  /* It rises with a failure, and when it becomes known. */
  self->rate_rose =
      window->failures > 0 && window->fill >= minimum && (outcome == OUTCOME_FAILURE || !was_known);
}

static void
take_closed_locked (DerateBreaker *self, DerateOutcome outcome, gboolean slow, gint64 now)
{
  if ((self->word & WORD_QUIET) && (outcome == OUTCOME_FAILURE || slow))
    derate_breaker_observe_locked (self, now);
  if (outcome == OUTCOME_FAILURE)
    count_failure_locked (self, now);
  else
    {
      self->consecutive_failures = 0;
      self->failure_streak = 0;
    }
  if (self->window != NULL)
    add_to_window (self, outcome, slow, now);

  if (self->mode == DERATE_BREAKER_MODE_NORMAL && must_open (self))
    derate_breaker_open_locked (self, now, 0);
  else
    {
      alert_on_rate (self, now);
      derate_breaker_publish_locked (self);
    }
}

static void
take_half_open_locked (DerateBreaker *self, guint32 probe, DerateOutcome outcome, gint64 now)
{
  if (probe == 0 || probe > self->n_leases)
    return;
  self->leases[probe - 1] = 0;
  if (outcome == OUTCOME_SUCCESS)
    {
      self->consecutive_failures = 0;
      derate_breaker_probe_succeeded_locked (self, now);
    }
  else if (outcome == OUTCOME_FAILURE)
    {
      count_failure_locked (self, now);
      derate_breaker_open_locked (self, now, 0);
    }
}

/* Counts an ended call, late or not. */
static void
count_locked (DerateBreaker *self, DerateOutcome outcome, gboolean slow, gboolean late, gint64 now)
{
  if (outcome == OUTCOME_NEUTRAL)
    {
      derate_shard_add (self->cells + CELL_NEUTRAL, 1);
      return;
    }
  if (outcome == OUTCOME_SUCCESS)
    {
      if (slow)
        self->slow_successes++;
      else
        derate_shard_add (self->cells + CELL_SUCCESS, 1);
      self->seen_successes++;
      if (late)
        self->success_mark++;
      else
        self->last_success = now;
      return;
    }
  if (slow)
    self->slow_failures++;
  else
    self->failures++;
}

/* Whether a call that took so long was slow. */
static gboolean
measure (DerateBreaker *self, GTimeSpan span)
{
  GTimeSpan slow_after = __atomic_load_n (&self->slow_after, __ATOMIC_RELAXED);
  DerateHistogram *durations = derate_breaker_get_durations (self);

  if (durations != NULL)
    derate_histogram_observe (durations, (double)span / G_TIME_SPAN_SECOND);
  return slow_after > 0 && span >= slow_after;
}

/* The end of a call that is not simply one more success of a healthy breaker. */
void
derate_breaker_record (DerateBreaker *self, const DeratePermitData *permit, DerateOutcome outcome)
{
  gint64 now;
  gboolean slow = FALSE;
  gboolean first;
  gboolean late;

  if (permit->word & WORD_UNCOUNTED)
    return;
  if (outcome == OUTCOME_NEUTRAL && permit->probe == 0)
    {
      derate_shard_add (self->cells + CELL_NEUTRAL, 1);
      return;
    }

  now = derate_clock_get_time (self->clock);
  slow = outcome != OUTCOME_NEUTRAL && permit->start != 0 && measure (self, now - permit->start);
  if (outcome == OUTCOME_SUCCESS && !slow && (permit->word & WORD_QUIET) &&
      permit->word == derate_breaker_load_word (self))
    {
      derate_shard_add (self->cells + CELL_SUCCESS, 1);
      return;
    }

  g_mutex_lock (&self->mutex);
  derate_breaker_expire_leases_locked (self, now);
  late = permit->word >> WORD_GENERATION_SHIFT != self->generation;
  first = outcome == OUTCOME_FAILURE && !late && self->consecutive_failures == 0;
  count_locked (self, outcome, slow, late, now);
  if (first)
    self->success_mark = derate_breaker_count_successes_locked (self);
  if (!late && self->state == DERATE_BREAKER_STATE_CLOSED)
    take_closed_locked (self, outcome, slow, now);
  else if (!late && self->state == DERATE_BREAKER_STATE_HALF_OPEN)
    take_half_open_locked (self, permit->probe, outcome, now);
  derate_breaker_unlock (self);
}

/* Whether an error is a failure of the service; asks the user's function with no lock held. */
DerateOutcome
derate_breaker_judge (DerateBreaker *self, const GError *error)
{
  g_autoptr (DerateBreakerSettings) settings = NULL;
  static const DerateBreakerSettings plain = { 0 };
  gboolean failed;

  if (error == NULL)
    return OUTCOME_FAILURE;
  if (!g_atomic_int_get (&self->judges))
    failed = derate_breaker_settings_is_failure (&plain, error);
  else
    {
      g_mutex_lock (&self->mutex);
      settings = derate_breaker_settings_ref (self->settings);
      g_mutex_unlock (&self->mutex);
      failed = derate_breaker_settings_is_failure (settings, error);
    }
  return failed ? OUTCOME_FAILURE : OUTCOME_NEUTRAL;
}
