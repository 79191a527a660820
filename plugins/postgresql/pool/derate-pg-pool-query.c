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
  DeratePermit permit;
  gboolean is_second; /* the first session died before it had an answer */
} Query;

static void acquire (GTask *task);

static void
query_free (gpointer data)
{
  Query *query = data;

  derate_pg_lease_clear (&query->lease);
  derate_permit_clear (&query->permit);
  g_clear_pointer (&query->parameters, g_variant_unref);
  g_free (query->sql);
  g_free (query);
}

gboolean
derate_pg_pool_permit (DeratePgPool *pool, DeratePermit *permit, GError **error)
{
  return pool->breaker == NULL || derate_breaker_acquire (pool->breaker, permit, error);
}

void
derate_pg_pool_conclude (DeratePgPool *pool, DeratePermit *permit, const GError *error)
{
  if (pool->breaker == NULL)
    return;
  if (error == NULL || g_error_matches (error, DERATE_PG_ERROR, DERATE_PG_ERROR_QUERY))
    derate_permit_succeed (permit);
  else if (derate_pg_error_is_failure (error))
    derate_permit_fail (permit, error);
  else
    derate_permit_cancel (permit);
}

/* Where one session has died, the others may have, and nobody has heard of it yet: those that are
 * idle are asked for a sign of life before they are lent. */
static void
suspect_idle (DeratePgPool *pool)
{
  guint n = __atomic_load_n (&pool->n_slots, __ATOMIC_ACQUIRE);

  for (guint i = 0; i < n; i++)
    {
      guint64 word = derate_pg_slot_read (&pool->slots[i]);

      if (derate_pg_slot_state (word) == DERATE_PG_SLOT_IDLE)
        derate_pg_slot_swap (&pool->slots[i], word, word | SLOT_STALE);
    }
}

/* A statement that changes nothing may be asked once more. */
static gboolean
may_ask_again (DeratePgAccess access, const GError *error)
{
  return access == DERATE_PG_ACCESS_READ &&
         g_error_matches (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
}

static void
ask_again (GTask *task)
{
  g_autoptr (GMainContext) context = g_main_context_ref (g_task_get_context (task));
  DeratePgPool *pool = g_task_get_source_object (task);
  Query *query = g_task_get_task_data (task);

  query->is_second = TRUE;
  suspect_idle (pool);
  g_main_context_push_thread_default (context);
  acquire (task);
  g_main_context_pop_thread_default (context);
}

/* The session goes back first: who is told of the end may want it. */
static void
query_done (DeratePgConnection *connection, DeratePgResult *result, GError *error, gpointer data)
{
  g_autoptr (GTask) task = data;
  Query *query = g_task_get_task_data (task);

  derate_pg_lease_clear (&query->lease);
  if (!query->is_second && may_ask_again (query->access, error))
    {
      g_error_free (error);
      ask_again (g_steal_pointer (&task));
      return;
    }
  derate_pg_pool_conclude (g_task_get_source_object (task), &query->permit, error);
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
is_thread_default (GMainContext *context)
{
  GMainContext *here = g_main_context_get_thread_default ();

  return context == (here != NULL ? here : g_main_context_default ());
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
      derate_pg_pool_conclude (g_task_get_source_object (task), &query->permit, error);
      g_task_return_error (task, error);
      return;
    }
  derate_pg_slot_fill_lease (slot, &query->lease);
  /* Where that is possible at once: another turn of the loop costs more than the statement. */
  if (is_thread_default (g_task_get_context (task)))
    {
      start (task);
      return;
    }
  source = g_idle_source_new ();
  g_source_set_static_name (source, "[derate] a statement has its session");
  g_task_attach_source (task, source, start_in_context);
}

/* Takes @task over. */
static void
acquire (GTask *task)
{
  DeratePgPool *pool = g_task_get_source_object (task);
  Query *query = g_task_get_task_data (task);

  if (derate_pg_pool_try_acquire (pool, query->access, query->sql, &query->lease))
    {
      start (task);
      g_object_unref (task);
    }
  else
    derate_pg_pool_wait (pool, query->access, query->sql, task, served);
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
 * at once, and the pool sees to it that the server stops. A read whose session died before it had
 * an answer is asked once more in another one. With a [property@PgPool:breaker] the statement needs
 * its permit, and it hears how it went. May be called from any thread.
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
  GError *error = NULL;
  Query *query;

  g_return_if_fail (DERATE_IS_PG_POOL (pool));
  g_return_if_fail (sql != NULL);

  task = g_task_new (pool, cancellable, callback, user_data);
  g_task_set_source_tag (task, derate_pg_pool_query_async);
  /* Whether it was cancelled in time is decided once, by the queue or the session. */
  g_task_set_check_cancellable (task, FALSE);
  if (g_task_return_error_if_cancelled (task))
    return;
  query = g_new (Query, 1); /* not g_new0 (): what malloc has at hand calloc does not give */
  *query =
      (Query){ .access = access, .sql = g_strdup (sql), .parameters = g_steal_pointer (&tuple) };
  g_task_set_task_data (task, query, query_free);
  if (derate_pg_pool_permit (pool, &query->permit, &error))
    acquire (g_steal_pointer (&task));
  else
    g_task_return_error (task, error);
}

/**
 * derate_pg_pool_query_finish:
 * @pool: a pool
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends derate_pg_pool_query_async(). Errors are those of derate_pg_pool_acquire(), of
 * derate_pg_connection_query_finish(), and those with which a circuit breaker refuses.
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

static DeratePgResult *
query_once (DeratePgPool *pool,
            DeratePgAccess access,
            const char *sql,
            GVariant *parameters,
            GCancellable *cancellable,
            GError **error)
{
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;

  if (!derate_pg_pool_acquire (pool, access, sql, &lease, cancellable, error))
    return NULL;
  return derate_pg_connection_query (derate_pg_lease_get_connection (&lease), sql, parameters,
                                     cancellable, error);
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
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
  g_autoptr (GError) failure = NULL;
  DeratePgResult *result;

  g_return_val_if_fail (sql != NULL, NULL);

  if (!derate_pg_pool_permit (pool, &permit, error))
    return NULL;
  result = query_once (pool, access, sql, tuple, cancellable, &failure);
  if (result == NULL && may_ask_again (access, failure))
    {
      g_clear_error (&failure);
      suspect_idle (pool);
      result = query_once (pool, access, sql, tuple, cancellable, &failure);
    }
  derate_pg_pool_conclude (pool, &permit, failure);
  if (failure != NULL)
    g_propagate_error (error, g_steal_pointer (&failure));
  return result;
}
