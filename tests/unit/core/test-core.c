/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "derate-core-private.h"

typedef struct
{
  DerateClock *clock;
  DerateCore *core;
  gboolean started;
  GError *error;
} Fixture;

static const char CONFIG[] = "[derate]\n"
                             "name=shop\n"
                             "[service database]\n"
                             "role=database\n"
                             "breaker-open-duration=30s\n"
                             "[service redis]\n"
                             "role=cache\n"
                             "[service openai]\n"
                             "role=ai\n";

static void
on_started (GObject *source, GAsyncResult *result, gpointer data)
{
  Fixture *fixture = data;

  fixture->started = derate_core_start_finish (DERATE_CORE (source), result, &fixture->error);
}

static DerateConfig *
parse (const char *text)
{
  g_autoptr (GError) error = NULL;
  DerateConfig *config = derate_config_new_from_data (text, "shop.conf", &error);

  g_assert_no_error (error);
  return config;
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DerateConfig) config = parse (data != NULL ? data : CONFIG);
  g_autoptr (GError) error = NULL;

  fixture->clock = derate_manual_clock_new ();
  fixture->core = derate_core_new_from_config (config, fixture->clock, &error);
  g_assert_no_error (error);
  derate_core_start_async (fixture->core, NULL, on_started, fixture);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (fixture->clock), 0);
  g_assert_no_error (fixture->error);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_clear_error (&fixture->error);
  g_assert_finalize_object (fixture->core);
  g_object_unref (fixture->clock);
}

static DerateLevel
get_level (Fixture *fixture)
{
  return derate_degradation_manager_get_level (derate_core_get_degradation_manager (fixture->core));
}

static void
fail_calls (Fixture *fixture, const char *name, guint calls)
{
  g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (fixture->core, name);
  g_autoptr (GError) failure = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "boom");

  for (guint i = 0; i < calls; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
      derate_permit_fail (&permit, failure);
    }
}

static void
succeed_calls (Fixture *fixture, const char *name, guint calls)
{
  g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (fixture->core, name);

  for (guint i = 0; i < calls; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
      derate_permit_succeed (&permit);
    }
}

static void
advance (Fixture *fixture, guint seconds)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (fixture->clock), seconds * G_TIME_SPAN_SECOND);
}

static void
test_outage (Fixture *fixture, gconstpointer data)
{
  g_assert_true (fixture->started);
  g_assert_true (derate_core_is_ready (fixture->core));
  g_assert_cmpint (get_level (fixture), ==, DERATE_LEVEL_OPTIMAL);

  /* Worse before fail () returns, straight from the table of roles. */
  fail_calls (fixture, "redis", 5);
  g_assert_cmpint (get_level (fixture), ==, DERATE_LEVEL_DEGRADED);
  fail_calls (fixture, "openai", 5);
  g_assert_cmpint (get_level (fixture), ==, DERATE_LEVEL_LIMITED);
  fail_calls (fixture, "database", 3);
  g_assert_cmpint (get_level (fixture), ==, DERATE_LEVEL_EMERGENCY);

  /* Better by the recovery loop alone. */
  advance (fixture, 70);
  succeed_calls (fixture, "redis", 2);
  succeed_calls (fixture, "openai", 2);
  succeed_calls (fixture, "database", 2);
  g_assert_cmpint (get_level (fixture), !=, DERATE_LEVEL_OPTIMAL);
  advance (fixture, 30);
  g_assert_cmpint (get_level (fixture), ==, DERATE_LEVEL_OPTIMAL);
}

static GVariant *
lookup (GVariant *dict, const char *key)
{
  GVariant *value = g_variant_lookup_value (dict, key, NULL);

  g_assert_nonnull (value);
  return value;
}

/* The keys of @dict, in order. */
static char *
list_keys (GVariant *dict)
{
  GString *keys = g_string_new (NULL);
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_variant_iter_init (&iter, dict);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    g_string_append_printf (keys, "%s%s", keys->len > 0 ? " " : "", key);
  return g_string_free (keys, FALSE);
}

