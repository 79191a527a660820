/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "../health/fake-check.h"

/* A configuration that changes under services that run. */

typedef struct
{
  DerateClock *clock;
  DerateCore *core;
  char *path;
  FakeCheck *check; /* the last that was made */
  gboolean started;
} Fixture;

#define OLD "[service cache]\nrole=cache\n"

/* Where make_check () finds it: a plugin has no data of the test's. */
static Fixture *current;

static DerateHealthCheck *
make_check (const char *service, GVariant *options, gpointer data, GError **error)
{
  g_clear_object (&current->check);
  current->check = fake_check_new (current->clock);
  current->check->delay = G_TIME_SPAN_SECOND / 2; /* not slow */
  return g_object_ref (DERATE_HEALTH_CHECK (current->check));
}

static gboolean
register_fake (DeratePluginRegistrar *registrar, GError **error)
{
  derate_plugin_registrar_add_health_check (registrar, NULL, make_check, NULL, NULL);
  return TRUE;
}

static const DeratePluginDescriptor plugin = {
  .magic = DERATE_PLUGIN_MAGIC,
  .struct_size = sizeof plugin,
  .abi_major = DERATE_PLUGIN_ABI_MAJOR,
  .abi_minor = DERATE_PLUGIN_ABI_MINOR,
  .name = "fake",
  .version = "1",
  .license = "LGPL-2.1-or-later",
  .description = "answers what the test says",
  .register_func = register_fake,
};

static void
on_started (GObject *source, GAsyncResult *result, gpointer data)
{
  *(gboolean *)data = derate_core_start_finish (DERATE_CORE (source), result, NULL);
}

static void
write_config (Fixture *f, const char *services)
{
  g_autofree char *text = g_strconcat ("[derate]\nname=shop\n", services, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_set_contents (f->path, text, -1, &error));
  g_assert_no_error (error);
}

static void
advance (Fixture *f, guint seconds)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (f->clock), seconds * G_TIME_SPAN_SECOND);
}

static void
set_up (Fixture *f, gconstpointer services)
{
  g_autoptr (GError) error = NULL;
  int fd = g_file_open_tmp ("derate-XXXXXX.conf", &f->path, &error);

  g_assert_no_error (error);
  close (fd);
  current = f;
  f->clock = derate_manual_clock_new ();
  write_config (f, OLD);
  f->core = derate_core_new_from_file (f->path, f->clock, &error);
  g_assert_no_error (error);
  derate_plugin_loader_add_static (derate_core_get_plugins (f->core), &plugin, &error);
  g_assert_no_error (error);
  derate_core_start_async (f->core, NULL, on_started, &f->started);
  advance (f, 0);
  g_assert_true (f->started);
}

static void
tear_down (Fixture *f, gconstpointer services)
{
  derate_core_stop_async (f->core, NULL, NULL, NULL);
  advance (f, 5);
  g_assert_finalize_object (f->core);
  g_clear_object (&f->check);
  g_object_unref (f->clock);
  g_unlink (f->path);
  g_free (f->path);
}

static void
reload (Fixture *f, const char *services)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) changes = NULL;

  write_config (f, services);
  changes = derate_core_reload (f->core, &error);
  g_assert_no_error (error);
}

static void
assert_level (Fixture *f, DerateLevel level)
{
  DerateDegradationManager *manager = derate_core_get_degradation_manager (f->core);

  g_assert_cmpstr (derate_level_get_nick (derate_degradation_manager_get_level (manager)), ==,
                   derate_level_get_nick (level));
}

/* Nobody knows yet how a service is that has just come, or has just got a check: that alone makes
 * the level no worse. */
static void
test_new_check (Fixture *f, gconstpointer services)
{
  assert_level (f, DERATE_LEVEL_OPTIMAL);
  reload (f, services);
  assert_level (f, DERATE_LEVEL_OPTIMAL);
  advance (f, 0);
  assert_level (f, DERATE_LEVEL_OPTIMAL);
  g_assert_cmpuint (f->check->n_started, ==, 1);
  advance (f, 1);
  assert_level (f, DERATE_LEVEL_OPTIMAL);
  advance (f, 120);
  assert_level (f, DERATE_LEVEL_OPTIMAL);
}

