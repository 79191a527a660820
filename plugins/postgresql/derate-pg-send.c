/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What goes to the server. One statement goes alone; in a pipeline each is followed by a Sync, so
 * that it is a transaction of its own, or all of them stand between BEGIN and COMMIT.
 *
 * A statement that the session sees a second time is prepared in the same round trip. What it has
 * prepared may be gone, or made for a table that has changed since: the server refuses such a
 * statement before anything was done, and it goes again as it stands. */
#include "derate-pg-session-private.h"

#include <string.h>

/* So many at a time, so as not to hold a loop. */
#define MAX_AT_ONCE 64

static void
note (DeratePgRun *run, DeratePgSentKind kind, guint call)
{
  if (run->n_sent == run->n_room)
    {
      DeratePgSent *room = g_new (DeratePgSent, (gsize)run->n_room * 2);

      memcpy (room, run->sent, run->n_sent * sizeof *room);
      if (run->sent != run->few)
        g_free (run->sent);
      run->sent = room;
      run->n_room *= 2;
    }
  run->sent[run->n_sent++] = (DeratePgSent){ kind, call };
}

static DeratePgRunState
as_state (int sent)
{
  return sent != 0 ? DERATE_PG_RUN_GOES_ON : DERATE_PG_RUN_BROKEN;
}

static DeratePgRunState
send_sync (DeratePgConnection *self)
{
  note (&self->run, DERATE_PG_SENT_SYNC, 0);
  return as_state (PQpipelineSync (self->pg));
}

static DeratePgRunState
send_word (DeratePgConnection *self, DeratePgSentKind kind, const char *sql)
{
  note (&self->run, kind, 0);
  return as_state (PQsendQueryParams (self->pg, sql, 0, NULL, NULL, NULL, NULL, 0));
}

static DeratePgRunState
enter_pipeline (DeratePgConnection *self)
{
  self->run.is_piped = TRUE;
  return as_state (PQenterPipelineMode (self->pg));
}

/* What fails takes its transaction with it: this is done outside of one alone. */
static DeratePgRunState
send_evicted (DeratePgConnection *self)
{
  DeratePgRunState state = DERATE_PG_RUN_GOES_ON;
  char *name;

  if (self->run.is_atomic || self->run.began_in != PQTRANS_IDLE)
    return state;
  while (state == DERATE_PG_RUN_GOES_ON &&
         (name = derate_pg_statements_pop_evicted (self->statements)) != NULL)
    {
      g_autofree char *sql = g_strconcat ("DEALLOCATE ", name, NULL);

      state = send_word (self, DERATE_PG_SENT_FORGET, sql);
      g_free (name);
    }
  return state;
}

static DeratePgRunState
send_plain (DeratePgConnection *self,
            const DeratePgCall *call,
            const DeratePgParameters *parameters)
{
  return as_state (PQsendQueryParams (self->pg, call->sql, parameters->n, parameters->types,
                                      parameters->values, parameters->lengths, parameters->formats,
                                      0));
}

static DeratePgRunState
send_prepared (DeratePgConnection *self,
               const DeratePgCall *call,
               const DeratePgParameters *parameters)
{
  return as_state (PQsendQueryPrepared (self->pg, call->statement->name, parameters->n,
                                        parameters->values, parameters->lengths,
                                        parameters->formats, 0));
}

static DeratePgRunState
prepare (DeratePgConnection *self, guint i, const DeratePgParameters *parameters)
{
  DeratePgStatement *statement = self->run.calls[i].statement;
  DeratePgRunState state = send_evicted (self);

  derate_pg_statements_name (self->statements, statement);
  statement->state = DERATE_PG_STATEMENT_PREPARING;
  note (&self->run, DERATE_PG_SENT_PREPARE, i);
  if (state == DERATE_PG_RUN_GOES_ON)
    state = as_state (PQsendPrepare (self->pg, statement->name, statement->sql, parameters->n,
                                     parameters->types));
  return state;
}

/* Whether it goes by the name under which the server has it, or is to have it in a moment. */
static gboolean
goes_by_name (const DeratePgCall *call)
{
  return call->statement != NULL && call->statement->state != DERATE_PG_STATEMENT_SEEN;
}

static gboolean
is_to_be_prepared (DeratePgConnection *self,
                   DeratePgCall *call,
                   const DeratePgParameters *parameters)
{
  DeratePgRun *run = &self->run;

  if (self->statements == NULL || run->is_second || run->began_in == PQTRANS_INERROR)
    return FALSE;
  call->statement = derate_pg_statements_find (self->statements, call->sql, parameters);
  return call->statement != NULL && !goes_by_name (call) && call->statement->n_seen > 1;
}

