/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-health-streak-private.h"

static guint
count_on (guint count, gboolean goes_on)
{
  return goes_on ? MIN (count, G_MAXUINT - 1) + 1 : 0;
}

/* The status after the newest result was counted. A fall of mixed results (degraded, down, down)
 * is one to degraded; each status has to be confirmed on its own. */
static DerateHealthStatus
decide (const DerateHealthStreak *streak, guint fall, guint rise)
{
  if (streak->status == DERATE_HEALTH_STATUS_UNKNOWN)
    return streak->last;
  if (streak->status != DERATE_HEALTH_STATUS_DOWN && streak->n_down >= fall)
    return DERATE_HEALTH_STATUS_DOWN;
  if (streak->status == DERATE_HEALTH_STATUS_HEALTHY && streak->n_not_healthy >= fall)
    return DERATE_HEALTH_STATUS_DEGRADED;
  if (streak->status != DERATE_HEALTH_STATUS_HEALTHY && streak->n_healthy >= rise)
    return DERATE_HEALTH_STATUS_HEALTHY;
  if (streak->status == DERATE_HEALTH_STATUS_DOWN && streak->n_not_down >= rise)
    return DERATE_HEALTH_STATUS_DEGRADED;
  return streak->status;
}

gboolean
derate_health_streak_add (DerateHealthStreak *streak,
                          DerateHealthStatus result,
                          DerateHealthCause cause,
                          guint fall,
                          guint rise)
{
  DerateHealthStatus old_status = streak->status;
  DerateHealthCause old_cause = streak->cause;

  streak->last = result;
  if (result == DERATE_HEALTH_STATUS_DEGRADED)
    streak->degraded_cause = cause;
  else if (result == DERATE_HEALTH_STATUS_DOWN)
    streak->down_cause = cause;
  streak->n_healthy = count_on (streak->n_healthy, result == DERATE_HEALTH_STATUS_HEALTHY);
  streak->n_not_down = count_on (streak->n_not_down, result != DERATE_HEALTH_STATUS_DOWN);
  streak->n_not_healthy = count_on (streak->n_not_healthy, result != DERATE_HEALTH_STATUS_HEALTHY);
  streak->n_down = count_on (streak->n_down, result == DERATE_HEALTH_STATUS_DOWN);

  streak->status = decide (streak, fall, rise);
  if (streak->status == DERATE_HEALTH_STATUS_DOWN)
    streak->cause = streak->down_cause;
  else if (streak->status == DERATE_HEALTH_STATUS_DEGRADED)
    streak->cause = streak->degraded_cause;
  else
    streak->cause = DERATE_HEALTH_CAUSE_NONE;
  return streak->status != old_status || streak->cause != old_cause;
}

void
derate_health_streak_expire (DerateHealthStreak *streak)
{
  *streak = (DerateHealthStreak){ 0 };
}

gboolean
derate_health_streak_is_undecided (const DerateHealthStreak *streak)
{
  return streak->last != streak->status;
}
