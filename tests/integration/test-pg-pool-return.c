/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In which state sessions come back, and in which they are lent again. */
#include "pg-world.h"

#include "test-proxy.h"

#include <string.h>

static GCancellable *none;

static DeratePgConnection *
connection_of (DeratePgLease *lease)
{
  return derate_pg_lease_get_connection (lease);
}

/* One that fails. */
static GError *
run_fails (DeratePgLease *lease, const char *sql)
{
  GError *error = NULL;

  g_assert_null (pg_query (connection_of (lease), sql, NULL, &error));
  return error;
}

static void
run (DeratePgLease *lease, const char *sql)
{
  g_free (pg_world_run (lease, sql));
}

static void
expect (DeratePgLease *lease, const char *sql, const char *value)
{
  g_autofree char *found = pg_world_run (lease, sql);

  g_assert_cmpstr (found, ==, value);
}

static void
test_transaction (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_autoptr (GError) error = NULL;
  guint pid;

  g_free (pg_world_ask ("create table if not exists kept (n int)"));
  pg_world_acquire (pool, &lease);
  pid = pg_world_pid (&lease);
  run (&lease, "begin");
  run (&lease, "insert into kept values (1)");
  derate_pg_lease_clear (&lease);

  pg_world_acquire (pool, &lease);
  g_assert_cmpuint (pg_world_pid (&lease), ==, pid);
  g_assert_false (derate_pg_connection_is_in_transaction (connection_of (&lease)));
  expect (&lease, "select count(*) from kept", "0");

  /* A failed one likewise. */
  run (&lease, "begin");
  error = run_fails (&lease, "select 1 / 0");
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_QUERY);
  derate_pg_lease_clear (&lease);
  pg_world_acquire (pool, &lease);
  g_assert_cmpuint (pg_world_pid (&lease), ==, pid);
  expect (&lease, "select 7", "7");
  derate_pg_lease_clear (&lease);
  g_assert_cmpuint (pg_world_stats (pool).opened, ==, 1);
  pg_world_end (pool);
}

static void
test_running (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_auto (PgAnswer) answer = { 0 };
  guint pid;

  pg_world_acquire (pool, &lease);
  pid = pg_world_pid (&lease);
  derate_pg_connection_query_async (connection_of (&lease), "select pg_sleep(0.3)", NULL, none,
                                    pg_answer_take, &answer);
  g_assert_true (derate_pg_lease_release (&lease, NULL));
  pg_world_until (answer.is_done);
  g_assert_error (answer.error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
  pg_world_acquire (pool, &lease);
  g_assert_cmpuint (pg_world_pid (&lease), !=, pid);
  derate_pg_lease_clear (&lease);
  pg_world_end (pool);
}

static void
test_full_reset (void)
{
  DeratePgPool *pool =
      pg_world_pool ("min-size", 1, "max-size", 1, "reset", DERATE_PG_RESET_FULL, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  guint pid;

  pg_world_acquire (pool, &lease);
  pid = pg_world_pid (&lease);
  run (&lease, "set work_mem = '77MB'");
  run (&lease, "create temporary table scratch (n int)");
  run (&lease, "listen news");
  run (&lease, "prepare mine as select 1");
  derate_pg_lease_clear (&lease);

  pg_world_acquire (pool, &lease);
  g_assert_cmpuint (pg_world_pid (&lease), ==, pid);
  expect (&lease, "select current_setting('work_mem') = '77MB'", "f");
  expect (&lease, "select to_regclass('scratch') is null", "t");
  expect (&lease, "select count(*) from pg_listening_channels()", "0");
  expect (&lease, "select count(*) from pg_prepared_statements where name = 'mine'", "0");

  /* Also one that is in a transaction, in which nothing can be discarded. */
  run (&lease, "begin");
  run (&lease, "set work_mem = '77MB'");
  derate_pg_lease_clear (&lease);
  pg_world_acquire (pool, &lease);
  expect (&lease, "select current_setting('work_mem') = '77MB'", "f");
  derate_pg_lease_clear (&lease);
  pg_world_end (pool);
}

static void
test_light_reset (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;

  pg_world_acquire (pool, &lease);
  run (&lease, "set work_mem = '77MB'");
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *sql = NULL;

      derate_pg_lease_clear (&lease);
      pg_world_acquire (pool, &lease);
      sql = g_strdup_printf ("select query = 'set work_mem = ''77MB''' from pg_stat_activity "
                             "where pid = %u",
                             pg_world_pid (&lease));
      {
        g_autofree char *untouched = pg_world_ask (sql);

        g_assert_cmpstr (untouched, ==, "t");
      }
    }
  derate_pg_lease_clear (&lease);
  pg_world_end (pool);
}

/* The peer goes silent while a session is lent: its place is free again in time. */
static void
test_silent_peer (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  DeratePgPool *pool = pg_world_pool_at (test_proxy_get_uri (proxy), "min-size", 1, "max-size", 1,
                                         "validation-timeout", 150 * MS, "clock", clock, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;

  pg_world_acquire (pool, &lease);
  run (&lease, "begin");
  test_proxy_freeze (proxy);
  /* A return that waited would do so for ever: the clock stands. */
  g_assert_true (derate_pg_lease_release (&lease, NULL));
  pg_world_until (pg_world_stats (pool).reserved == 1);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 150 * MS - 1);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (pg_world_stats (pool).connecting, ==, 0);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 1);
  pg_world_until (pg_world_stats (pool).connecting == 1);
  test_proxy_thaw (proxy);
  pg_world_acquire (pool, &lease);
  derate_pg_lease_clear (&lease);
  pg_world_end (pool);
}

