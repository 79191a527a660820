/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What time does to a session: it becomes stale, idle for too long, too old, or late with what it
 * is at. Threads: the pool thread's. */
#include "derate-pg-pool-private.h"

#include "derate-pg-connection-private.h"

/* How long before its end a session is replaced. */
#define REPLACE_AHEAD (5 * G_TIME_SPAN_SECOND)
#define REPLACE_SHARE 20 /* and at most this part of its life */

gboolean
derate_pg_pool_must_go (DeratePgPool *pool, DeratePgSlot *slot)
{
  return (derate_pg_slot_read (slot) & SLOT_RETIRE) != 0 ||
         (__atomic_load_n (&pool->gate, __ATOMIC_RELAXED) & GATE_CLOSED) != 0 ||
         derate_pg_pool_now (pool) >= slot->retire_at;
}

static gint64
replace_at (DeratePgPool *pool, const DeratePgSlot *slot)
{
  if (slot->retire_at == DERATE_CLOCK_NEVER)
    return DERATE_CLOCK_NEVER;
  return slot->retire_at - MIN (REPLACE_AHEAD, pool->settings.max_lifetime / REPLACE_SHARE);
}

gboolean
derate_pg_pool_is_old (DeratePgPool *pool, DeratePgSlot *slot, gint64 now)
{
  return now >= replace_at (pool, slot);
}

/* When a session that is in use or idle is looked at for its age. */
static gint64
next_of_age (DeratePgPool *pool, DeratePgSlot *slot, gint64 now)
{
  gint64 replace = replace_at (pool, slot);

  return now < replace ? replace : slot->retire_at;
}

static void
retire (DeratePgPool *pool, DeratePgSlot *slot, guint64 word)
{
  if (derate_pg_slot_move (slot, word, DERATE_PG_SLOT_IDLE, DERATE_PG_SLOT_RESERVED))
    derate_pg_pool_close_slot (pool, slot, DERATE_PG_SLOT_RESERVED, DERATE_PG_CLOSE_RETIRED);
}

static gboolean
is_surplus (DeratePgPool *pool)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&pool->lock);

  return derate_pg_pool_count_alive (pool) > pool->min;
}

static gint64
after (gint64 start, GTimeSpan span)
{
  return span == 0 ? DERATE_CLOCK_NEVER : start + span;
}

static gint64
turn_idle (DeratePgPool *pool, DeratePgSlot *slot, guint64 word, gint64 now)
{
  gint64 next = next_of_age (pool, slot, now);
  gint64 stale_at;
  gint64 idle_at;

  if (derate_pg_pool_must_go (pool, slot))
    {
      retire (pool, slot, word);
      return slot->due;
    }
  if (!derate_pg_slot_same (word, slot->seen))
    return next; /* the sweep will say since when it has been idle */
  stale_at = after (MAX (slot->seen_at, slot->heard_at), pool->settings.validate_after);
  idle_at = after (slot->seen_at, pool->settings.idle_timeout);
  if (now >= idle_at && is_surplus (pool))
    {
      retire (pool, slot, word);
      return slot->due;
    }
  if (now >= stale_at && (word & SLOT_STALE) == 0)
    derate_pg_slot_swap (slot, word, word | SLOT_STALE);
  if (now < stale_at)
    next = MIN (next, stale_at);
  return now < idle_at ? MIN (next, idle_at) : next;
}

static gint64
turn_busy (DeratePgPool *pool, DeratePgSlot *slot, guint64 word, gint64 now)
{
  gint64 next = derate_pg_leak_look (pool, slot, word, now);

  if (now < slot->retire_at)
    return MIN (next, next_of_age (pool, slot, now));
  derate_pg_slot_flag (slot, SLOT_RETIRE, 0);
  return next;
}

/* Something of ours is under way with it. */
static gint64
turn_due (DeratePgPool *pool, DeratePgSlot *slot, gint64 now)
{
  if (now < slot->due)
    return slot->due;
  if (derate_pg_slot_state (derate_pg_slot_read (slot)) == DERATE_PG_SLOT_DEAD)
    derate_pg_pool_slot_gone (pool, slot);
  else
    derate_pg_connection_close (slot->connection); /* which ends the step */
  return DERATE_CLOCK_NEVER;
}

gint64
derate_pg_pool_turn_slot (DeratePgPool *pool, DeratePgSlot *slot, gint64 now)
{
  guint64 word = derate_pg_slot_read (slot);

  switch (derate_pg_slot_state (word))
    {
    case DERATE_PG_SLOT_IDLE:
      return turn_idle (pool, slot, word, now);
    case DERATE_PG_SLOT_BUSY:
      return turn_busy (pool, slot, word, now);
    case DERATE_PG_SLOT_RESERVED:
    case DERATE_PG_SLOT_DEAD:
      return turn_due (pool, slot, now);
    default:
      return DERATE_CLOCK_NEVER; /* a connect and a drain have their own */
    }
}
