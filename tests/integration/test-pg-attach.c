/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A pool as a part of a core: its metrics, and what it tells of its server. */
#include <derate-error.h>
#include <string.h>

#include "pg-world.h"
#include "test-proxy.h"

#define INTERVAL (10 * S)

typedef struct
{
  DerateClock *clock;
  DerateCore *core;
  DerateService *service;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateBreaker) breaker = NULL;

  f->clock = derate_manual_clock_new ();
  f->core = derate_core_new ("shop", f->clock, &error);
  g_assert_no_error (error);
  f->service = derate_service_new ("database", DERATE_SERVICE_ROLE_DATABASE, f->clock);
  breaker = derate_breaker_new_with_clock ("database", NULL, f->clock);
  derate_service_set_breaker (f->service, breaker);
  g_assert_true (derate_core_add_service (f->core, f->service, &error));
  g_assert_no_error (error);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_object_unref (f->service);
  g_object_unref (f->core);
  g_object_unref (f->clock);
}

static DeratePgPool *
attach (Fixture *f, gboolean with_clock)
{
  g_autoptr (GError) error = NULL;
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);

  if (with_clock)
    g_object_set (pool, "clock", f->clock, NULL);
  g_assert_true (derate_pg_pool_attach (pool, f->core, "database", &error));
  g_assert_no_error (error);
  return pool;
}

static void
assert_status (Fixture *f, DerateHealthStatus status, DerateHealthCause cause)
{
  g_assert_cmpstr (derate_health_status_get_nick (derate_service_get_status (f->service)), ==,
                   derate_health_status_get_nick (status));
  g_assert_cmpstr (derate_health_cause_get_nick (derate_service_get_cause (f->service)), ==,
                   derate_health_cause_get_nick (cause));
}

