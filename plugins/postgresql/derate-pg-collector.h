/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-metrics-collector.h>
#include <derate-pg-pool.h>

G_BEGIN_DECLS

#define DERATE_TYPE_PG_COLLECTOR (derate_pg_collector_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DeratePgCollector, derate_pg_collector, DERATE, PG_COLLECTOR, GObject)

DERATE_AVAILABLE_IN_1_0
DeratePgCollector *derate_pg_collector_new (void);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_collector_add (DeratePgCollector *collector,
                                  DeratePgPool      *pool,
                                  GError           **error);

G_END_DECLS
