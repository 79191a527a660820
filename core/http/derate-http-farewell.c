/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-farewell-private.h"

#include <derate.h>
#include <string.h>

/* What a client still sends is read for a while after the answer: closing before would make its
 * kernel throw the answer away. */
#define LINGER (5 * G_TIME_SPAN_SECOND)

/* A counted object: each operation has a reference, and so has the timer while it waits. */
typedef struct
{
  GIOStream *connection;
  GSocket *socket; /* nullable */
  GCancellable *cancellable;
  GSource *timer;
  char *text;
  char heard[32768];
} Farewell;

static void
farewell_clear (gpointer data)
{
  Farewell *farewell = data;

  g_io_stream_close_async (farewell->connection, G_PRIORITY_DEFAULT, NULL, NULL, NULL);
  g_object_unref (farewell->connection);
  g_clear_object (&farewell->socket);
  g_object_unref (farewell->cancellable);
  g_source_unref (farewell->timer);
  g_free (farewell->text);
}

static void
farewell_unref (gpointer farewell)
{
  g_rc_box_release_full (farewell, farewell_clear);
}

static void
end (Farewell *farewell)
{
  g_cancellable_cancel (farewell->cancellable);
  g_source_destroy (farewell->timer);
}

static gboolean
on_late (gpointer data)
{
  end (data);
  return G_SOURCE_REMOVE;
}

static void read_on (Farewell *farewell);

static void
on_read (GObject *source, GAsyncResult *result, gpointer data)
{
  Farewell *farewell = data;

  if (g_input_stream_read_finish (G_INPUT_STREAM (source), result, NULL) > 0)
    read_on (farewell);
  else
    end (farewell);
  farewell_unref (farewell);
}

static void
read_on (Farewell *farewell)
{
  g_input_stream_read_async (g_io_stream_get_input_stream (farewell->connection), farewell->heard,
                             sizeof farewell->heard, G_PRIORITY_DEFAULT, farewell->cancellable,
                             on_read, g_rc_box_acquire (farewell));
}

static void
on_written (GObject *source, GAsyncResult *result, gpointer data)
{
  Farewell *farewell = data;

  if (!g_output_stream_write_all_finish (G_OUTPUT_STREAM (source), result, NULL, NULL))
    end (farewell);
  else if (farewell->socket != NULL)
    g_socket_shutdown (farewell->socket, FALSE, TRUE, NULL);
  farewell_unref (farewell);
}

static char *
make_answer (guint status, const char *text)
{
  g_autoptr (GVariant) dict = NULL;
  g_autofree char *body = NULL;
  GVariantDict builder;

  g_variant_dict_init (&builder, NULL);
  g_variant_dict_insert (&builder, "error", "s", text);
  dict = g_variant_ref_sink (g_variant_dict_end (&builder));
  body = derate_json_from_variant (dict);
  return g_strdup_printf ("HTTP/1.1 %u %s\r\nContent-Type: application/json\r\n"
                          "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                          status, soup_status_get_phrase (status), strlen (body), body);
}

/* Where it is not TLS, of which only the whole is closed. */
static GSocket *
find_socket (GIOStream *connection)
{
  g_autoptr (GIOStream) base = NULL;

  /* libsoup's own stream around it. */
  if (g_object_class_find_property (G_OBJECT_GET_CLASS (connection), "base-iostream") != NULL)
    g_object_get (connection, "base-iostream", &base, NULL);
  else
    base = g_object_ref (connection);
  return G_IS_SOCKET_CONNECTION (base)
             ? g_object_ref (g_socket_connection_get_socket (G_SOCKET_CONNECTION (base)))
             : NULL;
}

void
derate_http_say_farewell (SoupServerMessage *message, guint status, const char *text)
{
  DerateClock *clock = derate_clock_get_system ();
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();
  Farewell *farewell = g_rc_box_new0 (Farewell);

  farewell->connection = soup_server_message_steal_connection (message);
  farewell->socket = find_socket (farewell->connection);
  farewell->cancellable = g_cancellable_new ();
  farewell->text = make_answer (status, text);
  farewell->timer = derate_clock_source_new (clock, derate_clock_get_time (clock) + LINGER);
  g_source_set_callback (farewell->timer, on_late, g_rc_box_acquire (farewell), farewell_unref);
  g_source_attach (farewell->timer, context);
  g_output_stream_write_all_async (g_io_stream_get_output_stream (farewell->connection),
                                   farewell->text, strlen (farewell->text), G_PRIORITY_DEFAULT,
                                   farewell->cancellable, on_written, g_rc_box_acquire (farewell));
  read_on (farewell);
  farewell_unref (farewell);
}
