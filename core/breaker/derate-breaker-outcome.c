/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-machine-private.h"

#include "derate-clock-private.h"
#include "derate-error.h"
#include "derate-histogram-private.h"
#include "derate-log-private.h"
#include "derate-names-private.h"

/* How a call is let through, and what its end does. */

/* The coarse clock may lag by a tick, of 10 ms on the slowest kernels, and by what a host keeps a
 * virtual processor waiting. */
#define COARSE_LAG (100 * G_TIME_SPAN_MILLISECOND)

static const struct
{
  DerateError code;
  const char *text;
} refusals[] = {
  { DERATE_ERROR_OPEN, "is open" },
  { DERATE_ERROR_FORCED, "is forced open" },
  { DERATE_ERROR_DRILL, "refuses calls for a drill" },
  { DERATE_ERROR_RAMPING, "has closed and does not let every call through yet" },
  { DERATE_ERROR_HALF_OPEN_FULL, "is half-open and its probes are out" },
};

/* The texts are made once a breaker. They have no numbers: retry-after is asked of the breaker. */
static char **
get_refusals (DerateBreaker *self)
{
  char **texts = __atomic_load_n (&self->refusals, __ATOMIC_ACQUIRE);
  char **made;

  if (texts != NULL)
    return texts;
  made = g_new0 (char *, G_N_ELEMENTS (refusals) + 1);
  for (guint i = 0; i < G_N_ELEMENTS (refusals); i++)
    made[i] = g_strdup_printf ("circuit breaker '%s' %s", self->name, refusals[i].text);
  if (__atomic_compare_exchange_n (&self->refusals, &texts, made, FALSE, __ATOMIC_ACQ_REL,
                                   __ATOMIC_ACQUIRE))
    return made;
  g_strfreev (made);
  return texts;
}

static void
refuse (DerateBreaker *self, DerateError code, GError **error)
{
  guint i = 0;

  derate_shard_add (self->cells + CELL_BLOCKED, 1);
  if (error == NULL)
    return;
  while (i + 1 < G_N_ELEMENTS (refusals) && refusals[i].code != code)
    i++;
  g_set_error_literal (error, DERATE_ERROR, code, get_refusals (self)[i]);
}

/* While the end is further away than the coarse clock can lag, that one tells. */
static gboolean
is_before (DerateClock *clock, gint64 deadline)
{
  return deadline - derate_clock_read_coarsely (clock) > COARSE_LAG ||
         derate_clock_get_time (clock) < deadline;
}

static DerateError
get_reason (guint state, guint mode)
{
  if (state == DERATE_BREAKER_STATE_HALF_OPEN)
    return DERATE_ERROR_HALF_OPEN_FULL;
  if (state == DERATE_BREAKER_STATE_CLOSED)
    return DERATE_ERROR_RAMPING;
  return mode == DERATE_BREAKER_MODE_FORCED_OPEN ? DERATE_ERROR_FORCED : DERATE_ERROR_OPEN;
}

static void
admit (DerateBreaker *self, DeratePermitData *permit, guint64 word, guint32 probe)
{
  permit->breaker = self;
  permit->word = word;
  permit->probe = probe;
  if (word & WORD_UNCOUNTED)
    return;
  if (word & WORD_MEASURES)
    permit->start = derate_clock_read (self->clock);
  derate_shard_add (self->cells + CELL_ADMITTED, 1);
}

static gboolean
acquire_locking (DerateBreaker *self, DeratePermitData *permit, GError **error)
{
  gint64 now = derate_clock_get_time (self->clock);
  gboolean admitted = FALSE;
  guint32 probe = 0;
  guint64 word;
  guint state;
  guint mode;

  g_mutex_lock (&self->mutex);
  derate_breaker_advance_locked (self, now);
  if (self->state == DERATE_BREAKER_STATE_HALF_OPEN)
    {
      self->asked_for = TRUE;
      probe = derate_breaker_take_probe_locked (self, now);
      admitted = probe != 0;
    }
  else if (self->ramp != NULL)
    admitted = derate_breaker_take_ramp_locked (self, now);
  word = self->word;
  state = self->state;
  mode = self->mode;
  derate_breaker_unlock (self);

  if (admitted || (word & WORD_ADMITS))
    {
      admit (self, permit, word, probe);
      if (probe != 0)
        permit->start = now;
      return TRUE;
    }
  refuse (self, get_reason (state, mode), error);
  return FALSE;
}

