/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes of sessions that nobody uses: killed, stale, too many, too old. */
#include "pg-world.h"

#include "test-proxy.h"

#include <time.h>

/* Of one who waits in vain: many times what two checks and a few attempts to connect take, so that
 * a machine that is busy gets to them, too. */
#define PATIENCE (1500 * MS)

/* How often a pool looks for what was given back, while something was. */
#define SWEEP (25 * MS)

#define ADVANCE(span) derate_manual_clock_advance (DERATE_MANUAL_CLOCK (manual_clock), span)

static DerateClock *manual_clock;

/* Takes one, gives it back, and says whose it was. */
static guint
touch (DeratePgPool *pool)
{
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;

  pg_world_acquire (pool, &lease);
  return pg_world_pid (&lease);
}

/* So that a pool has @n idle sessions. */
static void
fill (DeratePgPool *pool, guint n)
{
  g_autofree DeratePgLease *leases = g_new0 (DeratePgLease, n);

  for (guint i = 0; i < n; i++)
    pg_world_acquire (pool, &leases[i]);
  for (guint i = 0; i < n; i++)
    derate_pg_lease_clear (&leases[i]);
  g_assert_cmpuint (pg_world_stats (pool).idle, ==, n);
}

/* Lets the pool see what was given back. */
static void
settle (void)
{
  ADVANCE (100 * MS);
}

/* All three sessions that were just given back are known to be dead before 100 ms have passed. */
static void
kill_all (const char *uri)
{
  DeratePgPool *pool = pg_world_pool_at (uri, "min-size", 2, "clock", manual_clock, NULL);

  fill (pool, 3);
  pg_world_kill (pool);
  settle ();
  pg_world_until (pg_world_stats (pool).lost == 3);
  pg_world_until (pg_world_stats (pool).idle == 2 && pg_world_stats (pool).total == 2);
  g_assert_cmpuint (pg_world_stats (pool).opened, ==, 5);
  g_assert_cmpuint (pg_world_sessions (pool), ==, 2);
  pg_world_end (pool);
}

/* By either way to the server. */
static void
test_killed (void)
{
  g_autofree char *port = pg_world_ask ("show port");
  g_autofree char *tcp =
      g_strdup_printf ("postgresql://derate@127.0.0.1:%s/shop?sslmode=disable", port);

  kill_all (pg_world_get_uri ());
  kill_all (tcp);
}

/* Watched once, it is left alone. */
static void
test_quiet (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 2, "clock", manual_clock, NULL);
  guint n = 0;

  fill (pool, 2);
  settle ();
  while (g_main_context_iteration (NULL, FALSE))
    n++;
  for (guint i = 0; i < 10; i++)
    {
      ADVANCE (SWEEP);
      n += g_main_context_iteration (NULL, FALSE) ? 1 : 0;
    }
  g_assert_cmpuint (n, ==, 0);
  pg_world_end (pool);
}

static char *
last_query (guint pid)
{
  g_autofree char *sql = g_strdup_printf ("select query from pg_stat_activity where pid = %u", pid);

  return pg_world_ask (sql);
}

static void
test_validated (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, "clock", manual_clock, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_autofree char *fresh = NULL;
  g_autofree char *stale = NULL;
  guint pid;

  pg_world_acquire (pool, &lease);
  pid = pg_world_pid (&lease);
  g_free (pg_world_run (&lease, "select 'mine'"));
  derate_pg_lease_clear (&lease);
  ADVANCE (499 * MS);
  g_assert_cmpuint (touch (pool), ==, pid);
  fresh = last_query (pid);
  g_assert_cmpstr (fresh, ==, "select 'mine'");
  ADVANCE (600 * MS);
  g_assert_cmpuint (touch (pool), ==, pid);
  stale = last_query (pid);
  g_assert_cmpstr (stale, ==, "");
  g_assert_cmpuint (pg_world_stats (pool).opened, ==, 1);
  pg_world_end (pool);
}

