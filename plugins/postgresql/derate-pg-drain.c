/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes a session whose query was given up one like any other: cancels it on the server, and takes
 * what still comes. A cancel request that comes late would end the next statement instead, so the
 * session is not given back before three things are over: the query, the request, and an empty
 * query after both, which a late request would hit. One that comes before the server has read the
 * query does nothing: so it is made again while the query goes on. */
#include "derate-pg-session-private.h"

#include "derate-pg-error-private.h"
#include "derate-pg-result-private.h"

#include <derate-time-span.h>

#define FIRST_AGAIN (10 * G_TIME_SPAN_MILLISECOND)
#define LAST_AGAIN G_TIME_SPAN_SECOND

struct _DeratePgDrain
{
  GTimeSpan limit;
  gint64 deadline;
  DeratePgCancel *cancel;
  GTimeSpan patience; /* from the end of a request until the next */
  gint64 again; /* when that is; NEVER while one is under way */
  gboolean is_quiet; /* the server owes nothing */
  gboolean is_last; /* nor does it after the empty query, if that has been sent */
  gboolean is_broken;
  DeratePgDoneFunc func;
  gpointer data;
};

/* Takes @error over; NULL where it went well. */
static void
end_drain (DeratePgConnection *self, GError *error)
{
  g_autoptr (DeratePgConnection) keep = self; /* the drain's reference */
  g_autofree DeratePgDrain *drain = g_steal_pointer (&self->drain);

  derate_pg_cancel_unref (drain->cancel);
  derate_pg_run_forget (self);
  self->is_abandoned = FALSE;
  if (error != NULL)
    derate_pg_connection_finish (self);
  else
    {
      derate_pg_place_watch (self, G_IO_IN);
      derate_pg_place_rest (self);
    }
  drain->func (self, NULL, error, drain->data);
}

static void
break_drain (DeratePgConnection *self)
{
  end_drain (self, derate_pg_error_from_broken (self->pg, self->fatal));
}

static void
wake_place (gpointer data)
{
  derate_pg_place_wake (data);
  derate_pg_place_unref (data);
}

static void
start_cancel (DeratePgConnection *self)
{
  self->drain->cancel = derate_pg_cancel_new (self->pg);
  derate_pg_cancel_start (self->drain->cancel, wake_place, derate_pg_place_ref (self->place));
}

static void
cancel_again (DeratePgConnection *self, gint64 now)
{
  DeratePgDrain *drain = self->drain;

  if (drain->is_quiet || drain->is_last || !derate_pg_cancel_is_done (drain->cancel))
    return;
  if (drain->again == DERATE_CLOCK_NEVER)
    drain->again = now + drain->patience;
  if (now >= drain->again)
    {
      drain->again = DERATE_CLOCK_NEVER;
      drain->patience = MIN (drain->patience * 2, LAST_AGAIN);
      derate_pg_cancel_unref (drain->cancel);
      start_cancel (self);
    }
}

static gboolean
is_too_late (DeratePgConnection *self)
{
  DeratePgDrain *drain = self->drain;
  gint64 now = derate_clock_get_time (self->clock);
  g_autofree char *limit = NULL;

  if (now < drain->deadline)
    {
      cancel_again (self, now);
      derate_pg_place_set_deadline (self, MIN (drain->deadline, drain->again));
      return FALSE;
    }
  limit = derate_time_span_to_string (drain->limit);
  end_drain (self, g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_TIMED_OUT,
                                "the query could not be cancelled within %s", limit));
  return TRUE;
}

/* FALSE where the session is gone. */
static gboolean
take_input (DeratePgConnection *self)
{
  DeratePgDrain *drain = self->drain;

  if (drain->is_quiet)
    return PQconsumeInput (self->pg) != 0;
  switch (derate_pg_run_receive (self))
    {
    case DERATE_PG_RUN_GOES_ON:
      return TRUE;
    case DERATE_PG_RUN_ENDED:
      drain->is_quiet = TRUE;
      return TRUE;
    default:
      return FALSE;
    }
}

/* FALSE where the session is gone. */
static gboolean
send_last (DeratePgConnection *self)
{
  self->drain->is_last = TRUE;
  self->drain->is_quiet = FALSE;
  return derate_pg_send_empty (self) == DERATE_PG_RUN_GOES_ON;
}

void
derate_pg_drain_dispatched (DeratePgConnection *self, GIOCondition ready)
{
  DeratePgDrain *drain = self->drain;
  gboolean unsent = FALSE;
  gboolean is_alive = !drain->is_broken;

  if (is_alive && (ready & ~G_IO_OUT) != 0)
    is_alive = take_input (self);
  if (is_alive && drain->is_quiet && drain->is_last)
    {
      end_drain (self, NULL);
      return;
    }
  if (is_alive && drain->is_quiet && derate_pg_cancel_is_done (drain->cancel))
    is_alive = send_last (self);
  if (is_alive)
    is_alive = derate_pg_run_flush (self, &unsent) == DERATE_PG_RUN_GOES_ON;
  if (!is_alive)
    break_drain (self);
  else if (!is_too_late (self))
    derate_pg_place_watch (self, unsent ? G_IO_IN | G_IO_OUT : G_IO_IN);
}

void
derate_pg_drain_stop (DeratePgConnection *self)
{
  end_drain (self, g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED, "the session was closed"));
}

void
derate_pg_connection_drain_async (DeratePgConnection *self,
                                  GTimeSpan limit,
                                  DeratePgDoneFunc func,
                                  gpointer data)
{
  gint64 now = derate_clock_get_time (self->clock);
  DeratePgDrain *drain;

  g_return_if_fail (!self->is_running && self->drain == NULL);

  if (self->pg == NULL || !self->is_abandoned)
    {
      derate_pg_connection_refuse (self,
                                   g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED,
                                                "the session has ended"),
                                   func, data);
      return;
    }
  drain = g_new0 (DeratePgDrain, 1);
  drain->limit = limit;
  drain->deadline = now + limit;
  drain->patience = FIRST_AGAIN;
  drain->again = DERATE_CLOCK_NEVER;
  drain->func = func;
  drain->data = data;
  g_object_ref (self);
  self->drain = drain;
  drain->is_broken = derate_pg_send_no_more (self) != DERATE_PG_RUN_GOES_ON;
  derate_pg_place_hold (self);
  derate_pg_place_set_deadline (self, drain->deadline);
  start_cancel (self);
  /* Also where there is no cancelling any more: that session is broken, and the look will show it.
   */
  derate_pg_place_wake (self->place);
  derate_pg_place_go (self);
}
