/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-events-private.h"

#include "derate-http-private.h"
#include "derate-http-stream-private.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

/* Threads: the core tells of a change in the thread that made it; the text is put into `pending`,
 * under the mutex, and handed on in the server's context, to which everything else belongs. A
 * counted object: the mount has a reference, and so have the watch and each source.
 *
 * A connection is taken away from libsoup: it would keep what a slow client does not take, without
 * limit, and would not notice that a client has gone. */

/* After how long a client is dropped whose machine does not even say that it got something. */
#define DEAD_AFTER_MSEC 30000

#define HEAD                            \
  "HTTP/1.1 200 OK\r\n"                 \
  "Content-Type: text/event-stream\r\n" \
  "Cache-Control: no-store\r\n"         \
  "X-Accel-Buffering: no\r\n"           \
  "Connection: close\r\n\r\n"           \
  "retry: 1000\n\n"

struct _DerateHttpEvents
{
  DerateCore *core;
  GMainContext *context;
  gboolean details;
  gboolean is_closed;
  guint watch; /* 0 while there are no clients */
  GSource *keep_alive;
  GPtrArray *streams;

  GMutex mutex;
  GString *pending;
  gboolean is_over; /* nothing will follow `pending` */
  gboolean is_scheduled;
};

/* A client whose connection is to be taken as soon as libsoup has left its own functions. */
typedef struct
{
  DerateHttpEvents *events;
  SoupServerMessage *message; /* paused */
  gboolean is_gone;
  gulong handlers[2];
} Arrival;

static void
events_clear (gpointer data)
{
  DerateHttpEvents *events = data;

  g_object_unref (events->core);
  g_main_context_unref (events->context);
  g_ptr_array_unref (events->streams);
  g_string_free (events->pending, TRUE);
  g_mutex_clear (&events->mutex);
}

static void
events_unref (gpointer events)
{
  g_atomic_rc_box_release_full (events, events_clear);
}

DerateHttpEvents *
derate_http_events_new (DerateCore *core, gboolean details)
{
  DerateHttpEvents *events = g_atomic_rc_box_new0 (DerateHttpEvents);

  events->core = g_object_ref (core);
  events->context = g_main_context_ref_thread_default ();
  events->details = details;
  events->streams = g_ptr_array_new ();
  events->pending = g_string_new (NULL);
  g_mutex_init (&events->mutex);
  return events;
}

static void
append (GString *text, const char *event, GVariant *value)
{
  g_autofree char *json = derate_json_from_variant (value);

  /* JSON has no line breaks of its own, so that it is one line of data. */
  g_string_append_printf (text, "event: %s\ndata: %s\n\n", event, json);
}

/* When the last client has gone nobody listens to the core. */
static void
rest (DerateHttpEvents *events)
{
  if (events->streams->len > 0)
    return;
  if (events->watch != 0)
    derate_core_remove_watch (events->core, events->watch);
  events->watch = 0;
  if (events->keep_alive != NULL)
    g_source_destroy (events->keep_alive);
  g_clear_pointer (&events->keep_alive, g_source_unref);
  g_mutex_lock (&events->mutex);
  g_string_truncate (events->pending, 0);
  g_mutex_unlock (&events->mutex);
}

static void
on_ended (DerateHttpStream *stream, gpointer data)
{
  DerateHttpEvents *events = data;

  g_ptr_array_remove_fast (events->streams, stream);
  rest (events);
}

static void
drop_all (DerateHttpEvents *events)
{
  g_autoptr (GPtrArray) streams = g_steal_pointer (&events->streams);

  events->streams = g_ptr_array_new ();
  for (guint i = 0; i < streams->len; i++)
    derate_http_stream_free (g_ptr_array_index (streams, i));
  rest (events);
}

/* A stream may end, and go, while it is sent to. */
static void
send_all (DerateHttpEvents *events, GBytes *text)
{
  for (guint i = events->streams->len; i > 0; i--)
    derate_http_stream_send (g_ptr_array_index (events->streams, i - 1), text);
}

static void
hand_on (DerateHttpEvents *events)
{
  g_autoptr (GBytes) text = NULL;
  gboolean is_over;

  g_mutex_lock (&events->mutex);
  text = g_bytes_new (events->pending->str, events->pending->len);
  g_string_truncate (events->pending, 0);
  is_over = events->is_over;
  g_mutex_unlock (&events->mutex);

  if (g_bytes_get_size (text) > 0)
    send_all (events, text);
  if (is_over)
    drop_all (events);
}

static gboolean
on_pending (gpointer data)
{
  DerateHttpEvents *events = data;

  g_mutex_lock (&events->mutex);
  events->is_scheduled = FALSE;
  g_mutex_unlock (&events->mutex);
  hand_on (events);
  return G_SOURCE_REMOVE;
}

static void
schedule (DerateHttpEvents *events)
{
  g_autoptr (GSource) source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (source, "[derate] events");
  g_source_set_callback (source, on_pending, g_atomic_rc_box_acquire (events), events_unref);
  g_source_attach (source, events->context);
}

/* In any thread. While the server's loop is stuck no more is kept than for a client: then all of
 * them begin anew. */
