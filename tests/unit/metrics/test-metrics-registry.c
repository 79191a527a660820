/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gio/gio.h>
#include <math.h>
#include <string.h>

#include "derate-error.h"
#include "derate-histogram-private.h"
#include "derate-metrics-registry.h"
#include "derate-process-collector.h"
#include "metrics-fixture.h"

static const char *const no_labels[] = { NULL };
static const char *const one_label[] = { "name", NULL };
static const char *const two_labels[] = { "name", "outcome", NULL };

static void
assert_renders (DerateMetricsRegistry *registry, const char *expected)
{
  g_autofree char *text = derate_metrics_registry_render (registry);

  g_assert_cmpstr (text, ==, expected);
}

static DerateCounter *
add_counter (DerateMetricsRegistry *registry, const char *name, const char *const *labels)
{
  g_autoptr (GError) error = NULL;
  DerateCounter *counter =
      derate_metrics_registry_add_counter (registry, name, "Help.", labels, &error);

  g_assert_no_error (error);
  g_assert_nonnull (counter);
  return counter;
}

static void
test_counter (void)
{
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateCounter) counter = add_counter (registry, "a_total", NULL);

  assert_renders (registry, "# HELP a_total Help.\n# TYPE a_total counter\na_total 0\n");
  derate_counter_inc (counter);
  derate_counter_add (counter, G_GUINT64_CONSTANT (9007199254740993));
  g_assert_cmpuint (derate_counter_get_value (counter), ==, G_GUINT64_CONSTANT (9007199254740994));
  assert_renders (registry,
                  "# HELP a_total Help.\n# TYPE a_total counter\na_total 9007199254740994\n");
}

static void
test_gauge (void)
{
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateGauge) gauge =
      derate_metrics_registry_add_gauge (registry, "g", "Help.", no_labels, NULL);

  derate_gauge_set (gauge, 2.5);
  derate_gauge_add (gauge, -3);
  g_assert_cmpfloat (derate_gauge_get_value (gauge), ==, -0.5);
  assert_renders (registry, "# HELP g Help.\n# TYPE g gauge\ng -0.5\n");
  derate_gauge_set (gauge, NAN);
  assert_renders (registry, "# HELP g Help.\n# TYPE g gauge\ng NaN\n");
  derate_gauge_set (gauge, -INFINITY);
  assert_renders (registry, "# HELP g Help.\n# TYPE g gauge\ng -Inf\n");
}

static void
test_histogram (void)
{
  static const double bounds[] = { 0.00001, 0.1, 1, 1e6 };
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateHistogram) histogram =
      derate_metrics_registry_add_histogram (registry, "h_seconds", "Help.", NULL, bounds,
                                             G_N_ELEMENTS (bounds), NULL);

  derate_histogram_observe (histogram, 0.1); /* a bound counts its own value */
  derate_histogram_observe (histogram, 0.5);
  derate_histogram_observe (histogram, 2e6);
  derate_histogram_observe (histogram, -1);
  derate_histogram_observe (histogram, NAN);
  g_assert_cmpuint (derate_histogram_get_count (histogram), ==, 4);
  assert_renders (registry, "# HELP h_seconds Help.\n"
                            "# TYPE h_seconds histogram\n"
                            "h_seconds_bucket{le=\"1e-05\"} 1\n"
                            "h_seconds_bucket{le=\"0.1\"} 2\n"
                            "h_seconds_bucket{le=\"1.0\"} 3\n"
                            "h_seconds_bucket{le=\"1e+06\"} 3\n"
                            "h_seconds_bucket{le=\"+Inf\"} 4\n"
                            "h_seconds_sum 1999999.6\n"
                            "h_seconds_count 4\n");
}

/* Every bucket of many bounds takes what belongs to it: the halving search too. */
static void
test_many_bounds (void)
{
  double bounds[100];
  g_autoptr (DerateHistogram) histogram = NULL;

  for (guint n = 1; n <= G_N_ELEMENTS (bounds); n++)
    {
      g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
      g_autofree char *text = NULL;
      g_autofree char *line = NULL;

      for (guint i = 0; i < n; i++)
        bounds[i] = i + 1;
      g_clear_pointer (&histogram, derate_histogram_unref);
      histogram =
          derate_metrics_registry_add_histogram (registry, "h", "Help.", NULL, bounds, n, NULL);
      for (guint i = 0; i <= n; i++)
        derate_histogram_observe (histogram, i + 0.5);
      text = derate_metrics_registry_render (registry);
      for (guint i = 0; i < n; i++)
        {
          g_autofree char *bucket = g_strdup_printf ("h_bucket{le=\"%u.0\"} %u", i + 1, i + 1);
          assert_line (text, bucket);
        }
      line = g_strdup_printf ("h_bucket{le=\"+Inf\"} %u", n + 1);
      assert_line (text, line);
    }
}

