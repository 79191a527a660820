/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-turns-private.h"

/* So many of those who wait know their turn exactly. */
#define FRONT 8

void
derate_turns_init (DerateTurns *turns, gint64 interval, gint64 burst)
{
  *turns = (DerateTurns){
    .arrival = G_MININT64 / 2,
    .interval = interval,
    .burst = burst,
    .waiters = G_QUEUE_INIT,
  };
  g_mutex_init (&turns->mutex);
}

void
derate_turns_clear (DerateTurns *turns)
{
  g_mutex_clear (&turns->mutex);
}

/* The word with @n more tokens taken. */
static gint64
put_off (DerateTurns *turns, gint64 arrival, gint64 now, gint64 n)
{
  return MAX (arrival, now) + n * turns->interval;
}

gint64
derate_turns_get_wait (DerateTurns *turns, gint64 now, gint64 n)
{
  gint64 arrival = __atomic_load_n (&turns->arrival, __ATOMIC_RELAXED);

  return MAX (put_off (turns, arrival, now, n) - turns->burst - now, 0);
}

gint64
derate_turns_try_take (DerateTurns *turns, gint64 now, gint64 n)
{
  gint64 arrival = __atomic_load_n (&turns->arrival, __ATOMIC_RELAXED);
  gint64 later;

  do
    {
      later = put_off (turns, arrival, now, n);
      if (later - turns->burst > now)
        return later - turns->burst - now;
    }
  while (!__atomic_compare_exchange_n (&turns->arrival, &arrival, later, TRUE, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED));
  return 0;
}

static void
set_turn_locked (DerateTurnWaiter *waiter, gint64 turn)
{
  waiter->turn = turn;
  derate_wait_set_deadline (waiter->wait, turn / 1000 + (turn % 1000 > 0));
}

gboolean
derate_turns_queue (DerateTurns *turns, gint64 now, gint64 latest, DerateTurnWaiter *waiter)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&turns->mutex);
  gint64 arrival = __atomic_load_n (&turns->arrival, __ATOMIC_RELAXED);
  gint64 later;

  do
    {
      later = put_off (turns, arrival, now, 1);
      if (later - turns->burst > latest)
        return FALSE;
    }
  while (!__atomic_compare_exchange_n (&turns->arrival, &arrival, later, FALSE, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED));
  waiter->turns = turns;
  waiter->link = (GList){ .data = waiter };
  g_queue_push_tail_link (&turns->waiters, &waiter->link);
  __atomic_store_n (&turns->n_waiting, turns->n_waiting + 1, __ATOMIC_RELAXED);
  set_turn_locked (waiter, later - turns->burst);
  return TRUE;
}

/* While turns are still to come they are one interval apart, and the last of them is a burst before
 * the arrival. So what a waiter has given back needs no telling to all behind it: those in front
 * hear of it, the others when they get there, and until then think that they come later. */
static void
hurry_front_locked (DerateTurns *turns)
{
  gint64 arrival = __atomic_load_n (&turns->arrival, __ATOMIC_RELAXED);
  gint64 turn = arrival - turns->burst - (gint64)turns->waiters.length * turns->interval;
  guint n = FRONT;

  for (GList *link = turns->waiters.head; link != NULL && n > 0; link = link->next, n--)
    {
      DerateTurnWaiter *waiter = link->data;

      turn += turns->interval;
      if (turn < waiter->turn)
        set_turn_locked (waiter, turn);
    }
}

gboolean
derate_turns_leave (DerateTurnWaiter *waiter, gint64 now, gboolean give_up)
{
  DerateTurns *turns = waiter->turns;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&turns->mutex);
  gboolean has_come = waiter->turn <= now;

  if (!has_come && !give_up)
    {
      set_turn_locked (waiter, waiter->turn);
      return FALSE;
    }
  if (!has_come)
    __atomic_fetch_sub (&turns->arrival, turns->interval, __ATOMIC_RELAXED);
  g_queue_unlink (&turns->waiters, &waiter->link);
  __atomic_store_n (&turns->n_waiting, turns->n_waiting - 1, __ATOMIC_RELAXED);
  hurry_front_locked (turns);
  return has_come;
}
