/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A batch belongs to who fills it, and to the run while it is run. */
#include "derate-pg-batch-private.h"

#include "derate-pg-error-private.h"
#include "derate-pg-result-private.h"
#include "derate-pg-session-private.h"

#define TEXTS_AT_ONCE 1024 /* bytes */

/**
 * DeratePgBatch:
 *
 * Statements that go to the server together, in one round trip instead of one each. It may be run
 * again; what it gave before is gone then. Used by one thread at a time.
 *
 * Since: 1.0
 */
struct _DeratePgBatch
{
  GArray *calls; /* of DeratePgCall */
  GStringChunk *texts; /* their statements */
  GPtrArray *results;
  gboolean is_running;
};

G_DEFINE_BOXED_TYPE (DeratePgBatch, derate_pg_batch, derate_pg_batch_ref, derate_pg_batch_unref)

static void
clear_call (gpointer data)
{
  DeratePgCall *call = data;

  derate_pg_call_reset (call);
  g_clear_pointer (&call->tuple, g_variant_unref);
}

static void
clear_result (gpointer data)
{
  if (data != NULL)
    derate_pg_result_unref (data);
}

/**
 * derate_pg_batch_new:
 *
 * Makes a batch without statements.
 *
 * Returns: (transfer full): the batch
 *
 * Since: 1.0
 */
DeratePgBatch *
derate_pg_batch_new (void)
{
  DeratePgBatch *batch = g_atomic_rc_box_new0 (DeratePgBatch);

  batch->calls = g_array_new (FALSE, TRUE, sizeof (DeratePgCall));
  g_array_set_clear_func (batch->calls, clear_call);
  batch->texts = g_string_chunk_new (TEXTS_AT_ONCE);
  batch->results = g_ptr_array_new_with_free_func (clear_result);
  return batch;
}

/**
 * derate_pg_batch_add:
 * @batch: a batch that is not being run
 * @sql: one statement, with `$1`, `$2` … for the parameters
 * @parameters: (nullable): a tuple of their values, as derate_pg_connection_query_async() takes
 * them
 *
 * Adds a statement. What is wrong with @parameters is said when the batch is run.
 *
 * Returns: its place in the batch, from 0
 *
 * Since: 1.0
 */
guint
derate_pg_batch_add (DeratePgBatch *batch, const char *sql, GVariant *parameters)
{
  DeratePgCall call = { 0 };

  g_return_val_if_fail (batch != NULL && !batch->is_running, 0);
  g_return_val_if_fail (sql != NULL, 0);

  call.sql = g_string_chunk_insert (batch->texts, sql);
  call.tuple = parameters != NULL ? g_variant_ref_sink (parameters) : NULL;
  g_array_append_val (batch->calls, call);
  return batch->calls->len - 1;
}

/**
 * derate_pg_batch_get_size:
 * @batch: a batch
 *
 * How many statements it has.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
derate_pg_batch_get_size (DeratePgBatch *batch)
{
  g_return_val_if_fail (batch != NULL, 0);

  return batch->calls->len;
}

/**
 * derate_pg_batch_get_result:
 * @batch: a batch that was run
 * @index: a place in the batch, from 0
 * @error: where to put the error
 *
 * What a statement gave when the batch was run last. Of an atomic one that was rolled back, every
 * statement has an error: its own, or that of the one that failed.
 *
 * Returns: (transfer full): the result; %NULL with the error of that statement, or with
 *   %DERATE_PG_ERROR_FAILED where it was not run
 *
 * Since: 1.0
 */
DeratePgResult *
derate_pg_batch_get_result (DeratePgBatch *batch, guint index, GError **error)
{
  const DeratePgCall *call;

  g_return_val_if_fail (batch != NULL && index < batch->calls->len, NULL);

  call = &g_array_index (batch->calls, DeratePgCall, index);
  if (index < batch->results->len && batch->results->pdata[index] != NULL)
    return derate_pg_result_ref (batch->results->pdata[index]);
  if (error != NULL && call->error != NULL)
    *error = g_error_copy (call->error);
  else
    g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_FAILED, "statement %u was not run",
                 index + 1);
  return NULL;
}

