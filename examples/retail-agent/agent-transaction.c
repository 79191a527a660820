/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-database.h"

/* All operations or none, one after the other in one session. Who gives up, or fails, gives the
 * session back as it is: the pool rolls back what is open in it. */

typedef struct
{
  DeratePgPool *pool;
  GPtrArray *operations;
} Question;

/* A transaction on its way. */
typedef struct
{
  DerateCall *call;
  GCancellable *cancellable;
  GPtrArray *operations; /* (element-type AgentOperation) */
  guint next;
  DeratePgLease lease;
  GArray *affected; /* (element-type guint64) */
} Transaction;

static void
question_free (gpointer data)
{
  Question *question = data;

  g_object_unref (question->pool);
  g_ptr_array_unref (question->operations);
  g_free (question);
}

static void
transaction_free (Transaction *transaction)
{
  derate_pg_lease_clear (&transaction->lease);
  g_clear_object (&transaction->cancellable);
  g_ptr_array_unref (transaction->operations);
  g_array_unref (transaction->affected);
  derate_call_unref (transaction->call);
  g_free (transaction);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Transaction, transaction_free)

static void
run (Transaction *transaction, const char *sql, GVariant *parameters, GAsyncReadyCallback done)
{
  derate_pg_connection_query_async (derate_pg_lease_get_connection (&transaction->lease), sql,
                                    parameters, transaction->cancellable, done, transaction);
}

/* NULL where it failed, which was told then. */
static DeratePgResult *
end_step (Transaction *transaction, GObject *source, GAsyncResult *async)
{
  g_autoptr (GError) error = NULL;
  DeratePgResult *result =
      derate_pg_connection_query_finish (DERATE_PG_CONNECTION (source), async, &error);

  if (result == NULL)
    derate_call_fail (transaction->call, error);
  return result;
}

/* The session goes back first: who hears of the end may want it. */
static void
on_committed (GObject *source, GAsyncResult *async, gpointer data)
{
  g_autoptr (Transaction) transaction = data;
  g_autoptr (DeratePgResult) result = end_step (transaction, source, async);

  if (result == NULL)
    return;
  derate_pg_lease_clear (&transaction->lease);
  derate_call_succeed (transaction->call,
                       g_variant_new_fixed_array (G_VARIANT_TYPE_UINT64,
                                                  transaction->affected->data,
                                                  transaction->affected->len, sizeof (guint64)));
}

static void on_operated (GObject *source, GAsyncResult *async, gpointer data);

static void
go_on (Transaction *transaction)
{
  AgentOperation *operation;

  if (transaction->next == transaction->operations->len)
    {
      run (transaction, "COMMIT", NULL, on_committed);
      return;
    }
  operation = g_ptr_array_index (transaction->operations, transaction->next++);
  run (transaction, operation->statement->sql, operation->parameters, on_operated);
}

static void
on_operated (GObject *source, GAsyncResult *async, gpointer data)
{
  g_autoptr (Transaction) transaction = data;
  g_autoptr (DeratePgResult) result = end_step (transaction, source, async);
  guint64 affected;

  if (result == NULL)
    return;
  affected = derate_pg_result_get_affected (result);
  g_array_append_val (transaction->affected, affected);
  go_on (g_steal_pointer (&transaction));
}

static void
on_begun (GObject *source, GAsyncResult *async, gpointer data)
{
  g_autoptr (Transaction) transaction = data;
  g_autoptr (DeratePgResult) result = end_step (transaction, source, async);

  if (result != NULL)
    go_on (g_steal_pointer (&transaction));
}

static void
on_acquired (GObject *source, GAsyncResult *async, gpointer data)
{
  g_autoptr (Transaction) transaction = data;
  g_autoptr (GError) error = NULL;

  if (!derate_pg_pool_acquire_finish (DERATE_PG_POOL (source), async, &transaction->lease, &error))
    derate_call_fail (transaction->call, error);
  else
    run (g_steal_pointer (&transaction), "BEGIN", NULL, on_begun);
}

static void
start (DerateCall *call, GCancellable *cancellable, gpointer data)
{
  Question *question = data;
  Transaction *transaction = g_new0 (Transaction, 1);

  transaction->call = call;
  g_set_object (&transaction->cancellable, cancellable);
  transaction->operations = g_ptr_array_ref (question->operations);
  transaction->affected = g_array_new (FALSE, FALSE, sizeof (guint64));
  derate_pg_pool_acquire_async (question->pool, DERATE_PG_ACCESS_WRITE, "transaction", cancellable,
                                on_acquired, transaction);
}

void
agent_database_transact (DeratePgPool *pool,
                         DeratePolicy *policy,
                         DerateRequest *request,
                         GPtrArray *operations,
                         GAsyncReadyCallback callback,
                         gpointer data)
{
  Question *question = g_new0 (Question, 1);

  question->pool = g_object_ref (pool);
  question->operations = g_ptr_array_ref (operations);
  derate_policy_call_async (policy, request, start, question, question_free, NULL, callback, data);
}
