/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-database.h"

/* All statements of a batch or none, in one round trip. */

typedef struct
{
  DeratePgPool *pool;
  DeratePgBatch *batch;
} Question;

/* A transaction on its way. */
typedef struct
{
  DerateCall *call;
  GCancellable *cancellable;
  DeratePgBatch *batch;
  DeratePgLease lease;
} Transaction;

static void
question_free (gpointer data)
{
  Question *question = data;

  g_object_unref (question->pool);
  derate_pg_batch_unref (question->batch);
  g_free (question);
}

static void
transaction_free (Transaction *transaction)
{
  derate_pg_lease_clear (&transaction->lease);
  g_clear_object (&transaction->cancellable);
  derate_pg_batch_unref (transaction->batch);
  derate_call_unref (transaction->call);
  g_free (transaction);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Transaction, transaction_free)

static GVariant *
make_affected (DeratePgBatch *batch)
{
  GVariantBuilder affected;

  g_variant_builder_init (&affected, G_VARIANT_TYPE ("at"));
  for (guint i = 0; i < derate_pg_batch_get_size (batch); i++)
    {
      g_autoptr (DeratePgResult) result = derate_pg_batch_get_result (batch, i, NULL);

      g_variant_builder_add (&affected, "t", derate_pg_result_get_affected (result));
    }
  return g_variant_builder_end (&affected);
}

/* The session goes back first: who hears of the end may want it. */
static void
on_run (GObject *source, GAsyncResult *async, gpointer data)
{
  g_autoptr (Transaction) transaction = data;
  g_autoptr (GError) error = NULL;
  gboolean is_done = derate_pg_connection_run_finish (DERATE_PG_CONNECTION (source), async, &error);

  derate_pg_lease_clear (&transaction->lease);
  if (is_done)
    derate_call_succeed (transaction->call, make_affected (transaction->batch));
  else
    derate_call_fail (transaction->call, error);
}

static void
on_acquired (GObject *source, GAsyncResult *async, gpointer data)
{
  g_autoptr (Transaction) transaction = data;
  g_autoptr (GError) error = NULL;

  if (!derate_pg_pool_acquire_finish (DERATE_PG_POOL (source), async, &transaction->lease, &error))
    {
      derate_call_fail (transaction->call, error);
      return;
    }
  derate_pg_connection_run_async (derate_pg_lease_get_connection (&transaction->lease),
                                  transaction->batch, DERATE_PG_BATCH_ATOMIC,
                                  transaction->cancellable, on_run, transaction);
  transaction = NULL;
}

static void
start (DerateCall *call, GCancellable *cancellable, gpointer data)
{
  Question *question = data;
  Transaction *transaction = g_new0 (Transaction, 1);

  transaction->call = call;
  g_set_object (&transaction->cancellable, cancellable);
  transaction->batch = derate_pg_batch_ref (question->batch);
  derate_pg_pool_acquire_async (question->pool, DERATE_PG_ACCESS_WRITE, "transaction", cancellable,
                                on_acquired, transaction);
}

void
agent_database_transact (DeratePgPool *pool,
                         DeratePolicy *policy,
                         DerateRequest *request,
                         DeratePgBatch *batch,
                         GAsyncReadyCallback callback,
                         gpointer data)
{
  Question *question = g_new0 (Question, 1);

  question->pool = g_object_ref (pool);
  question->batch = derate_pg_batch_ref (batch);
  derate_policy_call_async (policy, request, start, question, question_free, NULL, callback, data);
}
