/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything at once: threads that wait, contexts that wait, statements that are cancelled,
 * backends that are killed, sizes that change, pauses, a close in the middle. Nothing is looked at
 * but what must always hold: every call ends once, no more sessions than there may be, nothing
 * left. The sanitizers look at the rest. Another seed by --seed. */
#include "pg-world.h"

#define N_SYNC 4
#define N_ASYNC 2
#define MAX_SIZE 6
#define RUN_FOR (1500 * MS)
#define N_GOOD 50 /* at least, however long that takes */

typedef struct
{
  DeratePgPool *pool;
  gint stop; /* atomic */
  gint n_done; /* atomic */
  gint n_good; /* atomic */
} Stress;

typedef struct
{
  Stress *stress;
  GRand *random;
  GThread *thread;
  guint n_open; /* calls that were not answered yet, of an asker */
} Actor;

static gboolean
is_expected (const GError *error)
{
  static const DeratePgError codes[] = {
    DERATE_PG_ERROR_POOL_TIMEOUT, DERATE_PG_ERROR_POOL_FULL, DERATE_PG_ERROR_POOL_CLOSED,
    DERATE_PG_ERROR_CLOSED,       DERATE_PG_ERROR_TIMED_OUT, DERATE_PG_ERROR_NOT_READY,
  };

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (codes); i++)
    {
      if (g_error_matches (error, DERATE_PG_ERROR, codes[i]))
        return TRUE;
    }
  return FALSE;
}

static void
count (Stress *stress, const GError *error)
{
  if (error != NULL && !is_expected (error))
    g_error ("%s", error->message);
  g_atomic_int_inc (&stress->n_done);
  if (error == NULL)
    g_atomic_int_inc (&stress->n_good);
}

static const char *
choose_statement (GRand *random)
{
  static const char *const statements[] = {
    "select 1", "select 1",           "select pg_sleep(0.001)", "select pg_sleep(0.02)",
    "begin",    "select pg_sleep(5)",
  };

  return statements[g_rand_int_range (random, 0, G_N_ELEMENTS (statements))];
}

/* Cancels by itself after a while, from another thread. */
typedef struct
{
  GCancellable *cancellable;
  GTimeSpan after;
} Fuse;

static gpointer
burn (gpointer data)
{
  Fuse *fuse = data;

  g_usleep (fuse->after);
  g_cancellable_cancel (fuse->cancellable);
  return NULL;
}

static gpointer
act_sync (gpointer data)
{
  Actor *actor = data;
  Stress *stress = actor->stress;

  while (!g_atomic_int_get (&stress->stop))
    {
      g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      g_autoptr (DeratePgResult) result = NULL;
      g_autoptr (GError) error = NULL;
      Fuse fuse = { cancellable, g_rand_int_range (actor->random, 0, 15000) };
      GThread *thread = NULL;

      if (g_rand_int_range (actor->random, 0, 4) == 0)
        thread = g_thread_new ("fuse", burn, &fuse);
      if (derate_pg_pool_acquire (stress->pool, WRITE, "sync", &lease, cancellable, &error))
        result = derate_pg_connection_query (derate_pg_lease_get_connection (&lease),
                                             choose_statement (actor->random), NULL, cancellable,
                                             &error);
      if (g_rand_int_range (actor->random, 0, 8) == 0)
        {
          DeratePgLease copy = lease;

          derate_pg_lease_clear (&lease);
          g_assert_false (derate_pg_lease_release (&copy, NULL));
        }
      count (stress, error);
      if (thread != NULL)
        g_thread_join (thread);
    }
  return NULL;
}

typedef struct
{
  Actor *actor;
  GCancellable *cancellable;
} Asked;

static gboolean
cancel_asked (gpointer data)
{
  g_cancellable_cancel (data);
  return G_SOURCE_REMOVE;
}

static void
answered (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autofree Asked *asked = user_data;
  g_autoptr (DeratePgResult) rows = NULL;
  g_autoptr (GError) error = NULL;

  rows = derate_pg_pool_query_finish (DERATE_PG_POOL (source), result, &error);
  count (asked->actor->stress, error);
  asked->actor->n_open--;
  g_object_unref (asked->cancellable);
}

static void
leased (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autofree Asked *asked = user_data;
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_autoptr (GError) error = NULL;

  derate_pg_pool_acquire_finish (DERATE_PG_POOL (source), result, &lease, &error);
  count (asked->actor->stress, error);
  asked->actor->n_open--;
  g_object_unref (asked->cancellable);
}

static void
ask (Actor *actor, GMainContext *context)
{
  Asked *asked = g_new0 (Asked, 1);

  asked->actor = actor;
  asked->cancellable = g_cancellable_new ();
  actor->n_open++;
  if (g_rand_int_range (actor->random, 0, 3) == 0)
    {
      g_autoptr (GSource) source = g_timeout_source_new (g_rand_int_range (actor->random, 0, 15));

      g_source_set_callback (source, cancel_asked, g_object_ref (asked->cancellable),
                             g_object_unref);
      g_source_attach (source, context);
    }
  if (g_rand_boolean (actor->random))
    derate_pg_pool_query_async (actor->stress->pool, WRITE, choose_statement (actor->random), NULL,
                                asked->cancellable, answered, asked);
  else
    derate_pg_pool_acquire_async (actor->stress->pool, READ, "async", asked->cancellable, leased,
                                  asked);
}

