/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session as its pool sees it. */
#include "pg-client.h"

#include "derate-pg-connection-private.h"

#include <derate-manual-clock.h>
#include <string.h>

#define SLEEP "select pg_sleep(600)"

static TestServers *servers;

typedef struct
{
  gboolean is_done;
  DeratePgResult *result;
  GError *error;
} Answer;

static void
answer_clear (Answer *answer)
{
  g_clear_pointer (&answer->result, derate_pg_result_unref);
  g_clear_error (&answer->error);
  answer->is_done = FALSE;
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Answer, answer_clear)

static void
take_answer (DeratePgConnection *connection, DeratePgResult *result, GError *error, gpointer data)
{
  Answer *answer = data;

  g_assert_false (answer->is_done);
  answer->is_done = TRUE;
  answer->result = result;
  answer->error = error;
}

static void
wait_for (Answer *answer)
{
  while (!answer->is_done)
    g_main_context_iteration (g_main_context_get_thread_default (), TRUE);
}

static void
start (DeratePgConnection *connection, const char *sql, GCancellable *cancellable, Answer *answer)
{
  derate_pg_connection_start (connection, sql, NULL, DERATE_PG_OPERATION_READ, cancellable,
                              take_answer, answer);
}

static DeratePgConnection *
open_pooled (void)
{
  DeratePgConnection *connection = pg_open (servers);

  derate_pg_connection_set_pooled (connection, TRUE);
  return connection;
}

static char *
ask (DeratePgConnection *connection, const char *sql)
{
  g_auto (Answer) answer = { 0 };

  start (connection, sql, NULL, &answer);
  wait_for (&answer);
  g_assert_no_error (answer.error);
  return g_strdup (derate_pg_result_get_value (answer.result, 0, 0));
}

static void
drain (DeratePgConnection *connection, GTimeSpan limit, Answer *answer)
{
  derate_pg_connection_drain_async (connection, limit, take_answer, answer);
  wait_for (answer);
}

/* Leaves the session with a query that still runs; FALSE if it has ended before. */
static gboolean
try_abandon (DeratePgConnection *connection, const char *sql)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (Answer) answer = { 0 };

  start (connection, sql, cancellable, &answer);
  g_assert_false (derate_pg_connection_is_abandoned (connection));
  g_cancellable_cancel (cancellable);
  wait_for (&answer);
  if (answer.error == NULL)
    return FALSE;
  g_assert_error (answer.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_true (derate_pg_connection_is_abandoned (connection));
  g_assert_false (derate_pg_connection_is_usable (connection));
  return TRUE;
}

static void
abandon (DeratePgConnection *connection, const char *sql)
{
  g_assert_true (try_abandon (connection, sql));
}

static void
expect_sleepers (const char *n)
{
  pg_expect (servers,
             "select count(*) from pg_stat_activity where state = 'active' and query like '" SLEEP
             "%'",
             n);
}

static void
expect_no_sleepers (void)
{
  expect_sleepers ("0");
}

static void
test_drain (void)
{
  g_autoptr (DeratePgConnection) connection = open_pooled ();
  g_auto (Answer) refused = { 0 };
  g_auto (Answer) drained = { 0 };
  g_autofree char *pid = ask (connection, "select pg_backend_pid()");
  g_autofree char *after = NULL;

  abandon (connection, SLEEP);
  start (connection, "", NULL, &refused);
  wait_for (&refused);
  g_assert_error (refused.error, DERATE_PG_ERROR, DERATE_PG_ERROR_BUSY);
  drain (connection, G_TIME_SPAN_MINUTE, &drained);
  g_assert_no_error (drained.error);
  g_assert_false (derate_pg_connection_is_abandoned (connection));
  g_assert_true (derate_pg_connection_is_usable (connection));
  after = ask (connection, "select pg_backend_pid()");
  g_assert_cmpstr (after, ==, pid);
  g_assert_cmpuint (derate_pg_connection_get_pid (connection), ==,
                    g_ascii_strtoull (pid, NULL, 10));
  expect_no_sleepers ();
}

