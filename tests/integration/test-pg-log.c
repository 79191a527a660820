/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a query comes to the log: how long it took and its text, never a value. */
#include "pg-client.h"

#include "derate-pg-connection-private.h"

#include <derate-manual-clock.h>
#include <libpq-fe.h>
#include <string.h>

#define PLANTED "planted-value-4711"

/* Of the environment, which may be changed only before there are threads. */
static struct
{
  const char *slow, *logs;
  DeratePgMeter *meter;
} settings[] = {
  { "0", "true" }, { "0", "false" }, { "3600000", "true" }, { "3600000", "false" }, { "1", "true" },
};

static DeratePgMeter *const *quiet = &settings[3].meter;

static TestServers *servers;
static GMutex lock;
static GString *lines; /* every field of every record */

static GLogWriterOutput
keep (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&lock);

  for (gsize i = 0; i < n_fields; i++)
    if (fields[i].length < 0)
      g_string_append_printf (lines, "%s=%s\n", fields[i].key, (const char *)fields[i].value);
  return G_LOG_WRITER_HANDLED;
}

static char *
take_lines (void)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&lock);
  char *text = g_strdup (lines->str);

  g_string_truncate (lines, 0);
  return text;
}

static void
make_meters (void)
{
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (settings); i++)
    {
      g_setenv ("SLOW_QUERY_THRESHOLD_MS", settings[i].slow, TRUE);
      g_setenv ("ENABLE_QUERY_LOGGING", settings[i].logs, TRUE);
      settings[i].meter = derate_pg_meter_new ("shop", &error);
      g_assert_no_error (error);
    }
  /* The process's own is made once: all that it runs is slow. */
  g_setenv ("SLOW_QUERY_THRESHOLD_MS", "0", TRUE);
  g_assert_null (derate_pg_meter_peek_default ());
  g_assert_nonnull (derate_pg_meter_get_default (NULL));
}

static DeratePgConnection *
open_measured (DeratePgMeter *meter)
{
  DeratePgConnection *connection = pg_open (servers);

  derate_pg_connection_set_meter (connection, meter);
  return connection;
}

/* By the session's clock, so that it is exact. */
static void
run_for (DeratePgConnection *connection, DerateClock *clock, GTimeSpan span, GVariant *parameters)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  derate_pg_connection_query_async (connection, "select  pg_sleep(0.01),\n  $1", parameters, NULL,
                                    pg_take_result, &result);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), span);
  pg_wait (&result);
  derate_pg_result_unref (derate_pg_connection_query_finish (connection, result, &error));
  g_assert_no_error (error);
}

static void
test_slow (void)
{
  g_autoptr (DeratePgConnection) connection = open_measured (*quiet);
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autofree char *fast = NULL;
  g_autofree char *slow = NULL;

  derate_pg_connection_set_clock (connection, clock);
  g_free (take_lines ()); /* what GLib may have said of the system */
  run_for (connection, clock, G_TIME_SPAN_HOUR - 1, g_variant_new ("(s)", PLANTED));
  fast = take_lines ();
  g_assert_cmpstr (fast, ==, "");
  run_for (connection, clock, G_TIME_SPAN_HOUR + 200, g_variant_new ("(s)", PLANTED));
  slow = take_lines ();
  g_assert_nonnull (strstr (slow, "EVENT=slow_query\n"));
  g_assert_nonnull (strstr (slow, "COMPONENT=shop\n"));
  g_assert_nonnull (strstr (slow, "MESSAGE=Slow query (3600000.2ms): select pg_sleep(0.01), $1\n"));
  g_assert_null (strstr (slow, PLANTED));
}

/* Each words a value in its answer: in the text itself, its detail or where it happened. */
static const char *const unlucky[] = {
  "insert into word values ($1), ($1)",
  "insert into word values (upper($1))",
  "insert into word select null where $1 <> ''",
  "select $1::int4",
  "select $1::text::date",
  "select say($1)",
  "select $1 from nowhere",
  "select pg_sleep(0.002), $1",
};

static void
make_tables (void)
{
  pg_execute (servers, "create table word (word text unique not null check (word = lower(word)))");
  pg_execute (servers, "create function say(what text) returns void language plpgsql as"
                       " $$begin raise notice '%', what; raise exception 'no %', what"
                       " using detail = what, hint = what; end$$");
}