/**
 * derate_pg_batch_ref:
 * @batch: a batch
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @batch
 *
 * Since: 1.0
 */
DeratePgBatch *
derate_pg_batch_ref (DeratePgBatch *batch)
{
  return g_atomic_rc_box_acquire (batch);
}

static void
batch_clear (gpointer data)
{
  DeratePgBatch *batch = data;

  g_array_unref (batch->calls);
  g_string_chunk_free (batch->texts);
  g_ptr_array_unref (batch->results);
}

/**
 * derate_pg_batch_unref:
 * @batch: (transfer full): a batch
 *
 * Drops a reference.
 *
 * Since: 1.0
 */
void
derate_pg_batch_unref (DeratePgBatch *batch)
{
  g_atomic_rc_box_release_full (batch, batch_clear);
}

/* What failed first, with its place. */
static GError *
find_error (DeratePgBatch *batch)
{
  for (guint i = 0; i < batch->calls->len; i++)
    {
      const DeratePgCall *call = &g_array_index (batch->calls, DeratePgCall, i);
      GError *error = call->error != NULL ? g_error_copy (call->error) : NULL;

      if (error == NULL)
        continue;
      g_prefix_error (&error, "statement %u of %u: ", i + 1, batch->calls->len);
      return error;
    }
  return NULL;
}

/* Every statement has a result or an error then. Takes over and gives what is wrong with all. */
static GError *
settle (DeratePgBatch *batch, gboolean is_atomic, GError *error)
{
  if (is_atomic && error == NULL)
    error = find_error (batch);
  g_ptr_array_set_size (batch->results, 0);
  for (guint i = 0; i < batch->calls->len; i++)
    {
      DeratePgCall *call = &g_array_index (batch->calls, DeratePgCall, i);
      DeratePgResult *result = NULL;

      if (call->error == NULL && call->result != NULL && (error == NULL || !is_atomic))
        result = derate_pg_result_new (g_steal_pointer (&call->result));
      else if (call->error == NULL && error != NULL)
        call->error = g_error_copy (error);
      g_ptr_array_add (batch->results, result);
    }
  batch->is_running = FALSE;
  return error;
}

static gboolean
may_run (DeratePgConnection *self, DeratePgBatch *batch, gboolean is_atomic, GError **error)
{
  if (!derate_pg_connection_may_start (self, error))
    return FALSE;
  if (batch->is_running)
    g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_BUSY, "the batch is being run already");
  else if (is_atomic && derate_pg_connection_is_in_transaction (self))
    g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_BUSY,
                 "the session is inside a transaction, and a batch is to be another");
  else
    return TRUE;
  return FALSE;
}

static void
begin (DeratePgConnection *self,
       DeratePgBatch *batch,
       DeratePgBatchFlags flags,
       DeratePgOperation operation)
{
  DeratePgCall *calls = (DeratePgCall *)(gpointer)batch->calls->data;
  guint n = batch->calls->len;

  batch->is_running = TRUE;
  self->run.operation = operation;
  self->run.text = g_strdup_printf ("batch of %u: %.800s", n, n > 0 ? calls[0].sql : "");
  derate_pg_run_begin_batch (self, calls, n, flags);
}

typedef struct
{
  DeratePgBatch *batch;
  gboolean is_atomic;
  DeratePgDoneFunc func;
  gpointer data;
} Start;

static void
start_done (DeratePgConnection *self, DeratePgResult *result, GError *error, gpointer data)
{
  g_autofree Start *start = data;

  error = settle (start->batch, start->is_atomic, error);
  derate_pg_batch_unref (start->batch);
  start->func (self, NULL, error, start->data);
}

void
derate_pg_connection_start_batch (DeratePgConnection *self,
                                  DeratePgBatch *batch,
                                  DeratePgBatchFlags flags,
                                  DeratePgOperation operation,
                                  GCancellable *cancellable,
                                  DeratePgDoneFunc func,
                                  gpointer data)
{
  gboolean is_atomic = (flags & DERATE_PG_BATCH_ATOMIC) != 0;
  GError *error = NULL;
  Start *start;

  if (g_cancellable_set_error_if_cancelled (cancellable, &error) ||
      !may_run (self, batch, is_atomic, &error))
    {
      derate_pg_connection_refuse (self, error, func, data);
      return;
    }
  start = g_new0 (Start, 1);
  start->batch = derate_pg_batch_ref (batch);
  start->is_atomic = is_atomic;
  start->func = func;
  start->data = data;
  begin (self, batch, flags, operation);
  derate_pg_query_launch (self, cancellable, start_done, start);
}

