/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-metrics-collector.h"
#include "derate-monitor-private.h"

G_BEGIN_DECLS

#define DERATE_TYPE_HEALTH_COLLECTOR (derate_health_collector_get_type ())
G_DECLARE_FINAL_TYPE (DerateHealthCollector,
                      derate_health_collector,
                      DERATE,
                      HEALTH_COLLECTOR,
                      GObject)

/* service_health_* of every service that @monitor has. */
DerateHealthCollector *derate_health_collector_new (DerateMonitor *monitor);

G_END_DECLS
