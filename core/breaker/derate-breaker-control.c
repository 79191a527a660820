/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-machine-private.h"

#include "derate-error.h"
#include "derate-histogram-private.h"

/* What is done to a breaker by hand, by its service's monitor, and by a new configuration. */

/* The settings are new: makes the rest fit, keeping what still does. */
void
derate_breaker_adopt_settings_locked (DerateBreaker *self, gint64 now)
{
  const DerateBreakerSettings *settings = self->settings;
  /* What is measured alone is never slow. */
  GTimeSpan slow_after = settings->slow_call_duration == 0 && settings->measure
                             ? G_MAXINT64
                             : settings->slow_call_duration;

  derate_breaker_adopt_window_locked (self, now);
  if (slow_after > 0 && self->durations == NULL)
    __atomic_store_n (&self->durations, derate_histogram_new_for_spans (), __ATOMIC_RELEASE);
  __atomic_store_n (&self->slow_after, slow_after, __ATOMIC_RELAXED);
  __atomic_store_n (&self->judges_answers, settings->result_func != NULL, __ATOMIC_RELAXED);
  __atomic_store_n (&self->judges,
                    settings->func != NULL || settings->record != NULL || settings->ignore != NULL,
                    __ATOMIC_RELAXED);
}

/**
 * derate_breaker_reconfigure:
 * @breaker: a breaker
 * @config: how it is to decide from now on
 * @error: return location for a %DERATE_ERROR_INVALID_CONFIG
 *
 * Changes the config in place. State, statistics and permits that are out stay; the newest outcomes
 * are copied into a window of another size, also from one by count to one by time and back; a time
 * that has begun to run goes on.
 *
 * Returns: %TRUE when @config is in force, %FALSE when it is refused and nothing has changed
 *
 * Since: 1.0
 */
gboolean
derate_breaker_reconfigure (DerateBreaker *breaker,
                            const DerateBreakerConfig *config,
                            GError **error)
{
  g_autoptr (DerateBreakerSettings) old = NULL;
  gint64 now;

  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), FALSE);
  g_return_val_if_fail (config != NULL, FALSE);

  if (!derate_breaker_config_validate (config, error))
    {
      g_prefix_error (error, "circuit breaker '%s': ", breaker->name);
      return FALSE;
    }

  now = derate_clock_get_time (breaker->clock);
  g_mutex_lock (&breaker->mutex);
  old = breaker->settings;
  breaker->settings = derate_breaker_settings_ref (config->settings);
  derate_breaker_adopt_settings_locked (breaker, now);
  derate_breaker_adopt_probes_locked (breaker, old);
  derate_breaker_decide_locked (breaker, now);
  derate_breaker_publish_locked (breaker);
  derate_breaker_unlock (breaker);
  return TRUE;
}

/**
 * derate_breaker_reset:
 * @breaker: a breaker
 *
 * Closes the breaker with an empty window, ends forced-open, and sets the statistics to zero.
 * Exported counters go on: they never fall.
 *
 * Since: 1.0
 */
void
derate_breaker_reset (DerateBreaker *breaker)
{
  DerateBreakerEvent *event;
  gint64 now;

  g_return_if_fail (DERATE_IS_BREAKER (breaker));

  now = derate_clock_get_time (breaker->clock);
  g_mutex_lock (&breaker->mutex);
  if (breaker->mode == DERATE_BREAKER_MODE_FORCED_OPEN)
    breaker->mode = DERATE_BREAKER_MODE_NORMAL;
  derate_breaker_close_locked (breaker, now);
  event = derate_breaker_push_event_locked (breaker, now);
  event->new_state = event->old_state;
  event->reset = TRUE;

  if (breaker->zero == NULL)
    breaker->zero = g_new0 (DerateBreakerTotals, 1);
  derate_breaker_read_totals_locked (breaker, breaker->zero);
  breaker->success_mark = breaker->seen_successes;
  breaker->last_success = 0;
  breaker->last_failure = 0;
  breaker->step = 0;
  breaker->has_opened = FALSE;
  derate_breaker_unlock (breaker);
}

static gboolean
refuse_mode (DerateBreaker *self, DerateBreakerMode mode, const char *what, GError **error)
{
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE,
               "circuit breaker '%s' is in mode %s and does not %s", self->name,
               derate_breaker_mode_to_nick (mode), what);
  return FALSE;
}

