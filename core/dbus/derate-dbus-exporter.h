/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-core.h>
#include <gio/gio.h>

G_BEGIN_DECLS

#define DERATE_TYPE_DBUS_EXPORTER (derate_dbus_exporter_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateDbusExporter, derate_dbus_exporter, DERATE, DBUS_EXPORTER, GObject)

DERATE_AVAILABLE_IN_1_0
DerateDbusExporter *derate_dbus_exporter_new (DerateCore      *core,
                                              GDBusConnection *connection,
                                              GError         **error);

DERATE_AVAILABLE_IN_1_0
const char *derate_dbus_exporter_get_bus_name (DerateDbusExporter *exporter);

DERATE_AVAILABLE_IN_1_0
DerateCore *derate_dbus_exporter_get_core (DerateDbusExporter *exporter);

DERATE_AVAILABLE_IN_1_0
GDBusConnection *derate_dbus_exporter_get_connection (DerateDbusExporter *exporter);

DERATE_AVAILABLE_IN_1_0
void derate_dbus_exporter_stop (DerateDbusExporter *exporter);

G_END_DECLS
