/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-wait-private.h"

G_BEGIN_DECLS

/* A token bucket as one word, the theoretical arrival time of GCRA (ITU-T I.371): when the bucket
 * would be full again. A token puts it off by the interval; there is one as long as that stays
 * within burst intervals of now. In nanoseconds, so that a million a second are an exact thousand.
 *
 * Who waits has taken a token ahead and is given a time. Then the word is so far ahead that nobody
 * else gets one without waiting, so those who wait alone move it back: who gives up leaves no
 * trace, and each after it comes one interval earlier. That thousands give up at once costs each
 * of them no more than one does. */
typedef struct
{
  gint64 arrival; /* atomic */
  gint64 interval;
  gint64 burst;

  GMutex mutex;
  GQueue waiters; /* (element-type DerateTurnWaiter), by the time of their turns */
  guint n_waiting; /* atomic */
} DerateTurns;

/* One who waits; the caller's. */
typedef struct
{
  GList link;
  DerateTurns *turns;
  DerateWait *wait; /* started before it queues */
  gint64 turn; /* at the latest; guarded by the mutex */
} DerateTurnWaiter;

void derate_turns_init (DerateTurns *turns,
                        gint64       interval,
                        gint64       burst);
void derate_turns_clear (DerateTurns *turns);

/* 0 and @n tokens are taken, or how long in nanoseconds until there will be as many. */
gint64 derate_turns_try_take (DerateTurns *turns,
                              gint64       now,
                              gint64       n);
gint64 derate_turns_get_wait (DerateTurns *turns,
                              gint64       now,
                              gint64       n);

/* FALSE when the turn would be later than @latest. The wait's deadline is set to the turn. */
gboolean derate_turns_queue (DerateTurns      *turns,
                             gint64            now,
                             gint64            latest,
                             DerateTurnWaiter *waiter);

/* The wait is over: its turn has come at @now (TRUE), or not yet and it gives up if told to. */
gboolean derate_turns_leave (DerateTurnWaiter *waiter,
                             gint64            now,
                             gboolean          give_up);

G_END_DECLS