/* What was cancelled here goes on there until the server has heard of it: it counts so long. */
static void
test_cancelled_queries (void)
{
  enum
  {
    MAX_SIZE = 6,
    N = 50
  };
  DeratePgPool *pool = pg_world_pool ("min-size", 0, "max-size", MAX_SIZE, NULL);
  guint peak = 0;

  for (guint i = 0; i < N; i++)
    {
      g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      g_auto (PgAnswer) answer = { 0 };

      pg_world_acquire (pool, &lease);
      derate_pg_connection_query_async (connection_of (&lease), "select pg_sleep(60)", NULL,
                                        cancellable, pg_answer_take, &answer);
      g_main_context_iteration (NULL, FALSE);
      g_cancellable_cancel (cancellable);
      pg_world_until (answer.is_done);
      g_assert_error (answer.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      derate_pg_lease_clear (&lease);
      peak = MAX (peak, pg_world_sessions (pool));
      g_assert_cmpuint (pg_world_stats (pool).total, <=, MAX_SIZE);
    }
  g_assert_cmpuint (peak, <=, MAX_SIZE);
  pg_world_until (pg_world_stats (pool).draining == 0);
  g_assert_cmpuint (pg_world_count ("select count(*) from pg_stat_activity where query like "
                                    "'select pg_sleep(60)' and state = 'active'"),
                    ==, 0);
  pg_world_end (pool);
}

/* The next statement in that session is not hit. */
static void
test_late_cancel (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);

  for (guint i = 0; i < 100; i++)
    {
      g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      g_auto (PgAnswer) answer = { 0 };

      pg_world_acquire (pool, &lease);
      derate_pg_connection_query_async (connection_of (&lease), "select pg_sleep(0.001)", NULL,
                                        cancellable, pg_answer_take, &answer);
      g_usleep (g_test_rand_int_range (0, 1500));
      g_cancellable_cancel (cancellable);
      pg_world_until (answer.is_done);
      derate_pg_lease_clear (&lease);
      pg_world_acquire (pool, &lease);
      expect (&lease, "select pg_sleep(0.002), 5", "");
    }
  g_assert_cmpuint (pg_world_stats (pool).opened, ==, 1);
  pg_world_end (pool);
}

static void
test_query_timeout (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, "query-timeout", 50 * MS, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_autoptr (GError) error = NULL;
  guint pid;

  pg_world_acquire (pool, &lease);
  pid = pg_world_pid (&lease);
  error = run_fails (&lease, "select pg_sleep(60)");
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_TIMED_OUT);
  derate_pg_lease_clear (&lease);
  pg_world_acquire (pool, &lease);
  g_assert_cmpuint (pg_world_pid (&lease), ==, pid);
  derate_pg_connection_set_query_timeout (connection_of (&lease), 0);
  expect (&lease, "select 5", "5");
  derate_pg_lease_clear (&lease);
  pg_world_end (pool);
}

static void
test_killed_query (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 2, "max-size", 2, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_auto (DeratePgLease) other = DERATE_PG_LEASE_INIT;
  g_auto (PgAnswer) answer = { 0 };
  g_autofree char *state = NULL;
  g_autofree char *kill = NULL;
  guint pid;

  pg_world_acquire (pool, &lease);
  pg_world_acquire (pool, &other);
  pid = pg_world_pid (&other);
  kill = g_strdup_printf ("select pg_terminate_backend(%u)", pg_world_pid (&lease));
  derate_pg_connection_query_async (connection_of (&lease), "select pg_sleep(60)", NULL, none,
                                    pg_answer_take, &answer);
  g_free (pg_world_ask (kill));
  pg_world_until (answer.is_done);
  g_assert_error (answer.error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
  state = derate_pg_error_get_sqlstate (answer.error);
  g_assert_cmpstr (state, ==, "57P01");
  derate_pg_lease_clear (&lease);
  derate_pg_lease_clear (&other);
  pg_world_until (pg_world_stats (pool).idle == 2);
  g_assert_cmpuint (pg_world_stats (pool).opened, ==, 3);
  g_assert_cmpuint (pg_world_stats (pool).lost, ==, 1);
  pg_world_acquire (pool, &lease);
  pg_world_acquire (pool, &other);
  g_assert_true (pg_world_pid (&lease) == pid || pg_world_pid (&other) == pid);
  derate_pg_lease_clear (&lease);
  derate_pg_lease_clear (&other);
  pg_world_end (pool);
}

int
main (int argc, char *argv[])
{
  pg_world_start (&argc, &argv);

  g_test_add_func ("/pool/behaviour/10-returned-in-transaction", test_transaction);
  g_test_add_func ("/pool/behaviour/10-returned-while-running", test_running);
  g_test_add_func ("/pool/behaviour/11-full-reset", test_full_reset);
  g_test_add_func ("/pool/behaviour/11-light-reset", test_light_reset);
  g_test_add_func ("/pool/trap/05-silent-peer", test_silent_peer);
  g_test_add_func ("/pool/trap/12-cancelled-queries", test_cancelled_queries);
  g_test_add_func ("/pool/trap/13-late-cancel", test_late_cancel);
  g_test_add_func ("/pool/return/query-timeout", test_query_timeout);
  g_test_add_func ("/pool/behaviour/24-killed-query", test_killed_query);

  return pg_world_run_tests ();
}
