/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One who waits for a session and goes on in a context. Threads: it is ended by whoever took it out
 * of the queue, be it the pool thread, who gives a session back, or its own cancellable. */
#include "derate-pg-caller-private.h"

/* Counted: by the queue and whoever takes it out of it, and by its source. */
typedef struct
{
  DeratePgWaiter base;
  DeratePgPool *pool;
  GTask *task;
  DeratePgServedFunc func;
  GSource *cancel;
} Caller;

static void
caller_clear (gpointer data)
{
  Caller *caller = data;

  g_object_unref (caller->pool);
}

static void
caller_unref (gpointer data)
{
  g_atomic_rc_box_release_full (data, caller_clear);
}

static void
end_caller (DeratePgWaiter *waiter)
{
  Caller *caller = (Caller *)waiter;

  if (caller->cancel != NULL)
    g_source_destroy (caller->cancel);
  g_clear_pointer (&caller->cancel, g_source_unref);
  derate_pg_waiter_account (waiter, caller->pool);
  caller->func (g_steal_pointer (&caller->task), waiter->slot, g_steal_pointer (&waiter->error));
  caller_unref (caller);
}

static gboolean
cancelled (GCancellable *cancellable, gpointer user_data)
{
  Caller *caller = user_data;
  g_auto (GQueue) ended = G_QUEUE_INIT;

  g_mutex_lock (&caller->pool->lock);
  if (caller->base.is_queued)
    derate_pg_waiter_give_up (caller->pool, &caller->base, cancellable, &ended);
  g_mutex_unlock (&caller->pool->lock);
  derate_pg_waiter_end_all (&ended);
  return G_SOURCE_REMOVE;
}

/* Under the lock, so that nobody ends the caller before it has its source. */
static void
watch_cancellable (Caller *caller)
{
  GCancellable *cancellable = g_task_get_cancellable (caller->task);

  if (cancellable == NULL)
    return;
  caller->cancel = g_cancellable_source_new (cancellable);
  g_source_set_static_name (caller->cancel, "[derate] waiting for a session");
  g_source_set_callback (caller->cancel, G_SOURCE_FUNC (cancelled),
                         g_atomic_rc_box_acquire (caller), caller_unref);
  g_source_attach (caller->cancel, g_task_get_context (caller->task));
}

void
derate_pg_pool_wait (DeratePgPool *pool,
                     DeratePgAccess access,
                     const char *tag,
                     GTask *task,
                     DeratePgServedFunc func)
{
  Caller *caller = g_atomic_rc_box_new0 (Caller);
  g_auto (GQueue) ended = G_QUEUE_INIT;

  caller->pool = g_object_ref (pool);
  caller->task = task;
  caller->func = func;
  caller->base.end = end_caller;
  derate_pg_waiter_init (&caller->base, pool, access, tag);
  g_mutex_lock (&pool->lock);
  derate_pg_waiter_queue (pool, &caller->base, &ended);
  if (caller->base.is_queued)
    watch_cancellable (caller);
  g_mutex_unlock (&pool->lock);
  derate_pg_waiter_end_all (&ended);
}