static gpointer
act_async (gpointer data)
{
  Actor *actor = data;
  g_autoptr (GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  while (!g_atomic_int_get (&actor->stress->stop) || actor->n_open > 0)
    {
      if (!g_atomic_int_get (&actor->stress->stop) && actor->n_open < 8)
        ask (actor, context);
      g_main_context_iteration (context, actor->n_open >= 8);
    }
  g_main_context_pop_thread_default (context);
  return NULL;
}

/* What an operator does, and the world. */
static void
disturb (Stress *stress)
{
  guint max;

  switch (g_test_rand_int_range (0, 6))
    {
    case 0:
      pg_world_kill (stress->pool);
      break;
    case 1:
      max = g_test_rand_int_range (1, MAX_SIZE + 1);
      g_assert_true (
          derate_pg_pool_resize (stress->pool, g_test_rand_int_range (0, max + 1), max, NULL));
      break;
    case 2:
      derate_pg_pool_pause (stress->pool);
      g_usleep (g_test_rand_int_range (0, 4000));
      derate_pg_pool_resume (stress->pool);
      break;
    case 3:
      derate_pg_pool_drain_async (stress->pool, NULL, NULL, NULL);
      break;
    default:
      g_assert_cmpuint (pg_world_stats (stress->pool).total, <=, MAX_SIZE);
      g_assert_cmpuint (pg_world_sessions (stress->pool), <=, MAX_SIZE);
    }
}

static void
run_stress (gboolean closes, DeratePgReset reset)
{
  Stress stress = { 0 };
  Actor actors[N_SYNC + N_ASYNC] = { 0 };
  gboolean was_closed = FALSE;

  stress.pool = pg_world_pool ("min-size", 2, "max-size", MAX_SIZE, "acquire-timeout", 60 * MS,
                               "query-timeout", 30 * MS, "max-waiters", 20, "validate-after",
                               10 * MS, "max-lifetime", 400 * MS, "idle-timeout", 100 * MS,
                               "leak-threshold", 3600 * S, "reset", reset, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (actors); i++)
    {
      actors[i].stress = &stress;
      actors[i].random = g_rand_new_with_seed (g_test_rand_int ());
      actors[i].thread = g_thread_new ("actor", i < N_SYNC ? act_sync : act_async, &actors[i]);
    }
  for (gint64 end = g_get_monotonic_time () + RUN_FOR; g_get_monotonic_time () < end ||
                                                       g_atomic_int_get (&stress.n_good) < N_GOOD ||
                                                       was_closed != closes;)
    {
      if (closes && !was_closed && end - g_get_monotonic_time () < RUN_FOR / 3 &&
          g_atomic_int_get (&stress.n_good) >= N_GOOD)
        {
          derate_pg_pool_close_async (stress.pool, 5 * MS, NULL, NULL);
          was_closed = TRUE;
        }
      disturb (&stress);
      g_usleep (g_test_rand_int_range (0, 8000));
    }
  g_atomic_int_set (&stress.stop, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (actors); i++)
    {
      g_thread_join (actors[i].thread);
      g_rand_free (actors[i].random);
    }
  g_test_message ("%d calls, %d of them went well", stress.n_done, stress.n_good);
  g_assert_cmpuint (pg_world_stats (stress.pool).waiting, ==, 0);
  g_assert_cmpuint (pg_world_stats (stress.pool).busy, ==, 0);
  if (!closes)
    {
      g_assert_true (derate_pg_pool_resize (stress.pool, 2, 3, NULL));
      pg_world_until (pg_world_stats (stress.pool).idle >= 2 &&
                      pg_world_stats (stress.pool).total <= 3);
    }
  pg_world_end (stress.pool);
}

static void
test_light (void)
{
  run_stress (FALSE, DERATE_PG_RESET_LIGHT);
}

static void
test_full (void)
{
  run_stress (FALSE, DERATE_PG_RESET_FULL);
}

static void
test_closed (void)
{
  run_stress (TRUE, DERATE_PG_RESET_LIGHT);
}

/* What is counted is so at every moment, seen from any thread. */
static gpointer
look (gpointer data)
{
  Stress *stress = data;

  while (!g_atomic_int_get (&stress->stop))
    g_assert_cmpuint (pg_world_stats (stress->pool).total, <=, 3);
  return NULL;
}

static void
test_counts (void)
{
  Stress stress = { .pool = pg_world_pool ("min-size", 3, "max-size", 3, NULL) };
  GThread *watchers[2];

  pg_world_open (stress.pool);
  for (guint i = 0; i < 2; i++)
    watchers[i] = g_thread_new ("watcher", look, &stress);
  for (guint i = 0; i < 300; i++)
    {
      DeratePgLease leases[3] = { DERATE_PG_LEASE_INIT, DERATE_PG_LEASE_INIT,
                                  DERATE_PG_LEASE_INIT };

      for (guint k = 0; k < 3; k++)
        pg_world_acquire (stress.pool, &leases[k]);
      if (i % 50 == 0)
        pg_world_kill (stress.pool);
      for (guint k = 0; k < 3; k++)
        derate_pg_lease_clear (&leases[k]);
    }
  g_atomic_int_set (&stress.stop, TRUE);
  for (guint i = 0; i < 2; i++)
    g_thread_join (watchers[i]);
  pg_world_end (stress.pool);
}

int
main (int argc, char *argv[])
{
  pg_world_start (&argc, &argv);

  g_test_add_func ("/pool/trap/06-counts", test_counts);
  g_test_add_func ("/pool/stress/light-reset", test_light);
  g_test_add_func ("/pool/stress/full-reset", test_full);
  g_test_add_func ("/pool/stress/closed", test_closed);

  return pg_world_run_tests ();
}
