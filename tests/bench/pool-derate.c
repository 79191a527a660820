/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Our pool: by threads that wait, and by callers in one loop. */
#include <derate-postgresql.h>
#include <string.h>

#include "bench.h"
#include "pool-side.h"

DeratePgPool *
pool_derate_new (const char *uri, DerateClock *clock)
{
  g_autoptr (GError) error = NULL;
  DeratePgPool *pool = derate_pg_pool_new ("bench", uri, &error);
  DeratePgLease leases[POOL_SIZE];

  g_assert_no_error (error);
  g_object_set (pool, "min-size", POOL_SIZE, "max-size", POOL_SIZE, "clock", clock, NULL);
  memset (leases, 0, sizeof leases);
  for (guint i = 0; i < POOL_SIZE; i++)
    {
      derate_pg_pool_acquire (pool, DERATE_PG_ACCESS_READ, NULL, &leases[i], NULL, &error);
      g_assert_no_error (error);
    }
  for (guint i = 0; i < POOL_SIZE; i++)
    derate_pg_lease_release (&leases[i], NULL);
  return pool;
}

static gpointer
set_up (const char *uri)
{
  return pool_derate_new (uri, derate_clock_get_system ());
}

static gpointer
begin (gpointer self)
{
  return self;
}

static void
end (gpointer state)
{
}

static void
check_out (gpointer state)
{
  DeratePgLease lease = DERATE_PG_LEASE_INIT;

  if (!derate_pg_pool_acquire (state, DERATE_PG_ACCESS_READ, NULL, &lease, NULL, NULL))
    g_error ("no session");
  derate_pg_lease_release (&lease, NULL);
}

static void
select_one (gpointer state)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgResult) result =
      derate_pg_pool_query (state, DERATE_PG_ACCESS_READ, "SELECT 1", NULL, NULL, &error);

  g_assert_no_error (error);
}

/* As many statements as libpq's pipeline is given at once. */
static void
run_batch (DeratePgPool *pool, DeratePgBatchFlags flags)
{
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_autoptr (DeratePgBatch) batch = derate_pg_batch_new ();
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < POOL_BATCH; i++)
    derate_pg_batch_add (batch, "SELECT 1", NULL);
  if (derate_pg_pool_acquire (pool, DERATE_PG_ACCESS_READ, NULL, &lease, NULL, &error))
    derate_pg_connection_run (derate_pg_lease_get_connection (&lease), batch, flags, NULL, &error);
  g_assert_no_error (error);
}

static void
select_in_pipeline (gpointer state)
{
  run_batch (state, DERATE_PG_BATCH_NONE);
}

static void
select_in_transaction (gpointer state)
{
  run_batch (state, DERATE_PG_BATCH_ATOMIC);
}

/* Callers that take turns in one loop. */
typedef struct
{
  DeratePgPool *pool;
  gboolean queries;
  gint64 until;
  guint running;
  guint64 n;
  GArray *ns;
} Loop;

typedef struct
{
  Loop *loop;
  gint64 since;
} Client;

static void client_go (Client *client);

static void
client_done (Client *client)
{
  gint64 now = bench_get_ns (), took = now - client->since;

  g_array_append_val (client->loop->ns, took);
  client->loop->n++;
  if (now < client->loop->until)
    client_go (client);
  else
    client->loop->running--;
}

static void
acquired (GObject *source, GAsyncResult *result, gpointer data)
{
  DeratePgLease lease = DERATE_PG_LEASE_INIT;

  if (!derate_pg_pool_acquire_finish (DERATE_PG_POOL (source), result, &lease, NULL))
    g_error ("no session");
  derate_pg_lease_release (&lease, NULL);
  client_done (data);
}

static void
answered (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgResult) rows =
      derate_pg_pool_query_finish (DERATE_PG_POOL (source), result, &error);

  g_assert_no_error (error);
  client_done (data);
}

static void
client_go (Client *client)
{
  Loop *loop = client->loop;

  client->since = bench_get_ns ();
  if (loop->queries)
    derate_pg_pool_query_async (loop->pool, DERATE_PG_ACCESS_READ, "SELECT 1", NULL, NULL, answered,
                                client);
  else
    derate_pg_pool_acquire_async (loop->pool, DERATE_PG_ACCESS_READ, NULL, NULL, acquired, client);
}

static void
measure_loop (gpointer self, const char *what, guint callers, guint ms, PoolSample *sample)
{
  g_autofree Client *clients = g_new0 (Client, callers);
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GArray) ns = g_array_new (FALSE, FALSE, sizeof (gint64));
  gint64 begun = bench_get_ns ();
  gboolean queries = !g_str_equal (what, "checkout-async");
  Loop loop = { self, queries, begun + (gint64)ms * 1000000, callers, 0, ns };

  g_main_context_push_thread_default (context);
  for (guint i = 0; i < callers; i++)
    {
      clients[i].loop = &loop;
      client_go (&clients[i]);
    }
  while (loop.running > 0)
    g_main_context_iteration (context, TRUE);
  g_main_context_pop_thread_default (context);
  pool_sample_set (sample, loop.n, bench_get_ns () - begun, ns);
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
    { "checkout", { begin, check_out, end, FALSE }, 1 },
    { "select1", { begin, select_one, end, TRUE }, 1 },
    { "select1-pipeline", { begin, select_in_pipeline, end, TRUE }, POOL_BATCH },
    { "select1-pipeline-atomic", { begin, select_in_transaction, end, TRUE }, POOL_BATCH },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (works); i++)
    if (strcmp (what, works[i].name) == 0)
      {
        pool_measure_threads (self, &works[i].work, callers, ms, sample);
        pool_sample_divide (sample, works[i].operations);
        return TRUE;
      }
  if (!g_str_has_suffix (what, "-async"))
    return FALSE;
  measure_loop (self, what, callers, ms, sample);
  return TRUE;
}

const PoolSide pool_derate = { "derate", set_up, measure, g_object_unref };
