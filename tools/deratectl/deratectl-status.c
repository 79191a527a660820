/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

#include <stdio.h>

#include "deratectl-draw.h"
#include "deratectl-watch.h"

static int
print_status (const char *json)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonParser) parser = deratectl_json_parse (json, &error);
  g_autoptr (GString) page = g_string_new (NULL);
  guint width = 0;

  if (parser == NULL)
    return deratectl_fail (error);
  deratectl_terminal_get_size (&width, NULL);
  deratectl_draw_status (page, json_node_get_object (json_parser_get_root (parser)), NULL, width,
                         0);
  g_print ("%s", page->str);
  return DERATECTL_DONE;
}

static int
show_once (DeratectlProgram *program, gboolean as_json)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *json = deratectl_dump (program, "status", &error);

  if (json == NULL)
    return deratectl_fail (error);
  if (!as_json)
    return print_status (json);
  puts (json); /* UTF-8 whatever the locale, which g_print () would convert to */
  return DERATECTL_DONE;
}

static int
run (int argc, char **argv)
{
  gboolean as_json = FALSE;
  gboolean watch = FALSE;
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &as_json, "As /degradation answers", NULL },
    { "watch", 0, 0, G_OPTION_ARG_NONE, &watch, "Go on, and show each change as it happens", NULL },
    { NULL },
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratectlProgram) program = NULL;

  if (!deratectl_parse (&deratectl_verb_status, entries, &argc, &argv, 0, 0))
    return DERATECTL_USAGE;
  program = deratectl_find_program (&error);
  if (program == NULL)
    return deratectl_fail (error);
  return watch ? deratectl_watch (program, as_json) : show_once (program, as_json);
}

const DeratectlVerb deratectl_verb_status = {
  .name = "status",
  .arguments = "[--json] [--watch]",
  .summary = "Show the level and why, holds, services and features",
  .run = run,
};
