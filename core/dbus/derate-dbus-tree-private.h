/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-core-private.h"
#include "derate-dbus-inbox-private.h"

G_BEGIN_DECLS

/* The objects of the services and breakers, and the ObjectManager above them. */
typedef struct _DerateDbusTree DerateDbusTree;

/* Wakes @inbox whenever there is news of them. */
DerateDbusTree *
derate_dbus_tree_new (DerateCore *core, GDBusConnection *connection, DerateDbusInbox *inbox);

/* Adds what is new, takes off what is gone, and tells of properties that changed. */
void derate_dbus_tree_refresh (DerateDbusTree *tree, DerateCore *core);

void derate_dbus_tree_free (DerateDbusTree *tree);

G_END_DECLS
