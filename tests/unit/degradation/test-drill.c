/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "drill-world.h"

/* Drills from their beginning to their end, in one process on a manual clock. */

#define DOWN DERATE_FAULT_KIND_DOWN
#define RATE DERATE_FAULT_KIND_ERROR_RATE
#define LATENCY DERATE_FAULT_KIND_LATENCY
#define MINUTE G_TIME_SPAN_MINUTE

static void
assert_running (DrillWorld *w, guint n)
{
  g_autoptr (GVariant) drills = derate_core_dup_drills (w->core, TRUE);

  g_assert_cmpuint (g_variant_n_children (drills), ==, n);
}

static void
assert_service (DrillWorld *w, const char *name, const char *status, const char *cause)
{
  g_autoptr (DerateService) service = derate_core_lookup_service (w->core, name);

  g_assert_cmpstr (derate_health_status_get_nick (derate_service_get_status (service)), ==, status);
  g_assert_cmpstr (derate_health_cause_get_nick (derate_service_get_cause (service)), ==, cause);
}

static void
test_life (DrillWorld *w, gconstpointer unused)
{
  g_autofree char *id = drill_world_begin (w, "redis", 50);
  g_autoptr (GVariant) report = NULL;

  g_assert_cmpuint (strlen (id), ==, 8);
  g_assert_cmpstr (drill_world_get_level (w), ==, "degraded");
  assert_service (w, "redis", "down", "drill");
  g_assert_cmpuint (drill_world_call (w, "redis", 7, TRUE), ==, 0);
  g_assert_cmpuint (drill_world_call (w, "s3", 1, TRUE), ==, 1);
  drill_world_advance (w, 49.9);
  assert_running (w, 1);
  drill_world_advance (w, 0.1);
  assert_running (w, 0);
  assert_service (w, "redis", "healthy", "none");
  g_assert_cmpuint (drill_world_call (w, "redis", 1, TRUE), ==, 1);
  g_assert_cmpstr (w->log->str, ==, "drill_started redis \ndrill_ended redis expired\n");

  report = drill_world_stop (w, id);
  drill_world_assert (report, "cause", "\"expired\"");
  drill_world_assert (report, "refused", "7");
  drill_world_assert (report, "duration_seconds", "50");
  g_assert_cmpstr (drill_world_get_level (w), ==, "degraded");
  drill_world_advance (w, 10); /* the next tick */
  g_assert_cmpstr (drill_world_get_level (w), ==, "optimal");
}

/* What /degradation shows; who and why only to those who may know. */
static void
test_shown (DrillWorld *w, gconstpointer unused)
{
  g_autofree char *id = drill_world_begin (w, "redis", 60);
  g_autoptr (GVariant) all = NULL;
  g_autoptr (GVariant) bare = NULL;
  g_autofree char *text = NULL;
  g_autofree char *bare_text = NULL;
  g_autofree char *expected = NULL;

  drill_world_advance (w, 18);
  all = derate_core_dup_status (w->core, TRUE);
  bare = derate_core_dup_status (w->core, FALSE);
  text = drill_world_look (all, "drills");
  bare_text = drill_world_look (bare, "drills");
  expected = g_strdup_printf ("[{\"id\":\"%s\",\"service\":\"redis\",\"fault\":\"down\",\"rate\":1,"
                              "\"latency_seconds\":0,\"limit\":\"minimal\",\"who\":\"shop\","
                              "\"reason\":\"test\",\"uid\":",
                              id);
  g_assert_true (g_str_has_prefix (text, expected));
  g_assert_true (g_str_has_suffix (text, ",\"remaining_seconds\":42}]"));
  g_assert_nonnull (strstr (bare_text, "\"who\":null,\"reason\":null,\"uid\":null,\"since\":"));
}