/* A look finds a transaction that failed, and opens none. */
static void
test_validated_clean (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, "clock", manual_clock, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_autoptr (DeratePgResult) none = NULL;
  g_autofree char *sql = NULL;
  g_autofree char *state = NULL;

  pg_world_acquire (pool, &lease);
  sql =
      g_strdup_printf ("select state from pg_stat_activity where pid = %u", pg_world_pid (&lease));
  g_free (pg_world_run (&lease, "begin"));
  none = derate_pg_connection_query (derate_pg_lease_get_connection (&lease), "select 1 / 0", NULL,
                                     NULL, NULL);
  g_assert_null (none);
  derate_pg_lease_clear (&lease);
  ADVANCE (600 * MS);
  touch (pool);
  state = pg_world_ask (sql);
  g_assert_cmpstr (state, ==, "idle");
  ADVANCE (600 * MS);
  pg_world_acquire (pool, &lease);
  g_assert_false (derate_pg_connection_is_in_transaction (derate_pg_lease_get_connection (&lease)));
  derate_pg_lease_clear (&lease);
  g_assert_cmpuint (pg_world_stats (pool).opened, ==, 1);
  pg_world_end (pool);
}

static gint64
processor_time (void)
{
  struct timespec time;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec * S + time.tv_nsec / 1000;
}

/* The peer has gone without a word: each check fails by its time, and what comes after does too. */
static void
test_validation_fails (void)
{
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  DeratePgPool *pool =
      pg_world_pool_at (test_proxy_get_uri (proxy), "min-size", 2, "max-size", 2, "validate-after",
                        50 * MS, "validation-timeout", 100 * MS, "acquire-timeout", PATIENCE,
                        "connect-timeout", 50 * MS, NULL);
  g_autoptr (GError) error = NULL;
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  gint64 start;
  gint64 took;
  gint64 used;
  guint accepted;

  pg_caller_free (pg_caller_new (pool, NULL));
  pg_world_until (pg_world_stats (pool).idle == 2); /* with as many attempts as it takes here */
  g_usleep (150 * MS); /* of the system's clock: it is the processor's time that is measured */
  accepted = test_proxy_count_accepted (proxy);
  test_proxy_set_fault (proxy, TEST_PROXY_SILENT, 0);
  test_proxy_end (proxy, TEST_PROXY_HALF_OPEN);
  start = g_get_monotonic_time ();
  used = processor_time ();
  g_assert_false (derate_pg_pool_acquire (pool, READ, NULL, &lease, NULL, &error));
  used = processor_time () - used;
  took = g_get_monotonic_time () - start;
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_TIMEOUT);
  g_assert_nonnull (strstr (error->message, "no answer in time"));
  g_assert_cmpint (took, >=, PATIENCE);
  g_assert_cmpint (used, <, PATIENCE * 5 / 100);
  g_assert_cmpuint (pg_world_stats (pool).broken, ==, 2);
  /* At most one attempt at a time, 50 ms each. */
  took = g_get_monotonic_time () - start;
  g_assert_cmpuint (test_proxy_count_accepted (proxy) - accepted, <=, 1 + took / (50 * MS));
  test_proxy_set_fault (proxy, TEST_PROXY_WHOLE, 0);
  pg_world_until (pg_world_stats (pool).idle == 2);
  pg_world_end (pool);
}

static void
test_idle_timeout (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 2, "max-size", 6, "clock", manual_clock,
                                      "idle-timeout", 60 * S, "max-lifetime", (gint64)0, NULL);

  fill (pool, 6);
  ADVANCE (59 * S);
  g_assert_cmpuint (pg_world_stats (pool).idle, ==, 6);
  touch (pool);
  ADVANCE (2 * S);
  pg_world_until (pg_world_stats (pool).total == 2);
  g_assert_cmpuint (pg_world_sessions (pool), ==, 2);
  ADVANCE (600 * S);
  g_assert_cmpuint (pg_world_stats (pool).idle, ==, 2);
  g_assert_cmpuint (pg_world_stats (pool).retired, ==, 4);
  pg_world_end (pool);
}