/* Whether the mode lets anybody open it. */
static gboolean
check_can_open (DerateBreaker *self, GError **error)
{
  DerateBreakerMode mode = derate_breaker_get_mode (self);

  if (mode == DERATE_BREAKER_MODE_NORMAL || mode == DERATE_BREAKER_MODE_FORCED_OPEN)
    return TRUE;
  return refuse_mode (self, mode, "open", error);
}

/* Opens; @until 0 as failures would. What is forced open stays so. */
static gboolean
open_by_hand (DerateBreaker *self, gint64 until, GError **error)
{
  gint64 now = derate_clock_get_time (self->clock);

  if (!check_can_open (self, error))
    return FALSE;
  g_mutex_lock (&self->mutex);
  if (self->mode == DERATE_BREAKER_MODE_NORMAL)
    {
      derate_breaker_advance_locked (self, now);
      if (until != 0 || self->state != DERATE_BREAKER_STATE_OPEN)
        derate_breaker_open_locked (self, now, until);
    }
  derate_breaker_unlock (self);
  return TRUE;
}

/**
 * derate_breaker_trip:
 * @breaker: a breaker
 * @error: return location for a %DERATE_ERROR_INVALID_STATE
 *
 * Opens the breaker as failures would; it becomes half-open by itself. One that is open stays open
 * as long as it would have.
 *
 * Returns: %TRUE when it is open, %FALSE when its mode is disabled or metrics-only
 *
 * Since: 1.0
 */
gboolean
derate_breaker_trip (DerateBreaker *breaker, GError **error)
{
  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), FALSE);

  return open_by_hand (breaker, 0, error);
}

/**
 * derate_breaker_open_until:
 * @breaker: a breaker
 * @time: a time of its clock
 * @error: return location for a %DERATE_ERROR_INVALID_STATE
 *
 * Opens the breaker until a time, or moves the end of the time it is open: for a service that said
 * when to come back. Good health checks do not shorten it.
 *
 * Returns: %TRUE when it is open, %FALSE when its mode is disabled or metrics-only
 *
 * Since: 1.0
 */
gboolean
derate_breaker_open_until (DerateBreaker *breaker, gint64 time, GError **error)
{
  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), FALSE);

  return open_by_hand (breaker, MAX (time, 1), error);
}

/**
 * derate_breaker_open_for:
 * @breaker: a breaker
 * @span: how long, in microseconds, not negative
 * @error: return location for a %DERATE_ERROR_INVALID_STATE
 *
 * As derate_breaker_open_until(), counted from now.
 *
 * Returns: %TRUE when it is open, %FALSE when its mode is disabled or metrics-only
 *
 * Since: 1.0
 */
gboolean
derate_breaker_open_for (DerateBreaker *breaker, GTimeSpan span, GError **error)
{
  gint64 now;

  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), FALSE);
  g_return_val_if_fail (span >= 0, FALSE);

  now = derate_clock_get_time (breaker->clock);
  return open_by_hand (breaker, now + MIN (span, DERATE_CLOCK_NEVER - now - 1), error);
}

/**
 * derate_breaker_close:
 * @breaker: a breaker
 *
 * Closes the breaker with an empty window, whatever it was, and ends forced-open. The statistics
 * stay.
 *
 * Since: 1.0
 */
void
derate_breaker_close (DerateBreaker *breaker)
{
  gint64 now;

  g_return_if_fail (DERATE_IS_BREAKER (breaker));

  now = derate_clock_get_time (breaker->clock);
  g_mutex_lock (&breaker->mutex);
  if (breaker->mode == DERATE_BREAKER_MODE_FORCED_OPEN)
    breaker->mode = DERATE_BREAKER_MODE_NORMAL;
  derate_breaker_close_locked (breaker, now);
  derate_breaker_unlock (breaker);
}

/* Forced open no more: back to where it was, but what was not closed has to prove itself. */
static void
leave_forced_locked (DerateBreaker *self, gint64 now)
{
  if (self->state_before_forced == DERATE_BREAKER_STATE_CLOSED)
    derate_breaker_close_locked (self, now);
  else
    derate_breaker_half_open_locked (self, now, NULL);
}

