/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-metrics-registry.h"

G_BEGIN_DECLS

/* For tests, before the first rendering: how long a rendering waits for a collector, and how long
 * another thread waits to go on with the others. */
void derate_metrics_registry_set_limits (DerateMetricsRegistry *registry,
                                         GTimeSpan              deadline,
                                         GTimeSpan              patience);

G_END_DECLS
