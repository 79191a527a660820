/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-farewell-private.h"
#include "derate-http.h"

/* Threads: everything runs in the server's context. */

typedef struct
{
  gsize body_max;
  GTimeSpan header_timeout;
} Guard;

/* One message; its own data, so that it goes with it. */
typedef struct
{
  const Guard *guard;
  GSource *timer; /* until the headers are there; nullable */
  gboolean is_refused;
} Request;

static const char KEY[] = "derate-http-guard";

static void
stop_timer (Request *request)
{
  if (request->timer != NULL)
    g_source_destroy (request->timer);
  g_clear_pointer (&request->timer, g_source_unref);
}

static void
request_free (gpointer data)
{
  Request *request = data;

  stop_timer (request);
  g_free (request);
}

static gboolean
on_late (gpointer data)
{
  SoupServerMessage *message = SOUP_SERVER_MESSAGE (data);
  g_autoptr (SoupServerMessage) keep = g_object_ref (message);
  Request *request = g_object_get_data (G_OBJECT (message), KEY);

  stop_timer (request);
  derate_http_say_farewell (message, SOUP_STATUS_REQUEST_TIMEOUT,
                            "the head of the request took too long");
  return G_SOURCE_REMOVE;
}

static void
start_timer (Request *request, SoupServerMessage *message)
{
  DerateClock *clock = derate_clock_get_system ();
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();

  request->timer = derate_clock_source_new (clock, derate_clock_get_time (clock) +
                                                       request->guard->header_timeout);
  g_source_set_callback (request->timer, on_late, message, NULL);
  g_source_attach (request->timer, context);
}

static gboolean
on_too_large (gpointer data)
{
  SoupServerMessage *message = SOUP_SERVER_MESSAGE (data);
  Request *request = g_object_get_data (G_OBJECT (message), KEY);
  g_autofree char *text =
      g_strdup_printf ("the body is over %" G_GSIZE_FORMAT " bytes", request->guard->body_max);

  /* It has gone meanwhile. */
  if (soup_server_message_get_socket (message) != NULL)
    derate_http_say_farewell (message, SOUP_STATUS_REQUEST_ENTITY_TOO_LARGE, text);
  return G_SOURCE_REMOVE;
}

/* libsoup is in the middle of reading, and must come out first. */
static void
refuse (Request *request, SoupServerMessage *message)
{
  g_autoptr (GSource) source = NULL;
  g_autoptr (GMainContext) context = NULL;

  if (request->is_refused)
    return;
  request->is_refused = TRUE;
  soup_server_message_pause (message);
  context = g_main_context_ref_thread_default ();
  source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, on_too_large, g_object_ref (message), g_object_unref);
  g_source_attach (source, context);
}

static void
on_headers (SoupServerMessage *message, gpointer data)
{
  Request *request = data;
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);

  stop_timer (request);
  if (soup_message_headers_get_encoding (headers) == SOUP_ENCODING_CONTENT_LENGTH &&
      (guint64)soup_message_headers_get_content_length (headers) > request->guard->body_max)
    refuse (request, message);
}

/* A body in chunks does not say how long it will be. */
static void
on_chunk (SoupServerMessage *message, GBytes *chunk, gpointer data)
{
  Request *request = data;

  if ((guint64)soup_server_message_get_request_body (message)->length > request->guard->body_max)
    refuse (request, message);
}

static void
on_over (SoupServerMessage *message, gpointer data)
{
  stop_timer (data);
}

static void
on_request (SoupServer *server, SoupServerMessage *message, gpointer data)
{
  Request *request = g_new0 (Request, 1);

  request->guard = data;
  g_object_set_data_full (G_OBJECT (message), KEY, request, request_free);
  g_signal_connect (message, "got-headers", G_CALLBACK (on_headers), request);
  g_signal_connect (message, "got-chunk", G_CALLBACK (on_chunk), request);
  g_signal_connect (message, "finished", G_CALLBACK (on_over), request);
  g_signal_connect (message, "disconnected", G_CALLBACK (on_over), request);
  if (request->guard->header_timeout > 0)
    start_timer (request, message);
}

/**
 * derate_http_guard:
 * @server: a server of the program's
 * @body_max: how long a request's body may be, in bytes
 * @header_timeout: how long a client may take for the head of a request, in microseconds; 0 for as
 *   long as it likes
 *
 * Answers 413 to a request whose body is, or turns out to be, longer than @body_max, and 408 to a
 * client that does not say what it wants, both at once and with `{"error": …}`, and closes the
 * connection. A server of libsoup 3.2 never times a client out by itself, and answers 413 only
 * after the whole body. Once for a server, before it listens, in its thread.
 *
 * Since: 1.0
 */
void
derate_http_guard (SoupServer *server, gsize body_max, GTimeSpan header_timeout)
{
  Guard *guard;

  g_return_if_fail (SOUP_IS_SERVER (server));
  g_return_if_fail (header_timeout >= 0);

  guard = g_new0 (Guard, 1);
  guard->body_max = body_max;
  guard->header_timeout = header_timeout;
  g_object_set_data_full (G_OBJECT (server), KEY, guard, g_free);
  g_signal_connect (server, "request-started", G_CALLBACK (on_request), guard);
}
