/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

#include <signal.h>
#include <string.h>

/* Opening a module runs its constructors before anything can be checked: a crash or an endless loop
 * in there takes its process along. So that is done in a child, which is this program again. */

#define DEADLINE (10 * G_TIME_SPAN_SECOND)

static gboolean here;

static const GOptionEntry entries[] = {
  { "here", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, &here, "Open it in this process", NULL },
  { NULL },
};

typedef struct
{
  GMainLoop *loop;
  GSubprocess *child;
  gboolean timed_out;
} Watch;

static void
add_row (DeratectlTable *table, const char *label, const char *text)
{
  deratectl_table_add (table, DERATECTL_COLOUR_DIM, label);
  deratectl_table_add (table, DERATECTL_COLOUR_NONE, text != NULL ? text : "-");
  deratectl_table_end_row (table);
}

static int
check_here (const char *path)
{
  g_autoptr (DeratePluginLoader) loader = derate_plugin_loader_new ();
  g_autoptr (DeratectlTable) table = deratectl_table_new ("");
  g_autoptr (GError) error = NULL;
  DeratePlugin *plugin = derate_plugin_loader_load_file (loader, path, &error);

  if (plugin == NULL)
    {
      int status = deratectl_fail (error);

      return g_error_matches (error, DERATE_ERROR, DERATE_ERROR_NO_SUCH_PLUGIN)
                 ? DERATECTL_NOT_FOUND
                 : status;
    }
  add_row (table, "name", derate_plugin_get_name (plugin));
  add_row (table, "version", derate_plugin_get_version (plugin));
  add_row (table, "license", derate_plugin_get_license (plugin));
  add_row (table, "description", derate_plugin_get_description (plugin));
  add_row (table, "default role", derate_plugin_get_default_role (plugin));
  deratectl_table_print (table);
  return DERATECTL_DONE;
}

static void
on_ended (GObject *source, GAsyncResult *result, gpointer data)
{
  Watch *watch = data;

  g_subprocess_wait_finish (watch->child, result, NULL);
  g_main_loop_quit (watch->loop);
}

static gboolean
on_deadline (gpointer data)
{
  Watch *watch = data;

  watch->timed_out = TRUE;
  g_subprocess_force_exit (watch->child);
  return G_SOURCE_REMOVE;
}

static int
wait_for (GSubprocess *child, const char *path)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  DerateClock *clock = derate_clock_get_system ();
  g_autoptr (GSource) deadline =
      derate_clock_source_new (clock, derate_clock_get_time (clock) + DEADLINE);
  Watch watch = { .loop = loop, .child = child };

  g_source_set_callback (deadline, on_deadline, &watch, NULL);
  g_source_attach (deadline, NULL);
  g_subprocess_wait_async (child, NULL, on_ended, &watch);
  g_main_loop_run (loop);
  g_source_destroy (deadline);

  if (!watch.timed_out && g_subprocess_get_if_exited (child))
    return g_subprocess_get_exit_status (child);
  if (watch.timed_out)
    g_printerr ("deratectl: plugin %s: it does not come back from being opened\n", path);
  else
    g_printerr ("deratectl: plugin %s: it crashes when it is opened: %s\n", path,
                strsignal (g_subprocess_get_term_sig (child)));
  return DERATECTL_FAILED;
}

static int
run (int argc, char **argv)
{
  g_autoptr (GSubprocessLauncher) launcher = NULL;
  g_autoptr (GSubprocess) child = NULL;
  g_autoptr (GError) error = NULL;

  if (!deratectl_parse (&deratectl_verb_check_plugin, entries, &argc, &argv, 1, 1))
    return DERATECTL_USAGE;
  if (here)
    return check_here (argv[1]);

  launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_NONE);
  /* The verdict is printed; the log event would say it again. */
  g_subprocess_launcher_setenv (launcher, "ENABLE_RESILIENCE_LOGGING", "false", TRUE);
  child = g_subprocess_launcher_spawn (launcher, &error, "/proc/self/exe", "check-plugin", "--here",
                                       "--", argv[1], NULL);
  return child != NULL ? wait_for (child, argv[1]) : deratectl_fail (error);
}

const DeratectlVerb deratectl_verb_check_plugin = {
  .name = "check-plugin",
  .arguments = "FILE",
  .summary = "Open a plugin in a process of its own and say what it is, or what is wrong with it",
  .run = run,
  .takes_file = TRUE,
};
