/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

static int
release_one (DeratectlProgram *program, const char *id)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply =
      deratectl_change (program, "Release", g_variant_new ("(s)", id), "()", &error);

  if (reply == NULL)
    return deratectl_fail (error);
  g_print ("released %s\n", id);
  return DERATECTL_DONE;
}

static int
release_all (DeratectlProgram *program, const char *reason)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *by = g_strdup_printf ("release --all by %s", deratectl_get_who ());
  g_autoptr (GVariant) reply =
      deratectl_change (program, "ReleaseAll", g_variant_new ("(s)", reason != NULL ? reason : by),
                        "(u)", &error);
  guint count = 0;

  if (reply == NULL)
    return deratectl_fail (error);
  g_variant_get (reply, "(u)", &count);
  g_print ("released %u hold%s\n", count, count == 1 ? "" : "s");
  return DERATECTL_DONE;
}

static int
run (int argc, char **argv)
{
  gboolean all = FALSE;
  g_autofree char *reason = NULL;
  const GOptionEntry entries[] = {
    { "all", 0, 0, G_OPTION_ARG_NONE, &all, "End every hold of everybody", NULL },
    { "reason", 0, 0, G_OPTION_ARG_STRING, &reason, "With --all: why", "TEXT" },
    { NULL },
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratectlProgram) program = NULL;

  if (!deratectl_parse (&deratectl_verb_release, entries, &argc, &argv, 0, 1))
    return DERATECTL_USAGE;
  if (all == (argc > 1))
    {
      g_printerr ("deratectl: release takes either an id or --all\n");
      return DERATECTL_USAGE;
    }
  program = deratectl_find_program (&error);
  if (program == NULL)
    return deratectl_fail (error);
  return all ? release_all (program, reason) : release_one (program, argv[1]);
}

const DeratectlVerb deratectl_verb_release = {
  .name = "release",
  .arguments = "ID | --all",
  .summary = "End a hold",
  .run = run,
};
