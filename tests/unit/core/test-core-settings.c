/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>
#include <string.h>

#include "../health/fake-check.h"

/* What the file says of levels, recovery, rules and features is what the core does. Each story is a
 * configuration and words: NAME=down opens the breaker of a service and NAME=up closes it, NAME=GGB
 * is two good calls and a bad one; +N lets seconds pass; NAME:on, :queued and :off is a feature, a
 * level the level, enforced:LEVEL what the program is to act on, (ID) the rule that decided,
 * open:NAME and shut:NAME the gate of a feature. */

#define FOUR                                                                              \
  "[service db]\nrole=database\n[service redis]\nrole=cache\n[service openai]\nrole=ai\n" \
  "[service s3]\nrole=storage\n"
#define AT_ONCE "recovery-interval=1s\nrecovery-hold=0\n"

typedef struct
{
  const char *name;
  const char *derate; /* keys of [derate] */
  const char *rest;
  const char *story;
} Story;

static const Story stories[] = {
  { "defaults", "", FOUR,
    "optimal redis=down degraded (dependency-down) cache:off redis=up +29 degraded +1 optimal "
    "db=down minimal enforced:minimal writes:off reads:on" },
  { "enforced", "enforce=on\n", FOUR,
    "db=down minimal enforced:minimal writes:off shut:writes open:reads" },
  { "not-enforced", "enforce=off\n", FOUR,
    "db=down minimal (database-limited) enforced:optimal writes:off open:writes db=up +30 "
    "optimal" },
  { "interval", "recovery-interval=7s\nrecovery-hold=0\n", FOUR,
    "redis=down redis=up +6 degraded +1 optimal" },
  { "hold", "recovery-interval=2s\nrecovery-hold=60s\n", FOUR,
    "redis=down redis=up +59 degraded +1 optimal" },
  { "direct", "recovery=direct\n" AT_ONCE, FOUR, "db=down minimal db=up +1 optimal" },
  { "stepwise", "recovery=stepwise\n" AT_ONCE, FOUR,
    "db=down minimal db=up +1 limited +1 degraded +1 optimal" },
  { "damping", "recovery-interval=1s\nrecovery-hold=3s\n", FOUR,
    "redis=down redis=up +3 optimal redis=down redis=up +5 degraded +1 optimal" },
  { "no-damping", "recovery-interval=1s\nrecovery-hold=3s\nrecovery-damping=off\n", FOUR,
    "redis=down redis=up +3 optimal redis=down redis=up +3 optimal" },
  { "extend", "rules=extend\n", FOUR "[rule own]\nwhen=s3=down\nlevel=limited\n",
    "s3=down limited (own) redis=down limited db=down emergency" },
  { "extend-unless-said", "", FOUR "[rule own]\nwhen=s3=down\nlevel=limited\n",
    "db=down minimal (database-limited)" },
  { "replace", "rules=replace\n", FOUR "[rule own]\nwhen=s3=down\nlevel=limited\n",
    "db=down redis=down optimal (all-well) s3=down limited (own)" },
  { "own-features", "",
    FOUR "[feature search]\nneeds=redis s3|db\nuntil=degraded\n"
         "[feature ai]\nneeds=openai\nuntil=minimal\n",
    "search:on ai:on openai=down ai:off search:on openai=up s3=down search:on s3=up redis=down "
    "search:off redis=up +30 search:on db=down minimal search:off ai:on writes:off" },
  { "criticality", AT_ONCE,
    "[service a]\n[service b]\ncriticality=high\n"
    "[service c]\ncriticality=critical\n[service d]\ncriticality=critical\n"
    "[service e]\ncriticality=low\n",
    "a=down degraded (service-down) e=down degraded b=down limited (services-down) a=up b=up e=up "
    "+1 optimal c=down minimal (critical-limited) d=down emergency (criticals-down)" },
  { "roles-outrank-criticality", "",
    "[service s3]\nrole=storage\ncriticality=critical\n[service x]\ncriticality=critical\n",
    "s3=down degraded (dependency-down) x=down minimal (critical-limited)" },
  { "degraded-rate", "", "[service a]\ncriticality=critical\nbreaker-degraded-rate=0.1\n",
    "a=GGBGGGGBGG minimal (critical-limited)" },
  { "degraded-rate-is-half", "", "[service a]\ncriticality=critical\n",
    "a=GGBGGGGBGG optimal a=GBGGBGGBGG minimal" },
};

typedef struct
{
  const Story *story;
  DerateClock *clock;
  DerateCore *core;
  DerateDegradationManager *manager;
} Run;

static void
on_started (GObject *source, GAsyncResult *result, gpointer data)
{
  *(gboolean *)data = derate_core_start_finish (DERATE_CORE (source), result, NULL);
}

static void
advance (Run *run, GTimeSpan span)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (run->clock), span);
}

static void
call (DerateBreaker *breaker, const char *outcomes)
{
  for (const char *p = outcomes; *p != '\0'; p++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
      if (*p == 'G')
        derate_permit_succeed (&permit);
      else
        derate_permit_fail (&permit, NULL);
    }
}

static gboolean
set_service (Run *run, const char *word)
{
  g_auto (GStrv) parts = g_strsplit (word, "=", 2);
  g_autoptr (DerateBreaker) breaker =
      parts[1] != NULL ? derate_core_lookup_breaker (run->core, parts[0]) : NULL;

  if (breaker == NULL)
    return FALSE;
  if (strcmp (parts[1], "down") == 0)
    g_assert_true (derate_breaker_trip (breaker, NULL));
  else if (strcmp (parts[1], "up") == 0)
    derate_breaker_close (breaker);
  else
    call (breaker, parts[1]);
  return TRUE;
}

