/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statements are given up at any moment, before they are sent until after their answer, by those
 * who asked and by their timeout, in a pool that others use meanwhile. Every statement bears a mark
 * of its own: those of others are answered by their own mark, none is ever cancelled, and the
 * server never has more sessions of the pool than it may have. */
#include "pg-world.h"

#include <libpq-fe.h>

enum
{
  N_ROUNDS = 1000, /* at least: it goes on until every end has come to pass often */
  N_OFTEN = 100,
  N_AT_ONCE = 8,
  N_OTHERS = 4,
  MAX_SIZE = 6,
  LATEST = 4000 /* microseconds: most are answered by then; longer where they are not */
};

typedef struct
{
  DeratePgPool *pool;
  guint n_started, n_running;
  guint n_cancelled, n_timed_out, n_answered;
  guint n_others; /* answers to those that nobody gave up */
} Storm;

/* How a statement goes, by its mark. */
static const char *const statements[] = {
  "select %u",
  "select %u from pg_sleep(0.002)",
  "select %u from pg_sleep(60)",
};

typedef struct
{
  Storm *storm;
  guint mark;
  GCancellable *cancellable; /* NULL: ended by its timeout, or by nobody */
  DeratePgLease lease; /* of one with a timeout of its own */
  guint timer; /* that cancels; 0: none, or it has run */
} Round;

static char *
make_sql (guint mark, guint kind)
{
  g_autofree char *text = g_strdup_printf ("%u", mark);
  g_auto (GStrv) parts = g_strsplit (statements[kind], "%u", 2);

  return g_strjoinv (text, parts);
}

static gboolean
is_over (const Storm *storm)
{
  return storm->n_started >= N_ROUNDS && storm->n_cancelled > N_OFTEN &&
         storm->n_timed_out > N_OFTEN && storm->n_answered > 0 && storm->n_others > N_OFTEN;
}

static int
choose_latest (const Storm *storm)
{
  return LATEST * (int)(1 + storm->n_started / N_ROUNDS);
}

static void start_round (Storm *storm);

/* It was given up, or it has the answer to its own statement; there is no third. */
static void
end_round (Round *round, DeratePgResult *rows, GError *error)
{
  g_autofree char *mark = g_strdup_printf ("%u", round->mark);
  Storm *storm = round->storm;

  if (rows != NULL)
    {
      g_assert_cmpstr (derate_pg_result_get_value (rows, 0, 0), ==, mark);
      storm->n_answered++;
    }
  else if (round->cancellable != NULL)
    {
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      storm->n_cancelled++;
    }
  else
    {
      g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_TIMED_OUT);
      storm->n_timed_out++;
    }
  if (round->timer != 0)
    g_source_remove (round->timer);
  if (round->cancellable != NULL)
    g_cancellable_cancel (round->cancellable); /* also after the answer */
  g_clear_object (&round->cancellable);
  derate_pg_lease_clear (&round->lease);
  g_clear_pointer (&rows, derate_pg_result_unref);
  g_clear_error (&error);
  g_free (round);
  storm->n_running--;
  start_round (storm);
}

static gboolean
give_up (gpointer data)
{
  Round *round = data;

  round->timer = 0;
  g_cancellable_cancel (round->cancellable);
  return G_SOURCE_REMOVE;
}

static void
on_cancellable_end (GObject *source, GAsyncResult *result, gpointer data)
{
  GError *error = NULL;
  DeratePgResult *rows = derate_pg_pool_query_finish (DERATE_PG_POOL (source), result, &error);

  end_round (data, rows, error);
}

static void
start_cancellable (Round *round)
{
  g_autofree char *sql = make_sql (round->mark, round->mark % G_N_ELEMENTS (statements));
  int after = g_test_rand_int_range (-1, choose_latest (round->storm) / 1000 + 1);

  round->cancellable = g_cancellable_new ();
  if (after < 0)
    g_cancellable_cancel (round->cancellable);
  else
    round->timer = g_timeout_add ((guint)after, give_up, round);
  derate_pg_pool_query_async (round->storm->pool, WRITE, sql, NULL, round->cancellable,
                              on_cancellable_end, round);
}

static void
on_limited_end (GObject *source, GAsyncResult *result, gpointer data)
{
  GError *error = NULL;
  DeratePgResult *rows =
      derate_pg_connection_query_finish (DERATE_PG_CONNECTION (source), result, &error);

  end_round (data, rows, error);
}

static void
on_acquired (GObject *source, GAsyncResult *result, gpointer data)
{
  Round *round = data;
  g_autofree char *sql = make_sql (round->mark, round->mark % G_N_ELEMENTS (statements));
  g_autoptr (GError) error = NULL;
  DeratePgConnection *session;

  derate_pg_pool_acquire_finish (DERATE_PG_POOL (source), result, &round->lease, &error);
  g_assert_no_error (error);
  session = derate_pg_lease_get_connection (&round->lease);
  derate_pg_connection_set_query_timeout (session,
                                          g_test_rand_int_range (1, choose_latest (round->storm)));
  derate_pg_connection_query_async (session, sql, NULL, NULL, on_limited_end, round);
}

static void
start_round (Storm *storm)
{
  Round *round;

  if (is_over (storm))
    return;
  round = g_new0 (Round, 1);
  round->storm = storm;
  round->mark = ++storm->n_started;
  storm->n_running++;
  if (g_test_rand_bit ())
    start_cancellable (round);
  else
    derate_pg_pool_acquire_async (storm->pool, WRITE, NULL, NULL, on_acquired, round);
}

