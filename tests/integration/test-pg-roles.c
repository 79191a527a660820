/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Read-only mode of a pool, at one server that is made read-only and writable again. */
#include <libpq-fe.h>
#include <string.h>

#include "pg-world.h"
#include "test-proxy.h"

static GPtrArray *told; /* of the log: writes disabled, writes enabled */

static GLogWriterOutput
keep_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  const char *event = NULL, *message = NULL;

  for (gsize i = 0; i < n_fields; i++)
    {
      if (g_str_equal (fields[i].key, "EVENT"))
        event = fields[i].value;
      if (g_str_equal (fields[i].key, "MESSAGE"))
        message = fields[i].value;
    }
  if (g_strcmp0 (event, "write_mode_changed") != 0)
    return g_log_writer_default (level, fields, n_fields, data);
  g_ptr_array_add (told, g_strdup (message)); /* the pool thread's until the mode is seen */
  return G_LOG_WRITER_HANDLED;
}

static gboolean
run_once (DeratePgPool *pool, DeratePgAccess access, const char *sql, GError **error)
{
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_autoptr (DeratePgResult) result = NULL;

  if (!derate_pg_pool_acquire (pool, access, NULL, &lease, NULL, error))
    return FALSE;
  result =
      derate_pg_connection_query (derate_pg_lease_get_connection (&lease), sql, NULL, NULL, error);
  return result != NULL;
}

static gboolean
writes (DeratePgPool *pool, GError **error)
{
  return run_once (pool, WRITE, "insert into notes values (1)", error);
}

static gboolean
reads (DeratePgPool *pool)
{
  return run_once (pool, READ, "select count(*) from notes", NULL);
}

/* What a session is told that begins now. */
static gboolean
is_told (const char *wanted)
{
  PGconn *pg = PQconnectdb (pg_world_get_uri ());
  gboolean told_so =
      g_strcmp0 (PQparameterStatus (pg, "default_transaction_read_only"), wanted) == 0;

  PQfinish (pg);
  return told_so;
}

static void
set_read_only (gboolean read_only)
{
  const char *wanted = read_only ? "on" : "off";
  g_autofree char *sql =
      g_strdup_printf ("alter system set default_transaction_read_only = %s", wanted);

  g_free (pg_world_ask (sql));
  g_free (pg_world_ask ("select pg_reload_conf()"));
  pg_world_until (is_told (wanted));
}

static void
count_notify (GObject *object, GParamSpec *pspec, gpointer data)
{
  ++*(guint *)data;
}

