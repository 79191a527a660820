/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a pool comes to its sessions, and what it does when it cannot. */
#include "pg-world.h"

#include "test-proxy.h"

#include <string.h>

static GCancellable *none;

static void
take_all (DeratePgPool *pool, DeratePgLease *leases, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      leases[i] = (DeratePgLease)DERATE_PG_LEASE_INIT;
      pg_world_acquire (pool, &leases[i]);
    }
}

static void
give_all (DeratePgLease *leases, guint n)
{
  for (guint i = 0; i < n; i++)
    derate_pg_lease_clear (&leases[i]);
}

/* One request of a burst: a session for 2 ms. */
typedef struct
{
  DeratePgLease lease;
  gboolean is_done;
} Request;

static gboolean
end_request (gpointer data)
{
  Request *request = data;

  derate_pg_lease_clear (&request->lease);
  request->is_done = TRUE;
  return G_SOURCE_REMOVE;
}

static void
request_served (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Request *request = user_data;
  g_autoptr (GError) error = NULL;

  derate_pg_pool_acquire_finish (DERATE_PG_POOL (source), result, &request->lease, &error);
  g_assert_no_error (error);
  g_timeout_add (2, end_request, request);
}

static void
test_spike (void)
{
  enum
  {
    N = 50
  };
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  DeratePgPool *pool =
      pg_world_pool_at (test_proxy_get_uri (proxy), "min-size", 5, "max-size", 50,
                        "connect-timeout", 600 * S, "acquire-timeout", 600 * S, NULL);
  Request requests[N] = { 0 };

  pg_world_open (pool);
  /* However slow this machine is, connects are slower. */
  test_proxy_set_fault (proxy, TEST_PROXY_SILENT, 0);
  for (guint i = 0; i < N; i++)
    derate_pg_pool_acquire_async (pool, WRITE, NULL, none, request_served, &requests[i]);
  for (guint i = 0; i < N; i++)
    pg_world_until (requests[i].is_done);
  g_assert_cmpuint (pg_world_stats (pool).total, <, 7);
  g_assert_cmpuint (pg_world_stats (pool).opened, ==, 5);
  pg_world_end (pool);
}

enum
{
  N_COLD = 12,
  COLD_MS = 100 /* a connect takes longer than that */
};

static GTimeSpan
time_a_cold_start (const char *uri)
{
  DeratePgPool *pool = pg_world_pool_at (uri, "min-size", 2, "max-size", N_COLD, NULL);
  DeratePgLease leases[N_COLD];
  PgCaller *callers[N_COLD];
  gint64 start = g_get_monotonic_time ();
  GTimeSpan span;

  for (guint i = 0; i < N_COLD; i++)
    callers[i] = pg_caller_new (pool, none);
  for (guint i = 0; i < N_COLD; i++)
    {
      pg_world_until (pg_caller_is_done (callers[i]));
      leases[i] = callers[i]->lease;
      callers[i]->lease = (DeratePgLease)DERATE_PG_LEASE_INIT;
      pg_caller_free (callers[i]);
    }
  span = g_get_monotonic_time () - start;
  give_all (leases, N_COLD);
  pg_world_end (pool);
  return span;
}

/* A cold pool under load does not open its sessions one after the other either, which could never
 * take less than the sum of the delays; a machine that is busy may take as long, but not always. */
static void
test_cold (void)
{
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  GTimeSpan span = G_MAXINT64;

  test_proxy_set_fault (proxy, TEST_PROXY_DELAY, COLD_MS);
  for (guint i = 0; i < 20 && span >= N_COLD * COLD_MS * MS; i++)
    span = time_a_cold_start (test_proxy_get_uri (proxy));
  g_assert_cmpint (span, <, N_COLD * COLD_MS * MS);
}