static const struct
{
  const char *path;
  const char *service;
  DerateFaultKind fault;
  double value;
  GTimeSpan duration;
  DerateLevel limit;
  const char *reason;
  DerateError code;
  const char *text;
} refusals[] = {
  { "service", "s4", DOWN, 0, MINUTE, 0, NULL, DERATE_ERROR_NO_SUCH_SERVICE, "“s4”" },
  { "service-first", "s4", 9, 0, 0, 99, "", DERATE_ERROR_NO_SUCH_SERVICE, "“s4”" },
  { "kind", "s3", 0, 0, MINUTE, 0, NULL, DERATE_ERROR_INVALID_ARGUMENT, "fault" },
  { "rate-0", "s3", RATE, 0, MINUTE, 0, NULL, DERATE_ERROR_INVALID_ARGUMENT, "error-rate 0" },
  { "rate-above", "s3", RATE, 1.01, 0, 0, NULL, DERATE_ERROR_INVALID_ARGUMENT, "error-rate 1.01" },
  { "rate-below", "s3", RATE, -1, MINUTE, 0, NULL, DERATE_ERROR_INVALID_ARGUMENT, "error-rate -1" },
  { "latency-0", "s3", LATENCY, 0, MINUTE, 0, NULL, DERATE_ERROR_INVALID_ARGUMENT, "latency" },
  { "latency-huge", "s3", LATENCY, 1e300, MINUTE, 0, NULL, DERATE_ERROR_INVALID_ARGUMENT,
    "latency" },
  { "latency-below", "s3", LATENCY, -1e300, MINUTE, 0, NULL, DERATE_ERROR_INVALID_ARGUMENT,
    "latency is not more than 0" },
  { "latency-nan", "s3", LATENCY, NAN, MINUTE, 0, NULL, DERATE_ERROR_INVALID_ARGUMENT, "latency" },
  { "rate-nan", "s3", RATE, NAN, MINUTE, 0, NULL, DERATE_ERROR_INVALID_ARGUMENT, "error-rate nan" },
  { "latency-above", "s3", LATENCY, 301, 0, 0, "", DERATE_ERROR_INVALID_ARGUMENT, "latency" },
  { "too-short", "s3", DOWN, 0, G_TIME_SPAN_SECOND - 1, 0, "", DERATE_ERROR_INVALID_TTL, "999999" },
  { "too-long", "s3", DOWN, 0, G_TIME_SPAN_HOUR + 1, 0, "", DERATE_ERROR_INVALID_TTL,
    "3600000001" },
  { "negative", "s3", DOWN, 0, -MINUTE, 0, NULL, DERATE_ERROR_INVALID_TTL, "1s to 1h" },
  { "reason-empty", "s3", DOWN, 0, MINUTE, 99, "", DERATE_ERROR_INVALID_REASON, "reason" },
  { "reason-blank", "s3", DOWN, 0, MINUTE, 0, " ", DERATE_ERROR_INVALID_REASON, "reason" },
  { "limit", "s3", DOWN, 0, MINUTE, 99, NULL, DERATE_ERROR_UNKNOWN_LEVEL, "99" },
  { "past-limit", "s3", DOWN, 0, MINUTE, DERATE_LEVEL_OPTIMAL, NULL, DERATE_ERROR_LIMIT_EXCEEDED,
    "degraded by rule dependency-down, and its limit is optimal" },
  { "rate-within-limit", "s3", RATE, 0.3, MINUTE, DERATE_LEVEL_OPTIMAL, NULL, 0, NULL },
  { "rate-past-limit", "redis", RATE, 0.3, MINUTE, DERATE_LEVEL_OPTIMAL, NULL,
    DERATE_ERROR_LIMIT_EXCEEDED, "degraded by rule dependency-slow" },
};

