/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* What a caller may be allowed; each is an action of polkit. */
typedef enum
{
  DERATE_DBUS_RIGHT_HOLD,
  DERATE_DBUS_RIGHT_HOLD_EXACT,
  DERATE_DBUS_RIGHT_MANAGE,
} DerateDbusRight;

/* Who may do what: uid 0 and the program's own uid everything; anybody else what polkit allows,
 * where the connection is to the system bus and polkit answers there; otherwise nothing. */
#define DERATE_TYPE_DBUS_AUTHORITY (derate_dbus_authority_get_type ())
G_DECLARE_FINAL_TYPE (DerateDbusAuthority, derate_dbus_authority, DERATE, DBUS_AUTHORITY, GObject)

DerateDbusAuthority *derate_dbus_authority_new (GDBusConnection *connection);

void derate_dbus_authority_check_async (DerateDbusAuthority   *authority,
                                        GDBusMethodInvocation *invocation,
                                        DerateDbusRight        right,
                                        GAsyncReadyCallback    callback,
                                        gpointer               user_data);

/* FALSE with G_DBUS_ERROR_ACCESS_DENIED. @uid: of the caller. @privileged: root or the program's
 * own user, or one whom polkit lets manage. */
gboolean derate_dbus_authority_check_finish (DerateDbusAuthority *authority,
                                             GAsyncResult        *result,
                                             guint               *uid,
                                             gboolean            *privileged,
                                             GError             **error);

G_END_DECLS