/* What counts spans puts each where its seconds would go, and sums up without rounding. */
static void
test_spans (void)
{
  g_autoptr (DerateHistogram) spans = derate_histogram_new_for_spans ();
  g_autoptr (DerateHistogram) seconds = derate_histogram_new (NULL, 0);
  guint n_bounds;
  const double *bounds = derate_metric_default_bounds (&n_bounds);
  GTimeSpan sum = 0;

  for (guint i = 0; i < n_bounds; i++)
    for (int offset = -1; offset <= 1; offset++)
      {
        GTimeSpan span = (GTimeSpan)(bounds[i] * G_USEC_PER_SEC + 0.5) + offset;

        derate_histogram_count_span (spans, span);
        derate_histogram_observe (seconds, (double)span / G_USEC_PER_SEC);
        sum += span;
      }
  for (guint i = 0; i <= n_bounds; i++)
    {
      g_assert_cmpuint (derate_shard_sum (seconds->series.slot + i), >, 0);
      g_assert_cmpuint (derate_shard_sum (spans->series.slot + i), ==,
                        derate_shard_sum (seconds->series.slot + i));
    }
  g_assert_cmpuint (derate_histogram_get_count (spans), ==, 3 * n_bounds);
  g_assert_cmpfloat (derate_histogram_get_sum (spans), ==, (double)sum / G_USEC_PER_SEC);
  derate_histogram_count_span (spans, -2 * sum);
  g_assert_cmpfloat (derate_histogram_get_sum (spans), ==, -(double)sum / G_USEC_PER_SEC);
}

static void
test_labels (void)
{
  static const char *const first[] = { "ab", "c", NULL };
  static const char *const second[] = { "a", "bc", NULL };
  static const char *const odd[] = { "q\"\\\n\xf0\x9f\x98\x80", "bad\xff", NULL };
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateCounter) counter =
      derate_metrics_registry_add_counter (registry, "a_total", "Back\\slash, \"quote\" and\nline.",
                                           two_labels, NULL);
  DerateCounter *series = derate_counter_with (counter, first);

  g_assert_true (series == derate_counter_with (counter, first));
  g_assert_true (series != derate_counter_with (counter, second));
  derate_counter_add (series, 3);
  derate_counter_inc (derate_counter_with (counter, odd));
  assert_renders (registry,
                  "# HELP a_total Back\\\\slash, \"quote\" and\\nline.\n"
                  "# TYPE a_total counter\n"
                  "a_total{name=\"ab\",outcome=\"c\"} 3\n"
                  "a_total{name=\"a\",outcome=\"bc\"} 0\n"
                  "a_total{name=\"q\\\"\\\\\\n\xf0\x9f\x98\x80\",outcome=\"bad\xef\xbf\xbd\"} 1\n"
                  "# HELP derate_metrics_dropped_total Look-ups that found a family full "
                  "and went to its series _other.\n"
                  "# TYPE derate_metrics_dropped_total counter\n"
                  "derate_metrics_dropped_total{metric=\"a_total\"} 0\n");
}

static void
test_cap (void)
{
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateCounter) counter = add_counter (registry, "a_total", one_label);
  g_autofree char *text = NULL;
  const char *p;
  guint n = 0;

  for (guint round = 0; round < 2; round++)
    for (guint i = 0; i < 1200; i++)
      {
        g_autofree char *value = g_strdup_printf ("v%u", i);
        const char *const values[] = { value, NULL };

        derate_counter_inc (derate_counter_with (counter, values));
      }
  text = derate_metrics_registry_render (registry);
  for (p = text; (p = strstr (p, "\na_total{")) != NULL; p++)
    n++;
  g_assert_cmpuint (n, ==, 1001);
  assert_line (text, "a_total{name=\"v0\"} 2");
  assert_line (text, "a_total{name=\"v999\"} 2");
  assert_line (text, "a_total{name=\"_other\"} 400");
  assert_line (text, "derate_metrics_dropped_total{metric=\"a_total\"} 400");
}

static void
test_same_again (void)
{
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateCounter) first = add_counter (registry, "a_total", one_label);
  g_autoptr (DerateCounter) second = add_counter (registry, "a_total", one_label);

  g_assert_true (first == second);
}

