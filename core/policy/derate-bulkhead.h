/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-clock.h>
#include <derate-policy.h>

G_BEGIN_DECLS

#define DERATE_TYPE_BULKHEAD (derate_bulkhead_get_type ())

typedef struct _DerateBulkhead DerateBulkhead;
typedef struct _DerateBulkheadClass DerateBulkheadClass;

DERATE_AVAILABLE_IN_1_0
GType derate_bulkhead_get_type (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateBulkhead, g_object_unref)

/**
 * DERATE_BULKHEAD: (skip)
 */
#define DERATE_BULKHEAD(object) \
  (G_TYPE_CHECK_INSTANCE_CAST ((object), DERATE_TYPE_BULKHEAD, DerateBulkhead))

/**
 * DERATE_IS_BULKHEAD: (skip)
 */
#define DERATE_IS_BULKHEAD(object) (G_TYPE_CHECK_INSTANCE_TYPE ((object), DERATE_TYPE_BULKHEAD))

/**
 * DERATE_BULKHEAD_DEFAULT:
 *
 * How many calls may be under way at once where you know no better: 25 (resilience4j's
 * `maxConcurrentCalls`).
 *
 * Since: 1.0
 */
#define DERATE_BULKHEAD_DEFAULT 25

/**
 * DerateBulkheadStats:
 * @limit: how many calls may be under way
 * @in_use: how many are
 * @waiting: how many wait for a place
 * @calls: calls that asked for a place
 * @refused: calls for which there was neither a place nor room to wait
 * @waited: calls that got a place after waiting
 * @timed_out: calls that waited in vain
 * @cancelled: calls that were cancelled while they waited
 *
 * What a bulkhead holds and what it has counted.
 *
 * Since: 1.0
 */
typedef struct
{
  guint limit;
  guint in_use;
  guint waiting;
  guint64 calls;
  guint64 refused;
  guint64 waited;
  guint64 timed_out;
  guint64 cancelled;
} DerateBulkheadStats;

DERATE_AVAILABLE_IN_1_0
DerateBulkhead *derate_bulkhead_new (DerateClock *clock,
                                     guint        max_concurrent);

DERATE_AVAILABLE_IN_1_0
gboolean derate_bulkhead_set_queue (DerateBulkhead *bulkhead,
                                    guint           length,
                                    GTimeSpan       max_wait,
                                    GError        **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_bulkhead_set_adaptive (DerateBulkhead *bulkhead,
                                       guint           min,
                                       guint           max,
                                       GError        **error);

DERATE_AVAILABLE_IN_1_0
guint derate_bulkhead_get_limit (DerateBulkhead *bulkhead);

DERATE_AVAILABLE_IN_1_0
guint derate_bulkhead_get_in_use (DerateBulkhead *bulkhead);

DERATE_AVAILABLE_IN_1_0
guint derate_bulkhead_get_waiting (DerateBulkhead *bulkhead);

DERATE_AVAILABLE_IN_1_0
void derate_bulkhead_get_stats (DerateBulkhead      *bulkhead,
                                DerateBulkheadStats *stats);

G_END_DECLS
