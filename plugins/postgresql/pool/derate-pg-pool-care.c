/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is done to a session between two leases, and how one ends. Threads: the pool thread's. It
 * owns the session here (RESERVED, then DRAINING or DEAD); nothing waits, and each step has a
 * deadline, in `due`. */
#include "derate-pg-waiter-private.h"

#include "derate-pg-connection-private.h"

#include <sys/socket.h>
#include <unistd.h>

#define DRAIN_LIMIT (10 * G_TIME_SPAN_SECOND) /* pgbouncer's cancel_wait_timeout */

/* How long a closed session counts as one of the server's, unless it is seen to end: one that may
 * still run a statement, and any other. */
#define LINGER_ABANDONED (30 * G_TIME_SPAN_SECOND)
#define LINGER (1 * G_TIME_SPAN_SECOND)

void
derate_pg_pool_slot_gone (DeratePgPool *pool, DeratePgSlot *slot)
{
  if (slot->fd >= 0)
    close (slot->fd);
  slot->fd = -1;
  slot->due = DERATE_CLOCK_NEVER;
  g_mutex_lock (&pool->lock);
  pool->n_dead--;
  derate_pg_pool_delist (pool, slot, DERATE_PG_SLOT_DEAD);
  derate_pg_pool_kick (pool);
  g_mutex_unlock (&pool->lock);
}

static void
count_close (DeratePgPool *pool, DeratePgClose why)
{
  g_mutex_lock (&pool->lock);
  pool->n_dead++;
  switch (why)
    {
    case DERATE_PG_CLOSE_LOST:
      pool->counts.lost++;
      break;
    case DERATE_PG_CLOSE_RETIRED:
      pool->counts.retired++;
      break;
    case DERATE_PG_CLOSE_BROKEN:
    case DERATE_PG_CLOSE_SILENT:
      pool->counts.broken++;
      break;
    }
  g_mutex_unlock (&pool->lock);
}

void
derate_pg_pool_close_slot (DeratePgPool *pool,
                           DeratePgSlot *slot,
                           DeratePgSlotState from,
                           DeratePgClose why)
{
  GTimeSpan linger = from == DERATE_PG_SLOT_DRAINING ? LINGER_ABANDONED : LINGER;

  derate_pg_connection_close (slot->connection);
  g_clear_object (&slot->connection);
  g_clear_pointer (&slot->cancel, derate_pg_cancel_unref);
  slot->care = 0;
  slot->retire_at = DERATE_CLOCK_NEVER;
  derate_pg_slot_pass (slot, from, DERATE_PG_SLOT_DEAD);
  count_close (pool, why);
  if (slot->fd < 0 || why == DERATE_PG_CLOSE_SILENT)
    {
      derate_pg_pool_slot_gone (pool, slot);
      return;
    }
  /* The server closes its end as the last thing it does; our duplicate lets us see it. */
  shutdown (slot->fd, SHUT_WR);
  slot->due = derate_pg_pool_now (pool) + linger;
  derate_pg_pool_watch_arm (pool, slot);
}

/* The end of a step. */
static void
step_done (DeratePgConnection *connection, DeratePgResult *result, GError *error, gpointer data)
{
  DeratePgSlot *slot = data;
  DeratePgPool *pool = slot->pool;
  gboolean is_late = derate_pg_pool_now (pool) >= slot->due;

  slot->due = DERATE_CLOCK_NEVER;
  derate_pg_connection_set_meter (connection, pool->meter);
  g_clear_pointer (&result, derate_pg_result_unref);
  if (error == NULL)
    derate_pg_pool_look_after (pool, slot);
  else
    derate_pg_pool_close_slot (pool, slot, DERATE_PG_SLOT_RESERVED,
                               is_late ? DERATE_PG_CLOSE_SILENT : DERATE_PG_CLOSE_BROKEN);
  g_clear_error (&error);
}

/* Not counted: it is none of the program's queries. */
static void
start_step (DeratePgPool *pool, DeratePgSlot *slot, const char *sql)
{
  slot->began_at = derate_pg_pool_now (pool);
  slot->due = slot->began_at + pool->settings.validation_timeout;
  derate_pg_connection_set_meter (slot->connection, NULL);
  derate_pg_connection_start (slot->connection, sql, NULL, DERATE_PG_OPERATION_OTHER, NULL,
                              step_done, slot);
}

static void
drained (DeratePgConnection *connection, DeratePgResult *result, GError *error, gpointer data)
{
  DeratePgSlot *slot = data;
  DeratePgPool *pool = slot->pool;

  g_clear_pointer (&result, derate_pg_result_unref);
  if (error != NULL)
    {
      derate_pg_pool_close_slot (pool, slot, DERATE_PG_SLOT_DRAINING, DERATE_PG_CLOSE_BROKEN);
      g_error_free (error);
      return;
    }
  derate_pg_slot_pass (slot, DERATE_PG_SLOT_DRAINING, DERATE_PG_SLOT_RESERVED);
  derate_pg_pool_look_after (pool, slot);
}

void
derate_pg_pool_look_after (DeratePgPool *pool, DeratePgSlot *slot)
{
  DeratePgConnection *connection = slot->connection;

  if (derate_pg_connection_is_abandoned (connection))
    {
      derate_pg_slot_pass (slot, DERATE_PG_SLOT_RESERVED, DERATE_PG_SLOT_DRAINING);
      derate_pg_connection_drain_async (connection, DRAIN_LIMIT, drained, slot);
      return;
    }
  if (!derate_pg_connection_is_usable (connection))
    {
      derate_pg_pool_close_slot (pool, slot, DERATE_PG_SLOT_RESERVED, DERATE_PG_CLOSE_LOST);
      return;
    }
  derate_pg_roles_look (pool, slot);
  if (derate_pg_pool_must_go (pool, slot))
    {
      derate_pg_pool_close_slot (pool, slot, DERATE_PG_SLOT_RESERVED, DERATE_PG_CLOSE_RETIRED);
      return;
    }
  if (derate_pg_connection_is_in_transaction (connection))
    start_step (pool, slot, "ROLLBACK");
  else if (slot->care & CARE_DISCARD)
    {
      slot->care &= ~CARE_DISCARD;
      start_step (pool, slot, "DISCARD ALL");
    }
  else if (slot->care & CARE_CHECK)
    {
      slot->care &= ~CARE_CHECK;
      start_step (pool, slot, "");
    }
  else
    {
      slot->care &= CARE_REPLACED;
      slot->heard_at = derate_pg_pool_now (pool);
      derate_pg_pool_put (pool, slot);
    }
}

gboolean
derate_pg_pool_check_idle (DeratePgPool *pool, DeratePgSlot *slot, guint64 word, guint care)
{
  if (!derate_pg_slot_move (slot, word, DERATE_PG_SLOT_IDLE, DERATE_PG_SLOT_RESERVED))
    return FALSE;
  slot->care |= CARE_CHECK | care;
  derate_pg_pool_look_after (pool, slot);
  return TRUE;
}