static void
test_refused (Fixture *f, gconstpointer data)
{
  g_autoptr (DeratePgPool) pool = attach (f, FALSE);
  g_autoptr (DeratePgPool) other = pg_world_pool (NULL, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_false (derate_pg_pool_attach (pool, f->core, "database", &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE);
  g_clear_error (&error);
  g_assert_false (derate_pg_pool_attach (other, f->core, "nobody", &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_NO_SUCH_SERVICE);
}

static void
test_metrics (Fixture *f, gconstpointer data)
{
  DeratePgPool *pool = attach (f, FALSE);
  g_autofree char *size = NULL;
  g_autofree char *text = NULL;
  g_autofree char *after = NULL;
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;

  pg_world_acquire (pool, &lease);
  size = g_strdup_printf ("db_pool_connections{pool=\"%s\",state=\"in_use\"} 1\n",
                          derate_pg_pool_get_name (pool));
  text = derate_metrics_registry_render (derate_core_get_metrics (f->core));
  g_assert_nonnull (strstr (text, size));
  derate_pg_lease_release (&lease, NULL);
  pg_world_end (pool);
  after = derate_metrics_registry_render (derate_core_get_metrics (f->core));
  g_assert_null (strstr (after, "db_pool_connections{"));
  g_assert_nonnull (strstr (after, "db_queries_total{"));
}

/* Its caller has gone, and nobody else can have it. */
static void
test_metrics_draining (Fixture *f, gconstpointer data)
{
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  DeratePgPool *pool =
      pg_world_pool_at (test_proxy_get_uri (proxy), "min-size", 1, "max-size", 1, NULL);
  g_autofree char *in_use =
      g_strdup_printf ("db_pool_connections{pool=\"%s\",state=\"in_use\"} 1\n",
                       derate_pg_pool_get_name (pool));
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;

  g_assert_true (derate_pg_pool_attach (pool, f->core, "database", NULL));
  pg_world_acquire (pool, &lease);
  derate_pg_lease_release (&lease, NULL);
  test_proxy_freeze (proxy); /* so that the server does not hear of it too soon */
  derate_pg_pool_query_async (pool, DERATE_PG_ACCESS_READ, "SELECT pg_sleep (60)", NULL,
                              cancellable, pg_take_result, &result);
  g_cancellable_cancel (cancellable);
  pg_world_until (result != NULL);
  g_assert_null (derate_pg_pool_query_finish (pool, result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (pg_world_stats (pool).busy, ==, 0);
  text = derate_metrics_registry_render (derate_core_get_metrics (f->core));
  g_assert_nonnull (strstr (text, in_use));
  test_proxy_thaw (proxy);
  g_clear_object (&result);
  pg_world_end (pool);
}

/* The clock stands in the middle of a check interval. */
static void
wait_in_vain (Fixture *f, DeratePgPool *pool)
{
  g_autoptr (PgCaller) caller = pg_caller_new (pool, NULL);

  pg_world_turn ();
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (f->clock), 100 * MS);
  pg_world_until (pg_caller_is_done (caller));
  g_assert_error (caller->error, DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_TIMEOUT);
}

static void
next_interval (Fixture *f)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (f->clock), INTERVAL - 200 * MS);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (f->clock), 100 * MS);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
test_overloaded (Fixture *f, gconstpointer data)
{
  DeratePgPool *pool = attach (f, TRUE);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;

  g_object_set (pool, "acquire-timeout", 50 * MS, NULL);
  pg_world_acquire (pool, &lease);
  for (guint i = 0; i < 2; i++)
    {
      wait_in_vain (f, pool);
      assert_status (f, DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE);
      next_interval (f);
    }
  wait_in_vain (f, pool);
  assert_status (f, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED);
  next_interval (f);
  assert_status (f, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED);
  next_interval (f);
  assert_status (f, DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE);

  /* An interval without one begins the count again. */
  for (guint i = 0; i < 4; i++)
    {
      if (i != 2)
        wait_in_vain (f, pool);
      next_interval (f);
    }
  assert_status (f, DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE);
  derate_pg_lease_release (&lease, NULL);
  pg_world_end (pool);
}

/* Whoever comes after the service is well again does not wait for the rest of a pause. */
static void
test_back (Fixture *f, gconstpointer data)
{
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  DeratePgPool *pool = pg_world_pool_at (test_proxy_get_uri (proxy), "min-size", 1, "max-size", 1,
                                         "acquire-timeout", 600 * S, "clock", f->clock, NULL);
  DerateBreaker *breaker = derate_service_get_breaker (f->service);

  g_assert_true (derate_pg_pool_attach (pool, f->core, "database", NULL));
  test_proxy_set_fault (proxy, TEST_PROXY_REFUSING, 0);
  g_assert_true (derate_breaker_trip (breaker, NULL));
  assert_status (f, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_BREAKER_OPEN);
  {
    g_autoptr (PgCaller) caller = pg_caller_new (pool, NULL);

    while (pg_world_stats (pool).failed < 8)
      {
        derate_manual_clock_advance (DERATE_MANUAL_CLOCK (f->clock), S);
        pg_world_until (pg_world_stats (pool).connecting == 0);
        while (g_main_context_iteration (NULL, FALSE))
          ;
      }
    pg_world_until (pg_world_stats (pool).connecting == 0);
    test_proxy_set_fault (proxy, TEST_PROXY_WHOLE, 0);
    for (guint i = 0; i < 50; i++)
      g_main_context_iteration (NULL, FALSE);
    g_assert_false (pg_caller_is_done (caller));
    derate_breaker_reset (breaker);
    {
      g_autoptr (PgCaller) next = pg_caller_new (pool, NULL);

      pg_world_until (pg_caller_is_done (caller));
      g_assert_no_error (caller->error);
      derate_pg_lease_clear (&caller->lease);
      pg_world_until (pg_caller_is_done (next));
      g_assert_no_error (next->error);
    }
  }
  pg_world_end (pool);
}

static gboolean
writes (DeratePgPool *pool)
{
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_autoptr (DeratePgResult) result = NULL;

  if (!derate_pg_pool_acquire (pool, WRITE, NULL, &lease, NULL, NULL))
    return FALSE;
  result = derate_pg_connection_query (derate_pg_lease_get_connection (&lease),
                                       "insert into notes values (1)", NULL, NULL, NULL);
  return result != NULL;
}

static void
test_read_only (Fixture *f, gconstpointer data)
{
  DeratePgPool *pool = attach (f, FALSE);

  g_assert_true (writes (pool));
  assert_status (f, DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE);
  g_free (pg_world_ask ("alter system set default_transaction_read_only = on"));
  g_free (pg_world_ask ("select pg_reload_conf()"));
  pg_world_until (!writes (pool) &&
                  derate_service_get_status (f->service) == DERATE_HEALTH_STATUS_DEGRADED);
  assert_status (f, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_READ_ONLY);
  g_free (pg_world_ask ("alter system set default_transaction_read_only = off"));
  g_free (pg_world_ask ("select pg_reload_conf()"));
  pg_world_until (derate_service_get_status (f->service) == DERATE_HEALTH_STATUS_HEALTHY);
  g_assert_true (writes (pool));
  pg_world_end (pool);
}

/* In both forms, one after the other. Where the server is to answer, nobody waits for a connect:
 * that may take longer than anybody here waits. */
static void
ask (DeratePgPool *pool, const char *sql, GQuark domain, gint code)
{
  gboolean is_answered =
      domain == 0 || code == DERATE_PG_ERROR_QUERY || code == DERATE_PG_ERROR_CLOSED;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) sync_error = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgResult) rows = NULL;
  g_autoptr (DeratePgResult) more = NULL;

  if (is_answered)
    pg_world_until (pg_world_stats (pool).idle == 1);
  rows = derate_pg_pool_query (pool, WRITE, sql, NULL, NULL, &sync_error);
  if (is_answered)
    pg_world_until (pg_world_stats (pool).idle == 1);
  derate_pg_pool_query_async (pool, WRITE, sql, NULL, NULL, pg_take_result, &result);
  pg_world_until (result != NULL);
  more = derate_pg_pool_query_finish (pool, result, &error);
  if (domain == 0)
    {
      g_assert_no_error (sync_error);
      g_assert_no_error (error);
      return;
    }
  g_assert_error (sync_error, domain, code);
  g_assert_error (error, domain, code);
}

