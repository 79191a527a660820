/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-pg-pool-private.h"

#include "derate-pg-connection-private.h"
#include "derate-pg-error.h"

/**
 * derate_pg_lease_get_connection: (skip)
 * @lease: a lease
 *
 * The session. It is the lease's owner's until the lease is given back.
 *
 * Returns: (transfer none) (nullable): the session, %NULL once the lease was given back
 *
 * Since: 1.0
 */
DeratePgConnection *
derate_pg_lease_get_connection (const DeratePgLease *lease)
{
  const DeratePgLeaseData *data = (const DeratePgLeaseData *)lease;
  DeratePgSlot *slot = (DeratePgSlot *)(guintptr)data->slot;

  if (slot == NULL || !derate_pg_slot_same (derate_pg_slot_read (slot), data->word))
    return NULL;
  return slot->connection;
}

static gboolean
refuse (DeratePgLease *lease, GError **error)
{
  g_set_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_RELEASED,
               "the session of this lease was given back already");
  *lease = (DeratePgLease)DERATE_PG_LEASE_INIT;
  return FALSE;
}

/**
 * derate_pg_lease_release: (skip)
 * @lease: a lease
 * @error: where to put the error
 *
 * Gives the session back. It never waits: a session that was left in a transaction is rolled back,
 * and one whose statement still runs is closed, beside the caller. A lease that was given back, or
 * the copy of one, is refused with %DERATE_PG_ERROR_RELEASED, and nothing changes. May be called
 * from any thread.
 *
 * Returns: %TRUE if it was given back now
 *
 * Since: 1.0
 */
gboolean
derate_pg_lease_release (DeratePgLease *lease, GError **error)
{
  DeratePgLeaseData *data = (DeratePgLeaseData *)lease;
  DeratePgSlot *slot = (DeratePgSlot *)(guintptr)data->slot;
  DeratePgPool *pool;
  guint64 word;

  if (G_UNLIKELY (slot == NULL))
    return refuse (lease, error);
  /* Two holders of copies may both come here; only one of them may look at the session. */
  do
    {
      word = __atomic_load_n (&slot->word, __ATOMIC_RELAXED);
      if (G_UNLIKELY (!derate_pg_slot_same (word, data->word)))
        return refuse (lease, error);
    }
  while (!derate_pg_slot_swap (slot, word, word + DERATE_PG_SLOT_RESERVED - DERATE_PG_SLOT_BUSY));
  data->slot = 0;

  pool = slot->pool;
  word += DERATE_PG_SLOT_RESERVED - DERATE_PG_SLOT_BUSY;
  if (G_UNLIKELY (__atomic_load_n (&pool->gate, __ATOMIC_RELAXED) & GATE_GIVE) ||
      G_UNLIKELY ((word & SLOT_RETIRE) != 0) ||
      G_UNLIKELY (!derate_pg_connection_is_clean (slot->connection)) ||
      G_UNLIKELY (
          !derate_pg_slot_swap (slot, word, word + DERATE_PG_SLOT_IDLE - DERATE_PG_SLOT_RESERVED)))
    derate_pg_pool_take_back (pool, slot);
  else if (G_UNLIKELY (__atomic_load_n (&pool->gate, __ATOMIC_SEQ_CST) & GATE_GIVE) ||
           G_UNLIKELY (!__atomic_load_n (&pool->is_swept, __ATOMIC_SEQ_CST)))
    derate_pg_pool_was_given (pool);
  return TRUE;
}
