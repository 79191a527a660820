/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl-monitor.h"

#include <stdio.h>
#include <string.h>

#include "deratectl-follow.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"
#define OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"
#define ANSWER_TIMEOUT_MS 5000
#define RETRY_MS 1000

/* Each thing is known from what the program answers once it is there, and from its signals after
 * that: what it emits before it has answered is in the answer. */
typedef struct
{
  DeratectlProgram *program;
  DeratectlThings *things;
  DeratectlLists *lists;
  GCancellable *incarnation; /* of the program: cancelled when it is gone */
  gboolean objects_known;
  gboolean manager_known;
  gboolean complained;
} Monitor;

static gboolean as_json;

void
deratectl_append_members (GVariantBuilder *builder, GVariant *members)
{
  GVariantIter iter;
  GVariant *member = NULL;

  g_variant_iter_init (&iter, members);
  while ((member = g_variant_iter_next_value (&iter)) != NULL)
    {
      g_variant_builder_add_value (builder, member);
      g_variant_unref (member);
    }
}

void
deratectl_tell (const char *kind, GVariant *details, const char *text)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (details);
  double now = (double)(g_get_real_time () / G_TIME_SPAN_MILLISECOND) / 1e3;
  g_autofree char *instant = deratectl_format_instant (now);
  g_autofree char *clean = deratectl_clean (text);
  g_autofree char *json = NULL;
  GVariantBuilder builder;

  if (!as_json)
    {
      g_print ("%s  %-7s  %s\n", instant, kind, clean);
      return;
    }
  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&builder, "{sv}", "time", g_variant_new_double (now));
  g_variant_builder_add (&builder, "{sv}", "event", g_variant_new_string (kind));
  deratectl_append_members (&builder, owned);
  json = derate_json_from_variant (g_variant_builder_end (&builder));
  puts (json); /* UTF-8 whatever the locale, which g_print () would convert to */
  fflush (stdout);
}

static void
tell_program (Monitor *monitor, const char *level)
{
  const char *name = monitor->program->name;
  g_autofree char *text = level != NULL ? g_strdup_printf ("%s there, %s", name, level)
                                        : g_strdup_printf ("%s gone", name);

  deratectl_tell ("program",
                  g_variant_new_parsed ("{'name': <%s>, 'there': <%b>, 'level': <%@ms>}", name,
                                        level != NULL,
                                        g_variant_new_maybe (G_VARIANT_TYPE_STRING,
                                                             level != NULL
                                                                 ? g_variant_new_string (level)
                                                                 : NULL)),
                  text);
}

/* "s3 down, redis down": what of @inputs is not healthy. */
static char *
describe_inputs (GVariant *inputs)
{
  GString *text = g_string_new (NULL);
  GVariantIter iter;
  const char *name = NULL;
  const char *status = NULL;

  g_variant_iter_init (&iter, inputs);
  while (g_variant_iter_loop (&iter, "{&s&s}", &name, &status))
    if (strcmp (status, "healthy") != 0)
      g_string_append_printf (text, "%s%s %s", text->len > 0 ? ", " : ": ", name, status);
  return g_string_free (text, FALSE);
}

static void
tell_level (GVariant *parameters)
{
  g_autoptr (GVariant) details = NULL;
  g_autoptr (GVariant) inputs = NULL;
  g_autofree char *text = NULL;
  g_autofree char *described = NULL;
  const char *from = NULL;
  const char *to = NULL;
  const char *rule = NULL;
  const char *computed = "";
  const char *hold = "";

  if (!g_variant_is_of_type (parameters, G_VARIANT_TYPE ("(sssa{sv})")))
    return;
  g_variant_get (parameters, "(&s&s&s@a{sv})", &from, &to, &rule, &details);
  g_variant_lookup (details, "computed", "&s", &computed);
  g_variant_lookup (details, "hold", "&s", &hold);
  if (!g_variant_lookup (details, "inputs", "@a{ss}", &inputs))
    inputs = g_variant_ref_sink (g_variant_new ("a{ss}", NULL));
  described = describe_inputs (inputs);
  text = *hold != '\0' ? g_strdup_printf ("%s, was %s  (hold %s)", to, from, hold)
                       : g_strdup_printf ("%s, was %s  (%s%s)", to, from, rule, described);
  deratectl_tell ("level",
                  g_variant_new_parsed ("{'from': <%s>, 'to': <%s>, 'rule': <%s>,"
                                        " 'computed': <%s>, 'inputs': <%@a{ss}>, 'hold': <%@ms>}",
                                        from, to, rule, computed, inputs,
                                        g_variant_new_maybe (G_VARIANT_TYPE_STRING,
                                                             *hold != '\0'
                                                                 ? g_variant_new_string (hold)
                                                                 : NULL)),
                  text);
}

static void ask_all (Monitor *monitor);

static gboolean
on_retry (gpointer data)
{
  Monitor *monitor = data;

  if (monitor->incarnation != NULL && !monitor->manager_known)
    ask_all (monitor);
  return G_SOURCE_REMOVE;
}

