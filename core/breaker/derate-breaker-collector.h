/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-breaker-registry.h>
#include <derate-metrics-collector.h>

G_BEGIN_DECLS

#define DERATE_TYPE_BREAKER_COLLECTOR (derate_breaker_collector_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateBreakerCollector,
                      derate_breaker_collector,
                      DERATE,
                      BREAKER_COLLECTOR,
                      GObject)

DERATE_AVAILABLE_IN_1_0
DerateMetricsCollector *derate_breaker_collector_new (DerateBreakerRegistry *registry);

G_END_DECLS
