/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-machine-private.h"

#include <math.h>

#include "derate-env.h"
#include "derate-names-private.h"

/* The window of a breaker, by count or by time or none, and what its rates demand. All of it is
 * called with the mutex.
 *
 * By count a window that is full of good outcomes is quiet: another success changes nothing, and is
 * only counted by its thread. By time a success is counted by its thread alone while it could not
 * change what is decided, up to `quiet_until`: the end of the slice. */

static guint64
sum_successes (DerateBreaker *self)
{
  return derate_breaker_sum (self, CELL_SUCCESS);
}

void
derate_breaker_adopt_window_locked (DerateBreaker *self, gint64 now)
{
  const DerateBreakerSettings *settings = self->settings;
  guint size = settings->window_size;
  GTimeSpan span = settings->window_duration;

  derate_breaker_observe_locked (self, now);
  if (settings->window == DERATE_BREAKER_WINDOW_COUNT)
    {
      if (self->slices != NULL)
        self->counts = derate_breaker_counts_from_slices (g_steal_pointer (&self->slices), size);
      else if (self->counts == NULL)
        self->counts = derate_breaker_counts_new (size);
      else if (self->counts->size != size)
        self->counts = derate_breaker_counts_resize (self->counts, size);
    }
  else if (settings->window == DERATE_BREAKER_WINDOW_TIME)
    {
      if (self->counts != NULL)
        self->slices = derate_breaker_slices_from_counts (g_steal_pointer (&self->counts), span,
                                                          sum_successes (self), now);
      else if (self->slices == NULL)
        self->slices = derate_breaker_slices_new (span, sum_successes (self));
      else if (self->slices->span != span)
        self->slices = derate_breaker_slices_resize (self->slices, span, now);
    }
  else
    {
      g_clear_pointer (&self->counts, g_free);
      g_clear_pointer (&self->slices, g_free);
    }
  /* By other thresholds the outcomes that are kept have not been judged. */
  if (self->counts != NULL)
    self->counts->unjudged = TRUE;
  if (self->slices != NULL)
    self->slices->unjudged = TRUE;
}

void
derate_breaker_empty_window_locked (DerateBreaker *self)
{
  if (self->counts != NULL)
    derate_breaker_counts_clear (self->counts);
  if (self->slices != NULL)
    derate_breaker_slices_clear (self->slices, sum_successes (self));
}

/* Somebody looks: what leaves the window by time leaves it, and what was not counted one by one is
 * dated. */
void
derate_breaker_look_at_window_locked (DerateBreaker *self, gint64 now, guint64 unseen)
{
  if (self->counts != NULL && derate_breaker_counts_is_quiet (self->counts))
    derate_breaker_counts_restamp (self->counts, unseen, self->seen_time);
  if (self->slices == NULL)
    return;
  derate_breaker_slices_look (self->slices, sum_successes (self), now);
  derate_breaker_publish_quiet_until_locked (self);
}

gboolean
derate_breaker_window_is_quiet (DerateBreaker *self)
{
  return self->slices == NULL &&
         (self->counts == NULL || derate_breaker_counts_is_quiet (self->counts));
}

void
derate_breaker_publish_quiet_until_locked (DerateBreaker *self)
{
  gint64 until = G_MININT64;

  if (self->slices != NULL && self->consecutive_failures == 0)
    until = derate_breaker_slices_get_quiet_until (self->slices,
                                                   derate_breaker_settings_get_minimum_calls (
                                                       self->settings));
  if (until != __atomic_load_n (&self->quiet_until, __ATOMIC_RELAXED))
    __atomic_store_n (&self->quiet_until, until, __ATOMIC_RELAXED);
}

/* An outcome is about to be counted in the window. */
void
derate_breaker_turn_window_locked (DerateBreaker *self, gint64 now)
{
  if (self->slices != NULL)
    derate_breaker_slices_turn (self->slices, sum_successes (self), now);
}

static void
read_sums (DerateBreaker *self, DerateBreakerSums *sums)
{
  *sums = (DerateBreakerSums){ 0 };
  if (self->counts != NULL)
    {
      sums->calls = self->counts->fill;
      sums->failures = self->counts->failures;
      sums->slow = self->counts->slow;
    }
  else if (self->slices != NULL)
    *sums = self->slices->sums;
}

