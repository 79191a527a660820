/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-fault-private.h"

#include "derate-error.h"
#include "derate-time-span.h"

static const char *const nicks[] = {
  [DERATE_FAULT_KIND_UNKNOWN] = "unknown",
  [DERATE_FAULT_KIND_DOWN] = "down",
  [DERATE_FAULT_KIND_ERROR_RATE] = "error-rate",
  [DERATE_FAULT_KIND_LATENCY] = "latency",
};

/**
 * derate_fault_kind_get_nick:
 * @kind: a kind of fault
 *
 * The name users see. May be called from any thread.
 *
 * Returns: the nick, such as `error-rate`; `unknown` for anything else
 *
 * Since: 1.0
 */
const char *
derate_fault_kind_get_nick (DerateFaultKind kind)
{
  return (guint)kind < G_N_ELEMENTS (nicks) ? nicks[kind] : "unknown";
}

static gboolean
check_rate (double rate, GError **error)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  if (rate > 0 && rate <= 1)
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
               "error-rate %s is not more than 0 and at most 1",
               g_ascii_formatd (text, sizeof text, "%g", rate));
  return FALSE;
}

static gboolean
check_latency (GTimeSpan latency, GError **error)
{
  g_autofree char *most = NULL;

  if (latency > 0 && latency <= DERATE_FAULT_LATENCY_MAX)
    return TRUE;
  most = derate_time_span_to_string (DERATE_FAULT_LATENCY_MAX);
  if (latency <= 0)
    g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                 "latency is not more than 0 and at most %s", most);
  else
    {
      g_autofree char *text = derate_time_span_to_string (latency);

      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                   "latency %s is not more than 0 and at most %s", text, most);
    }
  return FALSE;
}

gboolean
derate_fault_check (const DerateFault *fault, GError **error)
{
  switch (fault->kind)
    {
    case DERATE_FAULT_KIND_DOWN:
      return TRUE;
    case DERATE_FAULT_KIND_ERROR_RATE:
      return check_rate (fault->rate, error);
    case DERATE_FAULT_KIND_LATENCY:
      return check_latency (fault->latency, error);
    case DERATE_FAULT_KIND_UNKNOWN:
    default:
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                   "fault: one of down, error-rate and latency is wanted");
      return FALSE;
    }
}

double
derate_fault_get_share (const DerateFault *fault)
{
  if (fault == NULL)
    return 0;
  if (fault->kind == DERATE_FAULT_KIND_ERROR_RATE)
    return fault->rate;
  return fault->kind == DERATE_FAULT_KIND_DOWN ? 1 : 0;
}

GTimeSpan
derate_fault_get_delay (const DerateFault *fault)
{
  return fault != NULL && fault->kind == DERATE_FAULT_KIND_LATENCY ? fault->latency : 0;
}
