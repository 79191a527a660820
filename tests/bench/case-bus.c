/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "case-bus.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct _BenchBus
{
  char *folder;
  char *address;
  GPid daemon;
  GPid client;
  int daemon_out;
  int to_client;
  int from_client;
};

/* Room for a thousand callers: as it comes a bus has it for 256 connections of a user. */
#define CONFIG                                                                            \
  "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\""    \
  " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">"                     \
  "<busconfig><type>session</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>" \
  "<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>"                     \
  "<allow send_destination=\"*\"/><allow receive_sender=\"*\"/></policy>"                 \
  "<limit name=\"max_completed_connections\">4000</limit>"                                \
  "<limit name=\"max_incomplete_connections\">4000</limit>"                               \
  "<limit name=\"max_connections_per_user\">4000</limit>"                                 \
  "<limit name=\"max_match_rules_per_connection\">8000</limit>"                           \
  "<limit name=\"max_replies_per_connection\">16000</limit>"                              \
  "<limit name=\"max_outgoing_bytes\">1000000000</limit>"                                 \
  "<limit name=\"max_incoming_bytes\">1000000000</limit></busconfig>"

/* In the child: nothing is left when we are killed. */
static void
end_with_parent (gpointer data)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

static GPid
spawn (const char *const *argv, int *to, int *from)
{
  g_autoptr (GError) error = NULL;
  GPid pid = 0;

  if (!g_spawn_async_with_pipes (NULL, (char **)argv, NULL,
                                 G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, end_with_parent,
                                 NULL, &pid, to, from, NULL, &error))
    g_error ("%s", error->message);
  return pid;
}

/* One byte at a time, so that what comes later stays for who watches the descriptor. */
static void
read_line (int fd, char *line, gsize size)
{
  gsize length = 0;

  while (length + 1 < size && read (fd, line + length, 1) == 1 && line[length] != '\n')
    length++;
  line[length] = '\0';
  if (length == 0)
    g_error ("the other process is gone");
}

BenchBus *
bench_bus_new (void)
{
  BenchBus *bus = g_new0 (BenchBus, 1);
  g_autoptr (GError) error = NULL;
  g_autofree char *file = NULL;
  g_autofree char *config = NULL;
  g_autofree char *option = NULL;
  char line[512];

  bus->folder = g_dir_make_tmp ("derate-bench-XXXXXX", &error);
  if (bus->folder == NULL)
    g_error ("%s", error->message);
  file = g_build_filename (bus->folder, "bus.conf", NULL);
  config = g_strdup_printf (CONFIG, bus->folder);
  if (!g_file_set_contents (file, config, -1, &error))
    g_error ("%s", error->message);
  option = g_strconcat ("--config-file=", file, NULL);
  bus->daemon = spawn ((const char *const[]){ "dbus-daemon", option, "--nofork", "--nopidfile",
                                              "--print-address", NULL },
                       NULL, &bus->daemon_out);
  read_line (bus->daemon_out, line, sizeof line);
  bus->address = g_strdup (line);
  return bus;
}

static void
end_process (GPid pid)
{
  if (pid == 0)
    return;
  kill (pid, SIGTERM);
  waitpid (pid, NULL, 0);
}

static void
remove_file (BenchBus *bus, const char *name)
{
  g_autofree char *path = g_build_filename (bus->folder, name, NULL);

  g_remove (path);
}

void
bench_bus_free (BenchBus *bus)
{
  end_process (bus->client);
  end_process (bus->daemon);
  close (bus->daemon_out);
  if (bus->client != 0)
    {
      close (bus->to_client);
      close (bus->from_client);
    }
  remove_file (bus, "bus");
  remove_file (bus, "bus.conf");
  remove_file (bus, "holds.conf");
  g_rmdir (bus->folder);
  g_free (bus->folder);
  g_free (bus->address);
  g_free (bus);
}

const char *
bench_bus_get_folder (BenchBus *bus)
{
  return bus->folder;
}

const char *
bench_bus_get_address (BenchBus *bus)
{
  return bus->address;
}

GDBusConnection *
bench_bus_connect (const char *address)
{
  g_autoptr (GError) error = NULL;
  GDBusConnection *connection =
      g_dbus_connection_new_for_address_sync (address,
                                              G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                  G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                              NULL, NULL, &error);

  if (connection == NULL)
    g_error ("%s", error->message);
  return connection;
}

void
bench_bus_start_client (BenchBus *bus, const char *name, guint n_connections)
{
  g_autofree char *number = g_strdup_printf ("%u", n_connections);

  bus->client = spawn ((const char *const[]){ "/proc/self/exe", "--client", bus->address, name,
                                              number, NULL },
                       &bus->to_client, &bus->from_client);
  bench_bus_wait_for (bus, "ready");
}

int
bench_bus_get_client_fd (BenchBus *bus)
{
  return bus->from_client;
}

void
bench_bus_tell_client (BenchBus *bus, const char *line)
{
  if (write (bus->to_client, line, strlen (line)) < 0)
    g_error ("the other process is gone");
}

gint64
bench_bus_wait_for (BenchBus *bus, const char *word)
{
  char line[128];
  char *space;

  do
    {
      read_line (bus->from_client, line, sizeof line);
      space = strchr (line, ' ');
      if (space == NULL)
        g_error ("the other process said “%s”", line);
      *space = '\0';
    }
  while (strcmp (line, word) != 0);
  return g_ascii_strtoll (space + 1, NULL, 10);
}
