/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection on which commands may follow each other without waiting: answers come in the order
 * of the commands. GIO carries the bytes, hiredis reads and writes the protocol. One thread at a
 * time; while an answer is awaited all callers share that thread's context. Reading goes on only
 * while an answer is awaited, so an idle connection belongs to no context. */
#include "derate-redis-connection-private.h"

#include "derate-redis-error-private.h"
#include "derate-redis-reply-private.h"

#include <string.h>

#define MAX_REPLY (64 * 1024 * 1024)

/**
 * DerateRedisConnection:
 *
 * A connection to a Redis server that never blocks its caller's main loop. Commands are pipelined.
 * It may be used by one thread at a time.
 *
 * Since: 1.0
 */
struct _DerateRedisConnection
{
  GObject parent_instance;

  GSocketConnection *stream;
  GCancellable *io; /* of everything that goes over the stream */
  gboolean closed;
  gboolean reading;
  GByteArray *queued; /* not given to the stream yet */
  GByteArray *sending; /* NULL: nothing is being written */
  GQueue pending; /* of GTask: commands without an answer */
  redisReader *reader;
  gsize fed; /* since the last whole reply */
  char input[16 * 1024];
};

G_DEFINE_FINAL_TYPE (DerateRedisConnection, derate_redis_connection, G_TYPE_OBJECT)

static void read_more (DerateRedisConnection *self);
static void write_more (DerateRedisConnection *self);

DerateRedisConnection *
derate_redis_connection_new (GSocketConnection *stream)
{
  DerateRedisConnection *self = g_object_new (DERATE_TYPE_REDIS_CONNECTION, NULL);

  self->stream = g_object_ref (stream);
  return self;
}

static void
drop_cancel_source (GTask *task)
{
  GSource *source = g_task_get_task_data (task);

  if (source != NULL)
    g_source_destroy (source);
}

/* No more bytes either way. The descriptor goes with the stream: closing a TLS stream would wait.
 */
static void
shut_down (DerateRedisConnection *self)
{
  if (self->closed)
    return;
  self->closed = TRUE;
  g_cancellable_cancel (self->io);
  g_socket_shutdown (g_socket_connection_get_socket (self->stream), TRUE, TRUE, NULL);
}

/* Ends the connection and every command that waits; takes @error over. */
static void
break_connection (DerateRedisConnection *self, GError *error)
{
  g_autoptr (GError) local = error;
  GQueue orphans = self->pending;
  GTask *task;

  g_queue_init (&self->pending);
  shut_down (self);
  while ((task = g_queue_pop_head (&orphans)) != NULL)
    {
      drop_cancel_source (task);
      g_task_return_error (task, g_error_copy (local));
      g_object_unref (task);
    }
}

static GError *
closed_error (const char *why)
{
  return g_error_new (DERATE_REDIS_ERROR, DERATE_REDIS_ERROR_CLOSED, "the connection has ended: %s",
                      why);
}

/* Takes @reply over. */
static void
answer (DerateRedisConnection *self, DerateRedisReply *reply)
{
  g_autoptr (GTask) task = g_queue_pop_head (&self->pending);

  if (task == NULL)
    {
      derate_redis_reply_unref (reply);
      break_connection (self, closed_error ("the server answered what nobody asked"));
      return;
    }
  drop_cancel_source (task);
  if (derate_redis_reply_get_reply_type (reply) == DERATE_REDIS_REPLY_ERROR)
    {
      g_task_return_error (task,
                           derate_redis_error_from_reply (derate_redis_reply_get_text (reply)));
      derate_redis_reply_unref (reply);
    }
  else
    g_task_return_pointer (task, reply, (GDestroyNotify)derate_redis_reply_unref);
}

static void
protocol_broken (DerateRedisConnection *self, const char *why)
{
  break_connection (self, g_error_new (DERATE_REDIS_ERROR, DERATE_REDIS_ERROR_PROTOCOL,
                                       "not an answer of Redis: %s", why));
}

