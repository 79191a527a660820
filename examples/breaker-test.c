/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A test of one's own degradation: a minute passes at once. */
#include <derate.h>

static gboolean
try_call (DerateBreaker *breaker, gboolean works)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  if (!derate_breaker_acquire (breaker, &permit, NULL))
    return FALSE;
  if (works)
    derate_permit_succeed (&permit);
  else
    derate_permit_fail (&permit, NULL);
  return TRUE;
}

static void
test_a_dead_backend_is_spared (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
  g_autoptr (DerateBreaker) breaker = NULL;

  derate_breaker_config_set_open_duration_jitter (config, 0);
  breaker = derate_breaker_new_with_clock ("backend", config, clock);
  for (guint i = 0; i < 5; i++)
    g_assert_true (try_call (breaker, FALSE));
  g_assert_false (try_call (breaker, TRUE));

  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 59 * G_TIME_SPAN_SECOND);
  g_assert_false (try_call (breaker, TRUE));
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 1 * G_TIME_SPAN_SECOND);
  g_assert_true (try_call (breaker, TRUE));
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_HALF_OPEN);
  g_assert_true (try_call (breaker, TRUE));
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_CLOSED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* That the breaker opened is a warning, which g_test takes for a bug. */
  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
  g_test_add_func ("/backend/dead", test_a_dead_backend_is_spared);
  return g_test_run ();
}
