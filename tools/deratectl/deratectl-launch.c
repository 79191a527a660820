/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl-launch.h"

#include <glib-unix.h>
#include <signal.h>
#include <string.h>

typedef struct
{
  GMainLoop *loop;
  GSubprocess *child;
  const char *id;
  gboolean released;
} Launch;

static void
on_child_ended (GObject *source, GAsyncResult *result, gpointer data)
{
  Launch *launch = data;

  g_subprocess_wait_finish (launch->child, result, NULL);
  g_main_loop_quit (launch->loop);
}

/* The command goes on: to stop it half-way is not ours to decide. */
static void
on_hold_released (GDBusConnection *bus,
                  const char *sender,
                  const char *path,
                  const char *interface,
                  const char *signal,
                  GVariant *parameters,
                  gpointer data)
{
  Launch *launch = data;
  const char *id = NULL;
  const char *cause = NULL;

  if (!g_variant_is_of_type (parameters, G_VARIANT_TYPE ("(ss)")))
    return;
  g_variant_get (parameters, "(&s&s)", &id, &cause);
  if (strcmp (id, launch->id) != 0 || launch->released)
    return;
  launch->released = TRUE;
  g_printerr ("deratectl: hold %s ended before the command: %s\n", id, cause);
}

static void
on_bus_closed (GDBusConnection *bus, gboolean remote_peer_vanished, GError *error, gpointer data)
{
  Launch *launch = data;

  launch->released = TRUE;
  g_printerr ("deratectl: hold %s ended before the command: the bus is gone\n", launch->id);
}

static gboolean
on_terminate (gpointer data)
{
  Launch *launch = data;

  g_subprocess_send_signal (launch->child, SIGTERM);
  return G_SOURCE_CONTINUE;
}

/* The terminal has sent it to the command as well, which knows what to do. */
static gboolean
on_interrupt (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

static int
get_exit (GSubprocess *child)
{
  if (g_subprocess_get_if_exited (child))
    return g_subprocess_get_exit_status (child);
  return 128 + g_subprocess_get_term_sig (child);
}

static void
release (Launch *launch, DeratectlProgram *program)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = NULL;

  if (launch->released)
    return;
  launch->released = TRUE;
  reply = deratectl_change (program, "Release", g_variant_new ("(s)", launch->id), "()", &error);
  if (reply == NULL)
    deratectl_fail (error);
}

int
deratectl_launch (DeratectlProgram *program, const char *id, char **command)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GSubprocess) child = NULL;
  Launch launch = { .loop = loop, .id = id };
  guint watch = 0;
  guint signals[3];

  watch = g_dbus_connection_signal_subscribe (program->bus, program->bus_name, DERATECTL_ADMIN,
                                              "HoldReleased", DERATECTL_PATH, NULL,
                                              G_DBUS_SIGNAL_FLAGS_NONE, on_hold_released, &launch,
                                              NULL);
  g_signal_connect (program->bus, "closed", G_CALLBACK (on_bus_closed), &launch);
  /* Before the command is there, lest a signal ends us and not it; they are looked at in the loop.
   */
  signals[0] = g_unix_signal_add (SIGTERM, on_terminate, &launch);
  signals[1] = g_unix_signal_add (SIGHUP, on_terminate, &launch);
  signals[2] = g_unix_signal_add (SIGINT, on_interrupt, &launch);
  child =
      g_subprocess_newv ((const char *const *)command, G_SUBPROCESS_FLAGS_STDIN_INHERIT, &error);
  if (child != NULL)
    {
      launch.child = child;
      g_subprocess_wait_async (child, NULL, on_child_ended, &launch);
      g_main_loop_run (loop);
    }
  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    g_source_remove (signals[i]);
  g_dbus_connection_signal_unsubscribe (program->bus, watch);
  g_signal_handlers_disconnect_by_data (program->bus, &launch);
  release (&launch, program);
  return child != NULL ? get_exit (child) : deratectl_fail (error);
}