/* What the first check finds counts at once. */
static void
test_new_and_down (Fixture *f, gconstpointer services)
{
  reload (f, OLD "[service openai]\nrole=ai\nplugin=fake\n");
  fake_check_set (f->check, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED, "refused");
  advance (f, 0);
  assert_level (f, DERATE_LEVEL_OPTIMAL);
  advance (f, 1);
  assert_level (f, DERATE_LEVEL_DEGRADED);
}

/* And a check that does not answer is not waited for longer than when the core starts. */
static void
test_new_and_silent (Fixture *f, gconstpointer services)
{
  reload (f, OLD "[service openai]\nrole=ai\nplugin=fake\ncheck-timeout=9s\n");
  f->check->behaviour = FAKE_HANG;
  advance (f, 4);
  assert_level (f, DERATE_LEVEL_OPTIMAL);
  advance (f, 1);
  assert_level (f, DERATE_LEVEL_DEGRADED);
}

static gboolean
has_breaker (Fixture *f, const char *name)
{
  g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (f->core, name);

  return breaker != NULL;
}

/* A breaker goes with the last service that uses it, whatever its name is. */
static void
test_shared_breaker (Fixture *f, gconstpointer services)
{
  reload (f, "[service a]\nbreaker=both\n[service b]\nbreaker=a\n[service c]\nbreaker=both\n");
  g_assert_true (has_breaker (f, "both"));
  g_assert_false (has_breaker (f, "cache"));
  reload (f, "[service b]\nbreaker=a\n[service c]\nbreaker=both\n");
  g_assert_true (has_breaker (f, "a"));
  g_assert_true (has_breaker (f, "both"));
  reload (f, "[service b]\n[service c]\n");
  g_assert_true (has_breaker (f, "b"));
  g_assert_true (has_breaker (f, "c"));
  g_assert_false (has_breaker (f, "a"));
  g_assert_false (has_breaker (f, "both"));
}

/* The file sets the mode when it says something new; what an operator did stays otherwise. */
static void
test_breaker_mode (Fixture *f, gconstpointer services)
{
  g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (f->core, "cache");

  reload (f, OLD "breaker-mode=forced-open\n");
  g_assert_cmpint (derate_breaker_get_mode (breaker), ==, DERATE_BREAKER_MODE_FORCED_OPEN);
  assert_level (f, DERATE_LEVEL_DEGRADED);
  reload (f, OLD);
  g_assert_cmpint (derate_breaker_get_mode (breaker), ==, DERATE_BREAKER_MODE_NORMAL);
  derate_breaker_set_mode (breaker, DERATE_BREAKER_MODE_METRICS_ONLY);
  reload (f, OLD "breaker-open-duration=7s\n");
  g_assert_cmpint (derate_breaker_get_mode (breaker), ==, DERATE_BREAKER_MODE_METRICS_ONLY);
}

static gboolean
is_failure (const GError *error, gpointer data)
{
  return !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

/* How a program judges errors is not in the file, and stays. */
static void
test_error_func (Fixture *f, gconstpointer services)
{
  g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (f->core, "cache");
  g_autoptr (DerateBreakerConfig) config = derate_breaker_dup_config (breaker);
  g_autoptr (GError) answer = g_error_new (G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "no such key");

  derate_breaker_config_set_error_func (config, is_failure, NULL, NULL);
  g_assert_true (derate_breaker_reconfigure (breaker, config, NULL));
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (DerateBreakerConfig) now = NULL;

      reload (f, OLD "breaker-open-duration=7s\n");
      now = derate_breaker_dup_config (breaker);
      g_assert_cmpint (derate_breaker_config_get_open_duration (now), ==, 7 * G_TIME_SPAN_SECOND);
      g_assert_false (derate_breaker_config_is_failure (now, answer));
    }
}

/* However often a file is read again, the level gets better. */
static void
test_recovery_goes_on (Fixture *f, gconstpointer services)
{
  g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (f->core, "cache");

  g_assert_true (derate_breaker_trip (breaker, NULL));
  assert_level (f, DERATE_LEVEL_DEGRADED);
  derate_breaker_close (breaker);
  for (guint i = 0; i < 3; i++)
    {
      advance (f, 20);
      reload (f, services);
    }
  assert_level (f, DERATE_LEVEL_OPTIMAL);
}

