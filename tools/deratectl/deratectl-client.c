/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

#include <string.h>
#include <unistd.h>

/* A program answers from a thread that does nothing slow: one that takes this long is stopped. */
int deratectl_read_timeout = 5000;
/* A change may ask polkit, which may ask a person. */
#define CHANGE_TIMEOUT_MS 120000

static GQuark
deratectl_error_quark (void)
{
  return g_quark_from_static_string ("deratectl-error-quark");
}
#define DERATECTL_ERROR (deratectl_error_quark ())

void
deratectl_program_free (DeratectlProgram *program)
{
  g_object_unref (program->bus);
  g_free (program->bus_name);
  g_free (program->name);
  g_free (program);
}

static GDBusConnection *
connect_to (const char *address, GError **error)
{
  return g_dbus_connection_new_for_address_sync (address,
                                                 G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                     G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                                 NULL, NULL, error);
}

/* The address of a session bus that is there already: looking must not start one. */
static char *
dup_session_address (void)
{
  const char *address = g_getenv ("DBUS_SESSION_BUS_ADDRESS");
  g_autofree char *socket = g_build_filename (g_get_user_runtime_dir (), "bus", NULL);

  if (address != NULL && *address != '\0')
    return g_strdup (address);
  if (g_file_test (socket, G_FILE_TEST_EXISTS))
    return g_strdup_printf ("unix:path=%s", socket);
  return NULL;
}

static char *
dup_system_address (void)
{
  return g_dbus_address_get_for_bus_sync (G_BUS_TYPE_SYSTEM, NULL, NULL);
}

/* The buses to look on: the one asked for, or the session's and the system's, whichever answer. */
static GPtrArray *
open_buses (GError **error)
{
  const DeratectlOptions *options = &deratectl_options;
  g_autoptr (GPtrArray) buses = g_ptr_array_new_with_free_func (g_object_unref);
  gboolean any = !options->session && !options->system && options->address == NULL;
  g_autofree char *session = any || options->session ? dup_session_address () : NULL;
  g_autofree char *system_bus = any || options->system ? dup_system_address () : NULL;
  const char *addresses[] = { options->address, session, system_bus };
  g_autoptr (GError) first = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (addresses); i++)
    {
      g_autoptr (GError) local = NULL;
      GDBusConnection *bus = addresses[i] != NULL ? connect_to (addresses[i], &local) : NULL;

      if (bus != NULL)
        g_ptr_array_add (buses, bus);
      else if (local != NULL && first == NULL)
        first = g_steal_pointer (&local);
    }
  if (buses->len > 0)
    return g_steal_pointer (&buses);
  if (first != NULL)
    g_propagate_prefixed_error (error, g_steal_pointer (&first), "no message bus: ");
  else
    g_set_error (error, DERATECTL_ERROR, DERATECTL_FAILED, "no message bus: no address is known");
  return NULL;
}

static gboolean
add_programs_of (GDBusConnection *bus, GPtrArray *programs, GError **error)
{
  g_autoptr (GVariant) reply =
      g_dbus_connection_call_sync (bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                   "org.freedesktop.DBus", "ListNames", NULL,
                                   G_VARIANT_TYPE ("(as)"), G_DBUS_CALL_FLAGS_NONE,
                                   deratectl_read_timeout, NULL, error);
  g_autofree const char **names = NULL;

  if (reply == NULL)
    return FALSE;
  g_variant_get (reply, "(^a&s)", &names);
  for (guint i = 0; names[i] != NULL; i++)
    {
      DeratectlProgram *program = NULL;

      if (!g_str_has_prefix (names[i], DERATECTL_NAME_PREFIX))
        continue;
      program = g_new0 (DeratectlProgram, 1);
      program->bus = g_object_ref (bus);
      program->bus_name = g_strdup (names[i]);
      program->name = g_strdup (names[i] + strlen (DERATECTL_NAME_PREFIX));
      g_ptr_array_add (programs, program);
    }
  return TRUE;
}

static int
compare_programs (gconstpointer a, gconstpointer b)
{
  const DeratectlProgram *const *x = a;
  const DeratectlProgram *const *y = b;

  return strcmp ((*x)->name, (*y)->name);
}

GPtrArray *
deratectl_find_programs (GError **error)
{
  g_autoptr (GPtrArray) buses = open_buses (error);
  g_autoptr (GPtrArray) programs = NULL;

  if (buses == NULL)
    return NULL;
  programs = g_ptr_array_new_with_free_func ((GDestroyNotify)deratectl_program_free);
  for (guint i = 0; i < buses->len; i++)
    if (!add_programs_of (g_ptr_array_index (buses, i), programs, error))
      return NULL;
  g_ptr_array_sort (programs, compare_programs);
  return g_steal_pointer (&programs);
}

