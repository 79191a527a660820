/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-shard-private.h"

G_BEGIN_DECLS

#define DERATE_BUDGET_SLICES 10

/* How many calls more than were asked for: a share of the calls of the last 10 s, or a few when
 * that is more. A call is counted in the thread's own shard; the sum is only read when an extra one
 * is wanted, and calls since it was read last are taken to have come evenly.
 *
 * Retries and hedges at most 20 % of calls, three at least: failsafe-go's budget and Envoy's
 * (budget_percent 20, min_retry_concurrency 3). The window is Finagle's RetryBudget's (10 s):
 * theirs count what is in flight, which lets one slow caller after another try every time. */
typedef struct
{
  DerateShardSlot calls;
  double share;
  guint reserve;

  GMutex mutex; /* guards what follows */
  gint64 slice;
  guint64 seen;
  guint64 calls_in[DERATE_BUDGET_SLICES];
  guint64 extras_in[DERATE_BUDGET_SLICES];
  guint64 taken;
  guint64 refused;
} DerateBudget;

#define DERATE_BUDGET_SHARE 0.2
#define DERATE_BUDGET_RESERVE 3

/* @calls is the cell that calls are counted in, the caller's. */
void derate_budget_init (DerateBudget   *budget,
                         DerateShardSlot calls,
                         gint64          now);
void derate_budget_clear (DerateBudget *budget);

gboolean derate_budget_set (DerateBudget *budget,
                            double        share,
                            guint         reserve,
                            GError      **error);

/* Whether one more may be made; it is counted. */
gboolean derate_budget_take (DerateBudget *budget,
                             gint64        now);

void derate_budget_read (DerateBudget *budget,
                         guint64      *taken,
                         guint64      *refused);

G_END_DECLS