typedef struct
{
  const char *description;
  const char *name;
  const char *help;
  DerateMetricType type;
  const char *const *labels;
  gboolean other_bounds;
} Refused;

static void
test_refused (void)
{
  static const char *const bad_label[] = { "a:b", NULL };
  static const char *const hidden_label[] = { "__name__", NULL };
  static const char *const twice[] = { "a", "a", NULL };
  static const char *const le[] = { "le", NULL };
  static const double bounds[] = { 1, 2 };
  static const double falling[] = { 2, 1 };
  static const Refused refused[] = {
    { "other help", "a_total", "Other.", DERATE_METRIC_TYPE_COUNTER, one_label },
    { "other labels", "a_total", "Help.", DERATE_METRIC_TYPE_COUNTER, two_labels },
    { "no labels", "a_total", "Help.", DERATE_METRIC_TYPE_COUNTER, NULL },
    { "other type", "a_total", "Help.", DERATE_METRIC_TYPE_GAUGE, one_label },
    { "other bounds", "h_seconds", "Help.", DERATE_METRIC_TYPE_HISTOGRAM, NULL, TRUE },
    { "a sample of a histogram", "h_seconds_count", "Help.", DERATE_METRIC_TYPE_GAUGE, NULL },
    { "a histogram over a gauge", "g", "Help.", DERATE_METRIC_TYPE_HISTOGRAM, NULL },
    { "empty name", "", "Help.", DERATE_METRIC_TYPE_GAUGE, NULL },
    { "a counter without _total", "b", "Help.", DERATE_METRIC_TYPE_COUNTER, NULL },
    { "the family of a counter", "a", "Help.", DERATE_METRIC_TYPE_GAUGE, NULL },
    { "when a counter was made", "a_created", "Help.", DERATE_METRIC_TYPE_GAUGE, NULL },
    { "digit first", "1a", "Help.", DERATE_METRIC_TYPE_GAUGE, NULL },
    { "a dash", "a-b", "Help.", DERATE_METRIC_TYPE_GAUGE, NULL },
    { "not ASCII", "caf\xc3\xa9", "Help.", DERATE_METRIC_TYPE_GAUGE, NULL },
    { "colon in a label", "b", "Help.", DERATE_METRIC_TYPE_GAUGE, bad_label },
    { "reserved label", "b", "Help.", DERATE_METRIC_TYPE_GAUGE, hidden_label },
    { "label twice", "b", "Help.", DERATE_METRIC_TYPE_GAUGE, twice },
    { "le", "b_seconds", "Help.", DERATE_METRIC_TYPE_HISTOGRAM, le },
  };
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateCounter) counter = add_counter (registry, "a_total", one_label);
  g_autoptr (DerateHistogram) histogram =
      derate_metrics_registry_add_histogram (registry, "h_seconds", "Help.", NULL, NULL, 0, NULL);
  g_autoptr (DerateGauge) gauge =
      derate_metrics_registry_add_gauge (registry, "g_sum", "Help.", NULL, NULL);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      const Refused *row = &refused[i];
      gpointer made = NULL;

      g_test_message ("%s", row->description);
      if (row->type == DERATE_METRIC_TYPE_COUNTER)
        made = derate_metrics_registry_add_counter (registry, row->name, row->help, row->labels,
                                                    &error);
      else if (row->type == DERATE_METRIC_TYPE_GAUGE)
        made =
            derate_metrics_registry_add_gauge (registry, row->name, row->help, row->labels, &error);
      else
        made = derate_metrics_registry_add_histogram (registry, row->name, row->help, row->labels,
                                                      row->other_bounds ? bounds : NULL,
                                                      row->other_bounds ? 2 : 0, &error);
      g_assert_null (made);
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_METRIC);
      g_assert_nonnull (strstr (error->message, row->name));
      g_clear_error (&error);
    }

  g_assert_null (derate_metrics_registry_add_histogram (registry, "f_seconds", "Help.", NULL,
                                                        falling, 2, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_METRIC);
}

static void
write_states (DerateMetricsWriter *writer, gpointer data)
{
  static const char *const values[] = { "database", NULL };

  g_assert_true (derate_metrics_writer_begin_family (writer, "circuit_breaker_state",
                                                     DERATE_METRIC_TYPE_GAUGE, "State.",
                                                     one_label));
  derate_metrics_writer_sample (writer, values, 2);
  g_assert_true (derate_metrics_writer_begin_family (writer, "degradation_level",
                                                     DERATE_METRIC_TYPE_GAUGE, "Level.", NULL));
  derate_metrics_writer_sample (writer, NULL, 3);
}

