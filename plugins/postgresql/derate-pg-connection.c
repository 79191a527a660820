/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session and its queries. One thread at a time: whoever calls must own the object then, and a
 * query ends in the context it was started in. libpq never waits: the socket is non-blocking, and
 * every read and write follows a wake-up of the context. */
#include "derate-pg-connection-private.h"

#include "derate-pg-error-private.h"
#include "derate-pg-result-private.h"

#define MAX_IDLE_READS 16

typedef struct
{
  PGresult *result; /* the last good one */
  GError *error; /* the first: a killed session ends with a second one that says nothing */
  GIOCondition watched;
  GSource *io;
  GSource *cancel;
} Query;

/**
 * DeratePgConnection:
 *
 * A session with a PostgreSQL server that never blocks its caller's main loop. It runs one query at
 * a time and may be used by one thread at a time.
 *
 * Since: 1.0
 */
struct _DeratePgConnection
{
  GObject parent_instance;

  PGconn *pg; /* NULL once closed */
  char *fatal; /* what the server said when it ended the session */
  GTask *query; /* the one that runs; its data is a Query */
};

G_DEFINE_FINAL_TYPE (DeratePgConnection, derate_pg_connection, G_TYPE_OBJECT)

void
derate_pg_connection_drop_source (GSource **source)
{
  if (*source != NULL)
    g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

GSource *
derate_pg_connection_watch (PGconn *pg,
                            GIOCondition condition,
                            GUnixFDSourceFunc func,
                            gpointer data)
{
  GSource *source = g_unix_fd_source_new (PQsocket (pg), condition | G_IO_HUP | G_IO_ERR);

  g_source_set_static_name (source, "[derate] postgresql");
  g_source_set_callback (source, G_SOURCE_FUNC (func), data, NULL);
  g_source_attach (source, g_main_context_get_thread_default ());
  return source;
}

GSource *
derate_pg_connection_watch_cancellable (GCancellable *cancellable,
                                        GCancellableSourceFunc func,
                                        gpointer data)
{
  GSource *source;

  if (cancellable == NULL)
    return NULL;
  source = g_cancellable_source_new (cancellable);
  g_source_set_callback (source, G_SOURCE_FUNC (func), data, NULL);
  g_source_attach (source, g_main_context_get_thread_default ());
  return source;
}

static void
ignore_notice (void *arg, const PGresult *result)
{
}

/* An idle session that is killed hears of it only here; the SQLSTATE is gone by the next call. */
static void
take_notice (void *arg, const PGresult *result)
{
  DeratePgConnection *self = arg;
  const char *severity = PQresultErrorField (result, PG_DIAG_SEVERITY_NONLOCALIZED);

  if (g_strcmp0 (severity, "FATAL") != 0 && g_strcmp0 (severity, "PANIC") != 0)
    return;
  g_free (self->fatal);
  self->fatal = g_strdup (PQresultErrorField (result, PG_DIAG_MESSAGE_PRIMARY));
}

void
derate_pg_connection_mute (PGconn *pg)
{
  PQsetNoticeReceiver (pg, ignore_notice, NULL);
}

DeratePgConnection *
derate_pg_connection_new (PGconn *pg)
{
  DeratePgConnection *self = g_object_new (DERATE_TYPE_PG_CONNECTION, NULL);

  self->pg = pg;
  PQsetNoticeReceiver (pg, take_notice, self);
  PQsetErrorVerbosity (pg, PQERRORS_DEFAULT);
  if (PQsetnonblocking (pg, 1) != 0)
    g_clear_pointer (&self->pg, PQfinish);
  return self;
}

static void
query_free (gpointer data)
{
  Query *query = data;

  derate_pg_connection_drop_source (&query->io);
  derate_pg_connection_drop_source (&query->cancel);
  g_clear_pointer (&query->result, PQclear);
  g_clear_error (&query->error);
  g_free (query);
}

/* Takes @error over; NULL ends the query with what it gathered. */
static void
end_query (DeratePgConnection *self, GError *error)
{
  g_autoptr (GTask) task = g_steal_pointer (&self->query);
  Query *query = g_task_get_task_data (task);

  derate_pg_connection_drop_source (&query->io);
  derate_pg_connection_drop_source (&query->cancel);
  if (error == NULL)
    error = g_steal_pointer (&query->error);
  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_pointer (task, derate_pg_result_new (g_steal_pointer (&query->result)),
                           (GDestroyNotify)derate_pg_result_unref);
}

/* Ends the session in the middle of a query; what the server said before counts first. */
static void
break_query (DeratePgConnection *self, GError *error)
{
  Query *query = g_task_get_task_data (self->query);

  if (query->error != NULL)
    g_clear_error (&error);
  g_clear_pointer (&self->pg, PQfinish);
  end_query (self, error);
}

static gboolean
query_cancelled (GCancellable *cancellable, gpointer user_data)
{
  DeratePgConnection *self = user_data;
  Query *query = g_task_get_task_data (self->query);
  GError *error = NULL;

  if (!g_cancellable_set_error_if_cancelled (cancellable, &error))
    return G_SOURCE_CONTINUE;
  g_clear_error (&query->error);
  break_query (self, error);
  return G_SOURCE_REMOVE;
}

static void
collect (Query *query, PGresult *result)
{
  switch (PQresultStatus (result))
    {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
      g_clear_pointer (&query->result, PQclear);
      query->result = result;
      return;

    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
      if (query->error == NULL)
        g_set_error (&query->error, DERATE_PG_ERROR, DERATE_PG_ERROR_FAILED,
                     "COPY is not supported; the session was closed");
      break;

    default:
      if (query->error == NULL)
        query->error = derate_pg_error_from_result (result);
    }
  PQclear (result);
}

static gboolean
is_copy (const PGresult *result)
{
  ExecStatusType status = PQresultStatus (result);

  return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

static void
drain_notifications (PGconn *pg)
{
  PGnotify *notification;

  while ((notification = PQnotifies (pg)) != NULL)
    PQfreemem (notification);
}

/* Takes what has arrived; TRUE once the query has ended, in whichever way. */
static gboolean
take_results (DeratePgConnection *self)
{
  Query *query = g_task_get_task_data (self->query);

  while (!PQisBusy (self->pg))
    {
      PGresult *result = PQgetResult (self->pg);
      gboolean copies;

      if (result == NULL)
        {
          drain_notifications (self->pg);
          if (PQstatus (self->pg) == CONNECTION_BAD)
            break_query (self, derate_pg_error_from_broken (self->pg, self->fatal));
          else
            end_query (self, NULL);
          return TRUE;
        }
      copies = is_copy (result);
      collect (query, result);
      if (copies)
        {
          break_query (self, NULL);
          return TRUE;
        }
    }
  return FALSE;
}

static gboolean query_ready (gint fd, GIOCondition condition, gpointer user_data);

/* Writes what can be written and says what to wait for next. */
static void
flush_and_watch (DeratePgConnection *self)
{
  Query *query = g_task_get_task_data (self->query);
  int unsent = PQflush (self->pg);
  GIOCondition wanted = unsent == 1 ? G_IO_IN | G_IO_OUT : G_IO_IN;

  if (unsent < 0)
    {
      break_query (self, derate_pg_error_from_broken (self->pg, self->fatal));
      return;
    }
  if (query->io != NULL && query->watched == wanted)
    return;
  derate_pg_connection_drop_source (&query->io);
  query->watched = wanted;
  query->io = derate_pg_connection_watch (self->pg, wanted, query_ready, self);
}

static gboolean
query_ready (gint fd, GIOCondition condition, gpointer user_data)
{
  DeratePgConnection *self = user_data;

  if ((condition & ~G_IO_OUT) != 0 && PQconsumeInput (self->pg) == 0)
    {
      /* A last word may have come before the end of the stream. */
      if (!take_results (self))
        break_query (self, derate_pg_error_from_broken (self->pg, self->fatal));
      return G_SOURCE_REMOVE;
    }
  if (!take_results (self))
    flush_and_watch (self);
  return G_SOURCE_CONTINUE; /* a source that was replaced is destroyed already */
}

static gboolean
may_start (DeratePgConnection *self, GTask *task)
{
  if (self->query != NULL)
    g_task_return_new_error (task, DERATE_PG_ERROR, DERATE_PG_ERROR_BUSY,
                             "the session is in the middle of another query");
  else if (self->pg == NULL)
    g_task_return_new_error (task, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED,
                             "the session has ended");
  else
    return TRUE;
  return FALSE;
}

/**
 * derate_pg_connection_query_async:
 * @connection: a session
 * @sql: one statement, with `$1`, `$2` … for the parameters; an empty one asks for a sign of life
 * @parameters: (nullable) (array zero-terminated=1): the values of the parameters as texts
 * @cancellable: (nullable): ends it at once, and the session with it: the server may still be busy
 * @callback: (scope async): called once, in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * Runs one statement. Only one runs at a time.
 *
 * Since: 1.0
 */
void
derate_pg_connection_query_async (DeratePgConnection *connection,
                                  const char *sql,
                                  const char *const *parameters,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  int n = parameters != NULL ? (int)g_strv_length ((char **)parameters) : 0;
  Query *query;

  g_return_if_fail (DERATE_IS_PG_CONNECTION (connection));
  g_return_if_fail (sql != NULL);

  task = g_task_new (connection, cancellable, callback, user_data);
  g_task_set_source_tag (task, derate_pg_connection_query_async);
  if (g_task_return_error_if_cancelled (task) || !may_start (connection, task))
    return;
  query = g_new0 (Query, 1);
  g_task_set_task_data (task, query, query_free);
  connection->query = g_steal_pointer (&task);
  if (PQsendQueryParams (connection->pg, sql, n, NULL, parameters, NULL, NULL, 0) == 0)
    {
      break_query (connection, derate_pg_error_from_broken (connection->pg, connection->fatal));
      return;
    }
  query->cancel = derate_pg_connection_watch_cancellable (cancellable, query_cancelled, connection);
  flush_and_watch (connection);
}

/**
 * derate_pg_connection_query_finish:
 * @connection: a session
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends derate_pg_connection_query_async(). After %DERATE_PG_ERROR_CLOSED and %G_IO_ERROR_CANCELLED
 * the session is of no more use.
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

/**
 * derate_pg_connection_is_usable:
 * @connection: a session
 *
 * Whether a query may be started: the session is open, idle, and the server has not ended it. Looks
 * at what has arrived, without a round trip.
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
derate_pg_connection_is_usable (DeratePgConnection *connection)
{
  g_return_val_if_fail (DERATE_IS_PG_CONNECTION (connection), FALSE);

  if (connection->pg == NULL || connection->query != NULL)
    return FALSE;
  for (guint i = 0; i < MAX_IDLE_READS; i++)
    {
      GPollFD fd = { PQsocket (connection->pg), G_IO_IN, 0 };

      if (g_poll (&fd, 1, 0) == 0)
        break;
      /* The first read after a kill brings the notice, the second the end of the stream. */
      if (PQconsumeInput (connection->pg) == 0)
        {
          g_clear_pointer (&connection->pg, PQfinish);
          return FALSE;
        }
      drain_notifications (connection->pg);
    }
  if (connection->fatal != NULL || PQstatus (connection->pg) == CONNECTION_BAD)
    g_clear_pointer (&connection->pg, PQfinish);
  return connection->pg != NULL;
}

