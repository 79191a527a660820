/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the server answers, in the order in which it was asked. */
#include "derate-pg-session-private.h"

#include "derate-pg-error-private.h"

#include <string.h>

static gboolean
is_copy (const PGresult *result)
{
  ExecStatusType status = PQresultStatus (result);

  return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

/* What the server says of statements that it does not have, or that fit no more. */
static void
take_stale (DeratePgConnection *self, DeratePgCall *call, const PGresult *result)
{
  const char *sqlstate = PQresultErrorField (result, PG_DIAG_SQLSTATE);
  const char *function = PQresultErrorField (result, PG_DIAG_SOURCE_FUNCTION);

  if (g_strcmp0 (sqlstate, "26000") == 0 || g_strcmp0 (sqlstate, "42P05") == 0)
    derate_pg_statements_forget_all (self->statements);
  else if (g_strcmp0 (sqlstate, "0A000") == 0 && g_strcmp0 (function, "RevalidateCachedQuery") == 0)
    derate_pg_statements_forget (self->statements, call->statement);
  else
    return;
  call->is_stale = TRUE;
  self->run.has_stale = TRUE;
}

static void
collect_error (DeratePgConnection *self, DeratePgSent sent, const PGresult *result)
{
  DeratePgRun *run = &self->run;
  DeratePgCall *call = &run->calls[sent.call];
  GError **error = &call->error;

  switch (sent.kind)
    {
    case DERATE_PG_SENT_FORGET:
      run->has_stale = TRUE; /* those that come after it are not run */
      return;
    case DERATE_PG_SENT_FRAME:
    case DERATE_PG_SENT_SYNC:
      error = &run->error;
      break;
    case DERATE_PG_SENT_PREPARE:
      call->statement->state = DERATE_PG_STATEMENT_SEEN;
      G_GNUC_FALLTHROUGH;
    default:
      if (call->statement != NULL)
        take_stale (self, call, result);
    }
  if (*error == NULL)
    *error = derate_pg_error_from_result (result);
}

/* Something before it in the pipeline went wrong. */
static void
collect_aborted (DeratePgRun *run, DeratePgSent sent)
{
  DeratePgCall *call = &run->calls[sent.call];

  if (sent.kind == DERATE_PG_SENT_PREPARE)
    call->statement->state = DERATE_PG_STATEMENT_SEEN;
  if (sent.kind != DERATE_PG_SENT_CALL || call->error != NULL)
    return;
  call->is_stale = run->has_stale;
  call->error =
      g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_QUERY, "not run: a statement before it failed");
}

static void
collect_good (DeratePgConnection *self, DeratePgSent sent, PGresult *result)
{
  DeratePgCall *call = &self->run.calls[sent.call];

  if (sent.kind == DERATE_PG_SENT_PREPARE && call->statement->is_kept)
    call->statement->state = DERATE_PG_STATEMENT_PREPARED;
  if (sent.kind != DERATE_PG_SENT_CALL)
    {
      PQclear (result);
      return;
    }
  if (self->statements != NULL && PQresultStatus (result) == PGRES_COMMAND_OK &&
      (strcmp (PQcmdStatus (result), "DISCARD ALL") == 0 ||
       strcmp (PQcmdStatus (result), "DEALLOCATE ALL") == 0))
    derate_pg_statements_forget_all (self->statements);
  g_clear_pointer (&call->result, derate_pg_free_result);
  call->result = result;
}

/* Of an abandoned run nobody wants anything. */
static void
collect (DeratePgConnection *self, DeratePgSent sent, PGresult *result)
{
  switch (self->is_abandoned ? PGRES_NONFATAL_ERROR : PQresultStatus (result))
    {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
      collect_good (self, sent, result);
      return;
    case PGRES_PIPELINE_ABORTED:
      collect_aborted (&self->run, sent);
      break;
    case PGRES_NONFATAL_ERROR:
      break;
    default:
      collect_error (self, sent, result);
    }
  derate_pg_free_result (result);
}

static DeratePgRunState
refuse_copy (DeratePgConnection *self, PGresult *result)
{
  PQclear (result);
  if (self->run.error == NULL)
    g_set_error (&self->run.error, DERATE_PG_ERROR, DERATE_PG_ERROR_FAILED,
                 "COPY is not supported; the session was closed");
  return DERATE_PG_RUN_BROKEN;
}

DeratePgRunState
derate_pg_collect (DeratePgConnection *self)
{
  DeratePgRun *run = &self->run;

  while (!PQisBusy (self->pg))
    {
      PGresult *result;

      if (run->n_answered == run->n_sent)
        return run->is_unsent ? DERATE_PG_RUN_GOES_ON : derate_pg_send_rest (self);
      result = PQgetResult (self->pg);
      if (result == NULL && PQstatus (self->pg) == CONNECTION_BAD)
        return DERATE_PG_RUN_BROKEN;
      if (is_copy (result))
        return refuse_copy (self, result);
      if (result == NULL || PQresultStatus (result) == PGRES_PIPELINE_SYNC)
        {
          PQclear (result);
          run->n_answered++;
        }
      else
        collect (self, run->sent[run->n_answered], result);
    }
  return DERATE_PG_RUN_GOES_ON;
}
