/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

G_BEGIN_DECLS

#define DERATE_TYPE_REDIS_CHECK (derate_redis_check_get_type ())

G_DECLARE_FINAL_TYPE (DerateRedisCheck, derate_redis_check, DERATE, REDIS_CHECK, GObject)

/* A DerateHealthCheckFactory. */
DerateHealthCheck *derate_redis_check_new (const char *service,
                                           GVariant   *options,
                                           gpointer    user_data,
                                           GError    **error);

G_END_DECLS
