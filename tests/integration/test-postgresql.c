/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-check.h"
#include "test-servers.h"

#include <derate-postgresql.h>
#include <glib/gstdio.h>
#include <string.h>

#define PASSWORD "planted-Pg-secret"
#define NAME "postgresql"
#define HEALTHY DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE
#define STARTING_UP "E\0\0\0\x3cSFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"

static TestServers *servers;

static void
take_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **)user_data = g_object_ref (result);
}

static void
wait_for (GAsyncResult **result)
{
  while (*result == NULL)
    g_main_context_iteration (NULL, TRUE);
}

static DeratePgConnection *
try_open (const char *uri, const char *password, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  derate_pg_connection_open_async (uri, password, NULL, take_result, &result);
  wait_for (&result);
  return derate_pg_connection_open_finish (result, error);
}

static DeratePgConnection *
open_connection (void)
{
  g_autoptr (GError) error = NULL;
  DeratePgConnection *connection = try_open (test_servers_get_uri (servers, NAME), NULL, &error);

  g_assert_no_error (error);
  return connection;
}

static DeratePgResult *
query (DeratePgConnection *connection,
       const char *sql,
       const char *const *parameters,
       GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  derate_pg_connection_query_async (connection, sql, parameters, NULL, take_result, &result);
  wait_for (&result);
  return derate_pg_connection_query_finish (connection, result, error);
}

/* The first value of the first row. */
static char *
run (const char *sql)
{
  g_autoptr (DeratePgConnection) connection = open_connection ();
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgResult) result = query (connection, sql, NULL, &error);

  g_assert_no_error (error);
  return g_strdup (derate_pg_result_get_value (result, 0, 0));
}

static void
execute (const char *sql)
{
  g_autofree char *value = run (sql);
}

/* The same server by TCP, where pg_hba.conf asks the role guest for a password. */
static char *
guest_uri (const char *user)
{
  g_autofree char *port = run ("show port");

  return g_strdup_printf ("postgresql://%s@127.0.0.1:%s/shop?sslmode=disable", user, port);
}

static void
make_guest (void)
{
  g_autofree char *file = run ("show hba_file");
  g_autofree char *old = NULL;
  g_autofree char *text = NULL;

  execute ("create role guest login password '" PASSWORD "'");
  g_assert_true (g_file_get_contents (file, &old, NULL, NULL));
  text = g_strconcat ("host all guest 127.0.0.1/32 scram-sha-256\n", old, NULL);
  g_assert_true (g_file_set_contents_full (file, text, -1, G_FILE_SET_CONTENTS_NONE, 0644, NULL));
  execute ("select pg_reload_conf()");
}

static void
test_healthy (void)
{
  g_autoptr (DerateHealthCheck) check =
      test_check_new (NAME, "uri", test_servers_get_uri (servers, NAME), NULL);
  g_autofree char *sessions = NULL;

  for (guint i = 0; i < 3; i++)
    g_free (test_check_expect (check, HEALTHY));
  /* All in one session, which lives between the runs. */
  sessions = run ("select count(*) from pg_stat_activity where application_name = 'derate'"
                  " and pid <> pg_backend_pid()");
  g_assert_cmpstr (sessions, ==, "1");
}

static void
test_killed_session (void)
{
  g_autoptr (DerateHealthCheck) check =
      test_check_new (NAME, "uri", test_servers_get_uri (servers, NAME), NULL);

  g_free (test_check_expect (check, HEALTHY));
  execute ("select pg_terminate_backend(pid, 5000) from pg_stat_activity"
           " where application_name = 'derate' and pid <> pg_backend_pid()");
  g_free (test_check_expect (check, HEALTHY));
}

static void
test_stopped (void)
{
  g_autoptr (DerateHealthCheck) check =
      test_check_new (NAME, "uri", test_servers_get_uri (servers, NAME), NULL);
  g_autofree char *tcp = guest_uri ("derate");
  g_autoptr (DerateHealthCheck) by_tcp = test_check_new (NAME, "uri", tcp, NULL);

  g_free (test_check_expect (check, HEALTHY));
  g_free (test_check_expect (by_tcp, HEALTHY));
  test_servers_command (servers, "stop", NAME);
  for (guint i = 0; i < 2; i++)
    {
      g_free (test_check_expect (check, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED));
      g_free (test_check_expect (by_tcp, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED));
    }
  test_servers_command (servers, "start", NAME);
  g_free (test_check_expect (check, HEALTHY));
  g_free (test_check_expect (by_tcp, HEALTHY));
}

