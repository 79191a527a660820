/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The metrics of pools that are never opened: no server is needed. */
#include <derate-metrics-registry.h>
#include <derate-error.h>
#include <string.h>

#include "derate-pg-collector.h"
#include "derate-pg-pool-private.h"

typedef struct
{
  DerateMetricsRegistry *registry;
  DeratePgCollector *collector;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->registry = derate_metrics_registry_new ();
  f->collector = derate_pg_collector_new ();
  derate_metrics_registry_add_collector (f->registry, DERATE_METRICS_COLLECTOR (f->collector));
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_object_unref (f->registry);
  g_assert_finalize_object (f->collector);
}

static DeratePgPool *
add_pool (Fixture *f, const char *name)
{
  g_autoptr (GError) error = NULL;
  DeratePgPool *pool = derate_pg_pool_new (name, "postgresql://127.0.0.1:1/shop", &error);

  g_assert_no_error (error);
  g_assert_true (derate_pg_collector_add (f->collector, pool, &error));
  g_assert_no_error (error);
  return pool;
}

static void
query (DeratePgPool *pool, DeratePgOperation operation, double seconds, const GError *error)
{
  derate_pg_meter_query (pool->meter, operation, seconds, "select", error);
}

/* The value of a series; -1 where there is none. */
static double
get (Fixture *f, const char *series)
{
  g_autofree char *text = derate_metrics_registry_render (f->registry);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  gsize size = strlen (series);

  for (guint i = 0; lines[i] != NULL; i++)
    if (strncmp (lines[i], series, size) == 0 && lines[i][size] == ' ')
      return g_ascii_strtod (lines[i] + size, NULL);
  return -1;
}

static void
test_zero (Fixture *f, gconstpointer data)
{
  static const char *const statuses[] = { "ok", "error", "timeout", "cancelled" };
  static const char *const operations[] = { "read", "write", "transaction", "other" };
  g_autoptr (DeratePgPool) pool = add_pool (f, "shop");

  for (guint i = 0; i < G_N_ELEMENTS (operations); i++)
    for (guint j = 0; j < G_N_ELEMENTS (statuses); j++)
      {
        g_autofree char *labels = g_strdup_printf ("{pool=\"shop\",operation=\"%s\",status=\"%s\"}",
                                                   operations[i], statuses[j]);
        g_autofree char *total = g_strconcat ("db_queries_total", labels, NULL);
        g_autofree char *count = g_strconcat ("db_query_duration_seconds_count", labels, NULL);

        g_assert_cmpfloat (get (f, total), ==, 0);
        g_assert_cmpfloat (get (f, count), ==, 0);
      }
  g_assert_cmpfloat (get (f, "db_slow_queries_total{pool=\"shop\"}"), ==, 0);
  g_assert_cmpfloat (get (f, "db_pool_acquire_duration_seconds_count{pool=\"shop\"}"), ==, 0);
  g_assert_cmpfloat (get (f, "db_write_mode{pool=\"shop\"}"), ==, 1);
  g_assert_cmpfloat (get (f, "db_pool_size{pool=\"shop\",status=\"min\"}"), ==, 2);
  g_assert_cmpfloat (get (f, "db_pool_size{pool=\"shop\",status=\"max\"}"), ==, 10);
  g_assert_cmpfloat (get (f, "db_pool_size{pool=\"shop\",status=\"current\"}"), ==, 0);
  g_assert_cmpfloat (get (f, "db_pool_connections{pool=\"shop\",state=\"available\"}"), ==, 0);
  g_assert_cmpfloat (get (f, "db_pool_connections{pool=\"shop\",state=\"in_use\"}"), ==, 0);
}

static void
test_counted (Fixture *f, gconstpointer data)
{
  g_autoptr (DeratePgPool) pool = add_pool (f, "shop");
  g_autoptr (GError) late =
      g_error_new_literal (DERATE_PG_ERROR, DERATE_PG_ERROR_TIMED_OUT, "no answer");

  query (pool, DERATE_PG_OPERATION_READ, 0.002, NULL);
  query (pool, DERATE_PG_OPERATION_READ, 0.002, NULL);
  query (pool, DERATE_PG_OPERATION_WRITE, 0.01, late);
  derate_pg_meter_acquired (pool->meter, 0.3);
  g_assert_cmpfloat (get (f, "db_queries_total{pool=\"shop\",operation=\"read\",status=\"ok\"}"),
                     ==, 2);
  g_assert_cmpfloat (get (f, "db_query_duration_seconds_bucket{pool=\"shop\",operation=\"read\","
                             "status=\"ok\","
                             "le=\"0.0025\"}"),
                     ==, 2);
  g_assert_cmpfloat (get (f,
                          "db_queries_total{pool=\"shop\",operation=\"write\",status=\"timeout\"}"),
                     ==, 1);
  g_assert_cmpfloat (get (f, "db_pool_acquire_duration_seconds_bucket{pool=\"shop\",le=\"0.25\"}"),
                     ==, 0);
  g_assert_cmpfloat (get (f, "db_pool_acquire_duration_seconds_bucket{pool=\"shop\",le=\"0.5\"}"),
                     ==, 1);
}

