/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

/**
 * DerateFaultKind:
 * @DERATE_FAULT_KIND_UNKNOWN: none
 * @DERATE_FAULT_KIND_DOWN: every call is refused
 * @DERATE_FAULT_KIND_ERROR_RATE: a share of the calls is refused
 * @DERATE_FAULT_KIND_LATENCY: every call, and every health check, begins later
 *
 * What a drill does to a service, inside this process. The nick is what users see.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_FAULT_KIND_UNKNOWN = 0,
  DERATE_FAULT_KIND_DOWN,
  DERATE_FAULT_KIND_ERROR_RATE,
  DERATE_FAULT_KIND_LATENCY,
} DerateFaultKind;

DERATE_AVAILABLE_IN_1_0
const char *derate_fault_kind_get_nick (DerateFaultKind kind);

G_END_DECLS