static const struct
{
  const char *text; /* of the whole file, over that of set_up () */
  const char *changes;
} told[] = {
  { "", "service cache removed" },
  { OLD, "" },
  { OLD "criticality=low\n", "service cache changed" },
  { OLD "breaker=b\n[breaker b]\nopen-duration=7s\n", "service cache changed" },
  { OLD "[service s3]\n", "service s3 added" },
  { OLD "[rule r]\nwhen=cache=down\nlevel=minimal\n", "rule r added" },
  { OLD "[feature f]\nneeds=cache\nuntil=limited\n", "feature f added" },
  { OLD "[fallback f]\nstrategy=error\n", "fallback f added" },
  { OLD "[queue q]\nmax-count=7\n", "queue q added" },
  { OLD "[http]\nport=0\n", "http changed" },
  { "enforce=off\n" OLD, "derate changed" },
  { "preset=critical\n" OLD, "service cache changed, derate changed" },
};

/* What a reload says, and what it says when all is as it was before. */
static void
test_told (Fixture *f, gconstpointer services)
{
  static const char *const ways[] = { "added", "removed" };

  for (guint i = 0; i < G_N_ELEMENTS (told); i++)
    {
      g_auto (GStrv) there = NULL;
      g_auto (GStrv) back = NULL;
      g_autofree char *text = NULL;
      g_autofree char *back_text = NULL;
      g_autoptr (GString) expected = g_string_new (told[i].changes);

      g_test_message ("%s", told[i].changes);
      write_config (f, told[i].text);
      there = derate_core_reload (f->core, NULL);
      text = g_strjoinv (", ", there);
      g_assert_cmpstr (text, ==, told[i].changes);

      write_config (f, OLD);
      back = derate_core_reload (f->core, NULL);
      back_text = g_strjoinv (", ", back);
      if (g_string_replace (expected, ways[0], ways[1], 0) == 0)
        g_string_replace (expected, ways[1], ways[0], 0);
      g_assert_cmpstr (back_text, ==, expected->str);
    }
}

static const struct
{
  const char *before;
  const char *after;
  const char *where;
} fixed[] = {
  { "", "name=other\n", "[derate], name" },
  { "", "metrics-prefix=a_\n", "[derate], metrics-prefix" },
  { "metrics-prefix=a_\n", "metrics-prefix=b_\n", "[derate], metrics-prefix" },
  { "metrics-prefix=a_\n", "", "[derate], metrics-prefix" },
  { "", "metrics-breaker-label=service\n", "[derate], metrics-breaker-label" },
  { "metrics-breaker-label=service\n", "", "[derate], metrics-breaker-label" },
  { "", "state-dir=/nonexistent/derate\n", "[derate], state-dir" },
  { "state-dir=/nonexistent/derate\n", "", "[derate], state-dir" },
  { "", "[dbus]\nbus=session\n", "[dbus], bus" },
  { "[dbus]\nbus=session\n", "[dbus]\nbus=system\n", "[dbus], bus" },
  { "[dbus]\nbus=session\n", "", "[dbus], bus" },
};

/* What cannot change while the program runs: the error names file and key, and nothing else of the
 * file is taken over. */
static void
test_fixed (Fixture *f, gconstpointer services)
{
  for (guint i = 0; i < G_N_ELEMENTS (fixed); i++)
    {
      const char *name = g_str_has_prefix (fixed[i].after, "name") ? "" : "name=shop\n";
      g_autofree char *before = g_strconcat ("[derate]\nname=shop\n", fixed[i].before, NULL);
      g_autofree char *after =
          g_strconcat ("[derate]\n", name, fixed[i].after, "[service s3]\n", NULL);
      g_autoptr (DerateCore) core = NULL;
      g_autoptr (DerateService) added = NULL;
      g_autoptr (GError) error = NULL;

      g_assert_true (g_file_set_contents (f->path, before, -1, NULL));
      core = derate_core_new_from_file (f->path, f->clock, &error);
      g_assert_no_error (error);
      g_assert_true (g_file_set_contents (f->path, after, -1, NULL));
      g_assert_null (derate_core_reload (core, &error));
      g_test_message ("%s", error->message);
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_assert_nonnull (strstr (error->message, f->path));
      g_assert_nonnull (strstr (error->message, fixed[i].where));
      added = derate_core_lookup_service (core, "s3");
      g_assert_null (added);
    }
}