static gboolean
parameter_is_on (DeratePgConnection *self, const char *name)
{
  return self->pg != NULL && g_strcmp0 (PQparameterStatus (self->pg, name), "on") == 0;
}

/**
 * derate_pg_connection_is_standby:
 * @connection: a session
 *
 * Whether the server is a standby, as of the last answer. Servers older than 14 do not say.
 *
 * Returns: %TRUE if it is
 *
 * Since: 1.0
 */
gboolean
derate_pg_connection_is_standby (DeratePgConnection *connection)
{
  g_return_val_if_fail (DERATE_IS_PG_CONNECTION (connection), FALSE);

  return parameter_is_on (connection, "in_hot_standby");
}

/**
 * derate_pg_connection_is_read_only:
 * @connection: a session
 *
 * Whether writes would be refused, as of the last answer: the server is a standby, or
 * `default_transaction_read_only` is on. Servers older than 14 do not say.
 *
 * Returns: %TRUE if they would
 *
 * Since: 1.0
 */
gboolean
derate_pg_connection_is_read_only (DeratePgConnection *connection)
{
  g_return_val_if_fail (DERATE_IS_PG_CONNECTION (connection), FALSE);

  return parameter_is_on (connection, "in_hot_standby") ||
         parameter_is_on (connection, "default_transaction_read_only");
}

