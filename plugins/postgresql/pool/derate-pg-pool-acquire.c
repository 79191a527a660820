/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads: any. What an acquire finds free it takes without the lock; else it waits in the queue
 * under it. */
#include "derate-pg-caller-private.h"

#include "derate-pg-error.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The sync form: the waiter lies on the stack of the thread that sleeps. */
typedef struct
{
  DeratePgWaiter base;
  DeratePgPool *pool;
  guint32 is_done; /* atomic, and a futex */
} Sleeper;

/* Not a condition: who wakes would have to hold the lock meanwhile, because the sleeper goes, and
 * its condition with it. A call to a sleeper that has gone does no harm here, so nobody else waits
 * for the lock while the kernel wakes one, and the one that was woken needs no lock. */
static void
call_futex (guint32 *word, int operation, guint32 value)
{
  syscall (SYS_futex, word, operation, value, NULL, NULL, 0);
}

static void
wake_sleeper (DeratePgWaiter *waiter)
{
  Sleeper *sleeper = (Sleeper *)waiter;
  g_autoptr (GMainContext) turned = NULL;

  if (!sleeper->pool->has_thread)
    turned = g_main_context_ref (sleeper->pool->context);
  /* Once it sees this the sleeper goes, and perhaps the pool. */
  __atomic_store_n (&sleeper->is_done, TRUE, __ATOMIC_RELEASE);
  call_futex (&sleeper->is_done, FUTEX_WAKE_PRIVATE, 1);
  if (turned != NULL)
    g_main_context_wakeup (turned);
}

static void
sleeper_cancelled (GCancellable *cancellable, gpointer user_data)
{
  Sleeper *sleeper = user_data;
  DeratePgPool *pool = sleeper->pool;
  g_auto (GQueue) ended = G_QUEUE_INIT;

  g_mutex_lock (&pool->lock);
  if (sleeper->base.is_queued)
    derate_pg_waiter_give_up (pool, &sleeper->base, cancellable, &ended);
  g_mutex_unlock (&pool->lock);
  derate_pg_waiter_end_all (&ended);
}

static gboolean
is_done (const Sleeper *sleeper)
{
  return __atomic_load_n (&sleeper->is_done, __ATOMIC_ACQUIRE) != 0;
}

static void
sleep_until_done (Sleeper *sleeper, GCancellable *cancellable)
{
  DeratePgPool *pool = sleeper->pool;
  gulong handler = 0;

  if (cancellable != NULL)
    handler = g_cancellable_connect (cancellable, G_CALLBACK (sleeper_cancelled), sleeper, NULL);
  if (!pool->has_thread && g_main_context_acquire (pool->context))
    {
      /* Nobody else would turn the pool's context. */
      while (!is_done (sleeper))
        g_main_context_iteration (pool->context, TRUE);
      g_main_context_release (pool->context);
    }
  while (!is_done (sleeper))
    call_futex (&sleeper->is_done, FUTEX_WAIT_PRIVATE, FALSE);
  g_cancellable_disconnect (cancellable, handler);
}

static gboolean
acquire_slowly (DeratePgPool *pool,
                DeratePgAccess access,
                const char *tag,
                DeratePgLease *lease,
                GCancellable *cancellable,
                GError **error)
{
  Sleeper sleeper = { .pool = pool };
  g_auto (GQueue) served = G_QUEUE_INIT;
  gboolean waits;

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  derate_pg_waiter_init (&sleeper.base, pool, access, tag);
  sleeper.base.end = wake_sleeper;
  g_mutex_lock (&pool->lock);
  derate_pg_waiter_queue (pool, &sleeper.base, &served);
  waits = sleeper.base.is_queued;
  g_mutex_unlock (&pool->lock);
  derate_pg_waiter_end_all (&served);
  if (waits)
    sleep_until_done (&sleeper, cancellable);
  derate_pg_waiter_account (&sleeper.base, pool);
  if (sleeper.base.slot == NULL)
    {
      g_propagate_error (error, sleeper.base.error);
      return FALSE;
    }
  derate_pg_slot_fill_lease (sleeper.base.slot, lease);
  return TRUE;
}

static void
note_leak (DeratePgPool *pool, DeratePgSlot *slot, const char *tag)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&pool->lock);

  derate_pg_leak_note (pool, slot, tag);
}

gboolean
derate_pg_pool_try_acquire (DeratePgPool *pool,
                            DeratePgAccess access,
                            const char *tag,
                            DeratePgLease *lease)
{
  DeratePgSlot *slot = NULL;

  if (G_LIKELY ((__atomic_load_n (&pool->gate, __ATOMIC_RELAXED) & GATE_TAKE) == 0))
    slot = derate_pg_pool_take (pool, access);
  if (G_UNLIKELY (slot == NULL))
    return FALSE;
  if (G_UNLIKELY (pool->settings.leak_threshold > 0))
    note_leak (pool, slot, tag);
  derate_pg_meter_acquired (pool->meter, 0);
  derate_pg_slot_fill_lease (slot, lease);
  return TRUE;
}

