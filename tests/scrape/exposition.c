/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate-http.h>
#include <gio/gunixinputstream.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* exposition text|openmetrics: prints one text with every type, and with labels and help as nobody
 * should write them. exposition serve: serves it, says where, and ends with its standard input.
 * test-scrape.py knows what must come out. */

/* clang-format off */
static const char *const odd_texts[] = {
  "plain", "", "q\"uote", "back\\slash", "line\nfeed", "\\n", "ends in \\", "}, {", "=\"", " # {",
  "caf\xc3\xa9", "\xf0\x9f\x98\x80", "tab\t",
};
/* clang-format on */

static const struct
{
  const char *name;
  double value;
} odd_values[] = {
  { "nan", NAN },
  { "inf", INFINITY },
  { "minus-inf", -INFINITY },
  { "tenth", 0.1 },
  { "tiny", 5e-324 },
  { "huge", 1e300 },
  { "minus", -2.5 },
  { "third", 1.0 / 3 },
  { "large", 123456789 },
  { "micro", 1e-06 },
  { "time", 1763720000.123456 },
};

static void
add_texts (DerateMetricsRegistry *registry)
{
  static const char *const names[] = { "text", "index", NULL };
  g_autoptr (DerateCounter) counter = derate_metrics_registry_add_counter (
      registry, "odd_texts_total",
      "Help with \"quotes\", a back\\slash, \\n and\na line \xf0\x9f\x98\x80", names, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (odd_texts); i++)
    {
      g_autofree char *index = g_strdup_printf ("%u", i);
      const char *const values[] = { odd_texts[i], index, NULL };

      /* The Python client's parser takes a brace in an exemplar for its end. */
      derate_counter_add_with_exemplar (derate_counter_with (counter, values), i + 1, "trace_id",
                                        strchr (odd_texts[i], '{') != NULL ? "-" : odd_texts[i]);
    }
}

static void
add_values (DerateMetricsRegistry *registry)
{
  static const char *const names[] = { "value", NULL };
  g_autoptr (DerateGauge) gauge =
      derate_metrics_registry_add_gauge (registry, "odd_values_seconds", "", names, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (odd_values); i++)
    {
      const char *const values[] = { odd_values[i].name, NULL };

      derate_gauge_set (derate_gauge_with (gauge, values), odd_values[i].value);
    }
}

static void
add_histograms (DerateMetricsRegistry *registry)
{
  static const double bounds[] = { 1e-05, 0.1, 1, 10, 100000, 1e6 };
  static const double negative[] = { -1, 0, 1 };
  g_autoptr (DerateHistogram) histogram =
      derate_metrics_registry_add_histogram (registry, "odd_bounds_seconds", "Bounds.", NULL,
                                             bounds, G_N_ELEMENTS (bounds), NULL);
  g_autoptr (DerateHistogram) cold =
      derate_metrics_registry_add_histogram (registry, "odd_negative", "Below zero.", NULL,
                                             negative, G_N_ELEMENTS (negative), NULL);
  g_autoptr (DerateHistogram) empty =
      derate_metrics_registry_add_histogram (registry, "odd_empty_seconds", "Nothing yet.", NULL,
                                             NULL, 0, NULL);

  derate_histogram_observe_with_exemplar (histogram, 5e-06, "trace_id", "first");
  derate_histogram_observe (histogram, 0.25);
  derate_histogram_observe_with_exemplar (histogram, 2e6, "trace_id", "far \"away\"");
  derate_histogram_observe (cold, -0.5);
}

static DerateCore *
make_core (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateConfig) config =
      derate_config_new_from_data ("[derate]\nname=shop\n[service database]\nrole=database\n",
                                   "shop.conf", &error);
  DerateCore *core = config != NULL ? derate_core_new_from_config (config, NULL, &error) : NULL;

  if (core == NULL)
    g_error ("%s", error->message);
  add_texts (derate_core_get_metrics (core));
  add_values (derate_core_get_metrics (core));
  add_histograms (derate_core_get_metrics (core));
  return core;
}

static int
print (DerateCore *core, DerateMetricsFormat format)
{
  g_autoptr (GBytes) bytes =
      derate_metrics_registry_render_as (derate_core_get_metrics (core), format);

  return fwrite (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), 1, stdout) == 1 ? 0 : 1;
}

static void
on_ended (GObject *source, GAsyncResult *result, gpointer data)
{
  g_input_stream_read_finish (G_INPUT_STREAM (source), result, NULL);
  g_main_loop_quit (data);
}

static int
serve (DerateCore *core)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (SoupServer) server = soup_server_new (NULL, NULL);
  g_autoptr (GInputStream) input = g_unix_input_stream_new (0, FALSE);
  char byte;
  GSList *uris;

  derate_http_mount (core, server, NULL, DERATE_HTTP_METRICS);
  if (!soup_server_listen_local (server, 0, SOUP_SERVER_LISTEN_IPV4_ONLY, NULL))
    return 1;
  uris = soup_server_get_uris (server);
  g_print ("127.0.0.1:%d\n", g_uri_get_port (uris->data));
  fflush (stdout);
  g_slist_free_full (uris, (GDestroyNotify)g_uri_unref);
  g_input_stream_read_async (input, &byte, 1, G_PRIORITY_DEFAULT, NULL, on_ended, loop);
  g_main_loop_run (loop);
  soup_server_disconnect (server);
  return 0;
}

int
main (int argc, char **argv)
{
  g_autoptr (DerateCore) core = NULL;

  setlocale (LC_ALL, "");
  if (argc != 2)
    return 2;
  core = make_core ();
  if (strcmp (argv[1], "serve") == 0)
    return serve (core);
  return print (core, strcmp (argv[1], "openmetrics") == 0 ? DERATE_METRICS_FORMAT_OPENMETRICS
                                                           : DERATE_METRICS_FORMAT_TEXT);
}
