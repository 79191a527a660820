/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"

#include <time.h>

#define LINE 64

typedef struct
{
  guint64 count __attribute__ ((aligned (LINE)));
} Line;

static __thread Line own;
static Line shared;
static GMutex mutex;

static void
do_nothing (void)
{
}

static void
add_own (void)
{
  __atomic_fetch_add (&own.count, 1, __ATOMIC_SEQ_CST);
}

static void
add_shared (void)
{
  __atomic_fetch_add (&shared.count, 1, __ATOMIC_SEQ_CST);
}

static void
add_plain (void)
{
  __atomic_store_n (&own.count, __atomic_load_n (&own.count, __ATOMIC_RELAXED) + 1,
                    __ATOMIC_RELAXED);
}

static void
read_clock (void)
{
  struct timespec time;

  clock_gettime (CLOCK_MONOTONIC, &time);
  BENCH_KEEP (time.tv_nsec);
}

static void
read_clock_twice (void)
{
  read_clock ();
  read_clock ();
}

static void
read_coarse_clock (void)
{
  struct timespec time;

  clock_gettime (CLOCK_MONOTONIC_COARSE, &time);
  BENCH_KEEP (time.tv_nsec);
}

static void
take_mutex (void)
{
  g_mutex_lock (&mutex);
  g_mutex_unlock (&mutex);
}

/* One loop for each, so that all pay the same for it. */
static __attribute__ ((noinline)) void
repeat (void (*func) (void), guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    {
      __asm__ volatile("" : "+r"(func));
      func ();
    }
}

#define FLOOR(func) \
  static void run_##func (gpointer object, guint64 n) { repeat (func, n); }
FLOOR (do_nothing)
FLOOR (add_own)
FLOOR (add_shared)
FLOOR (add_plain)
FLOOR (read_clock)
FLOOR (read_clock_twice)
FLOOR (read_coarse_clock)
FLOOR (take_mutex)

const BenchCase bench_floors[] = {
  { "call", 2, NULL, run_do_nothing },
  { "plain-own", 2, NULL, run_add_plain },
  { "atomic-own", 2, NULL, run_add_own },
  { "atomic-shared", 2, NULL, run_add_shared },
  { "clock", 2, NULL, run_read_clock },
  { "clock-twice", 2, NULL, run_read_clock_twice },
  { "clock-coarse", 2, NULL, run_read_coarse_clock },
  { "mutex", 2, NULL, run_take_mutex },
  { NULL },
};
