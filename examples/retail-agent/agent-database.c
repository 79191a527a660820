/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-database.h"

/* So that the agent leaves room on a small server. */
#define MAX_SESSIONS 8

/* No answer takes a tenth of it; see the runbook on pools near exhaustion. */
#define LEAK_THRESHOLD (5 * G_TIME_SPAN_SECOND)

typedef struct
{
  DeratePgPool *pool;
  char *sql;
  GVariant *parameters;
} Question;

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
  g_variant_unref (question->parameters);
  g_free (question);
}

static void
ask (DeratePgPool *pool,
     DeratePolicy *policy,
     DerateRequest *request,
     DerateCallStartFunc start,
     const char *sql,
     GVariant *parameters,
     GAsyncReadyCallback callback,
     gpointer data)
{
  Question *question = g_new0 (Question, 1);

  question->pool = g_object_ref (pool);
  question->sql = g_strdup (sql);
  question->parameters = g_variant_ref (parameters);
  derate_policy_call_async (policy, request, start, question, question_free, NULL, callback, data);
}

static void
on_read (GObject *source, GAsyncResult *async, gpointer data)
{
  g_autoptr (DerateCall) call = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgResult) result =
      derate_pg_pool_query_finish (DERATE_PG_POOL (source), async, &error);
  g_autoptr (GVariant) rows = NULL;

  if (result == NULL)
    {
      derate_call_fail (call, error);
      return;
    }
  rows = derate_pg_result_to_variant (result);
  derate_call_succeed (call, g_variant_new_maybe (G_VARIANT_TYPE ("aa{sv}"),
                                                  g_variant_n_children (rows) > 0 ? rows : NULL));
}

static void
start_read (DerateCall *call, GCancellable *cancellable, gpointer data)
{
  Question *question = data;

  derate_pg_pool_query_async (question->pool, DERATE_PG_ACCESS_READ, question->sql,
                              question->parameters, cancellable, on_read, call);
}

void
agent_database_read (DeratePgPool *pool,
                     DeratePolicy *policy,
                     DerateRequest *request,
                     const char *sql,
                     GVariant *parameters,
                     GAsyncReadyCallback callback,
                     gpointer data)
{
  ask (pool, policy, request, start_read, sql, parameters, callback, data);
}

static void
on_written (GObject *source, GAsyncResult *async, gpointer data)
{
  g_autoptr (DerateCall) call = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgResult) result =
      derate_pg_pool_query_finish (DERATE_PG_POOL (source), async, &error);

  if (result == NULL)
    derate_call_fail (call, error);
  else
    derate_call_succeed (call, g_variant_new_uint64 (derate_pg_result_get_affected (result)));
}

static void
start_write (DerateCall *call, GCancellable *cancellable, gpointer data)
{
  Question *question = data;

  derate_pg_pool_query_async (question->pool, DERATE_PG_ACCESS_WRITE, question->sql,
                              question->parameters, cancellable, on_written, call);
}

void
agent_database_write (DeratePgPool *pool,
                      DeratePolicy *policy,
                      DerateRequest *request,
                      const char *sql,
                      GVariant *parameters,
                      GAsyncReadyCallback callback,
                      gpointer data)
{
  ask (pool, policy, request, start_write, sql, parameters, callback, data);
}
