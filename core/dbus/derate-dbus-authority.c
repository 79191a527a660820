/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-dbus-authority-private.h"

#include <unistd.h>

#include "derate-names-private.h"

/* A check goes through these steps, each of which may wait: the caller's uid; a connection to the
 * system bus; polkit. */

#define BUS_TIMEOUT_MS 5000
#define POLKIT_ALLOW_INTERACTION 1
/* Unique names are never used again, so what is known of one stays true; this bounds the memory. */
#define MAX_KNOWN_UIDS 256

struct _DerateDbusAuthority
{
  GObject parent_instance;

  GDBusConnection *connection;
  GDBusConnection *system; /* our own, opened when first needed */
  GHashTable *uids; /* (element-type utf8 guint) by unique name */
};

G_DEFINE_FINAL_TYPE (DerateDbusAuthority, derate_dbus_authority, G_TYPE_OBJECT)

typedef struct
{
  GDBusMethodInvocation *invocation;
  DerateDbusRight right;
  guint uid;
  gboolean privileged;
} Check;

static void
check_free (Check *check)
{
  g_object_unref (check->invocation);
  g_free (check);
}

static void
derate_dbus_authority_finalize (GObject *object)
{
  DerateDbusAuthority *authority = DERATE_DBUS_AUTHORITY (object);

  g_clear_object (&authority->connection);
  g_clear_object (&authority->system);
  g_clear_pointer (&authority->uids, g_hash_table_unref);
  G_OBJECT_CLASS (derate_dbus_authority_parent_class)->finalize (object);
}

static void
derate_dbus_authority_class_init (DerateDbusAuthorityClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_dbus_authority_finalize;
}

static void
derate_dbus_authority_init (DerateDbusAuthority *authority)
{
  authority->uids = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
}

DerateDbusAuthority *
derate_dbus_authority_new (GDBusConnection *connection)
{
  DerateDbusAuthority *authority = g_object_new (DERATE_TYPE_DBUS_AUTHORITY, NULL);

  authority->connection = g_object_ref (connection);
  return authority;
}

static const char *
get_action (DerateDbusRight right)
{
  switch (right)
    {
    case DERATE_DBUS_RIGHT_HOLD:
      return DERATE_POLKIT_HOLD;
    case DERATE_DBUS_RIGHT_HOLD_EXACT:
      return DERATE_POLKIT_HOLD_EXACT;
    case DERATE_DBUS_RIGHT_MANAGE:
    default:
      return DERATE_POLKIT_MANAGE;
    }
}

static void
deny (GTask *task)
{
  Check *check = g_task_get_task_data (task);

  g_task_return_new_error (task, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED, "uid %u may not call %s",
                           check->uid,
                           g_dbus_method_invocation_get_method_name (check->invocation));
}

static void
on_polkit_answered (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = G_TASK (data);
  Check *check = g_task_get_task_data (task);
  g_autoptr (GVariant) reply =
      g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, NULL);
  gboolean authorized = FALSE;

  if (reply != NULL)
    g_variant_get (reply, "((bba{ss}))", &authorized, NULL, NULL);
  if (!authorized)
    {
      deny (task);
      return;
    }
  check->privileged = check->right == DERATE_DBUS_RIGHT_MANAGE;
  g_task_return_boolean (task, TRUE);
}

/* Whether our connection and that of the system's bus are to the same bus. Elsewhere anybody could
 * call himself polkit. */
static gboolean
is_on_system_bus (DerateDbusAuthority *authority)
{
  return g_strcmp0 (g_dbus_connection_get_guid (authority->connection),
                    g_dbus_connection_get_guid (authority->system)) == 0;
}

static void
ask_polkit (GTask *task)
{
  DerateDbusAuthority *authority = g_task_get_source_object (task);
  Check *check = g_task_get_task_data (task);
  GDBusMessage *message = g_dbus_method_invocation_get_message (check->invocation);
  gboolean interactive =
      g_dbus_message_get_flags (message) & G_DBUS_MESSAGE_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION;
  GVariantBuilder subject;

  if (!is_on_system_bus (authority))
    {
      deny (task);
      return;
    }
  g_variant_builder_init (&subject, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&subject, "{sv}", "name",
                         g_variant_new_string (
                             g_dbus_method_invocation_get_sender (check->invocation)));
  g_dbus_connection_call (authority->system, "org.freedesktop.PolicyKit1",
                          "/org/freedesktop/PolicyKit1/Authority",
                          "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization",
                          g_variant_new ("((sa{sv})sa{ss}us)", "system-bus-name", &subject,
                                         get_action (check->right), NULL,
                                         interactive ? POLKIT_ALLOW_INTERACTION : 0, ""),
                          G_VARIANT_TYPE ("((bba{ss}))"), G_DBUS_CALL_FLAGS_NONE,
                          interactive ? G_MAXINT : BUS_TIMEOUT_MS, NULL, on_polkit_answered,
                          g_object_ref (task));
}

