/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-manual-clock.h"

#define SECOND G_TIME_SPAN_SECOND

typedef struct
{
  DerateClock *clock;
  DerateManualClock *manual;
  GString *order;
} Fixture;

typedef struct
{
  Fixture *fixture;
  char name;
  GSource *source;
  GTimeSpan again; /* sets its deadline so far on, or 0 */
  gint64 at; /* when it ran */
  guint n;
  GThread *thread;
} Timer;

static gboolean
on_due (gpointer data)
{
  Timer *timer = data;

  g_string_append_c (timer->fixture->order, timer->name);
  timer->at = derate_clock_get_time (timer->fixture->clock);
  timer->thread = g_thread_self ();
  timer->n++;
  if (timer->again == 0)
    return G_SOURCE_REMOVE;
  derate_clock_source_set_deadline (timer->fixture->clock, timer->source, timer->at + timer->again);
  return G_SOURCE_CONTINUE;
}

static void
start_timer (Timer *timer, Fixture *fixture, char name, GTimeSpan in, GMainContext *context)
{
  gint64 deadline =
      in == DERATE_CLOCK_NEVER ? DERATE_CLOCK_NEVER : derate_clock_get_time (fixture->clock) + in;

  *timer = (Timer){ .fixture = fixture, .name = name };
  timer->source = derate_clock_source_new (fixture->clock, deadline);
  g_source_set_callback (timer->source, on_due, timer, NULL);
  g_source_attach (timer->source, context);
}

static void
stop_timer (Timer *timer)
{
  g_source_destroy (timer->source);
  g_source_unref (timer->source);
}

static void
fixture_set_up (Fixture *fixture, gconstpointer data)
{
  fixture->clock = derate_manual_clock_new ();
  fixture->manual = DERATE_MANUAL_CLOCK (fixture->clock);
  fixture->order = g_string_new (NULL);
}

static void
fixture_tear_down (Fixture *fixture, gconstpointer data)
{
  g_string_free (fixture->order, TRUE);
  g_assert_finalize_object (fixture->clock);
}

static void
test_stands_still (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (derate_clock_get_time (fixture->clock), ==, SECOND);
  g_assert_cmpint (derate_clock_get_real_time (fixture->clock), ==, 1763720000 * SECOND);
  derate_manual_clock_advance (fixture->manual, 5 * SECOND);
  g_assert_cmpint (derate_clock_get_time (fixture->clock), ==, 6 * SECOND);
  g_assert_cmpint (derate_clock_get_real_time (fixture->clock), ==, 1763720005 * SECOND);
  derate_manual_clock_step_real_time (fixture->manual, -60 * SECOND);
  g_assert_cmpint (derate_clock_get_time (fixture->clock), ==, 6 * SECOND);
  g_assert_cmpint (derate_clock_get_real_time (fixture->clock), ==, 1763719945 * SECOND);
}

/* However far it is told to go, time does not run over. */
static void
test_end (Fixture *fixture, gconstpointer data)
{
  Timer timers[2];
  gint64 end;

  start_timer (&timers[0], fixture, 'a', SECOND, NULL);
  start_timer (&timers[1], fixture, 'n', DERATE_CLOCK_NEVER, NULL);
  derate_manual_clock_advance (fixture->manual, G_MAXINT64);
  g_assert_cmpstr (fixture->order->str, ==, "a");
  end = derate_clock_get_time (fixture->clock);
  g_assert_cmpint (end, >, 100000 * 365 * G_TIME_SPAN_DAY);
  g_assert_cmpint (derate_clock_get_real_time (fixture->clock), >, end);
  derate_manual_clock_advance (fixture->manual, G_MAXINT64);
  g_assert_cmpint (derate_clock_get_time (fixture->clock), ==, end);
  for (guint i = 0; i < G_N_ELEMENTS (timers); i++)
    stop_timer (&timers[i]);
}

static void
test_order (Fixture *fixture, gconstpointer data)
{
  Timer timers[4];

  start_timer (&timers[0], fixture, 'c', 3 * SECOND, NULL);
  start_timer (&timers[1], fixture, 'a', SECOND, NULL);
  start_timer (&timers[2], fixture, 'n', DERATE_CLOCK_NEVER, NULL);
  start_timer (&timers[3], fixture, 'b', 2 * SECOND, NULL);
  derate_manual_clock_advance (fixture->manual, SECOND - 1);
  g_assert_cmpstr (fixture->order->str, ==, "");
  derate_manual_clock_advance (fixture->manual, 1);
  g_assert_cmpstr (fixture->order->str, ==, "a");
  derate_manual_clock_advance (fixture->manual, 10 * SECOND);
  g_assert_cmpstr (fixture->order->str, ==, "abc");
  /* Each saw the clock at its own deadline. */
  g_assert_cmpint (timers[3].at, ==, 3 * SECOND);
  g_assert_cmpint (timers[0].at, ==, 4 * SECOND);
  for (guint i = 0; i < G_N_ELEMENTS (timers); i++)
    stop_timer (&timers[i]);
}

static void
test_zero_advance (Fixture *fixture, gconstpointer data)
{
  Timer due;
  Timer later;

  start_timer (&due, fixture, 'd', 0, NULL);
  start_timer (&later, fixture, 'l', 1, NULL);
  derate_manual_clock_advance (fixture->manual, 0);
  g_assert_cmpstr (fixture->order->str, ==, "d");
  g_assert_cmpint (derate_clock_get_time (fixture->clock), ==, SECOND);
  stop_timer (&due);
  stop_timer (&later);
}

