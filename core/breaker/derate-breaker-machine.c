/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-machine-private.h"

#include <math.h>

#include "derate-error.h"

/* The states, and what moves a breaker from one to another. All of it is called with the mutex. */

#define MAX_STEP 10000

static const gboolean edges[4][4] = {
  [DERATE_BREAKER_STATE_CLOSED] = { [DERATE_BREAKER_STATE_OPEN] = TRUE },
  [DERATE_BREAKER_STATE_OPEN] = { [DERATE_BREAKER_STATE_HALF_OPEN] = TRUE,
                                  [DERATE_BREAKER_STATE_CLOSED] = TRUE },
  [DERATE_BREAKER_STATE_HALF_OPEN] = { [DERATE_BREAKER_STATE_OPEN] = TRUE,
                                       [DERATE_BREAKER_STATE_CLOSED] = TRUE },
};

/* What is wrong with the table, or NULL: asked when the type is made. */
const char *
derate_breaker_check_table (void)
{
  for (guint i = 0; i < 4; i++)
    {
      gboolean is_left = FALSE;
      gboolean is_reached = FALSE;

      if (edges[i][i] || edges[0][i] || edges[i][0])
        return "an edge that is none";
      for (guint j = 0; j < 4; j++)
        {
          is_left = is_left || edges[i][j];
          is_reached = is_reached || edges[j][i];
        }
      if (i != 0 && (!is_left || !is_reached))
        return "a state without a way in or out";
    }
  return NULL;
}

gboolean
derate_breaker_has_edge (DerateBreakerState from, DerateBreakerState to)
{
  return (guint)from < 4 && (guint)to < 4 && edges[from][to];
}

static guint64
flags_of (DerateBreaker *self)
{
  guint64 flags = 0;

  if (self->mode == DERATE_BREAKER_MODE_DISABLED)
    return WORD_ADMITS | WORD_UNCOUNTED;
  if (self->state == DERATE_BREAKER_STATE_OPEN)
    return WORD_REFUSES;
  if (self->state == DERATE_BREAKER_STATE_HALF_OPEN)
    return 0;
  flags = self->ramp == NULL ? WORD_ADMITS : 0;
  if (self->slices != NULL)
    flags |= WORD_TIMED;
  else if (self->consecutive_failures == 0 && derate_breaker_window_is_quiet (self))
    flags |= WORD_QUIET;
  if (self->slow_after > 0)
    return flags | WORD_MEASURES;
  return flags | (flags & WORD_ADMITS ? WORD_PLAIN : 0) | (flags & WORD_QUIET ? WORD_SMOOTH : 0);
}

void
derate_breaker_publish_locked (DerateBreaker *self)
{
  guint64 word = (self->generation << WORD_GENERATION_SHIFT) | self->state |
                 ((guint64)self->mode << WORD_MODE_SHIFT) | flags_of (self);

  if (self->drilled)
    word = (word & ~WORD_PLAIN) | WORD_DRILLED;

  derate_breaker_publish_quiet_until_locked (self);
  if (word != __atomic_load_n (&self->word, __ATOMIC_RELAXED))
    __atomic_store_n (&self->word, word, __ATOMIC_RELEASE);
}

void
derate_breaker_renew_locked (DerateBreaker *self)
{
  self->generation++;
  derate_breaker_publish_locked (self);
}

void
derate_breaker_init_locked (DerateBreaker *self, gint64 now)
{
  self->state = DERATE_BREAKER_STATE_CLOSED;
  self->mode = self->settings->disabled ? DERATE_BREAKER_MODE_DISABLED : DERATE_BREAKER_MODE_NORMAL;
  self->state_since = now;
  self->seen_time = now;
  derate_breaker_renew_locked (self);
}

/* The event of the transition, to be filled in; NULL when there is no such edge. */
DerateBreakerEvent *
derate_breaker_transit_locked (DerateBreaker *self,
                               DerateBreakerState to,
                               gint64 now,
                               GError **error)
{
  DerateBreakerState from = self->state;
  DerateBreakerEvent *event;

  if (!derate_breaker_has_edge (from, to))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE,
                   "circuit breaker '%s' does not go from %s to %s", self->name,
                   derate_breaker_state_to_nick (from), derate_breaker_state_to_nick (to));
      return NULL;
    }

  event = derate_breaker_push_event_locked (self, now);
  event->new_state = to;
  self->edges[from][to]++;
  self->rate_rose = FALSE; /* there is more to tell */
  self->state = to;
  self->state_since = now;
  derate_breaker_mark_locked (self);
  g_clear_pointer (&self->probes, g_free);
  g_clear_pointer (&self->ramp, g_free);
  return event;
}

