/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-redis-error.h>
#include <derate-redis-reply.h>
#include <gio/gio.h>

G_BEGIN_DECLS

#define DERATE_TYPE_REDIS_CONNECTION (derate_redis_connection_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateRedisConnection,
                      derate_redis_connection,
                      DERATE,
                      REDIS_CONNECTION,
                      GObject)

DERATE_AVAILABLE_IN_1_0
gboolean derate_redis_connection_check_uri (const char *uri,
                                            GError    **error);

DERATE_AVAILABLE_IN_1_0
void derate_redis_connection_open_async (const char         *uri,
                                         const char         *password,
                                         GCancellable       *cancellable,
                                         GAsyncReadyCallback callback,
                                         gpointer            user_data);

DERATE_AVAILABLE_IN_1_0
DerateRedisConnection *derate_redis_connection_open_finish (GAsyncResult *result,
                                                            GError      **error);

DERATE_AVAILABLE_IN_1_0
void derate_redis_connection_command_async (DerateRedisConnection *connection,
                                            const char *const     *arguments,
                                            GCancellable          *cancellable,
                                            GAsyncReadyCallback    callback,
                                            gpointer               user_data);

DERATE_AVAILABLE_IN_1_0
DerateRedisReply *derate_redis_connection_command_finish (DerateRedisConnection *connection,
                                                          GAsyncResult          *result,
                                                          GError               **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_redis_connection_is_usable (DerateRedisConnection *connection);

DERATE_AVAILABLE_IN_1_0
void derate_redis_connection_close (DerateRedisConnection *connection);

G_END_DECLS