/* All that needs more than a look at the word. */
G_NO_INLINE static gboolean
acquire_slowly (DerateBreaker *self, DeratePermit *permit, GError **error)
{
  DeratePermitData *data = (DeratePermitData *)permit;
  guint64 word = derate_breaker_load_word (self);

  if (data->breaker != NULL)
    derate_permit_cancel (permit);
  if (word & (WORD_ADMITS | WORD_DRILLED))
    {
      if ((word & WORD_DRILLED) && derate_breaker_take_drill (self))
        {
          refuse (self, DERATE_ERROR_DRILL, error);
          return FALSE;
        }
      if (word & WORD_ADMITS)
        {
          admit (self, data, word, 0);
          return TRUE;
        }
    }
  /* An open breaker refuses without the lock until its time has come. */
  if ((word & WORD_REFUSES) &&
      is_before (self->clock, __atomic_load_n (&self->open_until, __ATOMIC_RELAXED)))
    {
      refuse (self,
              get_reason (DERATE_BREAKER_STATE_OPEN, (word >> WORD_MODE_SHIFT) & WORD_MODE_MASK),
              error);
      return FALSE;
    }
  return acquire_locking (self, data, error);
}

/* The same for a breaker that is closed and measures. */
G_NO_INLINE static gboolean
acquire_measured (DerateBreaker *self, DeratePermit *permit, GError **error)
{
  DeratePermitData *data = (DeratePermitData *)permit;
  guint64 word = derate_breaker_load_word (self);
  guint64 *cells = derate_shard_peek_cells (self->cells);

  if (G_UNLIKELY ((word & (WORD_ADMITS | WORD_MEASURES | WORD_DRILLED)) !=
                  (WORD_ADMITS | WORD_MEASURES)) ||
      G_UNLIKELY (data->breaker != NULL) || G_UNLIKELY (cells == NULL))
    return acquire_slowly (self, permit, error);
  derate_shard_bump (cells + CELL_ADMITTED, 1);
  data->breaker = self;
  data->word = word;
  data->start = derate_clock_read (self->clock);
  return TRUE;
}

/**
 * derate_breaker_acquire: (skip)
 * @breaker: a breaker; it must outlive the permit
 * @permit: a permit set to %DERATE_PERMIT_INIT
 * @error: (nullable): return location for the refusal: %DERATE_ERROR_OPEN,
 *   %DERATE_ERROR_HALF_OPEN_FULL, %DERATE_ERROR_FORCED, %DERATE_ERROR_RAMPING or
 *   %DERATE_ERROR_DRILL
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
 * Nobody waits: who finds the probes of a half-open breaker out is refused at once.
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
  guint64 *cells;

  if (G_LIKELY ((word & WORD_PLAIN) != 0) && G_LIKELY (data->breaker == NULL))
    {
      cells = derate_shard_peek_cells (breaker->cells);
      if (G_LIKELY (cells != NULL))
        {
          derate_shard_bump (cells + CELL_ADMITTED, 1);
          data->breaker = breaker;
          data->word = word;
          return TRUE;
        }
    }
  if (word & WORD_MEASURES)
    return acquire_measured (breaker, permit, error);
  return acquire_slowly (breaker, permit, error);
}

static void
count_failure_locked (DerateBreaker *self, gint64 now)
{
  self->consecutive_failures++;
  self->failure_streak++;
  self->last_failure = now;
}

static void
take_closed_locked (DerateBreaker *self, DerateOutcome outcome, gboolean slow, gint64 now)
{
  gboolean unjudged;

  if ((self->word & WORD_QUIET) && (outcome == OUTCOME_FAILURE || slow))
    derate_breaker_observe_locked (self, now);
  if (outcome == OUTCOME_FAILURE)
    count_failure_locked (self, now);
  else
    {
      self->consecutive_failures = 0;
      self->failure_streak = 0;
    }
  unjudged = derate_breaker_add_to_window_locked (self, outcome == OUTCOME_FAILURE, slow, now);

  if (unjudged && self->mode == DERATE_BREAKER_MODE_NORMAL &&
      derate_breaker_must_open_locked (self))
    derate_breaker_open_locked (self, now, 0);
  else
    {
      if (unjudged)
        derate_breaker_alert_on_rate_locked (self, now);
      derate_breaker_publish_locked (self);
    }
}

/* A success that is none of the window's: it must not be taken for one when the cells are summed.
 */
