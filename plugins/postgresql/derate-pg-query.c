/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A query that a context waits for. It is started by any thread and ends in the thread-default
 * context of that thread; in between the session is that context's, or, while the run is lent, a
 * thread's. */
#include "derate-pg-session-private.h"

#include <sys/socket.h>

typedef struct
{
  DeratePgConnection *connection;
  GError *error;
  DeratePgDoneFunc func;
  gpointer data;
} Refusal;

static gboolean
refuse (gpointer user_data)
{
  Refusal *refusal = user_data;

  refusal->func (refusal->connection, NULL, g_steal_pointer (&refusal->error), refusal->data);
  return G_SOURCE_REMOVE;
}

static void
refusal_free (gpointer data)
{
  Refusal *refusal = data;

  g_object_unref (refusal->connection);
  g_clear_error (&refusal->error);
  g_free (refusal);
}

/* Nothing was started: says so in a moment, never at once. Takes @error over. */
void
derate_pg_connection_refuse (DeratePgConnection *self,
                             GError *error,
                             DeratePgDoneFunc func,
                             gpointer data)
{
  g_autoptr (GSource) source = g_idle_source_new ();
  Refusal *refusal = g_new0 (Refusal, 1);

  refusal->connection = g_object_ref (self);
  refusal->error = error;
  refusal->func = func;
  refusal->data = data;
  g_source_set_static_name (source, "[derate] postgresql");
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, refuse, refusal, refusal_free);
  g_source_attach (source, g_main_context_get_thread_default ());
}

static void
unwatch_cancellable (DeratePgRun *run)
{
  /* Not g_cancellable_disconnect (), which waits for handlers that run: it may be one of them that
   * calls here. Ours touches the place alone, which it has a reference to. */
  if (run->cancel_handler != 0)
    g_signal_handler_disconnect (run->cancellable, run->cancel_handler);
  run->cancel_handler = 0;
  g_clear_object (&run->cancellable);
}

static void
cancelled (GCancellable *cancellable, gpointer user_data)
{
  derate_pg_place_wake (user_data);
}

static void
watch_cancellable (DeratePgConnection *self, GCancellable *cancellable)
{
  DeratePgRun *run = &self->run;

  if (cancellable == NULL)
    return;
  run->cancellable = g_object_ref (cancellable);
  run->cancel_handler =
      g_cancellable_connect (cancellable, G_CALLBACK (cancelled), derate_pg_place_ref (self->place),
                             (GDestroyNotify)derate_pg_place_unref);
}

/* Of a run that a context waits for. */
static void
end (DeratePgConnection *self, DeratePgRunState state)
{
  g_autoptr (DeratePgConnection) keep = self; /* the run's reference */
  DeratePgRun *run = &self->run;
  DeratePgDoneFunc func = g_steal_pointer (&run->func);
  gpointer data = g_steal_pointer (&run->data);
  DeratePgResult *result;
  GError *error;

  unwatch_cancellable (run);
  if (state == DERATE_PG_RUN_ENDED)
    derate_pg_place_watch (self, G_IO_IN);
  else
    derate_pg_place_leave (self);
  derate_pg_place_rest (self);
  derate_pg_run_end (self, state, &result, &error);
  func (self, result, error, data);
}

void
derate_pg_query_close (DeratePgConnection *self)
{
  g_autoptr (DeratePgCancel) cancel = derate_pg_cancel_new (self->pg);

  /* Or the server would run it to its end, with nobody to stop it. */
  derate_pg_cancel_start (cancel, NULL, NULL);
  /* A thread that waits in the kernel hears of it as of any session that was lost. */
  if (self->run.func == NULL)
    shutdown (PQsocket (self->pg), SHUT_RDWR);
  else if (derate_pg_lend_is_out (self))
    derate_pg_lend_stop (self, DERATE_PG_RUN_CLOSED);
  else
    end (self, DERATE_PG_RUN_CLOSED);
}

static void
go_on (DeratePgConnection *self, DeratePgRunState state)
{
  gboolean is_unsent = FALSE;

  if (state == DERATE_PG_RUN_GOES_ON)
    state = derate_pg_run_flush (self, &is_unsent);
  if (state != DERATE_PG_RUN_GOES_ON)
    end (self, state);
  else if (self->run.is_big || self->run.received > DERATE_PG_BIG)
    derate_pg_lend (self);
  else
    derate_pg_place_watch (self, is_unsent ? G_IO_IN | G_IO_OUT : G_IO_IN);
}

/* Whether it is to end for a reason that has nothing to do with the server. */
static DeratePgRunState
look_outside (DeratePgConnection *self)
{
  DeratePgRun *run = &self->run;
  gint64 now;

  if (run->cancellable != NULL && g_cancellable_is_cancelled (run->cancellable))
    return DERATE_PG_RUN_CANCELLED;
  if (run->deadline == DERATE_CLOCK_NEVER)
    return DERATE_PG_RUN_GOES_ON;
  now = derate_clock_get_time (self->clock);
  if (now >= run->deadline)
    return DERATE_PG_RUN_TIMED_OUT;
  derate_pg_place_set_deadline (self, run->deadline);
  return DERATE_PG_RUN_GOES_ON;
}

