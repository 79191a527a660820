/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-check-report.h"

#include <derate-redact.h>

/* clang-format off */
static const struct
{
  GIOErrorEnum code;
  DerateHealthCause cause;
} io_causes[] = {
  { G_IO_ERROR_CONNECTION_REFUSED,  DERATE_HEALTH_CAUSE_REFUSED },
  { G_IO_ERROR_NOT_FOUND,           DERATE_HEALTH_CAUSE_REFUSED }, /* a unix socket that is gone */
  { G_IO_ERROR_HOST_UNREACHABLE,    DERATE_HEALTH_CAUSE_REFUSED },
  { G_IO_ERROR_NETWORK_UNREACHABLE, DERATE_HEALTH_CAUSE_REFUSED },
  { G_IO_ERROR_CONNECTION_CLOSED,   DERATE_HEALTH_CAUSE_REFUSED }, /* also G_IO_ERROR_BROKEN_PIPE */
  { G_IO_ERROR_NOT_CONNECTED,       DERATE_HEALTH_CAUSE_REFUSED },
  { G_IO_ERROR_TIMED_OUT,           DERATE_HEALTH_CAUSE_TIMEOUT },
  { G_IO_ERROR_PARTIAL_INPUT,       DERATE_HEALTH_CAUSE_PROTOCOL },
  { G_IO_ERROR_INVALID_DATA,        DERATE_HEALTH_CAUSE_PROTOCOL },
  { G_IO_ERROR_MESSAGE_TOO_LARGE,   DERATE_HEALTH_CAUSE_PROTOCOL },
};
/* clang-format on */

DerateHealthReport *
derate_check_report_new (DerateHealthStatus status,
                         DerateHealthCause cause,
                         const char *format,
                         ...)
{
  g_autofree char *text = NULL;
  g_autofree char *shown = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  shown = derate_redact (text);
  return derate_health_report_new (status, cause, shown);
}

static DerateHealthCause
cause_of_io_error (int code)
{
  for (guint i = 0; i < G_N_ELEMENTS (io_causes); i++)
    {
      if ((int)io_causes[i].code == code)
        return io_causes[i].cause;
    }
  return DERATE_HEALTH_CAUSE_PROTOCOL;
}

static DerateHealthCause
cause_of_error (const GError *error)
{
  if (error->domain == G_IO_ERROR)
    return cause_of_io_error (error->code);
  /* A name that does not exist is set up wrongly; a name server that fails is one that is late. */
  if (g_error_matches (error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND))
    return DERATE_HEALTH_CAUSE_CONFIG;
  if (error->domain == G_TLS_ERROR)
    return DERATE_HEALTH_CAUSE_CONFIG;
  if (error->domain == G_RESOLVER_ERROR ||
      g_error_matches (error, DERATE_ERROR, DERATE_ERROR_TIMED_OUT))
    return DERATE_HEALTH_CAUSE_TIMEOUT;
  return DERATE_HEALTH_CAUSE_PROTOCOL;
}

DerateHealthReport *
derate_check_report_from_error (const GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED) ||
      g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES))
    return NULL;
  return derate_check_report_new (DERATE_HEALTH_STATUS_DOWN, cause_of_error (error), "%s",
                                  error->message);
}

void
derate_check_return_report (GTask *task, DerateHealthReport *report)
{
  g_task_return_pointer (task, report, (GDestroyNotify)derate_health_report_unref);
}

void
derate_check_return_error (GTask *task, GError *error)
{
  DerateHealthReport *report = derate_check_report_from_error (error);

  if (report == NULL)
    {
      g_task_return_error (task, error);
      return;
    }
  derate_check_return_report (task, report);
  g_error_free (error);
}

static DerateHealthReport *
run_finish (DerateHealthCheck *check, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, check), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

static DerateHealthCheckThreading
get_threading (DerateHealthCheck *check)
{
  return DERATE_HEALTH_CHECK_ANY_THREAD;
}

void
derate_check_iface_fill (DerateHealthCheckInterface *iface)
{
  iface->run_finish = run_finish;
  iface->get_threading = get_threading;
}
