/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "deratectl-json.h"
#include "deratectl.h"

G_BEGIN_DECLS

/* “down”, “20 % of calls fail”, “calls begin 2s later” */
char *deratectl_describe_fault (const char *fault,
                                double      rate,
                                double      latency_seconds);

/* One of `drills` in a status. */
char *deratectl_describe_drill (JsonObject *drill);

/* Prints what StopDrill answered in words, and gives what to exit with. */
int deratectl_print_report (GVariant *report);

/* FAILED for a drill that did not come to its end, nor to one that somebody wanted. */
int deratectl_get_exit_of_report (GVariant *report);

G_END_DECLS