static void
test_status (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GVariant) status = NULL;
  g_autoptr (GVariant) services = NULL;
  g_autoptr (GVariant) redis = NULL;
  g_autofree char *keys = NULL;
  g_autofree char *service_keys = NULL;
  g_autofree char *json = NULL;

  fail_calls (fixture, "redis", 5);
  status = derate_core_dup_status (fixture->core, TRUE);
  keys = list_keys (status);
  g_assert_cmpstr (keys, ==,
                   "name version level level_value functionality_percent text computed_level rule "
                   "since inputs flapping local_suspect next_tick_seconds features drills services "
                   "holds history");
  services = lookup (status, "services");
  redis = lookup (services, "redis");
  service_keys = list_keys (redis);
  g_assert_cmpstr (service_keys, ==,
                   "status cause since breaker role criticality age_seconds error");
  json = derate_json_from_variant (redis);
  g_assert_nonnull (strstr (json, "\"status\":\"down\",\"cause\":\"breaker-open\""));
  g_assert_nonnull (strstr (json, "\"age_seconds\":null"));
}

static void
test_health (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GVariant) healthy = derate_core_dup_health (fixture->core);
  g_autoptr (GVariant) sick = NULL;
  g_autofree char *before = derate_json_from_variant (healthy);
  g_autofree char *after = NULL;

  g_assert_nonnull (strstr (before, "\"status\":\"pass\",\"version\":\"1\""));
  fail_calls (fixture, "redis", 5);
  sick = derate_core_dup_health (fixture->core);
  after = derate_json_from_variant (sick);
  g_assert_nonnull (strstr (after, "\"status\":\"warn\""));
  g_assert_nonnull (strstr (after, "\"output\":\"dependency-down: redis down\""));
  g_assert_nonnull (strstr (after, "\"componentId\":\"redis\",\"componentType\":\"datastore\","
                                   "\"status\":\"fail\",\"output\":\"breaker-open\""));
}

/* The names of the families that a program without any event must already show. */
static void
test_metrics (Fixture *fixture, gconstpointer data)
{
  static const char *const series[] = {
    "circuit_breaker_state{name=\"redis\"} 0\n",
    "circuit_breaker_requests_total{name=\"redis\"} 0\n",
    "service_health_status{service=\"redis\"} ",
    "degradation_level 1\n",
    "degradation_computed_level 1\n",
    "derate_build_info{",
    "process_open_fds ",
  };
  g_autofree char *text = derate_metrics_registry_render (derate_core_get_metrics (fixture->core));

  for (guint i = 0; i < G_N_ELEMENTS (series); i++)
    if (strstr (text, series[i]) == NULL)
      g_error ("no “%s” in:\n%s", series[i], text);
}

