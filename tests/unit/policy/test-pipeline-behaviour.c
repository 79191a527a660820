/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-world.h"

#include "derate-breaker-private.h"

/* What is expected of stages that stand around one another, whoever made them. */

#define SPAN G_TIME_SPAN_SECOND

/* Answers 99 and counts how often. */
#define TEST_TYPE_STAND_IN (test_stand_in_get_type ())
G_DECLARE_FINAL_TYPE (TestStandIn, test_stand_in, TEST, STAND_IN, GObject)

struct _TestStandIn
{
  GObject parent_instance;
  guint asked;
  DerateFallbackReason reason; /* of the last time */
};

static const char *
test_stand_in_get_strategy (DerateFallback *base)
{
  return "stand-in";
}

static DerateFallbackResult *
test_stand_in_answer (DerateFallback *base, DerateFallbackRequest *request, GError **error)
{
  TestStandIn *self = TEST_STAND_IN (base);

  self->asked++;
  self->reason = derate_fallback_request_get_reason (request);
  return derate_fallback_result_new (g_variant_new_uint32 (99), "stand-in", "rule", self->reason,
                                     0);
}

static void
stand_in_iface_init (DerateFallbackInterface *iface)
{
  iface->get_strategy = test_stand_in_get_strategy;
  iface->answer = test_stand_in_answer;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (TestStandIn,
                               test_stand_in,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_FALLBACK, stand_in_iface_init))

static void
test_stand_in_class_init (TestStandInClass *klass)
{
}

static void
test_stand_in_init (TestStandIn *self)
{
}

typedef struct
{
  PolicyWorld *world;
  TestStandIn *fallback;
  DerateBreaker *breaker; /* opens at the first failure; what is not found is an answer */
  DerateBulkhead *bulkhead;
  DeratePipeline *pipeline;
} Fixture;

/* Takes @policy. */
static void
append (Fixture *fixture, gpointer policy)
{
  g_autoptr (DeratePolicy) owned = policy;

  derate_pipeline_append (fixture->pipeline, owned);
}

static void
append_retry (Fixture *fixture)
{
  g_autoptr (DerateRetry) retry = derate_retry_new (fixture->world->clock);

  derate_retry_set_max_retries (retry, 2);
  g_assert_true (derate_retry_set_backoff (retry, 0, 1, 0, 0, NULL));
  append (fixture, g_steal_pointer (&retry));
}

/* The @data is the order, a letter a stage: fallback, retry, breaker, timeout, places (bulkhead).
 */
static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();

  derate_breaker_config_set_failure_threshold (config, 1);
  derate_breaker_config_set_success_threshold (config, 1);
  derate_breaker_config_ignore_error (config, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  fixture->world = policy_world_new ("S");
  fixture->fallback = g_object_new (TEST_TYPE_STAND_IN, NULL);
  fixture->breaker = derate_breaker_new_with_clock ("b", config, fixture->world->clock);
  fixture->bulkhead = derate_bulkhead_new (fixture->world->clock, 1);
  fixture->pipeline = derate_pipeline_new ();
  for (const char *stage = data; *stage != '\0'; stage++)
    switch (*stage)
      {
      case 'f':
        append (fixture, derate_fallback_policy_new ("shop", DERATE_FALLBACK (fixture->fallback)));
        break;
      case 'r':
        append_retry (fixture);
        break;
      case 'b':
        append (fixture, derate_breaker_policy_new (fixture->breaker));
        break;
      case 't':
        append (fixture, derate_timeout_new (fixture->world->clock, SPAN));
        break;
      default:
        append (fixture, g_object_ref (fixture->bulkhead));
      }
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  policy_world_set_script (fixture->world, "S");
  policy_world_run (fixture->world);
  g_object_unref (fixture->pipeline);
  g_object_unref (fixture->bulkhead);
  g_object_unref (fixture->breaker);
  g_object_unref (fixture->fallback);
  policy_world_free (fixture->world);
}

static guint64
count_failures (Fixture *fixture)
{
  g_autoptr (DerateBreakerStats) stats = derate_breaker_dup_stats (fixture->breaker);

  return stats->failed_requests;
}

/* Three attempts inside the breaker are one failure; the next caller's fallback hears of open. */
static void
test_retry_inside_breaker (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DerateRequest) read = derate_request_new (DERATE_REQUEST_READ, NULL);

  policy_world_set_script (fixture->world, "F");
  policy_world_call (fixture->world, fixture->pipeline, read, NULL);
  policy_world_assert_end (fixture->world, "fallback:99");
  g_assert_cmpuint (fixture->world->made, ==, 3);
  g_assert_cmpuint (count_failures (fixture), ==, 1);
  g_assert_cmpint (fixture->fallback->reason, ==, DERATE_FALLBACK_REASON_ERROR);

  policy_world_call_async (fixture->world, fixture->pipeline, read, NULL);
  policy_world_finish (fixture->world);
  policy_world_assert_end (fixture->world, "fallback:99");
  g_assert_cmpuint (fixture->world->made, ==, 3);
  g_assert_cmpint (fixture->fallback->reason, ==, DERATE_FALLBACK_REASON_OPEN);
}