/* How long to stay open now, by the step of the backoff: clamped first, lengthened by jitter then,
 * so that breakers at the maximum do not all come back in the same instant. */
static GTimeSpan
draw_open_duration (DerateBreaker *self)
{
  const DerateBreakerSettings *settings = self->settings;
  double max = (double)derate_breaker_settings_get_max (settings);
  double span = (double)settings->open_duration *
                pow (settings->open_duration_multiplier, (double)self->step);

  if (!(span < max))
    span = settings->open_duration == 0 ? 0 : max;
  if (settings->open_duration_jitter > 0)
    span += span * settings->open_duration_jitter * g_random_double ();
  return (GTimeSpan)span;
}

/* A breaker that reopens climbs a step; each open duration that it was closed takes it down one. */
static void
take_step (DerateBreaker *self, gint64 now)
{
  GTimeSpan unit = self->settings->open_duration;
  gint64 spells = 0;

  if (self->state == DERATE_BREAKER_STATE_CLOSED && unit > 0)
    spells = (now - self->state_since) / unit;
  if (!self->has_opened)
    self->step = 0;
  else if (spells > 0)
    self->step -= (guint)MIN (spells, (gint64)self->step);
  else
    self->step = MIN (self->step + 1, MAX_STEP);
  self->has_opened = TRUE;
}

static void
set_open_until (DerateBreaker *self, gint64 until)
{
  __atomic_store_n (&self->open_until, until, __ATOMIC_RELAXED);
}

void
derate_breaker_open_locked (DerateBreaker *self, gint64 now, gint64 until)
{
  gboolean is_new = self->state != DERATE_BREAKER_STATE_OPEN;
  DerateBreakerEvent *event;

  self->until_fixed = until != 0;
  if (until == 0)
    {
      take_step (self, now);
      until = now + draw_open_duration (self);
    }
  set_open_until (self, until);
  if (is_new)
    {
      event = derate_breaker_transit_locked (self, DERATE_BREAKER_STATE_OPEN, now, NULL);
      event->span = until == DERATE_CLOCK_NEVER ? 0 : until - now;
      event->alert = !self->alerted;
      if (self->incident_since == 0)
        self->incident_since = now;
      self->alerted = TRUE;
    }
  derate_breaker_renew_locked (self);
}

void
derate_breaker_empty_locked (DerateBreaker *self)
{
  derate_breaker_empty_window_locked (self);
  self->consecutive_failures = 0;
  self->failure_streak = 0;
}

static void
close_breaker (DerateBreaker *self, gint64 now, GTimeSpan ramp)
{
  DerateBreakerEvent *event;

  if (self->state != DERATE_BREAKER_STATE_CLOSED)
    {
      event = derate_breaker_transit_locked (self, DERATE_BREAKER_STATE_CLOSED, now, NULL);
      event->recovered = self->incident_since != 0;
      event->span = event->recovered ? now - self->incident_since : 0;
    }
  else
    self->rate_rose = TRUE; /* or fell: no transition tells that the window is empty */
  derate_breaker_set_ramp_locked (self, now, ramp, ramp);
  self->alerted = FALSE;
  self->incident_since = 0;
  derate_breaker_empty_locked (self);
  derate_breaker_renew_locked (self);
}

/* By hand: what closes it knows that the service is there. */
void
derate_breaker_close_locked (DerateBreaker *self, gint64 now)
{
  close_breaker (self, now, 0);
}

/* The probes were good. */
void
derate_breaker_recover_locked (DerateBreaker *self, gint64 now)
{
  close_breaker (self, now, self->settings->ramp_duration);
}

/* Does what is due by time. */
void
derate_breaker_advance_locked (DerateBreaker *self, gint64 now)
{
  if (self->mode != DERATE_BREAKER_MODE_NORMAL)
    return;
  derate_breaker_expire_leases_locked (self, now);
  if (self->state == DERATE_BREAKER_STATE_OPEN && self->open_until <= now)
    derate_breaker_half_open_locked (self, now, NULL);
  if (self->ramp != NULL && self->ramp->end <= now)
    {
      g_clear_pointer (&self->ramp, g_free);
      derate_breaker_publish_locked (self);
    }
}
