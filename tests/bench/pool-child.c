/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gio/gio.h>
#include <stdio.h>

#include "pool-side.h"

typedef struct
{
  GSubprocess *process;
  GDataInputStream *answers;
} Child;

gpointer
pool_child_new (const char *command, const char *uri)
{
  Child *child = g_new0 (Child, 1);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_auto (GStrv) words = g_strsplit (command, " ", -1);
  g_auto (GStrv) argv = NULL;
  g_autoptr (GError) error = NULL;

  g_strv_builder_addv (builder, (const char **)words);
  g_strv_builder_add (builder, uri);
  argv = g_strv_builder_end (builder);
  child->process =
      g_subprocess_newv ((const char *const *)argv,
                         G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error);
  if (child->process == NULL)
    g_error ("%s: %s", command, error->message);
  child->answers = g_data_input_stream_new (g_subprocess_get_stdout_pipe (child->process));
  return child;
}

gboolean
pool_child_measure (gpointer self, const char *what, guint callers, guint ms, PoolSample *sample)
{
  Child *child = self;
  g_autofree char *order = g_strdup_printf ("%s %u %u\n", what, callers, ms);
  g_autofree char *answer = NULL;
  double n, wall, p50, p99;

  g_output_stream_write_all (g_subprocess_get_stdin_pipe (child->process), order, strlen (order),
                             NULL, NULL, NULL);
  answer = g_data_input_stream_read_line (child->answers, NULL, NULL, NULL);
  if (answer == NULL)
    g_error ("a peer ended: see above");
  if (sscanf (answer, "%lf %lf %lf %lf", &n, &wall, &p50, &p99) != 4)
    return FALSE;
  *sample = (PoolSample){ wall / MAX (n, 1), p50, p99 };
  return TRUE;
}

void
pool_child_free (gpointer self)
{
  Child *child = self;

  g_output_stream_close (g_subprocess_get_stdin_pipe (child->process), NULL, NULL);
  g_subprocess_wait (child->process, NULL, NULL);
  g_object_unref (child->answers);
  g_object_unref (child->process);
  g_free (child);
}
