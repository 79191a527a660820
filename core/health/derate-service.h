/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-breaker.h>
#include <derate-clock.h>
#include <derate-health-check-config.h>
#include <derate-health-check.h>
#include <derate-service-role.h>

G_BEGIN_DECLS

/**
 * DERATE_SERVICE_RATE_DEFAULT:
 *
 * For [method@Service.set_breaker_degraded_rate]: half of the breaker's failure-rate-threshold, and
 * off for a database.
 *
 * Since: 1.0
 */
#define DERATE_SERVICE_RATE_DEFAULT (-1.0)

#define DERATE_TYPE_SERVICE (derate_service_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateService, derate_service, DERATE, SERVICE, GObject)

DERATE_AVAILABLE_IN_1_0
DerateService *derate_service_new (const char       *name,
                                   DerateServiceRole role,
                                   DerateClock      *clock);

DERATE_AVAILABLE_IN_1_0
void derate_service_set_criticality (DerateService    *service,
                                     DerateCriticality criticality);

DERATE_AVAILABLE_IN_1_0
void derate_service_set_plugin (DerateService *service,
                                const char    *plugin);

DERATE_AVAILABLE_IN_1_0
void derate_service_set_health_check (DerateService     *service,
                                      DerateHealthCheck *check);

DERATE_AVAILABLE_IN_1_0
void derate_service_set_check_config (DerateService                 *service,
                                      const DerateHealthCheckConfig *config);

DERATE_AVAILABLE_IN_1_0
void derate_service_set_breaker (DerateService *service,
                                 DerateBreaker *breaker);

DERATE_AVAILABLE_IN_1_0
void derate_service_set_breaker_degraded_rate (DerateService *service,
                                               double         rate);

DERATE_AVAILABLE_IN_1_0
void derate_service_set_remote (DerateService *service,
                                gboolean       remote);

DERATE_AVAILABLE_IN_1_0
void derate_service_set_finding (DerateService      *service,
                                 const char         *source,
                                 DerateHealthReport *report);

DERATE_AVAILABLE_IN_1_0
const char *derate_service_get_name (DerateService *service);

DERATE_AVAILABLE_IN_1_0
DerateServiceRole derate_service_get_role (DerateService *service);

DERATE_AVAILABLE_IN_1_0
DerateCriticality derate_service_get_criticality (DerateService *service);

DERATE_AVAILABLE_IN_1_0
const char *derate_service_get_plugin (DerateService *service);

DERATE_AVAILABLE_IN_1_0
DerateHealthCheck *derate_service_get_health_check (DerateService *service);

DERATE_AVAILABLE_IN_1_0
DerateHealthCheckConfig *derate_service_dup_check_config (DerateService *service);

DERATE_AVAILABLE_IN_1_0
DerateBreaker *derate_service_get_breaker (DerateService *service);

DERATE_AVAILABLE_IN_1_0
gboolean derate_service_get_remote (DerateService *service);

DERATE_AVAILABLE_IN_1_0
DerateHealthStatus derate_service_get_status (DerateService *service);

DERATE_AVAILABLE_IN_1_0
DerateHealthCause derate_service_get_cause (DerateService *service);

DERATE_AVAILABLE_IN_1_0
char *derate_service_dup_error (DerateService *service);

DERATE_AVAILABLE_IN_1_0
gint64 derate_service_get_since (DerateService *service);

DERATE_AVAILABLE_IN_1_0
gint64 derate_service_get_last_check (DerateService *service);

DERATE_AVAILABLE_IN_1_0
guint64 derate_service_get_check_errors (DerateService *service);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_service_dup_history (DerateService *service);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_service_to_variant (DerateService *service);

DERATE_AVAILABLE_IN_1_0
void derate_service_check_async (DerateService      *service,
                                 GCancellable       *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer            user_data);

DERATE_AVAILABLE_IN_1_0
DerateHealthReport *derate_service_check_finish (DerateService *service,
                                                 GAsyncResult  *result,
                                                 GError       **error);

G_END_DECLS
