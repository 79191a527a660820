/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-check.h"
#include "test-servers.h"

#include <derate-redis.h>
#include <glib/gstdio.h>
#include <string.h>

#define PASSWORD "planted-Redis-secret"
#define NAME "redis"
#define HEALTHY DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE

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

static DerateRedisConnection *
open_connection (const char *uri, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  derate_redis_connection_open_async (uri, NULL, NULL, take_result, &result);
  wait_for (&result);
  return derate_redis_connection_open_finish (result, error);
}

static DerateRedisReply *
command (DerateRedisConnection *connection, const char *line, GError **error)
{
  g_auto (GStrv) arguments = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  g_assert_true (g_shell_parse_argv (line, NULL, &arguments, NULL));
  derate_redis_connection_command_async (connection, (const char *const *)arguments, NULL,
                                         take_result, &result);
  wait_for (&result);
  return derate_redis_connection_command_finish (connection, result, error);
}

static void
execute (DerateRedisConnection *connection, const char *line)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateRedisReply) reply = command (connection, line, &error);

  g_assert_no_error (error);
}

/* A connection that is there before the server is told to misbehave, and after. */
static DerateRedisConnection *
open_admin (void)
{
  g_autoptr (GError) error = NULL;
  DerateRedisConnection *admin = open_connection (test_servers_get_uri (servers, NAME), &error);

  g_assert_no_error (error);
  return admin;
}

static DerateHealthCheck *
new_check (void)
{
  return test_check_new (NAME, "uri", test_servers_get_uri (servers, NAME), NULL);
}

static void
test_healthy (void)
{
  g_autoptr (DerateHealthCheck) check = new_check ();
  g_autoptr (DerateRedisConnection) admin = open_admin ();
  g_autoptr (DerateRedisReply) clients = NULL;

  for (guint i = 0; i < 3; i++)
    g_free (test_check_expect (check, HEALTHY));
  /* All over one connection, which lives between the runs; the other is ours. */
  clients = command (admin, "INFO clients", NULL);
  g_assert_nonnull (strstr (derate_redis_reply_get_text (clients), "connected_clients:2\r\n"));
}

static void
test_killed_connection (void)
{
  g_autoptr (DerateHealthCheck) check = new_check ();
  g_autoptr (DerateRedisConnection) admin = open_admin ();

  g_free (test_check_expect (check, HEALTHY));
  execute (admin, "CLIENT KILL TYPE normal SKIPME yes");
  g_free (test_check_expect (check, HEALTHY));
}

static void
test_stopped (void)
{
  g_autoptr (DerateHealthCheck) check = new_check ();

  g_free (test_check_expect (check, HEALTHY));
  test_servers_command (servers, "stop", NAME);
  g_free (test_check_expect (check, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED));
  g_free (test_check_expect (check, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED));
  test_servers_command (servers, "start", NAME);
  g_free (test_check_expect (check, HEALTHY));
}

static void
test_frozen (void)
{
  g_autoptr (DerateHealthCheck) kept = new_check ();
  g_autoptr (DerateHealthCheck) fresh = new_check ();

  g_free (test_check_expect (kept, HEALTHY));
  test_servers_command (servers, "freeze", NAME);
  test_check_hangs (kept);
  test_check_hangs (kept);
  test_check_hangs (fresh);
  test_servers_command (servers, "thaw", NAME);
  g_free (test_check_expect (kept, HEALTHY));
  g_free (test_check_expect (fresh, HEALTHY));
}

static char *
uri_with (const char *credentials)
{
  const char *uri = test_servers_get_uri (servers, NAME);

  return g_strdup_printf ("redis://%s@%s/0", credentials, uri + strlen ("redis://"));
}

