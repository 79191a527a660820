/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-service-room-private.h"

/* What users of a service find out about it while they use it, beside its checks and its breaker.
 * One finding for each of them; the worst counts. */

DerateHealthReport *
derate_service_get_worst_finding (DerateService *service)
{
  DerateHealthReport *worst = NULL;
  GHashTableIter iter;
  gpointer report;

  if (service->findings == NULL)
    return NULL;
  g_hash_table_iter_init (&iter, service->findings);
  while (g_hash_table_iter_next (&iter, NULL, &report))
    if (worst == NULL || derate_service_rank_status (derate_health_report_get_status (report)) >
                             derate_service_rank_status (derate_health_report_get_status (worst)))
      worst = report;
  return worst;
}

/* Called locked. */
static void
replace (DerateService *service, const char *source, DerateHealthReport *report)
{
  if (service->findings == NULL)
    service->findings = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
                                               (GDestroyNotify)derate_health_report_unref);
  if (report == NULL)
    g_hash_table_remove (service->findings, source);
  else
    g_hash_table_replace (service->findings, g_strdup (source), derate_health_report_ref (report));
}

/**
 * derate_service_set_finding:
 * @service: a service
 * @source: who found it, such as the name of a pool
 * @report: (nullable): what was found; %NULL takes back what @source found before
 *
 * Tells what a user of @service has found out about it, beside its checks and its breaker: the
 * service is at least as bad as @report says until @source says otherwise. A healthy report has no
 * effect. Its message must hold no secret. The status has changed when this returns. May be called
 * from any thread.
 *
 * Since: 1.0
 */
void
derate_service_set_finding (DerateService *service, const char *source, DerateHealthReport *report)
{
  g_return_if_fail (DERATE_IS_SERVICE (service));
  g_return_if_fail (source != NULL);

  g_mutex_lock (&service->mutex);
  replace (service, source, report);
  g_mutex_unlock (&service->mutex);
  derate_service_tell (service);
}
