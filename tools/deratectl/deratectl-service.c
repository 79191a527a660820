/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

static const DeratectlVerb verb_check;

static int
run_check (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratectlProgram) program = NULL;
  g_autoptr (GVariant) reply = NULL;
  g_autofree char *painted = NULL;
  const char *status = NULL;
  const char *cause = NULL;

  if (!deratectl_parse (&verb_check, NULL, &argc, &argv, 1, 1))
    return DERATECTL_USAGE;
  program = deratectl_find_program (&error);
  if (program == NULL)
    return deratectl_fail (error);
  reply =
      deratectl_change (program, "CheckService", g_variant_new ("(s)", argv[1]), "(ss)", &error);
  if (reply == NULL)
    return deratectl_fail (error);
  g_variant_get (reply, "(&s&s)", &status, &cause);
  painted = deratectl_paint (deratectl_status_colour (status), status);
  g_print ("%s  %s%s%s\n", argv[1], painted, *cause != '\0' ? "  " : "", cause);
  return DERATECTL_DONE;
}

static const DeratectlVerb verb_check = {
  .name = "service check",
  .arguments = "SERVICE",
  .summary = "Run the health check of a service now",
  .run = run_check,
};

static int
run (int argc, char **argv)
{
  const DeratectlVerb *const verbs[] = { &verb_check, NULL };

  return deratectl_run_one_of (verbs, "service", argc - 1, argv + 1);
}

const DeratectlVerb deratectl_verb_service = {
  .name = "service",
  .arguments = "check SERVICE",
  .summary = "Run the health check of a service now",
  .run = run,
};