/* Nothing of a drill that is refused has begun. */
static void
test_refused (DrillWorld *w, gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autoptr (GError) error = NULL;
  g_autofree char *id =
      derate_core_start_drill (w->core, refusals[i].service, refusals[i].fault, refusals[i].value,
                               refusals[i].duration, refusals[i].limit, refusals[i].reason, &error);

  if (refusals[i].text == NULL)
    {
      g_assert_no_error (error);
      return;
    }
  g_assert_null (id);
  g_assert_error (error, DERATE_ERROR, (int)refusals[i].code);
  g_assert_nonnull (strstr (error->message, refusals[i].text));
  assert_running (w, 0);
  g_assert_cmpstr (w->log->str, ==, "");
  g_assert_cmpuint (drill_world_call (w, "s3", 3, TRUE), ==, 3);
}

/* With what is down already it would be an emergency, which has to be asked for. */
static void
test_limit_asked_for (DrillWorld *w, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *id = NULL;

  drill_world_call (w, "database", 3, FALSE);
  g_assert_cmpstr (drill_world_get_level (w), ==, "minimal");
  id = derate_core_start_drill (w->core, "redis", DOWN, 0, MINUTE, DERATE_LEVEL_UNKNOWN, NULL,
                                &error);
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_LIMIT_EXCEEDED);
  g_assert_nonnull (strstr (error->message, "emergency by rule reads-impossible"));
  g_clear_error (&error);
  g_assert_cmpstr (drill_world_get_level (w), ==, "minimal");
  id = derate_core_start_drill (w->core, "redis", DOWN, 0, MINUTE, DERATE_LEVEL_EMERGENCY, NULL,
                                &error);
  g_assert_no_error (error);
  g_assert_cmpstr (drill_world_get_level (w), ==, "emergency");
}

/* One drill a service, and a breaker. */
static void
test_exists (DrillWorld *w, gconstpointer unused)
{
  static const char *const services[] = { "s3", "search" };
  g_autofree char *id = drill_world_begin (w, "search", 60);

  assert_service (w, "s3", "down", "drill");
  assert_service (w, "search", "down", "drill");
  for (guint i = 0; i < G_N_ELEMENTS (services); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (derate_core_start_drill (w->core, services[i], RATE, 0.1, MINUTE,
                                              DERATE_LEVEL_UNKNOWN, NULL, &error));
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_EXISTS);
      g_assert_nonnull (strstr (error->message, id));
    }
  g_variant_unref (drill_world_stop (w, id));
  assert_service (w, "s3", "healthy", "none");
  assert_service (w, "search", "healthy", "none");
  g_free (g_steal_pointer (&id));
  id = drill_world_begin (w, "s3", 60);
}

static void
test_stopped (DrillWorld *w, gconstpointer unused)
{
  g_autofree char *id = drill_world_begin (w, "openai", 60);
  g_autoptr (GVariant) report = NULL;
  g_autoptr (GVariant) again = NULL;

  drill_world_advance (w, 12.5);
  report = drill_world_stop (w, id);
  assert_running (w, 0);
  drill_world_assert (report, "cause", "\"stopped\"");
  drill_world_assert (report, "duration_seconds", "12.5");
  drill_world_assert (report, "service", "\"openai\"");
  drill_world_assert (report, "reason", "\"test\"");
  drill_world_assert (report, "who", "\"shop\"");
  drill_world_assert (report, "limit", "\"minimal\"");
  drill_world_advance (w, 100);
  again = drill_world_stop (w, id);
  g_assert_true (g_variant_equal (report, again));
  g_assert_cmpstr (w->log->str, ==, "drill_started openai \ndrill_ended openai stopped\n");
}

/* Something real fails as well: the drill ends in the call that fails, and what is published is
 * what is real. */
