/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"

#include <derate.h>

static const char *const labels[] = { "method", "status", NULL };
static const char *const values[] = { "GET", "200", NULL };

static gpointer
set_up_counter (void)
{
  return derate_counter_new ();
}

static void
tear_down_counter (gpointer counter)
{
  derate_counter_unref (counter);
}

static void
inc (gpointer counter, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    derate_counter_inc (counter);
}

static gpointer
set_up_histogram (void)
{
  return derate_histogram_new (NULL, 0);
}

static void
tear_down_histogram (gpointer histogram)
{
  derate_histogram_unref (histogram);
}

/* Values of every bucket in turn. */
static void
observe (gpointer histogram, guint64 n)
{
  static const double seconds[] = { 0.0005, 0.002, 0.004, 0.008, 0.02, 0.04, 0.08, 0.2,
                                    0.4,    0.8,   2,     4,     8,    0.03, 0.3,  0.003 };

  for (guint64 i = 0; i < n; i++)
    derate_histogram_observe (histogram, seconds[i % G_N_ELEMENTS (seconds)]);
}

/* A family with hundreds of series, one of which is looked up. */
static gpointer
set_up_labelled (void)
{
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (GError) error = NULL;
  DerateCounter *counter =
      derate_metrics_registry_add_counter (registry, "requests_total", "Requests", labels, &error);

  if (counter == NULL)
    g_error ("%s", error->message);
  for (guint i = 0; i < 500; i++)
    {
      g_autofree char *status = g_strdup_printf ("%u", i);
      const char *const others[] = { "GET", status, NULL };

      derate_counter_with (counter, others);
    }
  return counter;
}

static void
inc_labelled (gpointer counter, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    derate_counter_inc (derate_counter_with (counter, values));
}

/* 10,000 counters of three labels, in ten families because one holds a thousand. */
#define N_FAMILIES 10
#define N_SERIES 1000
#define ALL_SERIES (N_FAMILIES * N_SERIES)

static gpointer
set_up_registry (void)
{
  static const char *const names[] = { "method", "path", "status", NULL };
  static const char *const methods[] = { "GET", "POST", "PUT", "DELETE" };
  DerateMetricsRegistry *registry = derate_metrics_registry_new ();

  for (guint f = 0; f < N_FAMILIES; f++)
    {
      g_autofree char *name = g_strdup_printf ("http_requests_%u_total", f);
      g_autoptr (DerateCounter) counter =
          derate_metrics_registry_add_counter (registry, name, "Requests.", names, NULL);

      for (guint i = 0; i < N_SERIES; i++)
        {
          g_autofree char *path = g_strdup_printf ("/api/v1/items/%u", i);
          const char *const series[] = { methods[i % 4], path, i % 3 ? "200" : "503", NULL };

          derate_counter_add (derate_counter_with (counter, series), f * N_SERIES + i);
        }
    }
  return registry;
}

static void
render (gpointer registry, DerateMetricsFormat format, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    g_bytes_unref (derate_metrics_registry_render_as (registry, format));
}

static void
render_text (gpointer registry, guint64 n)
{
  render (registry, DERATE_METRICS_FORMAT_TEXT, n);
}

static void
render_openmetrics (gpointer registry, guint64 n)
{
  render (registry, DERATE_METRICS_FORMAT_OPENMETRICS, n);
}

static const BenchCase cases[] = {
  { "counter-inc", 2, set_up_counter, inc, tear_down_counter, "atomic-own", 0.5, 1.2 },
  { "histogram-observe", 2, set_up_histogram, observe, tear_down_histogram, "atomic-own", 1.2,
    1.2 },
  { "labelled-inc", 2, set_up_labelled, inc_labelled, tear_down_counter, "atomic-own", .max_ns = 40,
    .max_pair = 2 },
  { "render-text", 1, set_up_registry, render_text, g_object_unref, .min_peer = 8,
    .counted = BENCH_NOT_COUNTED },
  { "render-openmetrics", 1, set_up_registry, render_openmetrics, g_object_unref, .min_peer = 8,
    .counted = BENCH_NOT_COUNTED },
  { NULL },
};

/* Cells do not come from malloc (). */
static double
measure_bytes_series (void)
{
  gsize before;
  double bytes;
  gpointer registry;

  derate_counter_unref (derate_counter_new ());
  before = bench_resident ();
  registry = set_up_registry ();
  bytes = (double)(bench_resident () - before) / ALL_SERIES;
  g_object_unref (registry);
  return bytes;
}

/* For a thousand series, so that a hundred for the rest show as less than one each. */
static double
measure_render_allocations (void)
{
  gpointer registry = set_up_registry ();
  guint64 before;
  double n;

  render (registry, DERATE_METRICS_FORMAT_OPENMETRICS, 1);
  before = bench_count_allocations ();
  render (registry, DERATE_METRICS_FORMAT_OPENMETRICS, 1);
  n = (double)(bench_count_allocations () - before);
  g_object_unref (registry);
  return n * 1000 / ALL_SERIES;
}

static const BenchFigure figures[] = {
  { "bytes-series", measure_bytes_series, 256 },
  { "render-allocations-1000", measure_render_allocations, 100 },
  { NULL },
};

int
main (int argc, char **argv)
{
  return bench_main (argc, argv, cases, figures);
}