/* Who holds the last session, or is next in line for it, may have been put to sleep between two
 * instructions. Letting it run first keeps a queue from becoming a convoy, in which each session is
 * handed from one sleeping thread to the next (64 threads at 8 sessions on 2 cores: 11 ns for an
 * acquire and its return instead of 500). Who is in line by then is not overtaken. */
static gboolean
acquire_after_others (DeratePgPool *pool,
                      DeratePgAccess access,
                      const char *tag,
                      DeratePgLease *lease)
{
  g_thread_yield ();
  return derate_pg_pool_try_acquire (pool, access, tag, lease);
}

/**
 * derate_pg_pool_acquire: (skip)
 * @pool: a pool
 * @access: what for
 * @tag: (nullable): a word for who holds the session, which the leak watchdog names
 * @lease: (out caller-allocates): where to put the session
 * @cancellable: (nullable): ends the waiting
 * @error: where to put the error
 *
 * Takes a session, and waits for one where there is none free. Waits in the calling thread, which
 * must not be a loop's: there is derate_pg_pool_acquire_async() for those. First come, first
 * served. May be called from any thread.
 *
 * Fails with %DERATE_PG_ERROR_POOL_TIMEOUT once the pool's `acquire-timeout` is over,
 * %DERATE_PG_ERROR_POOL_FULL where too many wait already, %DERATE_PG_ERROR_POOL_CLOSED,
 * %DERATE_PG_ERROR_READ_ONLY for a write that no server would take, %G_IO_ERROR_CANCELLED, or, if
 * no session can be opened at all for what the configuration says, the error of the last attempt.
 *
 * Returns: %TRUE if there is one in @lease
 *
 * Since: 1.0
 */
gboolean
derate_pg_pool_acquire (DeratePgPool *pool,
                        DeratePgAccess access,
                        const char *tag,
                        DeratePgLease *lease,
                        GCancellable *cancellable,
                        GError **error)
{
  if (G_LIKELY (derate_pg_pool_try_acquire (pool, access, tag, lease)))
    return TRUE;
  if (derate_pg_roles_refuse (pool, access, error))
    return FALSE;
  return acquire_after_others (pool, access, tag, lease) ||
         acquire_slowly (pool, access, tag, lease, cancellable, error);
}

/* Nobody took what the task came to. */
static void
release_unclaimed (gpointer slot)
{
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;

  derate_pg_slot_fill_lease (slot, &lease);
}

static void
served (GTask *task, DeratePgSlot *slot, GError *error)
{
  if (slot != NULL)
    g_task_return_pointer (task, slot, release_unclaimed);
  else
    g_task_return_error (task, error);
  g_object_unref (task);
}

/**
 * derate_pg_pool_acquire_async: (skip)
 * @pool: a pool
 * @access: what for
 * @tag: (nullable): a word for who holds the session, which the leak watchdog names
 * @cancellable: (nullable): ends the waiting
 * @callback: (scope async): called once, in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * Takes a session, as derate_pg_pool_acquire() does, without waiting in the calling thread. May be
 * called from any thread.
 *
 * Since: 1.0
 */
void
derate_pg_pool_acquire_async (DeratePgPool *pool,
                              DeratePgAccess access,
                              const char *tag,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer user_data)
{
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_autoptr (GTask) task = NULL;

  g_return_if_fail (DERATE_IS_PG_POOL (pool));

  task = g_task_new (pool, cancellable, callback, user_data);
  g_task_set_source_tag (task, derate_pg_pool_acquire_async);
  /* Who was served keeps the session, even if it was cancelled since: the caller gives it back. */
  g_task_set_check_cancellable (task, FALSE);
  if (g_task_return_error_if_cancelled (task))
    return;
  if (derate_pg_pool_try_acquire (pool, access, tag, &lease))
    g_task_return_pointer (task, derate_pg_slot_steal_lease (&lease), release_unclaimed);
  else
    derate_pg_pool_wait (pool, access, tag, g_steal_pointer (&task), served);
}

/**
 * derate_pg_pool_acquire_finish: (skip)
 * @pool: a pool
 * @result: what the callback was given
 * @lease: (out caller-allocates): where to put the session
 * @error: where to put the error
 *
 * Ends derate_pg_pool_acquire_async(). The errors are those of derate_pg_pool_acquire().
 *
 * Returns: %TRUE if there is a session in @lease
 *
 * Since: 1.0
 */
gboolean
derate_pg_pool_acquire_finish (DeratePgPool *pool,
                               GAsyncResult *result,
                               DeratePgLease *lease,
                               GError **error)
{
  DeratePgSlot *slot;

  g_return_val_if_fail (g_task_is_valid (result, pool), FALSE);

  slot = g_task_propagate_pointer (G_TASK (result), error);
  if (slot == NULL)
    return FALSE;
  derate_pg_slot_fill_lease (slot, lease);
  return TRUE;
}
