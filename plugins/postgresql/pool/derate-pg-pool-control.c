/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the program tells the pool to do. Threads: it is told by any, and done by the pool thread.
 */
#include "derate-pg-waiter-private.h"

#include "derate-pg-connection-private.h"
#include "derate-pg-error.h"

#include <sys/socket.h>

/* How long a statement that was given up or cut off keeps a closed pool: until the server has heard
 * of it, or it would go on there with nobody to stop it. */
#define DRAIN_GRACE (500 * G_TIME_SPAN_MILLISECOND)

/* Opening */

static GTask *
new_task (DeratePgPool *pool,
          GCancellable *cancellable,
          GAsyncReadyCallback callback,
          gpointer user_data,
          gpointer tag)
{
  GTask *task = g_task_new (pool, cancellable, callback, user_data);

  g_task_set_source_tag (task, tag);
  return task;
}

/**
 * derate_pg_pool_open_async:
 * @pool: a pool
 * @cancellable: (nullable): ends the waiting; the pool stays open
 * @callback: (scope async): called once, in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * Opens the pool, and waits until it has as many sessions as it keeps at least, or until the first
 * attempt to open one fails: a program that cannot work without its database hears so when it
 * starts. The pool goes on trying. A pool that nobody opens is opened by its first use. May be
 * called from any thread.
 *
 * Since: 1.0
 */
void
derate_pg_pool_open_async (DeratePgPool *pool,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  GError *error = NULL;

  g_return_if_fail (DERATE_IS_PG_POOL (pool));

  task = new_task (pool, cancellable, callback, user_data, derate_pg_pool_open_async);
  g_mutex_lock (&pool->lock);
  if (pool->gate & GATE_CLOSED)
    error = derate_pg_pool_make_closed (pool);
  else if (pool->gate & GATE_UNOPENED)
    derate_pg_pool_start (pool);
  if (error == NULL)
    derate_pg_pool_add_task (pool, pool->openings, g_steal_pointer (&task));
  derate_pg_pool_kick (pool);
  g_mutex_unlock (&pool->lock);
  if (error != NULL)
    g_task_return_error (task, error);
}

/**
 * derate_pg_pool_open_finish:
 * @pool: a pool
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends derate_pg_pool_open_async().
 *
 * Returns: %TRUE if the sessions are there; else why the first attempt failed, or
 *   %DERATE_PG_ERROR_POOL_CLOSED
 *
 * Since: 1.0
 */
gboolean
derate_pg_pool_open_finish (DeratePgPool *pool, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, pool), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
turn_openings (DeratePgPool *pool)
{
  g_autoptr (GPtrArray) tasks = NULL;
  g_autoptr (GError) error = NULL;

  g_mutex_lock (&pool->lock);
  if (pool->gate & GATE_CLOSED)
    error = derate_pg_pool_make_closed (pool);
  else if (pool->growth.error != NULL)
    error = g_error_copy (pool->growth.error);
  if (error != NULL || derate_pg_pool_count_alive (pool) - pool->growth.n_connecting >= pool->min)
    tasks = derate_pg_pool_steal_tasks (pool->openings);
  g_mutex_unlock (&pool->lock);
  if (tasks != NULL)
    derate_pg_pool_return_tasks (tasks, error);
}

/* Closing */

GError *
derate_pg_pool_make_closed (DeratePgPool *pool)
{
  return g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_CLOSED, "pool %s: it is closed",
                      pool->settings.name);
}

void
derate_pg_pool_shut (DeratePgPool *pool, gint64 close_by, GQueue *ended)
{
  g_autoptr (GError) error = derate_pg_pool_make_closed (pool);
  guint32 gate = __atomic_fetch_or (&pool->gate, GATE_CLOSED, __ATOMIC_SEQ_CST);

  if ((gate & GATE_CLOSED) == 0 && (gate & GATE_UNOPENED) == 0)
    g_object_ref (pool);
  pool->close_by = MIN (pool->close_by, close_by);
  derate_pg_waiters_fail_all (pool, error, ended);
  derate_pg_pool_kick (pool);
}

/**
 * derate_pg_pool_close_async:
 * @pool: a pool
 * @patience: how long sessions in use may stay so, in microseconds
 * @callback: (scope async): called once, in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * Closes the pool for good. Who waits for a session is told %DERATE_PG_ERROR_POOL_CLOSED; sessions
 * in use end when they are given back, or are cut off once @patience is over; the server is asked
 * to cancel what they run, and given half a second to hear of it. When the callback runs nothing of
 * the pool is left but leases that were not given back even then. May be called from any thread. To
 * drop the last reference closes a pool too, with all patience.
 *
 * Since: 1.0
 */
void
derate_pg_pool_close_async (DeratePgPool *pool,
                            GTimeSpan patience,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  g_auto (GQueue) ended = G_QUEUE_INIT;

  g_return_if_fail (DERATE_IS_PG_POOL (pool));

  task = new_task (pool, NULL, callback, user_data, derate_pg_pool_close_async);
  g_mutex_lock (&pool->lock);
  derate_pg_pool_shut (pool, derate_pg_pool_now (pool) + MAX (patience, 0), &ended);
  if (pool->alarm != NULL)
    derate_pg_pool_add_task (pool, pool->closings, g_steal_pointer (&task));
  g_mutex_unlock (&pool->lock);
  derate_pg_waiter_end_all (&ended);
  if (task != NULL)
    g_task_return_boolean (task, TRUE); /* it was never opened, or has ended */
}

