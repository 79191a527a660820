/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Transactions in whichever session is free: a batch in one round trip, in the task's context, or a
 * function in a thread of the caller's. The session is given back before each wait for another try,
 * and before the caller hears. */
#include "derate-pg-transaction.h"

#include "derate-pg-batch-private.h"
#include "derate-pg-pool-private.h"

#define TAG "transaction"

/* As often as Derate's retries (semantics §2). The waits are those of a database, which takes about
 * a millisecond for a transaction, with full jitter: one that lost has met whoever won by then. */
#define MAX_RETRIES 3
#define FIRST_WAIT (10 * G_TIME_SPAN_MILLISECOND)

static GTimeSpan
pick_wait (guint n_tries)
{
  return g_random_int_range (0, (gint32)(FIRST_WAIT << n_tries)) + 1;
}

static DeratePgAccess
access_of (DeratePgTransactionFlags flags)
{
  return flags & DERATE_PG_TRANSACTION_READ_ONLY ? DERATE_PG_ACCESS_READ : DERATE_PG_ACCESS_WRITE;
}

/* Nothing of it was done, and it may go well the next time. */
static gboolean
is_worth_another (const GError *error, DeratePgTransactionFlags flags, guint n_tries)
{
  g_autofree char *state = NULL;

  if ((flags & DERATE_PG_TRANSACTION_RETRY) == 0 || n_tries >= MAX_RETRIES ||
      !g_error_matches (error, DERATE_PG_ERROR, DERATE_PG_ERROR_QUERY))
    return FALSE;
  state = derate_pg_error_get_sqlstate (error);
  return g_strcmp0 (state, "40001") == 0 || g_strcmp0 (state, "40P01") == 0;
}

/* A batch */

typedef struct
{
  DeratePgBatch *batch;
  DeratePgTransactionFlags flags;
  guint n_tries;
  DeratePgLease lease;
  DeratePermit permit; /* of all tries */
} Transaction;

static void
transaction_free (gpointer data)
{
  Transaction *transaction = data;

  derate_pg_lease_clear (&transaction->lease);
  derate_permit_clear (&transaction->permit);
  derate_pg_batch_unref (transaction->batch);
  g_free (transaction);
}

