/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <locale.h>
#include <math.h>
#include <string.h>

#include "derate-exemplar-private.h"
#include "metrics-fixture.h"

/* What OpenMetrics has otherwise than text 0.0.4, to the letter. */

static const char *const one_label[] = { "name", NULL };

static void
assert_renders (DerateMetricsRegistry *registry, const char *expected)
{
  g_autofree char *text = render_openmetrics (registry);

  g_assert_cmpstr (text, ==, expected);
}

static void
test_families (void)
{
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateCounter) counter =
      derate_metrics_registry_add_counter (registry, "waited_seconds_total",
                                           "A \"quote\", a back\\slash\nand a line.", one_label,
                                           NULL);
  g_autoptr (DerateGauge) gauge =
      derate_metrics_registry_add_gauge (registry, "heap_bytes", "Heap.", NULL, NULL);
  static const char *const values[] = { "q\"\\\n\xf0\x9f\x98\x80", NULL };

  derate_counter_add (derate_counter_with (counter, values), 3);
  derate_gauge_set (gauge, -INFINITY);
  assert_renders (registry,
                  "# TYPE derate_metrics_dropped counter\n"
                  "# HELP derate_metrics_dropped Look-ups that found a family full and went to its "
                  "series _other.\n"
                  "derate_metrics_dropped_total{metric=\"waited_seconds_total\"} 0\n"
                  "# TYPE heap_bytes gauge\n"
                  "# UNIT heap_bytes bytes\n"
                  "# HELP heap_bytes Heap.\n"
                  "heap_bytes -Inf\n"
                  "# TYPE waited_seconds counter\n"
                  "# UNIT waited_seconds seconds\n"
                  "# HELP waited_seconds A \\\"quote\\\", a back\\\\slash\\nand a line.\n"
                  "waited_seconds_total{name=\"q\\\"\\\\\\n\xf0\x9f\x98\x80\"} 3\n"
                  "# EOF\n");
}

static void
test_empty (void)
{
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();

  assert_renders (registry, "# EOF\n");
}

/* The same under a locale with a decimal comma: test-scrape.py runs this with one. */
static void
test_bounds (void)
{
  static const double bounds[] = { 0.00001, 0.1, 1, 10, 100000, 1e6 };
  static const char *const les[] = { "1e-05", "0.1", "1.0", "10.0", "100000.0", "1e+06", "+Inf" };
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateHistogram) histogram =
      derate_metrics_registry_add_histogram (registry, "h_seconds", "Help.", NULL, bounds,
                                             G_N_ELEMENTS (bounds), NULL);
  g_autofree char *text = NULL;
  g_autofree char *open = NULL;

  setlocale (LC_ALL, "");
  g_test_message ("decimal point: %s", localeconv ()->decimal_point);
  derate_histogram_observe (histogram, 0.25);
  text = derate_metrics_registry_render (registry);
  open = render_openmetrics (registry);
  setlocale (LC_ALL, "C");
  for (guint i = 0; i < G_N_ELEMENTS (les); i++)
    {
      g_autofree char *line = g_strdup_printf ("h_seconds_bucket{le=\"%s\"} %d", les[i], i >= 2);

      assert_line (text, line);
      assert_line (open, line);
    }
  assert_line (text, "h_seconds_sum 0.25");
  assert_line (open, "h_seconds_sum 0.25");
}

/* A sum that may fall is no counter, and would make a reader refuse the whole text. */
static void
test_negative (void)
{
  static const double negative[] = { -1, 1 };
  static const double positive[] = { 1 };
  static const double values[] = { -2, INFINITY, -INFINITY };
  g_autofree char *text = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    {
      g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
      g_autoptr (DerateHistogram) below =
          derate_metrics_registry_add_histogram (registry, "b", "Help.", NULL, negative, 2, NULL);
      g_autoptr (DerateHistogram) above =
          derate_metrics_registry_add_histogram (registry, "a", "Help.", NULL, positive, 1, NULL);

      derate_histogram_observe (below, values[i]);
      derate_histogram_observe (above, values[i]);
      g_free (text);
      text = render_openmetrics (registry);
      assert_line (text, "b_bucket{le=\"+Inf\"} 1");
      assert_line (text, "a_bucket{le=\"+Inf\"} 1");
      g_assert_null (strstr (text, "b_sum"));
      g_assert_null (strstr (text, "b_count"));
      g_assert_true ((strstr (text, "a_sum") != NULL) == (values[i] > 0));
      g_assert_true ((strstr (text, "a_count") != NULL) == (values[i] > 0));
      g_free (text);
      text = derate_metrics_registry_render (registry);
      assert_line (text, "b_count 1");
    }
}

