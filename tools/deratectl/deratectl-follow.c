/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl-follow.h"

#include <glib-unix.h>

typedef struct
{
  const DeratectlFollower *follower;
  gpointer data;
  GMainLoop *loop;
  char *owner; /* the unique name of the program, NULL while it is gone */
  gboolean bus_closed;
} Follow;

static void
on_signal (GDBusConnection *bus,
           const char *sender,
           const char *path,
           const char *interface,
           const char *signal,
           GVariant *parameters,
           gpointer data)
{
  Follow *follow = data;

  if (g_strcmp0 (sender, follow->owner) == 0 && follow->follower->heard != NULL)
    follow->follower->heard (path, interface, signal, parameters, follow->data);
}

static void
on_appeared (GDBusConnection *bus, const char *name, const char *owner, gpointer data)
{
  Follow *follow = data;

  g_free (follow->owner);
  follow->owner = g_strdup (owner);
  if (follow->follower->came != NULL)
    follow->follower->came (follow->data);
}

static void
on_vanished (GDBusConnection *bus, const char *name, gpointer data)
{
  Follow *follow = data;

  g_clear_pointer (&follow->owner, g_free);
  if (bus != NULL && follow->follower->gone != NULL)
    follow->follower->gone (follow->data);
}

static void
on_bus_closed (GDBusConnection *bus, gboolean remote_peer_vanished, GError *error, gpointer data)
{
  Follow *follow = data;

  follow->bus_closed = TRUE;
  g_main_loop_quit (follow->loop);
}

static gboolean
on_end (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_CONTINUE;
}

gboolean
deratectl_follow (DeratectlProgram *program,
                  GMainLoop *loop,
                  const DeratectlFollower *follower,
                  gpointer data,
                  GError **error)
{
  static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
  Follow follow = { .follower = follower, .data = data, .loop = loop };
  guint sources[G_N_ELEMENTS (ends)];
  guint subscription, watch;

  signal (SIGPIPE, SIG_DFL); /* GSocket has it ignored: a reader that left would go unnoticed */
  for (guint i = 0; i < G_N_ELEMENTS (ends); i++)
    sources[i] = g_unix_signal_add (ends[i], on_end, loop);
  g_signal_connect (program->bus, "closed", G_CALLBACK (on_bus_closed), &follow);
  /* By its name, so that nothing is missed when it is back. */
  subscription =
      g_dbus_connection_signal_subscribe (program->bus, program->bus_name, NULL, NULL, NULL, NULL,
                                          G_DBUS_SIGNAL_FLAGS_NONE, on_signal, &follow, NULL);
  watch = g_bus_watch_name_on_connection (program->bus, program->bus_name,
                                          G_BUS_NAME_WATCHER_FLAGS_NONE, on_appeared, on_vanished,
                                          &follow, NULL);
  g_main_loop_run (loop);
  g_bus_unwatch_name (watch);
  g_dbus_connection_signal_unsubscribe (program->bus, subscription);
  g_signal_handlers_disconnect_by_data (program->bus, &follow);
  for (guint i = 0; i < G_N_ELEMENTS (ends); i++)
    g_source_remove (sources[i]);
  g_free (follow.owner);
  if (follow.bus_closed)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED, "the message bus is gone");
  return !follow.bus_closed;
}
