/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads: all under the pool's lock, but for the end of a waiter that goes on in its own context.
 */
#include "derate-pg-waiter-private.h"

#include "derate-pg-error.h"

#include <derate-time-span.h>

void
derate_pg_waiter_init (DeratePgWaiter *waiter,
                       DeratePgPool *pool,
                       DeratePgAccess access,
                       const char *tag)
{
  waiter->link.data = waiter;
  waiter->access = access;
  waiter->tag = tag;
  waiter->since = derate_pg_pool_now (pool);
  waiter->deadline = pool->settings.acquire_timeout == 0
                         ? DERATE_CLOCK_NEVER
                         : waiter->since + pool->settings.acquire_timeout;
}

static void
push (DeratePgPool *pool, DeratePgWaiter *waiter)
{
  g_queue_push_tail_link (&pool->waiters, &waiter->link);
  waiter->is_queued = TRUE;
  __atomic_or_fetch (&pool->gate, GATE_WAITERS, __ATOMIC_SEQ_CST);
}

/* Takes it out of the queue. */
static void
leave (DeratePgPool *pool, DeratePgWaiter *waiter)
{
  g_queue_unlink (&pool->waiters, &waiter->link);
  waiter->is_queued = FALSE;
  derate_pg_sizing_wait_ends (pool, waiter->since);
  if (pool->waiters.head == NULL)
    __atomic_and_fetch (&pool->gate, ~GATE_WAITERS, __ATOMIC_SEQ_CST);
}

void
derate_pg_waiter_serve (DeratePgPool *pool,
                        DeratePgWaiter *waiter,
                        DeratePgSlot *slot,
                        GQueue *served)
{
  leave (pool, waiter);
  derate_pg_leak_note (pool, slot, waiter->tag);
  waiter->slot = slot;
  g_queue_push_tail_link (served, &waiter->link);
}

/* Takes it out with @error, which is taken over. */
static void
fail (DeratePgPool *pool, DeratePgWaiter *waiter, GError *error, GQueue *served)
{
  leave (pool, waiter);
  waiter->error = error;
  g_queue_push_tail_link (served, &waiter->link);
}

void
derate_pg_waiter_give_up (DeratePgPool *pool,
                          DeratePgWaiter *waiter,
                          GCancellable *cancellable,
                          GQueue *served)
{
  GError *error = NULL;

  g_cancellable_set_error_if_cancelled (cancellable, &error);
  pool->counts.cancelled++;
  fail (pool, waiter, error, served);
}

void
derate_pg_waiter_account (DeratePgWaiter *waiter, DeratePgPool *pool)
{
  if (waiter->slot != NULL)
    derate_pg_meter_acquired (pool->meter,
                              (double)(derate_pg_pool_now (pool) - waiter->since) / G_USEC_PER_SEC);
}

void
derate_pg_waiter_end_all (GQueue *served)
{
  GList *link;

  while ((link = g_queue_pop_head_link (served)) != NULL)
    {
      DeratePgWaiter *waiter = link->data;

      waiter->end (waiter);
    }
}

/* Why a caller is turned away at once, NULL if it is not. */
static GError *
refuse (DeratePgPool *pool, DeratePgWaiter *waiter, guint32 gate)
{
  const char *name = pool->settings.name;

  if (gate & GATE_CLOSED)
    return derate_pg_pool_make_closed (pool);
  if ((gate & GATE_READ_ONLY) && waiter->access == DERATE_PG_ACCESS_WRITE)
    return g_error_copy (pool->roles.refusal);
  if (pool->settings.max_waiters > 0 && pool->waiters.length >= pool->settings.max_waiters)
    return g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_FULL,
                        "pool %s: %u wait for a session already", name, pool->waiters.length);
  /* The next attempt would fail for the same reason, which no waiting changes. */
  if (derate_pg_growth_is_hopeless (pool) && waiter->since < pool->growth.retry_at)
    return g_error_copy (pool->growth.error);
  return NULL;
}

void
derate_pg_waiter_queue (DeratePgPool *pool, DeratePgWaiter *waiter, GQueue *served)
{
  guint32 gate = __atomic_load_n (&pool->gate, __ATOMIC_SEQ_CST);

  waiter->error = refuse (pool, waiter, gate);
  if (waiter->error != NULL)
    {
      pool->counts.refused++;
      g_queue_push_tail_link (served, &waiter->link);
      return;
    }
  if (gate & GATE_UNOPENED)
    derate_pg_pool_start (pool);
  /* Queued first and served then, in turn: a session that comes back meanwhile is seen by its
   * returner, who finds the gate closed, or here. */
  push (pool, waiter);
  derate_pg_pool_serve (pool, served);
  if (!waiter->is_queued)
    return;
  derate_pg_pool_wake_by (pool, waiter->deadline);
  derate_pg_sizing_wait_begins (pool, waiter->since);
  derate_pg_growth_ask (pool);
}

static GError *
make_timeout (DeratePgPool *pool, DeratePgWaiter *waiter)
{
  guint counts[DERATE_PG_SLOT_N_STATES];
  g_autofree char *span = derate_time_span_to_string (waiter->deadline - waiter->since);
  const GError *last = pool->growth.error;

  derate_pg_pool_count (pool, counts);
  return g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_TIMEOUT,
                      "pool %s: no connection within %s (%u in use, %u idle, %u connecting, %u "
                      "waiting)%s%s",
                      pool->settings.name, span, counts[DERATE_PG_SLOT_BUSY],
                      counts[DERATE_PG_SLOT_IDLE], counts[DERATE_PG_SLOT_CONNECTING],
                      pool->waiters.length, last != NULL ? ": " : "",
                      last != NULL ? last->message : "");
}

void
derate_pg_waiters_expire (DeratePgPool *pool, gint64 now, GQueue *served)
{
  if (derate_pg_pool_is_paused (pool))
    return;
  /* They queue in the order of their deadlines. */
  while (pool->waiters.head != NULL)
    {
      DeratePgWaiter *waiter = pool->waiters.head->data;

      if (waiter->deadline > now)
        break;
      pool->counts.timed_out++;
      fail (pool, waiter, make_timeout (pool, waiter), served);
    }
}

void
derate_pg_waiters_wait_on (DeratePgPool *pool, gint64 paused_at, gint64 now)
{
  for (GList *l = pool->waiters.head; l != NULL; l = l->next)
    {
      DeratePgWaiter *waiter = l->data;

      if (waiter->deadline != DERATE_CLOCK_NEVER)
        waiter->deadline += now - MAX (waiter->since, paused_at);
    }
}

gint64
derate_pg_waiters_next (DeratePgPool *pool)
{
  if (pool->waiters.head == NULL || derate_pg_pool_is_paused (pool))
    return DERATE_CLOCK_NEVER;
  return ((DeratePgWaiter *)pool->waiters.head->data)->deadline;
}

void
derate_pg_waiters_fail_writes (DeratePgPool *pool, GQueue *served)
{
  GList *next;

  for (GList *l = pool->waiters.head; l != NULL; l = next)
    {
      DeratePgWaiter *waiter = l->data;

      next = l->next;
      if (waiter->access == DERATE_PG_ACCESS_WRITE)
        fail (pool, waiter, g_error_copy (pool->roles.refusal), served);
    }
}

void
derate_pg_waiters_fail_all (DeratePgPool *pool, const GError *error, GQueue *served)
{
  while (pool->waiters.head != NULL)
    fail (pool, pool->waiters.head->data, g_error_copy (error), served);
}
