/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Transactions in sessions of a pool. */
#include "pg-world.h"

#include <string.h>

#define RETRY DERATE_PG_TRANSACTION_RETRY

typedef struct
{
  gboolean is_done;
  gboolean is_good;
  GError *error;
} Outcome;

static void
outcome_clear (Outcome *outcome)
{
  g_clear_error (&outcome->error);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Outcome, outcome_clear)

static void
batch_done (GObject *source, GAsyncResult *result, gpointer data)
{
  Outcome *outcome = data;

  g_assert_false (outcome->is_done);
  outcome->is_good =
      derate_pg_pool_transaction_finish (DERATE_PG_POOL (source), result, &outcome->error);
  outcome->is_done = TRUE;
}

static void
expect_state (const GError *error, const char *sqlstate)
{
  g_autofree char *state = NULL;

  g_assert_nonnull (error);
  g_test_message ("%s", error->message);
  g_assert_cmpuint (error->domain, ==, DERATE_PG_ERROR);
  state = derate_pg_error_get_sqlstate (error);
  g_assert_cmpstr (state, ==, sqlstate);
}

/* Has the server say n times that another transaction was in the way; a sequence does not roll
 * back. */
static void
prepare_to_stumble (void)
{
  g_free (pg_world_ask ("truncate item"));
  g_free (pg_world_ask ("alter sequence tries restart"));
}

static gint64
count_tries (void)
{
  return pg_world_count ("select case when is_called then last_value else 0 end from tries");
}

/* How often it goes wrong, and what comes of it. */
static const struct
{
  int n;
  DeratePgTransactionFlags flags;
  const char *state;
  const char *error; /* NULL: committed */
  gint64 n_tries;
} stumbles[] = {
  { 0, RETRY, "40001", NULL, 1 }, { 2, RETRY, "40001", NULL, 3 },
  { 3, RETRY, "40P01", NULL, 4 }, { 4, RETRY, "40001", "40001", 4 },
  { 1, 0, "40001", "40001", 1 },  { 1, RETRY, "40002", "40002", 1 },
};

static void
test_batch (void)
{
  DeratePgPool *pool = pg_world_pool ("max-size", 2, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (stumbles); i++)
    {
      g_autoptr (DeratePgBatch) batch = derate_pg_batch_new ();
      g_auto (Outcome) outcome = { 0 };

      prepare_to_stumble ();
      derate_pg_batch_add (batch, "insert into item values ($1)", g_variant_new ("(i)", 1));
      derate_pg_batch_add (batch, "select stumble($1, $2)",
                           g_variant_new ("(is)", stumbles[i].n, stumbles[i].state));
      derate_pg_pool_transaction_async (pool, batch, stumbles[i].flags, NULL, batch_done, &outcome);
      pg_world_until (outcome.is_done);
      g_assert_cmpint (outcome.is_good, ==, stumbles[i].error == NULL);
      if (stumbles[i].error != NULL)
        expect_state (outcome.error, stumbles[i].error);
      g_assert_cmpint (count_tries (), ==, stumbles[i].n_tries);
      g_assert_cmpint (pg_world_count ("select count(*) from item"), ==, stumbles[i].error == NULL);
    }
  g_assert_cmpuint (pg_world_stats (pool).busy, ==, 0);
  pg_world_end (pool);
}

/* Between two tries it waits by the pool's clock, and has no session. */
static void
test_wait (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, "clock", clock, NULL);
  g_autoptr (DeratePgBatch) batch = derate_pg_batch_new ();
  g_auto (Outcome) outcome = { 0 };

  pg_world_open (pool);
  prepare_to_stumble ();
  derate_pg_batch_add (batch, "select stumble(1, '40001')", NULL);
  derate_pg_pool_transaction_async (pool, batch, RETRY, NULL, batch_done, &outcome);
  pg_world_until (count_tries () == 1 && pg_world_stats (pool).idle == 1);
  for (guint i = 0; i < 50; i++)
    g_main_context_iteration (NULL, FALSE);
  g_assert_false (outcome.is_done);
  g_assert_cmpint (count_tries (), ==, 1);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 10 * MS);
  pg_world_until (outcome.is_done);
  g_assert_no_error (outcome.error);
  g_assert_cmpint (count_tries (), ==, 2);
  pg_world_end (pool);
}

