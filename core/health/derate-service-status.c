/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-service-room-private.h"

/* The status of a service as a pure function of what its checks and its breaker say, in one word.
 */

guint
derate_service_word (DerateHealthStatus status,
                     DerateHealthCause cause,
                     DerateHealthStatus after_grace)
{
  return (guint)status | (guint)cause << 8 | (guint)after_grace << 16;
}

DerateHealthStatus
derate_service_word_get_status (guint word)
{
  return word & 0xff;
}

DerateHealthCause
derate_service_word_get_cause (guint word)
{
  return word >> 8 & 0xff;
}

DerateHealthStatus
derate_service_word_get_after_grace (guint word)
{
  return word >> 16 & 0xff;
}

/* Unknown is worse than degraded, because it may be down, and better than down, which is certain.
 */
static guint
rank (DerateHealthStatus status)
{
  static const guint ranks[] = {
    [DERATE_HEALTH_STATUS_HEALTHY] = 0,
    [DERATE_HEALTH_STATUS_DEGRADED] = 1,
    [DERATE_HEALTH_STATUS_UNKNOWN] = 2,
    [DERATE_HEALTH_STATUS_DOWN] = 3,
  };

  return ranks[status];
}

static void
read_check (const DerateHealthStreak *streak,
            gboolean stale,
            const DerateBreakerView *view,
            DerateHealthStatus *status,
            DerateHealthCause *cause)
{
  *cause = DERATE_HEALTH_CAUSE_NONE;
  if (streak == NULL)
    {
      /* Without a check the breaker alone speaks; without both nobody does. */
      *status = view->present ? DERATE_HEALTH_STATUS_HEALTHY : DERATE_HEALTH_STATUS_UNKNOWN;
      return;
    }
  *status = streak->status;
  if (streak->status == DERATE_HEALTH_STATUS_UNKNOWN && stale)
    *cause = DERATE_HEALTH_CAUSE_STALE;
  else
    *cause = streak->cause;
}

static void
read_breaker (const DerateBreakerView *view,
              gboolean has_check,
              DerateHealthStatus *status,
              DerateHealthCause *cause)
{
  *status = DERATE_HEALTH_STATUS_HEALTHY;
  *cause = DERATE_HEALTH_CAUSE_NONE;
  if (!view->present)
    return;
  if (view->state == DERATE_BREAKER_STATE_OPEN)
    {
      *status = DERATE_HEALTH_STATUS_DOWN;
      *cause = DERATE_HEALTH_CAUSE_BREAKER_OPEN;
    }
  else if (view->state == DERATE_BREAKER_STATE_HALF_OPEN)
    {
      if (!has_check)
        {
          *status = DERATE_HEALTH_STATUS_DEGRADED;
          *cause = DERATE_HEALTH_CAUSE_BREAKER_OPEN;
        }
    }
  else if (view->failure_rate >= view->degraded_rate)
    {
      /* It answers, with errors of its own. A NaN is not at or above anything. */
      *status = DERATE_HEALTH_STATUS_DEGRADED;
      *cause = DERATE_HEALTH_CAUSE_PROTOCOL;
    }
}

guint
derate_service_word_compute (const DerateHealthStreak *streak,
                             gboolean stale,
                             gboolean in_grace,
                             const DerateBreakerView *view)
{
  DerateHealthStatus status;
  DerateHealthCause cause;
  DerateHealthStatus breaker_status;
  DerateHealthCause breaker_cause;
  DerateHealthStatus after_grace;

  read_check (streak, stale, view, &status, &cause);
  read_breaker (view, streak != NULL, &breaker_status, &breaker_cause);
  /* The check's cause says more, so it is kept where both say the same. */
  if (rank (breaker_status) > rank (status))
    {
      status = breaker_status;
      cause = breaker_cause;
    }

  after_grace = status;
  if (status == DERATE_HEALTH_STATUS_UNKNOWN && in_grace)
    after_grace = breaker_status;
  else if (status == DERATE_HEALTH_STATUS_UNKNOWN)
    after_grace = view->recent_success ? DERATE_HEALTH_STATUS_DEGRADED : DERATE_HEALTH_STATUS_DOWN;
  return derate_service_word (status, cause, after_grace);
}
