/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "bench.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* Threads: one sleeps from the beginning, because glibc leaves out lock prefixes before there is a
 * second one. Cases run in threads made for them, pinned to the processors in turn; the main thread
 * waits. */

#define ROUNDS 9
#define COUNTED 4000

/* A run is the mean of so many slices, which are short so that some of them are left alone: one in
 * which the scheduler took a thread off its processor, or in which the threads did not begin
 * together, is tried again, up to a limit. */
#define SLICES 5
#define MAX_TRIES 24
#define SLICE_NS 4e6
#define MAX_THREADS 2

typedef struct
{
  const BenchCase *spec;
  guint threads;
  gpointer object;
  guint64 n;
  double ns[ROUNDS];
} Row;

typedef struct
{
  const Row *row;
  pthread_barrier_t *barrier;
  guint processor;
  gint64 begin;
  gint64 end;
  gboolean disturbed;
} Runner;

/* From so many samples on the 99th percentile is told. */
#define MIN_SAMPLES_P99 100

gint64
bench_get_ns (void)
{
  struct timespec time;

  clock_gettime (CLOCK_MONOTONIC, &time);
  return (gint64)time.tv_sec * 1000000000 + time.tv_nsec;
}

long
bench_count_preemptions (void)
{
  struct rusage usage;

  getrusage (RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

static cpu_set_t allowed; /* as the program began */

void
bench_unpin (void)
{
  sched_setaffinity (0, sizeof allowed, &allowed);
}

void
bench_pin (guint which)
{
  cpu_set_t one;

  which %= (guint)CPU_COUNT (&allowed);
  for (int i = 0; i < CPU_SETSIZE; i++)
    if (CPU_ISSET (i, &allowed) && which-- == 0)
      {
        CPU_ZERO (&one);
        CPU_SET (i, &one);
        sched_setaffinity (0, sizeof one, &one);
        return;
      }
}

static gpointer
run_in_thread (gpointer data)
{
  Runner *runner = data;
  const Row *row = runner->row;
  long preemptions;

  bench_pin (runner->processor);
  row->spec->run (row->object, 1);
  pthread_barrier_wait (runner->barrier);
  preemptions = bench_count_preemptions ();
  runner->begin = bench_get_ns ();
  row->spec->run (row->object, row->n);
  runner->end = bench_get_ns ();
  runner->disturbed = bench_count_preemptions () != preemptions;
  return NULL;
}

/* The time of one operation of each thread: from when the first began to when the last ended. */
static double
run_slice (const Row *row, gboolean *disturbed)
{
  GThread *threads[MAX_THREADS];
  Runner runners[MAX_THREADS];
  pthread_barrier_t barrier;
  gint64 begin = G_MAXINT64;
  gint64 last_begin = 0;
  gint64 end = 0;

  *disturbed = FALSE;
  pthread_barrier_init (&barrier, NULL, row->threads);
  for (guint i = 0; i < row->threads; i++)
    {
      runners[i] = (Runner){ row, &barrier, i };
      threads[i] = g_thread_new ("case", run_in_thread, &runners[i]);
    }
  for (guint i = 0; i < row->threads; i++)
    {
      g_thread_join (threads[i]);
      begin = MIN (begin, runners[i].begin);
      last_begin = MAX (last_begin, runners[i].begin);
      end = MAX (end, runners[i].end);
      *disturbed = *disturbed || runners[i].disturbed;
    }
  pthread_barrier_destroy (&barrier);
  *disturbed = *disturbed || last_begin - begin > (end - begin) / 20;
  return (double)(end - begin) / (double)row->n;
}

static double
run_row (const Row *row)
{
  gboolean disturbed;
  double sum = 0;
  double all = 0;
  guint n = 0;

  for (guint i = 1; i <= MAX_TRIES; i++)
    {
      double ns = run_slice (row, &disturbed);

      all += ns;
      sum += disturbed ? 0 : ns;
      n += disturbed ? 0 : 1;
      if (n == SLICES)
        break;
      if (i == MAX_TRIES && n == 0)
        return all / MAX_TRIES;
    }
  return sum / n;
}

static double
get_slice_ns (const Row *row)
{
  return row->spec->slice_ns > 0 ? row->spec->slice_ns : SLICE_NS;
}

/* How often, for a slice of one thread to last long enough. */
static void
calibrate (Row *row)
{
  gboolean disturbed;
  double ns = 0;

  for (row->n = 16; row->n < G_GUINT64_CONSTANT (1) << 40; row->n *= 2)
    {
      ns = run_slice (row, &disturbed);
      if (ns * (double)row->n > (disturbed ? 8 : 0.25) * get_slice_ns (row))
        break;
    }
  row->n = MAX ((guint64)(get_slice_ns (row) / ns), 1);
}

static void
add_rows (GArray *rows, const BenchCase *cases)
{
  for (; cases->name != NULL; cases++)
    {
      gpointer object;

      if (cases->run == NULL)
        continue;
      object = cases->set_up != NULL ? cases->set_up () : NULL;

      for (guint threads = 1; threads <= cases->threads; threads++)
        {
          Row row = { cases, threads, object };

          g_array_append_val (rows, row);
        }
    }
}

static void
drop_rows (GArray *rows)
{
  for (guint i = 0; i < rows->len; i++)
    {
      Row *row = &g_array_index (rows, Row, i);

      if (row->threads == 1 && row->spec->tear_down != NULL)
        row->spec->tear_down (row->object);
    }
}

static int
compare_ns (const void *a, const void *b)
{
  return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}

static const Row *
find_row (GArray *rows, const char *name, guint threads)
{
  for (guint i = 0; i < rows->len; i++)
    {
      const Row *row = &g_array_index (rows, Row, i);

      if (row->threads == threads && g_strcmp0 (row->spec->name, name) == 0)
        return row;
    }
  return NULL;
}

/* Columns: kind, name, threads, ns, the least, the most, floor, its ns, and the budgets. */
static void
print_rows (GArray *rows, guint n_floors)
{
  for (guint i = 0; i < rows->len; i++)
    {
      const Row *row = &g_array_index (rows, Row, i);
      const BenchCase *spec = row->spec;
      const Row *floor = find_row (rows, spec->floor, 1);

      g_print ("%s\t%s\t%u\t%.3f\t%.3f\t%.3f\t%s\t%.3f\t%g\t%g\t%g\t%g\t%g\n",
               i < n_floors ? "floor" : "case", spec->name, row->threads, row->ns[ROUNDS / 2],
               row->ns[0], row->ns[ROUNDS - 1], floor != NULL ? spec->floor : "",
               floor != NULL ? floor->ns[ROUNDS / 2] : 0, spec->max_ratio, spec->max_pair,
               spec->max_ns, spec->max_over, spec->min_peer);
    }
}

static void
print_samples (const BenchCase *spec, const double *ns, const double *floor_ns)
{
  guint n = spec->samples;
  guint p99 = n * 99 / 100;

  g_print ("case\t%s\t1\t%.0f\t%.0f\t%.0f\t%s\t%.0f\t0\t0\t%g\t%g\t0\n", spec->name, ns[n / 2],
           ns[0], ns[n - 1], spec->floor, floor_ns[n / 2], spec->max_ns, spec->max_over);
  if (n >= MIN_SAMPLES_P99)
    g_print ("case\t%s-p99\t1\t%.0f\t%.0f\t%.0f\t%s-p99\t%.0f\t0\t0\t0\t0\t0\n", spec->name,
             ns[p99], ns[0], ns[n - 1], spec->floor, floor_ns[p99]);
}

static double
take_sample (double (*sample) (gpointer object), gpointer object)
{
  double ns = -1;

  for (int i = 0; i < MAX_TRIES && ns < 0; i++)
    ns = sample (object);
  return ABS (ns);
}

static void
measure_samples (const BenchCase *spec)
{
  g_autofree double *ns = g_new0 (double, spec->samples);
  g_autofree double *floor_ns = g_new0 (double, spec->samples);
  gpointer object = spec->set_up ();

  take_sample (spec->sample_floor, object); /* two that do not count */
  take_sample (spec->sample, object);
  for (guint i = 0; i < spec->samples; i++)
    {
      floor_ns[i] = take_sample (spec->sample_floor, object);
      ns[i] = take_sample (spec->sample, object);
    }
  spec->tear_down (object);
  qsort (ns, spec->samples, sizeof (double), compare_ns);
  qsort (floor_ns, spec->samples, sizeof (double), compare_ns);
  print_samples (spec, ns, floor_ns);
}

/* All rows in turns, so that a machine that slows down slows all of them. */
static void
measure (const BenchCase *cases)
{
  g_autoptr (GArray) rows = g_array_new (FALSE, TRUE, sizeof (Row));
  guint n_floors;

  add_rows (rows, bench_floors);
  n_floors = rows->len;
  add_rows (rows, cases);
  for (guint i = 0; i < rows->len; i++)
    {
      Row *row = &g_array_index (rows, Row, i);

      if (row->threads == 1)
        calibrate (row);
      else
        row->n = row[-1].n;
    }
  for (int round = -1; round < ROUNDS; round++)
    for (guint i = 0; i < rows->len; i++)
      {
        Row *row = &g_array_index (rows, Row, i);
        double ns = run_row (row);

        if (round >= 0)
          row->ns[round] = ns;
      }
  for (guint i = 0; i < rows->len; i++)
    qsort (g_array_index (rows, Row, i).ns, ROUNDS, sizeof (double), compare_ns);
  print_rows (rows, n_floors);
  drop_rows (rows);
  for (; cases->name != NULL; cases++)
    if (cases->sample != NULL)
      measure_samples (cases);
}

static int
print_figure (const BenchFigure *figures, const char *name)
{
  for (; figures->name != NULL; figures++)
    if (strcmp (figures->name, name) == 0)
      {
        g_print ("%.1f\t%g\n", figures->measure (), figures->max);
        return 0;
      }
  return 2;
}

static int
list (const BenchCase *cases, const BenchFigure *figures)
{
  for (; cases->name != NULL; cases++)
    if (cases->run != NULL && cases->counted != BENCH_NOT_COUNTED)
      g_print ("case\t%s\t%u\n", cases->name, cases->counted != 0 ? cases->counted : COUNTED);
  for (; figures->name != NULL; figures++)
    g_print ("figure\t%s\t1\n", figures->name);
  return 0;
}

static gpointer
count_in_thread (gpointer data)
{
  const Row *row = data;

  row->spec->run (row->object, row->n);
  return NULL;
}

static int
count (const BenchCase *cases, const char *name, guint64 n)
{
  Row row = { NULL, 1, NULL, n };

  for (; cases->name != NULL && strcmp (cases->name, name) != 0; cases++)
    ;
  if (cases->name == NULL || cases->run == NULL)
    return 2;
  row.spec = cases;
  row.object = cases->set_up != NULL ? cases->set_up () : NULL;
  g_thread_join (g_thread_new ("case", count_in_thread, &row));
  if (cases->tear_down != NULL)
    cases->tear_down (row.object);
  return 0;
}

gsize
bench_allocated (void)
{
  struct mallinfo2 info = mallinfo2 ();

  return info.uordblks + info.hblkhd;
}

gsize
bench_resident (void)
{
  g_autofree char *text = NULL;
  const char *line = NULL;

  if (g_file_get_contents ("/proc/self/smaps_rollup", &text, NULL, NULL))
    line = strstr (text, "\nPrivate_Dirty:");
  return line != NULL ? strtoul (line + strlen ("\nPrivate_Dirty:"), NULL, 10) * 1024 : 0;
}

static gpointer
sleep_in_thread (gpointer data)
{
  GMutex *mutex = data;

  g_mutex_lock (mutex);
  g_mutex_unlock (mutex);
  return NULL;
}

/* What a breaker says when it opens is not what is measured. */
static GLogWriterOutput
be_silent (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL))
    return g_log_writer_standard_streams (level, fields, n_fields, data);
  return G_LOG_WRITER_HANDLED;
}

int
bench_main (int argc, char **argv, const BenchCase *cases, const BenchFigure *figures)
{
  static GMutex mutex;
  GThread *sleeper;
  int status = 0;

  if (sched_getaffinity (0, sizeof allowed, &allowed) != 0)
    g_error ("on no processor");
  g_log_set_writer_func (be_silent, NULL, NULL);
  g_mutex_lock (&mutex);
  sleeper = g_thread_new ("sleeper", sleep_in_thread, &mutex);
  if (argc == 4 && strcmp (argv[1], "--count") == 0)
    status = count (cases, argv[3], g_ascii_strtoull (argv[2], NULL, 10));
  else if (argc == 3 && strcmp (argv[1], "--figure") == 0)
    status = print_figure (figures, argv[2]);
  else if (argc == 2 && strcmp (argv[1], "--list") == 0)
    status = list (cases, figures);
  else if (argc == 1)
    measure (cases);
  else
    status = 2;
  g_mutex_unlock (&mutex);
  g_thread_join (sleeper);
  return status;
}