static void
test_cancelled (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);
  g_autoptr (DeratePgBatch) batch = derate_pg_batch_new ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (Outcome) outcome = { 0 };
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;

  g_free (pg_world_ask ("truncate item"));
  derate_pg_batch_add (batch, "insert into item values (1)", NULL);
  derate_pg_batch_add (batch, "select pg_sleep(600)", NULL);
  derate_pg_pool_transaction_async (pool, batch, 0, cancellable, batch_done, &outcome);
  pg_world_until (pg_world_count ("select count(*) from pg_stat_activity where state = 'active'"
                                  " and query like 'select pg_sl%'") == 1);
  g_cancellable_cancel (cancellable);
  pg_world_until (outcome.is_done);
  g_assert_error (outcome.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  /* The next one has the session only after it was cancelled there, and rolled back. */
  pg_world_acquire (pool, &lease);
  g_assert_false (derate_pg_connection_is_in_transaction (derate_pg_lease_get_connection (&lease)));
  g_assert_cmpint (pg_world_count ("select count(*) from item"), ==, 0);
  derate_pg_lease_clear (&lease);
  pg_world_end (pool);
}

/* In threads of their own, as their users are. */

typedef struct
{
  DeratePgPool *pool;
  DeratePgTransactionFunc func;
  gpointer data;
  DeratePgTransactionFlags flags;
  GCancellable *cancellable;
  gboolean is_good;
  GError *error;
  gint is_done; /* atomic */
} Job;

static void
job_clear (Job *job)
{
  g_clear_error (&job->error);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Job, job_clear)

static gpointer
do_job (gpointer data)
{
  Job *job = data;

  job->is_good = derate_pg_pool_transaction (job->pool, job->func, job->data, job->flags,
                                             job->cancellable, &job->error);
  g_assert_cmpint (job->is_good, ==, job->error == NULL);
  g_atomic_int_set (&job->is_done, TRUE);
  return NULL;
}

static void
run_job (Job *job)
{
  GThread *thread = g_thread_new ("job", do_job, job);

  pg_world_until (g_atomic_int_get (&job->is_done));
  g_thread_join (thread);
}

static gboolean
say (DeratePgConnection *connection, const char *sql, GVariant *parameters, GError **error)
{
  g_autoptr (DeratePgResult) result =
      derate_pg_connection_query (connection, sql, parameters, NULL, error);

  return result != NULL;
}

static gboolean
stumble (DeratePgConnection *connection, gpointer data, GError **error)
{
  guint i = GPOINTER_TO_UINT (data);

  return say (connection, "insert into item values (1)", NULL, error) &&
         say (connection, "select stumble($1, $2)",
              g_variant_new ("(is)", stumbles[i].n, stumbles[i].state), error);
}

static void
test_func (void)
{
  DeratePgPool *pool = pg_world_pool ("max-size", 2, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (stumbles); i++)
    {
      g_auto (Job) job = {
        .pool = pool, .func = stumble, .data = GUINT_TO_POINTER (i), .flags = stumbles[i].flags
      };

      prepare_to_stumble ();
      run_job (&job);
      if (stumbles[i].error != NULL)
        expect_state (job.error, stumbles[i].error);
      else
        g_assert_no_error (job.error);
      g_assert_cmpint (count_tries (), ==, stumbles[i].n_tries);
      g_assert_cmpint (pg_world_count ("select count(*) from item"), ==, stumbles[i].error == NULL);
    }
  pg_world_end (pool);
}

/* Whatever a function does wrong, nothing is done. */

static gboolean
fail_with_words (DeratePgConnection *connection, gpointer data, GError **error)
{
  say (connection, "insert into item values (1)", NULL, NULL);
  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "no such thing");
  return FALSE;
}

static gboolean
fail_in_silence (DeratePgConnection *connection, gpointer data, GError **error)
{
  return !say (connection, "insert into item values (1)", NULL, NULL);
}

static gboolean
overlook (DeratePgConnection *connection, gpointer data, GError **error)
{
  say (connection, "insert into item values (1)", NULL, NULL);
  say (connection, "select 1/0", NULL, NULL);
  return TRUE;
}

static gboolean
end_it (DeratePgConnection *connection, gpointer data, GError **error)
{
  say (connection, "rollback", NULL, NULL);
  return TRUE;
}

static gboolean
kill_it (DeratePgConnection *connection, gpointer data, GError **error)
{
  return say (connection, "insert into item values (1)", NULL, error) &&
         say (connection, "select pg_terminate_backend(pg_backend_pid())", NULL, error);
}

static gboolean
insert (DeratePgConnection *connection, gpointer data, GError **error)
{
  return say (connection, "insert into item values (1)", NULL, error);
}

static gboolean
insert_twice (DeratePgConnection *connection, gpointer data, GError **error)
{
  return insert (connection, data, error) && insert (connection, data, error);
}

