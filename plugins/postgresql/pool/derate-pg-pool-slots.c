/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads: a word may be read by any thread and is only moved by compare-and-swap. What a slot
 * holds belongs to whoever moved the word last. Slots become EMPTY and cease to be under the pool's
 * lock, by the pool thread alone. */
#include "derate-pg-pool-private.h"

#include "derate-pg-connection-private.h"

#define EDGE(to) (1u << DERATE_PG_SLOT_##to)

/* Where each state may lead. */
static const guint edges[DERATE_PG_SLOT_N_STATES] = {
  [DERATE_PG_SLOT_EMPTY] = EDGE (CONNECTING),
  [DERATE_PG_SLOT_CONNECTING] = EDGE (RESERVED) | EDGE (EMPTY),
  [DERATE_PG_SLOT_IDLE] = EDGE (BUSY) | EDGE (RESERVED),
  [DERATE_PG_SLOT_BUSY] = EDGE (RESERVED),
  [DERATE_PG_SLOT_RESERVED] = EDGE (IDLE) | EDGE (BUSY) | EDGE (DRAINING) | EDGE (DEAD),
  [DERATE_PG_SLOT_DRAINING] = EDGE (RESERVED) | EDGE (DEAD),
  [DERATE_PG_SLOT_DEAD] = EDGE (EMPTY),
};

/* Where this thread found a session last: it is likely to be free again, and in this core's cache.
 * Of whichever pool: a wrong one costs a look at one more word. */
static __thread guint hint __attribute__ ((tls_model ("initial-exec")));

gboolean
derate_pg_slot_move (DeratePgSlot *slot, guint64 word, DeratePgSlotState from, DeratePgSlotState to)
{
  guint64 now = derate_pg_slot_read (slot);

  g_assert ((edges[from] & (1u << to)) != 0);
  while (derate_pg_slot_state (now) == from && derate_pg_slot_same (now, word))
    {
      guint64 next = (now & ~SLOT_STATE_MASK) | to;

      if (to == DERATE_PG_SLOT_BUSY)
        next += SLOT_ACQUIRED;
      if (to == DERATE_PG_SLOT_BUSY || to == DERATE_PG_SLOT_IDLE)
        next &= ~SLOT_STALE;
      if (to == DERATE_PG_SLOT_EMPTY)
        next &= ~SLOT_FLAGS;
      if (derate_pg_slot_swap (slot, now, next))
        return TRUE;
      now = derate_pg_slot_read (slot);
    }
  return FALSE;
}

void
derate_pg_slot_pass (DeratePgSlot *slot, DeratePgSlotState from, DeratePgSlotState to)
{
  guint64 word = derate_pg_slot_read (slot);

  g_assert (derate_pg_slot_state (word) == from);
  if (!derate_pg_slot_move (slot, word, from, to))
    g_assert_not_reached ();
}

void
derate_pg_slot_flag (DeratePgSlot *slot, guint64 set, guint64 clear)
{
  guint64 word;

  do
    word = derate_pg_slot_read (slot);
  while (!derate_pg_slot_swap (slot, word, (word | set) & ~clear));
}

DeratePgSlot *
derate_pg_pool_take (DeratePgPool *pool, DeratePgAccess access)
{
  guint n = __atomic_load_n (&pool->n_slots, __ATOMIC_ACQUIRE);
  guint64 mask = SLOT_STATE_MASK | SLOT_STALE | SLOT_RETIRE;
  guint64 wanted = DERATE_PG_SLOT_IDLE;
  guint at = hint < n ? hint : 0;

  if (access == DERATE_PG_ACCESS_WRITE)
    {
      mask |= SLOT_WRITABLE;
      wanted |= SLOT_WRITABLE;
    }
  for (guint i = 0; i < n; i++)
    {
      DeratePgSlot *slot = &pool->slots[at];
      guint64 word = __atomic_load_n (&slot->word, __ATOMIC_RELAXED);

      if ((word & mask) == wanted &&
          derate_pg_slot_swap (slot, word,
                               word + SLOT_ACQUIRED + DERATE_PG_SLOT_BUSY - DERATE_PG_SLOT_IDLE))
        {
          hint = at;
          derate_pg_connection_set_operation (slot->connection,
                                              derate_pg_access_to_operation (access));
          return slot;
        }
      at = at + 1 < n ? at + 1 : 0;
    }
  return NULL;
}

DeratePgSlot *
derate_pg_pool_find_empty (DeratePgPool *pool)
{
  for (guint i = 0; i < MAX_SLOTS; i++)
    {
      if (derate_pg_slot_state (derate_pg_slot_read (&pool->slots[i])) == DERATE_PG_SLOT_EMPTY)
        return &pool->slots[i];
    }
  return NULL;
}

gboolean
derate_pg_pool_has_stale (DeratePgPool *pool)
{
  guint n = __atomic_load_n (&pool->n_slots, __ATOMIC_ACQUIRE);

  for (guint i = 0; i < n; i++)
    {
      guint64 word = derate_pg_slot_read (&pool->slots[i]);

      if (derate_pg_slot_state (word) == DERATE_PG_SLOT_IDLE && (word & SLOT_STALE) != 0)
        return TRUE;
    }
  return FALSE;
}

void
derate_pg_pool_enlist (DeratePgPool *pool, DeratePgSlot *slot)
{
  guint n = (guint)(slot - pool->slots) + 1;

  slot->pool = pool;
  slot->fd = -1;
  slot->due = DERATE_CLOCK_NEVER;
  slot->retire_at = DERATE_CLOCK_NEVER;
  derate_pg_slot_pass (slot, DERATE_PG_SLOT_EMPTY, DERATE_PG_SLOT_CONNECTING);
  pool->n_live++;
  if (n > pool->n_slots)
    __atomic_store_n (&pool->n_slots, n, __ATOMIC_RELEASE);
}

void
derate_pg_pool_delist (DeratePgPool *pool, DeratePgSlot *slot, DeratePgSlotState from)
{
  derate_pg_slot_pass (slot, from, DERATE_PG_SLOT_EMPTY);
  pool->n_live--;
}

void
derate_pg_pool_count (DeratePgPool *pool, guint counts[DERATE_PG_SLOT_N_STATES])
{
  guint n = __atomic_load_n (&pool->n_slots, __ATOMIC_ACQUIRE);

  for (guint i = 0; i < DERATE_PG_SLOT_N_STATES; i++)
    counts[i] = 0;
  for (guint i = 0; i < n; i++)
    counts[derate_pg_slot_state (derate_pg_slot_read (&pool->slots[i]))]++;
}
