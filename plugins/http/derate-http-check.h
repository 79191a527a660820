/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

G_BEGIN_DECLS

#define DERATE_TYPE_HTTP_CHECK (derate_http_check_get_type ())

G_DECLARE_FINAL_TYPE (DerateHttpCheck, derate_http_check, DERATE, HTTP_CHECK, GObject)

/* A DerateHealthCheckFactory. */
DerateHealthCheck *derate_http_check_new (const char *service,
                                          GVariant   *options,
                                          gpointer    user_data,
                                          GError    **error);

G_END_DECLS
