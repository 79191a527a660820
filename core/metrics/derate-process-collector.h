/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-metrics-collector.h>
#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

#define DERATE_TYPE_PROCESS_COLLECTOR (derate_process_collector_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateProcessCollector,
                      derate_process_collector,
                      DERATE,
                      PROCESS_COLLECTOR,
                      GObject)

DERATE_AVAILABLE_IN_1_0
DerateMetricsCollector *derate_process_collector_new (void);

G_END_DECLS
