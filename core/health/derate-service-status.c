/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-service-room-private.h"

/* The status of a service as a pure function of what its checks, its breaker and a drill say, in
 * one word: a byte each for status and cause, and four bits each for what an unknown status counts
 * as after the grace, and for status and the same without the drill. */

guint
derate_service_word (const DerateServiceState *undrilled, const DerateServiceState *state)
{
  return (guint)state->status | (guint)state->cause << 8 | (guint)state->after_grace << 16 |
         (guint)undrilled->status << 20 | (guint)undrilled->after_grace << 24;
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
derate_service_word_get_effective (guint word, gboolean drilled, gboolean in_grace)
{
  DerateHealthStatus status = drilled ? word & 0xff : word >> 20 & 0xf;

  if (status == DERATE_HEALTH_STATUS_UNKNOWN && in_grace)
    return DERATE_HEALTH_STATUS_DEGRADED;
  return word >> (drilled ? 16 : 24) & 0xf;
}

guint
derate_service_rank_status (DerateHealthStatus status)
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

DerateHealthStatus
derate_service_read_drill (const DerateFault *drill, const DerateBreakerView *view)
{
  double share = derate_fault_get_share (drill);

  if (share == 0)
    return DERATE_HEALTH_STATUS_HEALTHY;
  if (drill->kind == DERATE_FAULT_KIND_DOWN || share >= view->down_rate)
    return DERATE_HEALTH_STATUS_DOWN;
  return share >= view->degraded_rate ? DERATE_HEALTH_STATUS_DEGRADED
                                      : DERATE_HEALTH_STATUS_HEALTHY;
}

static void
add_finding (DerateServiceState *state, DerateHealthReport *finding)
{
  DerateHealthStatus found = derate_health_report_get_status (finding);

  if (derate_service_rank_status (found) > derate_service_rank_status (state->status))
    {
      state->status = found;
      state->cause = derate_health_report_get_cause (finding);
    }
  if (derate_service_rank_status (found) > derate_service_rank_status (state->after_grace))
    state->after_grace = found;
}

static DerateServiceState
compute_undrilled (const DerateHealthStreak *streak,
                   gboolean stale,
                   gboolean in_grace,
                   const DerateBreakerView *view,
                   DerateHealthReport *finding)
{
  DerateServiceState state;
  DerateHealthStatus breaker_status;
  DerateHealthCause breaker_cause;

  read_check (streak, stale, view, &state.status, &state.cause);
  read_breaker (view, streak != NULL, &breaker_status, &breaker_cause);
  /* The check's cause says more, so it is kept where both say the same. */
  if (derate_service_rank_status (breaker_status) > derate_service_rank_status (state.status))
    {
      state.status = breaker_status;
      state.cause = breaker_cause;
    }

  state.after_grace = state.status;
  if (state.status == DERATE_HEALTH_STATUS_UNKNOWN && in_grace)
    state.after_grace = breaker_status;
  else if (state.status == DERATE_HEALTH_STATUS_UNKNOWN)
    state.after_grace =
        view->recent_success ? DERATE_HEALTH_STATUS_DEGRADED : DERATE_HEALTH_STATUS_DOWN;
  if (finding != NULL)
    add_finding (&state, finding);
  return state;
}

guint
derate_service_word_compute (const DerateHealthStreak *streak,
                             gboolean stale,
                             gboolean in_grace,
                             const DerateBreakerView *view,
                             DerateHealthReport *finding,
                             const DerateFault *drill)
{
  DerateServiceState undrilled = compute_undrilled (streak, stale, in_grace, view, finding);
  DerateServiceState state = undrilled;
  DerateHealthStatus drilled = derate_service_read_drill (drill, view);

  if (derate_service_rank_status (drilled) > derate_service_rank_status (state.status))
    {
      state.status = drilled;
      state.cause = DERATE_HEALTH_CAUSE_DRILL;
    }
  if (derate_service_rank_status (drilled) > derate_service_rank_status (state.after_grace))
    state.after_grace = drilled;
  return derate_service_word (&undrilled, &state);
}
