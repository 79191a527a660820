/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"
#include "pool-side.h"

#include <derate-manual-clock.h>
#include <derate-postgresql.h>
#include <dlfcn.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

/* The pool beside libpq and the pools of other languages, all with eight sessions of one server,
 * which BENCH_POSTGRESQL names. BENCH_PEERS names the peers, NAME=COMMAND a line. They take turns,
 * each for a short while, so that a machine that slows down slows all of them; a row is the median
 * of the rounds. */

#define ROUNDS 15
#define SLICE_MS 100
#define SIDES 8
#define LIBPQ 0
#define OURS 1

/* A row: what is done by so many callers, and the budget. */
typedef struct
{
  const char *name;
  const char *what;
  const char *ours; /* how our pool does it where that is something else for the others */
  guint callers;
  const char *floor; /* what a side does with as many callers */
  double max_ratio, max_ns, min_peer;
  double min_peer_p99; /* how many times the 99th percentile fits into the peer's */
} Contest;

/* Many callers are one loop's, as a program with GLib has them. Threads that wait are shown too. */
static const Contest contests[] = {
  { "checkout", "checkout", NULL, 1, NULL, 0, 80, 0, 0 },
  { "checkout-c8", "checkout", NULL, 8, NULL, 0, 60, 0, 0 },
  { "checkout-c64", "checkout", NULL, 64, NULL, 0, 60, 0, 0 },
  { "checkout-async", "checkout-async", NULL, 1, NULL, 0, 0, 0, 0 },
  { "select1-c1", "select1", NULL, 1, "libpq select1", 1.25, 0, 0, 0 },
  { "select1-c8", "select1", "select1-async", 8, "libpq select1", 0, 0, 1, 2 },
  { "select1-c64", "select1", "select1-async", 64, NULL, 0, 0, 1, 5 },
  { "select1-c1-async", "select1-async", NULL, 1, "libpq select1", 0, 0, 0, 0 },
  { "select1-c8-threads", "select1-threads", "select1", 8, "libpq select1", 0, 0, 0, 0 },
  { "select1-c64-threads", "select1-threads", "select1", 64, NULL, 0, 0, 0, 0 },
  { "select1-pipeline", "select1-pipeline", NULL, 1, "libpq select1-pipeline", 1.25, 0, 0, 0 },
  { "select1-pipeline-atomic", "select1-pipeline-atomic", NULL, 1, "libpq select1-pipeline-atomic",
    0, 0, 0, 0 },
  { "connect-each", "connect-each", NULL, 1, "derate select1", 0, 0, 0, 0 },
};

typedef struct
{
  char *name;
  gpointer self;
  PoolMeasure measure;
  void (*tear_down) (gpointer self);
  PoolSample samples[G_N_ELEMENTS (contests)][ROUNDS];
  gboolean can[G_N_ELEMENTS (contests)];
} Side;

static Side sides[SIDES];
static guint n_sides;

static const char *
get_uri (void)
{
  const char *uri = g_getenv ("BENCH_POSTGRESQL");

  if (uri == NULL)
    g_error ("BENCH_POSTGRESQL is not set: use ./dev bench pool");
  return uri;
}

static void
add_side (const PoolSide *side)
{
  sides[n_sides++] =
      (Side){ g_strdup (side->name), side->set_up (get_uri ()), side->measure, side->tear_down };
}

static void
add_peers (void)
{
  const char *peers = g_getenv ("BENCH_PEERS");
  g_auto (GStrv) lines = g_strsplit (peers != NULL ? peers : "", "\n", -1);

  for (guint i = 0; lines[i] != NULL && n_sides < SIDES; i++)
    {
      g_auto (GStrv) words = g_strsplit (lines[i], "=", 2);

      if (g_strv_length (words) == 2)
        sides[n_sides++] = (Side){ g_strdup (words[0]), pool_child_new (words[1], get_uri ()),
                                   pool_child_measure, pool_child_free };
    }
}

static const char *
get_what (const Contest *contest, guint side)
{
  return side == OURS && contest->ours != NULL ? contest->ours : contest->what;
}

static void
measure_all (void)
{
  for (int round = -1; round < ROUNDS; round++)
    for (guint c = 0; c < G_N_ELEMENTS (contests); c++)
      for (guint s = 0; s < n_sides; s++)
        {
          Side *side = &sides[s];
          PoolSample sample = { 0 };

          if (round < 0 || side->can[c])
            side->can[c] = side->measure (side->self, get_what (&contests[c], s),
                                          contests[c].callers, SLICE_MS, &sample);
          if (round >= 0 && side->can[c])
            side->samples[c][round] = sample;
        }
}

static int
compare_ns (const void *a, const void *b)
{
  return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}

/* Sorts what stands at @offset of the rounds into @ns. */
static double
median_of (const Side *side, guint c, gsize offset, double ns[ROUNDS])
{
  for (guint round = 0; round < ROUNDS; round++)
    ns[round] = G_STRUCT_MEMBER (double, &side->samples[c][round], offset);
  qsort (ns, ROUNDS, sizeof (double), compare_ns);
  return ns[ROUNDS / 2];
}

static double
floor_of (const char *floor, guint callers)
{
  double ns[ROUNDS];

  for (guint s = 0; floor != NULL && s < n_sides; s++)
    for (guint c = 0; c < G_N_ELEMENTS (contests); c++)
      {
        g_autofree char *name = g_strconcat (sides[s].name, " ", contests[c].what, NULL);

        if (g_str_equal (name, floor) && contests[c].callers == callers && sides[s].can[c])
          return median_of (&sides[s], c, G_STRUCT_OFFSET (PoolSample, ns), ns);
      }
  return 0;
}