/* One that nobody used is as old as any. */
static void
test_lifetime (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, "clock", manual_clock,
                                      "idle-timeout", (gint64)0, "max-lifetime", 1800 * S, NULL);
  g_auto (DeratePgLease) held = DERATE_PG_LEASE_INIT;
  guint first = touch (pool);
  guint second;

  ADVANCE (1700 * S);
  g_assert_cmpuint (touch (pool), ==, first);
  ADVANCE (100 * S);
  second = touch (pool);
  g_assert_cmpuint (second, !=, first);

  /* In use it is not cut, and goes when it is given back. */
  pg_world_acquire (pool, &held);
  ADVANCE (3600 * S);
  g_assert_cmpuint (pg_world_stats (pool).busy, ==, 1);
  g_free (pg_world_run (&held, "select 1"));
  derate_pg_lease_clear (&held);
  g_assert_cmpuint (touch (pool), !=, second);
  pg_world_end (pool);
}

static void
test_lifetime_jitter (void)
{
  enum
  {
    N = 50
  };
  DeratePgPool *pool = pg_world_pool ("min-size", N, "max-size", N, "clock", manual_clock,
                                      "idle-timeout", (gint64)0, "max-lifetime", 1000 * S, NULL);
  gint64 first = 0;
  gint64 last = 0;

  pg_world_open (pool);
  ADVANCE (949 * S);
  g_assert_cmpuint (pg_world_stats (pool).retired, ==, 0);
  for (gint64 at = 949; at <= 1000 && last == 0; at++)
    {
      DeratePgPoolStats stats = pg_world_stats (pool);

      if (stats.retired > 0 && first == 0)
        first = at;
      if (stats.retired >= N)
        last = at;
      ADVANCE (S);
    }
  g_assert_cmpint (last - first, >=, 20); /* 2 % */
  g_assert_cmpuint (pg_world_stats (pool).retired, ==, N);
  pg_world_end (pool);
}

/* The next one is there before the old one goes: nobody has to wait for it. */
static void
test_replaced_ahead (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 2, "max-size", 4, "clock", manual_clock,
                                      "idle-timeout", (gint64)0, "max-lifetime", 1000 * S, NULL);
  guint n = 0;

  pg_world_open (pool);
  for (gint64 at = 0; at < 1001; at++)
    {
      ADVANCE (S);
      pg_world_until (pg_world_stats (pool).connecting + pg_world_stats (pool).reserved == 0);
      g_assert_cmpuint (pg_world_stats (pool).idle, >=, 2);
      n = MAX (n, pg_world_stats (pool).idle);
    }
  g_assert_cmpuint (n, >, 2);
  pg_world_until (pg_world_stats (pool).total == 2);
  g_assert_cmpuint (pg_world_stats (pool).retired, ==, 2);
  g_assert_cmpuint (pg_world_stats (pool).opened, ==, 4);
  pg_world_end (pool);
}

/* Neither the machine's date nor a thread that does not run for a while ends anything. */
static void
test_stalled (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 3, "clock", manual_clock, NULL);

  fill (pool, 3);
  derate_manual_clock_step_real_time (DERATE_MANUAL_CLOCK (manual_clock), -86400 * S);
  ADVANCE (5 * S);
  derate_manual_clock_step_real_time (DERATE_MANUAL_CLOCK (manual_clock), 2 * 86400 * S);
  ADVANCE (5 * S);
  fill (pool, 3);
  g_assert_cmpuint (pg_world_stats (pool).opened, ==, 3);
  g_assert_cmpuint (pg_world_sessions (pool), ==, 3);
  pg_world_end (pool);
}

int
main (int argc, char *argv[])
{
  int status;

  pg_world_start (&argc, &argv);
  manual_clock = derate_manual_clock_new ();

  g_test_add_func ("/pool/behaviour/07-killed-idle-session", test_killed);
  g_test_add_func ("/pool/idle/quiet", test_quiet);
  g_test_add_func ("/pool/idle/validated", test_validated);
  g_test_add_func ("/pool/trap/14-validated-clean", test_validated_clean);
  g_test_add_func ("/pool/behaviour/15-validation-always-fails", test_validation_fails);
  g_test_add_func ("/pool/behaviour/13-idle-timeout", test_idle_timeout);
  g_test_add_func ("/pool/trap/16-idle-past-lifetime", test_lifetime);
  g_test_add_func ("/pool/trap/17-lifetimes-spread", test_lifetime_jitter);
  g_test_add_func ("/pool/lifetime/replaced-ahead", test_replaced_ahead);
  g_test_add_func ("/pool/trap/20-stalled", test_stalled);

  status = pg_world_run_tests ();
  g_object_unref (manual_clock);
  return status;
}
