/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What the programs of `./dev bench` share. A program is a table of cases: it measures them and the
 * floors in turns, nine times after a time that does not count, and prints the medians as rows for
 * scripts/dev/bench.py, which adds the instructions and the peers and judges the budgets. What is
 * measured one by one has a second row, with the 99th percentile. */

typedef struct
{
  const char *name; /* NULL ends a table */
  guint threads; /* at most: 1, or 2 on one object */
  gpointer (*set_up) (void);
  void (*run) (gpointer object, guint64 n); /* does it @n times */
  void (*tear_down) (gpointer object);

  /* The budget; 0 and NULL where there is none. */
  const char *floor; /* the name of a floor, or of another case */
  double max_ratio; /* over the floor */
  double max_pair; /* with two threads, over the same with one */
  double max_ns;
  double max_over; /* ns more than the floor */
  double min_peer; /* how often this takes place while the fastest peer does it once */

  double slice_ns; /* how long it is done to be measured once; 0: 4e6 */

  guint counted; /* how often it is done for its instructions to be counted; 0: 4000 */
#define BENCH_NOT_COUNTED G_MAXUINT

  /* In place of run, for what cannot be done again at once: measures one of them, in ns, made
   * negative where the scheduler took a thread off its processor: that one is tried again. So many
   * are taken, in turns with those of the floor; the budget is for their median. */
  double (*sample) (gpointer object);
  double (*sample_floor) (gpointer object);
  guint samples;
} BenchCase;

/* What is not a time: bytes, threads. Each is measured once, in a process of its own. */
typedef struct
{
  const char *name; /* NULL ends a table */
  double (*measure) (void);
  double max; /* negative: none */
} BenchFigure;

/* A value the compiler must take for used. */
#define BENCH_KEEP(value) __asm__ volatile("" : : "r,m"(value) : "memory")

/* Prints the rows; `--figure NAME` prints one figure; `--count N CASE` does a case that often and
 * nothing else, for who counts its instructions; `--list` names cases and figures. */
int bench_main (int                argc,
                char             **argv,
                const BenchCase   *cases,
                const BenchFigure *figures);

/* The time of CLOCK_MONOTONIC, which all processes share, in ns. */
gint64 bench_get_ns (void);

/* How often the scheduler took this thread off its processor. */
long bench_count_preemptions (void);

/* Keeps this thread to one of the processors that the program began with, and lets it go. */
void bench_pin (guint which);
void bench_unpin (void);

/* How often malloc was asked for memory until now, in a program that has bench-malloc.c. */
guint64 bench_count_allocations (void);

/* Bytes given out by malloc at this moment, in all threads. */
gsize bench_allocated (void);

/* Bytes of memory this process alone holds. */
gsize bench_resident (void);

/* The floors: what the machine asks for the least that such a thing could do, each in a function
 * that is called through a pointer. */
extern const BenchCase bench_floors[];