/* The connect goes on, and what comes of it is the pool's. */
static void
test_cancelled (void)
{
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  DeratePgPool *pool = pg_world_pool_at (test_proxy_get_uri (proxy), "min-size", 0, "max-size", 3,
                                         "connect-timeout", 600 * S, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (PgCaller) caller = NULL;

  test_proxy_freeze (proxy);
  caller = pg_caller_new (pool, cancellable);
  pg_world_until (pg_world_stats (pool).connecting == 1);
  g_cancellable_cancel (cancellable);
  pg_world_until (pg_caller_is_done (caller));
  g_assert_error (caller->error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (pg_world_stats (pool).cancelled, ==, 1);
  g_assert_cmpuint (pg_world_stats (pool).waiting, ==, 0);
  test_proxy_thaw (proxy);
  pg_world_until (pg_world_stats (pool).idle == 1);
  g_assert_cmpuint (pg_world_stats (pool).total, ==, 1);
  g_assert_cmpuint (pg_world_sessions (pool), ==, 1);
  pg_world_end (pool);
}

/* A connect that takes too long is given up; it does not come back beside the books. */
static void
test_late_connect (void)
{
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  DeratePgPool *pool =
      pg_world_pool_at (test_proxy_get_uri (proxy), "min-size", 0, "max-size", 2, "connect-timeout",
                        150 * MS, "acquire-timeout", 600 * S, NULL);

  test_proxy_set_fault (proxy, TEST_PROXY_DELAY, 300);
  {
    g_autoptr (PgCaller) caller = pg_caller_new (pool, none);

    pg_world_until (pg_world_stats (pool).failed >= 2);
    test_proxy_set_fault (proxy, TEST_PROXY_WHOLE, 0);
    pg_world_until (pg_caller_is_done (caller));
    g_assert_no_error (caller->error);
    pg_world_until (pg_world_stats (pool).connecting == 0);
    pg_world_until (pg_world_sessions (pool) == pg_world_stats (pool).total);
    g_assert_cmpuint (pg_world_stats (pool).total, ==, 1);
  }
  pg_world_end (pool);
}

/* Who forgot what the pool was told would wait for the 5 s of a URI without a timeout. */
static void
test_silent (void)
{
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  DeratePgPool *pool = pg_world_pool_at (test_proxy_get_uri (proxy), "min-size", 1,
                                         "connect-timeout", 300 * MS, NULL);
  gint64 start;

  test_proxy_set_fault (proxy, TEST_PROXY_SILENT, 0);
  start = g_get_monotonic_time ();
  {
    g_autoptr (PgCaller) caller = pg_caller_new (pool, none);

    pg_world_until (pg_world_stats (pool).failed == 1);
    g_assert_cmpint (g_get_monotonic_time () - start, >=, 300 * MS);
    g_assert_cmpint (g_get_monotonic_time () - start, <, 5 * S);
    test_proxy_set_fault (proxy, TEST_PROXY_WHOLE, 0);
  }
  pg_world_end (pool);
}

/* Of those who wait nobody loses anything when an attempt fails. */
static void
test_failed_connect (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  DeratePgPool *pool = pg_world_pool_at (test_proxy_get_uri (proxy), "min-size", 0, "max-size", 1,
                                         "clock", clock, NULL);
  PgCaller *callers[3];

  test_proxy_set_fault (proxy, TEST_PROXY_RESET_AFTER, 10);
  for (guint i = 0; i < 3; i++)
    callers[i] = pg_caller_new (pool, none);
  pg_world_until (pg_world_stats (pool).failed == 1);
  test_proxy_set_fault (proxy, TEST_PROXY_WHOLE, 0);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 250 * MS);
  for (guint i = 0; i < 3; i++)
    {
      pg_world_until (pg_caller_is_done (callers[i]));
      g_assert_no_error (callers[i]->error);
      g_assert_true (i == 0 || callers[i]->order > callers[i - 1]->order);
      derate_pg_lease_clear (&callers[i]->lease);
    }
  for (guint i = 0; i < 3; i++)
    pg_caller_free (callers[i]);
  g_assert_cmpuint (pg_world_stats (pool).opened, ==, 1);
  pg_world_end (pool);
}

/* The server goes while the pool grows, and comes back. */
static void
test_failed_growth (void)
{
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  DeratePgPool *pool =
      pg_world_pool_at (test_proxy_get_uri (proxy), "min-size", 1, "max-size", 4, NULL);
  DeratePgLease leases[4];
  PgCaller *callers[8];
  guint peak = 0;
  guint n = 0;

  pg_world_open (pool);
  take_all (pool, leases, 1);
  test_proxy_set_fault (proxy, TEST_PROXY_REFUSING, 0);
  for (guint i = 0; i < 8; i++)
    callers[i] = pg_caller_new (pool, none);
  pg_world_until (pg_world_stats (pool).failed >= 3);
  g_assert_cmpuint (pg_world_stats (pool).total, <=, 2);
  test_proxy_set_fault (proxy, TEST_PROXY_WHOLE, 0);
  while (n < 3)
    {
      pg_world_turn ();
      peak = MAX (peak, pg_world_stats (pool).total);
      n = 0;
      for (guint i = 0; i < 8; i++)
        n += pg_caller_is_done (callers[i]) ? 1 : 0;
    }
  g_assert_cmpuint (pg_world_stats (pool).busy, ==, 4);
  give_all (leases, 1);
  for (guint i = 0; i < 8; i++)
    {
      pg_world_until (pg_caller_is_done (callers[i]));
      g_assert_no_error (callers[i]->error);
      pg_caller_free (callers[i]);
    }
  g_assert_cmpuint (MAX (peak, pg_world_stats (pool).total), ==, 4);
  pg_world_end (pool);
}

static gpointer
look_at_sessions (gpointer data)
{
  DeratePgPool *pool = data;
  guint peak = 0;

  while (pg_world_stats (pool).cancelled == 0)
    {
      peak = MAX (peak, pg_world_stats (pool).total);
      g_thread_yield ();
    }
  return GUINT_TO_POINTER (peak);
}

static void
test_max (void)
{
  DeratePgPool *pool =
      pg_world_pool ("min-size", 6, "max-size", 8, "acquire-timeout", 600 * S, NULL);
  GThread *watcher = g_thread_new ("watcher", look_at_sessions, pool);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  PgCaller *callers[100];
  guint n = 0;

  for (guint i = 0; i < 100; i++)
    callers[i] = pg_caller_new (pool, cancellable);
  pg_world_until (pg_world_stats (pool).busy == 8);
  g_cancellable_cancel (cancellable);
  for (guint i = 0; i < 100; i++)
    {
      pg_world_until (pg_caller_is_done (callers[i]));
      n += callers[i]->error == NULL ? 1 : 0;
    }
  g_assert_cmpuint (n, ==, 8);
  g_assert_cmpuint (pg_world_sessions (pool), ==, 8);
  for (guint i = 0; i < 100; i++)
    pg_caller_free (callers[i]);
  g_assert_cmpuint (GPOINTER_TO_UINT (g_thread_join (watcher)), <=, 8);
  pg_world_end (pool);
}

typedef struct
{
  DeratePgPool *pool;
  gint stop; /* atomic */
  gint n; /* atomic: what went well */
} Load;

static gpointer
keep_asking (gpointer data)
{
  Load *load = data;

  while (!g_atomic_int_get (&load->stop))
    {
      g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
      g_autoptr (DeratePgResult) result = NULL;
      g_autoptr (GError) error = NULL;

      derate_pg_pool_acquire (load->pool, WRITE, NULL, &lease, none, &error);
      g_assert_no_error (error);
      result = derate_pg_connection_query (derate_pg_lease_get_connection (&lease), "select 1",
                                           NULL, none, NULL);
      if (result != NULL)
        g_atomic_int_inc (&load->n);
    }
  return NULL;
}

static void
test_killed_under_load (void)
{
  Load load = { .pool = pg_world_pool ("min-size", 3, "max-size", 5, NULL) };
  GThread *threads[6];
  g_autofree char *old = NULL;
  g_autofree char *fresh = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("load", keep_asking, &load);
  for (guint round = 0; round < 20; round++)
    {
      gint n;

      pg_world_kill (load.pool);
      n = g_atomic_int_get (&load.n);
      pg_world_until (g_atomic_int_get (&load.n) > n + 20);
      pg_world_until (pg_world_stats (load.pool).total >= 3);
    }
  g_atomic_int_set (&load.stop, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  pg_world_until (pg_world_stats (load.pool).idle == pg_world_stats (load.pool).total);
  /* Once more, with nobody there who would notice by asking. */
  old = g_strdup_printf ("select coalesce(string_agg(pid::text, ','), '0') from pg_stat_activity "
                         "where application_name = '%s'",
                         derate_pg_pool_get_name (load.pool));
  fresh = pg_world_ask (old);
  g_free (old);
  old = g_steal_pointer (&fresh);
  fresh = g_strdup_printf ("select count(*) from pg_stat_activity where application_name = '%s' "
                           "and pid not in (%s)",
                           derate_pg_pool_get_name (load.pool), old);
  pg_world_kill (load.pool);
  pg_world_until (pg_world_count (fresh) == 3);
  pg_world_until (pg_world_stats (load.pool).idle == 3 && pg_world_stats (load.pool).total == 3);
  g_assert_cmpuint (pg_world_stats (load.pool).waiting, ==, 0);
  g_assert_cmpuint (pg_world_sessions (load.pool), ==, 3);
  pg_world_end (load.pool);
}

/* Attempts go on, at most 5 s apart and in the end at least half of that, until the server is
 * back. */
static void
test_refill (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  DeratePgPool *pool =
      pg_world_pool_at (test_proxy_get_uri (proxy), "min-size", 2, "clock", clock, NULL);
  guint64 failed;

  pg_world_open (pool);
  test_proxy_set_fault (proxy, TEST_PROXY_REFUSING, 0);
  test_proxy_end (proxy, TEST_PROXY_RST);
  /* An acquire or a sweep sees it: here it is the latter. */
  for (guint i = 0; i < 4; i++)
    derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 40 * MS);
  pg_world_until (pg_world_stats (pool).failed > 0);
  for (guint i = 0; i < 12; i++)
    {
      pg_world_until (pg_world_stats (pool).connecting == 0);
      failed = pg_world_stats (pool).failed;
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 5 * S);
      pg_world_until (pg_world_stats (pool).failed > failed);
    }
  failed = pg_world_stats (pool).failed;
  for (guint i = 0; i < 600; i++)
    {
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 100 * MS);
      pg_world_until (pg_world_stats (pool).connecting == 0);
    }
  g_assert_cmpuint (pg_world_stats (pool).failed - failed, <=, 60 * 2 / 5 + 1);
  test_proxy_set_fault (proxy, TEST_PROXY_WHOLE, 0);
  for (guint i = 0; i < 6; i++)
    {
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), S);
      pg_world_until (pg_world_stats (pool).connecting == 0);
    }
  g_assert_cmpuint (pg_world_stats (pool).idle, ==, 2);
  pg_world_end (pool);
}