static void
on_manager (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply =
      g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);
  g_autoptr (GVariant) properties = NULL;
  Monitor *monitor = data;
  const char *level = "unknown";

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  if (reply == NULL)
    {
      if (!monitor->complained)
        deratectl_fail (error);
      monitor->complained = TRUE;
      g_timeout_add (RETRY_MS, on_retry, monitor);
      return;
    }
  monitor->complained = FALSE;
  monitor->manager_known = TRUE;
  properties = g_variant_get_child_value (reply, 0);
  g_variant_lookup (properties, "Level", "&s", &level);
  tell_program (monitor, level);
  deratectl_lists_take (monitor->lists, properties);
}

static void
on_objects (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply =
      g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);
  g_autoptr (GVariant) objects = NULL;
  Monitor *monitor = data;

  if (reply == NULL) /* on_manager () says so */
    return;
  monitor->objects_known = TRUE;
  objects = g_variant_get_child_value (reply, 0);
  deratectl_things_take_all (monitor->things, objects);
}

static void
ask (Monitor *monitor,
     const char *interface,
     const char *method,
     GVariant *parameters,
     const char *reply_type,
     GAsyncReadyCallback callback)
{
  g_dbus_connection_call (monitor->program->bus, monitor->program->bus_name, DERATECTL_PATH,
                          interface, method, parameters, G_VARIANT_TYPE (reply_type),
                          G_DBUS_CALL_FLAGS_NO_AUTO_START, ANSWER_TIMEOUT_MS, monitor->incarnation,
                          callback, monitor);
}

static void
forget_incarnation (Monitor *monitor)
{
  if (monitor->incarnation != NULL)
    g_cancellable_cancel (monitor->incarnation);
  g_clear_object (&monitor->incarnation);
  monitor->manager_known = FALSE;
  monitor->objects_known = FALSE;
}

static void
ask_all (Monitor *monitor)
{
  ask (monitor, PROPERTIES, "GetAll", g_variant_new ("(s)", DERATECTL_MANAGER), "(a{sv})",
       on_manager);
  ask (monitor, OBJECT_MANAGER, "GetManagedObjects", NULL, "(a{oa{sa{sv}}})", on_objects);
}

static void
on_came (gpointer data)
{
  Monitor *monitor = data;

  forget_incarnation (monitor);
  monitor->incarnation = g_cancellable_new ();
  ask_all (monitor);
}

static void
on_gone (gpointer data)
{
  forget_incarnation (data);
  tell_program (data, NULL);
}

static void
take_properties (Monitor *monitor, const char *path, GVariant *parameters)
{
  g_autoptr (GVariant) properties = NULL;
  const char *interface = NULL;

  if (!g_variant_is_of_type (parameters, G_VARIANT_TYPE ("(sa{sv}as)")))
    return;
  g_variant_get (parameters, "(&s@a{sv}@as)", &interface, &properties, NULL);
  if (strcmp (interface, DERATECTL_MANAGER) == 0 && monitor->manager_known)
    deratectl_lists_take (monitor->lists, properties);
  else if (monitor->objects_known)
    deratectl_things_change (monitor->things, path, interface, properties);
}

static void
take_object (Monitor *monitor, const char *signal, GVariant *parameters)
{
  g_autoptr (GVariant) interfaces = NULL;
  const char *path = NULL;

  if (g_variant_n_children (parameters) != 2 || !monitor->objects_known)
    return;
  g_variant_get_child (parameters, 0, "&o", &path);
  interfaces = g_variant_get_child_value (parameters, 1);
  if (strcmp (signal, "InterfacesAdded") == 0)
    deratectl_things_add (monitor->things, path, interfaces);
  else if (strcmp (signal, "InterfacesRemoved") == 0)
    deratectl_things_remove (monitor->things, path);
}

static void
on_heard (const char *path,
          const char *interface,
          const char *signal,
          GVariant *parameters,
          gpointer data)
{
  if (strcmp (interface, DERATECTL_MANAGER) == 0 && strcmp (signal, "LevelChanged") == 0)
    tell_level (parameters);
  else if (strcmp (interface, PROPERTIES) == 0 && strcmp (signal, "PropertiesChanged") == 0)
    take_properties (data, path, parameters);
  else if (strcmp (interface, OBJECT_MANAGER) == 0)
    take_object (data, signal, parameters);
}

static int
run (int argc, char **argv)
{
  static const DeratectlFollower follower = { on_came, on_gone, on_heard };
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &as_json, "One JSON object a line", NULL },
    { NULL },
  };
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratectlProgram) program = NULL;
  Monitor monitor = { NULL };
  gboolean done;

  if (!deratectl_parse (&deratectl_verb_monitor, entries, &argc, &argv, 0, 0))
    return DERATECTL_USAGE;
  program = deratectl_find_program (&error);
  if (program == NULL)
    return deratectl_fail (error);
  monitor.program = program;
  monitor.things = deratectl_things_new ();
  monitor.lists = deratectl_lists_new ();
  done = deratectl_follow (program, loop, &follower, &monitor, &error);
  forget_incarnation (&monitor);
  deratectl_things_free (monitor.things);
  deratectl_lists_free (monitor.lists);
  return done ? DERATECTL_DONE : deratectl_fail (error);
}

const DeratectlVerb deratectl_verb_monitor = {
  .name = "monitor",
  .arguments = "[--json]",
  .summary = "Tell what happens to level, services, breakers, holds and drills, a line each",
  .run = run,
};
