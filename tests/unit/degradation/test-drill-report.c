/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "drill-world.h"

/* What a drill reports: gates, fallbacks and answers while it ran, and nothing of before or after.
 */

static void
note (DrillWorld *w,
      const char *service,
      const char *strategy,
      DerateFallbackReason reason,
      guint times,
      GTimeSpan each,
      gboolean answered)
{
  for (guint i = 0; i < times; i++)
    derate_fallback_usage_note (derate_core_get_fallback_usage (w->core), service, strategy, reason,
                                each, answered);
}

static GVariant *
operate (GCancellable *cancellable, gpointer data, GError **error)
{
  return g_variant_ref_sink (g_variant_new_boolean (TRUE));
}

/* Calls through the service's usual pipeline. */
static void
call (DrillWorld *w, const char *service, guint times)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePipeline) pipeline =
      derate_core_create_pipeline (w->core, service, DERATE_CORE_PIPELINE_FULL, &error);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, "k");

  g_assert_no_error (error);
  for (guint i = 0; i < times; i++)
    {
      g_autoptr (GVariant) answer =
          derate_policy_call (DERATE_POLICY (pipeline), request, operate, w, NULL, NULL, NULL);
    }
}

/* Every key is there, in this order, though nothing happened. */
static void
test_keys (DrillWorld *w, gconstpointer unused)
{
  static const char *const keys[] = {
    "id",      "service", "fault",    "rate",    "latency_seconds", "limit",
    "who",     "reason",  "uid",      "since",   "ended",           "duration_seconds",
    "cause",   "level",   "features", "refused", "fallbacks",       "fallback_failures",
    "answers",
  };
  g_autoptr (GError) error = NULL;
  g_autofree char *id =
      derate_core_start_drill (w->core, "s3", DERATE_FAULT_KIND_LATENCY, 0.25, G_TIME_SPAN_MINUTE,
                               DERATE_LEVEL_UNKNOWN, NULL, &error);
  g_autoptr (GVariant) report = drill_world_stop (w, id);

  g_assert_cmpuint (g_variant_n_children (report), ==, G_N_ELEMENTS (keys));
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    {
      g_autoptr (GVariant) entry = g_variant_get_child_value (report, i);
      const char *key;

      g_variant_get_child (entry, 0, "&s", &key);
      g_assert_cmpstr (key, ==, keys[i]);
    }
  drill_world_assert (report, "fault", "\"latency\"");
  drill_world_assert (report, "latency_seconds", "0.25");
  drill_world_assert (report, "rate", "0");
  drill_world_assert (report, "reason", "\"\"");
  drill_world_assert (report, "features", "{}");
  drill_world_assert (report, "fallbacks", "[]");
  drill_world_assert (report, "refused", "0");
  drill_world_assert (report, "answers", "{\"real\":0,\"fallback\":0,\"refused\":0}");
}

static void
test_gates (DrillWorld *w, gconstpointer unused)
{
  g_autofree char *first = drill_world_begin (w, "redis", 60);
  g_autofree char *second = NULL;
  g_autoptr (GVariant) report = NULL;
  g_autoptr (GVariant) inner = NULL;

  second = drill_world_begin (w, "openai", 10);
  drill_world_advance (w, 35); /* the second is over, and the level better again */
  report = drill_world_stop (w, first);
  drill_world_assert (report, "features",
                      "{\"ai\":{\"from\":\"on\",\"to\":\"off\"},"
                      "\"cache\":{\"from\":\"on\",\"to\":\"off\"},"
                      "\"uploads\":{\"from\":\"on\",\"to\":\"queued\"}}");
  inner = drill_world_stop (w, second);
  drill_world_assert (inner, "features",
                      "{\"ai\":{\"from\":\"on\",\"to\":\"off\"},"
                      "\"uploads\":{\"from\":\"on\",\"to\":\"queued\"}}");
}

static void
test_fallbacks (DrillWorld *w, gconstpointer unused)
{
  g_autofree char *id = NULL;
  g_autoptr (GVariant) report = NULL;

  note (w, "redis", "cached", DERATE_FALLBACK_REASON_OPEN, 50, G_TIME_SPAN_SECOND, TRUE);
  id = drill_world_begin (w, "redis", 60);
  note (w, "redis", "cached", DERATE_FALLBACK_REASON_DRILL, 95, 400, TRUE);
  note (w, "redis", "cached", DERATE_FALLBACK_REASON_DRILL, 4, 20 * G_TIME_SPAN_MILLISECOND, TRUE);
  note (w, "redis", "cached", DERATE_FALLBACK_REASON_TIMEOUT, 1, 20 * G_TIME_SPAN_MILLISECOND,
        TRUE);
  note (w, "redis", "default", DERATE_FALLBACK_REASON_DRILL, 1, 3 * G_TIME_SPAN_SECOND, TRUE);
  note (w, "redis", "database", DERATE_FALLBACK_REASON_DRILL, 3, 10, FALSE);
  note (w, "s3", "queue", DERATE_FALLBACK_REASON_OPEN, 9, 10, TRUE);
  report = drill_world_stop (w, id);
  note (w, "redis", "cached", DERATE_FALLBACK_REASON_DRILL, 9, 400, TRUE);
  drill_world_assert (report, "fallbacks",
                      "[{\"service\":\"redis\",\"strategy\":\"cached\",\"reason\":\"timeout\","
                      "\"count\":1,\"mean_seconds\":0.00138,\"p95_seconds\":0.0005},"
                      "{\"service\":\"redis\",\"strategy\":\"cached\",\"reason\":\"drill\","
                      "\"count\":99,\"mean_seconds\":0.00138,\"p95_seconds\":0.0005},"
                      "{\"service\":\"redis\",\"strategy\":\"default\",\"reason\":\"drill\","
                      "\"count\":1,\"mean_seconds\":3,\"p95_seconds\":3}]");
  drill_world_assert (report, "fallback_failures", "3");
}