/* What there is goes on serving, and who waits is told the cause in the end. */
static void
test_too_many (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  DeratePgPool *pool = pg_world_pool_at (test_proxy_get_uri (proxy), "min-size", 1, "max-size", 3,
                                         "acquire-timeout", 60 * S, "clock", clock, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_autoptr (GError) error = NULL;

  pg_world_open (pool);
  pg_world_acquire (pool, &lease);
  test_proxy_deny (proxy, "53300", "sorry, too many clients already");
  {
    g_autoptr (PgCaller) served = pg_caller_new (pool, none);
    g_autoptr (PgCaller) late = pg_caller_new (pool, none);

    for (guint i = 0; i < 5 && pg_world_stats (pool).failed < 2; i++)
      {
        pg_world_until (pg_world_stats (pool).connecting == 0);
        derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 10 * S);
      }
    pg_world_until (pg_world_stats (pool).failed >= 2);
    g_assert_cmpuint (pg_world_stats (pool).waiting, ==, 2);
    g_free (pg_world_run (&lease, "select 1"));
    derate_pg_lease_clear (&lease);
    pg_world_until (pg_caller_is_done (served));
    g_assert_no_error (served->error);
    pg_world_until (pg_world_stats (pool).connecting == 0);
    derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 60 * S);
    pg_world_until (pg_caller_is_done (late));
    g_assert_error (late->error, DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_TIMEOUT);
    g_assert_nonnull (strstr (late->error->message, "sorry, too many clients already"));
  }
  test_proxy_deny (proxy, NULL, NULL);
  pg_world_end (pool);
}

