/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-database.h"

/* So that the agent leaves room on a small server. */
#define MAX_SESSIONS 8

/* No answer takes a tenth of it; see the runbook on pools near exhaustion. */
#define LEAK_THRESHOLD (5 * G_TIME_SPAN_SECOND)

/* One statement, or a transaction of several. */
typedef struct
{
  DeratePgPool *pool;
  DeratePgAccess access;
  char *sql;
  GVariant *parameters;
  DeratePgBatch *batch; /* (nullable) instead of the SQL and its parameters */
} Question;

/* A question on its way. */
typedef struct
{
  Question *question; /* the call's, until that is answered */
  DerateCall *call;
} Errand;

/* What the shop refuses for what was asked is no fault of its database. */
static gboolean
is_failure (const GError *error, gpointer data)
{
  return error->domain == DERATE_ERROR || derate_pg_error_is_failure (error);
}

static gboolean
teach_breaker (DerateCore *core, GError **error)
{
  g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (core, "database");
  g_autoptr (DerateBreakerConfig) config = derate_breaker_dup_config (breaker);

  derate_breaker_config_set_error_func (config, is_failure, NULL, NULL);
  return derate_breaker_reconfigure (breaker, config, error);
}

DeratePgPool *
agent_database_new (DerateCore *core, GError **error)
{
  const char *uri =
      derate_config_get_text (derate_core_get_config (core), "service database", "uri", "");
  g_autoptr (DeratePgPool) pool = derate_pg_pool_new ("database", uri, error);

  if (pool == NULL)
    return NULL;
  g_object_set (pool, "max-size", MAX_SESSIONS, "leak-threshold", (gint64)LEAK_THRESHOLD, NULL);
  if (!derate_pg_pool_attach (pool, core, "database", error) || !teach_breaker (core, error))
    return NULL;
  /* It stands in the pipelines, around their limit of time: nothing is counted twice. */
  g_object_set (pool, "breaker", NULL, NULL);
  return g_steal_pointer (&pool);
}

static void
question_free (gpointer data)
{
  Question *question = data;

  g_object_unref (question->pool);
  g_free (question->sql);
  g_clear_pointer (&question->parameters, g_variant_unref);
  g_clear_pointer (&question->batch, derate_pg_batch_unref);
  g_free (question);
}

static void
errand_free (Errand *errand)
{
  derate_call_unref (errand->call);
  g_free (errand);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Errand, errand_free)

static GVariant *
make_rows (DeratePgResult *result)
{
  g_autoptr (GVariant) rows = derate_pg_result_to_variant (result);

  return g_variant_new_maybe (G_VARIANT_TYPE ("aa{sv}"),
                              g_variant_n_children (rows) > 0 ? rows : NULL);
}

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

static void
on_statement (GObject *source, GAsyncResult *async, gpointer data)
{
  g_autoptr (Errand) errand = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgResult) result =
      derate_pg_pool_query_finish (DERATE_PG_POOL (source), async, &error);

  if (result == NULL)
    derate_call_fail (errand->call, error);
  else if (errand->question->access == DERATE_PG_ACCESS_READ)
    derate_call_succeed (errand->call, make_rows (result));
  else
    derate_call_succeed (errand->call,
                         g_variant_new_uint64 (derate_pg_result_get_affected (result)));
}

static void
on_transaction (GObject *source, GAsyncResult *async, gpointer data)
{
  g_autoptr (Errand) errand = data;
  g_autoptr (GError) error = NULL;

  if (derate_pg_pool_transaction_finish (DERATE_PG_POOL (source), async, &error))
    derate_call_succeed (errand->call, make_affected (errand->question->batch));
  else
    derate_call_fail (errand->call, error);
}

static void
start (DerateCall *call, GCancellable *cancellable, gpointer data)
{
  Question *question = data;
  Errand *errand = g_new0 (Errand, 1);

  errand->question = question;
  errand->call = call;
  if (question->batch != NULL)
    derate_pg_pool_transaction_async (question->pool, question->batch, DERATE_PG_TRANSACTION_NONE,
                                      cancellable, on_transaction, errand);
  else
    derate_pg_pool_query_async (question->pool, question->access, question->sql,
                                question->parameters, cancellable, on_statement, errand);
}

void
agent_database_ask (DeratePgPool *pool,
                    DeratePgAccess access,
                    DeratePolicy *policy,
                    DerateRequest *request,
                    const char *sql,
                    GVariant *parameters,
                    GAsyncReadyCallback callback,
                    gpointer data)
{
  Question *question = g_new0 (Question, 1);

  question->pool = g_object_ref (pool);
  question->access = access;
  question->sql = g_strdup (sql);
  question->parameters = g_variant_ref (parameters);
  derate_policy_call_async (policy, request, start, question, question_free, NULL, callback, data);
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