/* Those of services that share the breaker are the drill's as well. */
static void
test_sharers (DrillWorld *w, gconstpointer unused)
{
  g_autofree char *id = drill_world_begin (w, "s3", 60);
  g_autoptr (GVariant) report = NULL;

  call (w, "s3", 2);
  call (w, "search", 1);
  note (w, "search", "default", DERATE_FALLBACK_REASON_DRILL, 1, 10, TRUE);
  report = drill_world_stop (w, id);
  drill_world_assert (report, "refused", "3");
  drill_world_assert (report, "fallbacks",
                      "[{\"service\":\"search\",\"strategy\":\"default\",\"reason\":\"drill\","
                      "\"count\":1,\"mean_seconds\":1e-05,\"p95_seconds\":1e-05}]");
}

static void
test_answers (DrillWorld *w, gconstpointer unused)
{
  g_autofree char *id = NULL;
  g_autoptr (GVariant) report = NULL;

  call (w, "redis", 5);
  id = drill_world_begin (w, "redis", 60);
  call (w, "redis", 4); /* no fallback: nothing to answer with */
  call (w, "openai", 3);
  derate_degradation_manager_note_answer (derate_core_get_degradation_manager (w->core),
                                          DERATE_ANSWER_SOURCE_FALLBACK);
  report = drill_world_stop (w, id);
  call (w, "redis", 5);
  drill_world_assert (report, "refused", "4");
  drill_world_assert (report, "answers", "{\"real\":3,\"fallback\":1,\"refused\":4}");
}

/* A share of the calls, and no more. */
static void
test_error_rate (DrillWorld *w, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *id =
      derate_core_start_drill (w->core, "openai", DERATE_FAULT_KIND_ERROR_RATE, 0.25,
                               G_TIME_SPAN_MINUTE, DERATE_LEVEL_UNKNOWN, "test", &error);
  g_autoptr (GVariant) report = NULL;
  g_autofree char *refused = NULL;
  guint n;

  g_assert_no_error (error);
  g_assert_cmpstr (drill_world_get_level (w), ==, "degraded"); /* 0.25 is half its threshold */
  n = drill_world_call (w, "openai", 1000, TRUE);
  g_assert_cmpuint (n, >=, 600);
  g_assert_cmpuint (n, <=, 900);
  refused = g_strdup_printf ("%u", 1000 - n);
  report = drill_world_stop (w, id);
  drill_world_assert (report, "refused", refused);
  drill_world_assert (report, "rate", "0.25");
}

/* What is held stays held: no tick makes it better than that, nor worse. */
static void
test_held (DrillWorld *w, gconstpointer unused)
{
  DerateDegradationManager *manager = derate_core_get_degradation_manager (w->core);
  static const struct
  {
    const char *breaker; /* which has failed */
    DerateLevel level;
    DerateHoldMode mode;
    const char *text;
  } holds[] = {
    { NULL, DERATE_LEVEL_LIMITED, DERATE_HOLD_MODE_AT_LEAST, "\"limited\"" },
    { NULL, DERATE_LEVEL_LIMITED, DERATE_HOLD_MODE_EXACT, "\"limited\"" },
    { "database", DERATE_LEVEL_OPTIMAL, DERATE_HOLD_MODE_EXACT, "\"optimal\"" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (holds); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autofree char *hold =
          derate_degradation_manager_hold (manager, holds[i].level, holds[i].mode, "ana", "test",
                                           G_TIME_SPAN_HOUR, &error);
      g_autofree char *id = NULL;
      g_autoptr (GVariant) report = NULL;

      g_assert_no_error (error);
      if (holds[i].breaker != NULL)
        drill_world_call (w, holds[i].breaker, 3, FALSE);
      id = drill_world_begin (w, "openai", 60);
      report = drill_world_stop (w, id);
      drill_world_assert (report, "level.after", holds[i].text);
      drill_world_advance (w, 30);
      g_assert_cmpstr (drill_world_get_level (w), ==, derate_level_get_nick (holds[i].level));
      g_assert_true (derate_degradation_manager_release (manager, hold, &error));
      drill_world_advance (w, 30);
    }
}

/* What set_level () asks for is over by the tick that this tells of. */
static void
test_set_level (DrillWorld *w, gconstpointer unused)
{
  g_autofree char *id = drill_world_begin (w, "openai", 60);
  g_autoptr (GVariant) report = NULL;

  g_assert_true (
      derate_degradation_manager_set_level (derate_core_get_degradation_manager (w->core),
                                            DERATE_LEVEL_MINIMAL, NULL));
  report = drill_world_stop (w, id);
  drill_world_assert (report, "level.worst", "\"minimal\"");
  drill_world_assert (report, "level.after", "\"optimal\"");
  drill_world_advance (w, 30);
  g_assert_cmpstr (drill_world_get_level (w), ==, "optimal");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func)                                                                      \
  g_test_add ("/degradation/drill-report/" name, DrillWorld, NULL, drill_world_set_up, func, \
              drill_world_tear_down)
  ADD ("keys", test_keys);
  ADD ("gates", test_gates);
  ADD ("fallbacks", test_fallbacks);
  ADD ("sharers", test_sharers);
  ADD ("answers", test_answers);
  ADD ("error-rate", test_error_rate);
  ADD ("held", test_held);
  ADD ("set-level", test_set_level);
#undef ADD
  return g_test_run ();
}
