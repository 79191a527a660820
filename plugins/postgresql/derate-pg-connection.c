/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session: what it is and what is known of it. One thread at a time: whoever calls must own the
 * object then. libpq never waits: the socket is non-blocking. */
#include "derate-pg-session-private.h"

#include "derate-pg-error-private.h"

#define MAX_IDLE_READS 16

/**
 * DeratePgConnection:
 *
 * A session with a PostgreSQL server that never blocks its caller's main loop. It runs one query at
 * a time and may be used by one thread at a time.
 *
 * Since: 1.0
 */
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
derate_pg_connection_new (PGconn *pg, char *host, char *passed_over)
{
  DeratePgConnection *self = g_object_new (DERATE_TYPE_PG_CONNECTION, NULL);

  self->pg = pg;
  self->pid = PQbackendPID (pg);
  self->host = host;
  self->passed_over = passed_over;
  self->was_read_only = derate_pg_connection_is_read_only (self);
  PQsetNoticeReceiver (pg, take_notice, self);
  PQsetErrorVerbosity (pg, PQERRORS_DEFAULT);
  if (PQsetnonblocking (pg, 1) != 0)
    g_clear_pointer (&self->pg, PQfinish);
  return self;
}

gboolean
derate_pg_connection_may_start (DeratePgConnection *self, GError **error)
{
  if (self->is_running || self->is_abandoned)
    g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_BUSY,
                 "the session is in the middle of another query");
  else if (self->pg == NULL)
    g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED, "the session has ended");
  else
    return TRUE;
  return FALSE;
}

void
derate_pg_connection_finish (DeratePgConnection *self)
{
  derate_pg_place_leave (self);
  self->is_abandoned = FALSE;
  if (self->pg != NULL)
    derate_pg_free_session (g_steal_pointer (&self->pg), self->run.received > DERATE_PG_BIG);
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

  if (connection->pg == NULL || connection->is_running || connection->is_abandoned)
    return FALSE;
  for (guint i = 0; i < MAX_IDLE_READS; i++)
    {
      GPollFD fd = { PQsocket (connection->pg), G_IO_IN, 0 };

      if (g_poll (&fd, 1, 0) == 0)
        break;
      /* The first read after a kill brings the notice, the second the end of the stream. */
      if (PQconsumeInput (connection->pg) == 0)
        {
          derate_pg_connection_finish (connection);
          return FALSE;
        }
      derate_pg_connection_take_notifications (connection);
    }
  if (connection->fatal != NULL || PQstatus (connection->pg) == CONNECTION_BAD)
    derate_pg_connection_finish (connection);
  else
    derate_pg_connection_look_at_role (connection);
  return connection->pg != NULL;
}

void
derate_pg_connection_set_notify_func (DeratePgConnection *self,
                                      DeratePgNotifyFunc func,
                                      gpointer data)
{
  self->notify = func;
  self->notify_data = data;
}

/* Where nobody listens they are dropped. */
void
derate_pg_connection_take_notifications (DeratePgConnection *self)
{
  PGnotify *notification;

  while ((notification = PQnotifies (self->pg)) != NULL)
    {
      if (self->notify != NULL)
        self->notify (notification->relname, notification->extra, notification->be_pid,
                      self->notify_data);
      PQfreemem (notification);
    }
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
 * derate_pg_connection_get_pid:
 * @connection: a session
 *
 * The number of the server's process for this session, as `pg_stat_activity` has it. It is kept
 * after the end.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
derate_pg_connection_get_pid (DeratePgConnection *connection)
{
  g_return_val_if_fail (DERATE_IS_PG_CONNECTION (connection), 0);

  return (guint)connection->pid;
}

const char *
derate_pg_connection_get_host (DeratePgConnection *connection)
{
  return connection->host;
}

/**
 * derate_pg_connection_get_passed_over:
 * @connection: a session
 *
 * What became of the hosts of its URI that were tried before this one: `HOST:PORT: REASON`, divided
 * by semicolons. For the thread that has the session.
 *
 * Returns: (transfer none) (nullable): the text, %NULL where it was the first
 *
 * Since: 1.0
 */
const char *
derate_pg_connection_get_passed_over (DeratePgConnection *connection)
{
  g_return_val_if_fail (DERATE_IS_PG_CONNECTION (connection), NULL);

  return connection->passed_over;
}

/**
 * derate_pg_connection_set_query_timeout:
 * @connection: a session
 * @timeout: the longest that a query may take, in microseconds; 0 for no limit
 *
 * Limits the queries that are started from now on: one that takes longer ends with
 * %DERATE_PG_ERROR_TIMED_OUT, as when it is cancelled. A session of one's own has no limit unless
 * this sets one; that of a pool has the pool's, also after it was lent to somebody who set another.
 *
 * Since: 1.0
 */
void
derate_pg_connection_set_query_timeout (DeratePgConnection *connection, GTimeSpan timeout)
{
  g_return_if_fail (DERATE_IS_PG_CONNECTION (connection));
  g_return_if_fail (timeout >= 0);

  connection->query_timeout = timeout;
}

/**
 * derate_pg_connection_close:
 * @connection: a session
 *
 * Ends the session. A query that runs ends with %DERATE_PG_ERROR_CLOSED, and the server is asked,
 * once and in the background, to cancel it.
 *
 * Since: 1.0
 */
void
derate_pg_connection_close (DeratePgConnection *connection)
{
  g_return_if_fail (DERATE_IS_PG_CONNECTION (connection));

  if (connection->drain != NULL)
    derate_pg_drain_stop (connection);
  else if (connection->is_running)
    derate_pg_query_close (connection);
  else
    derate_pg_connection_finish (connection);
}

static void
derate_pg_connection_finalize (GObject *object)
{
  DeratePgConnection *self = DERATE_PG_CONNECTION (object);

  derate_pg_connection_finish (self);
  derate_pg_run_forget (self);
  if (self->run.sent != self->run.few)
    g_free (self->run.sent);
  g_clear_pointer (&self->statements, derate_pg_statements_free);
  g_clear_pointer (&self->meter, derate_pg_meter_unref);
  g_clear_object (&self->clock);
  g_free (self->fatal);
  g_free (self->host);
  g_free (self->passed_over);

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
  self->clock = g_object_ref (derate_clock_get_system ());
  self->operation = DERATE_PG_OPERATION_OTHER;
}
