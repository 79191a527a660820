/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program outside the tree: starts a core from a file and says how it is. */
#include <derate.h>

static void
on_started (GObject *source, GAsyncResult *result, gpointer loop)
{
  DerateCore *core = DERATE_CORE (source);
  DerateDegradationManager *manager = derate_core_get_degradation_manager (core);
  g_autoptr (GError) error = NULL;

  if (derate_core_start_finish (core, result, &error))
    g_print ("level %s\n", derate_level_get_nick (derate_degradation_manager_get_level (manager)));
  else
    g_printerr ("%s\n", error->message);
  g_main_loop_quit (loop);
}

int
main (int argc, char **argv)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateCore) core = derate_core_new_from_file (argv[1], NULL, &error);

  if (core == NULL)
    g_error ("%s", error->message);
  derate_core_start_async (core, NULL, on_started, loop);
  g_main_loop_run (loop);
}
