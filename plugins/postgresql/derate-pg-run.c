/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a session does at a time: sends a statement and takes what comes. Nothing here waits, but
 * for derate_pg_run_wait (), which waits in the kernel. Everything belongs to who has the run. */
#include "derate-pg-session-private.h"

#include "derate-pg-error-private.h"
#include "derate-pg-result-private.h"

#include <derate-time-span.h>
#include <sys/ioctl.h>

/* The rest is told by the socket: a round takes half a record of TLS at least. */
#define MAX_ROUNDS 16
#define ROLE_INTERVAL (50 * G_TIME_SPAN_MILLISECOND)

void
derate_pg_run_begin (DeratePgConnection *self, const char *sql, DeratePgOperation operation)
{
  DeratePgRun *run = &self->run;

  self->is_running = TRUE;
  run->sql = g_strdup (sql);
  run->operation = operation;
  run->started = derate_clock_get_time (self->clock);
  run->deadline = self->query_timeout > 0 && run->started < DERATE_CLOCK_NEVER - self->query_timeout
                      ? run->started + self->query_timeout
                      : DERATE_CLOCK_NEVER;
  run->n_wakes = 0;
  run->received = 0;
  run->verdict = DERATE_PG_RUN_GOES_ON;
}

void
derate_pg_run_forget (DeratePgConnection *self)
{
  g_clear_pointer (&self->run.result, derate_pg_free_result);
  g_clear_error (&self->run.error);
}

DeratePgRunState
derate_pg_run_send (DeratePgConnection *self, const DeratePgParameters *parameters)
{
  return PQsendQueryParams (self->pg, self->run.sql, parameters->n, parameters->types,
                            parameters->values, parameters->lengths, parameters->formats, 0) != 0
             ? DERATE_PG_RUN_GOES_ON
             : DERATE_PG_RUN_BROKEN;
}

DeratePgRunState
derate_pg_run_flush (DeratePgConnection *self, gboolean *unsent)
{
  int left = PQflush (self->pg);

  *unsent = left == 1;
  return left >= 0 ? DERATE_PG_RUN_GOES_ON : DERATE_PG_RUN_BROKEN;
}