static void
test_frozen (void)
{
  g_autofree char *tcp = guest_uri ("derate");
  g_autoptr (DerateHealthCheck) kept =
      test_check_new (NAME, "uri", test_servers_get_uri (servers, NAME), NULL);
  g_autoptr (DerateHealthCheck) fresh = test_check_new (NAME, "uri", tcp, NULL);

  g_free (test_check_expect (kept, HEALTHY));
  test_servers_command (servers, "freeze", NAME);
  test_check_hangs (kept);
  test_check_hangs (kept);
  test_check_hangs (fresh);
  test_servers_command (servers, "thaw", NAME);
  g_free (test_check_expect (kept, HEALTHY));
  g_free (test_check_expect (fresh, HEALTHY));
}

static void
test_credentials (void)
{
  g_autofree char *uri = guest_uri ("guest");
  g_autofree char *wrong = guest_uri ("guest:" PASSWORD "-old");
  g_autofree char *folder = g_dir_make_tmp ("derate-test-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (folder, "password", NULL);
  g_autoptr (DerateHealthCheck) without = test_check_new (NAME, "uri", uri, NULL);
  g_autoptr (DerateHealthCheck) with_wrong = test_check_new (NAME, "uri", wrong, NULL);
  g_autoptr (DerateHealthCheck) with_file = NULL;
  g_autofree char *message = NULL;

  g_assert_true (g_file_set_contents (file, PASSWORD "\n", -1, NULL));
  with_file = test_check_new (NAME, "uri", uri, "password-file", file, NULL);
  g_free (test_check_expect (without, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_AUTH));
  message = test_check_expect (with_wrong, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_AUTH);
  g_assert_null (strstr (message, PASSWORD));
  g_free (test_check_expect (with_file, HEALTHY));
  g_unlink (file);
  g_rmdir (folder);
}

static void
test_full (void)
{
  g_autofree char *uri = guest_uri ("guest:" PASSWORD);
  g_autoptr (DerateHealthCheck) check = test_check_new (NAME, "uri", uri, NULL);
  g_autoptr (GPtrArray) sessions = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GError) error = NULL;

  while (error == NULL)
    {
      DeratePgConnection *connection = try_open (uri, NULL, &error);

      if (connection != NULL)
        g_ptr_array_add (sessions, connection);
    }
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_TOO_MANY_CONNECTIONS);
  g_assert_cmpuint (sessions->len, >, 10);
  g_free (test_check_expect (check, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED));
}

