/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* One interface on one object. It stores no property: each is read when somebody asks, so that what
 * the bus hears is never older than the question, and none can be set.
 *
 * Lives in the context that was the thread's default when it was exported. */
#define DERATE_TYPE_DBUS_VIEW (derate_dbus_view_get_type ())
G_DECLARE_FINAL_TYPE (DerateDbusView, derate_dbus_view, DERATE, DBUS_VIEW, GDBusInterfaceSkeleton)

/* Every property of the interface as it is now: a{sv}, floating. */
typedef GVariant *(*DerateDbusRead) (gpointer owner);

/* Takes @invocation and answers it, now or later. */
typedef void (*DerateDbusCall) (gpointer               owner,
                                GDBusMethodInvocation *invocation);

/* @owner must stay valid until detach (); @read and @call may be NULL where the interface has no
 * properties or no methods. */
DerateDbusView *derate_dbus_view_new (const GDBusInterfaceInfo *info,
                                      gpointer                  owner,
                                      DerateDbusRead            read,
                                      DerateDbusCall            call);

/* Tells the bus at once of the properties that changed since the last time. */
void derate_dbus_view_refresh (DerateDbusView *view);

/* @destination NULL: everybody. @parameters may be floating. */
void derate_dbus_view_emit (DerateDbusView *view,
                            const char     *destination,
                            const char     *signal,
                            GVariant       *parameters);

/* Takes it off the bus; its owner is not called again. */
void derate_dbus_view_detach (DerateDbusView *view);

G_END_DECLS