/* Takes @error over; NULL if it was committed. */
static void
end_batch (GTask *task, GError *error)
{
  Transaction *transaction = g_task_get_task_data (task);

  derate_pg_pool_conclude (g_task_get_source_object (task), &transaction->permit, error);
  if (error == NULL)
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

static void try_batch (GTask *task);

static gboolean
waited (gpointer user_data)
{
  try_batch (user_data);
  return G_SOURCE_REMOVE;
}

static void
try_again_later (GTask *task)
{
  Transaction *transaction = g_task_get_task_data (task);
  DeratePgPool *pool = g_task_get_source_object (task);
  gint64 when = derate_clock_get_time (pool->clock) + pick_wait (transaction->n_tries++);
  g_autoptr (GSource) source = derate_clock_source_new (pool->clock, when);

  g_source_set_static_name (source, "[derate] another try of a transaction");
  g_task_attach_source (task, source, waited);
}

static void
batch_done (DeratePgConnection *connection, DeratePgResult *result, GError *error, gpointer data)
{
  g_autoptr (GTask) task = data;
  Transaction *transaction = g_task_get_task_data (task);

  derate_pg_lease_clear (&transaction->lease);
  if (error == NULL || !is_worth_another (error, transaction->flags, transaction->n_tries))
    {
      end_batch (task, error);
      return;
    }
  try_again_later (task);
  g_error_free (error);
}

static void
acquired (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  GMainContext *context = g_task_get_context (task);
  Transaction *transaction = g_task_get_task_data (task);
  DeratePgBatchFlags flags = DERATE_PG_BATCH_ATOMIC;
  GError *error = NULL;

  if (!derate_pg_pool_acquire_finish (DERATE_PG_POOL (source), result, &transaction->lease, &error))
    {
      end_batch (task, error);
      return;
    }
  if (transaction->flags & DERATE_PG_TRANSACTION_READ_ONLY)
    flags |= DERATE_PG_BATCH_READ_ONLY;
  g_main_context_push_thread_default (context);
  derate_pg_connection_start_batch (derate_pg_lease_get_connection (&transaction->lease),
                                    transaction->batch, flags, DERATE_PG_OPERATION_TRANSACTION,
                                    g_task_get_cancellable (task), batch_done, g_object_ref (task));
  g_main_context_pop_thread_default (context);
}

static void
try_batch (GTask *task)
{
  Transaction *transaction = g_task_get_task_data (task);
  GMainContext *context = g_task_get_context (task);

  g_main_context_push_thread_default (context);
  derate_pg_pool_acquire_async (g_task_get_source_object (task), access_of (transaction->flags),
                                TAG, g_task_get_cancellable (task), acquired, g_object_ref (task));
  g_main_context_pop_thread_default (context);
}

/**
 * derate_pg_pool_transaction_async:
 * @pool: a pool
 * @batch: what is done in it, without `BEGIN` and `COMMIT`
 * @flags: how
 * @cancellable: (nullable): ends it at once; nothing is done then, unless it was being committed
 * @callback: (scope async): called once, in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * Runs @batch as one transaction in a session of the pool, in one round trip. Where anything fails,
 * nothing is done. What each statement gave is in @batch then. To have another isolation, let `SET
 * TRANSACTION ISOLATION LEVEL SERIALIZABLE` be its first statement. With a
 * [property@PgPool:breaker] it needs its permit, and that hears how it went. May be called from any
 * thread.
 *
 * With %DERATE_PG_TRANSACTION_RETRY it is done again, at most three times (the default of Derate's
 * retries) after up to 10, 20 and 40 ms, if the server says that another transaction was in the
 * way.
 *
 * Since: 1.0
 */
void
derate_pg_pool_transaction_async (DeratePgPool *pool,
                                  DeratePgBatch *batch,
                                  DeratePgTransactionFlags flags,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  GError *error = NULL;
  Transaction *transaction;

  g_return_if_fail (DERATE_IS_PG_POOL (pool));
  g_return_if_fail (batch != NULL);

  transaction = g_new0 (Transaction, 1);
  transaction->batch = derate_pg_batch_ref (batch);
  transaction->flags = flags;
  task = g_task_new (pool, cancellable, callback, user_data);
  g_task_set_source_tag (task, derate_pg_pool_transaction_async);
  /* Whether it was cancelled in time is decided once, by the queue or the session. */
  g_task_set_check_cancellable (task, FALSE);
  g_task_set_task_data (task, transaction, transaction_free);
  if (derate_pg_pool_permit (pool, &transaction->permit, &error))
    try_batch (task);
  else
    g_task_return_error (task, error);
}

/**
 * derate_pg_pool_transaction_finish:
 * @pool: a pool
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends derate_pg_pool_transaction_async().
 *
 * Returns: %TRUE if it was committed
 *
 * Since: 1.0
 */
gboolean
derate_pg_pool_transaction_finish (DeratePgPool *pool, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, pool), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/* A function */

static gboolean
say (DeratePgConnection *connection, const char *word, GCancellable *cancellable, GError **error)
{
  g_autoptr (DeratePgResult) result =
      derate_pg_connection_query (connection, word, NULL, cancellable, error);

  return result != NULL;
}

/* @is_own: what went wrong is the function's own, and says nothing of the database. */
static gboolean
run_func (DeratePgConnection *connection,
          DeratePgTransactionFunc func,
          gpointer user_data,
          gboolean *is_own,
          GError **error)
{
  g_autoptr (GError) local = NULL;

  if (!func (connection, user_data, &local))
    {
      *is_own = local == NULL || local->domain != DERATE_PG_ERROR;
      if (local == NULL)
        g_set_error (&local, DERATE_PG_ERROR, DERATE_PG_ERROR_FAILED,
                     "the function of the transaction failed and did not say why");
      g_propagate_error (error, g_steal_pointer (&local));
      return FALSE;
    }
  /* A server that has given it up would roll back, and call that a commit. */
  if (derate_pg_connection_is_in_working_transaction (connection))
    return TRUE;
  *is_own = TRUE;
  g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_FAILED,
               "the function of the transaction left it failed or ended, and did not say so");
  return FALSE;
}

