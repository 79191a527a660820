/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>

#include "../health/fake-check.h"

/* A backend that comes and goes, with all of the defaults between it and the level: fall and rise,
 * the fast interval, jitter, the recovery tick, its hold and its damping. What is counted is what
 * an operator would see in an hour. */

#define SECOND G_TIME_SPAN_SECOND
#define N_RUNS 20
#define HOURS 1

typedef struct
{
  const char *name;
  guint up; /* seconds */
  guint down;
  double most_transitions; /* an hour */
  double most_lag; /* share of the time the backend is well, and the level is not */
} Pattern;

/* field-notes of the project: what a policy without damping makes of them is 119, 143, 19 and 114.
 */
static const Pattern patterns[] = {
  { "up-45-down-15", 45, 15, 22, 1 },
  { "up-20-down-10", 20, 10, 22, 1 },
  { "up-300-down-60", 300, 60, 20, 0.1 },
  { "up-10-down-3", 10, 3, 0, 0 },
};

typedef struct
{
  guint transitions;
  GTimeSpan well;
  GTimeSpan lagging;
} Seen;

static void
count_transition (Seen *seen)
{
  seen->transitions++;
}

static DerateCore *
make_core (DerateClock *clock, FakeCheck *check)
{
  g_autoptr (GError) error = NULL;
  DerateCore *core = derate_core_new ("flapping", clock, &error);
  g_autoptr (DerateService) service =
      derate_service_new ("database", DERATE_SERVICE_ROLE_DATABASE, clock);

  g_assert_no_error (error);
  derate_service_set_health_check (service, DERATE_HEALTH_CHECK (check));
  g_assert_true (derate_core_add_service (core, service, &error));
  g_assert_no_error (error);
  return core;
}

static void
set_backend (FakeCheck *check, gboolean up)
{
  if (up)
    fake_check_set (check, DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL);
  else
    fake_check_set (check, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED, "refused");
}

/* In steps of a second, so that what is seen is seen when it happens. */
static void
stay (DerateManualClock *clock,
      DerateDegradationManager *manager,
      guint seconds,
      gboolean up,
      Seen *seen)
{
  for (; seconds > 0; seconds--)
    {
      derate_manual_clock_advance (clock, SECOND);
      if (!up)
        continue;
      seen->well += SECOND;
      if (derate_degradation_manager_get_level (manager) != DERATE_LEVEL_OPTIMAL)
        seen->lagging += SECOND;
    }
}

static void
simulate (const Pattern *pattern, Seen *seen)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (FakeCheck) check = fake_check_new (clock);
  g_autoptr (DerateCore) core = make_core (clock, check);
  DerateDegradationManager *manager = derate_core_get_degradation_manager (core);
  gint64 start = derate_clock_get_time (clock);

  derate_core_start_async (core, NULL, NULL, NULL);
  /* Ticks, checks and outages meet in another way in each run. */
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock),
                               g_test_rand_int_range (SECOND, 60 * SECOND));
  g_signal_connect_swapped (manager, "level-changed", G_CALLBACK (count_transition), seen);
  start = derate_clock_get_time (clock);
  while (derate_clock_get_time (clock) - start < HOURS * G_TIME_SPAN_HOUR)
    {
      set_backend (check, FALSE);
      stay (DERATE_MANUAL_CLOCK (clock), manager, pattern->down, FALSE, seen);
      set_backend (check, TRUE);
      stay (DERATE_MANUAL_CLOCK (clock), manager, pattern->up, TRUE, seen);
    }
  g_signal_handlers_disconnect_by_data (manager, seen);
}

static void
test_pattern (gconstpointer data)
{
  const Pattern *pattern = data;
  Seen all = { 0 };
  double an_hour;
  double lag;
  guint most = 0;

  for (guint i = 0; i < N_RUNS; i++)
    {
      guint before = all.transitions;

      simulate (pattern, &all);
      most = MAX (most, all.transitions - before);
    }
  an_hour = (double)all.transitions / (N_RUNS * HOURS);
  lag = (double)all.lagging / (double)all.well;
  g_test_message ("up %u s, down %u s: %.1f transitions an hour (worst run %.1f), %.1f %% of the "
                  "time well but still degraded",
                  pattern->up, pattern->down, an_hour, (double)most / HOURS, 100 * lag);
  g_assert_cmpfloat ((double)most / HOURS, <=, pattern->most_transitions);
  g_assert_cmpfloat (lag, <=, pattern->most_lag);
  if (pattern->most_transitions > 0) /* nor is it simply blind */
    g_assert_cmpfloat (an_hour, >, 0);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  for (guint i = 0; i < G_N_ELEMENTS (patterns); i++)
    {
      g_autofree char *path = g_strconcat ("/degradation/flapping/", patterns[i].name, NULL);

      g_test_add_data_func (path, &patterns[i], test_pattern);
    }
  return g_test_run ();
}
