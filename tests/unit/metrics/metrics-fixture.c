/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics-fixture.h"

#include <string.h>

static void collector_iface_init (DerateMetricsCollectorInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (TestCollector,
                               test_collector,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_METRICS_COLLECTOR,
                                                      collector_iface_init))

static void
test_collector_collect (DerateMetricsCollector *base, DerateMetricsWriter *writer)
{
  TestCollector *collector = TEST_COLLECTOR (base);

  g_atomic_int_inc (&collector->n_calls);
  collector->work (writer, collector->data);
}

static void
collector_iface_init (DerateMetricsCollectorInterface *iface)
{
  iface->collect = test_collector_collect;
}

static void
test_collector_class_init (TestCollectorClass *klass)
{
}

static void
test_collector_init (TestCollector *collector)
{
}

TestCollector *
test_collector_add (DerateMetricsRegistry *registry, TestWork work, gpointer data)
{
  TestCollector *collector = g_object_new (TEST_TYPE_COLLECTOR, NULL);

  collector->work = work;
  collector->data = data;
  derate_metrics_registry_add_collector (registry, DERATE_METRICS_COLLECTOR (collector));
  return collector;
}

void
assert_line (const char *text, const char *line)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  if (!g_strv_contains ((const char *const *)lines, line))
    g_error ("no line “%s” in:\n%s", line, text);
}

guint64
read_value (const char *text, const char *series)
{
  g_autofree char *start = g_strconcat ("\n", series, " ", NULL);
  const char *line = strstr (text, start);

  if (line == NULL)
    g_error ("no %s in:\n%s", series, text);
  return g_ascii_strtoull (line + strlen (start), NULL, 10);
}

char *
render_openmetrics (DerateMetricsRegistry *registry)
{
  g_autoptr (GBytes) bytes =
      derate_metrics_registry_render_as (registry, DERATE_METRICS_FORMAT_OPENMETRICS);

  return g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
}
