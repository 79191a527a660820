/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a run ends. */
#include "derate-pg-session-private.h"

#include "derate-pg-error-private.h"
#include "derate-pg-result-private.h"

#include <derate-time-span.h>

#define ROLE_INTERVAL (50 * G_TIME_SPAN_MILLISECOND)

void
derate_pg_connection_look_at_role (DeratePgConnection *self)
{
  gboolean is_read_only = derate_pg_connection_is_read_only (self);

  self->saw_read_only |= is_read_only != self->was_read_only;
  self->was_read_only = is_read_only;
}

/* What the server said before it went: libpq adds an error of its own, which says nothing. */
static GError *
find_last_word (const DeratePgRun *run)
{
  for (guint i = 0; i < run->n_calls; i++)
    if (g_error_matches (run->calls[i].error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED))
      return g_error_copy (run->calls[i].error);
  return NULL;
}

/* Why it ended, where that is not what the server says of a statement. */
static GError *
explain (DeratePgConnection *self, DeratePgRunState state)
{
  g_autofree char *limit = NULL;
  GError *error;

  switch (state)
    {
    case DERATE_PG_RUN_CANCELLED:
      return g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the query was cancelled");
    case DERATE_PG_RUN_TIMED_OUT:
      limit = derate_time_span_to_string (self->query_timeout);
      return g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_TIMED_OUT, "no answer within %s", limit);
    case DERATE_PG_RUN_CLOSED:
      return g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED, "the session was closed");
    case DERATE_PG_RUN_BROKEN:
      error = find_last_word (&self->run);
      if (error == NULL)
        error = g_steal_pointer (&self->run.error);
      return error != NULL ? error : derate_pg_error_from_broken (self->pg, self->fatal);
    default:
      return g_steal_pointer (&self->run.error);
    }
}

static gboolean
was_read_only (const DeratePgRun *run)
{
  for (guint i = 0; i < run->n_calls; i++)
    if (run->calls[i].error != NULL &&
        g_error_matches (run->calls[i].error, DERATE_PG_ERROR, DERATE_PG_ERROR_READ_ONLY))
      return TRUE;
  return FALSE;
}

static void
look_at_role_at_times (DeratePgConnection *self, gint64 now)
{
  self->saw_read_only |= was_read_only (&self->run);
  if (now - self->roles_seen < ROLE_INTERVAL)
    return;
  self->roles_seen = now;
  derate_pg_connection_look_at_role (self);
}

/* What the server was to prepare it may have prepared; nobody will hear. The statements are the
 * session's: a batch may be freed by another thread. */
static void
let_go_of_statements (DeratePgConnection *self)
{
  DeratePgRun *run = &self->run;

  for (guint i = 0; i < run->n_calls; i++)
    {
      DeratePgStatement *statement = g_steal_pointer (&run->calls[i].statement);

      if (statement == NULL)
        continue;
      if (statement->state == DERATE_PG_STATEMENT_PREPARING)
        derate_pg_statements_evict (self->statements, statement);
      derate_pg_statement_unref (statement);
    }
}

/* An atomic batch goes as wrong as its first statement that does. */
static const GError *
find_error (const DeratePgRun *run, const GError *why)
{
  for (guint i = 0; run->is_atomic && why == NULL && i < run->n_calls; i++)
    why = run->calls[i].error;
  return why;
}

void
derate_pg_run_forget (DeratePgConnection *self)
{
  DeratePgRun *run = &self->run;

  derate_pg_call_reset (&run->one);
  g_clear_pointer (&run->one.tuple, g_variant_unref);
  g_clear_pointer (&run->one_sql, g_free);
  g_clear_pointer (&run->text, g_free);
  g_clear_error (&run->error);
  run->one.sql = NULL;
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
  if (state == DERATE_PG_RUN_ENDED)
    {
      derate_pg_connection_take_notifications (self);
      look_at_role_at_times (self, now);
    }
  else if (self->is_pooled &&
           (state == DERATE_PG_RUN_CANCELLED || state == DERATE_PG_RUN_TIMED_OUT))
    self->is_abandoned = TRUE;
  else
    derate_pg_connection_finish (self);
  if (why == NULL && run->calls == &run->one)
    {
      why = g_steal_pointer (&run->one.error);
      if (why == NULL)
        *result = derate_pg_result_new (g_steal_pointer (&run->one.result));
    }
  self->is_running = FALSE;
  if (self->meter != NULL)
    derate_pg_meter_query (self->meter, run->operation, (double)(now - run->started) / 1e6,
                           run->text != NULL ? run->text : run->one.sql, find_error (run, why));
  let_go_of_statements (self);
  derate_pg_run_forget (self);
  *error = why;
}