/**
 * derate_breaker_set_mode:
 * @breaker: a breaker
 * @mode: a mode
 *
 * Changes the mode, which outranks every timer. Forced-open opens the breaker; back to normal it is
 * closed if it was closed before, else half-open. Disabled and metrics-only close it. Every window
 * begins empty; the statistics stay. Who sets a mode last is obeyed: it is not counted how often it
 * was set.
 *
 * Since: 1.0
 */
void
derate_breaker_set_mode (DerateBreaker *breaker, DerateBreakerMode mode)
{
  DerateBreakerMode old_mode;
  gint64 now;

  g_return_if_fail (DERATE_IS_BREAKER (breaker));
  g_return_if_fail (mode >= DERATE_BREAKER_MODE_NORMAL && mode <= DERATE_BREAKER_MODE_FORCED_OPEN);

  now = derate_clock_get_time (breaker->clock);
  g_mutex_lock (&breaker->mutex);
  old_mode = breaker->mode;
  breaker->mode = mode;
  if (mode == old_mode)
    ;
  else if (mode == DERATE_BREAKER_MODE_FORCED_OPEN)
    {
      breaker->state_before_forced = breaker->state;
      derate_breaker_open_locked (breaker, now, DERATE_CLOCK_NEVER);
    }
  else if (mode == DERATE_BREAKER_MODE_NORMAL && old_mode == DERATE_BREAKER_MODE_FORCED_OPEN)
    leave_forced_locked (breaker, now);
  else
    derate_breaker_close_locked (breaker, now);
  derate_breaker_unlock (breaker);
}

gboolean
derate_breaker_move (DerateBreaker *breaker, DerateBreakerState state, GError **error)
{
  gint64 now = derate_clock_get_time (breaker->clock);
  gboolean moved;

  if (state == DERATE_BREAKER_STATE_OPEN)
    return derate_breaker_trip (breaker, error);
  if (state == DERATE_BREAKER_STATE_CLOSED)
    {
      derate_breaker_close (breaker);
      return TRUE;
    }
  g_mutex_lock (&breaker->mutex);
  if (breaker->mode == DERATE_BREAKER_MODE_NORMAL)
    moved = derate_breaker_half_open_locked (breaker, now, error);
  else
    moved = refuse_mode (breaker, breaker->mode, "become half-open", error);
  derate_breaker_unlock (breaker);
  return moved;
}

void
derate_breaker_poll (DerateBreaker *breaker)
{
  gint64 now = derate_clock_get_time (breaker->clock);

  g_mutex_lock (&breaker->mutex);
  derate_breaker_observe_locked (breaker, now);
  derate_breaker_advance_locked (breaker, now);
  derate_breaker_unlock (breaker);
}

gint64
derate_breaker_get_open_until (DerateBreaker *breaker)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&breaker->mutex);

  if (breaker->state == DERATE_BREAKER_STATE_OPEN)
    return breaker->open_until;
  if (breaker->state == DERATE_BREAKER_STATE_HALF_OPEN)
    return derate_breaker_get_earliest_lease_locked (breaker);
  return DERATE_CLOCK_NEVER;
}

/* 0 good checks in a row: this one was bad. It says nothing here, but that calls came before it is
 * no longer of interest. */
void
derate_breaker_note_good_check (DerateBreaker *breaker, guint good_checks, guint rise)
{
  gint64 now = derate_clock_get_time (breaker->clock);

  g_mutex_lock (&breaker->mutex);
  if (breaker->mode == DERATE_BREAKER_MODE_NORMAL && !breaker->drilled)
    {
      derate_breaker_expire_leases_locked (breaker, now);
      if (breaker->state == DERATE_BREAKER_STATE_OPEN)
        {
          if (breaker->open_until <= now || (good_checks >= rise && !breaker->until_fixed))
            derate_breaker_half_open_locked (breaker, now, NULL);
        }
      else if (breaker->state == DERATE_BREAKER_STATE_HALF_OPEN && good_checks == 0)
        breaker->asked_for = FALSE;
      else if (breaker->state == DERATE_BREAKER_STATE_HALF_OPEN)
        derate_breaker_take_good_check_locked (breaker, now);
    }
  derate_breaker_unlock (breaker);
}
