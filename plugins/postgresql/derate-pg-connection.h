/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-pg-batch.h>
#include <derate-pg-error.h>
#include <derate-pg-result.h>
#include <gio/gio.h>

G_BEGIN_DECLS

#define DERATE_TYPE_PG_CONNECTION (derate_pg_connection_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DeratePgConnection, derate_pg_connection, DERATE, PG_CONNECTION, GObject)

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_connection_check_uri (const char *uri,
                                         GError    **error);

DERATE_AVAILABLE_IN_1_0
void derate_pg_connection_open_async (const char         *uri,
                                      const char         *password,
                                      GCancellable       *cancellable,
                                      GAsyncReadyCallback callback,
                                      gpointer            user_data);

DERATE_AVAILABLE_IN_1_0
DeratePgConnection *derate_pg_connection_open_finish (GAsyncResult *result,
                                                      GError      **error);

DERATE_AVAILABLE_IN_1_0
const char *derate_pg_connection_get_passed_over (DeratePgConnection *connection);

DERATE_AVAILABLE_IN_1_0
void derate_pg_connection_query_async (DeratePgConnection *connection,
                                       const char         *sql,
                                       GVariant           *parameters,
                                       GCancellable       *cancellable,
                                       GAsyncReadyCallback callback,
                                       gpointer            user_data);

DERATE_AVAILABLE_IN_1_0
DeratePgResult *derate_pg_connection_query_finish (DeratePgConnection *connection,
                                                   GAsyncResult       *result,
                                                   GError            **error);

DERATE_AVAILABLE_IN_1_0
DeratePgResult *derate_pg_connection_query (DeratePgConnection *connection,
                                            const char         *sql,
                                            GVariant           *parameters,
                                            GCancellable       *cancellable,
                                            GError            **error);

DERATE_AVAILABLE_IN_1_0
void derate_pg_connection_run_async (DeratePgConnection *connection,
                                     DeratePgBatch      *batch,
                                     DeratePgBatchFlags  flags,
                                     GCancellable       *cancellable,
                                     GAsyncReadyCallback callback,
                                     gpointer            user_data);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_connection_run_finish (DeratePgConnection *connection,
                                          GAsyncResult       *result,
                                          GError            **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_connection_run (DeratePgConnection *connection,
                                   DeratePgBatch      *batch,
                                   DeratePgBatchFlags  flags,
                                   GCancellable       *cancellable,
                                   GError            **error);

DERATE_AVAILABLE_IN_1_0
void derate_pg_connection_set_query_timeout (DeratePgConnection *connection,
                                             GTimeSpan           timeout);

DERATE_AVAILABLE_IN_1_0
guint derate_pg_connection_get_pid (DeratePgConnection *connection);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_connection_is_usable (DeratePgConnection *connection);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_connection_is_standby (DeratePgConnection *connection);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_connection_is_read_only (DeratePgConnection *connection);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_connection_is_in_transaction (DeratePgConnection *connection);

DERATE_AVAILABLE_IN_1_0
void derate_pg_connection_close (DeratePgConnection *connection);

G_END_DECLS
