/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

G_BEGIN_DECLS

#define DERATE_TYPE_S3_CHECK (derate_s3_check_get_type ())

G_DECLARE_FINAL_TYPE (DerateS3Check, derate_s3_check, DERATE, S3_CHECK, GObject)

/* A DerateHealthCheckFactory. */
DerateHealthCheck *derate_s3_check_new (const char *service,
                                        GVariant   *options,
                                        gpointer    user_data,
                                        GError    **error);

G_END_DECLS
