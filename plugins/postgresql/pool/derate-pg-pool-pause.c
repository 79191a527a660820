/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads: any. */
#include "derate-pg-waiter-private.h"

/**
 * derate_pg_pool_pause:
 * @pool: a pool
 *
 * Lends no session from now on: who asks for one waits, and the time until
 * derate_pg_pool_resume() does not count. Who has one is not disturbed. Nothing is connected
 * meanwhile. May be called from any thread; a second time it does nothing.
 *
 * Since: 1.0
 */
void
derate_pg_pool_pause (DeratePgPool *pool)
{
  g_return_if_fail (DERATE_IS_PG_POOL (pool));

  g_mutex_lock (&pool->lock);
  if ((__atomic_fetch_or (&pool->gate, GATE_PAUSED, __ATOMIC_SEQ_CST) & GATE_PAUSED) == 0)
    pool->paused_at = derate_pg_pool_now (pool);
  g_mutex_unlock (&pool->lock);
}

/**
 * derate_pg_pool_resume:
 * @pool: a pool
 *
 * Ends derate_pg_pool_pause(): who waits is served in the order they came. May be called from any
 * thread.
 *
 * Since: 1.0
 */
void
derate_pg_pool_resume (DeratePgPool *pool)
{
  g_auto (GQueue) served = G_QUEUE_INIT;

  g_return_if_fail (DERATE_IS_PG_POOL (pool));

  g_mutex_lock (&pool->lock);
  if ((__atomic_fetch_and (&pool->gate, ~GATE_PAUSED, __ATOMIC_SEQ_CST) & GATE_PAUSED) != 0)
    {
      derate_pg_waiters_wait_on (pool, pool->paused_at, derate_pg_pool_now (pool));
      derate_pg_pool_serve (pool, &served);
      derate_pg_pool_kick (pool);
    }
  g_mutex_unlock (&pool->lock);
  derate_pg_waiter_end_all (&served);
}
