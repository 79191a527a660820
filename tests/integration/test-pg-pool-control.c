/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a program tells its pool: to pause, to drain, to be smaller, to close. */
#include "pg-world.h"

#include <derate-manual-clock.h>

static void
drain (DeratePgPool *pool, GAsyncResult **result)
{
  derate_pg_pool_drain_async (pool, NULL, pg_take_result, result);
}

static void
test_open (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 3, NULL);

  pg_world_open (pool);
  g_assert_cmpuint (pg_world_stats (pool).idle, ==, 3);
  g_assert_cmpuint (pg_world_sessions (pool), ==, 3);
  pg_world_open (pool);
  pg_world_end (pool);
}

static void
test_open_fails (void)
{
  DeratePgPool *pool =
      pg_world_pool_at ("postgresql://127.0.0.1:1/shop?user=derate", "min-size", 1, NULL);
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  derate_pg_pool_open_async (pool, NULL, pg_take_result, &result);
  pg_world_until (result != NULL);
  g_assert_false (derate_pg_pool_open_finish (pool, result, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CONNECT_REFUSED);
  g_clear_object (&result);
  pg_world_end (pool);
}

static void
test_open_cancelled (void)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  DeratePgPool *pool = pg_world_pool ("min-size", 1, NULL);
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  derate_pg_pool_pause (pool); /* so that it waits */
  derate_pg_pool_open_async (pool, cancellable, pg_take_result, &result);
  g_cancellable_cancel (cancellable);
  pg_world_until (result != NULL);
  g_assert_false (derate_pg_pool_open_finish (pool, result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_object (&result);
  derate_pg_pool_resume (pool);
  pg_world_until (pg_world_stats (pool).idle == 1);
  pg_world_end (pool);
}

static void
test_pause (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  /* Of two sessions that come at once the second may be told of first. */
  DeratePgPool *pool =
      pg_world_pool ("min-size", 0, "max-size", 1, "acquire-timeout", 30 * S, "clock", clock, NULL);
  g_auto (DeratePgLease) busy = DERATE_PG_LEASE_INIT;
  g_autoptr (GAsyncResult) drained = NULL;
  PgCaller *callers[4];

  pg_world_acquire (pool, &busy);
  derate_pg_pool_pause (pool);
  for (guint i = 0; i < 4; i++)
    callers[i] = pg_caller_new (pool, NULL);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 3600 * S);
  g_assert_cmpuint (pg_world_stats (pool).waiting, ==, 4);

  /* What runs goes on, and is the last to go. */
  drain (pool, &drained);
  g_free (pg_world_run (&busy, "select 1"));
  g_assert_null (drained);
  g_assert_cmpuint (pg_world_stats (pool).busy, ==, 1);
  derate_pg_lease_clear (&busy);
  pg_world_until (drained != NULL);
  g_assert_true (derate_pg_pool_drain_finish (pool, drained, NULL));
  g_clear_object (&drained);
  g_assert_cmpuint (pg_world_stats (pool).total, ==, 0);
  g_assert_cmpuint (pg_world_sessions (pool), ==, 0);

  /* The time of the pause was nobody's. */
  derate_pg_pool_resume (pool);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 29 * S);
  for (guint i = 0; i < 4; i++)
    {
      pg_world_until (pg_caller_is_done (callers[i]));
      g_assert_no_error (callers[i]->error);
      g_assert_true (i == 0 || callers[i]->order > callers[i - 1]->order);
      derate_pg_lease_clear (&callers[i]->lease);
    }
  for (guint i = 0; i < 4; i++)
    pg_caller_free (callers[i]);
  pg_world_end (pool);
}

static void
test_pause_keeps_time (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  DeratePgPool *pool =
      pg_world_pool ("min-size", 0, "max-size", 1, "acquire-timeout", 10 * S, "clock", clock, NULL);
  g_auto (DeratePgLease) busy = DERATE_PG_LEASE_INIT;
  g_autoptr (PgCaller) caller = NULL;

  pg_world_acquire (pool, &busy);
  caller = pg_caller_new (pool, NULL);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 6 * S);
  derate_pg_pool_pause (pool);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 100 * S);
  derate_pg_pool_resume (pool);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 4 * S - 1);
  g_assert_false (pg_caller_is_done (caller));
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 1);
  pg_world_until (pg_caller_is_done (caller));
  g_assert_error (caller->error, DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_TIMEOUT);
  derate_pg_lease_clear (&busy);
  pg_world_end (pool);
}

