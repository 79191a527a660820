/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "test-servers.h"

#include <derate-postgresql.h>

G_BEGIN_DECLS

/* Sessions and queries that the main context waits for; they fail the test where nothing is said
 * of errors. */

/* For any asynchronous call: @user_data is a GAsyncResult ** that pg_wait () waits for. */
void pg_take_result (GObject      *source,
                     GAsyncResult *result,
                     gpointer      user_data);
void pg_wait (GAsyncResult **result);

DeratePgConnection *pg_try_open (const char *uri,
                                 const char *password,
                                 GError    **error);
DeratePgConnection *pg_open (TestServers *servers);

DeratePgResult *pg_query (DeratePgConnection *connection,
                          const char         *sql,
                          GVariant           *parameters,
                          GError            **error);

/* The first value of the first row, in a session of its own. */
char *pg_run (TestServers *servers,
              const char  *sql);
void pg_execute (TestServers *servers,
                 const char  *sql);

/* Waits until a query gives this value. */
void pg_expect (TestServers *servers,
                const char  *sql,
                const char  *value);

G_END_DECLS
