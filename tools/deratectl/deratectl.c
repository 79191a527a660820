/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

#include <locale.h>
#include <string.h>

#include "deratectl-complete.h"

/* clang-format off */
const DeratectlVerb *const deratectl_verbs[] = {
  &deratectl_verb_list,
  &deratectl_verb_status,
  &deratectl_verb_monitor,
  &deratectl_verb_explain,
  &deratectl_verb_history,
  &deratectl_verb_hold,
  &deratectl_verb_force,
  &deratectl_verb_release,
  &deratectl_verb_breaker,
  &deratectl_verb_service,
  &deratectl_verb_drill,
  &deratectl_verb_check_config,
  &deratectl_verb_check_plugin,
  &deratectl_verb_print_rules,
  NULL,
};
/* clang-format on */

static char *
describe_verbs (void)
{
  GString *text = g_string_new ("Verbs:\n");

  for (guint i = 0; deratectl_verbs[i] != NULL; i++)
    g_string_append_printf (text, "  %s%s%s\n      %s\n", deratectl_verbs[i]->name,
                            deratectl_verbs[i]->arguments[0] != '\0' ? " " : "",
                            deratectl_verbs[i]->arguments, deratectl_verbs[i]->summary);
  g_string_append (text, "\nExit status: 0 done, 1 failed, 2 usage, 3 no such program or object, "
                         "4 denied.");
  return g_string_free (text, FALSE);
}

/* Takes the options before the verb; those after it are the verb's own to take. Without a verb
 * --watch stands for one. */
static gboolean
parse_globals (int *argc, char ***argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("VERB …");
  g_autofree char *description = describe_verbs ();
  g_autofree char *help = NULL;
  g_autoptr (GError) error = NULL;

  g_option_context_set_summary (context, "Shows how degraded a running program is, and why; holds "
                                         "it at a level; handles its breakers.");
  g_option_context_set_description (context, description);
  g_option_context_set_strict_posix (context, TRUE);
  g_option_context_add_main_entries (context, deratectl_global_entries, NULL);
  g_option_context_add_main_entries (context, deratectl_main_entries, NULL);
  if (!g_option_context_parse (context, argc, argv, &error))
    {
      g_printerr ("deratectl: %s\n", error->message);
      return FALSE;
    }
  if (*argc > 1 && deratectl_options.watch)
    {
      g_printerr ("deratectl: --watch goes with status, or with no verb\n");
      return FALSE;
    }
  if (*argc > 1 || deratectl_options.watch || deratectl_options.version)
    return TRUE;
  help = g_option_context_get_help (context, TRUE, NULL);
  g_printerr ("%s", help);
  return FALSE;
}

int
main (int argc, char **argv)
{
  char verb[] = "status", option[] = "--watch";
  char *status_watch[] = { verb, option, NULL };

  setlocale (LC_ALL, "");
  g_set_prgname ("deratectl");
  derate_error_quark (); /* so that the errors of programs arrive as what they are */

  if (argc > 1 && strcmp (argv[1], "complete") == 0)
    return deratectl_complete ((guint)argc - 2, argv + 2);
  if (!parse_globals (&argc, &argv))
    return DERATECTL_USAGE;
  if (deratectl_options.version)
    {
      g_print ("deratectl %s\n", DERATE_VERSION);
      return DERATECTL_DONE;
    }
  if (deratectl_options.watch)
    return deratectl_verb_status.run (2, status_watch);
  return deratectl_run_one_of (deratectl_verbs, NULL, argc - 1, argv + 1);
}
