/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>

#include "derate-recovery-private.h"

#define S G_TIME_SPAN_SECOND
#define START (1000 * S)

static void
assert_hold (DerateRecovery *recovery, gint64 now, guint seconds)
{
  g_assert_cmpint (derate_recovery_get_hold (recovery, now), ==, seconds * S);
  g_assert_cmpint (derate_recovery_is_flapping (recovery, now), ==, seconds > 30);
}

static void
test_ticks_are_anchored (void)
{
  DerateRecovery recovery;

  derate_recovery_init (&recovery, START);
  g_assert_cmpint (derate_recovery_next_tick (&recovery, START), ==, START + 30 * S);
  g_assert_cmpint (derate_recovery_next_tick (&recovery, START + 29 * S), ==, START + 30 * S);
  /* On a tick the next one follows, and those that were missed are one. */
  g_assert_cmpint (derate_recovery_next_tick (&recovery, START + 30 * S), ==, START + 60 * S);
  g_assert_cmpint (derate_recovery_next_tick (&recovery, START + 301 * S), ==, START + 330 * S);
}

static void
test_hold_since_worsening (void)
{
  DerateRecovery recovery;

  derate_recovery_init (&recovery, START);
  derate_recovery_worsened (&recovery, START);
  g_assert_cmpint (derate_recovery_climb (&recovery, DERATE_LEVEL_EMERGENCY, DERATE_LEVEL_OPTIMAL,
                                          START + 30 * S - 1),
                   ==, DERATE_LEVEL_EMERGENCY);
  g_assert_cmpint (derate_recovery_climb (&recovery, DERATE_LEVEL_EMERGENCY, DERATE_LEVEL_OPTIMAL,
                                          START + 30 * S),
                   ==, DERATE_LEVEL_OPTIMAL);
  /* Never worse. */
  g_assert_cmpint (derate_recovery_climb (&recovery, DERATE_LEVEL_DEGRADED, DERATE_LEVEL_MINIMAL,
                                          START + 60 * S),
                   ==, DERATE_LEVEL_DEGRADED);
}

static void
test_stepwise (void)
{
  static const DerateLevel path[] = { DERATE_LEVEL_EMERGENCY, DERATE_LEVEL_MINIMAL,
                                      DERATE_LEVEL_LIMITED, DERATE_LEVEL_DEGRADED,
                                      DERATE_LEVEL_OPTIMAL };
  DerateRecovery recovery;

  derate_recovery_init (&recovery, START);
  recovery.mode = DERATE_RECOVERY_MODE_STEPWISE;
  for (guint i = 0; i + 1 < G_N_ELEMENTS (path); i++)
    g_assert_cmpint (derate_recovery_climb (&recovery, path[i], DERATE_LEVEL_OPTIMAL,
                                            START + (i + 1) * 30 * S),
                     ==, path[i + 1]);
  g_assert_cmpint (derate_recovery_climb (&recovery, DERATE_LEVEL_EMERGENCY, DERATE_LEVEL_MINIMAL,
                                          START + 300 * S),
                   ==, DERATE_LEVEL_MINIMAL);
}

/* Worsens, improves a minute later, worsens again a minute later, …: 30 60 120 240 480 600 600. */
static void
test_doubling_to_the_cap (void)
{
  static const guint expected[] = { 30, 60, 120, 240, 480, 600, 600, 600 };
  DerateRecovery recovery;
  gint64 now = START;

  derate_recovery_init (&recovery, START);
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    {
      derate_recovery_worsened (&recovery, now);
      assert_hold (&recovery, now, expected[i]);
      now += 60 * S;
      derate_recovery_improved (&recovery, now);
      now += 60 * S;
    }
}

/* Exactly 120 s after the improvement still counts, later does not. */
static void
test_relapse_window (void)
{
  DerateRecovery recovery;

  derate_recovery_init (&recovery, START);
  derate_recovery_worsened (&recovery, START);
  derate_recovery_improved (&recovery, START + 30 * S);
  derate_recovery_worsened (&recovery, START + 150 * S + 1);
  assert_hold (&recovery, START + 151 * S, 30);
  derate_recovery_improved (&recovery, START + 200 * S);
  derate_recovery_worsened (&recovery, START + 320 * S);
  assert_hold (&recovery, START + 320 * S, 60);
}

static void
test_cascade_is_one_incident (void)
{
  DerateRecovery recovery;

  derate_recovery_init (&recovery, START);
  derate_recovery_worsened (&recovery, START);
  derate_recovery_improved (&recovery, START + 30 * S);
  for (guint i = 0; i < 4; i++)
    derate_recovery_worsened (&recovery, START + 40 * S + i * S);
  assert_hold (&recovery, START + 44 * S, 60);
  /* The hold counts from the last of them. */
  g_assert_cmpint (derate_recovery_climb (&recovery, DERATE_LEVEL_MINIMAL, DERATE_LEVEL_OPTIMAL,
                                          START + 103 * S - 1),
                   ==, DERATE_LEVEL_MINIMAL);
  g_assert_cmpint (derate_recovery_climb (&recovery, DERATE_LEVEL_MINIMAL, DERATE_LEVEL_OPTIMAL,
                                          START + 103 * S),
                   ==, DERATE_LEVEL_OPTIMAL);
}

static void
test_quiet_resets (void)
{
  DerateRecovery recovery;
  gint64 improved = START + 150 * S;

  derate_recovery_init (&recovery, START);
  derate_recovery_worsened (&recovery, START);
  derate_recovery_improved (&recovery, START + 30 * S);
  derate_recovery_worsened (&recovery, START + 60 * S);
  derate_recovery_improved (&recovery, improved);
  assert_hold (&recovery, improved + 900 * S - 1, 60);
  assert_hold (&recovery, improved + 900 * S, 30);
}

static void
test_damping_off (void)
{
  DerateRecovery recovery;

  derate_recovery_init (&recovery, START);
  recovery.damping = FALSE;
  for (guint i = 0; i < 5; i++)
    {
      derate_recovery_worsened (&recovery, START + i * 60 * S);
      derate_recovery_improved (&recovery, START + i * 60 * S + 30 * S);
    }
  assert_hold (&recovery, START + 300 * S, 30);
}

static void
test_first_worsening_of_all (void)
{
  DerateRecovery recovery;

  /* Soon after the start of the clock nothing has improved yet. */
  derate_recovery_init (&recovery, S);
  derate_recovery_worsened (&recovery, 2 * S);
  assert_hold (&recovery, 2 * S, 30);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add_func ("/degradation/recovery/" name, func)
  ADD ("ticks-are-anchored", test_ticks_are_anchored);
  ADD ("hold-since-worsening", test_hold_since_worsening);
  ADD ("stepwise", test_stepwise);
  ADD ("doubling-to-the-cap", test_doubling_to_the_cap);
  ADD ("relapse-window", test_relapse_window);
  ADD ("cascade-is-one-incident", test_cascade_is_one_incident);
  ADD ("quiet-resets", test_quiet_resets);
  ADD ("damping-off", test_damping_off);
  ADD ("first-worsening-of-all", test_first_worsening_of_all);
  return g_test_run ();
}