static void
keep_from_window (DerateBreaker *self)
{
  if (self->slices != NULL)
    self->slices->seen++;
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
        {
          derate_shard_add (self->cells + CELL_SUCCESS, 1);
          if (late || self->state != DERATE_BREAKER_STATE_CLOSED)
            keep_from_window (self);
        }
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

/* Apart from the way of those that are not slow. */
G_NO_INLINE static void
keep_exemplar (DerateHistogram *durations, GTimeSpan span)
{
  const char *id = derate_log_get_request_id ();

  if (id != NULL)
    derate_histogram_keep_exemplar (durations, (double)span / G_USEC_PER_SEC, DERATE_EXEMPLAR_LABEL,
                                    id);
}

/* Whether a call that took so long was slow. */
G_ALWAYS_INLINE static inline gboolean
measure (DerateBreaker *self, GTimeSpan span)
{
  GTimeSpan slow_after = __atomic_load_n (&self->slow_after, __ATOMIC_RELAXED);
  DerateHistogram *durations = __atomic_load_n (&self->durations, __ATOMIC_ACQUIRE);

  gboolean slow = slow_after > 0 && span >= slow_after;

  if (durations != NULL)
    derate_histogram_count_span (durations, span);
  if (G_UNLIKELY (slow) && durations != NULL)
    keep_exemplar (durations, span);
  return slow;
}

/* Whether one more good success is only to be counted by its thread. */
static inline gboolean
changes_nothing (DerateBreaker *self, guint64 word, gint64 now)
{
  if (word != derate_breaker_load_word (self))
    return FALSE;
  if (word & WORD_TIMED)
    return now < __atomic_load_n (&self->quiet_until, __ATOMIC_RELAXED);
  return (word & WORD_QUIET) != 0;
}

/* A success that is measured by nothing else need not be dated to the microsecond. */
static inline gint64
read_clock (DerateBreaker *self, const DeratePermitData *permit, DerateOutcome outcome)
{
  if (outcome == OUTCOME_SUCCESS && permit->start == 0 && !(permit->word & WORD_TIMED))
    return derate_clock_read_coarsely (self->clock);
  return derate_clock_get_time (self->clock);
}

G_NO_INLINE static void
record_locking (DerateBreaker *self,
                const DeratePermitData *permit,
                DerateOutcome outcome,
                gboolean slow,
                gint64 now)
{
  gboolean first;
  gboolean late;

  g_mutex_lock (&self->mutex);
  derate_breaker_expire_leases_locked (self, now);
  late = permit->word >> WORD_GENERATION_SHIFT != self->generation ||
         (self->state == DERATE_BREAKER_STATE_HALF_OPEN &&
          !derate_breaker_probe_is_out_locked (self, permit->probe));
  first = outcome == OUTCOME_FAILURE && !late && self->consecutive_failures == 0;
  if (!late && self->state == DERATE_BREAKER_STATE_CLOSED)
    derate_breaker_turn_window_locked (self, now);
  count_locked (self, outcome, slow, late, now);
  if (first)
    self->success_mark = derate_breaker_count_successes_locked (self);
  if (!late && self->state == DERATE_BREAKER_STATE_CLOSED)
    take_closed_locked (self, outcome, slow, now);
  else if (!late && self->state == DERATE_BREAKER_STATE_HALF_OPEN)
    derate_breaker_take_answer_locked (self, permit->probe, outcome, slow, now);
  derate_breaker_unlock (self);
}

/* The end of a call that is not simply one more success of a healthy breaker. */
void
derate_breaker_record (DerateBreaker *self, const DeratePermitData *permit, DerateOutcome outcome)
{
  gboolean slow;
  gint64 now;

  if (permit->word & WORD_UNCOUNTED)
    return;
  if (outcome == OUTCOME_NEUTRAL && permit->probe == 0)
    {
      derate_shard_add (self->cells + CELL_NEUTRAL, 1);
      return;
    }

  now = read_clock (self, permit, outcome);
  slow = outcome != OUTCOME_NEUTRAL && permit->start != 0 && measure (self, now - permit->start);
  if (outcome == OUTCOME_SUCCESS && !slow && changes_nothing (self, permit->word, now))
    {
      derate_shard_add (self->cells + CELL_SUCCESS, 1);
      return;
    }

  record_locking (self, permit, outcome, slow, now);
}

/* Apart, so that the way of a healthy breaker needs no room for it. */
G_NO_INLINE static void
take_success_locking (DerateBreaker *self, DeratePermitData *data, gboolean slow, gint64 now)
{
  DeratePermitData taken = *data;

  *data = (DeratePermitData){ 0 };
  record_locking (self, &taken, OUTCOME_SUCCESS, slow, now);
}

/* Ends a permit that is measured and not shared: derate_breaker_record () of a success, in fewer
 * steps. */
void
derate_breaker_record_measured (DerateBreaker *self, DeratePermitData *data)
{
  gint64 now = derate_clock_read (self->clock);
  gboolean slow = measure (self, now - data->start);

  if (G_LIKELY (!slow) && G_LIKELY (changes_nothing (self, data->word, now)))
    {
      data->breaker = NULL;
      data->start = 0;
      data->probe = 0;
      derate_shard_add (self->cells + CELL_SUCCESS, 1);
    }
  else
    take_success_locking (self, data, slow, now);
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
  if (!__atomic_load_n (&self->judges, __ATOMIC_RELAXED))
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

gboolean
derate_breaker_is_failure (DerateBreaker *breaker, const GError *error)
{
  return derate_breaker_judge (breaker, error) == OUTCOME_FAILURE;
}