static void
test_limit_ends (DrillWorld *w, gconstpointer unused)
{
  g_autofree char *id = drill_world_begin (w, "redis", 60);
  g_autoptr (GVariant) report = NULL;
  g_autoptr (GVariant) history = NULL;

  drill_world_call (w, "database", 2, FALSE);
  assert_running (w, 1);
  drill_world_call (w, "database", 1, FALSE);
  assert_running (w, 0);
  g_assert_cmpstr (drill_world_get_level (w), ==, "minimal");
  assert_service (w, "redis", "healthy", "none");
  g_assert_cmpuint (drill_world_call (w, "redis", 1, TRUE), ==, 1);
  history =
      derate_degradation_manager_dup_history (derate_core_get_degradation_manager (w->core), 0);
  g_assert_cmpuint (g_variant_n_children (history), ==, 2); /* never emergency */

  report = drill_world_stop (w, id);
  drill_world_assert (report, "cause", "\"limit\"");
  drill_world_assert (report, "level.after", "\"minimal\"");
}

/* Of two drills the one goes whose limit it is. */
static void
test_limit_of_one (DrillWorld *w, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *strict = NULL;
  g_autofree char *wide = NULL;

  strict = derate_core_start_drill (w->core, "redis", DOWN, 0, MINUTE, DERATE_LEVEL_DEGRADED, NULL,
                                    &error);
  g_assert_no_error (error);
  wide = derate_core_start_drill (w->core, "openai", DOWN, 0, MINUTE, DERATE_LEVEL_LIMITED, NULL,
                                  &error);
  g_assert_no_error (error);
  assert_running (w, 1);
  assert_service (w, "redis", "healthy", "none");
  assert_service (w, "openai", "down", "drill");
  g_assert_cmpstr (drill_world_get_level (w), ==, "degraded");
}

static void
test_two (DrillWorld *w, gconstpointer unused)
{
  g_autofree char *first = drill_world_begin (w, "redis", 40);
  g_autofree char *second = NULL;
  g_autoptr (GVariant) report = NULL;

  drill_world_advance (w, 10);
  second = drill_world_begin (w, "openai", 15);
  g_assert_cmpstr (drill_world_get_level (w), ==, "limited");
  assert_running (w, 2);
  drill_world_call (w, "redis", 3, TRUE);
  drill_world_call (w, "openai", 5, TRUE);
  drill_world_advance (w, 20); /* the second is over, and a tick came */
  assert_running (w, 1);
  g_assert_cmpstr (drill_world_get_level (w), ==, "degraded");
  drill_world_advance (w, 10);
  assert_running (w, 0);
  g_assert_cmpstr (drill_world_get_level (w), ==, "degraded");
  drill_world_advance (w, 20);
  g_assert_cmpstr (drill_world_get_level (w), ==, "optimal");

  report = drill_world_stop (w, first);
  drill_world_assert (report, "refused", "3");
  drill_world_assert (report, "level",
                      "{\"before\":\"optimal\",\"worst\":\"limited\",\"rule\":\"ai-and-cache\","
                      "\"after\":\"optimal\"}");
  g_clear_pointer (&report, g_variant_unref);
  report = drill_world_stop (w, second);
  drill_world_assert (report, "refused", "5");
  drill_world_assert (report, "level",
                      "{\"before\":\"degraded\",\"worst\":\"limited\",\"rule\":\"ai-and-cache\","
                      "\"after\":\"degraded\"}");
}

#define WITHOUT_REDIS                                                            \
  "[service database]\nrole=database\n[service openai]\nrole=ai\n[service s3]\n" \
  "role=storage\n[service search]\ncriticality=low\nbreaker=s3\n"

static const struct
{
  const char *path;
  const char *service;
  const char *config;
  gboolean goes_on;
} reloads[] = {
  { "gone", "redis", WITHOUT_REDIS, FALSE },
  { "another-role", "redis", WITHOUT_REDIS "[service redis]\nrole=ai\n", FALSE },
  { "another-breaker", "search",
    "[service redis]\nrole=cache\n[service s3]\nrole=storage\n[service search]\ncriticality=low\n",
    FALSE },
  { "sharer-gone", "s3", "[service redis]\nrole=cache\n[service s3]\nrole=storage\n", FALSE },
  { "others", "redis", "[service redis]\nrole=cache\n[service more]\n", TRUE },
  { "settings", "redis", "[service redis]\nrole=cache\nbreaker-open-duration=5s\n", TRUE },
};