static void
run_unlucky (DeratePgConnection *connection)
{
  for (guint i = 0; i < G_N_ELEMENTS (unlucky); i++)
    {
      g_autoptr (DeratePgResult) waited = NULL;
      g_autoptr (DeratePgResult) result = NULL;

      result = pg_query (connection, unlucky[i], g_variant_new ("(s)", PLANTED), NULL);
      waited = derate_pg_connection_query (connection, unlucky[i], g_variant_new ("(s)", PLANTED),
                                           NULL, NULL);
    }
}

static void
run_unlucky_alone (void)
{
  PGconn *pg = PQconnectdb (test_servers_get_uri (servers, "postgresql"));

  derate_pg_connection_mute (pg);
  for (guint i = 0; i < G_N_ELEMENTS (unlucky); i++)
    {
      PGresult *result = NULL;

      derate_pg_exec_timed (pg, unlucky[i], g_variant_new ("(s)", PLANTED), &result, NULL, NULL);
      PQclear (result);
    }
  PQfinish (pg);
}

static void
test_no_value (void)
{
  make_tables ();
  for (guint i = 0; i < G_N_ELEMENTS (settings); i++)
    {
      g_autoptr (DeratePgConnection) connection = open_measured (settings[i].meter);
      g_autofree char *text = NULL;
      g_autofree char *alone = NULL;

      run_unlucky (connection);
      derate_pg_connection_set_query_timeout (connection, 1);
      g_assert_null (
          pg_query (connection, "select pg_sleep(10), $1", g_variant_new ("(s)", PLANTED), NULL));
      text = take_lines ();
      run_unlucky_alone ();
      alone = take_lines ();
      g_assert_cmpint (strstr (text, "insert into word values ($1), ($1)") != NULL, ==,
                       settings[i].meter != *quiet);
      g_assert_nonnull (strstr (alone, "insert into word values ($1), ($1)"));
      g_assert_null (strstr (text, PLANTED));
      g_assert_null (strstr (alone, PLANTED));
    }
}

static void
test_exec_timed (void)
{
  PGconn *pg = PQconnectdb (test_servers_get_uri (servers, "postgresql"));
  PGresult *result = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *first = NULL;
  g_autofree char *second = NULL;
  double ms = -1;

  g_assert_true (derate_pg_exec_timed (pg, "select pg_sleep(0.02), $1::int4 + 1",
                                       g_variant_new ("(i)", 41), &result, &ms, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (PQgetvalue (result, 0, 1), ==, "42");
  PQclear (result);
  g_assert_cmpfloat (ms, >=, 20);
  first = take_lines ();
  g_assert_nonnull (strstr (first, "EVENT=slow_query\nCOMPONENT=default\n"));

  g_assert_false (derate_pg_exec_timed (pg, "select 1/0", NULL, &result, &ms, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_QUERY);
  g_assert_null (result);
  g_clear_error (&error);
  second = take_lines ();
  g_assert_nonnull (strstr (second, "): select 1/0\n"));

  g_assert_true (derate_pg_exec_timed (pg, "select 1", NULL, NULL, NULL, &error));
  g_assert_false (
      derate_pg_exec_timed (pg, "select $1", g_variant_new ("(o)", "/x"), &result, &ms, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_PARAMETER);
  g_clear_error (&error);
  g_assert_false (derate_pg_exec_timed (pg, "select pg_terminate_backend(pg_backend_pid())", NULL,
                                        &result, &ms, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
  g_clear_error (&error);
  PQfinish (pg);
  g_assert_cmpuint (derate_pg_meter_get_slow (derate_pg_meter_peek_default ()), >=, 4);
  g_free (take_lines ());
}

int
main (int argc, char *argv[])
{
  int status;

  g_test_init (&argc, &argv, NULL);
  make_meters ();
  lines = g_string_new (NULL);
  g_log_set_writer_func (keep, NULL, NULL);
  servers = test_servers_new ((const char *const[]){ "postgresql", NULL });
  g_test_add_func ("/pool/behaviour/25-slow-query", test_slow);
  g_test_add_func ("/pg-log/exec-timed", test_exec_timed);
  g_test_add_func ("/pg-log/no-value", test_no_value);

  status = g_test_run ();
  test_servers_free (servers);
  for (guint i = 0; i < G_N_ELEMENTS (settings); i++)
    derate_pg_meter_unref (settings[i].meter);
  g_string_free (lines, TRUE);
  return status;
}
