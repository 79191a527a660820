/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "case-trip.h"

#include "bench.h"
#include "case-client.h"
#include "case-program.h"
#include "derate-names-private.h"

/* When, and how often the scheduler had taken this thread off its processor by then. */
typedef struct
{
  gint64 ns;
  long preemptions;
} Moment;

/* What the reader is to read. */
typedef enum
{
  READING_NOTHING,
  READING_LEVEL,
  READING_WORD,
  READING_ENDED,
} Reading;

typedef struct
{
  BenchProgram program;
  DerateBreaker *alone;
  GError *failure;

  GThread *reader;
  int wanted; /* a Reading; atomic */
  int reading; /* what it does now; atomic */
  int word; /* atomic */
  Moment began; /* of the reader */
  Moment saw; /* of the reader */
} Trip;

static Moment
begin_span (void)
{
  Moment moment;

  moment.preemptions = bench_count_preemptions ();
  moment.ns = bench_get_ns ();
  return moment;
}

static Moment
end_span (void)
{
  Moment moment;

  moment.ns = bench_get_ns ();
  moment.preemptions = bench_count_preemptions ();
  return moment;
}

static gboolean
was_disturbed (const Moment *begin, const Moment *end)
{
  return begin->preemptions != end->preemptions;
}

static double
get_span (const Moment *begin, const Moment *end)
{
  return (double)(was_disturbed (begin, end) ? begin->ns - end->ns : end->ns - begin->ns);
}

/* It burns no time while nobody asks it to read. */
static Reading
wait_to_read (Trip *trip)
{
  int wanted;

  while ((wanted = g_atomic_int_get (&trip->wanted)) == READING_NOTHING)
    g_usleep (100);
  return wanted;
}

static gpointer
read_in_thread (gpointer data)
{
  Trip *trip = data;
  Reading what;

  bench_pin (1);
  while ((what = wait_to_read (trip)) != READING_ENDED)
    {
      trip->began = begin_span ();
      g_atomic_int_set (&trip->reading, what);
      if (what == READING_LEVEL)
        while (derate_degradation_manager_get_level (trip->program.manager) == DERATE_LEVEL_OPTIMAL)
          ;
      else
        while (__atomic_load_n (&trip->word, __ATOMIC_ACQUIRE) == 0)
          ;
      trip->saw = end_span ();
      g_atomic_int_set (&trip->wanted, READING_NOTHING);
      g_atomic_int_set (&trip->reading, READING_NOTHING);
    }
  return NULL;
}

/* Returns once the other thread reads, on another processor. */
static Moment
begin_reading (Trip *trip, Reading what)
{
  bench_pin (0);
  g_atomic_int_set (&trip->wanted, what);
  while (g_atomic_int_get (&trip->reading) != (int)what)
    g_thread_yield ();
  return begin_span ();
}

/* @end: of what was to be seen. */
static double
end_reading (Trip *trip, const Moment *begin, const Moment *end)
{
  double ns;

  while (g_atomic_int_get (&trip->reading) != READING_NOTHING)
    g_thread_yield ();
  bench_unpin ();
  ns = (double)(trip->saw.ns - begin->ns);
  return was_disturbed (&trip->began, &trip->saw) || was_disturbed (begin, end) ? -ns : ns;
}

gpointer
bench_trip_new (void)
{
  Trip *trip = g_new0 (Trip, 1);
  g_autoptr (DerateBreakerConfig) config = NULL;

  bench_program_init (&trip->program, 0);
  config = derate_breaker_dup_config (trip->program.breaker);
  trip->alone = derate_breaker_new ("alone", config);
  trip->failure = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, "refused");
  trip->reader = g_thread_new ("reader", read_in_thread, trip);
  return trip;
}

void
bench_trip_free (gpointer data)
{
  Trip *trip = data;

  g_atomic_int_set (&trip->wanted, READING_ENDED);
  g_thread_join (trip->reader);
  bench_program_clear (&trip->program);
  g_object_unref (trip->alone);
  g_error_free (trip->failure);
  g_free (trip);
}

