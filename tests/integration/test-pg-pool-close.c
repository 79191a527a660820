/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of a pool, whenever it comes. */
#include "pg-world.h"

#include "test-proxy.h"

#include <string.h>

static GCancellable *none;

static guint
count_fds (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

typedef struct
{
  DeratePgPool *pool;
  GThread *thread;
  gboolean is_told;
} Worker;

/* Works until it is told that the pool is closed. A session may be cut off in its hands. */
static gpointer
work (gpointer data)
{
  Worker *worker = data;

  while (TRUE)
    {
      g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
      g_autoptr (DeratePgResult) result = NULL;
      g_autoptr (GError) error = NULL;

      if (!derate_pg_pool_acquire (worker->pool, READ, NULL, &lease, none, &error))
        {
          g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_CLOSED);
          worker->is_told = TRUE;
          return NULL;
        }
      result = derate_pg_connection_query (derate_pg_lease_get_connection (&lease),
                                           "select pg_sleep(0.002)", NULL, none, &error);
      if (result == NULL)
        g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
    }
}

typedef struct
{
  guint n_calls; /* how often its end was told */
} Call;

static void
call_ended (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Call *call = user_data;
  g_autoptr (DeratePgResult) rows = NULL;
  g_autoptr (GError) error = NULL;

  call->n_calls++;
  rows = derate_pg_pool_query_finish (DERATE_PG_POOL (source), result, &error);
  if (rows == NULL)
    g_assert_true (g_error_matches (error, DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_CLOSED) ||
                   g_error_matches (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED));
}

static void
closed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (derate_pg_pool_close_finish (DERATE_PG_POOL (source), result, &error));
  *(gboolean *)user_data = TRUE;
}

static void
turn_for (GTimeSpan span)
{
  for (gint64 end = g_get_monotonic_time () + span; g_get_monotonic_time () < end;)
    g_main_context_iteration (NULL, FALSE);
}

enum
{
  N_WORKERS = 3,
  N_CALLS = 8
};

/* Closes a pool in the middle of all that goes on in it, and looks whether anything is left. */
static void
close_amid (const char *uri, GTimeSpan after, GTimeSpan patience, gboolean drains)
{
  DeratePgPool *pool = pg_world_pool_at (uri, "min-size", 3, "max-size", 5, NULL);
  Worker workers[N_WORKERS] = { 0 };
  Call calls[N_CALLS] = { 0 };
  gboolean is_closed = FALSE;

  for (guint i = 0; i < N_WORKERS; i++)
    {
      workers[i].pool = pool;
      workers[i].thread = g_thread_new ("worker", work, &workers[i]);
    }
  for (guint i = 0; i < N_CALLS; i++)
    derate_pg_pool_query_async (pool, READ, "select pg_sleep(0.003)", NULL, none, call_ended,
                                &calls[i]);
  turn_for (after);
  if (drains)
    g_assert_true (derate_pg_pool_resize (pool, 0, 1, NULL));
  derate_pg_pool_close_async (pool, patience, closed, &is_closed);
  pg_world_until (is_closed);
  for (guint i = 0; i < N_WORKERS; i++)
    {
      g_thread_join (workers[i].thread);
      g_assert_true (workers[i].is_told);
    }
  for (guint i = 0; i < N_CALLS; i++)
    {
      pg_world_until (calls[i].n_calls > 0);
      g_assert_cmpuint (calls[i].n_calls, ==, 1);
    }
  turn_for (0);
  for (guint i = 0; i < N_CALLS; i++)
    g_assert_cmpuint (calls[i].n_calls, ==, 1);
  pg_world_until (pg_world_stats (pool).total == 0);
  pg_world_end (pool);
}

static void
test_any_moment (void)
{
  guint fds;

  close_amid (pg_world_get_uri (), 0, S, FALSE); /* what is made once for the process */
  fds = count_fds ();
  for (guint round = 0; round < 40; round++)
    close_amid (pg_world_get_uri (), g_test_rand_int_range (0, 12000), round % 2 == 0 ? 0 : S,
                round % 3 == 0);
  pg_world_until (count_fds () == fds);
}

/* Spread over the whole of a connect. */
static void
test_while_connecting (void)
{
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());

  test_proxy_set_fault (proxy, TEST_PROXY_DELAY, 4);
  for (guint round = 0; round < 40; round++)
    {
      DeratePgPool *pool =
          pg_world_pool_at (test_proxy_get_uri (proxy), "min-size", 2, "max-size", 4, NULL);
      PgCaller *callers[3];
      gboolean is_closed = FALSE;

      for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
        callers[i] = pg_caller_new (pool, none);
      turn_for (round * 500);
      derate_pg_pool_close_async (pool, 0, closed, &is_closed);
      for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
        {
          pg_world_until (pg_caller_is_done (callers[i]));
          g_assert_true (
              callers[i]->error == NULL ||
              g_error_matches (callers[i]->error, DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_CLOSED));
          pg_caller_free (callers[i]);
        }
      pg_world_until (is_closed);
      pg_world_end (pool);
    }
  pg_world_until (test_proxy_count_open (proxy) == 0);
}

/* Who has a session may finish, unless patience is over. */
static void
test_patience (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 2, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  gboolean is_closed = FALSE;
  g_autoptr (GError) error = NULL;

  pg_world_acquire (pool, &lease);
  derate_pg_pool_close_async (pool, 600 * S, closed, &is_closed);
  turn_for (30 * MS);
  g_assert_false (is_closed);
  g_free (pg_world_run (&lease, "select 1"));
  error = pg_world_acquire_fails (pool);
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_CLOSED);
  derate_pg_lease_clear (&lease);
  pg_world_until (is_closed);
  pg_world_end (pool);
}

