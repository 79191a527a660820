/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* Callers that something is bound to: each is watched until it leaves the bus, and one that had
 * left before is found out, too. */
typedef struct _DerateDbusBonds DerateDbusBonds;

typedef void (*DerateDbusVanished) (gpointer    owner,
                                    const char *sender);

DerateDbusBonds *derate_dbus_bonds_new (GDBusConnection   *connection,
                                        DerateDbusVanished func,
                                        gpointer           owner);
void derate_dbus_bonds_add (DerateDbusBonds *bonds,
                            const char      *sender);

/* Lets go of all of them, as if they had vanished. */
void derate_dbus_bonds_free (DerateDbusBonds *bonds);

G_END_DECLS