static void
test_reload (DrillWorld *w, gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autofree char *id = drill_world_begin (w, reloads[i].service, 60);
  g_autoptr (GVariant) report = NULL;

  drill_world_reload (w, reloads[i].config);
  assert_running (w, reloads[i].goes_on);
  report = drill_world_stop (w, id);
  drill_world_assert (report, "cause", reloads[i].goes_on ? "\"stopped\"" : "\"removed\"");
  drill_world_advance (w, 60);
  g_assert_cmpstr (drill_world_get_level (w), ==, "optimal");
}

static void
test_shutdown (DrillWorld *w, gconstpointer unused)
{
  g_autofree char *id = drill_world_begin (w, "redis", 60);
  g_autoptr (GVariant) report = NULL;
  g_autoptr (GError) error = NULL;

  derate_core_stop_async (w->core, NULL, NULL, NULL);
  g_assert_cmpuint (drill_world_call (w, "redis", 1, TRUE), ==, 1); /* breakers go on working */
  report = drill_world_stop (w, id);
  drill_world_assert (report, "cause", "\"shutdown\"");
  g_assert_null (derate_core_start_drill (w->core, "redis", DOWN, 0, MINUTE, DERATE_LEVEL_UNKNOWN,
                                          NULL, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE);
}

/* Nothing would refuse a share of its calls, and the drill would be none. */
static void
test_bare (DrillWorld *w, gconstpointer unused)
{
  g_autoptr (DerateService) service =
      derate_service_new ("bare", DERATE_SERVICE_ROLE_NONE, DERATE_CLOCK (w->clock));
  g_autoptr (GError) error = NULL;
  g_autofree char *id = NULL;

  g_assert_true (derate_core_add_service (w->core, service, &error));
  g_assert_null (derate_core_start_drill (w->core, "bare", RATE, 0.5, MINUTE,
                                          DERATE_LEVEL_EMERGENCY, NULL, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "error-rate: service “bare” has no breaker"));
  assert_running (w, 0);
  g_clear_error (&error);
  id = derate_core_start_drill (w->core, "bare", DOWN, 0, MINUTE, DERATE_LEVEL_EMERGENCY, NULL,
                                &error);
  g_assert_no_error (error);
  assert_service (w, "bare", "down", "drill");
}

/* Before there is a level nobody can say what a drill would make of it. */
static void
test_too_early (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateCore) core = derate_core_new ("shop", clock, &error);
  g_autoptr (DerateService) service =
      derate_service_new ("redis", DERATE_SERVICE_ROLE_CACHE, clock);

  g_assert_true (derate_core_add_service (core, service, &error));
  g_assert_null (
      derate_core_start_drill (core, "redis", DOWN, 0, MINUTE, DERATE_LEVEL_UNKNOWN, NULL, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE);
}

/* What the bus does. */
static char *
begin_as (DrillWorld *w, const char *service, const char *owner, guint uid)
{
  DerateDrillRequest request = {
    .service = service,
    .fault = { .kind = DOWN },
    .duration = MINUTE,
    .who = "ana",
    .owner = owner,
    .uid = uid,
  };
  g_autoptr (GError) error = NULL;
  char *id = derate_core_begin_drill (w->core, &request, &error);

  g_assert_no_error (error);
  return id;
}

static void
test_vanished (DrillWorld *w, gconstpointer unused)
{
  g_autofree char *gone = begin_as (w, "redis", ":1.1", 1000);
  g_autofree char *left = begin_as (w, "openai", ":1.2", 1000);
  g_autofree char *own = drill_world_begin (w, "s3", 60);
  g_autoptr (GVariant) report = NULL;

  derate_drill_set_owner_vanished (derate_core_get_drills (w->core), ":1.1");
  assert_running (w, 2);
  report = drill_world_stop (w, gone);
  drill_world_assert (report, "cause", "\"vanished\"");
  drill_world_assert (report, "who", "\"ana\"");
  drill_world_assert (report, "uid", "1000");
}

static void
test_owner (DrillWorld *w, gconstpointer unused)
{
  DerateDrillSet *set = derate_core_get_drills (w->core);
  const DerateHoldCaller owner = { ":1.1", 1000, FALSE };
  const DerateHoldCaller others[] = { { ":1.2", 1000, FALSE }, { ":1.1", 1001, FALSE } };
  const DerateHoldCaller root = { ":1.9", 0, TRUE };
  g_autofree char *id = begin_as (w, "redis", ":1.1", 1000);
  g_autoptr (GError) error = NULL;
  GVariant *report;

  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      g_assert_null (derate_drill_set_end (set, id, &others[i], &error));
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_NOT_OWNER);
      g_clear_error (&error);
      assert_running (w, 1);
    }
  report = derate_drill_set_end (set, id, &owner, &error);
  g_assert_no_error (error);
  g_variant_unref (report);
  assert_running (w, 0);
  g_assert_null (derate_drill_set_end (set, id, &others[0], &error)); /* nor its report */
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_NOT_OWNER);
  g_clear_error (&error);
  report = derate_drill_set_end (set, id, &root, &error);
  g_assert_no_error (error);
  g_variant_unref (report);
}