/* A file with one bad line among many good ones: nothing of it is applied. */
static void
test_nothing_half_applied (Fixture *f, gconstpointer services)
{
  static const char *const bad[] = {
    "[service s3]\nbogus=1\n",
    "[service s3]\nplugin=nowhere\n",
    "[service s3]\nalternate=nobody\n",
    "[service s3]\nbreaker-open-duration=soon\n",
    "[rule r]\nwhen=nobody=down\nlevel=minimal\n",
    "[rule r]\nwhen=cache=healthy\nlevel=minimal\n",
    "[feature f]\nneeds=nobody\n",
  };
  g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (f->core, "cache");
  DerateDegradationManager *manager = derate_core_get_degradation_manager (f->core);
  g_autoptr (GVariant) before = derate_core_dup_status (f->core, TRUE);

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GVariant) after = NULL;
      g_autoptr (DerateBreakerConfig) config = NULL;
      g_autofree char *text = g_strconcat ("enforce=off\nrecovery-interval=1s\n[service mail]\n" OLD
                                           "criticality=critical\nbreaker-failure-threshold=77\n",
                                           bad[i], NULL);

      write_config (f, text);
      g_assert_null (derate_core_reload (f->core, &error));
      g_test_message ("%s", error->message);
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_assert_nonnull (strstr (error->message, f->path));
      after = derate_core_dup_status (f->core, TRUE);
      g_assert_cmpvariant (after, before);
      config = derate_breaker_dup_config (breaker);
      g_assert_cmpuint (derate_breaker_config_get_failure_threshold (config), ==, 5);
      g_assert_true (derate_degradation_manager_get_enforced (manager));
      g_assert_cmpint (derate_degradation_manager_get_next_tick (manager), ==,
                       30 * G_TIME_SPAN_SECOND);
    }
}

static gboolean
exposes (Fixture *f, const char *text)
{
  g_autofree char *metrics = derate_metrics_registry_render (derate_core_get_metrics (f->core));

  return strstr (metrics, text) != NULL;
}

/* `metrics-aliases` comes and goes with the file. */
static void
test_aliases (Fixture *f, gconstpointer services)
{
  derate_fallback_usage_note (derate_core_get_fallback_usage (f->core), "cache", "cached",
                              DERATE_FALLBACK_REASON_TIMEOUT, 5, TRUE);
  g_assert_false (exposes (f, "fallback_calls_total"));
  reload (f, "metrics-aliases=on\n" OLD);
  g_assert_true (exposes (f, "circuit_breaker_fallback_calls_total{name=\"cache\""));
  reload (f, OLD);
  g_assert_false (exposes (f, "fallback_calls_total"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  g_test_add ("/core/reload/new-service", Fixture,
              OLD "[service database]\nrole=database\nplugin=fake\n", set_up, test_new_check,
              tear_down);
  g_test_add ("/core/reload/new-check", Fixture, "[service cache]\nrole=cache\nplugin=fake\n",
              set_up, test_new_check, tear_down);
  g_test_add ("/core/reload/new-and-down", Fixture, OLD, set_up, test_new_and_down, tear_down);
  g_test_add ("/core/reload/new-and-silent", Fixture, OLD, set_up, test_new_and_silent, tear_down);
  g_test_add ("/core/reload/shared-breaker", Fixture, OLD, set_up, test_shared_breaker, tear_down);
  g_test_add ("/core/reload/breaker-mode", Fixture, OLD, set_up, test_breaker_mode, tear_down);
  g_test_add ("/core/reload/error-func", Fixture, OLD, set_up, test_error_func, tear_down);
  g_test_add ("/core/reload/recovery-goes-on", Fixture, OLD, set_up, test_recovery_goes_on,
              tear_down);
  g_test_add ("/core/reload/aliases", Fixture, OLD, set_up, test_aliases, tear_down);
  g_test_add ("/core/reload/told", Fixture, OLD, set_up, test_told, tear_down);
  g_test_add ("/core/reload/fixed", Fixture, OLD, set_up, test_fixed, tear_down);
  g_test_add ("/core/reload/nothing-half-applied", Fixture, OLD, set_up, test_nothing_half_applied,
              tear_down);
  return g_test_run ();
}
