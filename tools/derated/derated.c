/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derated-bus.h"
#include "derated-options.h"
#include "derated-pages.h"

#include <glib-unix.h>
#include <locale.h>

/* The host of a core, for programs that are not written on GLib. */

/* How long the pages are served after the end began, so that who looks at readiness sees the 503.
 */
#define DRAIN_SECONDS 1

enum
{
  EXIT_ENDED = 0,
  EXIT_FAILED = 1,
  EXIT_USAGE = 2,
};

typedef struct
{
  GMainLoop *loop;
  DeratedOptions *options;
  DerateCore *core;
  DeratedPages *pages;
  DerateDbusExporter *exporter;
  gboolean ending;
  int status;
} Program;

static gboolean
on_drained (gpointer data)
{
  g_main_loop_quit (((Program *)data)->loop);
  return G_SOURCE_REMOVE;
}

static void
on_stopped (GObject *source, GAsyncResult *result, gpointer data)
{
  Program *program = data;

  if (derated_pages_are_served (program->pages))
    g_timeout_add_seconds (DRAIN_SECONDS, on_drained, program);
  else
    on_drained (program);
}

/* Readiness turns to 503 at once. Who is told twice ends at once. */
static gboolean
on_end (gpointer data)
{
  Program *program = data;

  if (program->ending)
    {
      g_message ("ending at once");
      g_main_loop_quit (program->loop);
      return G_SOURCE_CONTINUE;
    }
  program->ending = TRUE;
  g_message ("ending");
  g_clear_object (&program->exporter);
  derate_core_stop_async (program->core, NULL, on_stopped, program);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_reload (gpointer data)
{
  Program *program = data;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) changes = NULL;
  g_autofree char *text = NULL;

  if (program->ending)
    return G_SOURCE_CONTINUE;
  changes = derate_core_reload (program->core, &error);
  if (changes == NULL)
    {
      g_warning ("the old configuration goes on: %s", error->message);
      return G_SOURCE_CONTINUE;
    }
  text = g_strjoinv (", ", changes);
  g_message ("read again: %s", *text != '\0' ? text : "nothing changed");
  return G_SOURCE_CONTINUE;
}

/* However the reload was asked for. */
static void
on_reloaded (DerateCore *core, gpointer data)
{
  Program *program = data;
  g_autoptr (GError) error = NULL;

  if (!derated_pages_update (program->pages, &error))
    g_warning ("the pages stay where they were: %s", error->message);
}

static void
on_started (GObject *source, GAsyncResult *result, gpointer data)
{
  Program *program = data;
  g_autoptr (GError) error = NULL;

  if (derate_core_start_finish (program->core, result, &error))
    {
      DerateDegradationManager *manager = derate_core_get_degradation_manager (program->core);

      g_message ("ready, level %s",
                 derate_level_get_nick (derate_degradation_manager_get_level (manager)));
      return;
    }
  if (program->ending)
    return;
  g_printerr ("derated: %s\n", error->message);
  program->status = EXIT_FAILED;
  g_main_loop_quit (program->loop);
}

/* Blocks, as a start may: nothing is watched yet. */
static gboolean
set_up (Program *program, GError **error)
{
  program->core = derate_core_new_from_file (program->options->config, NULL, error);
  if (program->core == NULL)
    return FALSE;
  program->pages = derated_pages_new (program->core, program->options);
  if (program->options->check)
    return TRUE;
  return derate_core_notify_systemd (program->core, error) &&
         derated_pages_update (program->pages, error) &&
         derated_bus_export (program->core, program->options, &program->exporter, error);
}

static void
print_verdict (Program *program)
{
  DerateConfig *config = derate_core_get_config (program->core);
  g_auto (GStrv) warnings = derate_config_list_warnings (config);
  g_auto (GStrv) services = derate_config_list_names (config, "service");

  for (guint i = 0; warnings[i] != NULL; i++)
    g_printerr ("derated: warning: %s\n", warnings[i]);
  g_print ("%s: good; %u services\n", program->options->config, g_strv_length (services));
}

static void
run (Program *program)
{
  program->loop = g_main_loop_new (NULL, FALSE);
  g_unix_signal_add (SIGHUP, on_reload, program);
  g_unix_signal_add (SIGTERM, on_end, program);
  g_unix_signal_add (SIGINT, on_end, program);
  g_signal_connect (program->core, "reloaded", G_CALLBACK (on_reloaded), program);
  derate_core_start_async (program->core, NULL, on_started, program);
  g_main_loop_run (program->loop);
  g_main_loop_unref (program->loop);
}

static void
clean_up (Program *program)
{
  g_clear_object (&program->exporter);
  g_clear_pointer (&program->pages, derated_pages_free);
  if (program->core != NULL)
    g_signal_handlers_disconnect_by_data (program->core, program);
  g_clear_object (&program->core);
  derated_options_free (program->options);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  Program program = { 0 };

  setlocale (LC_ALL, "");
  g_set_prgname ("derated");
  program.options = derated_options_parse (&argc, &argv, &error);
  if (program.options == NULL)
    {
      g_printerr ("derated: %s\n", error->message);
      return EXIT_USAGE;
    }
  if (program.options->version)
    {
      g_print ("derated %s\n", DERATE_VERSION);
      derated_options_free (program.options);
      return EXIT_ENDED;
    }
  if (program.options->log_json)
    g_log_set_writer_func (derate_log_writer_json, NULL, NULL);
  if (!set_up (&program, &error))
    {
      g_printerr ("derated: %s\n", error->message);
      program.status = EXIT_FAILED;
    }
  else if (program.options->check)
    print_verdict (&program);
  else
    run (&program);
  clean_up (&program);
  return program.status;
}
