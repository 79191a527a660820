/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-metrics-writer.h>
#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

#define DERATE_TYPE_METRICS_COLLECTOR (derate_metrics_collector_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_INTERFACE (DerateMetricsCollector,
                     derate_metrics_collector,
                     DERATE,
                     METRICS_COLLECTOR,
                     GObject)

/**
 * DerateMetricsCollectorInterface:
 * @g_iface: the parent
 * @collect: writes the families; called in a thread of the library's, with no lock held
 *
 * What a collector does.
 *
 * Since: 1.0
 */
struct _DerateMetricsCollectorInterface
{
  GTypeInterface g_iface;

  void (*collect) (DerateMetricsCollector *collector,
                   DerateMetricsWriter    *writer);
};

DERATE_AVAILABLE_IN_1_0
void derate_metrics_collector_collect (DerateMetricsCollector *collector,
                                       DerateMetricsWriter    *writer);

G_END_DECLS