/* The exemplar in the line that begins with @start: its text up to the time, which is now. */
static char *
find_exemplar (const char *text, const char *start)
{
  g_autofree char *before = g_strconcat ("\n", start, NULL);
  const char *line = strstr (text, before);
  g_autofree char *rest = NULL;
  char *space;

  g_assert_nonnull (line);
  line += strlen (before);
  rest = g_strndup (line, strcspn (line, "\n"));
  if (strchr (rest, '#') == NULL)
    return NULL;
  space = strrchr (rest, ' ');
  g_assert_cmpfloat_with_epsilon (g_ascii_strtod (space + 1, NULL),
                                  (double)g_get_real_time () / G_USEC_PER_SEC, 600);
  *space = '\0';
  return g_steal_pointer (&rest);
}

static void
assert_exemplar (DerateMetricsRegistry *registry, const char *start, const char *expected)
{
  g_autofree char *text = render_openmetrics (registry);
  g_autofree char *exemplar = find_exemplar (text, start);

  g_assert_cmpstr (exemplar, ==, expected);
}

static void
test_exemplars (void)
{
  static const double bounds[] = { 0.1, 1 };
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateHistogram) histogram =
      derate_metrics_registry_add_histogram (registry, "h_seconds", "Help.", NULL, bounds, 2, NULL);
  g_autoptr (DerateCounter) counter =
      derate_metrics_registry_add_counter (registry, "a_total", "Help.", NULL, NULL);
  g_autofree char *text = NULL;

  derate_histogram_observe_with_exemplar (histogram, 0.1, "trace_id", "first");
  derate_histogram_observe_with_exemplar (histogram, 0.25, "trace_id", "q\"\\\n");
  derate_histogram_observe_with_exemplar (histogram, 0.5, "trace_id", "latest");
  derate_histogram_observe_with_exemplar (histogram, NAN, "trace_id", "none");
  derate_histogram_observe (histogram, 7);
  derate_counter_add_with_exemplar (counter, 2, "trace_id", "q\"\\\n");
  assert_exemplar (registry, "h_seconds_bucket{le=\"0.1\"} ", "1 # {trace_id=\"first\"} 0.1");
  assert_exemplar (registry, "h_seconds_bucket{le=\"1.0\"} ", "3 # {trace_id=\"latest\"} 0.5");
  assert_exemplar (registry, "h_seconds_bucket{le=\"+Inf\"} ", NULL);
  assert_exemplar (registry, "a_total ", "2 # {trace_id=\"q\\\"\\\\\\n\"} 2");
  derate_histogram_observe_with_exemplar (histogram, INFINITY, "trace_id", "far");
  assert_exemplar (registry, "h_seconds_bucket{le=\"+Inf\"} ", "5 # {trace_id=\"far\"} +Inf");

  text = derate_metrics_registry_render (registry);
  g_assert_null (strstr (text, " # {"));
}

/* 128 characters, name and value together: what is longer is counted, and not kept. */
static void
test_long_exemplars (void)
{
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateCounter) counter =
      derate_metrics_registry_add_counter (registry, "a_total", "Help.", NULL, NULL);
  g_autofree char *most = g_strnfill (DERATE_EXEMPLAR_MAX - 2, 'x');
  g_autofree char *more = g_strnfill (DERATE_EXEMPLAR_MAX - 1, 'x');
  g_autofree char *expected = g_strdup_printf ("1 # {id=\"%s\"} 1", most);

  derate_counter_add_with_exemplar (counter, 1, "id", more);
  derate_counter_add_with_exemplar (counter, 0, "id", "\xff");
  assert_exemplar (registry, "a_total ", NULL);
  derate_counter_add_with_exemplar (counter, 0, "id", most);
  g_assert_cmpuint (derate_counter_get_value (counter), ==, 1);
  expected[strlen (expected) - 1] = '0';
  assert_exemplar (registry, "a_total ", expected);
}

/* A series of a collector's own histogram has them too. */
static void
write_own (DerateMetricsWriter *writer, gpointer data)
{
  static const char *const values[] = { "x", NULL };

  derate_metrics_writer_begin_family (writer, "own_seconds", DERATE_METRIC_TYPE_HISTOGRAM, "Own.",
                                      one_label);
  derate_metrics_writer_add_histogram (writer, values, data);
}

static void
test_collector (void)
{
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateHistogram) histogram = derate_histogram_new (NULL, 0);
  g_autoptr (TestCollector) collector = test_collector_add (registry, write_own, histogram);

  derate_histogram_observe_with_exemplar (histogram, 0.002, "trace_id", "a");
  assert_exemplar (registry, "own_seconds_bucket{name=\"x\",le=\"0.0025\"} ",
                   "1 # {trace_id=\"a\"} 0.002");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/openmetrics/families", test_families);
  g_test_add_func ("/openmetrics/empty", test_empty);
  g_test_add_func ("/metrics/behaviour/37-bounds", test_bounds);
  g_test_add_func ("/openmetrics/negative", test_negative);
  g_test_add_func ("/openmetrics/exemplars", test_exemplars);
  g_test_add_func ("/openmetrics/long-exemplars", test_long_exemplars);
  g_test_add_func ("/openmetrics/collector", test_collector);
  return g_test_run ();
}
