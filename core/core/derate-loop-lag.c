/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-loop-lag-private.h"

#define ASK_INTERVAL G_TIME_SPAN_SECOND

/* Threads: `asked` and `last` are atomic words. Asked in the monitor's context, answered in the
 * owner's; the state outlives the handle until the question under way is answered. */
typedef struct
{
  DerateClock *clock;
  gint64 asked; /* 0 while no question is open */
  gint64 last;
} LagState;

struct _DerateLoopLag
{
  LagState *state;
  DerateEventQueue *owner_queue;
  GSource *timer;
};

static void
state_clear (gpointer data)
{
  g_object_unref (((LagState *)data)->clock);
}

static void
state_unref (gpointer data)
{
  g_atomic_rc_box_release_full (data, state_clear);
}

static void
answer (gpointer owner, gpointer data)
{
  LagState *state = data;
  gint64 asked = __atomic_exchange_n (&state->asked, 0, __ATOMIC_RELAXED);

  __atomic_store_n (&state->last, derate_clock_get_time (state->clock) - asked, __ATOMIC_RELAXED);
}

static gboolean
ask (gpointer data)
{
  DerateLoopLag *lag = data;
  LagState *state = lag->state;
  gint64 now = derate_clock_get_time (state->clock);

  if (__atomic_load_n (&state->asked, __ATOMIC_RELAXED) == 0)
    {
      __atomic_store_n (&state->asked, now, __ATOMIC_RELAXED);
      derate_event_queue_push (lag->owner_queue, NULL, answer, g_atomic_rc_box_acquire (state),
                               state_unref);
    }
  derate_clock_source_set_deadline (state->clock, lag->timer, now + ASK_INTERVAL);
  return G_SOURCE_CONTINUE;
}

DerateLoopLag *
derate_loop_lag_new (DerateClock *clock,
                     GMainContext *monitor_context,
                     DerateEventQueue *owner_queue)
{
  DerateLoopLag *lag = g_new0 (DerateLoopLag, 1);

  lag->state = g_atomic_rc_box_new0 (LagState);
  lag->state->clock = g_object_ref (clock);
  lag->owner_queue = derate_event_queue_ref (owner_queue);
  lag->timer = derate_clock_source_new (clock, derate_clock_get_time (clock) + ASK_INTERVAL);
  g_source_set_callback (lag->timer, ask, lag, NULL);
  g_source_attach (lag->timer, monitor_context);
  return lag;
}

GTimeSpan
derate_loop_lag_get (DerateLoopLag *lag)
{
  gint64 last = __atomic_load_n (&lag->state->last, __ATOMIC_RELAXED);
  gint64 asked = __atomic_load_n (&lag->state->asked, __ATOMIC_RELAXED);

  if (asked == 0)
    return last;
  return MAX (last, derate_clock_get_time (lag->state->clock) - asked);
}

/* Called where the monitor's context no longer runs, or in it. */
void
derate_loop_lag_free (DerateLoopLag *lag)
{
  g_source_destroy (lag->timer);
  g_source_unref (lag->timer);
  derate_event_queue_unref (lag->owner_queue);
  state_unref (lag->state);
  g_free (lag);
}