static void
test_credentials (void)
{
  g_autoptr (DerateRedisConnection) admin = open_admin ();
  g_autofree char *wrong_uri = uri_with (":" PASSWORD "-old");
  g_autofree char *folder = g_dir_make_tmp ("derate-test-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (folder, "password", NULL);
  g_autoptr (DerateHealthCheck) without = new_check ();
  g_autoptr (DerateHealthCheck) with_wrong = test_check_new (NAME, "uri", wrong_uri, NULL);
  g_autoptr (DerateHealthCheck) with_file = NULL;
  g_autofree char *message = NULL;

  g_assert_true (g_file_set_contents (file, PASSWORD "\n", -1, NULL));
  with_file = test_check_new (NAME, "uri", test_servers_get_uri (servers, NAME), "password-file",
                              file, NULL);
  /* A password where none is asked for. */
  g_free (test_check_expect (with_wrong, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_AUTH));
  execute (admin, "CONFIG SET requirepass " PASSWORD);
  g_free (test_check_expect (without, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_AUTH));
  message = test_check_expect (with_wrong, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_AUTH);
  g_assert_null (strstr (message, PASSWORD));
  g_free (test_check_expect (with_file, HEALTHY));
  g_unlink (file);
  g_rmdir (folder);
  test_servers_command (servers, "stop", NAME);
  test_servers_command (servers, "start", NAME);
}

static void
test_full (void)
{
  g_autoptr (DerateRedisConnection) admin = open_admin ();
  g_autoptr (DerateHealthCheck) check = new_check ();

  execute (admin, "CONFIG SET maxclients 1");
  g_free (test_check_expect (check, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED));
  g_free (test_check_expect (check, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED));
  execute (admin, "CONFIG SET maxclients 1000");
  g_free (test_check_expect (check, HEALTHY));
}

static void
test_replica (void)
{
  g_autoptr (DerateRedisConnection) admin = open_admin ();
  g_autoptr (DerateHealthCheck) plain = new_check ();
  g_autoptr (DerateHealthCheck) with_role =
      test_check_new (NAME, "uri", test_servers_get_uri (servers, NAME), "check-role", "yes", NULL);
  g_autofree char *message = NULL;

  g_free (test_check_expect (with_role, HEALTHY));
  execute (admin, "REPLICAOF 127.0.0.1 1");
  g_free (test_check_expect (plain, HEALTHY));
  g_free (
      test_check_expect (with_role, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_READ_ONLY));
  execute (admin, "CONFIG SET replica-serve-stale-data no");
  message = test_check_expect (plain, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_READ_ONLY);
  g_assert_nonnull (strstr (message, "MASTERDOWN"));
  execute (admin, "REPLICAOF NO ONE");
  execute (admin, "CONFIG SET replica-serve-stale-data yes");
  g_free (test_check_expect (with_role, HEALTHY));
}

/* Saving fails because a folder has the name of the file. */
static void
test_misconfigured (void)
{
  g_autoptr (DerateRedisConnection) admin = open_admin ();
  g_autoptr (DerateHealthCheck) check = new_check ();
  g_autofree char *folder = test_servers_dup_folder (servers, NAME);
  g_autofree char *obstacle = g_build_filename (folder, "dump.rdb", NULL);
  g_autofree char *message = NULL;
  gboolean failed = FALSE;

  g_assert_cmpint (g_mkdir (obstacle, 0755), ==, 0);
  execute (admin, "CONFIG SET save '3600 1'");
  execute (admin, "SET key value");
  execute (admin, "BGSAVE");
  while (!failed)
    {
      g_autoptr (DerateRedisReply) info = command (admin, "INFO persistence", NULL);

      failed = strstr (derate_redis_reply_get_text (info), "rdb_last_bgsave_status:err") != NULL;
    }
  message = test_check_expect (check, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_READ_ONLY);
  g_assert_nonnull (strstr (message, "MISCONF"));
  g_rmdir (obstacle);
  test_servers_command (servers, "stop", NAME);
  test_servers_command (servers, "start", NAME);
}

static void
test_maintenance (void)
{
  g_autoptr (DerateRedisConnection) admin = open_admin ();
  g_autoptr (DerateHealthCheck) check =
      test_check_new (NAME, "uri", test_servers_get_uri (servers, NAME), "check-maintenance-key",
                      "under repair", NULL);

  g_free (test_check_expect (check, HEALTHY));
  execute (admin, "SET 'under repair' ''");
  g_free (
      test_check_expect (check, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_MAINTENANCE));
  execute (admin, "FLUSHALL");
  g_free (test_check_expect (check, HEALTHY));
}

/* clang-format off */
static const struct
{
  const char *answer;
  DerateHealthStatus status;
  DerateHealthCause cause;
} stand_ins[] = {
  { "-LOADING Redis is loading the dataset in memory\r\n",
    DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED },
  { "-BUSY Redis is busy running a script.\r\n",
    DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED },
  { "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED },
  { "-READONLY You can't write against a read only replica.\r\n",
    DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_READ_ONLY },
  { "-DENIED Redis is running in protected mode\r\n",
    DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_CONFIG },
  { "-ERR something new\r\n", DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL },
  { "+PANG\r\n", DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL },
  { ":1\r\n", DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL },
  { "HTTP/1.1 400 Bad Request\r\n\r\n", DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL },
  { "*2000000000\r\n", DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL },
};
/* clang-format on */

/* What a real server shows only for moments, or never. */
static void
test_stand_in (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autoptr (TestStandIn) peer =
      test_stand_in_new (stand_ins[i].answer, strlen (stand_ins[i].answer));
  g_autofree char *uri = g_strdup_printf ("redis://127.0.0.1:%u", test_stand_in_get_port (peer));
  g_autoptr (DerateHealthCheck) check = test_check_new (NAME, "uri", uri, NULL);

  g_free (test_check_expect (check, stand_ins[i].status, stand_ins[i].cause));
}

static void
test_silent (void)
{
  g_autoptr (TestStandIn) peer = test_stand_in_new (NULL, 0);
  g_autofree char *uri =
      g_strdup_printf ("redis://u:p@127.0.0.1:%u/1", test_stand_in_get_port (peer));
  g_autoptr (DerateHealthCheck) check = test_check_new (NAME, "uri", uri, NULL);

  test_check_hangs (check);
}

/* Some quote what they refuse. */
static void
test_server_that_quotes (void)
{
  static const char *const answers[] = {
    "-ERR unknown command 'AUTH', with args beginning with: 'u' '" PASSWORD "' \r\n",
    "-ERR unknown command 'AUTH', with args beginning with: 'u' 'beginning-of-" PASSWORD "\r\n",
    "-WRONGPASS not " PASSWORD "\r\n",
  };

  for (guint i = 0; i < G_N_ELEMENTS (answers); i++)
    {
      g_autoptr (TestStandIn) peer = test_stand_in_new (answers[i], strlen (answers[i]));
      g_autofree char *uri =
          g_strdup_printf ("redis://u:" PASSWORD "@127.0.0.1:%u", test_stand_in_get_port (peer));
      g_autoptr (DerateHealthCheck) check = test_check_new (NAME, "uri", uri, NULL);
      g_autoptr (DerateHealthReport) report = test_check_run (check);

      g_assert_cmpint (derate_health_report_get_status (report), ==, DERATE_HEALTH_STATUS_DOWN);
      g_assert_null (strstr (derate_health_report_get_message (report), PASSWORD));
    }
}

static void
test_options (void)
{
  g_autoptr (GError) key = test_check_new_fails (NAME, "check-everything", "yes", NULL);
  g_autoptr (GError) role = test_check_new_fails (NAME, "check-role", "perhaps", NULL);
  g_autoptr (GError) uri = test_check_new_fails (NAME, "uri", "redis://:" PASSWORD "@h/x", NULL);

  g_assert_nonnull (strstr (key->message, "check-everything=yes"));
  g_assert_nonnull (strstr (role->message, "check-role=perhaps"));
  g_assert_nonnull (strstr (uri->message, "uri=redis://"));
  g_assert_null (strstr (uri->message, PASSWORD));
}

/* What is no URI may have its password anywhere. */
static void
test_options_tell_no_secret (void)
{
  static const char *const uris[] = { PASSWORD, "u:" PASSWORD "@h", "redis//u:" PASSWORD "@h",
                                      "redis:/u:" PASSWORD "@h",
                                      ("http://h?pass%77ord=" PASSWORD) };
  g_autoptr (GError) file = test_check_new_fails (NAME, "password-file", "/dev/null", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (uris); i++)
    {
      g_autoptr (GError) error = test_check_new_fails (NAME, "uri", uris[i], NULL);

      g_assert_nonnull (strstr (error->message, "uri="));
      g_assert_null (strstr (error->message, PASSWORD));
    }
  g_assert_nonnull (strstr (file->message, "password-file=/dev/null: not a regular file"));
}

static void
count_answer (GObject *source, GAsyncResult *result, gpointer user_data)
{
  gint64 *last = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateRedisReply) reply =
      derate_redis_connection_command_finish (DERATE_REDIS_CONNECTION (source), result, &error);

  g_assert_no_error (error);
  *last += 1;
  g_assert_cmpint (derate_redis_reply_get_integer (reply), ==, *last);
}

static void
test_pipeline (void)
{
  g_autoptr (DerateRedisConnection) connection = open_admin ();
  gint64 last = 0;

  for (guint i = 0; i < 1000; i++)
    derate_redis_connection_command_async (connection,
                                           (const char *const[]){ "INCR", "counter", NULL }, NULL,
                                           count_answer, &last);
  while (last < 1000)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_big_value (void)
{
  g_autoptr (DerateRedisConnection) connection = open_admin ();
  g_autofree char *big = g_strnfill (16 * 1024 * 1024, 'x');
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (DerateRedisReply) reply = NULL;
  g_autoptr (GError) error = NULL;

  derate_redis_connection_command_async (connection, (const char *const[]){ "ECHO", big, NULL },
                                         NULL, take_result, &result);
  wait_for (&result);
  reply = derate_redis_connection_command_finish (connection, result, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (strlen (derate_redis_reply_get_text (reply)), ==, strlen (big));
}

/* One that is cancelled takes the connection along: its answer could come at any time. */
static void
test_cancelled (void)
{
  g_autoptr (DerateRedisConnection) connection = open_admin ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) one = NULL;
  g_autoptr (GAsyncResult) other = NULL;
  g_autoptr (GError) error = NULL;
  const char *const wait[] = { "BLPOP", "nothing", "0", NULL };
  const char *const ping[] = { "PING", NULL };

  derate_redis_connection_command_async (connection, wait, cancellable, take_result, &one);
  derate_redis_connection_command_async (connection, ping, NULL, take_result, &other);
  g_cancellable_cancel (cancellable);
  wait_for (&one);
  wait_for (&other);
  g_assert_null (derate_redis_connection_command_finish (connection, one, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_null (derate_redis_connection_command_finish (connection, other, &error));
  g_assert_error (error, DERATE_REDIS_ERROR, DERATE_REDIS_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_false (derate_redis_connection_is_usable (connection));
  g_assert_null (command (connection, "PING", &error));
  g_assert_error (error, DERATE_REDIS_ERROR, DERATE_REDIS_ERROR_CLOSED);
}

static void
test_close (void)
{
  g_autoptr (DerateRedisConnection) connection = open_admin ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  derate_redis_connection_command_async (connection, (const char *const[]){ "PING", NULL }, NULL,
                                         take_result, &result);
  derate_redis_connection_close (connection);
  wait_for (&result);
  g_assert_null (derate_redis_connection_command_finish (connection, result, &error));
  g_assert_error (error, DERATE_REDIS_ERROR, DERATE_REDIS_ERROR_CLOSED);
}

static void
test_open_fails (void)
{
  g_autofree char *database = g_strconcat (test_servers_get_uri (servers, NAME), "/7", NULL);
  g_autoptr (GError) error = NULL;

  /* The private server has one database. */
  g_assert_null (open_connection (database, &error));
  g_assert_error (error, DERATE_REDIS_ERROR, DERATE_REDIS_ERROR_CONFIG);
  g_clear_error (&error);
  g_assert_null (open_connection ("redis://127.0.0.1:1", &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
}

int
main (int argc, char *argv[])
{
  int status;

  g_test_init (&argc, &argv, NULL);
  servers = test_servers_new ((const char *const[]){ NAME, NULL });

  g_test_add_func ("/redis/check/healthy", test_healthy);
  g_test_add_func ("/redis/check/killed-connection", test_killed_connection);
  g_test_add_func ("/redis/check/stopped", test_stopped);
  g_test_add_func ("/redis/check/frozen", test_frozen);
  g_test_add_func ("/redis/check/credentials", test_credentials);
  g_test_add_func ("/redis/check/full", test_full);
  g_test_add_func ("/redis/check/replica", test_replica);
  g_test_add_func ("/redis/check/misconfigured", test_misconfigured);
  g_test_add_func ("/redis/check/maintenance", test_maintenance);
  for (guint i = 0; i < G_N_ELEMENTS (stand_ins); i++)
    {
      g_autofree char *path = g_strdup_printf ("/redis/check/stand-in/%u", i);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_stand_in);
    }
  g_test_add_func ("/redis/check/silent", test_silent);
  g_test_add_func ("/redis/check/quotes", test_server_that_quotes);
  g_test_add_func ("/redis/check/options", test_options);
  g_test_add_func ("/redis/check/options/secret", test_options_tell_no_secret);
  g_test_add_func ("/redis/client/pipeline", test_pipeline);
  g_test_add_func ("/redis/client/big-value", test_big_value);
  g_test_add_func ("/redis/client/cancelled", test_cancelled);
  g_test_add_func ("/redis/client/close", test_close);
  g_test_add_func ("/redis/client/open-fails", test_open_fails);

  status = g_test_run ();
  test_servers_free (servers);
  return status;
}
