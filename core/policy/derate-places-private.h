/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-wait-private.h"

G_BEGIN_DECLS

/* So many at once, and who waits for a place, first come first served. One word holds both how many
 * places are taken and how many wait, so that taking and leaving are one atomic instruction each
 * while nobody waits; while somebody does, all of it happens under the mutex. */
typedef struct
{
  guint64 word; /* atomic: waiting << 32 | taken */
  guint limit;  /* atomic; may be lower than what is taken */

  GMutex mutex;
  GQueue waiters; /* (element-type DeratePlaceWaiter) */
} DeratePlaces;

/* One who waits; the caller's. It must not go before its wait is over. */
typedef struct
{
  GList link;
  DeratePlaces *places;
  DerateWait *wait; /* set before it queues */
  gboolean is_queued; /* guarded by the mutex */
} DeratePlaceWaiter;

typedef enum
{
  DERATE_PLACE_REFUSED,
  DERATE_PLACE_TAKEN,
  DERATE_PLACE_QUEUED,
} DeratePlace;

void derate_places_init (DeratePlaces *places,
                         guint         limit);
void derate_places_clear (DeratePlaces *places);

static inline guint
derate_places_count_taken (guint64 word)
{
  return (guint)(word & G_MAXUINT32);
}

static inline guint
derate_places_count_waiting (guint64 word)
{
  return (guint)(word >> 32);
}

static inline guint64
derate_places_read (DeratePlaces *places)
{
  return __atomic_load_n (&places->word, __ATOMIC_RELAXED);
}

/* FALSE when there is no place or somebody waits for one. */
static inline gboolean
derate_places_try_take (DeratePlaces *places)
{
  guint limit = __atomic_load_n (&places->limit, __ATOMIC_RELAXED);
  guint64 word = derate_places_read (places);

  do
    if (word >= limit)
      return FALSE;
  while (!__atomic_compare_exchange_n (&places->word, &word, word + 1, TRUE, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED));
  return TRUE;
}

void derate_places_leave_slowly (DeratePlaces *places);

static inline void
derate_places_leave (DeratePlaces *places)
{
  guint64 word = derate_places_read (places);

  do
    if (G_UNLIKELY (derate_places_count_waiting (word) > 0))
      {
        derate_places_leave_slowly (places);
        return;
      }
  while (!__atomic_compare_exchange_n (&places->word, &word, word - 1, TRUE, __ATOMIC_RELEASE,
                                       __ATOMIC_RELAXED));
}

/* Takes a place, or queues when fewer than @max_waiting do; @waiter is woken when it has one. */
DeratePlace derate_places_take_or_queue (DeratePlaces      *places,
                                         guint              max_waiting,
                                         DeratePlaceWaiter *waiter);

/* FALSE when the waiter has been given a place, and will be woken to hear of it. */
gboolean derate_places_give_up (DeratePlaceWaiter *waiter);

void derate_places_set_limit (DeratePlaces *places,
                              guint         limit);

G_END_DECLS
