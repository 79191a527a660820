/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "case-client.h"

#include <derate.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "case-bus.h"
#include "derate-names-private.h"

/* Each takes a hold and gives it back. There is room for a hundred holds: who finds none waits
 * until another has given back. */
typedef struct
{
  const char *name; /* of the program on the bus */
  GPtrArray *connections;
  GQueue waiting; /* (element-type guint) numbers of connections */
  guint held;
  guint done;
} Storm;

typedef struct
{
  Storm *storm;
  guint number;
} Caller;

static void
say (const char *word, gint64 ns)
{
  printf ("%s %" G_GINT64_FORMAT "\n", word, ns);
  fflush (stdout);
}

static void
send (Caller *caller, const char *method, GVariant *parameters, GAsyncReadyCallback callback)
{
  g_dbus_connection_call (g_ptr_array_index (caller->storm->connections, caller->number),
                          caller->storm->name, DERATE_DBUS_PATH, DERATE_DBUS_IFACE_ADMIN, method,
                          parameters, NULL, G_DBUS_CALL_FLAGS_NONE, G_MAXINT, NULL, callback,
                          caller);
}

static void take_hold (Storm *storm, guint number);

static void
on_released (GObject *connection, GAsyncResult *result, gpointer data)
{
  g_autofree Caller *caller = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply =
      g_dbus_connection_call_finish (G_DBUS_CONNECTION (connection), result, &error);
  Storm *storm = caller->storm;

  if (reply == NULL)
    g_error ("%s", error->message);
  storm->held--;
  storm->done++;
  for (guint i = 0; i < 2 && !g_queue_is_empty (&storm->waiting); i++)
    take_hold (storm, GPOINTER_TO_UINT (g_queue_pop_tail (&storm->waiting)));
  if (storm->done == storm->connections->len)
    say ("done", bench_get_ns ());
}

static void
on_held (GObject *connection, GAsyncResult *result, gpointer data)
{
  Caller *caller = data;
  Storm *storm = caller->storm;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply =
      g_dbus_connection_call_finish (G_DBUS_CONNECTION (connection), result, &error);
  guint number = caller->number;

  if (reply != NULL)
    {
      storm->held++;
      send (caller, "Release", reply, on_released);
      return;
    }
  if (!g_error_matches (error, DERATE_ERROR, DERATE_ERROR_LIMIT_EXCEEDED))
    g_error ("%s", error->message);
  g_free (caller);
  if (storm->held > 0)
    g_queue_push_tail (&storm->waiting, GUINT_TO_POINTER (number));
  else
    take_hold (storm, number);
}

/* Most are bound to their caller, which has to be watched for them. */
static void
take_hold (Storm *storm, guint number)
{
  static const char *const levels[] = { "degraded", "limited", "minimal", "emergency" };
  Caller *caller = g_new (Caller, 1);
  guint64 ttl = number % 20 != 0 ? 0 : G_TIME_SPAN_HOUR;

  *caller = (Caller){ storm, number };
  send (caller, "Hold",
        g_variant_new ("(ssssta{sv})", levels[number % G_N_ELEMENTS (levels)],
                       number % 3 == 0 ? "exact" : "at-least", "a caller", "storm", ttl, NULL),
        on_held);
}

static void
on_signal (GDBusConnection *connection,
           const char *sender,
           const char *path,
           const char *interface,
           const char *signal,
           GVariant *parameters,
           gpointer data)
{
  gint64 now = bench_get_ns ();
  Storm *storm = data;
  const char *level = NULL;

  if (storm->connections->len > 0) /* who waits for the end of a storm is not to wait for more */
    return;
  if (strcmp (signal, BENCH_SIGNAL) == 0)
    {
      say ("bare", now);
      return;
    }
  g_variant_get_child (parameters, 1, "&s", &level);
  say (level, now);
}

static void
listen (GDBusConnection *connection, const char *interface, const char *signal, Storm *storm)
{
  g_dbus_connection_signal_subscribe (connection, NULL, interface, signal, DERATE_DBUS_PATH, NULL,
                                      G_DBUS_SIGNAL_FLAGS_NONE, on_signal, storm, NULL);
}

static gboolean
on_line (GIOChannel *input, GIOCondition condition, gpointer data)
{
  Storm *storm = data;
  char line[64];

  if (fgets (line, sizeof line, stdin) == NULL)
    exit (0);
  storm->done = 0;
  for (guint i = 0; i < storm->connections->len; i++)
    take_hold (storm, i);
  return G_SOURCE_CONTINUE;
}

int
bench_client_main (const char *address, const char *name, const char *n_connections)
{
  guint n = (guint)g_ascii_strtoull (n_connections, NULL, 10);
  g_autoptr (GDBusConnection) connection = bench_bus_connect (address);
  g_autoptr (GIOChannel) input = g_io_channel_unix_new (0);
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GVariant) reply = NULL;
  Storm storm = { .name = name };

  (void)DERATE_ERROR; /* so that GDBus knows its names */
  g_queue_init (&storm.waiting);
  storm.connections = g_ptr_array_new_with_free_func (g_object_unref);
  for (guint i = 0; i < n; i++)
    g_ptr_array_add (storm.connections, bench_bus_connect (address));
  listen (connection, DERATE_DBUS_IFACE_MANAGER, "LevelChanged", &storm);
  listen (connection, BENCH_INTERFACE, BENCH_SIGNAL, &storm);
  /* The bus answers in order: now it knows of both. */
  reply = g_dbus_connection_call_sync (connection, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                       "org.freedesktop.DBus", "GetId", NULL, NULL,
                                       G_DBUS_CALL_FLAGS_NONE, -1, NULL, NULL);
  setvbuf (stdin, NULL, _IONBF, 0);
  g_io_add_watch (input, G_IO_IN | G_IO_HUP, on_line, &storm);
  say ("ready", bench_get_ns ());
  g_main_loop_run (loop);
  return 0;
}
