/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-fault.h"

G_BEGIN_DECLS

/* The most a drill may delay a call: longer, and it is down for any caller. */
#define DERATE_FAULT_LATENCY_MAX (5 * G_TIME_SPAN_MINUTE)

/* What a drill does to a service; the kind says which of the numbers counts. */
typedef struct
{
  DerateFaultKind kind;
  double rate;       /* error-rate: more than 0, at most 1 */
  GTimeSpan latency; /* latency: more than 0, at most DERATE_FAULT_LATENCY_MAX */
} DerateFault;

/* FALSE with DERATE_ERROR_INVALID_ARGUMENT that names the kind and its number. */
gboolean derate_fault_check (const DerateFault *fault,
                             GError           **error);

/* What it comes to, where it counts: of calls that are refused, 0 to 1, and by how much the others
 * and the checks are late. A @fault (nullable) that is none does neither. */
double derate_fault_get_share (const DerateFault *fault);
GTimeSpan derate_fault_get_delay (const DerateFault *fault);

G_END_DECLS