void
derate_pg_place_dispatched (DeratePgConnection *self, GIOCondition ready)
{
  DeratePgRunState state;

  if (self->drain != NULL)
    {
      derate_pg_drain_dispatched (self, ready);
      return;
    }
  if (derate_pg_lend_is_out (self))
    {
      state = look_outside (self);
      if (state != DERATE_PG_RUN_GOES_ON)
        derate_pg_lend_stop (self, state);
      return;
    }
  if (self->run.stop != NULL)
    derate_pg_lend_take_back (self);
  if (self->run.verdict != DERATE_PG_RUN_GOES_ON)
    state = self->run.verdict;
  else if ((ready & ~G_IO_OUT) != 0)
    state = derate_pg_run_receive (self);
  else
    state = look_outside (self);
  go_on (self, state);
}

void
derate_pg_query_launch (DeratePgConnection *self,
                        GCancellable *cancellable,
                        DeratePgDoneFunc func,
                        gpointer data)
{
  DeratePgRun *run = &self->run;
  gboolean is_unsent = FALSE;

  g_object_ref (self); /* the run's */
  run->func = func;
  run->data = data;
  derate_pg_place_hold (self);
  watch_cancellable (self, cancellable);
  derate_pg_place_set_deadline (self, run->deadline);
  run->verdict = derate_pg_run_flush (self, &is_unsent);
  derate_pg_run_keep_sql (self);
  if (run->verdict != DERATE_PG_RUN_GOES_ON)
    derate_pg_place_wake (self->place);
  else if (run->is_big)
    derate_pg_lend (self);
  else if (is_unsent)
    derate_pg_place_watch (self, G_IO_IN | G_IO_OUT);
  derate_pg_place_go (self);
}

void
derate_pg_connection_start (DeratePgConnection *self,
                            const char *sql,
                            GVariant *parameters,
                            DeratePgOperation operation,
                            GCancellable *cancellable,
                            DeratePgDoneFunc func,
                            gpointer data)
{
  g_autoptr (GVariant) tuple = parameters != NULL ? g_variant_ref_sink (parameters) : NULL;
  GError *error = NULL;

  if (g_cancellable_set_error_if_cancelled (cancellable, &error) ||
      !derate_pg_connection_may_start (self, &error))
    {
      derate_pg_connection_refuse (self, error, func, data);
      return;
    }
  derate_pg_run_begin (self, sql, g_steal_pointer (&tuple), operation);
  derate_pg_query_launch (self, cancellable, func, data);
}

static void
return_to_task (DeratePgConnection *self, DeratePgResult *result, GError *error, gpointer data)
{
  g_autoptr (GTask) task = data;

  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_pointer (task, result, (GDestroyNotify)derate_pg_result_unref);
}

/**
 * derate_pg_connection_query_async:
 * @connection: a session
 * @sql: one statement, with `$1`, `$2` … for the parameters; an empty one asks for a sign of life
 * @parameters: (nullable): a tuple of the values of the parameters
 * @cancellable: (nullable): ends it at once
 * @callback: (scope async): called once, in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * Runs one statement. Only one runs at a time.
 *
 * Each of @parameters is of type `b`, `y`, `n`, `q`, `i`, `u`, `x`, `t`, `d`, `s` or `ay`; of `m`
 * and one of those, where nothing is NULL; or of `v`, which holds one of them. Numbers have a type
 * on the server too, the smallest that holds them all: `y` and `n` are int2, `q` and `i` int4, `u`,
 * `x` and `t` int8, `d` float8; `b` is bool, `ay` bytea. What `s` is, the server takes from its
 * place in the statement: a date, a number, an UUID, JSON. Anything else is
 * %DERATE_PG_ERROR_PARAMETER. If
 * @parameters is floating, it is consumed.
 *
 * When it is cancelled, or its query timeout has passed, the caller hears at once. The server may
 * still be busy with it, so a session of one's own is closed then; that of a pool goes back to it
 * for the pool to cancel the query, and is of no more use to the caller.
 *
 * Since: 1.0
 */
void
derate_pg_connection_query_async (DeratePgConnection *connection,
                                  const char *sql,
                                  GVariant *parameters,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DERATE_IS_PG_CONNECTION (connection));
  g_return_if_fail (sql != NULL);

  task = g_task_new (connection, cancellable, callback, user_data);
  g_task_set_source_tag (task, derate_pg_connection_query_async);
  /* Whether it was cancelled in time is decided once, by the run. */
  g_task_set_check_cancellable (task, FALSE);
  derate_pg_connection_start (connection, sql, parameters, connection->operation, cancellable,
                              return_to_task, task);
}

/**
 * derate_pg_connection_query_finish:
 * @connection: a session
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends derate_pg_connection_query_async(). After %DERATE_PG_ERROR_CLOSED,
 * %DERATE_PG_ERROR_TIMED_OUT and %G_IO_ERROR_CANCELLED the session is of no more use.
 *
 * Returns: (transfer full): what the statement gave
 *
 * Since: 1.0
 */
DeratePgResult *
derate_pg_connection_query_finish (DeratePgConnection *connection,
                                   GAsyncResult *result,
                                   GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, connection), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}
