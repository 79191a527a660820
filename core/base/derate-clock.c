/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-clock-private.h"

/**
 * DerateClock:
 *
 * The source of all time in Derate.
 *
 * Everything that waits or measures reads one clock, which is handed in: the system's
 * (CLOCK_MONOTONIC, so the time a machine is suspended does not count), or a [class@ManualClock] in
 * tests. Times are microseconds. A clock may be used from any thread.
 *
 * Since: 1.0
 */
G_DEFINE_ABSTRACT_TYPE (DerateClock, derate_clock, G_TYPE_OBJECT)

static void
derate_clock_class_init (DerateClockClass *klass)
{
}

static void
derate_clock_init (DerateClock *clock)
{
}

/* The system's clock */

#define DERATE_TYPE_SYSTEM_CLOCK (derate_system_clock_get_type ())
G_DECLARE_FINAL_TYPE (DerateSystemClock, derate_system_clock, DERATE, SYSTEM_CLOCK, DerateClock)

struct _DerateSystemClock
{
  DerateClock parent_instance;
};

G_DEFINE_FINAL_TYPE (DerateSystemClock, derate_system_clock, DERATE_TYPE_CLOCK)

gint64
derate_clock_get_system_time (DerateClock *clock)
{
  return derate_clock_read_kernel (CLOCK_MONOTONIC); /* as g_get_monotonic_time () does */
}

static gint64
derate_system_clock_get_real_time (DerateClock *clock)
{
  return g_get_real_time ();
}

static gboolean
deadline_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  /* One shot: a callback that wants to be called again sets a new deadline. */
  g_source_set_ready_time (source, -1);
  return callback != NULL ? callback (user_data) : G_SOURCE_REMOVE;
}

static GSourceFuncs deadline_funcs = {
  .dispatch = deadline_dispatch,
};

static void
derate_system_clock_set_deadline (DerateClock *clock, GSource *source, gint64 deadline)
{
  g_source_set_ready_time (source, deadline == DERATE_CLOCK_NEVER ? -1 : MAX (deadline, 0));
}

static GSource *
derate_system_clock_create_source (DerateClock *clock, gint64 deadline)
{
  GSource *source = g_source_new (&deadline_funcs, sizeof (GSource));

  derate_system_clock_set_deadline (clock, source, deadline);
  return source;
}

static void
derate_system_clock_class_init (DerateSystemClockClass *klass)
{
  DerateClockClass *clock_class = DERATE_CLOCK_CLASS (klass);

  clock_class->get_time = derate_clock_get_system_time;
  clock_class->get_real_time = derate_system_clock_get_real_time;
  clock_class->create_source = derate_system_clock_create_source;
  clock_class->set_deadline = derate_system_clock_set_deadline;
}

static void
derate_system_clock_init (DerateSystemClock *clock)
{
}

/**
 * derate_clock_get_system:
 *
 * The clock of the machine. May be called from any thread.
 *
 * Returns: (transfer none): the clock
 *
 * Since: 1.0
 */
DerateClock *
derate_clock_get_system (void)
{
  static gsize once = 0;

  if (g_once_init_enter (&once))
    g_once_init_leave (&once, (gsize)g_object_new (DERATE_TYPE_SYSTEM_CLOCK, NULL));
  return (DerateClock *)once;
}

/**
 * derate_clock_get_time:
 * @clock: a clock
 *
 * Reads the time. It never steps back and says nothing about the date.
 *
 * Returns: microseconds
 *
 * Since: 1.0
 */
gint64
derate_clock_get_time (DerateClock *clock)
{
  return derate_clock_read (clock);
}

/**
 * derate_clock_get_real_time:
 * @clock: a clock
 *
 * Reads the wall clock. Only for what is shown or stored: it jumps.
 *
 * Returns: microseconds since 1970
 *
 * Since: 1.0
 */
gint64
derate_clock_get_real_time (DerateClock *clock)
{
  return DERATE_CLOCK_GET_CLASS (clock)->get_real_time (clock);
}

/**
 * derate_clock_source_new:
 * @clock: a clock
 * @deadline: a time of @clock, or %DERATE_CLOCK_NEVER
 *
 * Makes a source that calls its function once, at or after @deadline: the only timer in Derate.
 * Attach it to a context, with a #GSourceFunc. A function that returns %G_SOURCE_CONTINUE is called
 * again after derate_clock_source_set_deadline() said when.
 *
 * Returns: (transfer full): the source
 *
 * Since: 1.0
 */
GSource *
derate_clock_source_new (DerateClock *clock, gint64 deadline)
{
  GSource *source = DERATE_CLOCK_GET_CLASS (clock)->create_source (clock, deadline);

  g_source_set_static_name (source, "[derate] clock");
  return source;
}

/**
 * derate_clock_source_set_deadline:
 * @clock: the clock that @source was made with
 * @source: a source of derate_clock_source_new()
 * @deadline: a time of @clock, or %DERATE_CLOCK_NEVER
 *
 * Moves the deadline. May be called from any thread, also inside the source's own function.
 *
 * Since: 1.0
 */
void
derate_clock_source_set_deadline (DerateClock *clock, GSource *source, gint64 deadline)
{
  DERATE_CLOCK_GET_CLASS (clock)->set_deadline (clock, source, deadline);
}

gint64
derate_clock_read_coarsely (DerateClock *clock)
{
  DerateClockClass *klass = DERATE_CLOCK_GET_CLASS (clock);

  if (klass->get_time == derate_clock_get_system_time)
    return derate_clock_read_kernel (CLOCK_MONOTONIC_COARSE);
  return klass->get_time (clock);
}

GTimeSpan
derate_clock_read_time_asleep (void)
{
  return MAX (derate_clock_read_kernel (CLOCK_BOOTTIME) -
                  derate_clock_read_kernel (CLOCK_MONOTONIC),
              0);
}
