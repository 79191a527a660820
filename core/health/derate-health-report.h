/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

/**
 * DerateHealthStatus:
 * @DERATE_HEALTH_STATUS_UNKNOWN: no result, or one that is too old
 * @DERATE_HEALTH_STATUS_HEALTHY: works
 * @DERATE_HEALTH_STATUS_DEGRADED: answers, but slowly, in part, or read-only
 * @DERATE_HEALTH_STATUS_DOWN: does not answer, or cannot be used
 *
 * How a service is. The values are those of the gauge `service_health_status`.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_HEALTH_STATUS_UNKNOWN = 0,
  DERATE_HEALTH_STATUS_HEALTHY = 1,
  DERATE_HEALTH_STATUS_DEGRADED = 2,
  DERATE_HEALTH_STATUS_DOWN = 3,
} DerateHealthStatus;

/**
 * DerateHealthCause:
 * @DERATE_HEALTH_CAUSE_NONE: nothing is wrong
 * @DERATE_HEALTH_CAUSE_REFUSED: the connection was refused
 * @DERATE_HEALTH_CAUSE_TIMEOUT: no answer in time
 * @DERATE_HEALTH_CAUSE_AUTH: the credentials were refused
 * @DERATE_HEALTH_CAUSE_SLOW: an answer, but late
 * @DERATE_HEALTH_CAUSE_READ_ONLY: takes no writes
 * @DERATE_HEALTH_CAUSE_THROTTLED: asks for fewer calls
 * @DERATE_HEALTH_CAUSE_OVERLOADED: has no room: connections, memory, loading
 * @DERATE_HEALTH_CAUSE_PROTOCOL: an answer that makes no sense, or an error of its own
 * @DERATE_HEALTH_CAUSE_CONFIG: reachable, but set up wrongly: no such bucket, key or permission
 * @DERATE_HEALTH_CAUSE_STALE: the last result is older than three intervals
 * @DERATE_HEALTH_CAUSE_BREAKER_OPEN: its circuit breaker is open
 * @DERATE_HEALTH_CAUSE_MAINTENANCE: it says itself that it is being worked on
 * @DERATE_HEALTH_CAUSE_DRILL: a drill pretends so
 *
 * Why a service is not healthy. A closed list; the nick is what users see.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_HEALTH_CAUSE_NONE = 0,
  DERATE_HEALTH_CAUSE_REFUSED,
  DERATE_HEALTH_CAUSE_TIMEOUT,
  DERATE_HEALTH_CAUSE_AUTH,
  DERATE_HEALTH_CAUSE_SLOW,
  DERATE_HEALTH_CAUSE_READ_ONLY,
  DERATE_HEALTH_CAUSE_THROTTLED,
  DERATE_HEALTH_CAUSE_OVERLOADED,
  DERATE_HEALTH_CAUSE_PROTOCOL,
  DERATE_HEALTH_CAUSE_CONFIG,
  DERATE_HEALTH_CAUSE_STALE,
  DERATE_HEALTH_CAUSE_BREAKER_OPEN,
  DERATE_HEALTH_CAUSE_MAINTENANCE,
  DERATE_HEALTH_CAUSE_DRILL,
} DerateHealthCause;

DERATE_AVAILABLE_IN_1_0
const char *derate_health_status_get_nick (DerateHealthStatus status);

DERATE_AVAILABLE_IN_1_0
const char *derate_health_cause_get_nick (DerateHealthCause cause);

#define DERATE_TYPE_HEALTH_REPORT (derate_health_report_get_type ())

typedef struct _DerateHealthReport DerateHealthReport;

DERATE_AVAILABLE_IN_1_0
GType derate_health_report_get_type (void);

DERATE_AVAILABLE_IN_1_0
DerateHealthReport *derate_health_report_new (DerateHealthStatus status,
                                              DerateHealthCause  cause,
                                              const char        *message);

DERATE_AVAILABLE_IN_1_0
DerateHealthReport *derate_health_report_ref (DerateHealthReport *report);

DERATE_AVAILABLE_IN_1_0
void derate_health_report_unref (DerateHealthReport *report);

DERATE_AVAILABLE_IN_1_0
DerateHealthStatus derate_health_report_get_status (DerateHealthReport *report);

DERATE_AVAILABLE_IN_1_0
DerateHealthCause derate_health_report_get_cause (DerateHealthReport *report);

DERATE_AVAILABLE_IN_1_0
const char *derate_health_report_get_message (DerateHealthReport *report);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateHealthReport, derate_health_report_unref)

G_END_DECLS
