/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-machine-private.h"

#include "derate-error.h"

/* The state that a mode hides: what is forced open may have to prove itself once it no longer is.
 */
static DerateBreakerState
get_own_state (DerateBreaker *self)
{
  return self->mode == DERATE_BREAKER_MODE_FORCED_OPEN ? self->state_before_forced : self->state;
}

/**
 * derate_breaker_save:
 * @breaker: a breaker
 *
 * Takes what derate_breaker_restore() needs to go on after a restart: state, mode, and by the wall
 * clock when it is to be half-open, or to let every call through. May be called from any thread.
 *
 * Returns: (transfer none): a floating `a{sv}`
 *
 * Since: 1.0
 */
GVariant *
derate_breaker_save (DerateBreaker *breaker)
{
  GVariantDict dict;
  gint64 offset;
  gint64 now;

  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), NULL);

  now = derate_clock_get_time (breaker->clock);
  offset = derate_clock_get_real_time (breaker->clock) - now;
  g_variant_dict_init (&dict, NULL);

  g_mutex_lock (&breaker->mutex);
  g_variant_dict_insert (&dict, "state", "s",
                         derate_breaker_state_to_nick (get_own_state (breaker)));
  g_variant_dict_insert (&dict, "mode", "s", derate_breaker_mode_to_nick (breaker->mode));
  g_variant_dict_insert (&dict, "failure-count", "t", breaker->failure_streak);
  g_variant_dict_insert (&dict, "step", "u", breaker->has_opened ? breaker->step + 1 : 0);
  if (breaker->ramp != NULL)
    g_variant_dict_insert (&dict, "ramp-until", "x", breaker->ramp->end + offset);
  if (breaker->state == DERATE_BREAKER_STATE_OPEN && breaker->open_until != DERATE_CLOCK_NEVER)
    g_variant_dict_insert (&dict, "open-until", "x", breaker->open_until + offset);
  g_mutex_unlock (&breaker->mutex);
  return g_variant_dict_end (&dict);
}

/* What is left until then, by the wall clock, which may have jumped as may what was saved. */
static gint64
get_left (gint64 until, gint64 real_now)
{
  return until > real_now && real_now >= 0 ? until - real_now : 0;
}

/* Opens for what is left; never for longer than a breaker of this config would, should the wall
 * clock have jumped. */
static void
restore_open_locked (DerateBreaker *self, gint64 now, gint64 left)
{
  const DerateBreakerSettings *settings = self->settings;
  gint64 most = (gint64)((double)derate_breaker_settings_get_max (settings) *
                         (1 + settings->open_duration_jitter));

  derate_breaker_open_locked (self, now, now + MIN (left, most));
  self->until_fixed = FALSE;
  derate_breaker_advance_locked (self, now);
}

/**
 * derate_breaker_restore:
 * @breaker: a breaker that has not been used
 * @saved: what derate_breaker_save() gave
 * @error: return location for a %DERATE_ERROR_INVALID_ARGUMENT
 *
 * Goes on where another breaker was: one that was open stays so for the rest of its time, and is
 * half-open if that has passed. Statistics, the window and the answers of probes begin anew. There
 * is no other initial state: derate_breaker_trip() a new breaker for one that begins open.
 *
 * Returns: %TRUE when @saved made sense
 *
 * Since: 1.0
 */
gboolean
derate_breaker_restore (DerateBreaker *breaker, GVariant *saved, GError **error)
{
  g_auto (GVariantDict) dict = G_VARIANT_DICT_INIT (NULL);
  const char *state_nick = NULL;
  const char *mode_nick = "normal";
  DerateBreakerState state;
  DerateBreakerMode mode = DERATE_BREAKER_MODE_NORMAL;
  guint64 failure_count = 0;
  guint step = 0;
  gint64 open_until = 0;
  gint64 ramp_until = 0;
  gint64 real_now;
  gint64 now;

  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), FALSE);
  g_return_val_if_fail (g_variant_is_of_type (saved, G_VARIANT_TYPE_VARDICT), FALSE);

  g_variant_dict_init (&dict, saved);
  g_variant_dict_lookup (&dict, "state", "&s", &state_nick);
  g_variant_dict_lookup (&dict, "mode", "&s", &mode_nick);
  g_variant_dict_lookup (&dict, "failure-count", "t", &failure_count);
  g_variant_dict_lookup (&dict, "step", "u", &step);
  g_variant_dict_lookup (&dict, "open-until", "x", &open_until);
  g_variant_dict_lookup (&dict, "ramp-until", "x", &ramp_until);
  state = derate_breaker_state_from_nick (state_nick);
  if (state == DERATE_BREAKER_STATE_UNKNOWN ||
      !derate_breaker_mode_from_nick (mode_nick, &mode, NULL))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                   "circuit breaker '%s': what was saved has no such state or mode", breaker->name);
      return FALSE;
    }

  now = derate_clock_get_time (breaker->clock);
  real_now = derate_clock_get_real_time (breaker->clock);
  g_mutex_lock (&breaker->mutex);
  if ((mode == DERATE_BREAKER_MODE_NORMAL || mode == DERATE_BREAKER_MODE_FORCED_OPEN) &&
      state != DERATE_BREAKER_STATE_CLOSED)
    restore_open_locked (breaker, now,
                         state == DERATE_BREAKER_STATE_OPEN ? get_left (open_until, real_now) : 0);
  if (breaker->state != DERATE_BREAKER_STATE_CLOSED)
    breaker->failure_streak = failure_count;
  else
    {
      GTimeSpan span = breaker->settings->ramp_duration;

      derate_breaker_set_ramp_locked (breaker, now, span,
                                      MIN (get_left (ramp_until, real_now), span));
      derate_breaker_publish_locked (breaker);
    }
  breaker->has_opened = step > 0;
  breaker->step = step > 0 ? MIN (step - 1, 10000) : 0;
  derate_breaker_unlock (breaker);

  if (mode != DERATE_BREAKER_MODE_NORMAL)
    derate_breaker_set_mode (breaker, mode);
  return TRUE;
}
