/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-check.h"
#include "http-world.h"

/* Every page that is served, asked for by a client. */

#define STATUS_KEYS                                                                             \
  "name version level level_value functionality_percent text computed_level rule since inputs " \
  "flapping local_suspect next_tick_seconds features drills services holds history"
#define BREAKER_KEYS                                                                           \
  "name state mode failure_count success_count failure_rate slow_call_rate failure_threshold " \
  "recovery_timeout total_requests calls successful_requests failed_requests calls_blocked "   \
  "consecutive_failures consecutive_successes circuit_open_count circuit_half_open_count "     \
  "last_failure_time last_success_time last_state_change time_in_current_state "               \
  "retry_after_seconds"
#define SERVICE_KEYS "status cause since breaker role criticality age_seconds error"

static void
make_emergency (World *world)
{
  world_fail_calls (world->core, "redis", 5);
  world_fail_calls (world->core, "database", 3);
}

static void
test_metrics (World *world, gconstpointer data)
{
  g_autoptr (Answer) before = NULL;
  g_autoptr (Answer) emergency = NULL;

  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  before = world_get (world, "/metrics");
  g_assert_cmpuint (before->status, ==, 200);
  g_assert_cmpstr (before->type, ==, "text/plain; version=0.0.4; charset=utf-8");
  g_assert_nonnull (strstr (before->body, "circuit_breaker_state{name=\"redis\"} 0\n"));

  world_start (world->core);
  make_emergency (world);
  emergency = world_get (world, "/metrics");
  g_assert_cmpuint (emergency->status, ==, 200);
  g_assert_nonnull (strstr (emergency->body, "\ndegradation_level 5\n"));
  g_assert_nonnull (strstr (emergency->body, "circuit_breaker_state{name=\"redis\"} 1\n"));
}

/* The names and labels, without the values. */
static GHashTable *
list_series (Answer *answer)
{
  GHashTable *series = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_auto (GStrv) lines = g_strsplit (answer->body, "\n", -1);

  for (guint i = 0; lines[i] != NULL; i++)
    {
      char *space = strrchr (lines[i], ' ');

      if (lines[i][0] != '#' && space != NULL)
        g_hash_table_add (series, g_strndup (lines[i], space - lines[i]));
    }
  return series;
}

/* A scrape is never refused, and has every series when nothing works any more. */
static void
test_all_down (World *world, gconstpointer data)
{
  g_autoptr (Answer) well = NULL;
  g_autoptr (Answer) bad = NULL;
  g_autoptr (GHashTable) before = NULL;
  g_autoptr (GHashTable) after = NULL;
  GHashTableIter iter;
  gpointer name;

  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  world_start (world->core);
  well = world_get (world, "/metrics");
  make_emergency (world);
  world_fail_calls (world->core, "openai", 5);
  bad = world_get (world, "/metrics");
  g_assert_cmpuint (bad->status, ==, 200);
  before = list_series (well);
  after = list_series (bad);
  g_assert_cmpuint (g_hash_table_size (before), >, 100);
  g_hash_table_iter_init (&iter, before);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    if (!g_hash_table_contains (after, name))
      g_error ("no %s any more", (const char *)name);
}

static void
test_health (World *world, gconstpointer data)
{
  g_autoptr (Answer) pass = NULL;
  g_autoptr (Answer) warn = NULL;
  g_autoptr (Answer) fail = NULL;

  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  world_start (world->core);
  pass = world_get (world, "/health");
  g_assert_cmpuint (pass->status, ==, 200);
  g_assert_cmpstr (pass->type, ==, "application/health+json");
  assert_keys (pass, "", "status version releaseId level output checks");
  assert_json (pass, "status", "\"pass\"");
  assert_json (pass, "version", "\"1\"");
  assert_json (pass, "releaseId", "\"" DERATE_VERSION "\"");
  assert_json (pass, "level", "\"optimal\"");
  assert_json (pass, "checks.redis.0.status", "\"pass\"");

  world_fail_calls (world->core, "redis", 5);
  world_fail_calls (world->core, "openai", 5);
  warn = world_get (world, "/health");
  g_assert_cmpuint (warn->status, ==, 200);
  assert_json (warn, "status", "\"warn\"");
  assert_json (warn, "level", "\"limited\"");
  assert_json (warn, "output", "\"ai-and-cache: openai down, redis down\"");
  assert_keys (warn, "checks", "database redis openai");
  assert_keys (warn, "checks.redis.0", "componentId componentType status output time");
  assert_json (warn, "checks.redis.0.componentId", "\"redis\"");
  assert_json (warn, "checks.redis.0.componentType", "\"datastore\"");
  assert_json (warn, "checks.redis.0.status", "\"fail\"");
  assert_json (warn, "checks.redis.0.output", "\"breaker-open\"");
  assert_json (warn, "checks.openai.0.componentType", "\"component\"");

  world_fail_calls (world->core, "database", 3);
  fail = world_get (world, "/health");
  g_assert_cmpuint (fail->status, ==, 503);
  g_assert_cmpstr (fail->type, ==, "application/health+json");
  assert_json (fail, "status", "\"fail\"");
  assert_json (fail, "level", "\"emergency\"");
}