/* One of the others: it is always answered. */

static void start_other (Storm *storm);

typedef struct
{
  Storm *storm;
  char *mark;
} Other;

static void
on_other_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree Other *other = data;
  Storm *storm = other->storm;
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgResult) rows =
      derate_pg_pool_query_finish (DERATE_PG_POOL (source), result, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (derate_pg_result_get_value (rows, 0, 0), ==, other->mark);
  g_free (other->mark);
  storm->n_others++;
  storm->n_running--;
  if (!is_over (storm))
    start_other (storm);
}

static void
start_other (Storm *storm)
{
  Other *other = g_new0 (Other, 1);
  g_autofree char *sql = NULL;

  other->storm = storm;
  other->mark = g_strdup_printf ("other %u", storm->n_others * N_OTHERS + storm->n_running);
  sql = g_strdup_printf ("select '%s' from pg_sleep(0.003)", other->mark);
  storm->n_running++;
  derate_pg_pool_query_async (storm->pool, WRITE, sql, NULL, NULL, on_other_answer, other);
}

/* In a thread of its own: how many sessions the server has, and what the pool says of itself. */

typedef struct
{
  DeratePgPool *pool;
  gint is_over; /* atomic */
  guint n_looks;
  guint most;
} Watcher;

static guint
count_sessions (PGconn *by, const char *name)
{
  const char *values[] = { name };
  PGresult *result = PQexecParams (by,
                                   "select count(*) from pg_stat_activity "
                                   "where application_name = $1",
                                   1, NULL, values, NULL, NULL, 0);
  guint n;

  g_assert_cmpint (PQresultStatus (result), ==, PGRES_TUPLES_OK);
  n = (guint)g_ascii_strtoull (PQgetvalue (result, 0, 0), NULL, 10);
  PQclear (result);
  return n;
}

static gpointer
watch (gpointer data)
{
  Watcher *watcher = data;
  PGconn *session = PQconnectdb (pg_world_get_uri ());

  while (!g_atomic_int_get (&watcher->is_over))
    {
      guint n = count_sessions (session, derate_pg_pool_get_name (watcher->pool));

      watcher->most = MAX (watcher->most, n);
      watcher->n_looks++;
      g_assert_cmpuint (pg_world_stats (watcher->pool).total, <=, MAX_SIZE);
      g_usleep (500);
    }
  PQfinish (session);
  return NULL;
}

static void
test_storm (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 2, "max-size", MAX_SIZE, "acquire-timeout",
                                      (gint64)0, "query-timeout", (gint64)0, NULL);
  Storm storm = { .pool = pool };
  Watcher watcher = { .pool = pool };
  GThread *thread;
  gint64 since;

  pg_world_open (pool);
  since = g_get_monotonic_time ();
  thread = g_thread_new ("watcher", watch, &watcher);
  for (guint i = 0; i < N_OTHERS; i++)
    start_other (&storm);
  for (guint i = 0; i < N_AT_ONCE; i++)
    start_round (&storm);
  while (storm.n_running > 0)
    g_main_context_iteration (NULL, TRUE);
  pg_world_until (pg_world_stats (pool).draining == 0);
  g_atomic_int_set (&watcher.is_over, TRUE);
  g_thread_join (thread);
  g_test_message ("%u rounds in %.1f s: %u cancelled, %u timed out, %u answered; %u statements of "
                  "others, all answered; at most %u sessions of %d, in %u looks; %u were opened",
                  storm.n_started, (double)(g_get_monotonic_time () - since) / S, storm.n_cancelled,
                  storm.n_timed_out, storm.n_answered, storm.n_others, watcher.most, MAX_SIZE,
                  watcher.n_looks, (guint)pg_world_stats (pool).opened);
  g_assert_cmpuint (watcher.most, <=, MAX_SIZE);
  g_assert_cmpint (pg_world_count ("select count(*) from pg_stat_activity where query like "
                                   "'%pg_sleep(60)%' and state = 'active' and "
                                   "pid <> pg_backend_pid()"),
                   ==, 0);
  pg_world_end (pool);
}

/* What is counted adds up at every moment, also while sessions are taken, given back and killed. */

typedef struct
{
  DeratePgPool *pool;
  gint is_over; /* atomic */
} Counting;

static gpointer
come_and_go (gpointer data)
{
  Counting *counting = data;

  while (!g_atomic_int_get (&counting->is_over))
    {
      g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
      g_autoptr (GError) error = NULL;

      derate_pg_pool_acquire (counting->pool, READ, NULL, &lease, NULL, &error);
      g_assert_no_error (error);
    }
  return NULL;
}

static void
test_counts (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 2, "max-size", 3, NULL);
  Counting counting = { .pool = pool };
  GThread *threads[4];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("caller", come_and_go, &counting);
  for (guint i = 0; i < 10; i++)
    {
      for (guint n = 0; n < 5000; n++)
        g_assert_cmpuint (pg_world_stats (pool).total, <=, 3);
      pg_world_kill (pool);
    }
  g_atomic_int_set (&counting.is_over, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  pg_world_until (pg_world_stats (pool).idle >= 2);
  g_assert_cmpuint (pg_world_stats (pool).busy, ==, 0);
  pg_world_end (pool);
}

int
main (int argc, char **argv)
{
  pg_world_start (&argc, &argv);
  g_test_add_func ("/pg-cancel-storm/storm", test_storm);
  g_test_add_func ("/pool/trap/06-counts-add-up", test_counts);
  return pg_world_run_tests ();
}