/* Nothing will come of waiting where the credentials are wrong; later attempts are made all the
 * same. */
static void
test_hopeless (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  DeratePgPool *pool =
      pg_world_pool_at (test_proxy_get_uri (proxy), "min-size", 0, "clock", clock, NULL);

  test_proxy_deny (proxy, "28P01", "password authentication failed");
  {
    g_autoptr (PgCaller) first = pg_caller_new (pool, none);
    g_autoptr (PgCaller) second = pg_caller_new (pool, none);

    pg_world_until (pg_caller_is_done (first) && pg_caller_is_done (second));
    g_assert_error (first->error, DERATE_PG_ERROR, DERATE_PG_ERROR_AUTH);
    g_assert_error (second->error, DERATE_PG_ERROR, DERATE_PG_ERROR_AUTH);
    g_assert_nonnull (strstr (first->error->message, "password authentication failed"));
  }
  test_proxy_deny (proxy, NULL, NULL);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 10 * S);
  {
    g_autoptr (PgCaller) again = pg_caller_new (pool, none);

    pg_world_until (pg_caller_is_done (again));
    g_assert_no_error (again->error);
  }
  pg_world_end (pool);
}

/* Advances until the pool may have so many; how long that took. */
static GTimeSpan
advance_until_limit (DeratePgPool *pool, DerateClock *clock, guint limit, GTimeSpan most)
{
  GTimeSpan span = 0;

  while (pg_world_stats (pool).limit != limit)
    {
      g_assert_cmpint (span, <, most);
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 100 * MS);
      span += 100 * MS;
      pg_world_until (pg_world_stats (pool).connecting == 0);
    }
  return span;
}

