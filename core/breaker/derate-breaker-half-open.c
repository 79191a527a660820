/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-machine-private.h"

#include <math.h>

/* The probes of a half-open breaker: how many there may be, and what they decide. All of it is
 * called with the mutex. Each probe that is out has a place among the leases with the time by which
 * it must be answered. They are there while the breaker is half-open.
 *
 * Strictly, half-open-max-calls may be out at once. By rate, that many may be out or answered: a
 * probe past its lease is answered by that, as a failure, but keeps its place, for its own answer
 * may yet come and must be told from another's. */

#define LEASE_FREE 0
#define LEASE_EXPIRED -1

#define PROBES_SIZE(n) (sizeof (DerateBreakerProbes) + (n) * sizeof (gint64))

static gboolean
decides_by_rate (DerateBreaker *self)
{
  return self->settings->half_open_decision == DERATE_BREAKER_DECISION_RATE;
}

static guint
count_answered (DerateBreaker *self)
{
  return self->probes->successes + self->probes->failures;
}

static void
start_probing (DerateBreaker *self)
{
  guint n = self->settings->half_open_max_calls;

  self->asked_for = FALSE;
  g_free (self->probes);
  self->probes = g_malloc0 (PROBES_SIZE (n));
  self->probes->n = n;
  derate_breaker_renew_locked (self);
}

gboolean
derate_breaker_half_open_locked (DerateBreaker *self, gint64 now, GError **error)
{
  if (self->state == DERATE_BREAKER_STATE_HALF_OPEN)
    return TRUE;
  if (derate_breaker_transit_locked (self, DERATE_BREAKER_STATE_HALF_OPEN, now, error) == NULL)
    return FALSE;
  start_probing (self);
  return TRUE;
}

/* The settings are new. Answers that were counted for another kind of decision decide nothing. */
void
derate_breaker_adopt_probes_locked (DerateBreaker *self, const DerateBreakerSettings *old)
{
  guint n = self->settings->half_open_max_calls;

  if (self->state != DERATE_BREAKER_STATE_HALF_OPEN)
    return;
  if (old->half_open_decision != self->settings->half_open_decision)
    {
      start_probing (self);
      return;
    }
  if (self->probes->n >= n)
    return;
  self->probes = g_realloc (self->probes, PROBES_SIZE (n));
  while (self->probes->n < n)
    self->probes->leases[self->probes->n++] = LEASE_FREE;
}

static guint
count_out (DerateBreaker *self)
{
  guint n = 0;

  for (guint i = 0; i < self->probes->n; i++)
    n += self->probes->leases[i] > LEASE_FREE ? 1 : 0;
  return n;
}

gboolean
derate_breaker_has_probe_locked (DerateBreaker *self)
{
  guint taken = count_out (self) + (decides_by_rate (self) ? count_answered (self) : 0);

  return taken < self->settings->half_open_max_calls;
}

guint32
derate_breaker_take_probe_locked (DerateBreaker *self, gint64 now)
{
  if (!derate_breaker_has_probe_locked (self))
    return 0;
  for (guint i = 0; i < self->probes->n; i++)
    if (self->probes->leases[i] == LEASE_FREE)
      {
        self->probes->leases[i] = now + derate_breaker_settings_get_lease (self->settings);
        return i + 1;
      }
  return 0;
}

gboolean
derate_breaker_probe_is_out_locked (DerateBreaker *self, guint32 probe)
{
  return self->probes != NULL && probe != 0 && probe <= self->probes->n &&
         self->probes->leases[probe - 1] > LEASE_FREE;
}

gint64
derate_breaker_get_earliest_lease_locked (DerateBreaker *self)
{
  gint64 earliest = DERATE_CLOCK_NEVER;

  for (guint i = 0; self->probes != NULL && i < self->probes->n; i++)
    if (self->probes->leases[i] > LEASE_FREE)
      earliest = MIN (earliest, self->probes->leases[i]);
  return earliest;
}

/* The rate that the probes decided by, NaN before. */
double
derate_breaker_get_probe_rate_locked (DerateBreaker *self)
{
  guint n = self->probes != NULL ? count_answered (self) : 0;

  if (!decides_by_rate (self) || n < self->settings->half_open_max_calls)
    return NAN;
  return (double)self->probes->failures / n;
}

/* By rate, once there are answers enough. */
static void
decide_by_rate (DerateBreaker *self, gint64 now)
{
  const DerateBreakerSettings *settings = self->settings;
  guint n = count_answered (self);

  if (n < settings->half_open_max_calls)
    return;
  if (derate_breaker_reaches (self->probes->failures, n, settings->failure_rate_threshold) ||
      (settings->slow_call_duration > 0 &&
       derate_breaker_reaches (self->probes->slow, n, settings->slow_call_rate_threshold)))
    derate_breaker_open_locked (self, now, 0);
  else
    derate_breaker_recover_locked (self, now);
}

static void
count_success (DerateBreaker *self, gint64 now)
{
  self->probes->successes++;
  if (decides_by_rate (self))
    decide_by_rate (self, now);
  else if (self->probes->successes >= self->settings->success_threshold)
    derate_breaker_recover_locked (self, now);
}

static void
count_failure (DerateBreaker *self, gint64 now)
{
  self->probes->failures++;
  if (self->consecutive_failures == 0)
    self->success_mark = derate_breaker_count_successes_locked (self);
  self->consecutive_failures++;
  self->failure_streak++;
  self->last_failure = now;
  if (decides_by_rate (self))
    decide_by_rate (self, now);
  else
    derate_breaker_open_locked (self, now, 0);
}

/* A probe past its lease has failed, as of the moment it was due, however late somebody asks. */
void
derate_breaker_expire_leases_locked (DerateBreaker *self, gint64 now)
{
  while (self->state == DERATE_BREAKER_STATE_HALF_OPEN)
    {
      gint64 earliest = derate_breaker_get_earliest_lease_locked (self);
      guint i = 0;

      if (earliest > now)
        return;
      while (self->probes->leases[i] != earliest)
        i++;
      self->probes->leases[i] = LEASE_EXPIRED;
      count_failure (self, earliest);
    }
}

/* Fewer answers may be wanted than were when the last of them came. */
void
derate_breaker_decide_locked (DerateBreaker *self, gint64 now)
{
  if (self->state == DERATE_BREAKER_STATE_HALF_OPEN && decides_by_rate (self))
    decide_by_rate (self, now);
}

/* The end of a probe that is out. */
void
derate_breaker_take_answer_locked (DerateBreaker *self,
                                   guint32 probe,
                                   DerateOutcome outcome,
                                   gboolean slow,
                                   gint64 now)
{
  self->probes->leases[probe - 1] = LEASE_FREE;
  if (outcome == OUTCOME_NEUTRAL)
    return;
  self->probes->slow += slow ? 1 : 0;
  if (outcome == OUTCOME_FAILURE)
    count_failure (self, now);
  else
    {
      self->consecutive_failures = 0;
      count_success (self, now);
    }
}

/* A good check stands for a probe that nobody asked for. */
void
derate_breaker_take_good_check_locked (DerateBreaker *self, gint64 now)
{
  gboolean asked_for = self->asked_for;

  self->asked_for = FALSE;
  if (!asked_for && derate_breaker_has_probe_locked (self))
    count_success (self, now);
}
