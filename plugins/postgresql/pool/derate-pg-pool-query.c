/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One statement in whichever session is free. Threads: the task's context, but for the end of the
 * waiting, which may come in any thread and goes over into that context. */
#include "derate-pg-caller-private.h"

#include "derate-pg-connection-private.h"
#include "derate-pg-error.h"

typedef struct
{
  DeratePgAccess access;
  char *sql;
  GVariant *parameters; /* (nullable) */
  DeratePgLease lease;
} Query;

static void
query_free (gpointer data)
{
  Query *query = data;

  derate_pg_lease_clear (&query->lease);
  g_clear_pointer (&query->parameters, g_variant_unref);
  g_free (query->sql);
  g_free (query);
}

/* The session goes back first: who is told of the end may want it. */
static void
query_done (DeratePgConnection *connection, DeratePgResult *result, GError *error, gpointer data)
{
  g_autoptr (GTask) task = data;
  Query *query = g_task_get_task_data (task);

  derate_pg_lease_clear (&query->lease);
  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_pointer (task, result, (GDestroyNotify)derate_pg_result_unref);
}

static void
start (GTask *task)
{
  Query *query = g_task_get_task_data (task);

  derate_pg_connection_start (derate_pg_lease_get_connection (&query->lease), query->sql,
                              query->parameters, derate_pg_access_to_operation (query->access),
                              g_task_get_cancellable (task), query_done, g_object_ref (task));
}

static gboolean
start_in_context (gpointer user_data)
{
  GTask *task = user_data;
  GMainContext *context = g_task_get_context (task);

  g_main_context_push_thread_default (context);
  start (task);
  g_main_context_pop_thread_default (context);
  return G_SOURCE_REMOVE;
}

static void
served (GTask *task, DeratePgSlot *slot, GError *error)
{
  g_autoptr (GTask) owned = task;
  g_autoptr (GSource) source = NULL;
  Query *query = g_task_get_task_data (task);

  if (slot == NULL)
    {
      g_task_return_error (task, error);
      return;
    }
  derate_pg_slot_fill_lease (slot, &query->lease);
  source = g_idle_source_new ();
  g_source_set_static_name (source, "[derate] a statement has its session");
  g_task_attach_source (task, source, start_in_context);
}

/**
 * derate_pg_pool_query_async:
 * @pool: a pool
 * @access: whether @sql changes something
 * @sql: one statement, with `$1`, `$2` … for the parameters
 * @parameters: (nullable): a tuple of the values of the parameters, as
 *   derate_pg_connection_query_async() has them; consumed if it is floating
 * @cancellable: (nullable): ends it at once
 * @callback: (scope async): called once, in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * Runs one statement in a session of the pool, which has the session back before @callback is
 * called. When it is cancelled, or takes longer than the pool's `query-timeout`, the caller hears
 * at once, and the pool sees to it that the server stops. May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_pg_pool_query_async (DeratePgPool *pool,
                            DeratePgAccess access,
                            const char *sql,
                            GVariant *parameters,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  g_autoptr (GVariant) tuple = parameters != NULL ? g_variant_ref_sink (parameters) : NULL;
  g_autoptr (GTask) task = NULL;
  Query *query;

  g_return_if_fail (DERATE_IS_PG_POOL (pool));
  g_return_if_fail (sql != NULL);

  task = g_task_new (pool, cancellable, callback, user_data);
  g_task_set_source_tag (task, derate_pg_pool_query_async);
  /* Whether it was cancelled in time is decided once, by the queue or the session. */
  g_task_set_check_cancellable (task, FALSE);
  if (g_task_return_error_if_cancelled (task))
    return;
  query = g_new0 (Query, 1);
  query->access = access;
  query->sql = g_strdup (sql);
  query->parameters = g_steal_pointer (&tuple);
  g_task_set_task_data (task, query, query_free);
  if (derate_pg_pool_try_acquire (pool, access, sql, &query->lease))
    start (task);
  else
    derate_pg_pool_wait (pool, access, query->sql, g_steal_pointer (&task), served);
}

/**
 * derate_pg_pool_query_finish:
 * @pool: a pool
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends derate_pg_pool_query_async(). Errors are those of derate_pg_pool_acquire() and of
 * derate_pg_connection_query_finish().
 *
 * Returns: (transfer full): what the statement gave
 *
 * Since: 1.0
 */
DeratePgResult *
derate_pg_pool_query_finish (DeratePgPool *pool, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, pool), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * derate_pg_pool_query:
 * @pool: a pool
 * @access: whether @sql changes something
 * @sql: one statement, with `$1`, `$2` … for the parameters
 * @parameters: (nullable): a tuple of the values of the parameters
 * @cancellable: (nullable): ends it at once, from another thread
 * @error: where to put the error
 *
 * Does what derate_pg_pool_query_async() does, and waits for it. For threads that have no loop to
 * serve.
 *
 * Returns: (transfer full): what the statement gave
 *
 * Since: 1.0
 */
DeratePgResult *
derate_pg_pool_query (DeratePgPool *pool,
                      DeratePgAccess access,
                      const char *sql,
                      GVariant *parameters,
                      GCancellable *cancellable,
                      GError **error)
{
  g_autoptr (GVariant) tuple = parameters != NULL ? g_variant_ref_sink (parameters) : NULL;
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;

  g_return_val_if_fail (sql != NULL, NULL);

  if (!derate_pg_pool_acquire (pool, access, sql, &lease, cancellable, error))
    return NULL;
  return derate_pg_connection_query (derate_pg_lease_get_connection (&lease), sql, tuple,
                                     cancellable, error);
}
