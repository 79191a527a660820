/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-pg-pool-private.h"

G_BEGIN_DECLS

/* One who waits for a session. It is queued and leaves the queue under the pool's lock, and whoever
 * took it out ends it: a session, or an error. */
struct _DeratePgWaiter
{
  GList link;
  DeratePgAccess access;
  const char *tag;
  gint64 since;
  gint64 deadline;
  gboolean is_queued;  /* under the lock */
  DeratePgSlot *slot; /* what it got */
  GError *error;      /* or why it got none */

  /* Called once, by whoever took it out, without the lock. */
  void (*end) (DeratePgWaiter *waiter);
};

void derate_pg_waiter_init (DeratePgWaiter *waiter,
                            DeratePgPool   *pool,
                            DeratePgAccess  access,
                            const char     *tag);

/* Queues it, unless it is served or refused at once: then it is ended like the others. Under the
 * lock. */
void derate_pg_waiter_queue (DeratePgPool   *pool,
                             DeratePgWaiter *waiter,
                             GQueue         *served);

/* Takes it out with what it waited for. Under the lock. */
void derate_pg_waiter_serve (DeratePgPool   *pool,
                             DeratePgWaiter *waiter,
                             DeratePgSlot   *slot,
                             GQueue         *served);

/* Takes it out because its caller does not wait any longer. Under the lock. */
void derate_pg_waiter_give_up (DeratePgPool   *pool,
                               DeratePgWaiter *waiter,
                               GCancellable   *cancellable,
                               GQueue         *served);

/* How long it waited for what it got is counted, without the lock. */
void derate_pg_waiter_account (DeratePgWaiter *waiter,
                               DeratePgPool   *pool);

/* Ends those who were taken out. Without the lock. */
void derate_pg_waiter_end_all (GQueue *served);

/* Fails all whose time is over. Under the lock. */
void derate_pg_waiters_expire (DeratePgPool *pool,
                               gint64        now,
                               GQueue       *served);

/* The pool was paused from @paused_at until @now, which is nobody's time. Under the lock. */
void derate_pg_waiters_wait_on (DeratePgPool *pool,
                                gint64        paused_at,
                                gint64        now);
gint64 derate_pg_waiters_next (DeratePgPool *pool);
void derate_pg_waiters_fail_writes (DeratePgPool *pool,
                                    GQueue       *served);
void derate_pg_waiters_fail_all (DeratePgPool *pool,
                                 const GError *error,
                                 GQueue       *served);

G_END_DECLS
