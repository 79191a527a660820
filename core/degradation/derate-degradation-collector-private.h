/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-degradation-manager.h"
#include "derate-metrics-collector.h"

G_BEGIN_DECLS

#define DERATE_TYPE_DEGRADATION_COLLECTOR (derate_degradation_collector_get_type ())
G_DECLARE_FINAL_TYPE (DerateDegradationCollector,
                      derate_degradation_collector,
                      DERATE,
                      DEGRADATION_COLLECTOR,
                      GObject)

/* The metrics degradation_*, for the registry of @manager's core; keeps @manager. */
DerateMetricsCollector *derate_degradation_collector_new (DerateDegradationManager *manager);

G_END_DECLS