/* All failures but the one that opens it: that is left to @permit. */
static void
fail_but_one (Trip *trip, DerateBreaker *breaker, DeratePermit *permit)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_dup_config (breaker);
  guint n = derate_breaker_config_get_failure_threshold (config);

  for (guint i = 1; i < n; i++)
    {
      if (!derate_breaker_acquire (breaker, permit, NULL))
        g_error ("the breaker is open");
      derate_permit_fail (permit, trip->failure);
    }
  if (!derate_breaker_acquire (breaker, permit, NULL))
    g_error ("the breaker is open");
}

double
bench_trip_to_caller (gpointer data)
{
  Trip *trip = data;
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
  DerateLevel level;
  Moment begin, end;

  fail_but_one (trip, trip->program.breaker, &permit);
  begin = begin_span ();
  derate_permit_fail (&permit, trip->failure);
  level = derate_degradation_manager_get_level (trip->program.manager);
  end = end_span ();
  if (level != DERATE_LEVEL_MINIMAL || derate_gate_is_open (trip->program.writes))
    g_error ("the level is no worse when fail () has returned");
  bench_program_heal (&trip->program);
  return get_span (&begin, &end);
}

double
bench_trip_alone (gpointer data)
{
  Trip *trip = data;
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
  Moment begin, end;

  fail_but_one (trip, trip->alone, &permit);
  begin = begin_span ();
  derate_permit_fail (&permit, trip->failure);
  end = end_span ();
  if (derate_breaker_get_state (trip->alone) != DERATE_BREAKER_STATE_OPEN)
    g_error ("the breaker is not open");
  derate_breaker_reset (trip->alone);
  return get_span (&begin, &end);
}

double
bench_trip_to_thread (gpointer data)
{
  Trip *trip = data;
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
  Moment begin, end;
  double ns;

  fail_but_one (trip, trip->program.breaker, &permit);
  begin = begin_reading (trip, READING_LEVEL);
  derate_permit_fail (&permit, trip->failure);
  end = end_span ();
  ns = end_reading (trip, &begin, &end);
  bench_program_heal (&trip->program);
  return ns;
}

double
bench_trip_word (gpointer data)
{
  Trip *trip = data;
  Moment begin = begin_reading (trip, READING_WORD);
  Moment end;
  double ns;

  __atomic_store_n (&trip->word, 1, __ATOMIC_RELEASE);
  end = end_span ();
  ns = end_reading (trip, &begin, &end);
  __atomic_store_n (&trip->word, 0, __ATOMIC_RELEASE);
  return ns;
}

/* Whoever is in the way of the other processes is not found out. */
double
bench_trip_to_signal (gpointer data)
{
  Trip *trip = data;
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
  gint64 begin, received;

  fail_but_one (trip, trip->program.breaker, &permit);
  begin = bench_get_ns ();
  derate_permit_fail (&permit, trip->failure);
  received = bench_bus_wait_for (trip->program.bus, "minimal");
  derate_breaker_reset (trip->program.breaker);
  bench_program_improve (&trip->program);
  return (double)(received - begin);
}

double
bench_trip_signal (gpointer data)
{
  Trip *trip = data;
  gint64 begin = bench_get_ns ();

  g_dbus_connection_emit_signal (trip->program.connection, NULL, DERATE_DBUS_PATH, BENCH_INTERFACE,
                                 BENCH_SIGNAL, NULL, NULL);
  return (double)(bench_bus_wait_for (trip->program.bus, "bare") - begin);
}

static double
toggle (DerateBreaker *breaker)
{
  Moment begin = begin_span ();
  Moment end;

  derate_breaker_set_mode (breaker, DERATE_BREAKER_MODE_FORCED_OPEN);
  derate_breaker_set_mode (breaker, DERATE_BREAKER_MODE_NORMAL);
  end = end_span ();
  return get_span (&begin, &end);
}

double
bench_trip_toggle (gpointer data)
{
  Trip *trip = data;
  double ns = toggle (trip->program.breaker);

  bench_program_heal (&trip->program);
  return ns;
}

double
bench_trip_toggle_alone (gpointer data)
{
  Trip *trip = data;

  return toggle (trip->alone);
}
