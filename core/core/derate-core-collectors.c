/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-collector.h"
#include "derate-core-run-private.h"
#include "derate-degradation-collector-private.h"
#include "derate-health-collector-private.h"
#include "derate-process-collector.h"

static void
attach (DerateCore *core, DerateMetricsCollector *collector)
{
  derate_metrics_registry_add_collector (core->metrics, collector);
  g_object_unref (collector);
}

/* Each room counts for itself and has a collector over its own snapshots; here they meet. */
void
derate_core_attach_collectors (DerateCore *core)
{
  attach (core, DERATE_METRICS_COLLECTOR (derate_breaker_collector_new (core->breakers)));
  attach (core, DERATE_METRICS_COLLECTOR (derate_health_collector_new (core->monitor)));
  attach (core, derate_degradation_collector_new (core->manager));
  attach (core, DERATE_METRICS_COLLECTOR (g_object_ref (core->fallback_usage)));
  attach (core, derate_process_collector_new ());
}