static void
test_func_fails (void)
{
  static const struct
  {
    DeratePgTransactionFunc func;
    DeratePgTransactionFlags flags;
    GQuark (*domain) (void);
    int code;
  } cases[] = {
    { fail_with_words, RETRY, g_file_error_quark, G_FILE_ERROR_NOENT },
    { fail_in_silence, RETRY, derate_pg_error_quark, DERATE_PG_ERROR_FAILED },
    { overlook, RETRY, derate_pg_error_quark, DERATE_PG_ERROR_FAILED },
    { end_it, RETRY, derate_pg_error_quark, DERATE_PG_ERROR_FAILED },
    { kill_it, RETRY, derate_pg_error_quark, DERATE_PG_ERROR_CLOSED },
    { insert_twice, 0, derate_pg_error_quark, DERATE_PG_ERROR_QUERY }, /* at the commit */
    { insert, DERATE_PG_TRANSACTION_READ_ONLY, derate_pg_error_quark, DERATE_PG_ERROR_READ_ONLY },
  };
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);

  g_free (pg_world_ask ("truncate item"));
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (Job) job = { .pool = pool, .func = cases[i].func, .flags = cases[i].flags };
      g_auto (Job) next = { .pool = pool, .func = fail_in_silence };

      run_job (&job);
      g_assert_error (job.error, cases[i].domain (), cases[i].code);
      g_assert_cmpint (pg_world_count ("select count(*) from item"), ==, 0);
      run_job (&next);
      g_assert_error (next.error, DERATE_PG_ERROR, DERATE_PG_ERROR_FAILED);
    }
  pg_world_end (pool);
}

/* Two that wait for each other: the server ends one of them, which then does it again. */

typedef struct
{
  int first;
  gint *n_inside; /* atomic */
  gint n_tries;
} Rival;

static gboolean
cross (DeratePgConnection *connection, gpointer data, GError **error)
{
  Rival *rival = data;

  if (!say (connection, "update item set n = n where n = $1", g_variant_new ("(i)", rival->first),
            error))
    return FALSE;
  if (rival->n_tries++ == 0)
    {
      g_atomic_int_inc (rival->n_inside);
      while (g_atomic_int_get (rival->n_inside) < 2)
        g_thread_yield ();
    }
  return say (connection, "update item set n = n where n = $1",
              g_variant_new ("(i)", 3 - rival->first), error);
}

static void
test_deadlock (void)
{
  DeratePgPool *pool = pg_world_pool ("max-size", 2, NULL);
  gint n_inside = 0;
  Rival rivals[] = { { 1, &n_inside, 0 }, { 2, &n_inside, 0 } };
  Job jobs[G_N_ELEMENTS (rivals)] = { 0 };
  GThread *threads[G_N_ELEMENTS (rivals)];

  g_free (pg_world_ask ("truncate item"));
  g_free (pg_world_ask ("insert into item values (1), (2)"));
  for (guint i = 0; i < G_N_ELEMENTS (rivals); i++)
    {
      jobs[i].pool = pool;
      jobs[i].func = cross;
      jobs[i].data = &rivals[i];
      jobs[i].flags = RETRY;
      threads[i] = g_thread_new ("rival", do_job, &jobs[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (rivals); i++)
    {
      pg_world_until (g_atomic_int_get (&jobs[i].is_done));
      g_thread_join (threads[i]);
      g_assert_no_error (jobs[i].error);
    }
  g_assert_cmpint (rivals[0].n_tries + rivals[1].n_tries, >=, 3);
  pg_world_end (pool);
}

int
main (int argc, char *argv[])
{
  pg_world_start (&argc, &argv);
  g_free (pg_world_ask ("create table item (n int unique deferrable initially deferred)"));
  g_free (pg_world_ask ("create sequence tries"));
  g_free (pg_world_ask ("create function stumble(n int, state text) returns void language plpgsql"
                        " as $$begin if nextval('tries') <= n then raise exception 'stumbled'"
                        " using errcode = state; end if; end$$"));
  g_free (pg_world_ask ("alter system set deadlock_timeout = '10ms'"));
  g_free (pg_world_ask ("select pg_reload_conf()"));

  g_test_add_func ("/pg-transaction/batch", test_batch);
  g_test_add_func ("/pg-transaction/wait", test_wait);
  g_test_add_func ("/pg-transaction/cancelled", test_cancelled);
  g_test_add_func ("/pg-transaction/func", test_func);
  g_test_add_func ("/pg-transaction/func-fails", test_func_fails);
  g_test_add_func ("/pg-transaction/deadlock", test_deadlock);

  return pg_world_run_tests ();
}
