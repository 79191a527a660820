/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-clock.h>
#include <derate-policy.h>

G_BEGIN_DECLS

#define DERATE_TYPE_RATE_LIMITER (derate_rate_limiter_get_type ())

typedef struct _DerateRateLimiter DerateRateLimiter;
typedef struct _DerateRateLimiterClass DerateRateLimiterClass;

DERATE_AVAILABLE_IN_1_0
GType derate_rate_limiter_get_type (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateRateLimiter, g_object_unref)

/**
 * DERATE_RATE_LIMITER: (skip)
 */
#define DERATE_RATE_LIMITER(object) \
  (G_TYPE_CHECK_INSTANCE_CAST ((object), DERATE_TYPE_RATE_LIMITER, DerateRateLimiter))

/**
 * DERATE_IS_RATE_LIMITER: (skip)
 */
#define DERATE_IS_RATE_LIMITER(object) \
  (G_TYPE_CHECK_INSTANCE_TYPE ((object), DERATE_TYPE_RATE_LIMITER))

/**
 * DerateRateLimiterStats:
 * @waiting: calls that wait for their turn
 * @calls: calls that asked
 * @refused: calls that were refused
 * @waited: calls that had their turn after waiting
 * @cancelled: calls that were cancelled while they waited
 *
 * What a rate limiter holds and what it has counted of calls.
 *
 * Since: 1.0
 */
typedef struct
{
  guint waiting;
  guint64 calls;
  guint64 refused;
  guint64 waited;
  guint64 cancelled;
} DerateRateLimiterStats;

DERATE_AVAILABLE_IN_1_0
DerateRateLimiter *derate_rate_limiter_new (DerateClock *clock,
                                            double       rate,
                                            guint        burst);

DERATE_AVAILABLE_IN_1_0
gboolean derate_rate_limiter_set_max_wait (DerateRateLimiter *limiter,
                                           GTimeSpan          max_wait,
                                           GError           **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_rate_limiter_try_acquire (DerateRateLimiter *limiter,
                                          guint              n,
                                          GTimeSpan         *retry_after);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_rate_limiter_get_retry_after (DerateRateLimiter *limiter);

DERATE_AVAILABLE_IN_1_0
guint derate_rate_limiter_get_waiting (DerateRateLimiter *limiter);

DERATE_AVAILABLE_IN_1_0
void derate_rate_limiter_get_stats (DerateRateLimiter      *limiter,
                                    DerateRateLimiterStats *stats);

G_END_DECLS
