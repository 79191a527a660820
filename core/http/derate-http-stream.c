/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-stream-private.h"

/* A counted object: the owner has a reference until the end, and so has each operation. */
struct _DerateHttpStream
{
  GIOStream *connection;
  GCancellable *cancellable;
  DerateHttpStreamEnded ended; /* NULL after the end */
  gpointer data;
  GBytes *writing; /* under way */
  gsize allowance; /* how much of `writing` was there before any change */
  gboolean is_stuck; /* nothing was taken since the last sign of life */
  GByteArray *waiting;
  char heard[256]; /* what the client says is nothing to us */
};

static void
stream_clear (gpointer data)
{
  DerateHttpStream *stream = data;

  /* Where it is TLS the good-bye takes a while. */
  g_io_stream_close_async (stream->connection, G_PRIORITY_DEFAULT, NULL, NULL, NULL);
  g_object_unref (stream->connection);
  g_object_unref (stream->cancellable);
  g_clear_pointer (&stream->writing, g_bytes_unref);
  g_byte_array_unref (stream->waiting);
}

static void
stream_unref (DerateHttpStream *stream)
{
  g_rc_box_release_full (stream, stream_clear);
}

/* What is under way ends as cancelled, and the last of it closes the connection. */
static void
end (DerateHttpStream *stream)
{
  DerateHttpStreamEnded ended = g_steal_pointer (&stream->ended);

  if (ended == NULL)
    return;
  g_cancellable_cancel (stream->cancellable);
  ended (stream, stream->data);
  stream_unref (stream);
}

static void write_on (DerateHttpStream *stream);

static void
on_written (GObject *source, GAsyncResult *result, gpointer data)
{
  DerateHttpStream *stream = data;
  gboolean is_written =
      g_output_stream_write_all_finish (G_OUTPUT_STREAM (source), result, NULL, NULL);

  g_clear_pointer (&stream->writing, g_bytes_unref);
  stream->allowance = 0;
  stream->is_stuck = FALSE;
  if (!is_written)
    end (stream);
  else if (stream->ended != NULL)
    write_on (stream);
  stream_unref (stream);
}

static void
write_bytes (DerateHttpStream *stream, GBytes *bytes)
{
  gsize size;
  gconstpointer data;

  stream->writing = g_bytes_ref (bytes);
  data = g_bytes_get_data (bytes, &size);
  g_output_stream_write_all_async (g_io_stream_get_output_stream (stream->connection), data, size,
                                   G_PRIORITY_DEFAULT, stream->cancellable, on_written,
                                   g_rc_box_acquire (stream));
}

static void
write_on (DerateHttpStream *stream)
{
  g_autoptr (GBytes) bytes = NULL;

  if (stream->writing != NULL || stream->waiting->len == 0)
    return;
  bytes = g_byte_array_free_to_bytes (stream->waiting);
  stream->waiting = g_byte_array_new ();
  write_bytes (stream, bytes);
}

static void read_on (DerateHttpStream *stream);

/* Nothing is expected of the client but that it ends. */
static void
on_read (GObject *source, GAsyncResult *result, gpointer data)
{
  DerateHttpStream *stream = data;
  gssize length = g_input_stream_read_finish (G_INPUT_STREAM (source), result, NULL);

  if (length <= 0)
    end (stream);
  else if (stream->ended != NULL)
    read_on (stream);
  stream_unref (stream);
}

static void
read_on (DerateHttpStream *stream)
{
  g_input_stream_read_async (g_io_stream_get_input_stream (stream->connection), stream->heard,
                             sizeof stream->heard, G_PRIORITY_DEFAULT, stream->cancellable, on_read,
                             g_rc_box_acquire (stream));
}

DerateHttpStream *
derate_http_stream_new (GIOStream *connection,
                        GBytes *head,
                        DerateHttpStreamEnded ended,
                        gpointer data)
{
  DerateHttpStream *stream = g_rc_box_new0 (DerateHttpStream);

  stream->connection = g_object_ref (connection);
  stream->cancellable = g_cancellable_new ();
  stream->ended = ended;
  stream->data = data;
  stream->waiting = g_byte_array_new ();
  stream->allowance = g_bytes_get_size (head);
  read_on (stream);
  write_bytes (stream, head);
  return stream;
}

void
derate_http_stream_send (DerateHttpStream *stream, GBytes *text)
{
  gsize size = g_bytes_get_size (text);
  gsize under_way =
      stream->writing != NULL ? g_bytes_get_size (stream->writing) - stream->allowance : 0;

  if (stream->ended == NULL)
    return;
  if (under_way + stream->waiting->len + size > DERATE_HTTP_STREAM_MAX)
    {
      end (stream);
      return;
    }
  g_byte_array_append (stream->waiting, g_bytes_get_data (text, NULL), (guint)size);
  write_on (stream);
}

void
derate_http_stream_keep_alive (DerateHttpStream *stream)
{
  g_autoptr (GBytes) comment = g_bytes_new_static (":\n\n", 3);

  if (stream->is_stuck)
    {
      end (stream);
      return;
    }
  stream->is_stuck = TRUE;
  derate_http_stream_send (stream, comment);
}

void
derate_http_stream_free (DerateHttpStream *stream)
{
  stream->ended = NULL;
  g_cancellable_cancel (stream->cancellable);
  stream_unref (stream);
}