static void
return_to_task (DeratePgConnection *self, DeratePgResult *result, GError *error, gpointer data)
{
  g_autoptr (GTask) task = data;

  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_boolean (task, TRUE);
}

static DeratePgOperation
operation_of (DeratePgConnection *self, DeratePgBatchFlags flags)
{
  return flags & DERATE_PG_BATCH_ATOMIC ? DERATE_PG_OPERATION_TRANSACTION : self->operation;
}

/**
 * derate_pg_connection_run_async:
 * @connection: a session
 * @batch: the statements
 * @flags: how they belong together
 * @cancellable: (nullable): ends it at once
 * @callback: (scope async): called once, in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * Runs all statements of @batch in one round trip (libpq's pipeline mode). They are run in their
 * order. What each gave or what was wrong with it is in @batch then. Statements of a transaction
 * (`BEGIN`) and `COPY` do not belong in one. As with a single query, only one runs at a time, and
 * the session's query timeout is that of the whole, which is measured and logged as one query.
 *
 * With %DERATE_PG_BATCH_ATOMIC they are one transaction: `BEGIN` and `COMMIT` travel along, and
 * where anything fails it is rolled back.
 *
 * Since: 1.0
 */
void
derate_pg_connection_run_async (DeratePgConnection *connection,
                                DeratePgBatch *batch,
                                DeratePgBatchFlags flags,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DERATE_IS_PG_CONNECTION (connection));
  g_return_if_fail (batch != NULL);

  task = g_task_new (connection, cancellable, callback, user_data);
  g_task_set_source_tag (task, derate_pg_connection_run_async);
  g_task_set_check_cancellable (task, FALSE);
  derate_pg_connection_start_batch (connection, batch, flags, operation_of (connection, flags),
                                    cancellable, return_to_task, task);
}

/**
 * derate_pg_connection_run_finish:
 * @connection: a session
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends derate_pg_connection_run_async().
 *
 * Returns: %TRUE if all statements were run: each has a result or an error of its own; for an
 * atomic batch, if it was committed. Otherwise %FALSE, with what went wrong first
 *
 * Since: 1.0
 */
gboolean
derate_pg_connection_run_finish (DeratePgConnection *connection,
                                 GAsyncResult *result,
                                 GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, connection), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * derate_pg_connection_run:
 * @connection: a session
 * @batch: the statements
 * @flags: how they belong together
 * @cancellable: (nullable): ends it at once, from another thread
 * @error: where to put the error
 *
 * Does what derate_pg_connection_run_async() does, and waits for it. For threads that have no loop
 * to serve.
 *
 * Returns: as derate_pg_connection_run_finish()
 *
 * Since: 1.0
 */
gboolean
derate_pg_connection_run (DeratePgConnection *connection,
                          DeratePgBatch *batch,
                          DeratePgBatchFlags flags,
                          GCancellable *cancellable,
                          GError **error)
{
  gboolean is_atomic = (flags & DERATE_PG_BATCH_ATOMIC) != 0;
  g_autoptr (DeratePgBatch) keep = NULL;
  DeratePgResult *result;
  GError *why;

  g_return_val_if_fail (DERATE_IS_PG_CONNECTION (connection), FALSE);
  g_return_val_if_fail (batch != NULL, FALSE);

  if (g_cancellable_set_error_if_cancelled (cancellable, error) ||
      !may_run (connection, batch, is_atomic, error))
    return FALSE;
  keep = derate_pg_batch_ref (batch);
  begin (connection, batch, flags, operation_of (connection, flags));
  derate_pg_sync_end (connection, cancellable, &result, &why);
  why = settle (batch, is_atomic, why);
  if (why != NULL)
    g_propagate_error (error, why);
  return why == NULL;
}