/* A cancel request that came late would end what comes next. */
static void
test_late_cancel (void)
{
  g_autoptr (DeratePgConnection) connection = open_pooled ();

  for (guint i = 0; i < 200; i++)
    {
      g_auto (Answer) drained = { 0 };
      g_autofree char *value = NULL;

      /* One that ends by itself about when it is cancelled, and one that does not. */
      if (try_abandon (connection, i % 2 == 0 ? "select pg_sleep(0.002)" : SLEEP))
        drain (connection, G_TIME_SPAN_MINUTE, &drained);
      else
        g_assert_cmpuint (i % 2, ==, 0);
      g_assert_no_error (drained.error);
      value = ask (connection, "select sum(i) from generate_series(1, 20000) i");
      g_assert_cmpstr (value, ==, "200010000");
    }
}

static void
test_drain_in_transaction (void)
{
  g_autoptr (DeratePgConnection) connection = open_pooled ();
  g_auto (Answer) drained = { 0 };

  g_assert_false (derate_pg_connection_is_in_transaction (connection));
  g_free (ask (connection, "begin"));
  abandon (connection, SLEEP);
  drain (connection, G_TIME_SPAN_MINUTE, &drained);
  g_assert_no_error (drained.error);
  g_assert_true (derate_pg_connection_is_in_transaction (connection));
  g_free (ask (connection, "rollback"));
  g_assert_false (derate_pg_connection_is_in_transaction (connection));
}

/* The server takes connections and answers none. */
static void
test_drain_silent (void)
{
  g_autoptr (DeratePgConnection) connection = open_pooled ();
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_auto (Answer) drained = { 0 };

  derate_pg_connection_set_clock (connection, clock);
  abandon (connection, SLEEP);
  test_servers_command (servers, "freeze", "postgresql");
  derate_pg_connection_drain_async (connection, 10 * G_TIME_SPAN_SECOND, take_answer, &drained);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 10 * G_TIME_SPAN_SECOND - 1);
  g_assert_false (drained.is_done);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 1);
  wait_for (&drained);
  g_assert_error (drained.error, DERATE_PG_ERROR, DERATE_PG_ERROR_TIMED_OUT);
  g_assert_cmpint (derate_pg_connection_get_fd (connection), ==, -1);
  test_servers_command (servers, "thaw", "postgresql");
  expect_no_sleepers ();
}

static void
test_drain_closed (void)
{
  g_autoptr (DeratePgConnection) connection = open_pooled ();
  g_auto (Answer) drained = { 0 };

  abandon (connection, SLEEP);
  expect_sleepers ("1"); /* a request that came before the query is made again by nobody */
  derate_pg_connection_drain_async (connection, G_TIME_SPAN_MINUTE, take_answer, &drained);
  derate_pg_connection_close (connection);
  wait_for (&drained);
  g_assert_error (drained.error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
  pg_execute (servers,
              "select pg_terminate_backend(pid) from pg_stat_activity where query like '" SLEEP
              "%' and pid <> pg_backend_pid()");
  expect_no_sleepers ();
}

static void
test_drain_killed (void)
{
  g_autoptr (DeratePgConnection) connection = open_pooled ();
  g_autofree char *kill = g_strdup_printf ("select pg_terminate_backend(%u, 5000)",
                                           derate_pg_connection_get_pid (connection));
  g_auto (Answer) drained = { 0 };

  abandon (connection, SLEEP);
  pg_execute (servers, kill);
  drain (connection, G_TIME_SPAN_MINUTE, &drained);
  g_assert_error (drained.error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
  g_assert_cmpint (derate_pg_connection_get_fd (connection), ==, -1);
}

/* The query ends by its timeout, of the session's clock, whatever the server does. */
static void
test_query_timeout (void)
{
  g_autoptr (DeratePgConnection) connection = open_pooled ();
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_auto (Answer) slow = { 0 };
  g_auto (Answer) drained = { 0 };

  derate_pg_connection_set_clock (connection, clock);
  derate_pg_connection_set_query_timeout (connection, 30 * G_TIME_SPAN_SECOND);
  /* A timer that is armed already is left where it is. */
  g_free (ask (connection, "select 1"));
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 20 * G_TIME_SPAN_SECOND);
  start (connection, SLEEP, NULL, &slow);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 30 * G_TIME_SPAN_SECOND - 1);
  g_assert_false (slow.is_done);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 1);
  wait_for (&slow);
  g_assert_error (slow.error, DERATE_PG_ERROR, DERATE_PG_ERROR_TIMED_OUT);
  g_assert_cmpstr (slow.error->message, ==, "no answer within 30s");
  g_assert_true (derate_pg_connection_is_abandoned (connection));
  /* A request that came before the query is made again after a while. */
  derate_pg_connection_set_clock (connection, derate_clock_get_system ());
  drain (connection, G_TIME_SPAN_MINUTE, &drained);
  g_assert_no_error (drained.error);
  expect_no_sleepers ();
}