static void
expect_feature (Run *run, const char *name, const char *mode)
{
  g_autoptr (GVariant) features = derate_degradation_manager_dup_features (run->manager);
  g_autoptr (GVariant) feature = g_variant_lookup_value (features, name, G_VARIANT_TYPE_VARDICT);
  const char *found = NULL;

  g_assert_nonnull (feature);
  g_variant_lookup (feature, "mode", "&s", &found);
  g_assert_cmpstr (found, ==, mode);
}

static void
expect (Run *run, const char *word)
{
  const char *colon = strchr (word, ':');

  if (word[0] == '(')
    {
      g_autofree char *rule = derate_degradation_manager_dup_rule (run->manager);
      g_autofree char *found = g_strdup_printf ("(%s)", rule);

      g_assert_cmpstr (found, ==, word);
    }
  else if (g_str_has_prefix (word, "enforced:"))
    g_assert_cmpstr (derate_level_get_nick (
                         derate_degradation_manager_get_enforced_level (run->manager)),
                     ==, colon + 1);
  else if (g_str_has_prefix (word, "open:") || g_str_has_prefix (word, "shut:"))
    {
      g_autoptr (DerateGate) gate = derate_degradation_manager_get_gate (run->manager, colon + 1);

      g_assert_cmpint (derate_gate_is_open (gate), ==, word[0] == 'o');
    }
  else if (colon != NULL)
    {
      g_autofree char *name = g_strndup (word, (gsize)(colon - word));

      expect_feature (run, name, colon + 1);
    }
  else
    g_assert_cmpstr (derate_level_get_nick (derate_degradation_manager_get_level (run->manager)),
                     ==, word);
}

static void
begin (Run *run, const char *derate, const char *rest)
{
  g_autofree char *text = g_strconcat ("[derate]\nname=shop\n", derate, rest, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateConfig) config = derate_config_new_from_data (text, "shop.conf", &error);
  gboolean started = FALSE;

  g_assert_no_error (error);
  run->clock = derate_manual_clock_new ();
  run->core = derate_core_new_from_config (config, run->clock, &error);
  g_assert_no_error (error);
  run->manager = derate_core_get_degradation_manager (run->core);
  derate_core_start_async (run->core, NULL, on_started, &started);
  advance (run, 0);
  g_assert_true (started);
}

static void
end (Run *run)
{
  derate_core_stop_async (run->core, NULL, NULL, NULL);
  advance (run, 0);
  g_assert_finalize_object (run->core);
  g_object_unref (run->clock);
}

static void
test_story (gconstpointer data)
{
  Run run = { .story = data };
  g_auto (GStrv) words = g_strsplit (run.story->story, " ", -1);

  begin (&run, run.story->derate, run.story->rest);
  for (guint i = 0; words[i] != NULL; i++)
    {
      g_test_message ("%s", words[i]);
      if (words[i][0] == '+')
        advance (&run, atoi (words[i] + 1) * G_TIME_SPAN_SECOND);
      else if (!set_service (&run, words[i]))
        expect (&run, words[i]);
    }
  end (&run);
}

/* With ENABLE_RESILIENCE=false nothing is enforced, whatever the file says. */
static void
test_disabled (void)
{
  Run run = { 0 };

  g_setenv ("ENABLE_RESILIENCE", "false", TRUE);
  begin (&run, "enforce=on\n", FOUR);
  g_unsetenv ("ENABLE_RESILIENCE");
  g_assert_true (derate_degradation_manager_set_level (run.manager, DERATE_LEVEL_EMERGENCY, NULL));
  expect (&run, "emergency");
  expect (&run, "enforced:optimal");
  expect (&run, "open:writes");
  end (&run);
}

/* How long the first level waits for a check that does not answer. */
static void
test_grace (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateConfig) config =
      derate_config_new_from_data ("[derate]\nname=shop\ngrace=1s\n", "shop.conf", NULL);
  g_autoptr (DerateCore) core = derate_core_new_from_config (config, clock, NULL);
  g_autoptr (DerateService) service =
      derate_service_new ("silent", DERATE_SERVICE_ROLE_CACHE, clock);
  g_autoptr (FakeCheck) check = fake_check_new (clock);
  gboolean started = FALSE;

  check->behaviour = FAKE_HANG;
  derate_service_set_health_check (service, DERATE_HEALTH_CHECK (check));
  g_assert_true (derate_core_add_service (core, service, NULL));
  derate_core_start_async (core, NULL, on_started, &started);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), G_TIME_SPAN_SECOND - 1);
  g_assert_false (derate_core_is_ready (core));
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 1);
  g_assert_true (derate_core_is_ready (core));
  g_assert_true (started);
  derate_core_stop_async (core, NULL, NULL, NULL);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  for (guint i = 0; i < G_N_ELEMENTS (stories); i++)
    {
      g_autofree char *path = g_strconcat ("/core/settings/", stories[i].name, NULL);

      g_test_add_data_func (path, &stories[i], test_story);
    }
  g_test_add_func ("/core/settings/disabled", test_disabled);
  g_test_add_func ("/core/settings/grace", test_grace);
  return g_test_run ();
}