/* A source that sets itself again runs at each of its deadlines, among the others'. */
static void
test_rearming (Fixture *fixture, gconstpointer data)
{
  Timer tick;
  Timer other;

  start_timer (&tick, fixture, 't', SECOND, NULL);
  tick.again = SECOND;
  start_timer (&other, fixture, 'o', 2 * SECOND + 1, NULL);
  derate_manual_clock_advance (fixture->manual, 4 * SECOND);
  g_assert_cmpstr (fixture->order->str, ==, "ttott");
  g_assert_cmpint (tick.at, ==, 5 * SECOND);

  derate_clock_source_set_deadline (fixture->clock, tick.source, DERATE_CLOCK_NEVER);
  derate_manual_clock_advance (fixture->manual, 100 * SECOND);
  g_assert_cmpuint (tick.n, ==, 4);
  derate_clock_source_set_deadline (fixture->clock, tick.source, 0);
  tick.again = 0;
  derate_manual_clock_advance (fixture->manual, 0);
  g_assert_cmpuint (tick.n, ==, 5);
  stop_timer (&tick);
  stop_timer (&other);
}

static gboolean
count_idle (gpointer data)
{
  (*(guint *)data)++;
  return G_SOURCE_REMOVE;
}

static gboolean
queue_idle (gpointer data)
{
  g_idle_add (count_idle, data);
  return G_SOURCE_REMOVE;
}

/* advance () returns after what a source queued has run. */
static void
test_runs_what_is_queued (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GSource) source = derate_clock_source_new (fixture->clock, 2 * SECOND);
  guint n = 0;

  g_source_set_callback (source, queue_idle, &n, NULL);
  g_source_attach (source, NULL);
  derate_manual_clock_advance (fixture->manual, SECOND);
  g_assert_cmpuint (n, ==, 1);
}

static void
test_destroyed (Fixture *fixture, gconstpointer data)
{
  Timer timer;

  start_timer (&timer, fixture, 'x', SECOND, NULL);
  stop_timer (&timer);
  derate_manual_clock_advance (fixture->manual, 10 * SECOND);
  g_assert_cmpstr (fixture->order->str, ==, "");
}

static gpointer
run_loop (gpointer data)
{
  GMainContext *context = g_main_loop_get_context (data);

  g_main_context_push_thread_default (context);
  g_main_loop_run (data);
  g_main_context_pop_thread_default (context);
  return NULL;
}

/* A source in a context that another thread runs is dispatched there, in its turn, and waited for.
 */
static void
test_foreign_context (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GMainLoop) loop = g_main_loop_new (context, FALSE);
  GThread *thread = g_thread_new ("runner", run_loop, loop);
  Timer foreign;
  Timer before;
  Timer after;

  start_timer (&foreign, fixture, 'f', 2 * SECOND, context);
  start_timer (&before, fixture, 'b', SECOND, NULL);
  start_timer (&after, fixture, 'a', 3 * SECOND, NULL);
  while (!g_main_loop_is_running (loop))
    g_thread_yield ();
  derate_manual_clock_advance (fixture->manual, 3 * SECOND);
  g_assert_cmpstr (fixture->order->str, ==, "bfa");
  g_assert_true (foreign.thread == thread);
  g_assert_true (before.thread == g_thread_self ());
  g_assert_cmpint (foreign.at, ==, 3 * SECOND);

  g_main_loop_quit (loop);
  g_thread_join (thread);
  stop_timer (&foreign);
  stop_timer (&before);
  stop_timer (&after);
}

/* A context of this thread that nobody runs is run by advance () itself. */
static void
test_own_context (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Timer timer;

  start_timer (&timer, fixture, 'x', SECOND, context);
  derate_manual_clock_advance (fixture->manual, SECOND);
  g_assert_cmpstr (fixture->order->str, ==, "x");
  stop_timer (&timer);
}

static gboolean
quit (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_REMOVE;
}

/* The system's clock: the same source, in real time. */
static void
test_system (void)
{
  DerateClock *clock = derate_clock_get_system ();
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  gint64 deadline = derate_clock_get_time (clock) + 5 * G_TIME_SPAN_MILLISECOND;
  g_autoptr (GSource) source = derate_clock_source_new (clock, deadline);
  gint64 wall = derate_clock_get_real_time (clock) - g_get_real_time ();

  g_source_set_callback (source, quit, loop, NULL);
  g_source_attach (source, NULL);
  g_main_loop_run (loop);
  g_assert_cmpint (derate_clock_get_time (clock), >=, deadline);
  g_assert_cmpint (ABS (wall), <, SECOND);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) \
  g_test_add ("/manual-clock/" path, Fixture, NULL, fixture_set_up, func, fixture_tear_down)
  ADD ("stands-still", test_stands_still);
  ADD ("end", test_end);
  ADD ("order", test_order);
  ADD ("zero-advance", test_zero_advance);
  ADD ("rearming", test_rearming);
  ADD ("runs-what-is-queued", test_runs_what_is_queued);
  ADD ("destroyed", test_destroyed);
  ADD ("foreign-context", test_foreign_context);
  ADD ("own-context", test_own_context);
#undef ADD
  g_test_add_func ("/clock/system", test_system);
  return g_test_run ();
}