static void
test_evicted (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 2, "max-size", 3, NULL);
  g_autoptr (GError) error = NULL;
  guint notified = 0;
  guint64 lost;

  g_ptr_array_set_size (told, 0);
  g_signal_connect (pool, "notify::write-mode", G_CALLBACK (count_notify), &notified);
  g_assert_true (writes (pool, &error));
  g_assert_no_error (error);
  g_assert_true (derate_pg_pool_get_write_mode (pool));
  lost = pg_world_stats (pool).retired;
  set_read_only (TRUE);
  g_assert_false (writes (pool, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_READ_ONLY);
  pg_world_until (!derate_pg_pool_get_write_mode (pool) && notified == 1);
  pg_world_until (pg_world_stats (pool).retired > lost);
  g_clear_error (&error);
  g_assert_false (writes (pool, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_READ_ONLY);
  g_assert_nonnull (strstr (error->message, "no server takes writes now"));
  g_assert_true (reads (pool));
  set_read_only (FALSE);
  pg_world_until (derate_pg_pool_get_write_mode (pool) && notified == 2);
  g_clear_error (&error);
  g_assert_true (writes (pool, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (told->len, ==, 2);
  g_assert_nonnull (strstr (told->pdata[0], ": read-only, at "));
  g_assert_nonnull (strstr (told->pdata[1], ": writes again, at "));
  pg_world_end (pool);
}

/* Also one that nobody writes to: the next answer says so. */
static void
test_reported (void)
{
  DeratePgPool *pool = pg_world_pool ("validate-after", (gint64)0, NULL);

  g_assert_true (reads (pool));
  set_read_only (TRUE);
  pg_world_until (reads (pool) && !derate_pg_pool_get_write_mode (pool));
  set_read_only (FALSE);
  pg_world_until (derate_pg_pool_get_write_mode (pool));
  pg_world_end (pool);
}

/* A caller's own read-only transaction says nothing of the server. */
static void
test_own_transaction (void)
{
  DeratePgPool *pool = pg_world_pool (NULL, NULL);
  g_autoptr (GError) error = NULL;

  {
    g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
    DeratePgConnection *session;

    pg_world_acquire (pool, &lease);
    session = derate_pg_lease_get_connection (&lease);
    derate_pg_result_unref (
        derate_pg_connection_query (session, "begin transaction read only", NULL, NULL, &error));
    g_assert_no_error (error);
    g_assert_null (
        derate_pg_connection_query (session, "insert into notes values (1)", NULL, NULL, &error));
    g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_READ_ONLY);
    g_clear_error (&error);
  }
  g_assert_true (writes (pool, &error));
  g_assert_no_error (error);
  g_assert_true (derate_pg_pool_get_write_mode (pool));
  pg_world_end (pool);
}

/* Nor is its session one that must be looked at each time that it is given back from then on. */
static void
test_looked_at (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, "clock", clock, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_autoptr (GError) error = NULL;

  pg_world_acquire (pool, &lease);
  g_free (pg_world_run (&lease, "begin transaction read only"));
  g_assert_null (pg_query (derate_pg_lease_get_connection (&lease), "insert into notes values (1)",
                           NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_READ_ONLY);
  derate_pg_lease_clear (&lease);
  pg_world_until (pg_world_stats (pool).idle == 1);

  /* With this clock the pool has no thread: where it had to look, nobody would have. */
  pg_world_acquire (pool, &lease);
  derate_pg_lease_clear (&lease);
  g_assert_cmpuint (pg_world_stats (pool).idle, ==, 1);
  pg_world_end (pool);
}

/* Those that wait to write hear of it at once; those that wait to read do not. */
static void
test_waiting (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  PgCaller *reader, *writer;

  pg_world_acquire (pool, &lease);
  writer = pg_caller_new_for (pool, WRITE, NULL);
  reader = pg_caller_new_for (pool, READ, NULL);
  set_read_only (TRUE);
  g_assert_null (derate_pg_connection_query (derate_pg_lease_get_connection (&lease),
                                             "insert into notes values (1)", NULL, NULL, NULL));
  g_assert_true (derate_pg_lease_release (&lease, NULL));
  pg_world_until (pg_caller_is_done (writer) && pg_caller_is_done (reader));
  g_assert_error (writer->error, DERATE_PG_ERROR, DERATE_PG_ERROR_READ_ONLY);
  g_assert_no_error (reader->error);
  pg_caller_free (reader);
  pg_caller_free (writer);
  set_read_only (FALSE);
  pg_world_until (derate_pg_pool_get_write_mode (pool));
  pg_world_end (pool);
}

/* In the words of semantics: in less than 1 µs. */
static void
test_refused_at_once (void)
{
  DeratePgPool *pool = pg_world_pool (NULL, NULL);
  double best = G_MAXDOUBLE;

  set_read_only (TRUE);
  g_assert_true (reads (pool));
  pg_world_until (!derate_pg_pool_get_write_mode (pool));
  for (guint i = 0; i < 50; i++)
    {
      gint64 since = g_get_monotonic_time ();

      for (guint j = 0; j < 1000; j++)
        {
          DeratePgLease lease = DERATE_PG_LEASE_INIT;

          if (derate_pg_pool_acquire (pool, WRITE, NULL, &lease, NULL, NULL))
            g_error ("it takes writes");
        }
      best = MIN (best, (double)(g_get_monotonic_time () - since));
    }
  g_test_minimized_result (best, "a refusal: %.0f ns", best);
  g_assert_cmpfloat (best, <, 1000);
  set_read_only (FALSE);
  pg_world_until (derate_pg_pool_get_write_mode (pool));
  pg_world_end (pool);
}

int
main (int argc, char **argv)
{
  int status;

  told = g_ptr_array_new_with_free_func (g_free);
  g_log_set_writer_func (keep_log, NULL, NULL);
  pg_world_start (&argc, &argv);
  g_free (pg_world_ask ("create table notes (n int)"));
  g_test_add_func ("/pool/trap/18-evicted", test_evicted);
  g_test_add_func ("/pg-roles/reported", test_reported);
  g_test_add_func ("/pg-roles/own-transaction", test_own_transaction);
  g_test_add_func ("/pg-roles/looked-at", test_looked_at);
  g_test_add_func ("/pg-roles/waiting", test_waiting);
  g_test_add_func ("/pg-roles/refused-at-once", test_refused_at_once);
  status = pg_world_run_tests ();
  g_ptr_array_unref (told);
  return status;
}