static void
test_refused (void)
{
  static const struct
  {
    const char *text;
    const char *where;
    const char *what;
  } cases[] = {
    { "[derate]\n[service a]\n", "[derate]", "name" },
    { "[derate]\nname=a\n[service db]\nplugin=nowhere\n", "[service db], plugin", "nowhere" },
    { "[derate]\nname=a\n[service a]\nalternate=b\n[service b]\nalternate=a\n", "alternate", "a" },
    { "[derate]\nname=a\n[service a]\nalternate=z\n", "[service a], alternate", "“z”" },
    { "[derate]\nname=a\n[service x]\n[rule odd]\nwhen=x=healthy\nlevel=minimal\n", "rules",
      "odd" },
    { "[derate]\nname=a\n[service x]\n[rule r]\nwhen=y=down\nlevel=minimal\n", "[rule r]", "“y”" },
    { "[derate]\nname=a\n[service x]\n[feature f]\nneeds=y\n", "[feature f]", "“y”" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (DerateConfig) config = NULL;
      g_autoptr (GError) error = NULL;
      DerateCore *core = NULL;

      /* What the file alone shows to be wrong is refused before there is a core. */
      config = derate_config_new_from_data (cases[i].text, "a.conf", &error);
      if (config != NULL)
        core = derate_core_new_from_config (config, NULL, &error);
      g_test_message ("%s", error != NULL ? error->message : "no error");
      g_assert_null (core);
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_assert_nonnull (strstr (error->message, "a.conf"));
      g_assert_nonnull (strstr (error->message, cases[i].where));
      g_assert_nonnull (strstr (error->message, cases[i].what));
    }
}

static void
test_reload (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateCore) core = NULL;
  g_autoptr (DerateBreaker) before = NULL;
  g_autoptr (DerateBreaker) after = NULL;
  g_autoptr (DerateBreakerStats) stats = NULL;
  g_auto (GStrv) changes = NULL;
  g_autofree char *all = NULL;
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
  int fd = g_file_open_tmp ("derate-XXXXXX.conf", &path, NULL);

  g_assert_cmpint (fd, >=, 0);
  close (fd);
  g_assert_true (g_file_set_contents (path, CONFIG, -1, NULL));
  core = derate_core_new_from_file (path, clock, &error);
  g_assert_no_error (error);
  before = derate_core_lookup_breaker (core, "redis");
  g_assert_true (derate_breaker_acquire (before, &permit, NULL));
  derate_permit_succeed (&permit);

  /* A bad file changes nothing. */
  g_assert_true (g_file_set_contents (path, "[derate]\nname=shop\nbogus=1\n", -1, NULL));
  g_assert_null (derate_core_reload (core, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_clear_error (&error);
  g_assert_cmpuint (g_list_model_get_n_items (derate_core_get_services (core)), ==, 3);

  /* A good one is taken over, and an unchanged breaker keeps its statistics. */
  g_assert_true (g_file_set_contents (path,
                                      "[derate]\nname=shop\n[service "
                                      "database]\nrole=database\nbreaker-failure-threshold=9\n"
                                      "[service redis]\nrole=cache\n[service s3]\nrole=storage\n",
                                      -1, NULL));
  changes = derate_core_reload (core, &error);
  g_assert_no_error (error);
  all = g_strjoinv (", ", changes);
  g_assert_cmpstr (all, ==, "service database changed, service s3 added, service openai removed");
  after = derate_core_lookup_breaker (core, "redis");
  g_assert_true (before == after);
  stats = derate_breaker_dup_stats (after);
  g_assert_cmpuint (stats->successful_requests, ==, 1);
  g_assert_cmpuint (g_list_model_get_n_items (derate_core_get_services (core)), ==, 3);

  /* The name is fixed. */
  g_assert_true (g_file_set_contents (path, "[derate]\nname=other\n", -1, NULL));
  g_assert_null (derate_core_reload (core, &error));
  g_assert_nonnull (strstr (error->message, "cannot change"));
  g_unlink (path);
}

static void
test_remote (void)
{
  static const struct
  {
    const char *uri;
    gboolean remote;
  } cases[] = {
    { "", TRUE }, /* no key */
    { "uri=redis://redis.example:6379\n", TRUE },
    { "uri=redis://10.0.0.1\n", TRUE },
    { "uri=http://127.example/v1\n", TRUE },
    { "uri=redis://localhost:6379\n", FALSE },
    { "uri=http://LOCALHOST/v1\n", FALSE },
    { "uri=tcp://127.0.0.53:53\n", FALSE },
    { "uri=tcp://[::1]:53\n", FALSE },
    { "uri=unix:///run/redis.sock\n", FALSE },
    { "uri=redis+unix:///run/redis.sock\n", FALSE },
    { "uri=postgresql:///shop\n", FALSE },
    { "uri=postgresql:///shop?host=/run/postgresql\n", FALSE },
    { "uri=postgresql:///shop?host=db.example\n", TRUE },
    { "uri=postgresql://%2Frun%2Fpostgresql/shop\n", FALSE },
    { "uri=postgresql://127.0.0.1,db.example/shop\n", TRUE },
    { "uri=postgresql://127.0.0.1,localhost/shop\n", FALSE },
    { "uri=s3://localhost\n", TRUE }, /* a bucket */
    { "uri=s3://uploads?endpoint=http://127.0.0.1:9000&region=us-east-1\n", FALSE },
    { "uri=s3://uploads?endpoint=http://minio.example\n", TRUE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *text = g_strconcat ("[derate]\nname=a\n[service x]\n", cases[i].uri, NULL);
      g_autoptr (DerateConfig) config = parse (text);
      g_autoptr (DerateCore) core = derate_core_new_from_config (config, NULL, NULL);
      g_autoptr (DerateService) service = derate_core_lookup_service (core, "x");

      g_test_message ("%s", cases[i].uri);
      g_assert_cmpint (derate_service_get_remote (service), ==, cases[i].remote);
    }
}

static void
on_real_started (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (derate_core_start_finish (DERATE_CORE (source), result, &error));
  g_main_loop_quit (data);
}

/* On the system's clock a core has a thread of its own, and two cores do not touch each other. */
static void
test_two_cores (void)
{
  g_autoptr (DerateConfig) config = parse (CONFIG);
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GError) error = NULL;
  DerateCore *cores[2];
  g_autoptr (DerateBreaker) breaker = NULL;

  for (guint i = 0; i < 2; i++)
    {
      cores[i] = derate_core_new_from_config (config, NULL, &error);
      g_assert_no_error (error);
      derate_core_start_async (cores[i], NULL, on_real_started, loop);
      g_main_loop_run (loop);
      g_assert_true (derate_core_get_monitor_context (cores[i]) != g_main_context_default ());
    }
  breaker = derate_core_lookup_breaker (cores[0], "redis");
  g_assert_true (derate_breaker_trip (breaker, NULL));
  g_assert_cmpint (derate_degradation_manager_get_level (
                       derate_core_get_degradation_manager (cores[0])),
                   ==, DERATE_LEVEL_DEGRADED);
  g_assert_cmpint (derate_degradation_manager_get_level (
                       derate_core_get_degradation_manager (cores[1])),
                   ==, DERATE_LEVEL_OPTIMAL);
  for (guint i = 0; i < 2; i++)
    g_object_unref (cores[i]);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

typedef struct
{
  DerateBreaker *breaker;
  gint rounds; /* atomic */
  gint stop; /* atomic */
} Caller;

static gpointer
trip_and_close (gpointer data)
{
  Caller *caller = data;

  while (!g_atomic_int_get (&caller->stop))
    {
      derate_breaker_trip (caller->breaker, NULL);
      derate_breaker_close (caller->breaker);
      g_atomic_int_inc (&caller->rounds);
    }
  return NULL;
}

/* A core ends while calls of another thread open and close its breakers. */
static void
test_end_under_calls (void)
{
  g_autoptr (DerateConfig) config = parse (CONFIG);
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);

  for (guint i = 0; i < 10; i++)
    {
      DerateCore *core = derate_core_new_from_config (config, NULL, NULL);
      g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (core, "redis");
      Caller caller = { .breaker = breaker };
      GThread *thread;

      derate_core_start_async (core, NULL, on_real_started, loop);
      g_main_loop_run (loop);
      thread = g_thread_new ("caller", trip_and_close, &caller);
      while (g_atomic_int_get (&caller.rounds) < 20)
        g_thread_yield ();
      g_object_unref (core);
      while (g_main_context_iteration (NULL, FALSE))
        ;
      g_atomic_int_set (&caller.stop, TRUE);
      g_thread_join (thread);
      while (g_main_context_iteration (NULL, FALSE))
        ;
    }
}

static void
test_names (void)
{
  static const char *const bad[] = { "", "A", "1a", "a b", "a.b", "-a" };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (derate_core_new (bad[i], NULL, &error));
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* Derate warns of what these tests do to it. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  g_test_add ("/core/outage", Fixture, NULL, set_up, test_outage, tear_down);
  g_test_add ("/core/status", Fixture, NULL, set_up, test_status, tear_down);
  g_test_add ("/core/health", Fixture, NULL, set_up, test_health, tear_down);
  g_test_add ("/core/metrics", Fixture, NULL, set_up, test_metrics, tear_down);
  g_test_add_func ("/core/refused", test_refused);
  g_test_add_func ("/core/reload", test_reload);
  g_test_add_func ("/core/two-cores", test_two_cores);
  g_test_add_func ("/core/end-under-calls", test_end_under_calls);
  g_test_add_func ("/core/names", test_names);
  g_test_add_func ("/core/remote", test_remote);
  return g_test_run ();
}
