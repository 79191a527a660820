/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Services die and heal; the level says what is left, and comes back by itself. */
#include <derate.h>

static const char *const names[] = { "redis", "openai", "database" };
static const DerateServiceRole roles[] = { DERATE_SERVICE_ROLE_CACHE, DERATE_SERVICE_ROLE_AI,
                                           DERATE_SERVICE_ROLE_DATABASE };
static const guint dies[] = { 10, 20, 30 }; /* seconds */
static const guint heals[] = { 60, 40, 50 };

static void
on_level_changed (gpointer manager, DerateLevel from, DerateLevel to, char *rule, guint *second)
{
  g_print ("%3us  %s by rule %s: %s\n", *second, derate_level_get_nick (to), rule,
           derate_level_get_text (to));
}

static void
call (DerateCore *core, guint i, guint second)
{
  g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (core, names[i]);
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  if (!derate_breaker_acquire (breaker, &permit, NULL))
    return; /* spared; a fallback would answer here */
  if (second < dies[i] || second >= heals[i])
    derate_permit_succeed (&permit);
  else
    derate_permit_fail (&permit, NULL);
}

int
main (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateCore) core = derate_core_new ("hello", clock, NULL);
  guint second = 0;

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (DerateService) service = derate_service_new (names[i], roles[i], clock);
      g_autoptr (DerateBreaker) breaker = derate_breaker_new_with_clock (names[i], NULL, clock);

      derate_service_set_breaker (service, breaker);
      derate_core_add_service (core, service, NULL);
    }
  g_signal_connect (derate_core_get_degradation_manager (core), "level-changed",
                    G_CALLBACK (on_level_changed), &second);
  derate_core_start_async (core, NULL, NULL, NULL);
  for (; second < 130; second++)
    {
      for (guint i = 0; i < G_N_ELEMENTS (names); i++)
        call (core, i, second);
      derate_manual_clock_advance ((gpointer)clock, G_TIME_SPAN_SECOND);
    }
  return 0;
}
