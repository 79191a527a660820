/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pg-world.h"

#include "test-traces.h"

#include <derate-resolver.h>

#include <libpq-fe.h>

static TestServers *servers;
static PGconn *watcher;
static guint n_pools;
static guint n_ended;
static TestTraces traces; /* of a program that has pools no more */

/* What the first pool and the first name of a program leave behind is made once. */
static void
warm_up (void)
{
  DeratePgPool *pool = pg_world_pool (NULL, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;
  DeratePgResult *rows;

  pg_world_open (pool);
  derate_pg_pool_query_async (pool, READ, "select pg_sleep(60)", NULL, cancellable, pg_take_result,
                              &result);
  g_cancellable_cancel (cancellable);
  pg_world_until (result != NULL);
  rows = derate_pg_pool_query_finish (pool, result, NULL);
  g_assert_null (rows);
  g_clear_object (&result);
  pg_world_end (pool);
  derate_resolver_lookup_async ("localhost", NULL, pg_take_result, &result);
  pg_world_until (result != NULL);
  g_resolver_free_addresses (derate_resolver_lookup_finish (result, NULL));
  g_clear_pointer (&watcher, PQfinish);
}

static void
start_with (const char *standby, int *argc, char ***argv)
{
  g_test_init (argc, argv, NULL);
  /* What a busy machine makes slow is none of what is tested here. */
  g_setenv ("SLOW_QUERY_THRESHOLD_MS", "3600000", TRUE);
  servers = test_servers_new ((const char *const[]){ "postgresql", standby, NULL });
  warm_up ();
  traces = test_traces_take ();
}

void
pg_world_start (int *argc, char ***argv)
{
  start_with (NULL, argc, argv);
}

void
pg_world_start_pair (int *argc, char ***argv)
{
  start_with ("standby", argc, argv);
}

int
pg_world_run_tests (void)
{
  int status = g_test_run ();

  g_clear_pointer (&watcher, PQfinish);
  test_traces_assert_same (&traces);
  g_clear_pointer (&servers, test_servers_free);
  return status;
}

TestServers *
pg_world_get_servers (void)
{
  return servers;
}

const char *
pg_world_get_uri (void)
{
  return test_servers_get_uri (servers, "postgresql");
}

static PGresult *
ask (const char *sql)
{
  if (watcher == NULL || PQstatus (watcher) != CONNECTION_OK)
    {
      g_clear_pointer (&watcher, PQfinish);
      watcher = PQconnectdb (pg_world_get_uri ());
    }
  return PQexec (watcher, sql);
}

char *
pg_world_ask (const char *sql)
{
  PGresult *result = ask (sql);
  char *value;

  /* The server was stopped in between. */
  if (PQresultStatus (result) == PGRES_FATAL_ERROR &&
      PQresultErrorField (result, PG_DIAG_SQLSTATE) == NULL)
    {
      g_clear_pointer (&watcher, PQfinish);
      PQclear (result);
      result = ask (sql);
    }
  if (PQresultStatus (result) != PGRES_TUPLES_OK && PQresultStatus (result) != PGRES_COMMAND_OK)
    g_error ("%s: %s", sql, PQerrorMessage (watcher));
  value = g_strdup (PQntuples (result) > 0 ? PQgetvalue (result, 0, 0) : "");
  PQclear (result);
  return value;
}

gint64
pg_world_count (const char *sql)
{
  g_autofree char *value = pg_world_ask (sql);

  return g_ascii_strtoll (value, NULL, 10);
}

guint
pg_world_sessions (DeratePgPool *pool)
{
  g_autofree char *sql =
      g_strdup_printf ("select count(*) from pg_stat_activity where application_name = '%s'",
                       derate_pg_pool_get_name (pool));

  return (guint)pg_world_count (sql);
}

void
pg_world_kill (DeratePgPool *pool)
{
  g_autofree char *sql = g_strdup_printf ("select count(pg_terminate_backend(pid)) from "
                                          "pg_stat_activity where application_name = '%s'",
                                          derate_pg_pool_get_name (pool));

  g_free (pg_world_ask (sql));
}

static DeratePgPool *
new_pool (const char *uri, const char *first_property, va_list arguments)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *name = g_strdup_printf ("pool-%u", ++n_pools);
  g_autofree char *named = g_strdup_printf ("%s&application_name=%s", uri, name);
  DeratePgPool *pool = derate_pg_pool_new (name, named, &error);

  g_assert_no_error (error);
  if (first_property != NULL)
    g_object_set_valist (G_OBJECT (pool), first_property, arguments);
  return pool;
}

DeratePgPool *
pg_world_pool (const char *first_property, ...)
{
  DeratePgPool *pool;
  va_list arguments;

  va_start (arguments, first_property);
  pool = new_pool (pg_world_get_uri (), first_property, arguments);
  va_end (arguments);
  return pool;
}

