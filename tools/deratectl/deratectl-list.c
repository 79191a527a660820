/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

/* A program that does not answer is listed all the same: that is news. */
static void
add_program (DeratectlTable *table, DeratectlProgram *program)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariantDict) properties = NULL;
  g_autoptr (GVariant) values = NULL;
  g_autoptr (GVariant) reply =
      g_dbus_connection_call_sync (program->bus, program->bus_name, DERATECTL_PATH,
                                   "org.freedesktop.DBus.Properties", "GetAll",
                                   g_variant_new ("(s)", DERATECTL_MANAGER),
                                   G_VARIANT_TYPE ("(a{sv})"), G_DBUS_CALL_FLAGS_NO_AUTO_START,
                                   2000, NULL, &error);
  const char *level = "?";
  const char *reason = error != NULL ? "does not answer" : "";
  guint64 since = 0;
  g_autofree char *age = NULL;

  if (reply != NULL)
    {
      values = g_variant_get_child_value (reply, 0);
      properties = g_variant_dict_new (values);
      g_variant_dict_lookup (properties, "Level", "&s", &level);
      g_variant_dict_lookup (properties, "Reason", "&s", &reason);
      g_variant_dict_lookup (properties, "LevelSince", "t", &since);
    }
  if (since > 0)
    age = deratectl_format_since ((double)since / G_USEC_PER_SEC);

  deratectl_table_add (table, DERATECTL_COLOUR_NONE, program->name);
  deratectl_table_add (table, deratectl_level_colour (level), level);
  deratectl_table_add (table, DERATECTL_COLOUR_NONE, age);
  deratectl_table_add (table, DERATECTL_COLOUR_NONE, reason);
  deratectl_table_end_row (table);
}

static int
run (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) programs = NULL;
  g_autoptr (DeratectlTable) table = deratectl_table_new ("");

  if (!deratectl_parse (&deratectl_verb_list, NULL, &argc, &argv, 0, 0))
    return DERATECTL_USAGE;
  programs = deratectl_find_programs (&error);
  if (programs == NULL)
    return deratectl_fail (error);
  if (programs->len == 0)
    {
      g_printerr ("no program offers Derate on this bus\n");
      return DERATECTL_DONE;
    }

  deratectl_table_add_header (table, "PROGRAM", "LEVEL", "FOR", "WHY", NULL);
  for (guint i = 0; i < programs->len; i++)
    add_program (table, g_ptr_array_index (programs, i));
  deratectl_table_print_fitted (table);
  return DERATECTL_DONE;
}

const DeratectlVerb deratectl_verb_list = {
  .name = "list",
  .arguments = "",
  .summary = "Show the programs on the bus and their levels",
  .run = run,
};
