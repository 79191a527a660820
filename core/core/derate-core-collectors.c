/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-core-run-private.h"
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
  attach (core, derate_process_collector_new ());
}