static gboolean
run_one (DeratePgConnection *connection, gpointer data, GError **error)
{
  g_autoptr (DeratePgResult) result =
      derate_pg_connection_query (connection, data, NULL, NULL, error);

  return result != NULL;
}

static gboolean
give_up (DeratePgConnection *connection, gpointer data, GError **error)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "no such file");
  return FALSE;
}

/* The same in a transaction. */
static void
transact (DeratePgPool *pool, const char *sql, GQuark domain, gint code)
{
  g_autoptr (DeratePgBatch) batch = derate_pg_batch_new ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) sync_error = NULL;
  g_autoptr (GError) error = NULL;

  derate_pg_batch_add (batch, sql, NULL);
  derate_pg_pool_transaction_async (pool, batch, DERATE_PG_TRANSACTION_NONE, NULL, pg_take_result,
                                    &result);
  pg_world_until (result != NULL);
  g_assert_cmpint (derate_pg_pool_transaction_finish (pool, result, &error), ==, domain == 0);
  g_assert_cmpint (derate_pg_pool_transaction (pool, run_one, (gpointer)sql,
                                               DERATE_PG_TRANSACTION_NONE, NULL, &sync_error),
                   ==, domain == 0);
  if (domain != 0)
    {
      g_assert_error (error, domain, code);
      g_assert_error (sync_error, domain, code);
    }
}

static void
assert_counted (Fixture *f, guint successes, guint failures, guint blocked)
{
  g_autoptr (DerateBreakerStats) stats =
      derate_breaker_dup_stats (derate_service_get_breaker (f->service));

  g_assert_cmpuint (stats->successful_requests, ==, successes);
  g_assert_cmpuint (stats->failed_requests, ==, failures);
  g_assert_cmpuint (stats->calls_blocked, ==, blocked);
}

