/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-manual-clock.h"

/* Threads: the mutex guards `now`, `sources` and the deadline of each source. A source is
 * dispatched by whichever thread runs its context; advance() waits for that on `dispatched`. */

/**
 * DerateManualClock:
 *
 * A clock that stands still until it is told to move, for tests that never sleep.
 *
 * It starts at one second, and its wall clock at 2025-11-21 10:13:20 UTC.
 *
 * Since: 1.0
 */
struct _DerateManualClock
{
  DerateClock parent_instance;

  GMutex mutex;
  GCond dispatched;
  gint64 now;
  gint64 real_offset;
  GPtrArray *sources; /* (element-type ManualSource), borrowed: each leaves at its finalize */
};

G_DEFINE_FINAL_TYPE (DerateManualClock, derate_manual_clock, DERATE_TYPE_CLOCK)

#define START_TIME G_TIME_SPAN_SECOND
#define END_TIME (G_MAXINT64 / 2)
#define START_REAL_TIME (G_GINT64_CONSTANT (1763720000) * G_TIME_SPAN_SECOND)

/* How long advance() waits for a context that another thread runs, in real time: a deadlock in a
 * test should end as a failure that says so. */
#define FOREIGN_CONTEXT_PATIENCE (20 * G_TIME_SPAN_SECOND)

typedef struct
{
  GSource source;
  DerateManualClock *clock;
  gint64 deadline;
  gboolean dispatching;
} ManualSource;

static gboolean
source_is_due (ManualSource *source)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&source->clock->mutex);

  return source->deadline <= source->clock->now;
}

static gboolean
manual_source_prepare (GSource *base, gint *timeout)
{
  *timeout = -1;
  return source_is_due ((ManualSource *)base);
}

static gboolean
manual_source_check (GSource *base)
{
  return source_is_due ((ManualSource *)base);
}

static gboolean
manual_source_dispatch (GSource *base, GSourceFunc callback, gpointer user_data)
{
  ManualSource *source = (ManualSource *)base;
  DerateManualClock *clock = source->clock;
  gboolean result = G_SOURCE_REMOVE;

  g_mutex_lock (&clock->mutex);
  source->deadline = DERATE_CLOCK_NEVER;
  source->dispatching = TRUE;
  g_mutex_unlock (&clock->mutex);

  if (callback != NULL)
    result = callback (user_data);

  g_mutex_lock (&clock->mutex);
  source->dispatching = FALSE;
  g_cond_broadcast (&clock->dispatched);
  g_mutex_unlock (&clock->mutex);
  return result;
}

static void
manual_source_finalize (GSource *base)
{
  ManualSource *source = (ManualSource *)base;
  DerateManualClock *clock = g_steal_pointer (&source->clock);

  g_mutex_lock (&clock->mutex);
  g_ptr_array_remove_fast (clock->sources, source);
  g_cond_broadcast (&clock->dispatched);
  g_mutex_unlock (&clock->mutex);
  g_object_unref (clock);
}

static GSourceFuncs manual_source_funcs = {
  .prepare = manual_source_prepare,
  .check = manual_source_check,
  .dispatch = manual_source_dispatch,
  .finalize = manual_source_finalize,
};

static gint64
derate_manual_clock_get_time (DerateClock *base)
{
  DerateManualClock *clock = DERATE_MANUAL_CLOCK (base);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&clock->mutex);

  return clock->now;
}

static gint64
derate_manual_clock_get_real_time (DerateClock *base)
{
  DerateManualClock *clock = DERATE_MANUAL_CLOCK (base);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&clock->mutex);

  return clock->now + clock->real_offset;
}

static GSource *
derate_manual_clock_create_source (DerateClock *base, gint64 deadline)
{
  DerateManualClock *clock = DERATE_MANUAL_CLOCK (base);
  ManualSource *source;
  g_autoptr (GMutexLocker) locker = NULL;

  source = (ManualSource *)g_source_new (&manual_source_funcs, sizeof (ManualSource));
  source->clock = g_object_ref (clock);
  source->deadline = deadline;

  locker = g_mutex_locker_new (&clock->mutex);
  g_ptr_array_add (clock->sources, source);
  return (GSource *)source;
}

static void
wake_context_of (GSource *source)
{
  GMainContext *context = g_source_get_context (source);

  if (context != NULL)
    g_main_context_wakeup (context);
}

static void
derate_manual_clock_set_deadline (DerateClock *base, GSource *source, gint64 deadline)
{
  DerateManualClock *clock = DERATE_MANUAL_CLOCK (base);

  g_mutex_lock (&clock->mutex);
  ((ManualSource *)source)->deadline = deadline;
  g_cond_broadcast (&clock->dispatched);
  g_mutex_unlock (&clock->mutex);

  if (!g_source_is_destroyed (source))
    wake_context_of (source);
}

static void
derate_manual_clock_finalize (GObject *object)
{
  DerateManualClock *clock = DERATE_MANUAL_CLOCK (object);

  g_ptr_array_unref (clock->sources);
  g_mutex_clear (&clock->mutex);
  g_cond_clear (&clock->dispatched);
  G_OBJECT_CLASS (derate_manual_clock_parent_class)->finalize (object);
}

