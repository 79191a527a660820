/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What would hold a loop too long is done in a thread: libpq copies a parameter into its buffer,
 * the rest of that buffer at each write, and a value out of it; and what has many rows is freed
 * block by block.
 *
 * A run is lent whole: until the thread stores 0 in `is_lent` the session is the thread's, and the
 * context may only tell it to stop. The threads are not those of GTask: a server that takes in
 * nothing keeps one until its query ends. There is at most one a session. */
#include "derate-pg-session-private.h"

typedef struct
{
  DeratePgConnection *connection;
  DeratePgPlace *place;
} Loan;

static gpointer
do_what_is_lent (gpointer data)
{
  g_autofree Loan *loan = data;
  DeratePgRun *run = &loan->connection->run;

  run->verdict = derate_pg_run_wait (loan->connection, run->stop, DERATE_CLOCK_NEVER);
  /* From here on it is the context's again. */
  __atomic_store_n (&run->is_lent, FALSE, __ATOMIC_RELEASE);
  derate_pg_place_wake (loan->place);
  derate_pg_place_unref (loan->place);
  return NULL;
}

/* Where there can be no thread, slowly is better than never. */
static void
run_in_thread (GThreadFunc func, gpointer data)
{
  GThread *thread = g_thread_try_new ("derate-pg", func, data, NULL);

  if (thread != NULL)
    g_thread_unref (thread);
  else
    func (data);
}

void
derate_pg_lend (DeratePgConnection *self)
{
  Loan *loan = g_new0 (Loan, 1);

  derate_pg_place_watch (self, 0);
  self->run.stop = g_cancellable_new ();
  self->run.wanted_end = DERATE_PG_RUN_GOES_ON;
  __atomic_store_n (&self->run.is_lent, TRUE, __ATOMIC_RELAXED);
  loan->connection = self;
  loan->place = derate_pg_place_ref (self->place);
  run_in_thread (do_what_is_lent, loan);
}

gboolean
derate_pg_lend_is_out (DeratePgConnection *self)
{
  return self->run.stop != NULL && __atomic_load_n (&self->run.is_lent, __ATOMIC_ACQUIRE);
}

void
derate_pg_lend_stop (DeratePgConnection *self, DeratePgRunState why)
{
  if (self->run.wanted_end != DERATE_PG_RUN_GOES_ON)
    return;
  self->run.wanted_end = why;
  g_cancellable_cancel (self->run.stop);
}

void
derate_pg_lend_take_back (DeratePgConnection *self)
{
  DeratePgRun *run = &self->run;

  g_clear_object (&run->stop);
  if (run->verdict == DERATE_PG_RUN_CANCELLED)
    run->verdict = run->wanted_end;
}

static gpointer
free_result (gpointer data)
{
  PQclear (data);
  return NULL;
}

void
derate_pg_free_result (PGresult *result)
{
  if (PQresultMemorySize (result) > DERATE_PG_BIG)
    run_in_thread (free_result, result);
  else
    PQclear (result);
}

static gpointer
free_session (gpointer data)
{
  PQfinish (data);
  return NULL;
}

void
derate_pg_free_session (PGconn *pg, gboolean is_big)
{
  derate_pg_connection_mute (pg);
  if (is_big)
    run_in_thread (free_session, pg);
  else
    PQfinish (pg);
}
