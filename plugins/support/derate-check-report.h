/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

G_BEGIN_DECLS

/* A report with secrets taken out of the message. */
DerateHealthReport *derate_check_report_new (DerateHealthStatus status,
                                             DerateHealthCause  cause,
                                             const char        *format,
                                             ...) G_GNUC_PRINTF (3, 4);

/* What a failure of the transport says about the service: refused, timeout, protocol. NULL where it
 * says nothing about it (cancelled, no descriptor left): then the error is the check's own. */
DerateHealthReport *derate_check_report_from_error (const GError *error);

/* How a check that runs in any thread ends its task, with what derate_check_iface_fill () sets. */
void derate_check_return_report (GTask              *task,
                                 DerateHealthReport *report);

/* With a report, or with the error where it says nothing about the service. */
void derate_check_return_error (GTask  *task,
                                GError *error);

/* All but its run_async. */
void derate_check_iface_fill (DerateHealthCheckInterface *iface);

G_END_DECLS