static char *
join_names (GPtrArray *programs)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < programs->len; i++)
    {
      const DeratectlProgram *program = g_ptr_array_index (programs, i);

      g_string_append_printf (text, "%s%s", i == 0 ? "" : ", ", program->name);
    }
  return g_string_free (text, FALSE);
}

static gboolean
is_called (const DeratectlProgram *program, const char *name)
{
  return name == NULL || strcmp (program->name, name) == 0 || strcmp (program->bus_name, name) == 0;
}

DeratectlProgram *
deratectl_find_program (GError **error)
{
  const char *name = deratectl_options.name;
  g_autoptr (GPtrArray) programs = deratectl_find_programs (error);
  g_autofree char *names = NULL;
  guint n_found = 0;
  guint found = 0;

  if (programs == NULL)
    return NULL;
  for (guint i = 0; i < programs->len; i++)
    if (is_called (g_ptr_array_index (programs, i), name))
      {
        found = i;
        n_found++;
      }
  if (n_found == 1)
    return g_ptr_array_steal_index (programs, found);

  names = join_names (programs);
  if (n_found > 1)
    g_set_error (error, DERATECTL_ERROR, DERATECTL_USAGE, "several programs, choose by --name: %s",
                 names);
  else if (name != NULL && programs->len > 0)
    g_set_error (error, DERATECTL_ERROR, DERATECTL_NOT_FOUND, "no program “%s”; there are: %s",
                 name, names);
  else
    g_set_error (error, DERATECTL_ERROR, DERATECTL_NOT_FOUND,
                 "no program offers Derate on this bus");
  return NULL;
}

static GVariant *
call (DeratectlProgram *program,
      const char *interface,
      const char *method,
      GVariant *parameters,
      const char *reply_type,
      int timeout_ms,
      GError **error)
{
  GDBusCallFlags flags = G_DBUS_CALL_FLAGS_NO_AUTO_START;

  if (isatty (STDIN_FILENO))
    flags |= G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION;
  return g_dbus_connection_call_sync (program->bus, program->bus_name, DERATECTL_PATH, interface,
                                      method, parameters, G_VARIANT_TYPE (reply_type), flags,
                                      timeout_ms, NULL, error);
}

GVariant *
deratectl_read (DeratectlProgram *program,
                const char *method,
                GVariant *parameters,
                const char *reply_type,
                GError **error)
{
  return call (program, DERATECTL_MANAGER, method, parameters, reply_type, deratectl_read_timeout,
               error);
}

GVariant *
deratectl_change (DeratectlProgram *program,
                  const char *method,
                  GVariant *parameters,
                  const char *reply_type,
                  GError **error)
{
  return call (program, DERATECTL_ADMIN, method, parameters, reply_type, CHANGE_TIMEOUT_MS, error);
}

char *
deratectl_dump (DeratectlProgram *program, const char *what, GError **error)
{
  g_autoptr (GVariant) reply =
      deratectl_read (program, "Dump", g_variant_new ("(s)", what), "(s)", error);
  char *json = NULL;

  if (reply != NULL)
    g_variant_get (reply, "(s)", &json);
  return json;
}

static int
get_exit_of_derate_error (int code)
{
  switch (code)
    {
    case DERATE_ERROR_UNKNOWN_LEVEL:
    case DERATE_ERROR_UNKNOWN_MODE:
    case DERATE_ERROR_INVALID_ARGUMENT:
    case DERATE_ERROR_INVALID_TTL:
    case DERATE_ERROR_INVALID_REASON:
      return DERATECTL_USAGE;
    case DERATE_ERROR_NO_SUCH_HOLD:
    case DERATE_ERROR_NO_SUCH_DRILL:
    case DERATE_ERROR_NO_SUCH_SERVICE:
    case DERATE_ERROR_NO_SUCH_BREAKER:
      return DERATECTL_NOT_FOUND;
    case DERATE_ERROR_NOT_OWNER:
      return DERATECTL_DENIED;
    default:
      return DERATECTL_FAILED;
    }
}

int
deratectl_fail (const GError *error)
{
  g_autoptr (GError) copy = g_error_copy (error);
  g_autofree char *text = NULL;

  g_dbus_error_strip_remote_error (copy);
  text = deratectl_clean (copy->message);
  g_printerr ("deratectl: %s\n", text);

  if (error->domain == DERATECTL_ERROR)
    return error->code;
  if (error->domain == DERATE_ERROR)
    return get_exit_of_derate_error (error->code);
  if (g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED))
    return DERATECTL_DENIED;
  if (g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_SERVICE_UNKNOWN) ||
      g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_NAME_HAS_NO_OWNER))
    return DERATECTL_NOT_FOUND;
  return DERATECTL_FAILED;
}

const char *
deratectl_get_who (void)
{
  const char *behind_sudo = g_getenv ("SUDO_USER");

  return behind_sudo != NULL && *behind_sudo != '\0' ? behind_sudo : g_get_user_name ();
}