/**
 * derate_pg_pool_close_finish:
 * @pool: a pool
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends derate_pg_pool_close_async().
 *
 * Returns: %TRUE
 *
 * Since: 1.0
 */
gboolean
derate_pg_pool_close_finish (DeratePgPool *pool, GAsyncResult *result, GError **error)
{
  GThread *thread = NULL;

  g_return_val_if_fail (g_task_is_valid (result, pool), FALSE);

  g_mutex_lock (&pool->lock);
  if (pool->alarm == NULL)
    thread = g_steal_pointer (&pool->thread);
  g_mutex_unlock (&pool->lock);
  /* It has said its last word: nothing of it is left then. */
  if (thread != NULL)
    g_thread_join (thread);
  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
cancel_done (gpointer data)
{
  DeratePgPool *pool = data;
  g_autoptr (DeratePgPool) ended = NULL;

  g_mutex_lock (&pool->lock);
  pool->n_cancels--;
  derate_pg_pool_kick (pool);
  if (pool->alarm == NULL)
    ended = pool; /* perhaps the last reference, so not under the lock */
  else
    g_object_unref (pool); /* not the last: when its end is told nobody else has it */
  g_mutex_unlock (&pool->lock);
}

/* Whoever has it hears of it as of any session that was lost; and so does the server. */
static void
cut_off (DeratePgPool *pool, DeratePgSlot *slot)
{
  g_autoptr (DeratePgCancel) cancel = g_steal_pointer (&slot->cancel);

  if (cancel == NULL)
    return;
  shutdown (slot->fd, SHUT_RDWR);
  g_mutex_lock (&pool->lock);
  pool->n_cancels++;
  g_mutex_unlock (&pool->lock);
  derate_pg_cancel_start (cancel, cancel_done, g_object_ref (pool));
}

/* Patience is over, for @overtime. */
static void
cut (DeratePgSlot *slot, GTimeSpan overtime)
{
  switch (derate_pg_slot_state (derate_pg_slot_read (slot)))
    {
    case DERATE_PG_SLOT_BUSY:
      cut_off (slot->pool, slot);
      break;
    case DERATE_PG_SLOT_DEAD:
      derate_pg_pool_slot_gone (slot->pool, slot);
      break;
    case DERATE_PG_SLOT_DRAINING:
      if (overtime >= DRAIN_GRACE)
        derate_pg_connection_close (slot->connection);
      break;
    default:
      break;
    }
}

/* Under the lock. */
static gboolean
is_cancelling (DeratePgPool *pool)
{
  return pool->n_cancels > 0 && derate_pg_pool_now (pool) - pool->close_by < DRAIN_GRACE;
}

gboolean
derate_pg_control_is_ended (DeratePgPool *pool)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&pool->lock);

  return (pool->gate & GATE_CLOSED) != 0 && pool->n_live == 0 && !is_cancelling (pool);
}

void
derate_pg_control_end (DeratePgPool *pool)
{
  g_autoptr (GPtrArray) tasks = NULL;

  derate_pg_pool_watch_stop (pool);
  g_mutex_lock (&pool->lock);
  g_source_destroy (pool->alarm);
  g_clear_pointer (&pool->alarm, g_source_unref);
  tasks = derate_pg_pool_steal_tasks (pool->closings);
  g_mutex_unlock (&pool->lock);
  turn_openings (pool);
  derate_pg_resize_turn (pool);
  derate_pg_pool_return_tasks (tasks, NULL);
  g_object_unref (pool); /* of shut () */
}

static void
turn_closing (DeratePgPool *pool, gint64 now, gint64 close_by)
{
  guint counts[DERATE_PG_SLOT_N_STATES];
  g_autoptr (GPtrArray) tasks = NULL;

  for (guint i = 0; i < pool->n_slots; i++)
    {
      DeratePgSlot *slot = &pool->slots[i];

      if (slot->cancellable != NULL)
        g_cancellable_cancel (slot->cancellable);
      if (now >= close_by)
        cut (slot, now - close_by);
    }
  g_mutex_lock (&pool->lock);
  derate_pg_pool_count (pool, counts);
  if (now >= close_by && pool->n_live > 0 && pool->n_live == counts[DERATE_PG_SLOT_BUSY] &&
      !is_cancelling (pool))
    tasks = derate_pg_pool_steal_tasks (pool->closings);
  g_mutex_unlock (&pool->lock);
  if (tasks != NULL)
    derate_pg_pool_return_tasks (tasks, NULL);
}

gint64
derate_pg_control_turn (DeratePgPool *pool, gint64 now)
{
  gboolean is_closed;
  gint64 close_by;

  turn_openings (pool);
  g_mutex_lock (&pool->lock);
  is_closed = (pool->gate & GATE_CLOSED) != 0;
  close_by = pool->close_by;
  g_mutex_unlock (&pool->lock);
  if (!is_closed)
    return DERATE_CLOCK_NEVER;
  turn_closing (pool, now, close_by);
  if (now < close_by)
    return close_by;
  return now - close_by < DRAIN_GRACE ? close_by + DRAIN_GRACE : DERATE_CLOCK_NEVER;
}
