/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pg-client.h"

void
pg_take_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **)user_data = g_object_ref (result);
}

void
pg_wait (GAsyncResult **result)
{
  while (*result == NULL)
    g_main_context_iteration (g_main_context_get_thread_default (), TRUE);
}

DeratePgConnection *
pg_try_open (const char *uri, const char *password, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  derate_pg_connection_open_async (uri, password, NULL, pg_take_result, &result);
  pg_wait (&result);
  return derate_pg_connection_open_finish (result, error);
}

DeratePgConnection *
pg_open (TestServers *servers)
{
  g_autoptr (GError) error = NULL;
  DeratePgConnection *connection =
      pg_try_open (test_servers_get_uri (servers, "postgresql"), NULL, &error);

  g_assert_no_error (error);
  return connection;
}

DeratePgResult *
pg_query (DeratePgConnection *connection, const char *sql, GVariant *parameters, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  derate_pg_connection_query_async (connection, sql, parameters, NULL, pg_take_result, &result);
  pg_wait (&result);
  return derate_pg_connection_query_finish (connection, result, error);
}

char *
pg_run (TestServers *servers, const char *sql)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgResult) result = pg_query (connection, sql, NULL, &error);

  g_assert_no_error (error);
  return g_strdup (derate_pg_result_get_value (result, 0, 0));
}

void
pg_execute (TestServers *servers, const char *sql)
{
  g_autofree char *value = pg_run (servers, sql);
}

void
pg_expect (TestServers *servers, const char *sql, const char *value)
{
  for (;;)
    {
      g_autofree char *found = pg_run (servers, sql);

      if (g_strcmp0 (found, value) == 0)
        return;
    }
}
