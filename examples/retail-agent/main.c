/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate-dbus-exporter.h>
#include <derate-http.h>
#include <glib-unix.h>
#include <locale.h>

#include "agent-catalogue.h"
#include "agent.h"

/* The retail agent: a service that answers with the best it has. */

/* How long the agent goes on answering after it was told to end, with readiness at 503: what is
 * under way ends within the answer budget, and a balancer has time to look. */
#define DRAIN_SECONDS 2

/* Clients that may wait to be let in; GIO's ten are few when many come at once, and the next is
 * told nothing for a second. */
#define BACKLOG 512

/* No endpoint asks for more than a line or two. */
#define BODY_MAX (64 * 1024)
#define HEAD_TIMEOUT (10 * G_TIME_SPAN_SECOND)

typedef struct
{
  GMainLoop *loop;
  DerateCore *core;
  SoupServer *server;
  DerateDbusExporter *exporter;
  int status;
} Program;

static gboolean
on_drained (gpointer data)
{
  Program *program = data;

  soup_server_disconnect (program->server);
  g_main_loop_quit (program->loop);
  return G_SOURCE_REMOVE;
}

static void
on_stopped (GObject *source, GAsyncResult *result, gpointer data)
{
  g_timeout_add_seconds (DRAIN_SECONDS, on_drained, data);
}

/* Readiness turns to 503 at once; what is under way is still answered. */
static gboolean
on_signal (gpointer data)
{
  Program *program = data;

  g_clear_object (&program->exporter);
  derate_core_stop_async (program->core, NULL, on_stopped, program);
  return G_SOURCE_REMOVE;
}

static void
on_started (GObject *source, GAsyncResult *result, gpointer data)
{
  Program *program = data;
  g_autoptr (GError) error = NULL;
  DerateLevel level;

  if (derate_core_start_finish (program->core, result, &error))
    {
      level = derate_degradation_manager_get_level (
          derate_core_get_degradation_manager (program->core));
      g_print ("retail-agent: ready, level %s\n", derate_level_get_nick (level));
      return;
    }
  g_printerr ("retail-agent: %s\n", error->message);
  program->status = 1;
  g_main_loop_quit (program->loop);
}

static DerateDbusExporter *
export_on_bus (DerateCore *core, const char *address, GError **error)
{
  g_autoptr (GDBusConnection) connection =
      g_dbus_connection_new_for_address_sync (address,
                                              G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                  G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                              NULL, NULL, error);

  return connection != NULL ? derate_dbus_exporter_new (core, connection, error) : NULL;
}

/* Before 3.3, libsoup keeps each connection that a client has closed, and its descriptor. */
static void
on_request (SoupServer *server, SoupServerMessage *message, gpointer data)
{
  if (!soup_check_version (3, 3, 0))
    soup_message_headers_replace (soup_server_message_get_response_headers (message), "Connection",
                                  "close");
}

static gboolean
listen_on (SoupServer *server, int port, GError **error)
{
  g_autoptr (GInetAddress) loopback = g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4);
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new (loopback, (guint16)port);
  g_autoptr (GSocket) socket =
      g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, error);

  if (socket == NULL || !g_socket_bind (socket, address, TRUE, error))
    return FALSE;
  g_socket_set_listen_backlog (socket, BACKLOG);
  return g_socket_listen (socket, error) &&
         soup_server_listen_socket (server, socket, (SoupServerListenOptions)0, error);
}

/* Blocks, as a start may: nothing is served yet. */
static gboolean
set_up (Program *program, const char *config, int port, const char *bus, GError **error)
{
  program->core = derate_core_new_from_file (config, NULL, error);
  if (program->core == NULL)
    return FALSE;
  program->server = soup_server_new ("server-header", "retail-agent", NULL);
  g_signal_connect (program->server, "request-started", G_CALLBACK (on_request), NULL);
  derate_http_guard (program->server, BODY_MAX, HEAD_TIMEOUT);
  if (bus != NULL)
    {
      program->exporter = export_on_bus (program->core, bus, error);
      if (program->exporter == NULL)
        return FALSE;
    }
  derate_http_mount (program->core, program->server, NULL, DERATE_HTTP_ALL);
  return listen_on (program->server, port, error);
}

/* @path may be NULL: beside the configuration. */
static Agent *
make_agent (Program *program, const char *config, const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (config);
  g_autofree char *beside = g_build_filename (folder, "statements.conf", NULL);
  GHashTable *statements = agent_catalogue_load (path != NULL ? path : beside, error);

  return statements != NULL ? agent_new (program->core, program->server, statements, error) : NULL;
}

int
main (int argc, char **argv)
{
  g_autofree char *config = NULL;
  g_autofree char *bus = NULL;
  g_autofree char *statements = NULL;
  gboolean log_json = FALSE;
  int port = 8000;
  GOptionEntry entries[] = {
    { "config", 'c', 0, G_OPTION_ARG_FILENAME, &config, "Configuration file", "FILE" },
    { "port", 'p', 0, G_OPTION_ARG_INT, &port, "Port on 127.0.0.1 (8000)", "N" },
    { "bus", 'b', 0, G_OPTION_ARG_STRING, &bus, "Address of a message bus", "ADDRESS" },
    { "statements", 's', 0, G_OPTION_ARG_FILENAME, &statements,
      "What may be asked of the database (statements.conf beside the configuration)", "FILE" },
    { "log-json", 0, 0, G_OPTION_ARG_NONE, &log_json, "Log as JSON, an event a line", NULL },
    { NULL },
  };
  g_autoptr (GOptionContext) options = g_option_context_new ("- prices, whatever is down");
  g_autoptr (GError) error = NULL;
  Program program = { 0 };
  Agent *agent = NULL;

  setlocale (LC_ALL, "");
  g_option_context_add_main_entries (options, entries, NULL);
  if (!g_option_context_parse (options, &argc, &argv, &error) || config == NULL)
    {
      g_printerr ("retail-agent: %s\n", error != NULL ? error->message : "--config is missing");
      return 2;
    }

  if (log_json)
    g_log_set_writer_func (derate_log_writer_json, NULL, NULL);
  program.loop = g_main_loop_new (NULL, FALSE);
  if (set_up (&program, config, port, bus, &error))
    agent = make_agent (&program, config, statements, &error);
  if (agent == NULL)
    {
      g_printerr ("retail-agent: %s\n", error->message);
      program.status = 1;
    }
  else
    {
      g_unix_signal_add (SIGTERM, on_signal, &program);
      g_unix_signal_add (SIGINT, on_signal, &program);
      derate_core_start_async (program.core, NULL, on_started, &program);
      g_main_loop_run (program.loop);
    }

  g_clear_object (&program.exporter);
  g_clear_object (&program.server);
  g_clear_pointer (&agent, agent_free);
  g_clear_object (&program.core);
  g_main_loop_unref (program.loop);
  return program.status;
}
