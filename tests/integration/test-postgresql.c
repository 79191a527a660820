/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pg-client.h"
#include "test-check.h"

#include <glib/gstdio.h>
#include <string.h>

#define PASSWORD "planted-Pg-secret"
#define NAME "postgresql"
#define HEALTHY DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE
#define STARTING_UP "E\0\0\0\x3cSFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"

static TestServers *servers;

static char *
run (const char *sql)
{
  return pg_run (servers, sql);
}

static void
execute (const char *sql)
{
  pg_execute (servers, sql);
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
      DeratePgConnection *connection = pg_try_open (uri, NULL, &error);

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
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (GError) error = NULL;

  g_free (test_check_expect (check, HEALTHY));
  g_assert_false (derate_pg_connection_is_read_only (connection));
  execute ("alter system set default_transaction_read_only = on");
  execute ("select pg_reload_conf()");
  /* The session that is there learns of it when the server gets to its signal. */
  while (!derate_pg_connection_is_read_only (connection))
    {
      g_autoptr (DeratePgResult) result = pg_query (connection, "", NULL, &error);

      g_assert_no_error (error);
    }
  g_assert_false (derate_pg_connection_is_standby (connection));
  g_assert_null (pg_query (connection, "create table nothing ()", NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_READ_ONLY);
  g_free (test_check_expect (check, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_READ_ONLY));
  execute ("alter system reset default_transaction_read_only");
  execute ("select pg_reload_conf()");
  while (derate_pg_connection_is_read_only (connection))
    derate_pg_result_unref (pg_query (connection, "", NULL, NULL));
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

  status = g_test_run ();
  test_servers_free (servers);
  return status;
}
