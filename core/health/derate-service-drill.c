/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-service-room-private.h"

/* What a drill does to a service: its status is at least as bad as the fault makes it, and calls
 * and checks are late. The share of calls that is refused is the breaker's to know, which several
 * services may have in common. */

void
derate_service_set_drill (DerateService *service, const DerateFault *fault)
{
  static const DerateFault none = { 0 };
  GTimeSpan delay = derate_fault_get_delay (fault);
  g_autoptr (DerateCheckRun) run = NULL;

  g_return_if_fail (DERATE_IS_SERVICE (service));

  g_mutex_lock (&service->mutex);
  service->drill = fault != NULL ? *fault : none;
  derate_delay_policy_set (service->delay, delay); /* takes no lock */
  if (delay == 0 && service->run != NULL)
    run = derate_check_run_ref (service->run);
  g_mutex_unlock (&service->mutex);
  /* Or it would say of the service, after the drill, what the drill made of it. */
  if (run != NULL)
    derate_check_run_hurry (run);
  derate_service_tell (service);
}

DeratePolicy *
derate_service_get_delay (DerateService *service)
{
  g_return_val_if_fail (DERATE_IS_SERVICE (service), NULL);

  return DERATE_POLICY (service->delay);
}

/* What checks that are late come to. */
static DerateHealthStatus
judge_delay (DerateService *service, GTimeSpan delay)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&service->mutex);

  if (service->check == NULL || delay < derate_health_check_config_get_slow (service->config))
    return DERATE_HEALTH_STATUS_HEALTHY;
  return delay < derate_health_check_config_get_timeout (service->config)
             ? DERATE_HEALTH_STATUS_DEGRADED
             : DERATE_HEALTH_STATUS_DOWN;
}

DerateHealthStatus
derate_service_judge_fault (DerateService *service, const DerateFault *fault)
{
  DerateBreakerQuestion question;
  g_autoptr (DerateBreaker) breaker = NULL;
  DerateBreakerView view;

  g_return_val_if_fail (DERATE_IS_SERVICE (service), DERATE_HEALTH_STATUS_UNKNOWN);

  if (fault->kind == DERATE_FAULT_KIND_LATENCY)
    return judge_delay (service, fault->latency);
  breaker = derate_service_ref_breaker (service, &question);
  derate_service_breaker_read (breaker, &question, &view);
  return derate_service_read_drill (fault, &view);
}
