/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads: any. Whoever gives a session back hands it to who waits, or leaves it to the pool thread
 * where something must be done with it first. */
#include "derate-pg-waiter-private.h"

#include "derate-pg-connection-private.h"

static gboolean
can_use (const DeratePgWaiter *waiter, guint64 word)
{
  return waiter->access == DERATE_PG_ACCESS_READ || (word & SLOT_WRITABLE) != 0;
}

/* The first in line that can use @slot. */
static DeratePgWaiter *
find_waiter (DeratePgPool *pool, const DeratePgSlot *slot)
{
  guint64 word = derate_pg_slot_read (slot);

  if (derate_pg_pool_is_paused (pool))
    return NULL;
  for (GList *l = pool->waiters.head; l != NULL; l = l->next)
    {
      if (can_use (l->data, word))
        return l->data;
    }
  return NULL;
}

/* Under the lock. */
static void
note_idle (DeratePgPool *pool)
{
  if (__atomic_exchange_n (&pool->is_swept, TRUE, __ATOMIC_SEQ_CST) == FALSE)
    derate_pg_pool_kick (pool);
}

static void
put_locked (DeratePgPool *pool, DeratePgSlot *slot, GQueue *served)
{
  DeratePgWaiter *waiter = find_waiter (pool, slot);

  if (waiter != NULL)
    {
      derate_pg_connection_set_operation (slot->connection,
                                          derate_pg_access_to_operation (waiter->access));
      derate_pg_slot_pass (slot, DERATE_PG_SLOT_RESERVED, DERATE_PG_SLOT_BUSY);
      derate_pg_waiter_serve (pool, waiter, slot, served);
      return;
    }
  derate_pg_slot_pass (slot, DERATE_PG_SLOT_RESERVED, DERATE_PG_SLOT_IDLE);
  note_idle (pool);
  if ((derate_pg_slot_read (slot) & SLOT_RETIRE) != 0)
    derate_pg_pool_kick (pool); /* who wanted it gone may have looked just before */
}

void
derate_pg_pool_put (DeratePgPool *pool, DeratePgSlot *slot)
{
  g_auto (GQueue) served = G_QUEUE_INIT;

  g_mutex_lock (&pool->lock);
  put_locked (pool, slot, &served);
  g_mutex_unlock (&pool->lock);
  derate_pg_waiter_end_all (&served);
}

void
derate_pg_pool_serve (DeratePgPool *pool, GQueue *served)
{
  GList *next;

  if (derate_pg_pool_is_paused (pool))
    return;
  for (GList *l = pool->waiters.head; l != NULL; l = next)
    {
      DeratePgWaiter *waiter = l->data;
      DeratePgSlot *slot = derate_pg_pool_take (pool, waiter->access);

      next = l->next;
      if (slot != NULL)
        derate_pg_waiter_serve (pool, waiter, slot, served);
      else if (waiter->access == DERATE_PG_ACCESS_READ)
        return; /* nothing is left for anybody */
    }
}

void
derate_pg_pool_was_given (DeratePgPool *pool)
{
  g_auto (GQueue) served = G_QUEUE_INIT;

  g_mutex_lock (&pool->lock);
  derate_pg_pool_serve (pool, &served);
  note_idle (pool);
  if (__atomic_load_n (&pool->gate, __ATOMIC_RELAXED) & GATE_CLOSED)
    derate_pg_pool_kick (pool);
  g_mutex_unlock (&pool->lock);
  derate_pg_waiter_end_all (&served);
}

void
derate_pg_pool_take_back (DeratePgPool *pool, DeratePgSlot *slot)
{
  g_auto (GQueue) served = G_QUEUE_INIT;
  gboolean is_clean;

  /* Its statement is waited for in the context of whoever started it, which is where we are. */
  if (derate_pg_connection_is_running (slot->connection))
    derate_pg_connection_close (slot->connection);
  derate_pg_connection_restore (slot->connection);
  is_clean = derate_pg_connection_is_clean (slot->connection);
  g_mutex_lock (&pool->lock);
  if (!is_clean || (derate_pg_slot_read (slot) & SLOT_RETIRE) != 0 ||
      (__atomic_load_n (&pool->gate, __ATOMIC_RELAXED) & (GATE_CLOSED | GATE_FULL_RESET)) != 0)
    derate_pg_pool_post (pool, slot);
  else
    put_locked (pool, slot, &served);
  g_mutex_unlock (&pool->lock);
  derate_pg_waiter_end_all (&served);
}