static void
assert_alive (World *world, guint live, guint ready)
{
  g_autoptr (Answer) live_answer = world_get (world, "/health/live");
  g_autoptr (Answer) ready_answer = world_get (world, "/health/ready");

  g_assert_cmpuint (live_answer->status, ==, live);
  g_assert_cmpuint (ready_answer->status, ==, ready);
  g_assert_cmpstr (ready_answer->type, ==, "application/health+json");
  assert_json (live_answer, "status", "\"pass\"");
  assert_json (ready_answer, "status", ready == 200 ? "\"pass\"" : "\"fail\"");
}

static void
test_live_and_ready (World *world, gconstpointer data)
{
  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  assert_alive (world, 200, 503);
  world_start (world->core);
  assert_alive (world, 200, 200);
  /* Taking the program out of the balancer would not help: it answers what is left. */
  make_emergency (world);
  assert_alive (world, 200, 200);
  world_stop (world->core);
  assert_alive (world, 200, 503);
}

static void
test_service (World *world, gconstpointer data)
{
  g_autoptr (Answer) healthy = NULL;
  g_autoptr (Answer) read_only = NULL;
  g_autoptr (Answer) down = NULL;
  g_autoptr (Answer) cache = NULL;
  g_autofree char *hold = NULL;

  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  world_start (world->core);
  healthy = world_get (world, "/health/database");
  g_assert_cmpuint (healthy->status, ==, 200);
  assert_keys (healthy, "", SERVICE_KEYS " write_mode");
  assert_json (healthy, "status", "\"healthy\"");
  assert_json (healthy, "cause", "null");
  assert_json (healthy, "breaker", "\"closed\"");
  assert_json (healthy, "role", "\"database\"");
  assert_json (healthy, "criticality", "\"critical\"");
  assert_json (healthy, "age_seconds", "null");
  assert_json (healthy, "error", "null");
  assert_json (healthy, "write_mode", "\"enabled\"");
  cache = world_get (world, "/health/redis");
  assert_keys (cache, "", SERVICE_KEYS);

  hold = derate_degradation_manager_hold (derate_core_get_degradation_manager (world->core),
                                          DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST, "ana",
                                          "maintenance", G_TIME_SPAN_MINUTE, NULL);
  g_assert_nonnull (hold);
  read_only = world_get (world, "/health/database");
  g_assert_cmpuint (read_only->status, ==, 200);
  assert_json (read_only, "write_mode", "\"disabled\"");

  world_fail_calls (world->core, "database", 3);
  down = world_get (world, "/health/database");
  g_assert_cmpuint (down->status, ==, 503);
  assert_json (down, "status", "\"down\"");
  assert_json (down, "cause", "\"breaker-open\"");
  assert_json (down, "breaker", "\"open\"");
  assert_json (down, "write_mode", "\"disabled\"");
}