static void
test_read_only (void)
{
  g_autoptr (DerateHealthCheck) check =
      test_check_new (NAME, "uri", test_servers_get_uri (servers, NAME), NULL);
  g_autoptr (DeratePgConnection) connection = open_connection ();
  g_autoptr (GError) error = NULL;

  g_free (test_check_expect (check, HEALTHY));
  g_assert_false (derate_pg_connection_is_read_only (connection));
  execute ("alter system set default_transaction_read_only = on");
  execute ("select pg_reload_conf()");
  /* The session that is there learns of it when the server gets to its signal. */
  while (!derate_pg_connection_is_read_only (connection))
    {
      g_autoptr (DeratePgResult) result = query (connection, "", NULL, &error);

      g_assert_no_error (error);
    }
  g_assert_false (derate_pg_connection_is_standby (connection));
  g_assert_null (query (connection, "create table nothing ()", NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_READ_ONLY);
  g_free (test_check_expect (check, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_READ_ONLY));
  execute ("alter system reset default_transaction_read_only");
  execute ("select pg_reload_conf()");
  while (derate_pg_connection_is_read_only (connection))
    derate_pg_result_unref (query (connection, "", NULL, NULL));
  g_free (test_check_expect (check, HEALTHY));
}

static void
test_no_such_database (void)
{
  g_autofree char *port = run ("show port");
  g_autofree char *uri =
      g_strdup_printf ("postgresql://derate@127.0.0.1:%s/none?sslmode=disable", port);
  g_autoptr (DerateHealthCheck) check = test_check_new (NAME, "uri", uri, NULL);

  g_free (test_check_expect (check, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_CONFIG));
}

static void
test_second_host (void)
{
  g_autofree char *port = run ("show port");
  g_autofree char *uri =
      g_strdup_printf ("postgresql://derate@127.0.0.1:1,localhost:%s/shop?sslmode=disable", port);
  g_autoptr (DerateHealthCheck) check = test_check_new (NAME, "uri", uri, NULL);

  g_free (test_check_expect (check, HEALTHY));
}

/* What a real server shows only for moments, or never. */
static void
test_stand_ins (void)
{
  const char garbage[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
  g_autoptr (TestStandIn) starting = test_stand_in_new (STARTING_UP, sizeof STARTING_UP - 1);
  g_autoptr (TestStandIn) nonsense = test_stand_in_new (garbage, sizeof garbage - 1);
  g_autoptr (TestStandIn) silent = test_stand_in_new (NULL, 0);
  TestStandIn *const peers[] = { starting, nonsense, silent };
  g_autoptr (GPtrArray) checks = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = 0; i < G_N_ELEMENTS (peers); i++)
    {
      g_autofree char *uri = g_strdup_printf ("postgresql://u@127.0.0.1:%u/shop?sslmode=disable",
                                              test_stand_in_get_port (peers[i]));

      g_ptr_array_add (checks, test_check_new (NAME, "uri", uri, NULL));
    }
  g_free (
      test_check_expect (checks->pdata[0], DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED));
  g_free (test_check_expect (checks->pdata[1], DERATE_HEALTH_STATUS_DOWN,
                             DERATE_HEALTH_CAUSE_PROTOCOL));
  test_check_hangs (checks->pdata[2]);
}

static void
test_connect_timeout (void)
{
  g_autoptr (TestStandIn) silent = test_stand_in_new (NULL, 0);
  g_autofree char *uri = g_strdup_printf ("postgresql://u@127.0.0.1:%u/shop?connect_timeout=1",
                                          test_stand_in_get_port (silent));
  g_autoptr (DerateHealthCheck) check = test_check_new (NAME, "uri", uri, NULL);
  gint64 start = g_get_monotonic_time ();

  g_free (test_check_expect (check, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_TIMEOUT));
  g_assert_cmpint (g_get_monotonic_time () - start, >=, G_TIME_SPAN_SECOND);
}

static void
test_options (void)
{
  g_autoptr (GError) key = test_check_new_fails (NAME, "check-everything", "yes", NULL);
  g_autoptr (GError) uri =
      test_check_new_fails (NAME, "uri", "postgresql://u:" PASSWORD "@h?x=" PASSWORD, NULL);
  g_autoptr (GError) file = test_check_new_fails (NAME, "password-file", "/does/not/exist", NULL);

  g_assert_nonnull (strstr (key->message, "check-everything=yes"));
  g_assert_nonnull (strstr (uri->message, "uri="));
  g_assert_null (strstr (uri->message, "u:" PASSWORD));
  g_assert_nonnull (strstr (file->message, "password-file=/does/not/exist"));
}

static void
test_query (void)
{
  g_autoptr (DeratePgConnection) connection = open_connection ();
  g_autoptr (DeratePgResult) rows = NULL;
  g_autoptr (DeratePgResult) changed = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *sqlstate = NULL;

  rows = query (connection, "select i, null, $1::text as word from generate_series(1, 3) i",
                (const char *const[]){ "it's", NULL }, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (derate_pg_result_get_n_rows (rows), ==, 3);
  g_assert_cmpuint (derate_pg_result_get_n_columns (rows), ==, 3);
  g_assert_cmpstr (derate_pg_result_get_column_name (rows, 2), ==, "word");
  g_assert_cmpuint (derate_pg_result_get_column_type (rows, 0), ==, 23);
  g_assert_cmpstr (derate_pg_result_get_value (rows, 2, 0), ==, "3");
  g_assert_cmpstr (derate_pg_result_get_value (rows, 0, 2), ==, "it's");
  g_assert_true (derate_pg_result_is_null (rows, 0, 1));
  g_assert_null (derate_pg_result_get_value (rows, 3, 0));

  changed = query (connection, "create temp table t as select generate_series(1, 7)", NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (derate_pg_result_get_affected (changed), ==, 7);

  g_assert_null (query (connection, "select * from nowhere", NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_QUERY);
  sqlstate = derate_pg_error_get_sqlstate (error);
  g_assert_cmpstr (sqlstate, ==, "42P01");
  g_assert_true (derate_pg_connection_is_usable (connection));
}

static void
test_transaction (void)
{
  g_autoptr (DeratePgConnection) connection = open_connection ();

  g_assert_false (derate_pg_connection_is_in_transaction (connection));
  derate_pg_result_unref (query (connection, "begin", NULL, NULL));
  g_assert_true (derate_pg_connection_is_in_transaction (connection));
  g_assert_null (query (connection, "select 1/0", NULL, NULL));
  g_assert_true (derate_pg_connection_is_in_transaction (connection));
  derate_pg_result_unref (query (connection, "rollback", NULL, NULL));
  g_assert_false (derate_pg_connection_is_in_transaction (connection));
}

/* More than any socket buffer, in both directions. */
static void
test_big_value (void)
{
  g_autoptr (DeratePgConnection) connection = open_connection ();
  g_autofree char *big = g_strnfill (16 * 1024 * 1024, 'x');
  g_autoptr (DeratePgResult) result = NULL;
  g_autoptr (GError) error = NULL;

  result = query (connection, "select $1::text", (const char *const[]){ big, NULL }, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (strlen (derate_pg_result_get_value (result, 0, 0)), ==, strlen (big));
}

static void
test_busy_and_cancelled (void)
{
  g_autoptr (DeratePgConnection) connection = open_connection ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) slow = NULL;
  g_autoptr (GError) error = NULL;

  derate_pg_connection_query_async (connection, "select pg_sleep(600)", NULL, cancellable,
                                    take_result, &slow);
  g_assert_null (query (connection, "", NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_BUSY);
  g_clear_error (&error);
  g_assert_null (slow);
  g_cancellable_cancel (cancellable);
  wait_for (&slow);
  g_assert_null (derate_pg_connection_query_finish (connection, slow, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_false (derate_pg_connection_is_usable (connection));
  g_assert_null (query (connection, "", NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
}

static void
test_killed_query (void)
{
  g_autoptr (DeratePgConnection) connection = open_connection ();
  g_autoptr (GAsyncResult) slow = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *sqlstate = NULL;

  derate_pg_connection_query_async (connection, "select pg_sleep(600)", NULL, NULL, take_result,
                                    &slow);
  while (slow == NULL)
    execute (
        "select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sl%'");
  g_assert_null (derate_pg_connection_query_finish (connection, slow, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
  sqlstate = derate_pg_error_get_sqlstate (error);
  g_assert_cmpstr (sqlstate, ==, "57P01");
  g_assert_false (derate_pg_connection_is_usable (connection));
}

static void
test_copy (void)
{
  g_autoptr (DeratePgConnection) connection = open_connection ();
  g_autoptr (GError) error = NULL;

  g_assert_null (query (connection, "copy (select 1) to stdout", NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_FAILED);
  g_assert_false (derate_pg_connection_is_usable (connection));
}

static void
test_close (void)
{
  g_autoptr (DeratePgConnection) connection = open_connection ();
  g_autoptr (GAsyncResult) slow = NULL;
  g_autoptr (GError) error = NULL;

  derate_pg_connection_query_async (connection, "select pg_sleep(600)", NULL, NULL, take_result,
                                    &slow);
  derate_pg_connection_close (connection);
  wait_for (&slow);
  g_assert_null (derate_pg_connection_query_finish (connection, slow, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
}

int
main (int argc, char *argv[])
{
  int status;

  g_test_init (&argc, &argv, NULL);
  servers = test_servers_new ((const char *const[]){ NAME, NULL });
  make_guest ();

  g_test_add_func ("/postgresql/check/healthy", test_healthy);
  g_test_add_func ("/postgresql/check/killed-session", test_killed_session);
  g_test_add_func ("/postgresql/behaviour/15-refused", test_stopped);
  g_test_add_func ("/postgresql/check/frozen", test_frozen);
  g_test_add_func ("/postgresql/check/credentials", test_credentials);
  g_test_add_func ("/postgresql/behaviour/15-too-many-connections", test_full);
  g_test_add_func ("/postgresql/check/read-only", test_read_only);
  g_test_add_func ("/postgresql/check/no-such-database", test_no_such_database);
  g_test_add_func ("/postgresql/check/second-host", test_second_host);
  g_test_add_func ("/postgresql/check/stand-ins", test_stand_ins);
  g_test_add_func ("/postgresql/check/connect-timeout", test_connect_timeout);
  g_test_add_func ("/postgresql/check/options", test_options);
  g_test_add_func ("/postgresql/client/query", test_query);
  g_test_add_func ("/postgresql/client/transaction", test_transaction);
  g_test_add_func ("/postgresql/client/big-value", test_big_value);
  g_test_add_func ("/postgresql/client/busy-and-cancelled", test_busy_and_cancelled);
  g_test_add_func ("/postgresql/client/killed-query", test_killed_query);
  g_test_add_func ("/postgresql/client/copy", test_copy);
  g_test_add_func ("/postgresql/client/close", test_close);

  status = g_test_run ();
  test_servers_free (servers);
  return status;
}