static gboolean
is_copy (const PGresult *result)
{
  ExecStatusType status = PQresultStatus (result);

  return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

static void
collect (DeratePgRun *run, PGresult *result)
{
  switch (PQresultStatus (result))
    {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
      g_clear_pointer (&run->result, derate_pg_free_result);
      run->result = result;
      return;

    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
      if (run->error == NULL)
        g_set_error (&run->error, DERATE_PG_ERROR, DERATE_PG_ERROR_FAILED,
                     "COPY is not supported; the session was closed");
      break;

    default:
      if (run->error == NULL)
        run->error = derate_pg_error_from_result (result);
    }
  PQclear (result);
}

static DeratePgRunState
take_results (DeratePgConnection *self)
{
  while (!PQisBusy (self->pg))
    {
      PGresult *result = PQgetResult (self->pg);
      gboolean copies;

      if (result == NULL)
        {
          derate_pg_connection_drop_notifications (self);
          return PQstatus (self->pg) == CONNECTION_BAD ? DERATE_PG_RUN_BROKEN : DERATE_PG_RUN_ENDED;
        }
      copies = is_copy (result);
      collect (&self->run, result);
      if (copies)
        return DERATE_PG_RUN_BROKEN;
    }
  return DERATE_PG_RUN_GOES_ON;
}

static int
count_waiting (DeratePgConnection *self)
{
  int waiting = 0;

  return ioctl (PQsocket (self->pg), FIONREAD, &waiting) == 0 ? waiting : 0;
}

static DeratePgRunState
receive_once (DeratePgConnection *self)
{
  DeratePgRunState state;

  if (PQconsumeInput (self->pg) != 0)
    return take_results (self);
  /* A last word may have come before the end of the stream. */
  state = take_results (self);
  return state == DERATE_PG_RUN_GOES_ON ? DERATE_PG_RUN_BROKEN : state;
}

/* What TLS has decrypted and libpq had no room for would be heard of only when more comes. */
static DeratePgRunState
receive_encrypted (DeratePgConnection *self)
{
  DeratePgRunState state = DERATE_PG_RUN_GOES_ON;
  guint n_same = 0;

  for (guint i = 0; i < MAX_ROUNDS && n_same < 2 && state == DERATE_PG_RUN_GOES_ON; i++)
    {
      int before = count_waiting (self);

      state = receive_once (self);
      if (state == DERATE_PG_RUN_GOES_ON)
        n_same = count_waiting (self) == before ? n_same + 1 : 0;
    }
  return state;
}

DeratePgRunState
derate_pg_run_receive (DeratePgConnection *self)
{
  DeratePgRun *run = &self->run;

  /* Most answers come at once, and none of those is big. */
  if (run->n_wakes++ > 0)
    run->received += (gsize)count_waiting (self);
  return PQsslInUse (self->pg) ? receive_encrypted (self) : receive_once (self);
}

/* The kernel knows no other clock. */
gint64
derate_pg_run_get_system_time (void)
{
  return derate_clock_get_time (derate_clock_get_system ());
}

static int
milliseconds_until (gint64 deadline)
{
  gint64 left = deadline - derate_pg_run_get_system_time ();

  /* Rounded up, so as not to spin at the end. */
  return (int)CLAMP ((left + 999) / 1000, 0, G_MAXINT / 2);
}

DeratePgRunState
derate_pg_run_wait (DeratePgConnection *self, GCancellable *cancellable, gint64 deadline)
{
  DeratePgRunState state = DERATE_PG_RUN_GOES_ON;
  GPollFD fds[2] = { { PQsocket (self->pg), 0, 0 } };
  guint n = 1 + (g_cancellable_make_pollfd (cancellable, &fds[1]) ? 1 : 0);
  gboolean unsent = TRUE;

  for (;;)
    {
      if (unsent)
        state = derate_pg_run_flush (self, &unsent);
      if (state != DERATE_PG_RUN_GOES_ON)
        break;
      fds[0].events = G_IO_IN | (unsent ? G_IO_OUT : 0);
      g_poll (fds, n, deadline != DERATE_CLOCK_NEVER ? milliseconds_until (deadline) : -1);
      /* An answer that is there counts, also where it is not wanted any more. */
      if ((fds[0].revents & ~G_IO_OUT) != 0)
        state = derate_pg_run_receive (self);
      if (state == DERATE_PG_RUN_GOES_ON && n > 1 && g_cancellable_is_cancelled (cancellable))
        state = DERATE_PG_RUN_CANCELLED;
      if (state == DERATE_PG_RUN_GOES_ON && deadline != DERATE_CLOCK_NEVER &&
          derate_pg_run_get_system_time () >= deadline)
        state = DERATE_PG_RUN_TIMED_OUT;
    }
  if (n > 1)
    g_cancellable_release_fd (cancellable);
  return state;
}

void
derate_pg_connection_look_at_role (DeratePgConnection *self)
{
  gboolean is_read_only = derate_pg_connection_is_read_only (self);

  self->saw_read_only |= is_read_only != self->was_read_only;
  self->was_read_only = is_read_only;
}

static void
look_at_role_at_times (DeratePgConnection *self, gint64 now)
{
  if (now - self->roles_seen < ROLE_INTERVAL)
    return;
  self->roles_seen = now;
  derate_pg_connection_look_at_role (self);
}

/* What is left of a run that ended, for its caller; takes what it gathered. */
static GError *
explain (DeratePgConnection *self, DeratePgRunState state)
{
  DeratePgRun *run = &self->run;
  GError *error = NULL;

  switch (state)
    {
    case DERATE_PG_RUN_CANCELLED:
      return g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the query was cancelled");
    case DERATE_PG_RUN_TIMED_OUT:
      {
        g_autofree char *limit = derate_time_span_to_string (self->query_timeout);

        return g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_TIMED_OUT, "no answer within %s",
                            limit);
      }
    case DERATE_PG_RUN_CLOSED:
      return g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED, "the session was closed");
    case DERATE_PG_RUN_BROKEN:
      error = g_steal_pointer (&run->error);
      return error != NULL ? error : derate_pg_error_from_broken (self->pg, self->fatal);
    default:
      return g_steal_pointer (&run->error);
    }
}

static void
count (DeratePgConnection *self, gint64 now, const GError *error)
{
  DeratePgRun *run = &self->run;

  if (self->meter != NULL)
    derate_pg_meter_query (self->meter, run->operation, (double)(now - run->started) / 1e6,
                           run->sql, error);
}

void
derate_pg_run_end (DeratePgConnection *self,
                   DeratePgRunState state,
                   DeratePgResult **result,
                   GError **error)
{
  DeratePgRun *run = &self->run;
  GError *why = explain (self, state);
  gint64 now = derate_clock_get_time (self->clock);

  *result = NULL;
  *error = NULL;
  if (state == DERATE_PG_RUN_ENDED)
    look_at_role_at_times (self, now);
  else if (self->is_pooled &&
           (state == DERATE_PG_RUN_CANCELLED || state == DERATE_PG_RUN_TIMED_OUT))
    self->is_abandoned = TRUE;
  else
    derate_pg_connection_finish (self);
  if (why == NULL)
    *result = derate_pg_result_new (g_steal_pointer (&run->result));
  else if (g_error_matches (why, DERATE_PG_ERROR, DERATE_PG_ERROR_READ_ONLY))
    self->saw_read_only = TRUE;
  derate_pg_run_forget (self);
  self->is_running = FALSE;
  count (self, now, why);
  g_clear_pointer (&run->sql, g_free);
  *error = why;
}