/* As many failures as attempts when the retry stands outside; the open breaker ends it. */
static void
test_retry_outside_breaker (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DerateRequest) read = derate_request_new (DERATE_REQUEST_READ, NULL);

  policy_world_set_script (fixture->world, "F");
  policy_world_call (fixture->world, fixture->pipeline, read, NULL);
  policy_world_assert_end (fixture->world, "fallback:99");
  g_assert_cmpuint (fixture->world->made, ==, 1);
  g_assert_cmpint (fixture->fallback->reason, ==, DERATE_FALLBACK_REASON_OPEN);
}

/* A timeout is a failure and opens, in both forms. */
static void
test_timeout_opens (Fixture *fixture, gconstpointer data)
{
  policy_world_set_script (fixture->world, "+1s:S");
  policy_world_call (fixture->world, fixture->pipeline, NULL, NULL);
  policy_world_assert_end (fixture->world, "derate:timed-out");
  g_assert_cmpint (derate_breaker_get_state (fixture->breaker), ==, DERATE_BREAKER_STATE_OPEN);

  derate_breaker_close (fixture->breaker);
  policy_world_set_script (fixture->world, "hold");
  policy_world_call_async (fixture->world, fixture->pipeline, NULL, NULL);
  policy_world_advance (fixture->world, SPAN);
  policy_world_assert_end (fixture->world, "derate:timed-out");
  g_assert_cmpint (derate_breaker_get_state (fixture->breaker), ==, DERATE_BREAKER_STATE_OPEN);
}

/* Over time: the fallback answers, once; the place is free when the operation has really ended,
 * and its late answer changes nothing. */
static void
test_over_time (Fixture *fixture, gconstpointer data)
{
  policy_world_set_script (fixture->world, "hold");
  policy_world_call_async (fixture->world, fixture->pipeline, NULL, NULL);
  policy_world_advance (fixture->world, SPAN);
  policy_world_assert_end (fixture->world, "fallback:99");
  g_assert_cmpuint (derate_bulkhead_get_in_use (fixture->bulkhead), ==, 1);
  policy_world_end (fixture->world, 0, "S");
  policy_world_run (fixture->world);
  g_assert_cmpuint (derate_bulkhead_get_in_use (fixture->bulkhead), ==, 0);
  g_assert_cmpuint (fixture->fallback->asked, ==, 1);
  g_assert_cmpuint (count_failures (fixture), ==, 1);
  g_assert_cmpint (fixture->fallback->reason, ==, DERATE_FALLBACK_REASON_TIMEOUT);
}

/* An operation that ends when it is cancelled frees its place at once. */
static void
test_over_time_obedient (Fixture *fixture, gconstpointer data)
{
  policy_world_set_script (fixture->world, "cancel");
  policy_world_call_async (fixture->world, fixture->pipeline, NULL, NULL);
  policy_world_advance (fixture->world, SPAN);
  policy_world_assert_end (fixture->world, "fallback:99");
  g_assert_cmpuint (derate_bulkhead_get_in_use (fixture->bulkhead), ==, 0);
}

/* An error that is an answer leaves a half-open breaker so, and reaches the caller. */
static void
test_ignored_in_half_open (Fixture *fixture, gconstpointer data)
{
  derate_breaker_trip (fixture->breaker, NULL);
  policy_world_advance (fixture->world, G_TIME_SPAN_HOUR);
  policy_world_set_script (fixture->world, "N");
  policy_world_call (fixture->world, fixture->pipeline, NULL, NULL);
  policy_world_assert_end (fixture->world, "io:1");
  g_assert_cmpint (derate_breaker_get_state (fixture->breaker), ==, DERATE_BREAKER_STATE_HALF_OPEN);
  g_assert_cmpuint (derate_breaker_get_in_flight (fixture->breaker), ==, 0);
}

/* Cancelled while the operation runs, which goes on: the permit is back at once, the place when it
 * ends, and nobody asks a fallback. */
static void
test_cancelled (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  policy_world_set_script (fixture->world, "hold");
  policy_world_call_async (fixture->world, fixture->pipeline, NULL, cancellable);
  g_cancellable_cancel (cancellable);
  policy_world_run (fixture->world);
  policy_world_assert_end (fixture->world, "cancelled");
  g_assert_cmpuint (derate_breaker_get_in_flight (fixture->breaker), ==, 0);
  g_assert_cmpuint (derate_bulkhead_get_in_use (fixture->bulkhead), ==, 1);
  policy_world_end (fixture->world, 0, "F");
  policy_world_run (fixture->world);
  g_assert_cmpuint (derate_bulkhead_get_in_use (fixture->bulkhead), ==, 0);
  g_assert_cmpuint (fixture->fallback->asked + count_failures (fixture), ==, 0);
  g_assert_cmpuint (fixture->world->made, ==, 1);
}

int
main (int argc, char **argv)
{
#define ADD(path, order, func) g_test_add ("/policy/" path, Fixture, order, set_up, func, tear_down)

  policy_test_init (&argc, &argv);

  ADD ("behaviour/52-retry-inside-a-breaker", "fbr", test_retry_inside_breaker);
  ADD ("behaviour/52-retry-outside-a-breaker", "frb", test_retry_outside_breaker);
  ADD ("behaviour/53-a-timeout-opens", "btp", test_timeout_opens);
  ADD ("behaviour/54-over-time", "frbtp", test_over_time);
  ADD ("behaviour/54-over-time-and-ends", "frbtp", test_over_time_obedient);
  ADD ("behaviour/54-ignored-in-half-open", "frbtp", test_ignored_in_half_open);
  ADD ("pipeline/cancelled", "frbtp", test_cancelled);
  return g_test_run ();
}