static void
write_more_states (DerateMetricsWriter *writer, gpointer data)
{
  static const char *const values[] = { "redis", NULL };
  static const double bounds[] = { 0.5 };
  static const guint64 cumulative[] = { 1 };

  /* Goes on with the family of the other collector. */
  g_assert_true (derate_metrics_writer_begin_family (writer, "circuit_breaker_state",
                                                     DERATE_METRIC_TYPE_GAUGE, "State.",
                                                     one_label));
  derate_metrics_writer_sample (writer, values, NAN);
  /* Clashes with the other collector's: this family is left out, and counted. */
  g_assert_true (derate_metrics_writer_begin_family (writer, "degradation_level_total",
                                                     DERATE_METRIC_TYPE_COUNTER, "Level.", NULL));
  derate_metrics_writer_sample (writer, NULL, 77);
  g_assert_true (derate_metrics_writer_begin_family (writer, "process_x",
                                                     DERATE_METRIC_TYPE_HISTOGRAM, "X.",
                                                     one_label));
  derate_metrics_writer_histogram (writer, values, bounds, cumulative, 1, 4.25, 2);
}

static void
test_collectors (void)
{
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (TestCollector) first = test_collector_add (registry, write_states, NULL);
  g_autoptr (TestCollector) second = test_collector_add (registry, write_more_states, NULL);
  g_autoptr (DerateCounter) counter =
      add_counter (registry, "circuit_breaker_calls_total", one_label);
  static const char *const values[] = { "database", NULL };

  derate_counter_with (counter, values);
  g_assert_true (derate_metrics_registry_set_prefix (registry, "shop_", NULL));
  g_assert_true (derate_metrics_registry_set_breaker_label (registry, "service", NULL));
  assert_renders (registry,
                  "# HELP process_x X.\n"
                  "# TYPE process_x histogram\n"
                  "process_x_bucket{name=\"redis\",le=\"0.5\"} 1\n"
                  "process_x_bucket{name=\"redis\",le=\"+Inf\"} 2\n"
                  "process_x_sum{name=\"redis\"} 4.25\n"
                  "process_x_count{name=\"redis\"} 2\n"
                  "# HELP shop_circuit_breaker_calls_total Help.\n"
                  "# TYPE shop_circuit_breaker_calls_total counter\n"
                  "shop_circuit_breaker_calls_total{service=\"database\"} 0\n"
                  "# HELP shop_circuit_breaker_state State.\n"
                  "# TYPE shop_circuit_breaker_state gauge\n"
                  "shop_circuit_breaker_state{service=\"database\"} 2\n"
                  "shop_circuit_breaker_state{service=\"redis\"} NaN\n"
                  "# HELP shop_degradation_level Level.\n"
                  "# TYPE shop_degradation_level gauge\n"
                  "shop_degradation_level 3\n"
                  "# HELP shop_derate_metrics_collector_errors_total Renderings that left a "
                  "collector out, because it failed or took too long.\n"
                  "# TYPE shop_derate_metrics_collector_errors_total counter\n"
                  "shop_derate_metrics_collector_errors_total{collector=\"TestCollector\"} 1\n"
                  "# HELP shop_derate_metrics_dropped_total Look-ups that found a family full and "
                  "went to its series _other.\n"
                  "# TYPE shop_derate_metrics_dropped_total counter\n"
                  "shop_derate_metrics_dropped_total{metric=\"circuit_breaker_calls_total\"} 0\n");

  derate_metrics_registry_remove_collector (registry, DERATE_METRICS_COLLECTOR (second));
  g_free (derate_metrics_registry_render (registry));
  g_assert_cmpuint (first->n_calls, ==, 2);
  g_assert_cmpuint (second->n_calls, ==, 1);
}

static void
write_only_process (DerateMetricsWriter *writer, gpointer data)
{
  static const char *const values[] = { "redis", NULL };

  g_assert_false (derate_metrics_writer_begin_family (writer, "circuit_breaker_state",
                                                      DERATE_METRIC_TYPE_GAUGE, "State.",
                                                      one_label));
  derate_metrics_writer_sample (writer, values, 1);
  g_assert_true (derate_metrics_writer_begin_family (writer, "process_y", DERATE_METRIC_TYPE_GAUGE,
                                                     "Y.", NULL));
  derate_metrics_writer_sample (writer, NULL, 1);
}