/* Attempts to connect that have failed are not made again meanwhile, and do not keep the pool
 * thread busy. */
static void
test_pause_failing (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  DeratePgPool *pool = pg_world_pool_at ("postgresql://127.0.0.1:1/shop?user=derate", "min-size", 1,
                                         "clock", clock, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (PgCaller) caller = pg_caller_new (pool, cancellable);
  guint64 failed;

  pg_world_until (pg_world_stats (pool).failed > 0);
  derate_pg_pool_pause (pool);
  failed = pg_world_stats (pool).failed;
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 60 * S);
  g_assert_cmpuint (pg_world_stats (pool).failed, ==, failed);
  derate_pg_pool_resume (pool);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 0);
  pg_world_until (pg_world_stats (pool).failed > failed);
  g_cancellable_cancel (cancellable);
  pg_world_until (pg_caller_is_done (caller));
  pg_world_end (pool);
}

/* Not paused, there are others in their place. */
static void
test_drain (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 2, "max-size", 2, NULL);
  g_autoptr (GAsyncResult) drained = NULL;
  DeratePgLease leases[2] = { DERATE_PG_LEASE_INIT, DERATE_PG_LEASE_INIT };
  g_autoptr (PgCaller) waiting = NULL;
  guint pids[2];

  for (guint i = 0; i < 2; i++)
    {
      pg_world_acquire (pool, &leases[i]);
      pids[i] = pg_world_pid (&leases[i]);
    }
  waiting = pg_caller_new (pool, NULL);
  drain (pool, &drained);
  derate_pg_lease_clear (&leases[0]);
  pg_world_until (pg_caller_is_done (waiting));
  g_assert_no_error (waiting->error);
  g_assert_null (drained);
  g_assert_cmpuint (pg_world_pid (&waiting->lease), !=, pids[0]);
  derate_pg_lease_clear (&leases[1]);
  pg_world_until (drained != NULL);
  g_clear_object (&drained);
  pg_world_until (pg_world_stats (pool).opened == 4);
  derate_pg_lease_clear (&waiting->lease);
  pg_world_end (pool);
}

static void
test_resize (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 10, "max-size", 10, NULL);
  DeratePgLease leases[8];
  guint peak = 0;
  g_autoptr (GError) error = NULL;

  pg_world_open (pool);
  for (guint i = 0; i < 8; i++)
    {
      leases[i] = (DeratePgLease)DERATE_PG_LEASE_INIT;
      pg_world_acquire (pool, &leases[i]);
    }
  g_assert_true (derate_pg_pool_resize (pool, 3, 3, NULL));
  pg_world_until (pg_world_stats (pool).total == 8);
  g_assert_cmpuint (pg_world_stats (pool).busy, ==, 8);
  for (guint i = 0; i < 8; i++)
    {
      g_free (pg_world_run (&leases[i], "select 1"));
      derate_pg_lease_clear (&leases[i]);
    }
  pg_world_until (pg_world_stats (pool).total == 3);
  g_assert_cmpuint (pg_world_sessions (pool), ==, 3);

  /* And back, no further than the new maximum. */
  g_assert_true (derate_pg_pool_resize (pool, 6, 6, NULL));
  while (pg_world_stats (pool).idle < 6)
    {
      pg_world_turn ();
      peak = MAX (peak, pg_world_stats (pool).total);
    }
  g_assert_cmpuint (peak, ==, 6);

  g_assert_false (derate_pg_pool_resize (pool, 4, 3, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CONFIG);
  g_clear_error (&error);
  g_assert_false (derate_pg_pool_resize (pool, 0, 0, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CONFIG);
  g_assert_cmpuint (pg_world_stats (pool).max, ==, 6);
  pg_world_end (pool);
}

int
main (int argc, char *argv[])
{
  pg_world_start (&argc, &argv);

  g_test_add_func ("/pool/open/min", test_open);
  g_test_add_func ("/pool/open/fails", test_open_fails);
  g_test_add_func ("/pool/open/cancelled", test_open_cancelled);
  g_test_add_func ("/pool/behaviour/21-pause-and-drain", test_pause);
  g_test_add_func ("/pool/pause/keeps-time", test_pause_keeps_time);
  g_test_add_func ("/pool/pause/failing", test_pause_failing);
  g_test_add_func ("/pool/drain", test_drain);
  g_test_add_func ("/pool/behaviour/22-resize", test_resize);

  return pg_world_run_tests ();
}