static void
test_degradation (World *world, gconstpointer data)
{
  g_autoptr (Answer) answer = NULL;

  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  world_start (world->core);
  world_fail_calls (world->core, "redis", 5);
  world_fail_calls (world->core, "openai", 5);
  answer = world_get (world, "/degradation");
  g_assert_cmpuint (answer->status, ==, 200);
  g_assert_cmpstr (answer->type, ==, "application/json");
  assert_keys (answer, "", STATUS_KEYS);
  assert_json (answer, "name", "\"shop\"");
  assert_json (answer, "version", "\"" DERATE_VERSION "\"");
  assert_json (answer, "level", "\"limited\"");
  assert_json (answer, "level_value", "3");
  assert_json (answer, "functionality_percent", "60");
  assert_json (answer, "text", "\"no AI\"");
  assert_json (answer, "computed_level", "\"limited\"");
  assert_json (answer, "rule", "\"ai-and-cache\"");
  assert_json (answer, "inputs", "{\"openai\":\"down\",\"redis\":\"down\"}");
  assert_json (answer, "flapping", "false");
  assert_json (answer, "local_suspect", "false");
  assert_json (answer, "features.ai", "{\"mode\":\"off\",\"because\":\"level\"}");
  assert_json (answer, "features.status", "{\"mode\":\"on\",\"because\":null}");
  assert_json (answer, "drills", "[]");
  assert_json (answer, "holds", "[]");
  assert_keys (answer, "services", "database redis openai");
  assert_keys (answer, "services.redis", SERVICE_KEYS);
  assert_keys (answer, "history.0", "time from to rule");
}

static void
test_details (World *world, gconstpointer data)
{
  g_autoptr (FakeCheck) check = fake_check_new (world->clock);
  g_autoptr (DerateService) service = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *hold = NULL;
  g_autoptr (Answer) inside = NULL;
  g_autoptr (Answer) outside = NULL;
  g_autoptr (Answer) outside_service = NULL;
  g_autoptr (Answer) outside_health = NULL;

  fake_check_set (check, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED,
                  "host db7.internal refused user alice");
  service = derate_service_new ("billing", DERATE_SERVICE_ROLE_NONE, world->clock);
  derate_service_set_health_check (service, DERATE_HEALTH_CHECK (check));
  g_assert_true (derate_core_add_service (world->core, service, &error));
  g_assert_no_error (error);
  world_start (world->core);
  hold = derate_degradation_manager_hold (derate_core_get_degradation_manager (world->core),
                                          DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST, "ana",
                                          "moving racks", G_TIME_SPAN_MINUTE, NULL);

  derate_http_mount (world->core, world->server, "/in", DERATE_HTTP_ALL);
  derate_http_mount (world->core, world->server, "/out", DERATE_HTTP_ALL & ~DERATE_HTTP_DETAILS);
  inside = world_get (world, "/in/degradation");
  assert_keys (inside, "holds.0", "id level mode who reason uid since remaining_seconds bound");
  assert_json (inside, "holds.0.level", "\"minimal\"");
  assert_json (inside, "holds.0.mode", "\"at-least\"");
  assert_json (inside, "holds.0.who", "\"ana\"");
  assert_json (inside, "holds.0.reason", "\"moving racks\"");
  assert_json (inside, "services.billing.error", "\"host db7.internal refused user alice\"");

  outside = world_get (world, "/out/degradation");
  outside_service = world_get (world, "/out/health/billing");
  outside_health = world_get (world, "/out/health");
  assert_keys (outside, "", STATUS_KEYS);
  assert_keys (outside, "holds.0", "id level mode who reason uid since remaining_seconds bound");
  assert_json (outside, "holds.0.who", "null");
  assert_json (outside, "holds.0.reason", "null");
  assert_json (outside, "services.billing.status", "\"down\"");
  assert_json (outside, "services.billing.error", "null");
  for (guint i = 0; i < 3; i++)
    {
      const char *body = ((Answer *[]){ outside, outside_service, outside_health })[i]->body;

      g_assert_null (strstr (body, "ana"));
      g_assert_null (strstr (body, "racks"));
      g_assert_null (strstr (body, "db7"));
      g_assert_null (strstr (body, "alice"));
    }
}

