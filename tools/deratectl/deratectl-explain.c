/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

static int
run (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratectlProgram) program = NULL;
  g_autoptr (GVariant) reply = NULL;
  g_autofree const char **lines = NULL;

  if (!deratectl_parse (&deratectl_verb_explain, NULL, &argc, &argv, 0, 0))
    return DERATECTL_USAGE;
  program = deratectl_find_program (&error);
  if (program == NULL)
    return deratectl_fail (error);
  reply = deratectl_read (program, "Explain", NULL, "(ssa{ss}as)", &error);
  if (reply == NULL)
    return deratectl_fail (error);

  g_variant_get_child (reply, 3, "^a&s", &lines);
  for (guint i = 0; lines[i] != NULL; i++)
    {
      g_autofree char *line = deratectl_clean (lines[i]);

      g_print ("%s\n", line);
    }
  return DERATECTL_DONE;
}

const DeratectlVerb deratectl_verb_explain = {
  .name = "explain",
  .arguments = "",
  .summary = "Say why the level is what it is",
  .run = run,
};
