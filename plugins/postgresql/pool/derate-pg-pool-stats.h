/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

#define DERATE_TYPE_PG_POOL_STATS (derate_pg_pool_stats_get_type ())

typedef struct _DeratePgPoolStats DeratePgPoolStats;

/**
 * DeratePgPoolStats:
 * @min: how many sessions the pool keeps
 * @max: how many sessions it may have
 * @limit: how many it may have now: less than @max only where it finds its size by itself
 * @total: how many it has: the sum of the next six
 * @idle: sessions that wait for work
 * @busy: sessions that somebody has acquired
 * @connecting: sessions that are being opened
 * @reserved: sessions that are being validated or reset
 * @draining: sessions that may still run a statement whose caller has gone
 * @closing: sessions that were closed and may not have ended at the server yet
 * @waiting: callers that wait for a session
 * @opened: sessions opened so far
 * @failed: attempts to open one that failed
 * @lost: sessions that were found closed: by the server, the network or who had them
 * @retired: sessions closed for their age, or because the pool shrank
 * @broken: sessions closed because they could not be brought back to a clean state
 * @timed_out: callers that waited in vain
 * @cancelled: callers that gave up waiting
 * @refused: callers that were refused at once
 * @leaked: times a session was held for longer than the leak threshold
 *
 * What a pool looks like at one moment.
 *
 * Since: 1.0
 */
struct _DeratePgPoolStats
{
  guint min;
  guint max;
  guint limit;
  guint total;
  guint idle;
  guint busy;
  guint connecting;
  guint reserved;
  guint draining;
  guint closing;
  guint waiting;
  guint64 opened;
  guint64 failed;
  guint64 lost;
  guint64 retired;
  guint64 broken;
  guint64 timed_out;
  guint64 cancelled;
  guint64 refused;
  guint64 leaked;
  /*< private >*/
  guint64 padding[8];
};

DERATE_AVAILABLE_IN_1_0
GType derate_pg_pool_stats_get_type (void);

DERATE_AVAILABLE_IN_1_0
void derate_pg_pool_stats_free (DeratePgPoolStats *stats);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeratePgPoolStats, derate_pg_pool_stats_free)

G_END_DECLS
