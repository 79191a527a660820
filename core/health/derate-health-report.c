/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-health-report.h"

static const char *const status_nicks[] = {
  [DERATE_HEALTH_STATUS_UNKNOWN] = "unknown",
  [DERATE_HEALTH_STATUS_HEALTHY] = "healthy",
  [DERATE_HEALTH_STATUS_DEGRADED] = "degraded",
  [DERATE_HEALTH_STATUS_DOWN] = "down",
};

static const char *const cause_nicks[] = {
  [DERATE_HEALTH_CAUSE_NONE] = "none",
  [DERATE_HEALTH_CAUSE_REFUSED] = "refused",
  [DERATE_HEALTH_CAUSE_TIMEOUT] = "timeout",
  [DERATE_HEALTH_CAUSE_AUTH] = "auth",
  [DERATE_HEALTH_CAUSE_SLOW] = "slow",
  [DERATE_HEALTH_CAUSE_READ_ONLY] = "read-only",
  [DERATE_HEALTH_CAUSE_THROTTLED] = "throttled",
  [DERATE_HEALTH_CAUSE_OVERLOADED] = "overloaded",
  [DERATE_HEALTH_CAUSE_PROTOCOL] = "protocol",
  [DERATE_HEALTH_CAUSE_CONFIG] = "config",
  [DERATE_HEALTH_CAUSE_STALE] = "stale",
  [DERATE_HEALTH_CAUSE_BREAKER_OPEN] = "breaker-open",
  [DERATE_HEALTH_CAUSE_MAINTENANCE] = "maintenance",
  [DERATE_HEALTH_CAUSE_DRILL] = "drill",
};

/**
 * derate_health_status_get_nick:
 * @status: a status
 *
 * The name users see.
 *
 * Returns: the nick, such as `degraded`; `unknown` for anything else
 *
 * Since: 1.0
 */
const char *
derate_health_status_get_nick (DerateHealthStatus status)
{
  return (guint)status < G_N_ELEMENTS (status_nicks) ? status_nicks[status] : "unknown";
}

/**
 * derate_health_cause_get_nick:
 * @cause: a cause
 *
 * The name users see.
 *
 * Returns: the nick, such as `breaker-open`; `none` for anything else
 *
 * Since: 1.0
 */
const char *
derate_health_cause_get_nick (DerateHealthCause cause)
{
  return (guint)cause < G_N_ELEMENTS (cause_nicks) ? cause_nicks[cause] : "none";
}

/**
 * DerateHealthReport:
 *
 * What one health check found: a status, a cause and a message. Immutable, so it may be shared by
 * any number of threads.
 *
 * Since: 1.0
 */
struct _DerateHealthReport
{
  DerateHealthStatus status;
  DerateHealthCause cause;
  char *message;
};

G_DEFINE_BOXED_TYPE (DerateHealthReport,
                     derate_health_report,
                     derate_health_report_ref,
                     derate_health_report_unref)

/**
 * derate_health_report_new:
 * @status: how the service is
 * @cause: why; %DERATE_HEALTH_CAUSE_NONE when healthy
 * @message: (nullable): what was seen, lower-case and without secrets (see derate_redact())
 *
 * Makes a report.
 *
 * Returns: (transfer full): the report
 *
 * Since: 1.0
 */
DerateHealthReport *
derate_health_report_new (DerateHealthStatus status, DerateHealthCause cause, const char *message)
{
  DerateHealthReport *report = g_atomic_rc_box_new0 (DerateHealthReport);

  report->status = status;
  report->cause = cause;
  report->message = g_strdup (message);
  return report;
}

/**
 * derate_health_report_ref:
 * @report: a report
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @report
 *
 * Since: 1.0
 */
DerateHealthReport *
derate_health_report_ref (DerateHealthReport *report)
{
  return g_atomic_rc_box_acquire (report);
}

static void
report_clear (gpointer data)
{
  g_free (((DerateHealthReport *)data)->message);
}

/**
 * derate_health_report_unref:
 * @report: (transfer full): a report
 *
 * Drops a reference.
 *
 * Since: 1.0
 */
void
derate_health_report_unref (DerateHealthReport *report)
{
  g_atomic_rc_box_release_full (report, report_clear);
}

/**
 * derate_health_report_get_status:
 * @report: a report
 *
 * How the service was.
 *
 * Returns: the status
 *
 * Since: 1.0
 */
DerateHealthStatus
derate_health_report_get_status (DerateHealthReport *report)
{
  return report->status;
}

/**
 * derate_health_report_get_cause:
 * @report: a report
 *
 * Why.
 *
 * Returns: the cause
 *
 * Since: 1.0
 */
DerateHealthCause
derate_health_report_get_cause (DerateHealthReport *report)
{
  return report->cause;
}

/**
 * derate_health_report_get_message:
 * @report: a report
 *
 * What was seen.
 *
 * Returns: (nullable): the message
 *
 * Since: 1.0
 */
const char *
derate_health_report_get_message (DerateHealthReport *report)
{
  return report->message;
}