static void
derate_manual_clock_class_init (DerateManualClockClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  DerateClockClass *clock_class = DERATE_CLOCK_CLASS (klass);

  object_class->finalize = derate_manual_clock_finalize;
  clock_class->get_time = derate_manual_clock_get_time;
  clock_class->get_real_time = derate_manual_clock_get_real_time;
  clock_class->create_source = derate_manual_clock_create_source;
  clock_class->set_deadline = derate_manual_clock_set_deadline;
}

static void
derate_manual_clock_init (DerateManualClock *clock)
{
  g_mutex_init (&clock->mutex);
  g_cond_init (&clock->dispatched);
  clock->now = START_TIME;
  clock->real_offset = START_REAL_TIME - START_TIME;
  clock->sources = g_ptr_array_new ();
}

/**
 * derate_manual_clock_new:
 *
 * Makes a clock that stands still.
 *
 * Returns: (transfer full): the clock
 *
 * Since: 1.0
 */
DerateClock *
derate_manual_clock_new (void)
{
  return g_object_new (DERATE_TYPE_MANUAL_CLOCK, NULL);
}

/* The attached source with the earliest deadline up to @limit, with a reference to it and to its
 * context; called locked. Who lets go of a context sets the deadline of its source to never first.
 */
static ManualSource *
find_earliest (DerateManualClock *clock, gint64 limit, GMainContext **context)
{
  ManualSource *earliest = NULL;

  for (guint i = 0; i < clock->sources->len; i++)
    {
      ManualSource *source = g_ptr_array_index (clock->sources, i);

      if (source->deadline > limit || g_source_is_destroyed (&source->source) ||
          source->source.context == NULL)
        continue;
      if (earliest == NULL || source->deadline < earliest->deadline)
        earliest = source;
    }
  if (earliest == NULL)
    return NULL;
  *context = g_main_context_ref (earliest->source.context);
  return (ManualSource *)g_source_ref (&earliest->source);
}

/* Runs what is ready in @context, if it is this thread's to run. */
static gboolean
run_context (GMainContext *context)
{
  if (!g_main_context_acquire (context))
    return FALSE;
  while (g_main_context_iteration (context, FALSE))
    ;
  g_main_context_release (context);
  return TRUE;
}

/* Waits until the thread that runs the context of @source has dispatched it. */
static void
wait_for_foreign_dispatch (DerateManualClock *clock, ManualSource *source, GMainContext *context)
{
  gint64 patience = g_get_monotonic_time () + FOREIGN_CONTEXT_PATIENCE;

  g_main_context_wakeup (context);
  g_mutex_lock (&clock->mutex);
  while ((source->deadline <= clock->now || source->dispatching) &&
         !g_source_is_destroyed (&source->source))
    if (!g_cond_wait_until (&clock->dispatched, &clock->mutex, patience))
      {
        g_critical ("a source of the manual clock was not dispatched by its thread");
        break;
      }
  g_mutex_unlock (&clock->mutex);
}

/**
 * derate_manual_clock_advance:
 * @clock: a manual clock
 * @span: how far, in microseconds, not negative; 0 only runs what is due
 *
 * Moves the time on. Sources that become due are dispatched in the order of their deadlines, each
 * in its own context and with the clock standing at its deadline; a context that this thread may
 * run is run, another thread's is waited for. Returns when they and what they queued in those
 * contexts have run. Real input and output is not waited for. Must not be called from a source of
 * this clock. It does not go further than to half of what a time can be, some 146000 years, so that
 * a span can be added to any of its times.
 *
 * Since: 1.0
 */
void
derate_manual_clock_advance (DerateManualClock *clock, GTimeSpan span)
{
  g_autoptr (GMainContext) own = g_main_context_ref_thread_default ();
  gint64 target;

  g_return_if_fail (DERATE_IS_MANUAL_CLOCK (clock));
  g_return_if_fail (span >= 0);

  g_mutex_lock (&clock->mutex);
  target = clock->now + MIN (span, END_TIME - clock->now);
  g_mutex_unlock (&clock->mutex);

  run_context (own);
  while (TRUE)
    {
      g_autoptr (GMainContext) context = NULL;
      ManualSource *source;

      g_mutex_lock (&clock->mutex);
      source = find_earliest (clock, target, &context);
      clock->now = MAX (clock->now, source != NULL ? source->deadline : target);
      g_mutex_unlock (&clock->mutex);
      if (source == NULL)
        break;

      if (!run_context (context))
        wait_for_foreign_dispatch (clock, source, context);
      g_source_unref (&source->source);
      run_context (own);
    }
  run_context (own);
}

/**
 * derate_manual_clock_step_real_time:
 * @clock: a manual clock
 * @offset: how far the wall clock jumps, in microseconds
 *
 * Makes the wall clock jump, as when the machine's clock is set. Nothing that waits may notice.
 *
 * Since: 1.0
 */
void
derate_manual_clock_step_real_time (DerateManualClock *clock, GTimeSpan offset)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_if_fail (DERATE_IS_MANUAL_CLOCK (clock));

  locker = g_mutex_locker_new (&clock->mutex);
  clock->real_offset += offset;
}