static void
test_cut_off (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 2, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_autoptr (DeratePgResult) result = NULL;
  gboolean is_closed = FALSE;
  g_autoptr (GError) error = NULL;

  pg_world_acquire (pool, &lease);
  derate_pg_pool_close_async (pool, 30 * MS, closed, &is_closed);
  pg_world_until (is_closed);
  result = derate_pg_connection_query (derate_pg_lease_get_connection (&lease), "select 1", NULL,
                                       none, &error);
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
  g_assert_cmpuint (pg_world_stats (pool).total, ==, 1);
  derate_pg_lease_clear (&lease);
  pg_world_until (pg_world_stats (pool).total == 0);
  pg_world_end (pool);
}

/* Nor does the server go on with what it ran for somebody who has been cut off. */
static void
test_cut_off_while_running (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 2, NULL);
  g_autofree char *sql =
      g_strdup_printf ("select count(*) from pg_stat_activity where application_name = '%s'"
                       " and wait_event = 'PgSleep'",
                       derate_pg_pool_get_name (pool));
  Call call = { 0 };
  gboolean is_closed = FALSE;

  derate_pg_pool_query_async (pool, READ, "select pg_sleep(600)", NULL, none, call_ended, &call);
  pg_world_until (pg_world_count (sql) == 1);
  derate_pg_pool_close_async (pool, 0, closed, &is_closed);
  pg_world_until (is_closed && call.n_calls == 1);
  pg_world_until (pg_world_count (sql) == 0);
  pg_world_end (pool);
}

/* The last reference goes while it works: the pool closes itself, in whichever thread that is. */
static void
test_dropped (void)
{
  guint fds = count_fds ();

  for (guint round = 0; round < 20; round++)
    {
      DeratePgPool *pool = pg_world_pool ("min-size", 2, "max-size", 3, NULL);
      g_autofree char *sql =
          g_strdup_printf ("select count(*) from pg_stat_activity where application_name = '%s'",
                           derate_pg_pool_get_name (pool));
      Call calls[4] = { 0 };

      for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
        derate_pg_pool_query_async (pool, READ, "select 1", NULL, none, call_ended, &calls[i]);
      turn_for (g_test_rand_int_range (0, 6000));
      g_object_unref (pool);
      for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
        pg_world_until (calls[i].n_calls == 1);
      pg_world_until (pg_world_count (sql) == 0);
    }
  pg_world_until (count_fds () <= fds);
}

/* Who holds a session of a pool that everybody else dropped may use it, and ends the pool. */
static void
test_dropped_before_lease (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);
  g_autofree char *sql =
      g_strdup_printf ("select count(*) from pg_stat_activity where application_name = '%s'",
                       derate_pg_pool_get_name (pool));
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_autofree char *answer = NULL;

  pg_world_acquire (pool, &lease);
  g_object_unref (pool);
  answer = pg_world_run (&lease, "select 7");
  g_assert_cmpstr (answer, ==, "7");
  derate_pg_lease_clear (&lease);
  pg_world_until (pg_world_count (sql) == 0);
}

static void
test_never_opened (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, NULL);
  g_autoptr (GError) error = NULL;
  gboolean is_closed = FALSE;

  derate_pg_pool_close_async (pool, 0, closed, &is_closed);
  pg_world_until (is_closed);
  error = pg_world_acquire_fails (pool);
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_CLOSED);
  g_assert_finalize_object (pool);
  pool = pg_world_pool ("min-size", 1, NULL);
  g_assert_finalize_object (pool);
}

/* A server that runs a statement nobody waits for any more does not hold the end up for long. */
static void
test_draining (void)
{
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  DeratePgPool *pool =
      pg_world_pool_at (test_proxy_get_uri (proxy), "min-size", 1, "max-size", 1, "query-timeout",
                        20 * MS, "validation-timeout", 600 * S, NULL);
  gboolean is_closed = FALSE;
  g_autoptr (DeratePgResult) result = NULL;
  g_autoptr (GError) error = NULL;

  pg_world_open (pool);
  test_proxy_freeze (proxy);
  result = derate_pg_pool_query (pool, READ, "select 1", NULL, none, &error);
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_TIMED_OUT);
  pg_world_until (pg_world_stats (pool).draining == 1);
  derate_pg_pool_close_async (pool, 100 * MS, closed, &is_closed);
  pg_world_until (is_closed);
  test_proxy_thaw (proxy);
  pg_world_end (pool);
}

int
main (int argc, char *argv[])
{
  pg_world_start (&argc, &argv);

  g_test_add_func ("/pool/behaviour/27-closed-at-any-moment", test_any_moment);
  g_test_add_func ("/pool/trap/08-closed-while-connecting", test_while_connecting);
  g_test_add_func ("/pool/close/patience", test_patience);
  g_test_add_func ("/pool/close/cut-off", test_cut_off);
  g_test_add_func ("/pool/close/cut-off-while-running", test_cut_off_while_running);
  g_test_add_func ("/pool/close/dropped", test_dropped);
  g_test_add_func ("/pool/close/dropped-before-lease", test_dropped_before_lease);
  g_test_add_func ("/pool/close/never-opened", test_never_opened);
  g_test_add_func ("/pool/close/draining", test_draining);

  return pg_world_run_tests ();
}