static void
test_kept_reports (DrillWorld *w, gconstpointer unused)
{
  g_autoptr (GPtrArray) ids = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i <= DERATE_DRILL_SET_MAX_REPORTS; i++)
    {
      g_ptr_array_add (ids, drill_world_begin (w, "redis", 1));
      drill_world_advance (w, 1);
    }
  g_assert_null (derate_core_stop_drill (w->core, g_ptr_array_index (ids, 0), &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_NO_SUCH_DRILL);
  for (guint i = 1; i < ids->len; i++)
    g_variant_unref (drill_world_stop (w, g_ptr_array_index (ids, i)));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) \
  g_test_add (name, DrillWorld, NULL, drill_world_set_up, func, drill_world_tear_down)
  ADD ("/degradation/ahead/08-plays-dead-and-reports", test_life);
  ADD ("/degradation/drill/shown", test_shown);
  ADD ("/degradation/drill/limit-asked-for", test_limit_asked_for);
  ADD ("/degradation/drill/exists", test_exists);
  ADD ("/degradation/drill/ends/stopped", test_stopped);
  ADD ("/degradation/drill/ends/limit", test_limit_ends);
  ADD ("/degradation/drill/ends/limit-of-one", test_limit_of_one);
  ADD ("/degradation/drill/ends/vanished", test_vanished);
  ADD ("/degradation/drill/ends/shutdown", test_shutdown);
  ADD ("/degradation/drill/two-at-once", test_two);
  ADD ("/degradation/drill/owner", test_owner);
  ADD ("/degradation/drill/kept-reports", test_kept_reports);
  ADD ("/degradation/drill/bare", test_bare);
#undef ADD
  g_test_add_func ("/degradation/drill/too-early", test_too_early);
  for (guint i = 0; i < G_N_ELEMENTS (refusals); i++)
    {
      g_autofree char *path = g_strconcat ("/degradation/drill/refused/", refusals[i].path, NULL);

      g_test_add (path, DrillWorld, GUINT_TO_POINTER (i), drill_world_set_up, test_refused,
                  drill_world_tear_down);
    }
  for (guint i = 0; i < G_N_ELEMENTS (reloads); i++)
    {
      g_autofree char *path = g_strconcat ("/degradation/drill/reload/", reloads[i].path, NULL);

      g_test_add (path, DrillWorld, GUINT_TO_POINTER (i), drill_world_set_up, test_reload,
                  drill_world_tear_down);
    }
  return g_test_run ();
}
