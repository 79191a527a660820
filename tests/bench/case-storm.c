/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib-unix.h>

#include "bench.h"
#include "case-program.h"
#include "case-trip.h"

#define N_CLIENTS 1000
#define TICK_MS 1
#define FIRST_CALM_MS 1000

typedef struct
{
  BenchProgram program;
  GMainLoop *loop;
  gint64 due; /* of the next tick */
  gint64 worst;
  gint64 took; /* by the last storm */
} Storm;

gpointer
bench_storm_new (void)
{
  Storm *storm = g_new0 (Storm, 1);
  g_autoptr (GError) error = NULL;

  bench_program_init (&storm->program, N_CLIENTS);
  if (!derate_degradation_manager_set_state_dir (storm->program.manager,
                                                 bench_bus_get_folder (storm->program.bus), &error))
    g_error ("%s", error->message);
  storm->loop = g_main_loop_new (NULL, FALSE);
  storm->took = FIRST_CALM_MS * 1000000;
  return storm;
}

void
bench_storm_free (gpointer data)
{
  Storm *storm = data;

  bench_program_clear (&storm->program);
  g_main_loop_unref (storm->loop);
  g_free (storm);
}

static gboolean
on_tick (gpointer data)
{
  Storm *storm = data;
  gint64 now = bench_get_ns ();

  storm->worst = MAX (storm->worst, now - storm->due);
  storm->due = now + TICK_MS * 1000000;
  return G_SOURCE_CONTINUE;
}

/* How late it is at most for what is due every millisecond. */
static double
run_loop (Storm *storm)
{
  gint64 begin = bench_get_ns ();
  guint ticker = g_timeout_add (TICK_MS, on_tick, storm);

  storm->worst = 0;
  storm->due = begin + TICK_MS * 1000000;
  g_main_loop_run (storm->loop);
  on_tick (storm); /* the one that is due counts, too */
  storm->took = bench_get_ns () - begin;
  g_source_remove (ticker);
  return (double)storm->worst;
}

static gboolean
on_end (gpointer data)
{
  Storm *storm = data;

  g_main_loop_quit (storm->loop);
  return G_SOURCE_REMOVE;
}

static gboolean
on_line (int fd, GIOCondition condition, gpointer data)
{
  Storm *storm = data;

  bench_bus_wait_for (storm->program.bus, "done");
  return on_end (storm);
}

double
bench_storm_stall (gpointer data)
{
  Storm *storm = data;

  g_unix_fd_add (bench_bus_get_client_fd (storm->program.bus), G_IO_IN, on_line, storm);
  bench_bus_tell_client (storm->program.bus, "storm\n");
  return run_loop (storm);
}

double
bench_storm_calm (gpointer data)
{
  Storm *storm = data;

  g_timeout_add ((guint)(storm->took / 1000000), on_end, storm);
  return run_loop (storm);
}