static void
test_breakers (World *world, gconstpointer data)
{
  static const char *const aliases[] = { "/metrics/circuit-breakers", "/circuit-breaker/status" };
  g_autoptr (Answer) all = NULL;
  g_autoptr (Answer) one = NULL;
  g_autofree char *same = NULL;

  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  world_start (world->core);
  world_fail_calls (world->core, "redis", 5);
  all = world_get (world, "/circuit-breakers");
  g_assert_cmpuint (all->status, ==, 200);
  g_assert_cmpstr (all->type, ==, "application/json");
  assert_keys (all, "redis", BREAKER_KEYS);
  assert_keys (all, "database", BREAKER_KEYS);
  assert_json (all, "redis.state", "\"open\"");
  assert_json (all, "redis.mode", "\"normal\"");
  assert_json (all, "redis.failure_threshold", "5");
  assert_json (all, "redis.recovery_timeout", "20");
  assert_json (all, "redis.failed_requests", "5");
  /* An unknown rate and an instant that never was are null, not NaN and not 1970. */
  assert_json (all, "redis.failure_rate", "null");
  assert_json (all, "redis.last_success_time", "null");
  assert_json (all, "database.last_failure_time", "null");
  assert_json (all, "database.retry_after_seconds", "0");

  one = world_get (world, "/circuit-breakers/redis");
  g_assert_cmpuint (one->status, ==, 200);
  same = answer_get (all, "redis");
  assert_json (one, "name", "\"redis\"");
  g_assert_nonnull (strstr (all->body, one->body));
  for (guint i = 0; i < G_N_ELEMENTS (aliases); i++)
    {
      g_autoptr (Answer) alias = world_get (world, aliases[i]);

      g_assert_cmpuint (alias->status, ==, 200);
      g_assert_cmpstr (alias->body, ==, all->body);
    }
}

/* A name that only code can give, as it stands in an address. */
static void
test_breaker_of_any_name (World *world, gconstpointer data)
{
  g_autoptr (DerateBreaker) breaker =
      derate_breaker_new_with_clock ("pay/card 50%", NULL, world->clock);
  g_autoptr (Answer) answer = NULL;

  g_assert_true (
      derate_breaker_registry_add (derate_core_get_breakers (world->core), breaker, NULL));
  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  answer = world_get (world, "/circuit-breakers/pay%2Fcard%2050%25");
  g_assert_cmpuint (answer->status, ==, 200);
  assert_json (answer, "name", "\"pay/card 50%\"");
}

static void
test_unknown (World *world, gconstpointer data)
{
  static const char *const paths[] = {
    "/metricsx",
    "/metrics/x",
    "/healthy",
    "/health/nobody",
    "/degradationx",
    "/degradation/x",
    "/circuit-breakers/nobody",
    "/circuit-breakersx",
    "/events/x",
  };

  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  world_start (world->core);
  for (guint i = 0; i < G_N_ELEMENTS (paths); i++)
    {
      g_autoptr (Answer) answer = world_get (world, paths[i]);

      g_test_message ("%s", paths[i]);
      g_assert_cmpuint (answer->status, ==, 404);
    }
}

static const char *const all_pages[] = {
  "/metrics",
  "/health",
  "/health/live",
  "/health/ready",
  "/health/database",
  "/degradation",
  "/circuit-breakers",
  "/circuit-breakers/redis",
  "/metrics/circuit-breakers",
  "/circuit-breaker/status",
  "/",
};

static void
test_other_methods (World *world, gconstpointer data)
{
  static const char *const methods[] = { "POST", "PUT", "DELETE", "PATCH", "OPTIONS" };

  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  world_start (world->core);
  for (guint i = 0; i < G_N_ELEMENTS (all_pages); i++)
    for (guint j = 0; j < G_N_ELEMENTS (methods); j++)
      {
        g_autoptr (Answer) answer = world_ask (world, methods[j], all_pages[i]);

        g_test_message ("%s %s", methods[j], all_pages[i]);
        g_assert_cmpuint (answer->status, ==, 405);
        g_assert_cmpstr (answer->allow, ==, "GET, HEAD");
      }
}

static void
test_head (World *world, gconstpointer data)
{
  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  world_start (world->core);
  for (guint i = 0; i < G_N_ELEMENTS (all_pages); i++)
    {
      g_autoptr (Answer) get = world_get (world, all_pages[i]);
      g_autoptr (Answer) head = world_ask (world, SOUP_METHOD_HEAD, all_pages[i]);

      g_test_message ("%s", all_pages[i]);
      g_assert_cmpuint (get->status, ==, 200);
      g_assert_cmpuint (head->status, ==, get->status);
      g_assert_cmpstr (head->type, ==, get->type);
      g_assert_cmpstr (head->body, ==, "");
      g_assert_cmpint (get->length, ==, (goffset)strlen (get->body));
      /* The process's own numbers move. */
      if (strcmp (all_pages[i], "/metrics") != 0)
        g_assert_cmpint (head->length, ==, get->length);
    }
}

