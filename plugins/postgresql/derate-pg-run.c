/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a session does at a time: sends a statement and takes what comes. Nothing here waits, but
 * for derate_pg_run_wait (), which waits in the kernel. Everything belongs to who has the run. */
#include "derate-pg-session-private.h"

#include <sys/ioctl.h>

/* The rest is told by the socket: a round takes half a record of TLS at least. */
#define MAX_ROUNDS 16

static void
begin (DeratePgConnection *self, DeratePgCall *calls, guint n_calls)
{
  DeratePgRun *run = &self->run;

  self->is_running = TRUE;
  run->started = derate_clock_get_time (self->clock);
  run->deadline = self->query_timeout > 0 && run->started < DERATE_CLOCK_NEVER - self->query_timeout
                      ? run->started + self->query_timeout
                      : DERATE_CLOCK_NEVER;
  run->began_in = PQtransactionStatus (self->pg);
  run->calls = calls;
  run->n_calls = n_calls;
  run->next = 0;
  run->is_unsent = TRUE;
  run->is_atomic = FALSE;
  run->is_piped = FALSE;
  run->is_second = FALSE;
  run->is_undone = FALSE;
  run->has_stale = FALSE;
  run->takes_big = FALSE;
  run->is_big = FALSE;
  if (run->sent == NULL)
    {
      run->sent = run->few;
      run->n_room = G_N_ELEMENTS (run->few);
    }
  run->n_sent = 0;
  run->n_answered = 0;
  run->n_wakes = 0;
  run->received = 0;
  run->verdict = DERATE_PG_RUN_GOES_ON;
}

void
derate_pg_run_begin (DeratePgConnection *self,
                     const char *sql,
                     GVariant *tuple,
                     DeratePgOperation operation)
{
  DeratePgRun *run = &self->run;

  run->operation = operation;
  run->one.sql = sql;
  run->one.tuple = tuple;
  run->one.is_due = TRUE;
  begin (self, &run->one, 1);
}

void
derate_pg_run_begin_batch (DeratePgConnection *self,
                           DeratePgCall *calls,
                           guint n_calls,
                           DeratePgBatchFlags flags)
{
  for (guint i = 0; i < n_calls; i++)
    {
      derate_pg_call_reset (&calls[i]);
      calls[i].is_due = TRUE;
    }
  begin (self, calls, n_calls);
  self->run.is_atomic = (flags & DERATE_PG_BATCH_ATOMIC) != 0;
  self->run.is_read_only = (flags & DERATE_PG_BATCH_READ_ONLY) != 0;
}

/* The statement may have been found among those that are kept. */
void
derate_pg_run_keep_sql (DeratePgConnection *self)
{
  DeratePgCall *call = &self->run.one;

  if (self->run.calls != call)
    return;
  if (call->statement == NULL)
    self->run.one_sql = g_strdup (call->sql);
  call->sql = call->statement != NULL ? call->statement->sql : self->run.one_sql;
}

void
derate_pg_call_reset (DeratePgCall *call)
{
  g_clear_pointer (&call->result, derate_pg_free_result);
  g_clear_error (&call->error);
  g_clear_pointer (&call->statement, derate_pg_statement_unref);
  call->is_due = FALSE;
  call->is_stale = FALSE;
}

DeratePgRunState
derate_pg_run_flush (DeratePgConnection *self, gboolean *is_unsent)
{
  DeratePgRun *run = &self->run;
  DeratePgRunState state = DERATE_PG_RUN_GOES_ON;
  int left = PQflush (self->pg);

  if (left == 0 && run->is_unsent)
    {
      state = derate_pg_send_some (self);
      if (state == DERATE_PG_RUN_GOES_ON && !run->is_unsent && run->n_sent == 0)
        state = derate_pg_send_rest (self);
      if (state == DERATE_PG_RUN_GOES_ON)
        left = PQflush (self->pg);
    }
  *is_unsent = left == 1 || run->is_unsent;
  return left < 0 ? DERATE_PG_RUN_BROKEN : state;
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
    return derate_pg_collect (self);
  /* A last word may have come before the end of the stream. */
  state = derate_pg_collect (self);
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

/* One look at the socket and the cancellable. */
static DeratePgRunState
wait_once (DeratePgConnection *self,
           GPollFD fds[2],
           guint n_fds,
           GCancellable *cancellable,
           gint64 deadline)
{
  DeratePgRunState state = DERATE_PG_RUN_GOES_ON;

  g_poll (fds, n_fds, deadline != DERATE_CLOCK_NEVER ? milliseconds_until (deadline) : -1);
  /* An answer that is there counts, also where it is not wanted any more. */
  if ((fds[0].revents & ~G_IO_OUT) != 0)
    state = derate_pg_run_receive (self);
  if (state == DERATE_PG_RUN_GOES_ON && n_fds > 1 && g_cancellable_is_cancelled (cancellable))
    state = DERATE_PG_RUN_CANCELLED;
  if (state == DERATE_PG_RUN_GOES_ON && deadline != DERATE_CLOCK_NEVER &&
      derate_pg_run_get_system_time () >= deadline)
    state = DERATE_PG_RUN_TIMED_OUT;
  return state;
}

DeratePgRunState
derate_pg_run_wait (DeratePgConnection *self, GCancellable *cancellable, gint64 deadline)
{
  GPollFD fds[2] = { { PQsocket (self->pg), 0, 0 } };
  gboolean is_watched = g_cancellable_make_pollfd (cancellable, &fds[1]);
  DeratePgRunState state;

  self->run.takes_big = TRUE;
  do
    {
      gboolean is_unsent;

      state = derate_pg_run_flush (self, &is_unsent);
      fds[0].events = G_IO_IN | (is_unsent ? G_IO_OUT : 0);
      if (state == DERATE_PG_RUN_GOES_ON)
        state = wait_once (self, fds, is_watched ? 2 : 1, cancellable, deadline);
    }
  while (state == DERATE_PG_RUN_GOES_ON);
  if (is_watched)
    g_cancellable_release_fd (cancellable);
  return state;
}
