/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-degradation-state-private.h"
#include "manager-fixture.h"

/* What drills make of the level: they stand on it as a floor does, and are not an incident. */

#define HEALTHY DERATE_HEALTH_STATUS_HEALTHY
#define DEGRADED DERATE_HEALTH_STATUS_DEGRADED
#define DOWN DERATE_HEALTH_STATUS_DOWN
#define OVER DERATE_HEALTH_STATUS_UNKNOWN

static void
assert_mode (Fixture *f, const char *feature, DerateGateMode mode)
{
  g_autoptr (DerateGate) gate = derate_degradation_manager_get_gate (f->manager, feature);

  g_assert_cmpint (derate_gate_get_mode (gate, NULL), ==, mode);
}

/* Worse at once, better at the very next tick: nothing is held back. */
static void
test_like_a_floor (Fixture *f, gconstpointer unused)
{
  fixture_begin (f);
  fixture_advance (f, 25);
  fixture_drill (f, REDIS, DOWN);
  fixture_assert_level (f, "degraded");
  fixture_assert_rule (f, "dependency-down");
  g_assert_cmpint (derate_degradation_manager_get_computed_level (f->manager), ==,
                   DERATE_LEVEL_DEGRADED);
  fixture_advance (f, 2);
  fixture_drill (f, REDIS, OVER);
  fixture_assert_level (f, "degraded");
  fixture_advance (f, 3);
  fixture_assert_level (f, "optimal");
  fixture_assert_told (f, "1>2:dependency-down 2>1:all-well ");
}

/* An outage that is no worse than the drill still holds back recovery. */
static void
test_outage_below (Fixture *f, gconstpointer unused)
{
  fixture_begin (f);
  fixture_drill (f, DATABASE, DOWN);
  fixture_advance (f, 20);
  fixture_set_status (f, REDIS, DEGRADED);
  fixture_set_status (f, REDIS, HEALTHY);
  fixture_drill (f, DATABASE, OVER);
  fixture_advance (f, 10); /* 10 s after what was real */
  fixture_assert_level (f, "degraded");
  fixture_assert_rule (f, "dependency-slow");
  fixture_advance (f, 30);
  fixture_assert_level (f, "optimal");
}

static void
test_not_flapping (Fixture *f, gconstpointer unused)
{
  fixture_begin (f);
  for (guint i = 0; i < 5; i++)
    {
      fixture_drill (f, OPENAI, DOWN);
      fixture_drill (f, OPENAI, OVER);
      fixture_advance (f, 30);
      fixture_assert_level (f, "optimal");
      g_assert_false (derate_degradation_manager_get_flapping (f->manager));
    }
  /* And the first outage after them is a first one. */
  fixture_set_status (f, REDIS, DOWN);
  g_assert_false (derate_degradation_manager_get_flapping (f->manager));
  fixture_set_status (f, REDIS, HEALTHY);
  fixture_advance (f, 30);
  fixture_assert_level (f, "optimal");
}

/* The level waits for its tick while a drill of the same badness goes by. */
static void
test_same_level (Fixture *f, gconstpointer unused)
{
  fixture_begin (f);
  fixture_set_status (f, S3, DOWN);
  fixture_drill (f, REDIS, DOWN);
  fixture_assert_level (f, "degraded");
  fixture_set_status (f, S3, HEALTHY);
  fixture_advance (f, 60);
  fixture_assert_level (f, "degraded");
  fixture_drill (f, REDIS, OVER);
  fixture_advance (f, 30);
  fixture_assert_level (f, "optimal");
}

/* Past its limit a drill counts no more, and no such level is ever published. */
static void
test_limit (Fixture *f, gconstpointer unused)
{
  fixture_begin (f);
  derate_degradation_manager_add_drill_limit (f->manager, DERATE_LEVEL_MINIMAL);
  fixture_drill (f, REDIS, DOWN);
  fixture_assert_level (f, "degraded");
  fixture_set_status (f, DATABASE, DOWN);
  fixture_assert_level (f, "minimal");
  g_assert_cmpint (derate_degradation_manager_get_computed_level (f->manager), ==,
                   DERATE_LEVEL_MINIMAL);
  g_assert_cmpint (derate_degradation_manager_get_drill_level (f->manager), ==,
                   DERATE_LEVEL_EMERGENCY);
  assert_mode (f, "reads", DERATE_GATE_MODE_ON); /* from the real redis */
  fixture_assert_told (f, "1>2:dependency-down 2>4:database-limited ");

  /* Without the limit it counts as before. */
  derate_degradation_manager_remove_drill_limit (f->manager, DERATE_LEVEL_MINIMAL);
  fixture_assert_level (f, "emergency");
}

/* Of several limits the strictest counts. */
static void
test_limits (Fixture *f, gconstpointer unused)
{
  fixture_begin (f);
  derate_degradation_manager_add_drill_limit (f->manager, DERATE_LEVEL_EMERGENCY);
  derate_degradation_manager_add_drill_limit (f->manager, DERATE_LEVEL_LIMITED);
  derate_degradation_manager_add_drill_limit (f->manager, DERATE_LEVEL_LIMITED);
  fixture_drill (f, DATABASE, DOWN);
  fixture_assert_level (f, "optimal");
  derate_degradation_manager_remove_drill_limit (f->manager, DERATE_LEVEL_LIMITED);
  fixture_assert_level (f, "optimal");
  derate_degradation_manager_remove_drill_limit (f->manager, DERATE_LEVEL_LIMITED);
  fixture_assert_level (f, "minimal");
}

