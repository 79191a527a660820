/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>
#include <glib/gstdio.h>
#include <string.h>

/* What the environment says of a core that no file describes. */

static DerateService *
add_service (DerateCore *core, DerateClock *clock)
{
  g_autoptr (DerateBreaker) breaker = derate_breaker_new_with_clock ("openai", NULL, clock);
  DerateService *service = derate_service_new ("openai", DERATE_SERVICE_ROLE_AI, clock);
  g_autoptr (GError) error = NULL;

  derate_service_set_breaker (service, breaker);
  g_assert_true (derate_core_add_service (core, service, &error));
  g_assert_no_error (error);
  return service;
}

static void
on_started (GObject *source, GAsyncResult *result, gpointer data)
{
  *(gboolean *)data = derate_core_start_finish (DERATE_CORE (source), result, NULL);
}

static void
test_disabled (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateCore) core = NULL;
  g_autoptr (DerateService) service = NULL;
  g_autoptr (DerateBreaker) made = NULL;
  g_autoptr (DerateGate) gate = NULL;
  DerateDegradationManager *manager;
  gboolean started = FALSE;

  g_setenv ("ENABLE_RESILIENCE", "false", TRUE);
  core = derate_core_new ("shop", clock, &error);
  g_unsetenv ("ENABLE_RESILIENCE");
  g_assert_no_error (error);
  manager = derate_core_get_degradation_manager (core);
  service = add_service (core, clock);
  made = derate_breaker_registry_get_or_create (derate_core_get_breakers (core), "own", NULL, NULL);
  g_assert_cmpint (derate_breaker_get_mode (made), ==, DERATE_BREAKER_MODE_DISABLED);
  g_assert_cmpint (derate_breaker_get_mode (derate_service_get_breaker (service)), ==,
                   DERATE_BREAKER_MODE_DISABLED);

  /* The level goes on and is shown; gates let everything through. */
  derate_core_start_async (core, NULL, on_started, &started);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 0);
  g_assert_true (started);
  derate_degradation_manager_set_level (manager, DERATE_LEVEL_EMERGENCY, &error);
  g_assert_no_error (error);
  g_assert_cmpint (derate_degradation_manager_get_level (manager), ==, DERATE_LEVEL_EMERGENCY);
  g_assert_cmpint (derate_degradation_manager_get_enforced_level (manager), ==,
                   DERATE_LEVEL_OPTIMAL);
  gate = derate_degradation_manager_get_gate (manager, "ai");
  g_assert_true (derate_gate_is_open (gate));

  /* A drill would hit breakers that are asked, and no pipeline. */
  g_assert_null (derate_core_start_drill (core, "openai", DERATE_FAULT_KIND_DOWN, 0,
                                          G_TIME_SPAN_MINUTE, DERATE_LEVEL_UNKNOWN, "try", &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE);
  g_clear_error (&error);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 0);
}

static void
test_refused (void)
{
  static const char *const names[] = {
    "ENABLE_RESILIENCE",         "ENABLE_RESILIENCE_METRICS",      "ENABLE_RESILIENCE_LOGGING",
    "DEFAULT_FAILURE_THRESHOLD", "DEFAULT_RECOVERY_TIMEOUT",       "DEFAULT_MAX_RETRIES",
    "DEFAULT_TIMEOUT",           "RESILIENCE_MONITORING_INTERVAL", "RESILIENCE_ALERT_THRESHOLD",
    "SLOW_QUERY_THRESHOLD_MS",   "ENABLE_QUERY_LOGGING",           "DERATE_DEBUG",
  };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (GError) error = NULL;
      DerateCore *core;

      g_setenv (names[i], "many", TRUE);
      core = derate_core_new ("shop", NULL, &error);
      g_unsetenv (names[i]);
      g_assert_null (core);
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_assert_nonnull (strstr (error->message, names[i]));
    }
}

/* systemd names every folder of the unit; the holds are in the first. */
static void
test_state_directory (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autofree char *folder = g_dir_make_tmp ("derate-state-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "holds.conf", NULL);
  g_autofree char *both = g_strconcat (folder, ":/nonexistent/derate", NULL);
  g_autoptr (DerateConfig) config =
      derate_config_new_from_data ("[derate]\nname=shop\n", "shop.conf", NULL);
  g_autoptr (DerateCore) core = NULL;
  g_autofree char *id = NULL;
  g_autofree char *text = NULL;

  g_setenv ("STATE_DIRECTORY", both, TRUE);
  core = derate_core_new_from_config (config, clock, NULL);
  g_unsetenv ("STATE_DIRECTORY");
  id = derate_degradation_manager_hold (derate_core_get_degradation_manager (core),
                                        DERATE_LEVEL_LIMITED, DERATE_HOLD_MODE_AT_LEAST, "ana",
                                        "test", G_TIME_SPAN_MINUTE, NULL);
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_nonnull (strstr (text, id));
  g_unlink (path);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

/* To make a core is not to run it: `derated --check` leaves the holds of the program that does
 * alone, those that have ended and those nobody can read. */
static void
test_state_is_left_alone (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autofree char *folder = g_dir_make_tmp ("derate-state-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "holds.conf", NULL);
  g_autofree char *aside = g_strconcat (path, ".bad", NULL);
  g_autofree char *text = g_strdup_printf ("[derate]\nname=shop\nstate-dir=%s\n", folder);
  g_autoptr (DerateConfig) config = derate_config_new_from_data (text, "shop.conf", NULL);
  g_autoptr (DerateCore) first = derate_core_new_from_config (config, clock, NULL);
  g_autofree char *before = NULL;

  g_free (derate_degradation_manager_hold (derate_core_get_degradation_manager (first),
                                           DERATE_LEVEL_LIMITED, DERATE_HOLD_MODE_AT_LEAST, "ana",
                                           "test", G_TIME_SPAN_MINUTE, NULL));
  g_assert_true (g_file_get_contents (path, &before, NULL, NULL));
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (DerateCore) second = NULL;
      g_autofree char *after = NULL;

      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 2 * G_TIME_SPAN_MINUTE);
      second = derate_core_new_from_config (config, clock, NULL);
      g_assert_nonnull (second);
      g_clear_object (&second);
      g_assert_true (g_file_get_contents (path, &after, NULL, NULL));
      g_assert_cmpstr (after, ==, before);
      g_assert_false (g_file_test (aside, G_FILE_TEST_EXISTS));
      g_free (before);
      before = g_strdup ("nonsense");
      g_assert_true (g_file_set_contents (path, before, -1, NULL));
    }
  g_unlink (path);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  g_test_add_func ("/core/environment/disabled", test_disabled);
  g_test_add_func ("/core/environment/refused", test_refused);
  g_test_add_func ("/core/environment/state-directory", test_state_directory);
  g_test_add_func ("/core/environment/state-is-left-alone", test_state_is_left_alone);
  return g_test_run ();
}