static DeratePgRunState
send_call (DeratePgConnection *self, guint i)
{
  DeratePgRun *run = &self->run;
  DeratePgCall *call = &run->calls[i];
  g_auto (DeratePgParameters) parameters; /* not cleared: it is large */
  DeratePgRunState state = DERATE_PG_RUN_GOES_ON;
  gboolean is_good =
      derate_pg_parameters_init (&parameters, call->tuple, run->takes_big, &call->error);

  run->is_big =
      parameters.is_big || (!run->takes_big && is_good && strlen (call->sql) > DERATE_PG_BIG);
  call->is_due = run->is_big;
  if (!is_good || run->is_big)
    return DERATE_PG_RUN_GOES_ON;
  if (is_to_be_prepared (self, call, &parameters))
    {
      if (!run->is_piped)
        state = enter_pipeline (self);
      if (state == DERATE_PG_RUN_GOES_ON)
        state = prepare (self, i, &parameters);
    }
  note (run, DERATE_PG_SENT_CALL, i);
  if (state == DERATE_PG_RUN_GOES_ON)
    state = goes_by_name (call) ? send_prepared (self, call, &parameters)
                                : send_plain (self, call, &parameters);
  if (state == DERATE_PG_RUN_GOES_ON && run->is_piped && !run->is_atomic)
    state = send_sync (self);
  return state;
}

/* The end of a transaction; one of whose statements could not even be sent has none. */
static DeratePgRunState
send_end (DeratePgConnection *self, gboolean is_good)
{
  DeratePgRunState state = send_word (self, DERATE_PG_SENT_FRAME, is_good ? "COMMIT" : "ROLLBACK");

  self->run.is_unsent = FALSE;
  return state == DERATE_PG_RUN_GOES_ON ? send_sync (self) : state;
}

DeratePgRunState
derate_pg_send_some (DeratePgConnection *self)
{
  DeratePgRun *run = &self->run;
  DeratePgRunState state = DERATE_PG_RUN_GOES_ON;
  gboolean is_good = TRUE;

  if (run->n_sent == 0 && (run->is_atomic || run->n_calls > 1))
    state = enter_pipeline (self);
  if (state == DERATE_PG_RUN_GOES_ON && run->is_atomic && run->n_sent == 0)
    state = send_word (self, DERATE_PG_SENT_FRAME, run->is_read_only ? "BEGIN READ ONLY" : "BEGIN");
  for (guint n = 0; n < MAX_AT_ONCE && run->next < run->n_calls && is_good; n++)
    {
      if (state == DERATE_PG_RUN_GOES_ON && run->calls[run->next].is_due)
        state = send_call (self, run->next);
      if (state != DERATE_PG_RUN_GOES_ON || run->is_big)
        return state;
      is_good = !run->is_atomic || run->calls[run->next].error == NULL;
      run->next++;
    }
  if (is_good && run->next < run->n_calls)
    return state;
  run->is_unsent = FALSE;
  return run->is_atomic ? send_end (self, is_good) : state;
}

static void
begin_pass (DeratePgRun *run)
{
  run->n_sent = 0;
  run->n_answered = 0;
}

static DeratePgRunState
send_stale (DeratePgConnection *self)
{
  DeratePgRun *run = &self->run;

  begin_pass (run);
  run->is_second = TRUE;
  run->is_undone = FALSE;
  run->is_unsent = TRUE;
  run->next = 0;
  g_clear_error (&run->error);
  /* Its text may be that of the statement, which goes with the first pass. */
  if (run->calls == &run->one && run->one_sql == NULL)
    run->one.sql = run->one_sql = g_strdup (run->one.sql);
  for (guint i = 0; i < run->n_calls; i++)
    if (run->is_atomic || run->calls[i].is_stale)
      {
        derate_pg_call_reset (&run->calls[i]);
        run->calls[i].is_due = TRUE;
      }
  return derate_pg_send_some (self);
}

DeratePgRunState
derate_pg_send_rest (DeratePgConnection *self)
{
  DeratePgRun *run = &self->run;
  gboolean is_outside;

  if (run->is_piped && PQexitPipelineMode (self->pg) == 0)
    return DERATE_PG_RUN_BROKEN;
  run->is_piped = FALSE;
  is_outside = PQtransactionStatus (self->pg) == PQTRANS_IDLE;
  if (run->is_atomic && !is_outside && !run->is_undone)
    {
      begin_pass (run);
      run->is_undone = TRUE;
      return send_word (self, DERATE_PG_SENT_FRAME, "ROLLBACK");
    }
  if (run->has_stale && !run->is_second && is_outside && !self->is_abandoned)
    return send_stale (self);
  return DERATE_PG_RUN_ENDED;
}

DeratePgRunState
derate_pg_send_no_more (DeratePgConnection *self)
{
  if (!self->run.is_unsent)
    return DERATE_PG_RUN_GOES_ON;
  self->run.is_unsent = FALSE;
  return self->run.is_atomic ? send_end (self, FALSE) : DERATE_PG_RUN_GOES_ON;
}

DeratePgRunState
derate_pg_send_empty (DeratePgConnection *self)
{
  begin_pass (&self->run);
  self->run.is_atomic = FALSE;
  return send_word (self, DERATE_PG_SENT_FRAME, "");
}
