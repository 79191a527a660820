/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-budget-private.h"
#include "derate-hedge.h"
#include "derate-latency-private.h"
#include "derate-policy-private.h"

G_BEGIN_DECLS

enum
{
  HEDGE_CELL_CALLS,
  HEDGE_CELL_WON,
  HEDGE_N_CELLS
};

/* When to begin the second attempts of calls that are made in threads of their own: one source for
 * all of them in the thread of timers. It outlives the hedge by as long as that thread runs it. */
typedef struct _DerateHedgeTimer DerateHedgeTimer;

struct _DerateHedge
{
  DeratePolicy parent_instance;

  DerateClock *clock;
  GTimeSpan delay;
  DerateShardSlot cells;
  DerateBudget budget;
  DerateLatency *latency; /* (nullable) */
  DerateHedgeTimer *timer;
};

DerateHedgeTimer *derate_hedge_timer_new (DerateClock *clock);
void derate_hedge_timer_free (DerateHedgeTimer *timer);

/* A call ended with an answer of the first attempt, or without it of the second, @span after the
 * first began. */
void derate_hedge_note_answer (DerateHedge *hedge,
                               gboolean     first,
                               GTimeSpan    span);

GVariant *derate_hedge_call (DeratePolicy      *policy,
                             DerateCallContext *context,
                             guint              next,
                             GError           **error);

G_END_DECLS
