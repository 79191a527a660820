/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-places-private.h"

#define ONE_WAITING (G_GUINT64_CONSTANT (1) << 32)

/* A fast path never sees a place that somebody waits for: the number of those who wait is in the
 * word that it compares. So while that is not 0 only who holds the mutex writes the word. */

void
derate_places_init (DeratePlaces *places, guint limit)
{
  *places = (DeratePlaces){ .limit = limit, .waiters = G_QUEUE_INIT };
  g_mutex_init (&places->mutex);
}

void
derate_places_clear (DeratePlaces *places)
{
  g_mutex_clear (&places->mutex);
}

/* Moves to @granted those who have a place now. */
static void
grant_locked (DeratePlaces *places, GQueue *granted)
{
  guint limit = __atomic_load_n (&places->limit, __ATOMIC_RELAXED);

  while (places->waiters.head != NULL &&
         derate_places_count_taken (derate_places_read (places)) < limit)
    {
      GList *link = g_queue_pop_head_link (&places->waiters);

      ((DeratePlaceWaiter *)link->data)->is_queued = FALSE;
      g_queue_push_tail_link (granted, link);
      __atomic_fetch_add (&places->word, 1 - ONE_WAITING, __ATOMIC_ACQ_REL);
    }
}

/* A waiter that has been granted a place stays until it is woken. */
static void
wake (GQueue *granted)
{
  GList *link;

  while ((link = g_queue_pop_head_link (granted)) != NULL)
    derate_wait_wake (((DeratePlaceWaiter *)link->data)->wait);
}

void
derate_places_leave_slowly (DeratePlaces *places)
{
  GQueue granted = G_QUEUE_INIT;

  g_mutex_lock (&places->mutex);
  __atomic_fetch_sub (&places->word, 1, __ATOMIC_ACQ_REL);
  grant_locked (places, &granted);
  g_mutex_unlock (&places->mutex);
  wake (&granted);
}

static DeratePlace
take_or_queue_locked (DeratePlaces *places, guint max_waiting, DeratePlaceWaiter *waiter)
{
  guint64 word = derate_places_read (places);
  gboolean is_free;

  do
    {
      is_free = word < __atomic_load_n (&places->limit, __ATOMIC_RELAXED);
      if (!is_free && derate_places_count_waiting (word) >= max_waiting)
        return DERATE_PLACE_REFUSED;
    }
  while (!__atomic_compare_exchange_n (&places->word, &word, word + (is_free ? 1 : ONE_WAITING),
                                       FALSE, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
  if (is_free)
    return DERATE_PLACE_TAKEN;
  waiter->places = places;
  waiter->is_queued = TRUE;
  waiter->link = (GList){ .data = waiter };
  g_queue_push_tail_link (&places->waiters, &waiter->link);
  return DERATE_PLACE_QUEUED;
}

DeratePlace
derate_places_take_or_queue (DeratePlaces *places, guint max_waiting, DeratePlaceWaiter *waiter)
{
  DeratePlace place;

  g_mutex_lock (&places->mutex);
  place = take_or_queue_locked (places, max_waiting, waiter);
  g_mutex_unlock (&places->mutex);
  return place;
}

gboolean
derate_places_give_up (DeratePlaceWaiter *waiter)
{
  DeratePlaces *places = waiter->places;
  gboolean left;

  g_mutex_lock (&places->mutex);
  left = waiter->is_queued;
  if (left)
    {
      waiter->is_queued = FALSE;
      g_queue_unlink (&places->waiters, &waiter->link);
      __atomic_fetch_sub (&places->word, ONE_WAITING, __ATOMIC_ACQ_REL);
    }
  g_mutex_unlock (&places->mutex);
  return left;
}

void
derate_places_set_limit (DeratePlaces *places, guint limit)
{
  GQueue granted = G_QUEUE_INIT;

  g_mutex_lock (&places->mutex);
  __atomic_store_n (&places->limit, limit, __ATOMIC_RELAXED);
  grant_locked (places, &granted);
  g_mutex_unlock (&places->mutex);
  wake (&granted);
}
