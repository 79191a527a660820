/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A call that is answered later: here GIO reads a file, and the loop goes on meanwhile. */
#include <derate.h>

static void
on_loaded (GObject *file, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (DerateCall) call = user_data;
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  gsize length;

  if (g_file_load_contents_finish (G_FILE (file), result, &text, &length, NULL, &error))
    derate_call_succeed (call, g_variant_new_uint64 (length));
  else
    derate_call_fail (call, error);
}

/* Starts the call and returns at once. The call is ours until it is answered. */
static void
load (DerateCall *call, GCancellable *cancellable, gpointer user_data)
{
  g_autoptr (GFile) file = g_file_new_for_path (user_data);

  g_file_load_contents_async (file, cancellable, on_loaded, call);
}

static void
on_answered (GObject *breaker, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) length = NULL;

  length = derate_breaker_call_finish (DERATE_BREAKER (breaker), result, &error);
  if (length != NULL)
    g_print ("%" G_GUINT64_FORMAT " bytes\n", g_variant_get_uint64 (length));
  else
    g_print ("%s\n", error->message);
  g_main_loop_quit (user_data);
}

int
main (void)
{
  static const char *const paths[] = { "/dev/null", "/nowhere", "/dev/null" };
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
  g_autoptr (DerateBreaker) breaker = NULL;

  derate_breaker_config_set_failure_threshold (config, 1);
  breaker = derate_breaker_new ("files", config);
  for (guint i = 0; i < G_N_ELEMENTS (paths); i++)
    {
      derate_breaker_call_async (breaker, load, (gpointer)paths[i], NULL, NULL, on_answered, loop);
      g_main_loop_run (loop);
    }
  return 0;
}