/* An answer that refuses is an answer; what nobody asked the server says nothing of it. */
static void
test_breaker (Fixture *f, gconstpointer data)
{
  g_autoptr (TestProxy) proxy = test_proxy_new_postgresql (pg_world_get_uri ());
  DeratePgPool *pool =
      pg_world_pool_at (test_proxy_get_uri (proxy), "min-size", 1, "max-size", 1, "acquire-timeout",
                        50 * MS, "validate-after", 3600 * S, NULL);
  DeratePgLease lease = DERATE_PG_LEASE_INIT;

  g_assert_true (derate_pg_pool_attach (pool, f->core, "database", NULL));
  pg_world_open (pool);
  ask (pool, "select 1", 0, 0);
  assert_counted (f, 2, 0, 0);
  ask (pool, "insert into only_one values (1)", DERATE_PG_ERROR, DERATE_PG_ERROR_QUERY);
  ask (pool, "select 1 / 0", DERATE_PG_ERROR, DERATE_PG_ERROR_QUERY);
  assert_counted (f, 6, 0, 0);
  transact (pool, "select 1", 0, 0);
  transact (pool, "insert into only_one values (1)", DERATE_PG_ERROR, DERATE_PG_ERROR_QUERY);
  assert_counted (f, 10, 0, 0);
  g_assert_false (
      derate_pg_pool_transaction (pool, give_up, NULL, DERATE_PG_TRANSACTION_NONE, NULL, NULL));
  assert_counted (f, 10, 0, 0);
  pg_world_until (pg_world_stats (pool).idle == 1);
  pg_world_acquire (pool, &lease);
  ask (pool, "select 1", DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_TIMEOUT); /* it is busy, no more */
  derate_pg_lease_release (&lease, NULL);
  assert_counted (f, 10, 0, 0);
  ask (pool, "select pg_terminate_backend(pg_backend_pid())", DERATE_PG_ERROR,
       DERATE_PG_ERROR_CLOSED);
  assert_counted (f, 10, 2, 0);
  pg_world_until (pg_world_stats (pool).idle == 1);
  for (guint i = 0; i < 5; i++)
    transact (pool, "select 1", 0, 0);
  test_proxy_set_fault (proxy, TEST_PROXY_REFUSING, 0);
  test_proxy_end (proxy, TEST_PROXY_FIN);
  pg_world_until (pg_world_stats (pool).idle == 0);
  ask (pool, "select 1", DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_TIMEOUT); /* nobody is there */
  transact (pool, "select 1", DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_TIMEOUT);
  assert_counted (f, 20, 6, 0);
  g_assert_true (derate_breaker_trip (derate_service_get_breaker (f->service), NULL));
  ask (pool, "select 1", DERATE_ERROR, DERATE_ERROR_OPEN);
  transact (pool, "select 1", DERATE_ERROR, DERATE_ERROR_OPEN);
  assert_counted (f, 20, 6, 4);
  pg_world_close (pool);
}

int
main (int argc, char **argv)
{
  pg_world_start (&argc, &argv);
  g_log_set_always_fatal (G_LOG_FATAL_MASK |
                          G_LOG_LEVEL_CRITICAL); /* a worse status is a warning */
  g_free (pg_world_ask ("create table notes (n int)"));
  g_free (pg_world_ask ("create table only_one (n int unique)"));
  g_free (pg_world_ask ("insert into only_one values (1)"));
#define ADD(name, func) g_test_add ("/pg-attach/" name, Fixture, NULL, set_up, func, tear_down)
  ADD ("refused", test_refused);
  ADD ("metrics-draining", test_metrics_draining);
  ADD ("metrics", test_metrics);
  ADD ("overloaded", test_overloaded);
  ADD ("read-only", test_read_only);
  ADD ("back", test_back);
  ADD ("breaker", test_breaker);
  return pg_world_run_tests ();
}