/* libsoup before 3.3 would keep each connection for ever. */
static void
test_no_connection_is_kept (World *world, gconstpointer data)
{
  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  for (guint i = 0; i < G_N_ELEMENTS (all_pages); i++)
    {
      g_autoptr (Answer) answer = world_get (world, all_pages[i]);

      g_assert_cmpstr (answer->connection, ==, soup_check_version (3, 3, 0) ? NULL : "close");
    }
}

static void
test_flags (World *world, gconstpointer data)
{
  static const struct
  {
    const char *path;
    DerateHttpFlags flag;
  } pages[] = {
    { "/metrics", DERATE_HTTP_METRICS },
    { "/metrics/circuit-breakers", DERATE_HTTP_STATUS },
    { "/health", DERATE_HTTP_HEALTH },
    { "/health/live", DERATE_HTTP_HEALTH },
    { "/degradation", DERATE_HTTP_STATUS },
    { "/circuit-breakers", DERATE_HTTP_STATUS },
    { "/circuit-breaker/status", DERATE_HTTP_STATUS },
    { "/page/main.js", DERATE_HTTP_PAGE },
  };
  static const DerateHttpFlags flags[] = { DERATE_HTTP_METRICS, DERATE_HTTP_HEALTH,
                                           DERATE_HTTP_STATUS };

  for (guint i = 0; i < G_N_ELEMENTS (flags); i++)
    {
      derate_http_mount (world->core, world->server, "/x", flags[i]);
      for (guint j = 0; j < G_N_ELEMENTS (pages); j++)
        {
          g_autofree char *path = g_strconcat ("/x", pages[j].path, NULL);
          g_autoptr (Answer) answer = world_get (world, path);

          g_test_message ("flags %u: %s", flags[i], path);
          g_assert_cmpuint (answer->status, ==, pages[j].flag == flags[i] ? 200 : 404);
        }
      derate_http_unmount (world->server, "/x");
    }
}

static void
test_two_cores (World *world, gconstpointer data)
{
  DerateCore *other = world_new_core (world, "other");
  g_autoptr (Answer) one = NULL;
  g_autoptr (Answer) two = NULL;
  g_autoptr (Answer) none = NULL;
  g_autoptr (Answer) gone = NULL;
  g_autoptr (Answer) stays = NULL;

  derate_http_mount (world->core, world->server, "/one", DERATE_HTTP_ALL);
  derate_http_mount (other, world->server, "/two/deep/", DERATE_HTTP_ALL);
  world_start (world->core);
  world_start (other);
  world_fail_calls (other, "redis", 5);

  one = world_get (world, "/one/degradation");
  two = world_get (world, "/two/deep/degradation");
  none = world_get (world, "/degradation");
  assert_json (one, "name", "\"shop\"");
  assert_json (one, "level", "\"optimal\"");
  assert_json (two, "name", "\"other\"");
  assert_json (two, "level", "\"degraded\"");
  g_assert_cmpuint (none->status, ==, 404);

  derate_http_unmount (world->server, "/two/deep/");
  g_assert_finalize_object (other);
  gone = world_get (world, "/two/deep/degradation");
  stays = world_get (world, "/one/degradation");
  g_assert_cmpuint (gone->status, ==, 404);
  g_assert_cmpuint (stays->status, ==, 200);
}

static void
add (const char *path, void (*func) (World *, gconstpointer))
{
  g_test_add (path, World, NULL, world_set_up, func, world_tear_down);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* Derate warns of what these tests do to it. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  add ("/http/ahead/11-metrics", test_metrics);
  add ("/http/behaviour/14-all-down", test_all_down);
  add ("/http/health", test_health);
  add ("/http/ahead/12-live-and-ready", test_live_and_ready);
  add ("/http/service", test_service);
  add ("/http/degradation", test_degradation);
  add ("/http/details", test_details);
  add ("/http/breakers", test_breakers);
  add ("/http/breaker-of-any-name", test_breaker_of_any_name);
  add ("/http/unknown", test_unknown);
  add ("/http/other-methods", test_other_methods);
  add ("/http/head", test_head);
  add ("/http/no-connection-is-kept", test_no_connection_is_kept);
  add ("/http/flags", test_flags);
  add ("/http/two-cores", test_two_cores);
  return g_test_run ();
}