static void
on_system_bus (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = G_TASK (data);
  DerateDbusAuthority *authority = g_task_get_source_object (task);
  GDBusConnection *system = g_dbus_connection_new_for_address_finish (result, NULL);

  if (system == NULL)
    {
      deny (task);
      return;
    }
  g_clear_object (&authority->system);
  authority->system = system;
  ask_polkit (task);
}

/* A connection of our own: the shared one of g_bus_get () ends the program when the bus ends. */
static void
open_system_bus (GTask *task)
{
  DerateDbusAuthority *authority = g_task_get_source_object (task);
  g_autofree char *address = NULL;

  if (authority->system != NULL && !g_dbus_connection_is_closed (authority->system))
    {
      ask_polkit (task);
      return;
    }
  address = g_dbus_address_get_for_bus_sync (G_BUS_TYPE_SYSTEM, NULL, NULL);
  if (address == NULL)
    {
      deny (task);
      return;
    }
  g_dbus_connection_new_for_address (address,
                                     G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                         G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                     NULL, NULL, on_system_bus, g_object_ref (task));
}

static void
judge (GTask *task, guint uid)
{
  Check *check = g_task_get_task_data (task);

  check->uid = uid;
  check->privileged = uid == 0 || uid == geteuid ();
  if (check->privileged)
    g_task_return_boolean (task, TRUE);
  else
    open_system_bus (task);
}

static void
on_uid (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = G_TASK (data);
  DerateDbusAuthority *authority = g_task_get_source_object (task);
  Check *check = g_task_get_task_data (task);
  g_autoptr (GVariant) reply =
      g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, NULL);
  guint uid = 0;

  if (reply == NULL)
    {
      g_task_return_new_error (task, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED,
                               "the bus does not say who calls");
      return;
    }
  g_variant_get (reply, "(u)", &uid);
  if (g_hash_table_size (authority->uids) >= MAX_KNOWN_UIDS)
    g_hash_table_remove_all (authority->uids);
  g_hash_table_insert (authority->uids,
                       g_strdup (g_dbus_method_invocation_get_sender (check->invocation)),
                       GUINT_TO_POINTER (uid));
  judge (task, uid);
}

void
derate_dbus_authority_check_async (DerateDbusAuthority *authority,
                                   GDBusMethodInvocation *invocation,
                                   DerateDbusRight right,
                                   GAsyncReadyCallback callback,
                                   gpointer user_data)
{
  GTask *task = g_task_new (authority, NULL, callback, user_data);
  const char *sender = g_dbus_method_invocation_get_sender (invocation);
  Check *check = g_new0 (Check, 1);
  gpointer uid = NULL;

  check->invocation = g_object_ref (invocation);
  check->right = right;
  g_task_set_source_tag (task, derate_dbus_authority_check_async);
  g_task_set_task_data (task, check, (GDestroyNotify)check_free);

  if (g_hash_table_lookup_extended (authority->uids, sender, NULL, &uid))
    judge (task, GPOINTER_TO_UINT (uid));
  else
    g_dbus_connection_call (authority->connection, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                            "org.freedesktop.DBus", "GetConnectionUnixUser",
                            g_variant_new ("(s)", sender), G_VARIANT_TYPE ("(u)"),
                            G_DBUS_CALL_FLAGS_NONE, BUS_TIMEOUT_MS, NULL, on_uid,
                            g_object_ref (task));
  g_object_unref (task);
}

gboolean
derate_dbus_authority_check_finish (DerateDbusAuthority *authority,
                                    GAsyncResult *result,
                                    guint *uid,
                                    gboolean *privileged,
                                    GError **error)
{
  Check *check = g_task_get_task_data (G_TASK (result));

  g_return_val_if_fail (g_task_is_valid (result, authority), FALSE);

  *uid = check->uid;
  *privileged = check->privileged;
  return g_task_propagate_boolean (G_TASK (result), error);
}
