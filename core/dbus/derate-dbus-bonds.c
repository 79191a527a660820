/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-dbus-bonds-private.h"

struct _DerateDbusBonds
{
  GDBusConnection *connection;
  DerateDbusVanished func;
  gpointer owner;
  GHashTable *watches; /* (element-type utf8 guint) by unique name */
};

DerateDbusBonds *
derate_dbus_bonds_new (GDBusConnection *connection, DerateDbusVanished func, gpointer owner)
{
  DerateDbusBonds *bonds = g_new0 (DerateDbusBonds, 1);

  bonds->connection = g_object_ref (connection);
  bonds->func = func;
  bonds->owner = owner;
  bonds->watches = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return bonds;
}

/* Also called, with no connection, when the bus itself is gone: nobody can be seen any more. */
static void
on_vanished (GDBusConnection *connection, const char *name, gpointer data)
{
  DerateDbusBonds *bonds = data;
  g_autofree char *sender = g_strdup (name);
  gpointer watch = NULL;

  if (!g_hash_table_lookup_extended (bonds->watches, sender, NULL, &watch))
    return;
  g_hash_table_remove (bonds->watches, sender);
  g_bus_unwatch_name (GPOINTER_TO_UINT (watch));
  bonds->func (bonds->owner, sender);
}

void
derate_dbus_bonds_add (DerateDbusBonds *bonds, const char *sender)
{
  guint watch = 0;

  if (g_hash_table_contains (bonds->watches, sender))
    return;
  watch = g_bus_watch_name_on_connection (bonds->connection, sender, G_BUS_NAME_WATCHER_FLAGS_NONE,
                                          NULL, on_vanished, bonds, NULL);
  g_hash_table_insert (bonds->watches, g_strdup (sender), GUINT_TO_POINTER (watch));
}

void
derate_dbus_bonds_free (DerateDbusBonds *bonds)
{
  GHashTableIter iter;
  gpointer sender = NULL;
  gpointer watch = NULL;

  g_hash_table_iter_init (&iter, bonds->watches);
  while (g_hash_table_iter_next (&iter, &sender, &watch))
    {
      g_bus_unwatch_name (GPOINTER_TO_UINT (watch));
      bonds->func (bonds->owner, sender);
    }
  g_hash_table_unref (bonds->watches);
  g_object_unref (bonds->connection);
  g_free (bonds);
}