static void
print_row (const Contest *contest, const char *suffix, gsize offset, double min_peer)
{
  guint c = (guint)(contest - contests);
  gboolean whole = *suffix == '\0';
  /* A connection for each request is libpq's; its floor is ours. */
  const Side *ours = &sides[g_str_equal (contest->name, "connect-each") ? LIBPQ : OURS];
  double floor = whole ? floor_of (contest->floor, contest->callers) : 0;
  double ns[ROUNDS], median;

  if (!ours->can[c])
    return;
  median = median_of (ours, c, offset, ns);
  if (median <= 0)
    return;
  g_print ("case\t%s%s\t%u\t%.3f\t%.3f\t%.3f\t%s\t%.3f\t%g\t0\t%g\t0\t%g\n", contest->name, suffix,
           contest->callers, median, ns[0], ns[ROUNDS - 1], floor > 0 ? contest->floor : "", floor,
           whole ? contest->max_ratio : 0, whole ? contest->max_ns : 0, min_peer);
  for (guint s = OURS + 1; s < n_sides; s++)
    if (sides[s].can[c] && median_of (&sides[s], c, offset, ns) > 0)
      g_print ("peer\t%s%s\t%s\t%.1f\n", contest->name, suffix, sides[s].name,
               median_of (&sides[s], c, offset, ns));
}

static void
print_all (void)
{
  for (guint c = 0; c < G_N_ELEMENTS (contests); c++)
    {
      print_row (&contests[c], "", G_STRUCT_OFFSET (PoolSample, ns), contests[c].min_peer);
      print_row (&contests[c], "-p50", G_STRUCT_OFFSET (PoolSample, p50), 0);
      print_row (&contests[c], "-p99", G_STRUCT_OFFSET (PoolSample, p99), contests[c].min_peer_p99);
    }
}

/* What the timing costs: libpq's function is replaced by one that has its answer ready. */

static gboolean is_canned;

PGresult *
PQexec (PGconn *conn, const char *query)
{
  static PGresult *(*real) (PGconn *, const char *);

  if (is_canned)
    return PQmakeEmptyPGresult (conn, PGRES_COMMAND_OK);
  if (real == NULL)
    real = dlsym (RTLD_NEXT, "PQexec");
  return real (conn, query);
}

static gpointer
set_up_session (void)
{
  PGconn *pg = PQconnectdb (get_uri ());

  g_assert_cmpint (PQstatus (pg), ==, CONNECTION_OK);
  is_canned = TRUE;
  return pg;
}

static void
tear_down_session (gpointer object)
{
  is_canned = FALSE;
  PQfinish (object);
}

static void
run_bare (gpointer object, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    PQclear (PQexec (object, "SELECT 1"));
}

static void
run_timed (gpointer object, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    {
      PGresult *result = NULL;
      double ms;

      derate_pg_exec_timed (object, "SELECT 1", NULL, &result, &ms, NULL);
      PQclear (result);
      BENCH_KEEP (ms);
    }
}

/* By a clock that stands still the pool has no thread, whose turns would be counted too. */
static gpointer
set_up_pool (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();

  return pool_derate_new (get_uri (), clock);
}

static void
run_checkout (gpointer object, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    {
      DeratePgLease lease = DERATE_PG_LEASE_INIT;

      derate_pg_pool_acquire (object, DERATE_PG_ACCESS_READ, NULL, &lease, NULL, NULL);
      derate_pg_lease_release (&lease, NULL);
    }
}

static void
run_query (gpointer object, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    derate_pg_result_unref (
        derate_pg_pool_query (object, DERATE_PG_ACCESS_READ, "SELECT 1", NULL, NULL, NULL));
}

static void
answered (GObject *source, GAsyncResult *result, gpointer data)
{
  derate_pg_result_unref (derate_pg_pool_query_finish (DERATE_PG_POOL (source), result, NULL));
  *(gboolean *)data = TRUE;
}

static void
run_query_async (gpointer object, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    {
      gboolean is_done = FALSE;

      derate_pg_pool_query_async (object, DERATE_PG_ACCESS_READ, "SELECT 1", NULL, NULL, answered,
                                  &is_done);
      while (!is_done)
        g_main_context_iteration (NULL, TRUE);
    }
}

static const BenchCase cases[] = {
  { "exec-bare", 1, set_up_session, run_bare, tear_down_session },
  { "exec-timed", 1, set_up_session, run_timed, tear_down_session, .floor = "exec-bare",
    .max_over = 150 },
  { "checkout-alone", 2, set_up_pool, run_checkout, g_object_unref, .floor = "atomic-own",
    .counted = 50000 },
  { "query-alone", 1, set_up_pool, run_query, g_object_unref },
  { "query-async-alone", 1, set_up_pool, run_query_async, g_object_unref },
  { NULL },
};

static const BenchFigure figures[] = { { NULL } };

int
main (int argc, char **argv)
{
  int status = bench_main (argc, argv, cases, figures);

  if (argc > 1 || status != 0)
    return status;
  add_side (&pool_libpq);
  add_side (&pool_derate);
  add_peers ();
  measure_all ();
  print_all ();
  for (guint s = 0; s < n_sides; s++)
    {
      sides[s].tear_down (sides[s].self);
      g_free (sides[s].name);
    }
  return 0;
}