static gboolean
try_func (DeratePgPool *pool,
          DeratePgTransactionFunc func,
          gpointer user_data,
          DeratePgTransactionFlags flags,
          GCancellable *cancellable,
          gboolean *is_own,
          GError **error)
{
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  DeratePgConnection *connection;
  gboolean is_read_only = (flags & DERATE_PG_TRANSACTION_READ_ONLY) != 0;

  if (!derate_pg_pool_acquire (pool, access_of (flags), TAG, &lease, cancellable, error))
    return FALSE;
  connection = derate_pg_lease_get_connection (&lease);
  derate_pg_connection_set_operation (connection, DERATE_PG_OPERATION_TRANSACTION);
  if (say (connection, is_read_only ? "BEGIN READ ONLY" : "BEGIN", cancellable, error) &&
      run_func (connection, func, user_data, is_own, error) &&
      say (connection, "COMMIT", cancellable, error))
    return TRUE;
  /* Otherwise it would hold its locks a while longer, until the pool does it. */
  if (derate_pg_connection_is_usable (connection) &&
      derate_pg_connection_is_in_transaction (connection))
    say (connection, "ROLLBACK", NULL, NULL);
  return FALSE;
}

static gboolean
set_true (gpointer user_data)
{
  *(gboolean *)user_data = TRUE;
  return G_SOURCE_REMOVE;
}

static gboolean
set_true_for (GCancellable *cancellable, gpointer user_data)
{
  return set_true (user_data);
}

/* By the pool's clock, which may be one of a test. */
static void
wait_for_another (DeratePgPool *pool, guint n_tries, GCancellable *cancellable)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  gint64 when = derate_clock_get_time (pool->clock) + pick_wait (n_tries);
  g_autoptr (GSource) timer = derate_clock_source_new (pool->clock, when);
  g_autoptr (GSource) cancel = g_cancellable_source_new (cancellable);
  gboolean is_over = FALSE;

  g_source_set_callback (timer, set_true, &is_over, NULL);
  g_source_set_callback (cancel, G_SOURCE_FUNC (set_true_for), &is_over, NULL);
  g_source_attach (timer, context);
  g_source_attach (cancel, context);
  while (!is_over)
    g_main_context_iteration (context, TRUE);
  g_source_destroy (timer);
  g_source_destroy (cancel);
}

/**
 * derate_pg_pool_transaction:
 * @pool: a pool
 * @func: (scope call): what is done inside the transaction, in this thread
 * @user_data: data for @func
 * @flags: how
 * @cancellable: (nullable): ends what waits, from another thread; @func has to look at it itself
 * @error: where to put the error
 *
 * Begins a transaction in a session of the pool, has @func do its work in it, and commits. If @func
 * fails, or anything else does, it is rolled back. @func uses derate_pg_connection_query() and
 * derate_pg_connection_run() (not %DERATE_PG_BATCH_ATOMIC, which would be another transaction), and
 * keeps nothing of the session. With a [property@PgPool:breaker] it needs its permit, and that
 * hears how it went: nothing, where @func fails with an error that is not of #DeratePgError. This
 * waits: for threads that have no loop to serve.
 *
 * With %DERATE_PG_TRANSACTION_RETRY it is done again, @func included, at most three times (the
 * default of Derate's retries) after up to 10, 20 and 40 ms, if the server says that another
 * transaction was in the way.
 *
 * Returns: %TRUE if it was committed. After %DERATE_PG_ERROR_CLOSED, %DERATE_PG_ERROR_TIMED_OUT and
 *   %G_IO_ERROR_CANCELLED at its very end it may have been, which nobody can tell
 *
 * Since: 1.0
 */
gboolean
derate_pg_pool_transaction (DeratePgPool *pool,
                            DeratePgTransactionFunc func,
                            gpointer user_data,
                            DeratePgTransactionFlags flags,
                            GCancellable *cancellable,
                            GError **error)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
  GError *failure = NULL;
  guint n_tries = 0;
  gboolean is_good;
  gboolean is_own = FALSE;

  g_return_val_if_fail (DERATE_IS_PG_POOL (pool), FALSE);
  g_return_val_if_fail (func != NULL, FALSE);

  if (!derate_pg_pool_permit (pool, &permit, error))
    return FALSE;
  while (!(is_good = try_func (pool, func, user_data, flags, cancellable, &is_own, &failure)) &&
         is_worth_another (failure, flags, n_tries))
    {
      g_clear_error (&failure);
      wait_for_another (pool, n_tries++, cancellable);
    }
  if (!is_own)
    derate_pg_pool_conclude (pool, &permit, failure);
  if (!is_good)
    g_propagate_error (error, failure);
  return is_good;
}