static void
take_input (DerateRedisConnection *self, gsize length)
{
  gpointer reply = NULL;

  self->fed += length;
  redisReaderFeed (self->reader, self->input, length);
  while (!self->closed)
    {
      if (redisReaderGetReply (self->reader, &reply) != REDIS_OK)
        {
          protocol_broken (self, self->reader->errstr);
          return;
        }
      if (reply == NULL)
        break;
      self->fed = self->reader->len - self->reader->pos;
      answer (self, reply);
    }
  if (self->fed > MAX_REPLY)
    protocol_broken (self, "it is too long");
}

static void
input_arrived (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (DerateRedisConnection) self = user_data;
  g_autoptr (GError) error = NULL;
  gssize length = g_input_stream_read_finish (G_INPUT_STREAM (source), result, &error);

  self->reading = FALSE;
  if (self->closed)
    return;
  if (length <= 0)
    {
      const char *why = error != NULL ? error->message : "the server closed it";

      break_connection (self, closed_error (why));
      return;
    }
  take_input (self, (gsize)length);
  read_more (self);
}

static void
read_more (DerateRedisConnection *self)
{
  if (self->closed || self->reading || g_queue_is_empty (&self->pending))
    return;
  self->reading = TRUE;
  g_input_stream_read_async (g_io_stream_get_input_stream (G_IO_STREAM (self->stream)), self->input,
                             sizeof self->input, G_PRIORITY_DEFAULT, self->io, input_arrived,
                             g_object_ref (self));
}

static void
output_left (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (DerateRedisConnection) self = user_data;

  g_clear_pointer (&self->sending, g_byte_array_unref);
  /* After a failure reading goes on: a server that is full says so before it hangs up. */
  if (g_output_stream_write_all_finish (G_OUTPUT_STREAM (source), result, NULL, NULL))
    write_more (self);
}

static void
write_more (DerateRedisConnection *self)
{
  if (self->closed || self->sending != NULL || self->queued->len == 0)
    return;
  self->sending = self->queued;
  self->queued = g_byte_array_new ();
  g_output_stream_write_all_async (g_io_stream_get_output_stream (G_IO_STREAM (self->stream)),
                                   self->sending->data, self->sending->len, G_PRIORITY_DEFAULT,
                                   self->io, output_left, g_object_ref (self));
}

static gboolean
command_cancelled (GCancellable *cancellable, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  DerateRedisConnection *self = g_task_get_source_object (task);
  GError *error = NULL;

  if (!g_cancellable_set_error_if_cancelled (cancellable, &error))
    {
      g_steal_pointer (&task);
      return G_SOURCE_CONTINUE;
    }
  /* The reference is the queue's. */
  g_queue_remove (&self->pending, task);
  g_object_ref (self);
  g_task_return_error (task, error);
  break_connection (self, closed_error ("another command was cancelled"));
  g_object_unref (self);
  return G_SOURCE_REMOVE;
}

static void
watch_cancellable (GTask *task)
{
  GSource *source;

  if (g_task_get_cancellable (task) == NULL)
    return;
  source = g_cancellable_source_new (g_task_get_cancellable (task));
  g_source_set_callback (source, G_SOURCE_FUNC (command_cancelled), task, NULL);
  g_source_attach (source, g_task_get_context (task));
  g_task_set_task_data (task, source, (GDestroyNotify)g_source_unref);
}

static gboolean
queue_command (DerateRedisConnection *self, const char *const *arguments)
{
  g_autofree gsize *lengths = NULL;
  guint n = g_strv_length ((char **)arguments);
  char *text = NULL;
  int length;

  lengths = g_new (gsize, n);
  for (guint i = 0; i < n; i++)
    lengths[i] = strlen (arguments[i]);
  length = redisFormatCommandArgv (&text, (int)n, (const char **)arguments, lengths);
  if (length < 0)
    return FALSE;
  g_byte_array_append (self->queued, (guint8 *)text, (guint)length);
  redisFreeCommand (text);
  return TRUE;
}

