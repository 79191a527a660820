/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a session waits: one source in one context, kept from a query to the next, because a
 * descriptor that comes and goes wakes the whole loop through the kernel each time.
 *
 * A session moves between threads and contexts, and the context that it left may still be about to
 * dispatch. So the word `state` says whose it is: while it is RESTING or HELD the source touches
 * nothing of the session, and only the context's thread does while it is ACTIVE. What happens on
 * the socket of a resting session makes the source leave the context; the next query makes
 * another. */
#include "derate-pg-session-private.h"

typedef enum
{
  RESTING,
  HELD, /* being started, perhaps by another thread than the context's */
  ACTIVE, /* the session is the context's */
  LEFT,
} PlaceState;

#define SOON (10 * G_TIME_SPAN_MILLISECOND)

struct _DeratePgPlace
{
  GSource source;
  int state; /* atomic: a PlaceState */
  GMainContext *context; /* each reference to the place is one to it */
  DeratePgConnection *connection; /* not owned: a run has a reference */
  gpointer tag;
  GIOCondition watched;

  DerateClock *clock;
  GSource *timer;
  gint64 deadline; /* atomic: when the timer looks next, perhaps too early */
};

static PlaceState
get_state (DeratePgPlace *place)
{
  return (PlaceState)__atomic_load_n (&place->state, __ATOMIC_SEQ_CST);
}

static gboolean
change_state (DeratePgPlace *place, PlaceState from, PlaceState to)
{
  int expected = (int)from;

  return __atomic_compare_exchange_n (&place->state, &expected, (int)to, FALSE, __ATOMIC_SEQ_CST,
                                      __ATOMIC_SEQ_CST);
}

static gboolean
place_check (GSource *source)
{
  DeratePgPlace *place = (DeratePgPlace *)source;

  return place->tag != NULL && g_source_query_unix_fd (source, place->tag) != 0;
}

static gboolean
place_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  DeratePgPlace *place = (DeratePgPlace *)source;
  GIOCondition ready = 0;

  switch (get_state (place))
    {
    case HELD:
      return G_SOURCE_CONTINUE; /* in a moment */
    case ACTIVE:
      if (place->tag != NULL)
        ready = g_source_query_unix_fd (source, place->tag);
      g_source_set_ready_time (source, -1); /* under GLib's lock, as whoever wakes it does */
      derate_pg_place_dispatched (place->connection, ready);
      return G_SOURCE_CONTINUE;
    default:
      if (get_state (place) == LEFT || change_state (place, RESTING, LEFT))
        return G_SOURCE_REMOVE;
      return G_SOURCE_CONTINUE;
    }
}

static void
place_finalize (GSource *source)
{
  DeratePgPlace *place = (DeratePgPlace *)source;

  g_clear_object (&place->clock);
}

static GSourceFuncs place_funcs = {
  .check = place_check,
  .dispatch = place_dispatch,
  .finalize = place_finalize,
};

static gboolean
timer_fired (gpointer user_data)
{
  DeratePgPlace *place = user_data;

  /* First this, then the look at the state: who starts a query does it the other way round. */
  __atomic_store_n (&place->deadline, DERATE_CLOCK_NEVER, __ATOMIC_SEQ_CST);
  switch (get_state (place))
    {
    case ACTIVE:
      derate_pg_place_dispatched (place->connection, 0);
      break;
    case HELD:
      {
        gint64 again = derate_clock_get_time (place->clock) + SOON;

        __atomic_store_n (&place->deadline, again, __ATOMIC_SEQ_CST);
        derate_clock_source_set_deadline (place->clock, place->timer, again);
        break;
      }
    default:
      break;
    }
  return G_SOURCE_CONTINUE;
}