DeratePgPool *
pg_world_pool_at (const char *uri, const char *first_property, ...)
{
  DeratePgPool *pool;
  va_list arguments;

  va_start (arguments, first_property);
  pool = new_pool (uri, first_property, arguments);
  va_end (arguments);
  return pool;
}

void
pg_world_turn (void)
{
  if (!g_main_context_iteration (NULL, FALSE))
    g_usleep (500);
}

void
pg_world_open (DeratePgPool *pool)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  derate_pg_pool_open_async (pool, NULL, pg_take_result, &result);
  pg_world_until (result != NULL);
  g_assert_true (derate_pg_pool_open_finish (pool, result, &error));
  g_assert_no_error (error);
}

void
pg_world_close (DeratePgPool *pool)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  derate_pg_pool_close_async (pool, 0, pg_take_result, &result);
  pg_world_until (result != NULL);
  g_assert_true (derate_pg_pool_close_finish (pool, result, &error));
  g_assert_no_error (error);
  g_clear_object (&result);
  g_assert_finalize_object (pool);
}

void
pg_world_end (DeratePgPool *pool)
{
  g_autofree char *sql =
      g_strdup_printf ("select count(*) from pg_stat_activity where application_name = '%s'",
                       derate_pg_pool_get_name (pool));

  pg_world_close (pool);
  pg_world_until (pg_world_count (sql) == 0);
}

DeratePgPoolStats
pg_world_stats (DeratePgPool *pool)
{
  g_autoptr (DeratePgPoolStats) copy = derate_pg_pool_dup_stats (pool);
  DeratePgPoolStats stats = *copy;

  g_assert_cmpuint (stats.total, ==,
                    stats.idle + stats.busy + stats.connecting + stats.reserved + stats.draining +
                        stats.closing);
  return stats;
}

static void
caller_done (GObject *source, GAsyncResult *result, gpointer user_data)
{
  PgCaller *caller = user_data;

  caller->is_done = TRUE;
  caller->order = ++n_ended;
  derate_pg_pool_acquire_finish (DERATE_PG_POOL (source), result, &caller->lease, &caller->error);
}

PgCaller *
pg_caller_new_for (DeratePgPool *pool, DeratePgAccess access, GCancellable *cancellable)
{
  PgCaller *caller = g_new0 (PgCaller, 1);

  derate_pg_pool_acquire_async (pool, access, G_STRFUNC, cancellable, caller_done, caller);
  return caller;
}

PgCaller *
pg_caller_new (DeratePgPool *pool, GCancellable *cancellable)
{
  return pg_caller_new_for (pool, WRITE, cancellable);
}

gboolean
pg_caller_is_done (PgCaller *caller)
{
  return caller->is_done;
}

void
pg_caller_free (PgCaller *caller)
{
  pg_world_until (caller->is_done);
  derate_pg_lease_clear (&caller->lease);
  g_clear_error (&caller->error);
  g_free (caller);
}

void
pg_world_acquire (DeratePgPool *pool, DeratePgLease *lease)
{
  g_autoptr (PgCaller) caller = pg_caller_new (pool, NULL);

  pg_world_until (pg_caller_is_done (caller));
  g_assert_no_error (caller->error);
  *lease = caller->lease;
  caller->lease = (DeratePgLease)DERATE_PG_LEASE_INIT;
}

GError *
pg_world_acquire_fails (DeratePgPool *pool)
{
  g_autoptr (PgCaller) caller = pg_caller_new (pool, NULL);

  pg_world_until (pg_caller_is_done (caller));
  g_assert_nonnull (caller->error);
  return g_steal_pointer (&caller->error);
}

char *
pg_world_run (DeratePgLease *lease, const char *sql)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgResult) rows =
      pg_query (derate_pg_lease_get_connection (lease), sql, NULL, &error);

  g_assert_no_error (error);
  return derate_pg_result_get_n_rows (rows) > 0 ? g_strdup (derate_pg_result_get_value (rows, 0, 0))
                                                : NULL;
}

guint
pg_world_pid (DeratePgLease *lease)
{
  return derate_pg_connection_get_pid (derate_pg_lease_get_connection (lease));
}

void
pg_answer_take (GObject *source, GAsyncResult *result, gpointer data)
{
  PgAnswer *answer = data;

  answer->is_done = TRUE;
  if (DERATE_IS_PG_POOL (source))
    answer->result = derate_pg_pool_query_finish (DERATE_PG_POOL (source), result, &answer->error);
  else
    answer->result =
        derate_pg_connection_query_finish (DERATE_PG_CONNECTION (source), result, &answer->error);
}

void
pg_answer_clear (PgAnswer *answer)
{
  g_clear_pointer (&answer->result, derate_pg_result_unref);
  g_clear_error (&answer->error);
}
