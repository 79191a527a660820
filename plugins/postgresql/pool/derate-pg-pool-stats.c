/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-pg-pool-private.h"

static DeratePgPoolStats *
stats_copy (DeratePgPoolStats *stats)
{
  return g_memdup2 (stats, sizeof *stats);
}

G_DEFINE_BOXED_TYPE (DeratePgPoolStats, derate_pg_pool_stats, stats_copy, derate_pg_pool_stats_free)

/**
 * derate_pg_pool_stats_free:
 * @stats: (transfer full): a snapshot
 *
 * Frees it.
 *
 * Since: 1.0
 */
void
derate_pg_pool_stats_free (DeratePgPoolStats *stats)
{
  g_free (stats);
}

/**
 * derate_pg_pool_dup_stats:
 * @pool: a pool
 *
 * What the pool looks like now. May be called from any thread.
 *
 * Returns: (transfer full): a snapshot
 *
 * Since: 1.0
 */
DeratePgPoolStats *
derate_pg_pool_dup_stats (DeratePgPool *pool)
{
  DeratePgPoolStats *stats;

  g_return_val_if_fail (DERATE_IS_PG_POOL (pool), NULL);

  stats = g_new (DeratePgPoolStats, 1);
  derate_pg_pool_read_stats (pool, stats);
  return stats;
}

void
derate_pg_pool_read_stats (DeratePgPool *pool, DeratePgPoolStats *stats)
{
  guint counts[DERATE_PG_SLOT_N_STATES];

  g_mutex_lock (&pool->lock);
  derate_pg_pool_count (pool, counts);
  *stats = pool->counts;
  stats->min = pool->min;
  stats->max = pool->max;
  stats->limit = pool->sizing.limit;
  stats->waiting = pool->waiters.length;
  g_mutex_unlock (&pool->lock);

  stats->idle = counts[DERATE_PG_SLOT_IDLE];
  stats->busy = counts[DERATE_PG_SLOT_BUSY];
  stats->connecting = counts[DERATE_PG_SLOT_CONNECTING];
  stats->reserved = counts[DERATE_PG_SLOT_RESERVED];
  stats->draining = counts[DERATE_PG_SLOT_DRAINING];
  stats->closing = counts[DERATE_PG_SLOT_DEAD];
  stats->total = stats->idle + stats->busy + stats->connecting + stats->reserved + stats->draining +
                 stats->closing;
}