static void
test_gates (Fixture *f, gconstpointer unused)
{
  fixture_begin (f);
  fixture_drill (f, OPENAI, DOWN);
  assert_mode (f, "ai", DERATE_GATE_MODE_OFF);
  assert_mode (f, "cache", DERATE_GATE_MODE_ON);
  fixture_drill (f, OPENAI, OVER);
  assert_mode (f, "ai", DERATE_GATE_MODE_ON);
}

/* An exact hold that may not hide an outage does not hide a drill; and what a drill pretends is no
 * outage that a hold masks. */
static void
test_holds (Fixture *f, gconstpointer unused)
{
  DerateHoldRequest request = {
    .level = DERATE_LEVEL_DEGRADED,
    .mode = DERATE_HOLD_MODE_EXACT,
    .who = "ana",
    .reason = "test",
    .ttl = G_TIME_SPAN_HOUR,
  };
  g_autoptr (GError) error = NULL;
  g_autofree char *exact = NULL;
  g_autofree char *floor = NULL;

  fixture_begin (f);
  exact = derate_degradation_manager_take_hold (f->manager, &request, &error);
  g_assert_no_error (error);
  fixture_drill (f, DATABASE, DOWN);
  fixture_assert_level (f, "minimal");
  fixture_assert_rule (f, "database-limited");
  request.mode = DERATE_HOLD_MODE_AT_LEAST;
  request.level = DERATE_LEVEL_EMERGENCY;
  floor = derate_degradation_manager_take_hold (f->manager, &request, &error);
  g_assert_no_error (error);
  fixture_assert_level (f, "emergency");
  fixture_assert_rule (f, "hold");
}

static void
test_masks (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *id = NULL;

  fixture_begin (f);
  id = derate_degradation_manager_hold (f->manager, DERATE_LEVEL_OPTIMAL, DERATE_HOLD_MODE_EXACT,
                                        "ana", "test", G_TIME_SPAN_HOUR, &error);
  g_assert_no_error (error);
  fixture_drill (f, DATABASE, DOWN);
  fixture_assert_level (f, "optimal");
  g_assert_false (derate_decider_masks_outage (&f->manager->decider));
  fixture_set_status (f, REDIS, DOWN);
  g_assert_true (derate_decider_masks_outage (&f->manager->decider));
}

static const struct
{
  const char *path;
  const char *real; /* of the four services: H D X */
  const char *pretended; /* H: nothing */
  const char *what_if; /* of the drill asked for */
  const char *level;
  const char *rule;
} what_ifs[] = {
  { "alone", "HHHH", "HHHH", "HXHH", "degraded", "dependency-down" },
  { "the-worst-of-both", "HXHH", "HHHH", "HDHH", "degraded", "dependency-down" },
  { "nothing", "HHHH", "HHHH", "HHHH", "optimal", "all-well" },
  { "with-an-outage", "XHHH", "HHHH", "HXHH", "emergency", "reads-impossible" },
  { "with-another-drill", "HHHH", "HHXH", "HXHH", "limited", "ai-and-cache" },
  { "two-of-one-breaker", "DHHH", "HHHH", "HHXX", "emergency", "critical-and-others" },
};

static DerateHealthStatus
status_of (char letter)
{
  return letter == 'H' ? HEALTHY : letter == 'D' ? DEGRADED : DOWN;
}

/* Said beforehand, and nothing has changed for it. */
static void
test_what_if (Fixture *f, gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autoptr (GPtrArray) services = g_ptr_array_new ();
  DerateHealthStatus statuses[N_SERVICES];
  g_autofree char *rule = NULL;
  DerateLevel level;
  DerateLevel before;

  fixture_begin (f);
  for (guint s = 0; s < N_SERVICES; s++)
    {
      fixture_set_status (f, s, status_of (what_ifs[i].real[s]));
      if (what_ifs[i].pretended[s] != 'H')
        fixture_drill (f, s, status_of (what_ifs[i].pretended[s]));
      if (what_ifs[i].what_if[s] == 'H')
        continue;
      statuses[services->len] = status_of (what_ifs[i].what_if[s]);
      g_ptr_array_add (services, g_ptr_array_index (f->services, s));
    }
  before = derate_degradation_manager_get_level (f->manager);
  level = derate_degradation_manager_what_if (f->manager, services, statuses, &rule);
  g_assert_cmpstr (derate_level_get_nick (level), ==, what_ifs[i].level);
  g_assert_cmpstr (rule, ==, what_ifs[i].rule);
  g_assert_cmpint (derate_degradation_manager_get_level (f->manager), ==, before);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
#define ADD(name, func)                                                              \
  g_test_add ("/degradation/drill-level/" name, Fixture, NULL, fixture_set_up, func, \
              fixture_tear_down)
  ADD ("like-a-floor", test_like_a_floor);
  ADD ("outage-below", test_outage_below);
  ADD ("not-flapping", test_not_flapping);
  ADD ("same-level", test_same_level);
  ADD ("limit", test_limit);
  ADD ("limits", test_limits);
  ADD ("gates", test_gates);
  ADD ("holds", test_holds);
  ADD ("masks-no-outage", test_masks);
#undef ADD
  for (guint i = 0; i < G_N_ELEMENTS (what_ifs); i++)
    {
      g_autofree char *path = g_strconcat ("/degradation/what-if/", what_ifs[i].path, NULL);

      g_test_add (path, Fixture, GUINT_TO_POINTER (i), fixture_set_up, test_what_if,
                  fixture_tear_down);
    }
  return g_test_run ();
}
