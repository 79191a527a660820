/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derated-bus.h"

#include <string.h>

/* How long a bus takes at most to give a name. */
#define NAME_SECONDS 5

/* The address of the bus; NULL with no error: none. */
static char *
find_address (DerateCore *core, const DeratedOptions *options, GError **error)
{
  const char *bus = derate_config_get_text (derate_core_get_config (core), "dbus", "bus", "none");

  if (options->address != NULL)
    return g_strdup (options->address);
  if (options->session || (!options->system && strcmp (bus, "session") == 0))
    return g_dbus_address_get_for_bus_sync (G_BUS_TYPE_SESSION, NULL, error);
  if (options->system || strcmp (bus, "system") == 0)
    return g_dbus_address_get_for_bus_sync (G_BUS_TYPE_SYSTEM, NULL, error);
  return NULL;
}

static void
on_named (DerateDbusExporter *exporter, GParamSpec *pspec, gpointer data)
{
  const char *name = derate_dbus_exporter_get_bus_name (exporter);

  if (name != NULL)
    g_message ("on the bus as %s", name);
  else
    g_warning ("no longer on the bus; the rest goes on");
}

/* The policy of a bus refuses without a word that could be heard otherwise. */
static gboolean
on_name_late (gpointer data)
{
  g_autoptr (GObject) exporter = g_weak_ref_get (data);

  if (exporter != NULL &&
      derate_dbus_exporter_get_bus_name (DERATE_DBUS_EXPORTER (exporter)) == NULL)
    g_warning ("the bus gave no name: does its policy allow it? See derated(8)");
  return G_SOURCE_REMOVE;
}

static void
weak_ref_free (gpointer data)
{
  g_weak_ref_clear (data);
  g_free (data);
}

static void
watch_name (DerateDbusExporter *exporter)
{
  GWeakRef *weak = g_new0 (GWeakRef, 1);

  g_weak_ref_init (weak, exporter);
  g_signal_connect (exporter, "notify::bus-name", G_CALLBACK (on_named), NULL);
  g_timeout_add_seconds_full (G_PRIORITY_DEFAULT, NAME_SECONDS, on_name_late, weak, weak_ref_free);
}

gboolean
derated_bus_export (DerateCore *core,
                    const DeratedOptions *options,
                    DerateDbusExporter **exporter,
                    GError **error)
{
  g_autoptr (GDBusConnection) connection = NULL;
  g_autoptr (GError) local = NULL;
  g_autofree char *address = find_address (core, options, &local);

  *exporter = NULL;
  if (address != NULL)
    connection =
        g_dbus_connection_new_for_address_sync (address,
                                                G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                    G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                                NULL, NULL, &local);
  if (local != NULL)
    {
      g_propagate_prefixed_error (error, g_steal_pointer (&local), "no message bus: ");
      return FALSE;
    }
  if (connection == NULL)
    return TRUE;
  *exporter = derate_dbus_exporter_new (core, connection, error);
  if (*exporter == NULL)
    return FALSE;
  watch_name (*exporter);
  return TRUE;
}
