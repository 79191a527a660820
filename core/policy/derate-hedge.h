/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-clock.h>
#include <derate-policy.h>

G_BEGIN_DECLS

#define DERATE_TYPE_HEDGE (derate_hedge_get_type ())

typedef struct _DerateHedge DerateHedge;
typedef struct _DerateHedgeClass DerateHedgeClass;

DERATE_AVAILABLE_IN_1_0
GType derate_hedge_get_type (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateHedge, g_object_unref)

/**
 * DERATE_HEDGE: (skip)
 */
#define DERATE_HEDGE(object) (G_TYPE_CHECK_INSTANCE_CAST ((object), DERATE_TYPE_HEDGE, DerateHedge))

/**
 * DERATE_IS_HEDGE: (skip)
 */
#define DERATE_IS_HEDGE(object) (G_TYPE_CHECK_INSTANCE_TYPE ((object), DERATE_TYPE_HEDGE))

/**
 * DerateHedgeStats:
 * @calls: calls that might have been hedged
 * @hedges: second attempts that were begun
 * @won: second attempts that answered first
 * @over_budget: second attempts that were not begun because the budget was spent
 *
 * What a hedge has counted.
 *
 * Since: 1.0
 */
typedef struct
{
  guint64 calls;
  guint64 hedges;
  guint64 won;
  guint64 over_budget;
} DerateHedgeStats;

DERATE_AVAILABLE_IN_1_0
DerateHedge *derate_hedge_new (DerateClock *clock,
                               GTimeSpan    delay);

DERATE_AVAILABLE_IN_1_0
gboolean derate_hedge_set_quantile (DerateHedge *hedge,
                                    double       quantile,
                                    GError     **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_hedge_set_budget (DerateHedge *hedge,
                                  double       share,
                                  guint        reserve,
                                  GError     **error);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_hedge_get_delay (DerateHedge *hedge);

DERATE_AVAILABLE_IN_1_0
void derate_hedge_get_stats (DerateHedge      *hedge,
                             DerateHedgeStats *stats);

G_END_DECLS
