/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-metrics-collector.h"

/**
 * DerateMetricsCollector:
 *
 * Something that has numbers and gives them when asked, so that nothing is counted twice.
 *
 * It is asked at each rendering, in a thread of the library's and by one rendering at a time, and
 * should answer from what it has in memory. One that takes longer than a second is left out of that
 * rendering, and not asked again before it has come back; see also derate_metrics_writer_fail().
 *
 * Since: 1.0
 */
G_DEFINE_INTERFACE (DerateMetricsCollector, derate_metrics_collector, G_TYPE_OBJECT)

static void
derate_metrics_collector_default_init (DerateMetricsCollectorInterface *iface)
{
}

/**
 * derate_metrics_collector_collect:
 * @collector: a collector
 * @writer: where to
 *
 * Has the collector write its families.
 *
 * Since: 1.0
 */
void
derate_metrics_collector_collect (DerateMetricsCollector *collector, DerateMetricsWriter *writer)
{
  DerateMetricsCollectorInterface *iface = DERATE_METRICS_COLLECTOR_GET_IFACE (collector);

  g_return_if_fail (iface->collect != NULL);

  iface->collect (collector, writer);
}
