/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

static void
add_change (DeratectlTable *table, GVariant *change)
{
  g_autoptr (GVariantDict) dict = g_variant_dict_new (change);
  g_autofree char *instant = NULL;
  const char *from = "?";
  const char *to = "?";
  const char *rule = "";
  guint64 time = 0;

  g_variant_dict_lookup (dict, "time", "t", &time);
  g_variant_dict_lookup (dict, "from", "&s", &from);
  g_variant_dict_lookup (dict, "to", "&s", &to);
  g_variant_dict_lookup (dict, "rule", "&s", &rule);
  instant = deratectl_format_instant ((double)time / G_USEC_PER_SEC);

  deratectl_table_add (table, DERATECTL_COLOUR_NONE, instant);
  deratectl_table_add (table, deratectl_level_colour (from), from);
  deratectl_table_add (table, deratectl_level_colour (to), to);
  deratectl_table_add (table, DERATECTL_COLOUR_NONE, rule);
  deratectl_table_end_row (table);
}

static int
run (int argc, char **argv)
{
  int max = 0;
  const GOptionEntry entries[] = {
    { "max", 0, 0, G_OPTION_ARG_INT, &max, "The latest N only", "N" },
    { NULL },
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratectlProgram) program = NULL;
  g_autoptr (DeratectlTable) table = deratectl_table_new ("");
  g_autoptr (GVariant) reply = NULL;
  g_autoptr (GVariant) changes = NULL;

  if (!deratectl_parse (&deratectl_verb_history, entries, &argc, &argv, 0, 0))
    return DERATECTL_USAGE;
  program = deratectl_find_program (&error);
  if (program == NULL)
    return deratectl_fail (error);
  reply = deratectl_read (program, "History", g_variant_new ("(u)", (guint)MAX (max, 0)),
                          "(aa{sv})", &error);
  if (reply == NULL)
    return deratectl_fail (error);

  changes = g_variant_get_child_value (reply, 0);
  deratectl_table_add_header (table, "WHEN", "FROM", "TO", "RULE", NULL);
  for (gsize i = 0; i < g_variant_n_children (changes); i++)
    {
      g_autoptr (GVariant) change = g_variant_get_child_value (changes, i);

      add_change (table, change);
    }
  deratectl_table_print (table);
  return DERATECTL_DONE;
}

const DeratectlVerb deratectl_verb_history = {
  .name = "history",
  .arguments = "[--max N]",
  .summary = "Show the latest changes of the level, the newest first",
  .run = run,
};