static DeratePgPlace *
place_new (DeratePgConnection *self, GMainContext *context)
{
  GSource *source = g_source_new (&place_funcs, sizeof (DeratePgPlace));
  DeratePgPlace *place = (DeratePgPlace *)source;

  g_source_set_static_name (source, "[derate] postgresql");
  place->state = HELD;
  place->context = g_main_context_ref (context);
  place->connection = self;
  place->clock = g_object_ref (self->clock);
  place->deadline = DERATE_CLOCK_NEVER;
  place->watched = G_IO_IN;
  place->tag = g_source_add_unix_fd (source, PQsocket (self->pg), G_IO_IN | G_IO_HUP | G_IO_ERR);
  /* A callback may turn the context and wait for this very session. And a source that does not
   * recurse has its descriptor taken away and put back by each dispatch, at two wake-ups. */
  g_source_set_can_recurse (source, TRUE);
  g_source_attach (source, context);
  return place;
}

DeratePgPlace *
derate_pg_place_ref (DeratePgPlace *place)
{
  g_main_context_ref (place->context);
  g_source_ref (&place->source);
  return place;
}

void
derate_pg_place_unref (DeratePgPlace *place)
{
  /* Whoever has a place may take its source out of the context at any moment, so that must be
   * there: the thread that made it may have ended. */
  g_autoptr (GMainContext) context = place->context;

  g_source_unref (&place->source);
}

void
derate_pg_place_wake (DeratePgPlace *place)
{
  g_source_set_ready_time (&place->source, 0);
}

void
derate_pg_place_leave (DeratePgConnection *self)
{
  DeratePgPlace *place = g_steal_pointer (&self->place);

  if (place == NULL)
    return;
  __atomic_store_n (&place->state, LEFT, __ATOMIC_SEQ_CST);
  derate_pg_connection_drop_source (&place->timer);
  g_source_destroy (&place->source);
  derate_pg_place_unref (place);
}

void
derate_pg_place_hold (DeratePgConnection *self)
{
  GMainContext *context = g_main_context_get_thread_default ();

  if (context == NULL)
    context = g_main_context_default ();
  if (self->place != NULL && self->place->context == context && self->place->clock == self->clock &&
      !g_source_is_destroyed (&self->place->source) && change_state (self->place, RESTING, HELD))
    return;
  derate_pg_place_leave (self);
  self->place = place_new (self, context);
}

void
derate_pg_place_go (DeratePgConnection *self)
{
  __atomic_store_n (&self->place->state, ACTIVE, __ATOMIC_SEQ_CST);
}

void
derate_pg_place_rest (DeratePgConnection *self)
{
  if (self->place != NULL)
    __atomic_store_n (&self->place->state, RESTING, __ATOMIC_SEQ_CST);
}

/* 0 leaves the descriptor alone altogether: an end of the stream would be told all the same. */
void
derate_pg_place_watch (DeratePgConnection *self, GIOCondition condition)
{
  DeratePgPlace *place = self->place;
  GIOCondition all = condition | G_IO_HUP | G_IO_ERR;

  if (place->watched == condition)
    return;
  place->watched = condition;
  if (condition == 0)
    {
      g_source_remove_unix_fd (&place->source, place->tag);
      place->tag = NULL;
    }
  else if (place->tag == NULL)
    place->tag = g_source_add_unix_fd (&place->source, PQsocket (self->pg), all);
  else
    g_source_modify_unix_fd (&place->source, place->tag, all);
}

/* The timer is not moved back and forth with each query: it may fire too early, finds nothing due,
 * and is told then when to fire again. */
void
derate_pg_place_set_deadline (DeratePgConnection *self, gint64 deadline)
{
  DeratePgPlace *place = self->place;

  if (deadline >= __atomic_load_n (&place->deadline, __ATOMIC_SEQ_CST))
    return;
  __atomic_store_n (&place->deadline, deadline, __ATOMIC_SEQ_CST);
  if (place->timer != NULL)
    {
      derate_clock_source_set_deadline (place->clock, place->timer, deadline);
      return;
    }
  place->timer = derate_clock_source_new (place->clock, deadline);
  g_source_set_callback (place->timer, timer_fired, derate_pg_place_ref (place),
                         (GDestroyNotify)derate_pg_place_unref);
  g_source_attach (place->timer, place->context);
}
