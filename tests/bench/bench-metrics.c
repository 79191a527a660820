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

static const BenchCase cases[] = {
  { "counter-inc", 2, set_up_counter, inc, tear_down_counter, "atomic-own", 0.5, 1.2 },
  { "histogram-observe", 2, set_up_histogram, observe, tear_down_histogram, "atomic-own", 1.2,
    1.2 },
  { "labelled-inc", 2, set_up_labelled, inc_labelled, tear_down_counter, "atomic-own", .max_ns = 40,
    .max_pair = 2 },
  { NULL },
};

static const BenchFigure figures[] = {
  { NULL },
};

int
main (int argc, char **argv)
{
  return bench_main (argc, argv, cases, figures);
}