static gboolean
is_known (DerateBreaker *self, const DerateBreakerSums *sums)
{
  return sums->calls > 0 &&
         sums->calls >= derate_breaker_settings_get_minimum_calls (self->settings);
}

/* After derate_breaker_turn_window_locked (), and with a good success counted in its cell. Says
 * whether a rate may be higher than when it was last judged: a good outcome only lowers them, once
 * they are known. */
gboolean
derate_breaker_add_to_window_locked (DerateBreaker *self,
                                     gboolean failed,
                                     gboolean slow,
                                     gint64 now)
{
  gboolean unjudged = failed || slow;
  DerateBreakerSums before;
  DerateBreakerSums sums;

  read_sums (self, &before);
  if (self->counts != NULL)
    {
      derate_breaker_counts_add (self->counts, failed, slow, now);
      unjudged = unjudged || self->counts->unjudged;
      self->counts->unjudged = FALSE;
    }
  else if (self->slices != NULL)
    {
      unjudged = unjudged || self->slices->unjudged;
      if (failed || slow)
        derate_breaker_slices_add (self->slices, failed, slow);
      derate_breaker_slices_look (self->slices, sum_successes (self), now);
      self->slices->unjudged = FALSE;
    }
  else
    return unjudged;
  read_sums (self, &sums);
  unjudged = unjudged || !is_known (self, &before);
  if (sums.failures == 0)
    self->alerted = FALSE;
  else
    self->rate_rose = is_known (self, &sums) && (failed || !is_known (self, &before));
  return unjudged;
}

gboolean
derate_breaker_reaches (guint64 part, guint64 whole, double rate)
{
  /* As integers, no rounding: short of numbers that no comparison is near for. */
  while (whole > G_MAXUINT64 / DERATE_RATE_UNIT)
    {
      part /= 2;
      whole /= 2;
    }
  return part * DERATE_RATE_UNIT >= (guint64)(rate * (double)DERATE_RATE_UNIT) * whole;
}

gboolean
derate_breaker_must_open_locked (DerateBreaker *self)
{
  const DerateBreakerSettings *settings = self->settings;
  DerateBreakerSums sums;

  if (settings->failure_threshold > 0 && self->consecutive_failures >= settings->failure_threshold)
    return TRUE;
  read_sums (self, &sums);
  if (!is_known (self, &sums))
    return FALSE;
  if (derate_breaker_reaches (sums.failures, sums.calls, settings->failure_rate_threshold))
    return TRUE;
  return settings->slow_call_duration > 0 &&
         derate_breaker_reaches (sums.slow, sums.calls, settings->slow_call_rate_threshold);
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
void
derate_breaker_alert_on_rate_locked (DerateBreaker *self, gint64 now)
{
  DerateBreakerEvent *event;
  DerateBreakerSums sums;

  if (self->alerted)
    return;
  read_sums (self, &sums);
  if (sums.failures == 0 || !is_known (self, &sums) ||
      !derate_breaker_reaches (sums.failures, sums.calls, get_alert_threshold ()))
    return;
  self->alerted = TRUE;
  event = derate_breaker_push_event_locked (self, now);
  event->new_state = event->old_state;
  event->alert = TRUE;
}

static double
rate_of (DerateBreaker *self, const DerateBreakerSums *sums, guint64 part)
{
  if (self->mode == DERATE_BREAKER_MODE_DISABLED || !is_known (self, sums))
    return NAN;
  return (double)part / (double)sums->calls;
}

/* As of the last look, by time. */
double
derate_breaker_get_failure_rate_locked (DerateBreaker *self)
{
  DerateBreakerSums sums;

  read_sums (self, &sums);
  return rate_of (self, &sums, sums.failures);
}

double
derate_breaker_get_slow_rate_locked (DerateBreaker *self)
{
  DerateBreakerSums sums;

  read_sums (self, &sums);
  return self->settings->slow_call_duration == 0 ? NAN : rate_of (self, &sums, sums.slow);
}