/* A family is in one piece, over any number of pools. */
static void
test_families (Fixture *f, gconstpointer data)
{
  g_autoptr (DeratePgPool) a = add_pool (f, "a");
  g_autoptr (DeratePgPool) b = add_pool (f, "b");
  g_autofree char *text = derate_metrics_registry_render (f->registry);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  const char *family = "";
  guint n = 0;

  for (guint i = 0; lines[i] != NULL && *lines[i] != '\0'; i++)
    if (g_str_has_prefix (lines[i], "# TYPE "))
      {
        lines[i][strlen (lines[i]) - strlen (strrchr (lines[i], ' '))] = '\0';
        family = lines[i] + strlen ("# TYPE ");
        g_assert_true (g_hash_table_add (seen, (gpointer)family));
        n += g_str_has_prefix (family, "db_");
      }
    else if (*lines[i] != '#')
      g_assert_true (g_str_has_prefix (lines[i], family));
  g_assert_cmpuint (n, ==, 7);
}

static void
test_successor (Fixture *f, gconstpointer data)
{
  static const char series[] = "db_queries_total{pool=\"shop\",operation=\"read\",status=\"ok\"}";
  g_autoptr (DeratePgPool) pool = add_pool (f, "shop");
  g_autoptr (DeratePgPool) second = NULL;
  g_autoptr (GError) error = NULL;

  query (pool, DERATE_PG_OPERATION_READ, 0.002, NULL);
  g_assert_true (derate_pg_collector_add (f->collector, pool, &error)); /* no harm */
  second = derate_pg_pool_new ("shop", "postgresql://127.0.0.1:1/shop", NULL);
  g_assert_false (derate_pg_collector_add (f->collector, second, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_EXISTS);
  g_clear_error (&error);
  g_assert_finalize_object (g_steal_pointer (&pool));
  g_assert_cmpfloat (get (f, series), ==, 1);
  g_assert_cmpfloat (get (f, "db_write_mode{pool=\"shop\"}"), ==, -1);
  g_assert_cmpfloat (get (f, "db_pool_size{pool=\"shop\",status=\"max\"}"), ==, -1);
  g_assert_true (derate_pg_collector_add (f->collector, second, &error));
  g_assert_no_error (error);
  query (second, DERATE_PG_OPERATION_READ, 0.002, NULL);
  g_assert_cmpfloat (get (f, series), ==, 2);
  g_assert_cmpfloat (get (f, "db_write_mode{pool=\"shop\"}"), ==, 1);
}

typedef struct
{
  Fixture *fixture;
  gint is_over;
  guint n_scrapes;
} Scraper;

static gpointer
scrape (gpointer data)
{
  Scraper *scraper = data;
  double last = 0;

  while (!g_atomic_int_get (&scraper->is_over))
    {
      double now = get (scraper->fixture, "db_queries_total{pool=\"shop\",operation=\"read\","
                                          "status=\"ok\"}");

      g_assert_cmpfloat (now, >=, last);
      last = now;
      g_atomic_int_inc (&scraper->n_scrapes);
    }
  return NULL;
}

/* In each round a pool goes while it is looked at. */
static void
test_destroyed (Fixture *f, gconstpointer data)
{
  Scraper scraper = { f };
  DeratePgPool *pool = add_pool (f, "shop");
  g_autoptr (GThread) thread = g_thread_ref (g_thread_new ("scrape", scrape, &scraper));
  guint n = 0;

  while (g_atomic_int_get (&scraper.n_scrapes) < 200)
    {
      g_autoptr (DeratePgPool) old = g_steal_pointer (&pool);
      g_autoptr (GError) error = NULL;

      query (old, DERATE_PG_OPERATION_READ, 0.002, NULL);
      n++;
      g_clear_object (&old);
      pool = derate_pg_pool_new ("shop", "postgresql://127.0.0.1:1/shop", &error);
      g_assert_no_error (error);
      /* It may live on for as long as a scrape looks at it. */
      while (!derate_pg_collector_add (f->collector, pool, &error))
        {
          g_assert_error (error, DERATE_ERROR, DERATE_ERROR_EXISTS);
          g_clear_error (&error);
        }
    }
  g_atomic_int_set (&scraper.is_over, TRUE);
  g_thread_join (thread);
  g_assert_cmpfloat (get (f, "db_queries_total{pool=\"shop\",operation=\"read\",status=\"ok\"}"),
                     ==, n);
  g_object_unref (pool);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add ("/pg-collector/" name, Fixture, NULL, set_up, func, tear_down)
  ADD ("zero", test_zero);
  ADD ("counted", test_counted);
  ADD ("families", test_families);
  ADD ("successor", test_successor);
  g_test_add ("/pool_metrics/behaviour/43-destroyed", Fixture, NULL, set_up, test_destroyed,
              tear_down);
  return g_test_run ();
}
