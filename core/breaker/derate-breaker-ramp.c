/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-machine-private.h"

/* After closing: a share of the calls that grows in a line, so that a service that has just come
 * back is not met by all that waited. Which calls is no matter of luck: each adds its share to what
 * is owed, and is let through once a whole call is. Called with the mutex; without a ramp the word
 * admits and nobody comes here. */

#define WHOLE DERATE_RATE_UNIT
#define FIRST_SHARE (WHOLE / 10)

/* @left of a ramp over @span; no ramp: 0. */
void
derate_breaker_set_ramp_locked (DerateBreaker *self, gint64 now, GTimeSpan span, GTimeSpan left)
{
  gboolean ramps = span > 0 && left > 0 && self->mode == DERATE_BREAKER_MODE_NORMAL;

  g_clear_pointer (&self->ramp, g_free);
  if (!ramps)
    return;
  self->ramp = g_new (DerateBreakerRamp, 1);
  self->ramp->end = now + left;
  self->ramp->span = span;
  self->ramp->owed = WHOLE - FIRST_SHARE; /* the first call is let through */
}

gboolean
derate_breaker_take_ramp_locked (DerateBreaker *self, gint64 now)
{
  DerateBreakerRamp *ramp = self->ramp;
  double done = 1 - (double)MIN (ramp->end - now, ramp->span) / (double)ramp->span;

  ramp->owed += FIRST_SHARE + (guint64)((double)(WHOLE - FIRST_SHARE) * done);
  if (ramp->owed < WHOLE)
    return FALSE;
  ramp->owed -= WHOLE;
  return TRUE;
}