/* As many as it takes for nobody to wait, and no more. */
static void
test_auto_size (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  DeratePgPool *pool = pg_world_pool_at (test_proxy_get_uri (proxy), "min-size", 2, "max-size", 9,
                                         "auto-size", TRUE, "clock", clock, NULL);
  DeratePgLease leases[9];
  PgCaller *callers[9];

  pg_world_open (pool);
  g_assert_cmpuint (pg_world_stats (pool).limit, ==, 2);
  take_all (pool, leases, 2);
  for (guint i = 2; i < 7; i++)
    callers[i] = pg_caller_new (pool, none);
  g_assert_cmpint (advance_until_limit (pool, clock, 3, S), >=, 200 * MS);
  pg_world_until (pg_caller_is_done (callers[2]));
  advance_until_limit (pool, clock, 5, S);
  advance_until_limit (pool, clock, 8, S);
  for (guint i = 2; i < 7; i++)
    {
      pg_world_until (pg_caller_is_done (callers[i]));
      leases[i] = callers[i]->lease;
      callers[i]->lease = (DeratePgLease)DERATE_PG_LEASE_INIT;
      pg_caller_free (callers[i]);
    }
  /* Nobody waits: it has enough, as long as they are used. */
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 60 * S);
  g_assert_cmpuint (pg_world_stats (pool).limit, ==, 8);
  g_assert_cmpuint (pg_world_stats (pool).total, ==, 7);

  give_all (leases, 2);
  give_all (&leases[2], 5);
  g_assert_cmpint (advance_until_limit (pool, clock, 2, 120 * S), >=, 25 * S);
  pg_world_until (pg_world_stats (pool).total == 2);

  /* The server has the last word, for a while. */
  test_proxy_deny (proxy, "53300", "sorry, too many clients already");
  take_all (pool, leases, 2);
  callers[0] = pg_caller_new (pool, none);
  for (guint i = 0; i < 40; i++)
    {
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 100 * MS);
      pg_world_until (pg_world_stats (pool).connecting == 0);
    }
  g_assert_cmpuint (pg_world_stats (pool).limit, ==, 2);
  g_assert_cmpuint (pg_world_stats (pool).failed, ==, 1);
  test_proxy_deny (proxy, NULL, NULL);
  advance_until_limit (pool, clock, 3, 10 * S);
  pg_world_until (pg_caller_is_done (callers[0]));
  g_assert_no_error (callers[0]->error);
  give_all (leases, 2);
  pg_caller_free (callers[0]);
  pg_world_end (pool);
}

int
main (int argc, char *argv[])
{
  pg_world_start (&argc, &argv);

  g_test_add_func ("/pool/behaviour/04-spike", test_spike);
  g_test_add_func ("/pool/growth/cold", test_cold);
  g_test_add_func ("/pool/growth/auto-size", test_auto_size);
  g_test_add_func ("/pool/behaviour/05-cancelled-mid-connect", test_cancelled);
  g_test_add_func ("/pool/trap/01-cancelled-mid-connect", test_cancelled);
  g_test_add_func ("/pool/trap/03-late-connect", test_late_connect);
  g_test_add_func ("/pool/behaviour/18-silent-port", test_silent);
  g_test_add_func ("/pool/trap/07-failed-connect", test_failed_connect);
  g_test_add_func ("/pool/trap/10-failed-growth", test_failed_growth);
  g_test_add_func ("/pool/trap/11-never-above-max", test_max);
  g_test_add_func ("/pool/behaviour/08-killed-under-load", test_killed_under_load);
  g_test_add_func ("/pool/trap/09-refill", test_refill);
  g_test_add_func ("/pool/behaviour/16-too-many-connections", test_too_many);
  g_test_add_func ("/pool/trap/19-hopeless", test_hopeless);

  return pg_world_run_tests ();
}