static void
test_disabled (void)
{
  g_autoptr (DerateMetricsRegistry) registry = NULL;
  g_autoptr (TestCollector) collector = NULL;
  g_autoptr (DerateCounter) counter = NULL;

  g_setenv ("ENABLE_RESILIENCE_METRICS", "No", TRUE);
  registry = derate_metrics_registry_new ();
  g_unsetenv ("ENABLE_RESILIENCE_METRICS");
  collector = test_collector_add (registry, write_only_process, NULL);
  counter = add_counter (registry, "a_total", NULL);
  assert_renders (registry, "# HELP process_y Y.\n# TYPE process_y gauge\nprocess_y 1\n");
  g_assert_cmpuint (collector->n_calls, ==, 1);
}

static void
test_bad_prefix (void)
{
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (GError) error = NULL;

  g_assert_false (derate_metrics_registry_set_prefix (registry, "a-b", &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_METRIC);
  g_clear_error (&error);
  g_assert_false (derate_metrics_registry_set_breaker_label (registry, "a:b", &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_METRIC);
}

static void
test_process (void)
{
  static const char *const names[] = {
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
    "process_virtual_memory_bytes",
    "process_virtual_memory_max_bytes",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "derate_build_info{version=\"1.0.0\"}",
  };
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateMetricsCollector) collector = derate_process_collector_new ();
  g_autofree char *text = NULL;
  double now = (double)g_get_real_time () / G_USEC_PER_SEC;

  derate_metrics_registry_add_collector (registry, collector);
  text = derate_metrics_registry_render (registry);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *start = g_strdup_printf ("\n%s ", names[i]);
      const char *line = strstr (text, start);

      g_assert_nonnull (line);
      if (i > 0)
        g_assert_cmpfloat (g_ascii_strtod (line + strlen (start), NULL), >, 0);
    }
  {
    const char *line = strstr (text, "\nprocess_start_time_seconds ");
    double started = g_ascii_strtod (line + strlen ("\nprocess_start_time_seconds "), NULL);

    g_assert_cmpfloat (started, <=, now + 2);
    g_assert_cmpfloat (started, >, now - 3600);
  }
}

/* The rules of Prometheus itself. */
static void
test_promtool (void)
{
  static const char *const odd[] = { "q\"\\\n", "x", NULL };
  g_autofree char *promtool = g_find_program_in_path ("promtool");
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateMetricsCollector) collector = derate_process_collector_new ();
  g_autoptr (DerateCounter) counter = NULL;
  g_autoptr (DerateHistogram) histogram = NULL;
  g_autoptr (GSubprocess) process = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  g_autofree char *output = NULL;

  if (promtool == NULL)
    {
      g_test_skip ("promtool is not installed");
      return;
    }
  derate_metrics_registry_add_collector (registry, collector);
  counter = add_counter (registry, "shop_calls_total", two_labels);
  derate_counter_inc (derate_counter_with (counter, odd));
  histogram = derate_metrics_registry_add_histogram (registry, "shop_call_duration_seconds",
                                                     "Help\\ of\nlines.", NULL, NULL, 0, NULL);
  derate_histogram_observe (histogram, 0.3);
  text = derate_metrics_registry_render (registry);

  process = g_subprocess_new (G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE |
                                  G_SUBPROCESS_FLAGS_STDERR_MERGE,
                              &error, promtool, "check", "metrics", NULL);
  g_assert_no_error (error);
  g_subprocess_communicate_utf8 (process, text, NULL, &output, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (output, ==, "");
  g_assert_cmpint (g_subprocess_get_exit_status (process), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* A collector that fails is told of. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  g_test_add_func ("/metrics-registry/counter", test_counter);
  g_test_add_func ("/metrics-registry/gauge", test_gauge);
  g_test_add_func ("/metrics-registry/histogram", test_histogram);
  g_test_add_func ("/metrics-registry/many-bounds", test_many_bounds);
  g_test_add_func ("/metrics-registry/spans", test_spans);
  g_test_add_func ("/metrics-registry/labels", test_labels);
  g_test_add_func ("/metrics-registry/cap", test_cap);
  g_test_add_func ("/metrics-registry/same-again", test_same_again);
  g_test_add_func ("/metrics-registry/refused", test_refused);
  g_test_add_func ("/metrics-registry/collectors", test_collectors);
  g_test_add_func ("/metrics-registry/disabled", test_disabled);
  g_test_add_func ("/metrics-registry/bad-prefix", test_bad_prefix);
  g_test_add_func ("/metrics-registry/process", test_process);
  g_test_add_func ("/metrics-registry/promtool", test_promtool);
  return g_test_run ();
}