/**
 * derate_redis_connection_command_async:
 * @connection: a connection
 * @arguments: (array zero-terminated=1): the command and its arguments
 * @cancellable: (nullable): ends it at once, and the connection with it
 * @callback: (scope async): called once, in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * Sends a command. It need not wait for the answers to those before it.
 *
 * Since: 1.0
 */
void
derate_redis_connection_command_async (DerateRedisConnection *connection,
                                       const char *const *arguments,
                                       GCancellable *cancellable,
                                       GAsyncReadyCallback callback,
                                       gpointer user_data)
{
  g_autoptr (GTask) task = NULL;

  g_return_if_fail (DERATE_IS_REDIS_CONNECTION (connection));
  g_return_if_fail (arguments != NULL && arguments[0] != NULL);

  task = g_task_new (connection, cancellable, callback, user_data);
  g_task_set_source_tag (task, derate_redis_connection_command_async);
  if (g_task_return_error_if_cancelled (task))
    return;
  if (connection->closed || !queue_command (connection, arguments))
    {
      g_task_return_error (task, closed_error ("it was closed before"));
      return;
    }
  watch_cancellable (task);
  g_queue_push_tail (&connection->pending, g_steal_pointer (&task));
  write_more (connection);
  read_more (connection);
}

/**
 * derate_redis_connection_command_finish:
 * @connection: a connection
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends derate_redis_connection_command_async(). An error reply is an error of %DERATE_REDIS_ERROR.
 * After %DERATE_REDIS_ERROR_CLOSED, %DERATE_REDIS_ERROR_PROTOCOL and %G_IO_ERROR_CANCELLED the
 * connection is of no more use.
 *
 * Returns: (transfer full): the answer
 *
 * Since: 1.0
 */
DerateRedisReply *
derate_redis_connection_command_finish (DerateRedisConnection *connection,
                                        GAsyncResult *result,
                                        GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, connection), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * derate_redis_connection_is_usable:
 * @connection: a connection
 *
 * Whether a command may be sent: the connection is open and the server has not ended it. Looks at
 * what has arrived, without a round trip.
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
derate_redis_connection_is_usable (DerateRedisConnection *connection)
{
  GSocket *socket;

  g_return_val_if_fail (DERATE_IS_REDIS_CONNECTION (connection), FALSE);

  if (connection->closed || connection->reading)
    return !connection->closed;
  /* Nothing is awaited: whatever can be read is the end of the stream, or the word before it. */
  socket = g_socket_connection_get_socket (connection->stream);
  if (g_socket_condition_check (socket, G_IO_IN) != 0)
    shut_down (connection);
  return !connection->closed;
}

/**
 * derate_redis_connection_close:
 * @connection: a connection
 *
 * Ends the connection. Commands without an answer end with %DERATE_REDIS_ERROR_CLOSED.
 *
 * Since: 1.0
 */
void
derate_redis_connection_close (DerateRedisConnection *connection)
{
  g_return_if_fail (DERATE_IS_REDIS_CONNECTION (connection));

  break_connection (connection, closed_error ("it was closed"));
}

static void
derate_redis_connection_finalize (GObject *object)
{
  DerateRedisConnection *self = DERATE_REDIS_CONNECTION (object);

  if (self->stream != NULL)
    shut_down (self);
  g_clear_object (&self->stream);
  g_clear_object (&self->io);
  g_clear_pointer (&self->queued, g_byte_array_unref);
  redisReaderFree (self->reader);

  G_OBJECT_CLASS (derate_redis_connection_parent_class)->finalize (object);
}

static void
derate_redis_connection_class_init (DerateRedisConnectionClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_redis_connection_finalize;
}

static void
derate_redis_connection_init (DerateRedisConnection *self)
{
  self->io = g_cancellable_new ();
  self->queued = g_byte_array_new ();
  self->reader = derate_redis_reply_reader_new ();
  g_queue_init (&self->pending);
}