/**
 * derate_pg_connection_is_in_transaction:
 * @connection: a session
 *
 * Whether a transaction is open, be it a failed one.
 *
 * Returns: %TRUE if one is
 *
 * Since: 1.0
 */
gboolean
derate_pg_connection_is_in_transaction (DeratePgConnection *connection)
{
  g_return_val_if_fail (DERATE_IS_PG_CONNECTION (connection), FALSE);

  return connection->pg != NULL && PQtransactionStatus (connection->pg) != PQTRANS_IDLE;
}

/**
 * derate_pg_connection_close:
 * @connection: a session
 *
 * Ends the session. A query that runs ends with %DERATE_PG_ERROR_CLOSED.
 *
 * Since: 1.0
 */
void
derate_pg_connection_close (DeratePgConnection *connection)
{
  g_return_if_fail (DERATE_IS_PG_CONNECTION (connection));

  if (connection->query != NULL)
    break_query (connection,
                 g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED, "the session was closed"));
  g_clear_pointer (&connection->pg, PQfinish);
}

static void
derate_pg_connection_finalize (GObject *object)
{
  DeratePgConnection *self = DERATE_PG_CONNECTION (object);

  g_clear_pointer (&self->pg, PQfinish);
  g_free (self->fatal);

  G_OBJECT_CLASS (derate_pg_connection_parent_class)->finalize (object);
}

static void
derate_pg_connection_class_init (DeratePgConnectionClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_pg_connection_finalize;
}

static void
derate_pg_connection_init (DeratePgConnection *self)
{
}
