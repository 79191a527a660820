/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-metrics-collector.h"

/**
 * DerateMetricsCollector:
 *
 * Something that has numbers and gives them when asked, so that nothing is counted twice.
 *
 * It is asked at each rendering, in whichever thread renders, and must answer from what it has in
 * memory.
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
