/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fewer sessions, or none of those that there are. Threads: any thread marks what must go, under
 * the lock; the pool thread closes it as soon as it is free. */
#include "derate-pg-waiter-private.h"

#include "derate-pg-error.h"

static gboolean
is_marked (const DeratePgSlot *slot)
{
  guint64 word = derate_pg_slot_read (slot);

  return derate_pg_slot_state (word) != DERATE_PG_SLOT_EMPTY && (word & SLOT_RETIRE) != 0;
}

/* Marks up to @n sessions in @state. */
static guint
mark (DeratePgPool *pool, DeratePgSlotState state, guint n)
{
  guint marked = 0;

  for (guint i = 0; i < pool->n_slots && marked < n; i++)
    {
      DeratePgSlot *slot = &pool->slots[i];

      if (derate_pg_slot_state (derate_pg_slot_read (slot)) != state || is_marked (slot))
        continue;
      derate_pg_slot_flag (slot, SLOT_RETIRE, 0);
      marked++;
    }
  return marked;
}

static guint
count_marked (DeratePgPool *pool)
{
  guint n = 0;

  for (guint i = 0; i < pool->n_slots; i++)
    n += is_marked (&pool->slots[i]) ? 1 : 0;
  return n;
}

/* Idle ones go first, then what is not idle yet, then what is in use. */
void
derate_pg_resize_shrink (DeratePgPool *pool)
{
  static const DeratePgSlotState order[] = {
    DERATE_PG_SLOT_IDLE,     DERATE_PG_SLOT_CONNECTING, DERATE_PG_SLOT_RESERVED,
    DERATE_PG_SLOT_DRAINING, DERATE_PG_SLOT_BUSY,
  };
  guint staying = pool->n_live - count_marked (pool);

  for (guint i = 0; i < G_N_ELEMENTS (order) && staying > pool->sizing.limit; i++)
    staying -= mark (pool, order[i], staying - pool->sizing.limit);
}

/**
 * derate_pg_pool_resize:
 * @pool: a pool
 * @min: how many sessions to keep at least
 * @max: how many there may be, 1 to 1024
 * @error: where to put the error
 *
 * Changes how many sessions there may be. Sessions too many are closed, idle ones first; one in use
 * is not cut, but closed when it is given back. May be called from any thread.
 *
 * Returns: %TRUE, or %FALSE with %DERATE_PG_ERROR_CONFIG where @min is more than @max, or @max is
 *   out of range
 *
 * Since: 1.0
 */
gboolean
derate_pg_pool_resize (DeratePgPool *pool, guint min, guint max, GError **error)
{
  g_return_val_if_fail (DERATE_IS_PG_POOL (pool), FALSE);

  if (max < 1 || max > MAX_SLOTS || min > max)
    {
      g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CONFIG,
                   "pool %s: it cannot have %u to %u sessions", pool->settings.name, min, max);
      return FALSE;
    }
  g_mutex_lock (&pool->lock);
  pool->min = min;
  pool->max = max;
  derate_pg_sizing_clamp (pool);
  derate_pg_resize_shrink (pool);
  derate_pg_pool_kick (pool);
  g_mutex_unlock (&pool->lock);
  return TRUE;
}

/**
 * derate_pg_pool_drain_async:
 * @pool: a pool
 * @cancellable: (nullable): ends the waiting, not the draining
 * @callback: (scope async): called once, in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * Closes every session that there is now, each as soon as it is free, and waits until the server
 * has none of them left. Others are opened in their place as they are needed, unless the pool is
 * paused: then it has no session at all in the end. May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_pg_pool_drain_async (DeratePgPool *pool,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  g_autoptr (GTask) task = NULL;

  g_return_if_fail (DERATE_IS_PG_POOL (pool));

  task = g_task_new (pool, cancellable, callback, user_data);
  g_task_set_source_tag (task, derate_pg_pool_drain_async);
  g_mutex_lock (&pool->lock);
  if (pool->alarm != NULL)
    {
      derate_pg_pool_add_task (pool, pool->drains, g_steal_pointer (&task));
      for (guint state = DERATE_PG_SLOT_CONNECTING; state < DERATE_PG_SLOT_N_STATES; state++)
        mark (pool, state, MAX_SLOTS);
      derate_pg_pool_kick (pool);
    }
  g_mutex_unlock (&pool->lock);
  if (task != NULL)
    g_task_return_boolean (task, TRUE); /* it was never opened, or has ended */
}

/**
 * derate_pg_pool_drain_finish:
 * @pool: a pool
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends derate_pg_pool_drain_async().
 *
 * Returns: %TRUE if the sessions are gone
 *
 * Since: 1.0
 */
gboolean
derate_pg_pool_drain_finish (DeratePgPool *pool, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, pool), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

void
derate_pg_resize_turn (DeratePgPool *pool)
{
  g_autoptr (GPtrArray) tasks = NULL;

  g_mutex_lock (&pool->lock);
  if (pool->drains->len > 0 && count_marked (pool) == 0)
    tasks = derate_pg_pool_steal_tasks (pool->drains);
  g_mutex_unlock (&pool->lock);
  if (tasks != NULL)
    derate_pg_pool_return_tasks (tasks, NULL);
}