/* Without a pool there is nobody to drain it. */
static void
test_query_timeout_alone (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (GError) error = NULL;

  derate_pg_connection_set_query_timeout (connection, G_TIME_SPAN_MILLISECOND);
  g_assert_null (pg_query (connection, SLEEP, NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_TIMED_OUT);
  g_assert_false (derate_pg_connection_is_usable (connection));
  g_clear_error (&error);
  g_assert_null (pg_query (connection, "", NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
}

static gpointer
query_in_thread (gpointer data)
{
  DeratePgConnection *connection = data;
  g_autoptr (GMainContext) context = g_main_context_new ();
  char *value;

  g_main_context_push_thread_default (context);
  value = ask (connection, "select 'by another loop'");
  g_main_context_pop_thread_default (context);
  return value;
}

static gpointer
query_in_thread_sync (gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgResult) result = NULL;

  result = derate_pg_connection_query (data, "select 'without a loop'", NULL, NULL, &error);
  g_assert_no_error (error);
  return g_strdup (derate_pg_result_get_value (result, 0, 0));
}

static gboolean
count_turn (gpointer data)
{
  (*(guint *)data)++;
  return G_SOURCE_CONTINUE;
}

/* From loop to loop and thread to thread, while the loop that it left goes on turning. */
static void
test_moves (void)
{
  g_autoptr (DeratePgConnection) connection = open_pooled ();
  guint n_turns = 0;
  guint ticker = g_timeout_add (1, count_turn, &n_turns);

  for (guint i = 0; i < 50; i++)
    {
      g_autofree char *here = ask (connection, "select 'here'");
      GThread *thread = g_thread_new ("loop", query_in_thread, connection);
      guint until = n_turns + 1;
      g_autofree char *there = NULL;
      g_autofree char *sync = NULL;

      while (n_turns < until)
        g_main_context_iteration (NULL, TRUE);
      there = g_thread_join (thread);
      thread = g_thread_new ("no-loop", query_in_thread_sync, connection);
      until = n_turns + 1;
      while (n_turns < until)
        g_main_context_iteration (NULL, TRUE);
      sync = g_thread_join (thread);
      g_assert_cmpstr (here, ==, "here");
      g_assert_cmpstr (there, ==, "by another loop");
      g_assert_cmpstr (sync, ==, "without a loop");
    }
  g_source_remove (ticker);
}

/* A session that rests in a loop and is killed must not keep the loop busy. */
static void
test_killed_at_rest (void)
{
  g_autoptr (DeratePgConnection) connection = open_pooled ();
  g_autofree char *kill = g_strdup_printf ("select pg_terminate_backend(%u, 5000)",
                                           derate_pg_connection_get_pid (connection));

  g_free (ask (connection, "select 1"));
  pg_execute (servers, kill);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_false (g_main_context_pending (NULL));
  g_assert_false (derate_pg_connection_is_usable (connection));
}

static void
test_role (void)
{
  g_autoptr (DeratePgConnection) connection = open_pooled ();
  g_auto (Answer) write = { 0 };

  g_assert_false (derate_pg_connection_saw_read_only (connection));
  g_free (ask (connection, "set session characteristics as transaction read only"));
  g_assert_true (derate_pg_connection_is_usable (connection));
  g_assert_true (derate_pg_connection_saw_read_only (connection));
  g_assert_false (derate_pg_connection_saw_read_only (connection));
  start (connection, "create table nothing ()", NULL, &write);
  wait_for (&write);
  g_assert_error (write.error, DERATE_PG_ERROR, DERATE_PG_ERROR_READ_ONLY);
  g_assert_true (derate_pg_connection_saw_read_only (connection));
  g_free (ask (connection, "set session characteristics as transaction read write"));
  g_assert_true (derate_pg_connection_is_usable (connection));
  g_assert_true (derate_pg_connection_saw_read_only (connection));
}

static void
test_meter (void)
{
  g_autoptr (DeratePgConnection) connection = open_pooled ();
  g_autoptr (DeratePgMeter) meter = derate_pg_meter_new ("shop", NULL);
  g_auto (Answer) failed = { 0 };
  g_auto (Answer) drained = { 0 };
  g_autoptr (GError) error = NULL;

  derate_pg_connection_set_meter (connection, meter);
  g_free (ask (connection, "select 1"));
  start (connection, "select 1/0", NULL, &failed);
  wait_for (&failed);
  abandon (connection, SLEEP);
  drain (connection, G_TIME_SPAN_MINUTE, &drained);
  derate_pg_connection_set_operation (connection, DERATE_PG_OPERATION_WRITE);
  derate_pg_result_unref (pg_query (connection, "select 2", NULL, &error));
  for (guint i = 0; i < DERATE_PG_N_STATUSES; i++)
    g_assert_cmpuint (derate_histogram_get_count (
                          derate_pg_meter_get_queries (meter, DERATE_PG_OPERATION_READ, i)),
                      ==, i == DERATE_PG_STATUS_TIMEOUT ? 0 : 1);
  g_assert_cmpuint (derate_histogram_get_count (
                        derate_pg_meter_get_queries (meter, DERATE_PG_OPERATION_WRITE,
                                                     DERATE_PG_STATUS_OK)),
                    ==, 1);
}

/* Whoever hears of one query may wait for the next before it returns to the loop. */
static void
ask_again (DeratePgConnection *connection, DeratePgResult *result, GError *error, gpointer data)
{
  g_autofree char *two = NULL;

  g_assert_no_error (error);
  derate_pg_result_unref (result);
  two = ask (connection, "select 2");
  g_assert_cmpstr (two, ==, "2");
  *(gboolean *)data = TRUE;
}

static void
test_within_callback (void)
{
  g_autoptr (DeratePgConnection) connection = open_pooled ();
  gboolean is_done = FALSE;

  derate_pg_connection_start (connection, "select 1", NULL, DERATE_PG_OPERATION_READ, NULL,
                              ask_again, &is_done);
  while (!is_done)
    g_main_context_iteration (NULL, TRUE);
}

int
main (int argc, char *argv[])
{
  int status;

  g_test_init (&argc, &argv, NULL);
  servers = test_servers_new ((const char *const[]){ "postgresql", NULL });

  g_test_add_func ("/pg-session/drain", test_drain);
  g_test_add_func ("/pg-session/trap-13-late-cancel", test_late_cancel);
  g_test_add_func ("/pg-session/drain-in-transaction", test_drain_in_transaction);
  g_test_add_func ("/pg-session/drain-silent", test_drain_silent);
  g_test_add_func ("/pg-session/drain-closed", test_drain_closed);
  g_test_add_func ("/pg-session/drain-killed", test_drain_killed);
  g_test_add_func ("/pg-session/query-timeout", test_query_timeout);
  g_test_add_func ("/pg-session/query-timeout-alone", test_query_timeout_alone);
  g_test_add_func ("/pg-session/moves", test_moves);
  g_test_add_func ("/pg-session/within-callback", test_within_callback);
  g_test_add_func ("/pg-session/killed-at-rest", test_killed_at_rest);
  g_test_add_func ("/pg-session/role", test_role);
  g_test_add_func ("/pg-session/meter", test_meter);

  status = g_test_run ();
  test_servers_free (servers);
  return status;
}
