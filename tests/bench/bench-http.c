/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate-http.h>
#include <time.h>

#include "bench.h"
#include "http-client.h"

/* A scrape of 8 KB by sixteen clients at once, beside a handler that has its answer ready and does
 * with connections what /metrics does; and how long the loop of the server is held by a scrape of
 * 10,000 series, by the processor time of its thread between two polls. */

#define N_CONNECTIONS 16
#define BODY_SIZE 8192
#define N_SERIES 10000
#define N_PER_FAMILY 1000

/* Long enough that the first and the last answers, which are alone, do not count. */
#define SLICE_NS 60e6

typedef struct
{
  GMainContext *context;
  GMainLoop *loop;
  GThread *thread;
  DerateCore *core;
  SoupServer *server;
  GBytes *body;
  const char *path;
  guint16 port;
} Server;

static void
respond_bare (SoupServer *server,
              SoupServerMessage *message,
              const char *path,
              GHashTable *query,
              gpointer data)
{
  Server *self = data;
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);

  soup_message_headers_replace (headers, "Content-Type", "text/plain; version=0.0.4");
  if (!soup_check_version (3, 3, 0))
    soup_message_headers_replace (headers, "Connection", "close");
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_message_body_append_bytes (soup_server_message_get_response_body (message), self->body);
}

/* Counters until the text has @size bytes, or there are @n of them. */
static void
fill (Server *server, gsize size, guint n)
{
  static const char *const names[] = { "path", NULL };
  DerateMetricsRegistry *registry = derate_core_get_metrics (server->core);

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *name = g_strdup_printf ("http_requests_%u_total", i / N_PER_FAMILY);
      g_autofree char *path = g_strdup_printf ("/api/v1/items/%u", i);
      const char *const values[] = { path, NULL };
      g_autoptr (DerateCounter) counter =
          derate_metrics_registry_add_counter (registry, name, "Requests.", names, NULL);

      derate_counter_add (derate_counter_with (counter, values), i);
      if (size == 0 && i + 1 < n)
        continue;
      g_clear_pointer (&server->body, g_bytes_unref);
      server->body = derate_metrics_registry_render_as (registry, DERATE_METRICS_FORMAT_TEXT);
      if (g_bytes_get_size (server->body) >= size)
        break;
    }
}

static gpointer
serve (gpointer data)
{
  Server *server = data;

  g_main_context_push_thread_default (server->context);
  g_main_loop_run (server->loop);
  g_main_context_pop_thread_default (server->context);
  return NULL;
}

/* With room for all clients to come at once: else the kernel makes one of them wait for a second.
 */
static void
listen_at (Server *server)
{
  g_autoptr (GSocket) socket =
      g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL);
  g_autoptr (GInetAddress) loopback = g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4);
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new (loopback, 0);
  g_autoptr (GSocketAddress) address = NULL;

  g_socket_set_listen_backlog (socket, 8 * N_CONNECTIONS);
  if (!g_socket_bind (socket, any, FALSE, NULL) || !g_socket_listen (socket, NULL) ||
      !soup_server_listen_socket (server->server, socket, 0, NULL))
    g_error ("no port");
  address = g_socket_get_local_address (socket, NULL);
  server->port = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address));
}

static Server *
server_new (const char *path, gsize size, guint n)
{
  Server *server = g_new0 (Server, 1);

  server->path = path;
  server->context = g_main_context_new ();
  server->loop = g_main_loop_new (server->context, FALSE);
  g_main_context_push_thread_default (server->context);
  server->core = derate_core_new ("bench", NULL, NULL);
  fill (server, size, n);
  server->server = soup_server_new (NULL, NULL);
  derate_http_mount (server->core, server->server, NULL, DERATE_HTTP_METRICS);
  soup_server_add_handler (server->server, "/bare", respond_bare, server, NULL);
  listen_at (server);
  g_main_context_pop_thread_default (server->context);
  server->thread = g_thread_new ("server", serve, server);
  return server;
}

static void
server_free (gpointer data)
{
  Server *server = data;

  g_main_loop_quit (server->loop);
  g_thread_join (server->thread);
  g_main_context_push_thread_default (server->context);
  soup_server_disconnect (server->server);
  while (g_main_context_iteration (server->context, FALSE))
    ;
  g_object_unref (server->server);
  g_object_unref (server->core);
  g_main_context_pop_thread_default (server->context);
  g_bytes_unref (server->body);
  g_main_loop_unref (server->loop);
  g_main_context_unref (server->context);
  g_free (server);
}

static gpointer
set_up_bare (void)
{
  return server_new ("/bare", BODY_SIZE, N_SERIES);
}

static gpointer
set_up_metrics (void)
{
  return server_new ("/metrics", BODY_SIZE, N_SERIES);
}

static void
ask (gpointer data, guint64 n)
{
  Server *server = data;

  http_client_run (server->port, server->path, N_CONNECTIONS, n);
}

/* What a scrape costs without HTTP. */
static void
render (gpointer data, guint64 n)
{
  DerateMetricsRegistry *registry = derate_core_get_metrics (((Server *)data)->core);

  for (guint64 i = 0; i < n; i++)
    g_bytes_unref (derate_metrics_registry_render_as (registry, DERATE_METRICS_FORMAT_TEXT));
}

static const BenchCase cases[] = {
  { "render", 1, set_up_metrics, render, server_free, .counted = BENCH_NOT_COUNTED },
  { "bare", 1, set_up_bare, ask, server_free, .slice_ns = SLICE_NS, .counted = BENCH_NOT_COUNTED },
  { "metrics", 1, set_up_metrics, ask, server_free, "bare", 1 / 0.9, .slice_ns = SLICE_NS,
    .counted = BENCH_NOT_COUNTED },
  { NULL },
};

static double longest; /* in one thread, while it serves */
static double begun;

static double
read_thread_us (void)
{
  struct timespec time;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static gint
poll_and_measure (GPollFD *fds, guint n, gint timeout)
{
  gint ready;

  if (begun > 0)
    longest = MAX (longest, read_thread_us () - begun);
  ready = g_poll (fds, n, timeout);
  begun = read_thread_us ();
  return ready;
}

static double
measure_loop_hold (void)
{
  Server *server = server_new ("/metrics", 0, N_SERIES);

  ask (server, 1);
  g_main_context_set_poll_func (server->context, poll_and_measure);
  for (guint i = 0; i < 20; i++)
    http_client_run (server->port, "/metrics", 1, 1);
  g_main_context_set_poll_func (server->context, NULL);
  server_free (server);
  return longest;
}

static const BenchFigure figures[] = {
  { "loop-hold-us", measure_loop_hold, 2000 },
  { NULL },
};

int
main (int argc, char **argv)
{
  return bench_main (argc, argv, cases, figures);
}
