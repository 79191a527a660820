/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "drill-world.h"

/* Everybody at once: drills begin, end and expire while calls are made, real failures come and go,
 * and somebody looks. Afterwards nothing is left of any of them. */

#define N_DRILLS 60 /* of each thread */

typedef struct
{
  DrillWorld *w;
  guint seed;
  guint n_begun;
  int *ended; /* atomic */
} Worker;

static const char *const services[] = { "database", "redis", "openai", "s3", "search" };

static gpointer
drill (gpointer data)
{
  Worker *worker = data;
  g_autoptr (GRand) rand = g_rand_new_with_seed (worker->seed);

  while (worker->n_begun < N_DRILLS)
    {
      const char *service = services[g_rand_int_range (rand, 0, G_N_ELEMENTS (services))];
      DerateFaultKind kind = g_rand_int_range (rand, DERATE_FAULT_KIND_DOWN, 4);
      DerateLevel limit = g_rand_boolean (rand) ? DERATE_LEVEL_EMERGENCY : DERATE_LEVEL_DEGRADED;
      g_autofree char *id = derate_core_start_drill (worker->w->core, service, kind,
                                                     g_rand_double_range (rand, 0.1, 1),
                                                     G_TIME_SPAN_SECOND, limit, "test", NULL);
      g_autoptr (GVariant) report = NULL;

      if (id == NULL)
        {
          g_thread_yield ();
          continue;
        }
      worker->n_begun++;
      if (g_rand_boolean (rand))
        continue; /* it expires, or another's failure ends it */
      report = derate_core_stop_drill (worker->w->core, id, NULL);
      g_assert_true (report != NULL || worker->n_begun > DERATE_DRILL_SET_MAX_REPORTS);
    }
  g_atomic_int_inc (worker->ended);
  return NULL;
}

static gpointer
work (gpointer data)
{
  Worker *worker = data;
  g_autoptr (GRand) rand = g_rand_new_with_seed (worker->seed);

  while (g_atomic_int_get (worker->ended) < 3)
    {
      const char *breakers[] = { "database", "redis", "openai", "s3" };
      g_autoptr (GVariant) status = derate_core_dup_status (worker->w->core, TRUE);

      drill_world_call (worker->w, breakers[g_rand_int_range (rand, 0, 4)], 5,
                        g_rand_int_range (rand, 0, 50) > 0);
    }
  return NULL;
}

static void
test_threads (DrillWorld *w, gconstpointer unused)
{
  GThread *threads[5];
  Worker workers[5];
  int ended = 0;
  g_autoptr (GVariant) drills = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    {
      workers[i] = (Worker){ w, i, 0, &ended };
      threads[i] = g_thread_new ("worker", i < 3 ? drill : work, &workers[i]);
    }
  while (g_atomic_int_get (&ended) < 3)
    drill_world_advance (w, 0.3);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);

  drill_world_advance (w, 2);
  drills = derate_core_dup_drills (w->core, TRUE);
  g_assert_cmpuint (g_variant_n_children (drills), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (services); i++)
    {
      g_autoptr (DerateService) service = derate_core_lookup_service (w->core, services[i]);
      DerateBreaker *breaker = derate_service_get_breaker (service);

      derate_breaker_reset (breaker);
      g_assert_cmpint (derate_service_get_cause (service), ==, DERATE_HEALTH_CAUSE_NONE);
      g_assert_cmpuint (drill_world_call (w, derate_breaker_get_name (breaker), 20, TRUE), ==, 20);
    }
  drill_world_advance (w, 1200);
  g_assert_cmpstr (drill_world_get_level (w), ==, "optimal");
}

#define SHARED "[service s3]\nrole=storage\n[service search]\ncriticality=low\nbreaker=s3\n"
#define APART "[service s3]\nrole=storage\n[service search]\ncriticality=low\n"

typedef struct
{
  DrillWorld *w;
  int reloaded; /* atomic */
} Reload;

/* The id of the drill that began last, NULL where none could. */
static gpointer
drill_search (gpointer data)
{
  Reload *reload = data;

  while (TRUE)
    {
      g_autofree char *id =
          derate_core_start_drill (reload->w->core, "search", DERATE_FAULT_KIND_DOWN, 0,
                                   G_TIME_SPAN_MINUTE, DERATE_LEVEL_EMERGENCY, "test", NULL);

      if (g_atomic_int_get (&reload->reloaded))
        return g_steal_pointer (&id);
      if (id != NULL)
        g_variant_unref (drill_world_stop (reload->w, id));
    }
}

/* The file is read again while drills begin: one that runs afterwards hits what the service has
 * now, whoever was faster. */
static void
test_reload (DrillWorld *w, gconstpointer unused)
{
  drill_world_reload (w, SHARED);
  for (guint i = 0; i < 100; i++)
    {
      Reload reload = { w, FALSE };
      GThread *thread = g_thread_new ("drill", drill_search, &reload);
      g_autofree char *id = NULL;
      g_autoptr (GVariant) drills = NULL;

      drill_world_reload (w, i % 2 == 0 ? APART : SHARED);
      g_atomic_int_set (&reload.reloaded, TRUE);
      id = g_thread_join (thread);
      drills = derate_core_dup_drills (w->core, TRUE);
      if (g_variant_n_children (drills) > 0)
        g_assert_cmpuint (drill_world_call (w, i % 2 == 0 ? "search" : "s3", 1, TRUE), ==, 0);
      if (i % 2 == 0)
        g_assert_cmpuint (drill_world_call (w, "s3", 1, TRUE), ==, 1);
      if (id != NULL)
        g_variant_unref (drill_world_stop (w, id));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/degradation/drill-threads", DrillWorld, NULL, drill_world_set_up, test_threads,
              drill_world_tear_down);
  g_test_add ("/degradation/drill-threads/reload", DrillWorld, NULL, drill_world_set_up,
              test_reload, drill_world_tear_down);
  return g_test_run ();
}
