/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libpq alone: a connection for each caller, or for each request; what a pool cannot be faster
 * than. The callers' connections stay, as those of a pool do: opening them would count against
 * libpq, and the end of their server processes against who is measured next. */
#include "pool-side.h"

#include <libpq-fe.h>
#include <string.h>

static void
must (PGconn *pg, PGresult *result)
{
  if (PQresultStatus (result) != PGRES_TUPLES_OK && PQresultStatus (result) != PGRES_COMMAND_OK)
    g_error ("libpq: %s", PQerrorMessage (pg));
  PQclear (result);
}

static PGconn *
connect_to (const char *uri)
{
  PGconn *pg = PQconnectdb (uri);

  if (PQstatus (pg) != CONNECTION_OK)
    g_error ("libpq: %s", PQerrorMessage (pg));
  return pg;
}

static GAsyncQueue *sessions; /* that no caller has */

static gpointer
set_up (const char *uri)
{
  sessions = g_async_queue_new ();
  for (guint i = 0; i < POOL_SIZE; i++)
    {
      PGconn *pg = connect_to (uri);

      must (pg, PQprepare (pg, "one", "SELECT 1", 0, NULL));
      g_async_queue_push (sessions, pg);
    }
  return g_strdup (uri);
}

static void
tear_down (gpointer self)
{
  PGconn *pg;

  while ((pg = g_async_queue_try_pop (sessions)) != NULL)
    PQfinish (pg);
  g_async_queue_unref (sessions);
  g_free (self);
}

static gpointer
begin (gpointer self)
{
  return g_async_queue_pop (sessions);
}

static void
end (gpointer state)
{
  g_async_queue_push (sessions, state);
}

static void
select_one (gpointer state)
{
  must (state, PQexecPrepared (state, "one", 0, NULL, NULL, NULL, 0));
}

static void
connect_each (gpointer state)
{
  PGconn *pg = connect_to (state);

  must (pg, PQexec (pg, "SELECT 1"));
  PQfinish (pg);
}

static void
sync_pipeline (PGconn *pg)
{
  if (PQpipelineSync (pg) == 0)
    g_error ("libpq: %s", PQerrorMessage (pg));
}

/* POOL_BATCH statements and one wait; what stands between two synchronisations is one transaction.
 */
static void
run_pipeline (PGconn *pg, guint statements_a_sync)
{
  if (PQenterPipelineMode (pg) == 0)
    g_error ("libpq: %s", PQerrorMessage (pg));
  for (guint i = 1; i <= POOL_BATCH; i++)
    {
      if (PQsendQueryPrepared (pg, "one", 0, NULL, NULL, NULL, 0) == 0)
        g_error ("libpq: %s", PQerrorMessage (pg));
      if (i % statements_a_sync == 0)
        sync_pipeline (pg);
    }
  for (guint i = 1; i <= POOL_BATCH; i++)
    {
      must (pg, PQgetResult (pg));
      if (PQgetResult (pg) != NULL)
        g_error ("libpq: a second result");
      if (i % statements_a_sync == 0)
        PQclear (PQgetResult (pg));
    }
  if (PQexitPipelineMode (pg) == 0)
    g_error ("libpq: %s", PQerrorMessage (pg));
}

/* Each by itself: the error of one leaves the others alone. */
static void
select_in_pipeline (gpointer state)
{
  run_pipeline (state, 1);
}

static void
select_in_transaction (gpointer state)
{
  run_pipeline (state, POOL_BATCH);
}

static gpointer
begin_nothing (gpointer self)
{
  return self;
}

static void
end_nothing (gpointer state)
{
}

static gboolean
measure (gpointer self, const char *what, guint callers, guint ms, PoolSample *sample)
{
  static const struct
  {
    const char *name;
    PoolWork work;
    guint operations;
  } works[] = {
    { "select1", { begin, select_one, end, TRUE }, 1 },
    { "select1-pipeline", { begin, select_in_pipeline, end, TRUE }, POOL_BATCH },
    { "select1-pipeline-atomic", { begin, select_in_transaction, end, TRUE }, POOL_BATCH },
    { "connect-each", { begin_nothing, connect_each, end_nothing, TRUE }, 1 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (works); i++)
    if (strcmp (what, works[i].name) == 0 && callers <= POOL_SIZE)
      {
        pool_measure_threads (self, &works[i].work, callers, ms, sample);
        pool_sample_divide (sample, works[i].operations);
        return TRUE;
      }
  return FALSE;
}

const PoolSide pool_libpq = { "libpq", set_up, measure, tear_down };
