/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Idle sessions are watched, so that one that is killed is dropped without anybody asking for it.
 * It costs neither an acquire nor a return a system call: a sweep arms what has been idle since the
 * last one, once, and what it hears of a session that was acquired meanwhile is forgotten.
 * Threads: the pool thread's. The descriptor is the slot's own duplicate: whatever libpq does to
 * its own, this number stays what it is. */
#include "derate-pg-pool-private.h"

#include "derate-pg-connection-private.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/epoll.h>
#include <unistd.h>

#define N_EVENTS 16

static void
hear_of_idle (DeratePgPool *pool, DeratePgSlot *slot, guint64 word)
{
  if (!derate_pg_slot_move (slot, word, DERATE_PG_SLOT_IDLE, DERATE_PG_SLOT_RESERVED))
    return;
  derate_pg_pool_look_after (pool, slot);
}

/* What is still said to a session that was closed is read away until the other end closes too. */
static void
hear_of_dead (DeratePgPool *pool, DeratePgSlot *slot)
{
  char nothing[16384];
  gssize n = read (slot->fd, nothing, sizeof nothing);

  if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
    derate_pg_pool_watch_arm (pool, slot);
  else
    derate_pg_pool_slot_gone (pool, slot);
}

static gboolean
something_heard (gint fd, GIOCondition condition, gpointer user_data)
{
  DeratePgPool *pool = user_data;
  struct epoll_event events[N_EVENTS];
  int n = epoll_wait (fd, events, N_EVENTS, 0);

  for (int i = 0; i < n; i++)
    {
      DeratePgSlot *slot = &pool->slots[events[i].data.u32];
      guint64 word = derate_pg_slot_read (slot);

      slot->is_armed = FALSE;
      if (derate_pg_slot_state (word) == DERATE_PG_SLOT_IDLE)
        hear_of_idle (pool, slot, word);
      else if (derate_pg_slot_state (word) == DERATE_PG_SLOT_DEAD)
        hear_of_dead (pool, slot);
    }
  return G_SOURCE_CONTINUE;
}

void
derate_pg_pool_watch_start (DeratePgPool *pool)
{
  pool->epoll = epoll_create1 (EPOLL_CLOEXEC);
  if (pool->epoll < 0)
    {
      g_warning ("pool %s: cannot watch sessions: %s", pool->settings.name, g_strerror (errno));
      return;
    }
  pool->watch = g_unix_fd_source_new (pool->epoll, G_IO_IN);
  g_source_set_static_name (pool->watch, "[derate] idle sessions");
  g_source_set_callback (pool->watch, G_SOURCE_FUNC (something_heard), pool, NULL);
  g_source_attach (pool->watch, pool->context);
}

void
derate_pg_pool_watch_stop (DeratePgPool *pool)
{
  if (pool->watch != NULL)
    g_source_destroy (pool->watch);
  g_clear_pointer (&pool->watch, g_source_unref);
  if (pool->epoll >= 0)
    close (pool->epoll);
  pool->epoll = -1;
}

static void
control (DeratePgPool *pool, DeratePgSlot *slot, int operation, guint32 events)
{
  struct epoll_event event = { .events = events, .data.u32 = (guint32)(slot - pool->slots) };

  if (slot->fd >= 0 && pool->epoll >= 0 &&
      epoll_ctl (pool->epoll, operation, slot->fd, &event) != 0)
    g_warning ("pool %s: cannot watch a session: %s", pool->settings.name, g_strerror (errno));
}

void
derate_pg_pool_watch_add (DeratePgPool *pool, DeratePgSlot *slot)
{
  slot->is_armed = FALSE;
  control (pool, slot, EPOLL_CTL_ADD, EPOLLONESHOT);
}

void
derate_pg_pool_watch_arm (DeratePgPool *pool, DeratePgSlot *slot)
{
  slot->is_armed = TRUE;
  control (pool, slot, EPOLL_CTL_MOD, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT);
}

/* Whether @slot must be looked at again soon. */
static gboolean
sweep_slot (DeratePgPool *pool, DeratePgSlot *slot, gint64 now)
{
  guint64 word = derate_pg_slot_read (slot);

  if (derate_pg_slot_state (word) != DERATE_PG_SLOT_IDLE)
    return FALSE;
  if (!derate_pg_slot_same (word, slot->seen))
    {
      slot->seen = word;
      slot->seen_at = now;
      slot->is_armed = FALSE;
      return TRUE;
    }
  if (!slot->is_armed)
    derate_pg_pool_watch_arm (pool, slot);
  return FALSE;
}

static gboolean
sweep_all (DeratePgPool *pool, gint64 now)
{
  gboolean again = FALSE;

  for (guint i = 0; i < pool->n_slots; i++)
    again |= sweep_slot (pool, &pool->slots[i], now);
  return again;
}

void
derate_pg_pool_sweep (DeratePgPool *pool, gint64 now)
{
  if (__atomic_load_n (&pool->is_swept, __ATOMIC_SEQ_CST) && pool->sweep_at == DERATE_CLOCK_NEVER)
    pool->sweep_at = now + SWEEP_PERIOD;
  if (now < pool->sweep_at)
    return;
  pool->sweep_at = now + SWEEP_PERIOD;
  if (sweep_all (pool, now))
    return;
  /* Whoever gives one back from now on sees this; who did just before is seen here. */
  __atomic_store_n (&pool->is_swept, FALSE, __ATOMIC_SEQ_CST);
  if (sweep_all (pool, now))
    __atomic_store_n (&pool->is_swept, TRUE, __ATOMIC_SEQ_CST);
  else
    pool->sweep_at = DERATE_CLOCK_NEVER;
}
