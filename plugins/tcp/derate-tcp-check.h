/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

G_BEGIN_DECLS

#define DERATE_TYPE_TCP_CHECK (derate_tcp_check_get_type ())

G_DECLARE_FINAL_TYPE (DerateTcpCheck, derate_tcp_check, DERATE, TCP_CHECK, GObject)

/* A DerateHealthCheckFactory. */
DerateHealthCheck *derate_tcp_check_new (const char *service,
                                          GVariant   *options,
                                          gpointer    user_data,
                                          GError    **error);

G_END_DECLS
