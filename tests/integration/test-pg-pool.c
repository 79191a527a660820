/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking sessions and giving them back. */
#include "pg-world.h"

/* Fresh ones are lent as soon as they are open, in the order they are asked for. */
static void
test_lend (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 0, "max-size", 2, NULL);
  g_auto (DeratePgLease) first = DERATE_PG_LEASE_INIT;
  g_auto (DeratePgLease) second = DERATE_PG_LEASE_INIT;
  g_autofree char *pid = NULL;
  g_autofree char *other = NULL;

  g_assert_cmpuint (pg_world_stats (pool).total, ==, 0);
  pg_world_acquire (pool, &first);
  pg_world_acquire (pool, &second);
  pid = pg_world_run (&first, "select pg_backend_pid()");
  other = pg_world_run (&second, "select pg_backend_pid()");
  g_assert_cmpstr (pid, !=, other);
  g_assert_cmpuint (pg_world_stats (pool).busy, ==, 2);
  g_assert_true (derate_pg_lease_release (&first, NULL));
  g_assert_null (derate_pg_lease_get_connection (&first));
  g_assert_cmpuint (pg_world_stats (pool).idle, ==, 1);
  g_assert_true (derate_pg_lease_release (&second, NULL));
  pg_world_acquire (pool, &first);
  g_assert_cmpuint (pg_world_stats (pool).opened, ==, 2);
  derate_pg_lease_clear (&first);
  pg_world_end (pool);
}

static gpointer
take_and_give (gpointer data)
{
  DeratePgPool *pool = data;

  for (guint i = 0; i < 2000; i++)
    {
      g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
      g_autoptr (GError) error = NULL;

      derate_pg_pool_acquire (pool, READ, "worker", &lease, NULL, &error);
      g_assert_no_error (error);
      g_assert_true (derate_pg_connection_is_usable (derate_pg_lease_get_connection (&lease)));
    }
  return NULL;
}

static void
test_threads (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 0, "max-size", 3, NULL);
  GThread *threads[16];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("worker", take_and_give, pool);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (pg_world_stats (pool).busy, ==, 0);
  g_assert_cmpuint (pg_world_stats (pool).waiting, ==, 0);
  g_assert_cmpuint (pg_world_sessions (pool), <=, 3);
  pg_world_end (pool);
}

static void
test_timeout (void)
{
  DeratePgPool *pool = pg_world_pool ("max-size", 2, "acquire-timeout", 200 * MS, NULL);
  g_auto (DeratePgLease) first = DERATE_PG_LEASE_INIT;
  g_auto (DeratePgLease) second = DERATE_PG_LEASE_INIT;
  g_autoptr (GError) error = NULL;
  gint64 start;

  pg_world_acquire (pool, &first);
  pg_world_acquire (pool, &second);
  start = g_get_monotonic_time ();
  error = pg_world_acquire_fails (pool);
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_TIMEOUT);
  g_assert_nonnull (strstr (error->message, "no session within 200ms (2 in use, 0 idle, 0 "
                                            "connecting, 1 waiting)"));
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 200 * MS);
  g_assert_cmpint (g_get_monotonic_time () - start, <, 260 * MS);
  g_assert_cmpuint (pg_world_stats (pool).timed_out, ==, 1);
  derate_pg_lease_clear (&first);
  derate_pg_lease_clear (&second);
  pg_world_end (pool);
}

static void
test_order (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  PgCaller *callers[4];

  pg_world_acquire (pool, &lease);
  for (guint i = 0; i < 3; i++)
    callers[i] = pg_caller_new (pool, NULL);
  derate_pg_lease_clear (&lease);
  callers[3] = pg_caller_new (pool, NULL);
  for (guint i = 0; i < 4; i++)
    {
      pg_world_until (pg_caller_is_done (callers[i]));
      g_assert_no_error (callers[i]->error);
      for (guint k = i + 1; k < 4; k++)
        g_assert_false (pg_caller_is_done (callers[k]));
      derate_pg_lease_clear (&callers[i]->lease);
    }
  for (guint i = 0; i < 4; i++)
    pg_caller_free (callers[i]);
  pg_world_end (pool);
}

static void
test_double_release (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);
  DeratePgLease lease = DERATE_PG_LEASE_INIT;
  DeratePgLease copy;
  DeratePgLease next = DERATE_PG_LEASE_INIT;
  g_autoptr (GError) error = NULL;

  pg_world_acquire (pool, &lease);
  copy = lease;
  g_assert_true (derate_pg_lease_release (&lease, NULL));
  g_assert_false (derate_pg_lease_release (&lease, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_RELEASED);
  g_clear_error (&error);
  /* The copy knows the slot; the session is another's by now. */
  pg_world_acquire (pool, &next);
  g_assert_null (derate_pg_lease_get_connection (&copy));
  g_assert_false (derate_pg_lease_release (&copy, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_RELEASED);
  g_assert_cmpuint (pg_world_stats (pool).busy, ==, 1);
  g_assert_nonnull (derate_pg_lease_get_connection (&next));
  g_assert_true (derate_pg_lease_release (&next, NULL));
  pg_world_end (pool);
}

int
main (int argc, char *argv[])
{
  int status;

  g_test_init (&argc, &argv, NULL);
  pg_world_start ();

  g_test_add_func ("/pool/lend", test_lend);
  g_test_add_func ("/pool/threads", test_threads);
  g_test_add_func ("/pool/behaviour/01-timeout", test_timeout);
  g_test_add_func ("/pool/behaviour/02-order", test_order);
  g_test_add_func ("/pool/behaviour/28-double-release", test_double_release);

  status = g_test_run ();
  pg_world_stop ();
  return status;
}