static void
on_event (const char *event, GVariant *value, gpointer data)
{
  DerateHttpEvents *events = data;
  g_autoptr (GString) text = g_string_new (NULL);
  gboolean was_scheduled;

  if (event != NULL)
    append (text, event, value);
  g_mutex_lock (&events->mutex);
  if (event == NULL || events->pending->len + text->len > DERATE_HTTP_STREAM_MAX)
    events->is_over = TRUE;
  if (!events->is_over)
    g_string_append_len (events->pending, text->str, (gssize)text->len);
  was_scheduled = events->is_scheduled;
  events->is_scheduled = TRUE;
  g_mutex_unlock (&events->mutex);
  if (!was_scheduled)
    schedule (events);
}

static gboolean
on_keep_alive (gpointer data)
{
  DerateHttpEvents *events = data;
  DerateClock *clock = derate_core_get_clock (events->core);

  derate_clock_source_set_deadline (clock, events->keep_alive,
                                    derate_clock_get_time (clock) + DERATE_HTTP_EVENTS_KEEP_ALIVE);
  for (guint i = events->streams->len; i > 0; i--)
    derate_http_stream_keep_alive (g_ptr_array_index (events->streams, i - 1));
  return G_SOURCE_CONTINUE;
}

/* FALSE where the core was stopped. */
static gboolean
wake (DerateHttpEvents *events)
{
  DerateClock *clock = derate_core_get_clock (events->core);

  if (events->watch != 0)
    return TRUE;
  g_mutex_lock (&events->mutex);
  events->is_over = FALSE;
  g_mutex_unlock (&events->mutex);
  events->watch = derate_core_add_watch (events->core, events->details, on_event,
                                         g_atomic_rc_box_acquire (events), events_unref);
  if (events->watch == 0)
    return FALSE;
  events->keep_alive = derate_clock_source_new (clock, derate_clock_get_time (clock) +
                                                           DERATE_HTTP_EVENTS_KEEP_ALIVE);
  g_source_set_callback (events->keep_alive, on_keep_alive, g_atomic_rc_box_acquire (events),
                         events_unref);
  g_source_attach (events->keep_alive, events->context);
  return TRUE;
}

/* The head of the answer and everything as it is now. */
static GBytes *
make_start (DerateHttpEvents *events)
{
  g_autoptr (GVariant) all = derate_core_dup_events (events->core, events->details);
  GString *text = g_string_new (HEAD);
  GVariantIter iter;
  const char *event;
  GVariant *value;

  g_variant_iter_init (&iter, all);
  while (g_variant_iter_loop (&iter, "(&s@a{sv})", &event, &value))
    append (text, event, value);
  return g_string_free_to_bytes (text);
}

static void
begin (DerateHttpEvents *events, SoupServerMessage *message)
{
  GSocket *socket = soup_server_message_get_socket (message);
  g_autoptr (GIOStream) connection = NULL;
  g_autoptr (GBytes) start = NULL;

  /* What the others have not heard yet is in the start of this one. */
  hand_on (events);
  if (!wake (events))
    {
      derate_http_send_error (message, SOUP_STATUS_SERVICE_UNAVAILABLE, "stopped");
      soup_server_message_unpause (message);
      return;
    }
  if (socket != NULL)
    g_socket_set_option (socket, IPPROTO_TCP, TCP_USER_TIMEOUT, DEAD_AFTER_MSEC, NULL);
  start = make_start (events);
  connection = soup_server_message_steal_connection (message);
  g_ptr_array_add (events->streams, derate_http_stream_new (connection, start, on_ended, events));
}

static void
on_gone (Arrival *arrival)
{
  arrival->is_gone = TRUE;
}

static void
arrival_free (gpointer data)
{
  Arrival *arrival = data;

  for (guint i = 0; i < G_N_ELEMENTS (arrival->handlers); i++)
    g_clear_signal_handler (&arrival->handlers[i], arrival->message);
  g_object_unref (arrival->message);
  events_unref (arrival->events);
  g_free (arrival);
}

static gboolean
on_arrival (gpointer data)
{
  Arrival *arrival = data;
  DerateHttpEvents *events = arrival->events;

  if (arrival->is_gone || events->is_closed)
    return G_SOURCE_REMOVE;
  if (events->streams->len >= DERATE_HTTP_EVENTS_MAX)
    {
      derate_http_send_error (arrival->message, SOUP_STATUS_SERVICE_UNAVAILABLE,
                              "too many clients of /events");
      soup_server_message_unpause (arrival->message);
    }
  else
    begin (events, arrival->message);
  return G_SOURCE_REMOVE;
}

void
derate_http_events_respond (DerateHttpEvents *events, SoupServerMessage *message)
{
  g_autoptr (GSource) source = NULL;
  g_autoptr (GBytes) none = g_bytes_new (NULL, 0);
  Arrival *arrival;

  if (soup_server_message_get_method (message) == SOUP_METHOD_HEAD)
    {
      derate_http_send (message, SOUP_STATUS_OK, "text/event-stream", none);
      return;
    }
  arrival = g_new0 (Arrival, 1);
  arrival->events = g_atomic_rc_box_acquire (events);
  arrival->message = g_object_ref (message);
  arrival->handlers[0] =
      g_signal_connect_swapped (message, "finished", G_CALLBACK (on_gone), arrival);
  arrival->handlers[1] =
      g_signal_connect_swapped (message, "disconnected", G_CALLBACK (on_gone), arrival);
  soup_server_message_pause (message);
  source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, on_arrival, arrival, arrival_free);
  g_source_attach (source, events->context);
}

void
derate_http_events_close (DerateHttpEvents *events)
{
  events->is_closed = TRUE;
  drop_all (events);
  events_unref (events);
}
