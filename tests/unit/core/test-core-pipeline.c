/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "../policy/policy-world.h"
#include "derate-service-private.h"

/* A fallback that gives the last real answer it was told of. */
#define TEST_TYPE_MEMORY (test_memory_get_type ())
G_DECLARE_FINAL_TYPE (TestMemory, test_memory, TEST, MEMORY, GObject)

struct _TestMemory
{
  GObject parent_instance;
  GVariant *last;
};

static const char *
test_memory_get_strategy (DerateFallback *base)
{
  return "memory";
}

static DerateFallbackResult *
test_memory_answer (DerateFallback *base, DerateFallbackRequest *request, GError **error)
{
  TestMemory *self = TEST_MEMORY (base);

  if (self->last != NULL)
    return derate_fallback_result_new (self->last, "memory", "memory",
                                       derate_fallback_request_get_reason (request), 0);
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_UNAVAILABLE, "nothing yet");
  return NULL;
}

static void
test_memory_note_answer (DerateFallback *base, const char *key, GVariant *value)
{
  TestMemory *self = TEST_MEMORY (base);

  g_clear_pointer (&self->last, g_variant_unref);
  self->last = g_variant_ref (value);
}

static void
memory_iface_init (DerateFallbackInterface *iface)
{
  iface->get_strategy = test_memory_get_strategy;
  iface->answer = test_memory_answer;
  iface->note_answer = test_memory_note_answer;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (TestMemory,
                               test_memory,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_FALLBACK, memory_iface_init))

static void
test_memory_finalize (GObject *object)
{
  g_clear_pointer (&TEST_MEMORY (object)->last, g_variant_unref);
  G_OBJECT_CLASS (test_memory_parent_class)->finalize (object);
}

static void
test_memory_class_init (TestMemoryClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = test_memory_finalize;
}

static void
test_memory_init (TestMemory *self)
{
}

static DerateFallback *
make_memory (DerateFallbackFactory *factory,
             const char *service,
             GVariant *options,
             gpointer data,
             GError **error)
{
  return g_object_new (TEST_TYPE_MEMORY, NULL);
}

typedef struct
{
  PolicyWorld *world;
  DerateCore *core;
  char *path;
  DerateRequest *read;
} Fixture;

static void
write_config (Fixture *fixture, const char *text)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_set_contents (fixture->path, text, -1, &error));
  g_assert_no_error (error);
}

/* @data is the configuration, NULL is none, with one service added by hand. */
static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  int fd = g_file_open_tmp ("pipeline-XXXXXX", &fixture->path, NULL);

  g_assert_cmpint (fd, >=, 0);
  close (fd);
  fixture->world = policy_world_new ("S");
  fixture->read = derate_request_new (DERATE_REQUEST_READ, "k");
  if (data != NULL)
    {
      write_config (fixture, data);
      fixture->core = derate_core_new_from_file (fixture->path, fixture->world->clock, &error);
    }
  else
    {
      g_autoptr (DerateService) service =
          derate_service_new ("openai", DERATE_SERVICE_ROLE_AI, fixture->world->clock);

      fixture->core = derate_core_new ("shop", fixture->world->clock, &error);
      derate_core_add_service (fixture->core, service, NULL);
    }
  g_assert_no_error (error);
  g_assert_true (derate_fallback_factory_register (derate_core_get_fallbacks (fixture->core),
                                                   "memory", make_memory, NULL, NULL, NULL));
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_clear_object (&fixture->core);
  derate_request_unref (fixture->read);
  policy_world_free (fixture->world);
  g_unlink (fixture->path);
  g_free (fixture->path);
}

static DeratePipeline *
make (Fixture *fixture, const char *service, int flags)
{
  g_autoptr (GError) error = NULL;
  DeratePipeline *pipeline =
      derate_core_create_pipeline (fixture->core, service, (DerateCorePipelineFlags)flags, &error);

  g_assert_no_error (error);
  return pipeline;
}

static void
assert_length (Fixture *fixture, const char *service, int flags, guint length)
{
  g_autoptr (DeratePipeline) pipeline = make (fixture, service, flags);

  g_assert_cmpuint (derate_pipeline_get_length (pipeline), ==, length);
}

#define FULL DERATE_CORE_PIPELINE_FULL
#define BARE DERATE_CORE_PIPELINE_BARE
#define NO_RETRY DERATE_CORE_PIPELINE_NO_RETRY
#define UNCOUNTED DERATE_CORE_PIPELINE_UNCOUNTED
#define NAME "[derate]\nname=shop\n"
#define SERVICES                                                                      \
  "[service database]\nrole=database\nfallback=memory\n[service redis]\nrole=cache\n" \
  "[service openai]\nrole=ai\ncall-timeout=3s\nbulkhead=2\n"
#define SHOP NAME SERVICES
#define GATED SHOP "fallback=memory\n"

/* Fallback, retry, breaker, timeout, bulkhead, each left out where it is not there or not wanted;
 * and what delays a call in a drill.
 */
static void
test_stages (Fixture *fixture, gconstpointer data)
{
  assert_length (fixture, "database", FULL, 6);
  assert_length (fixture, "database", BARE, 5);
  assert_length (fixture, "database", BARE | NO_RETRY, 4);
  assert_length (fixture, "redis", FULL, 5);
  g_setenv ("DEFAULT_TIMEOUT", "0", TRUE);
  assert_length (fixture, "redis", FULL, 4);
  assert_length (fixture, "openai", FULL, 5);
  g_unsetenv ("DEFAULT_TIMEOUT");
}

/* A service that the program made, without a breaker. */
static void
test_by_hand (Fixture *fixture, gconstpointer data)
{
  assert_length (fixture, "openai", FULL, 4);
}

static void
test_no_retries (Fixture *fixture, gconstpointer data)
{
  g_setenv ("DEFAULT_MAX_RETRIES", "0", TRUE);
  assert_length (fixture, "redis", FULL, 4);
  g_unsetenv ("DEFAULT_MAX_RETRIES");
}

static void
test_disabled (void)
{
  Fixture fixture = { 0 };

  g_setenv ("ENABLE_RESILIENCE", "false", TRUE);
  set_up (&fixture, SHOP);
  g_unsetenv ("ENABLE_RESILIENCE");
  assert_length (&fixture, "database", FULL, 0);
  tear_down (&fixture, NULL);
}

static void
assert_refused (Fixture *fixture, const char *service, int code, const char *text)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (derate_core_create_pipeline (fixture->core, service, FULL, &error));
  g_assert_error (error, DERATE_ERROR, code);
  g_assert_nonnull (strstr (error->message, text));
}

static void
test_refused (Fixture *fixture, gconstpointer data)
{
  assert_refused (fixture, "nobody", DERATE_ERROR_NO_SUCH_SERVICE, "nobody");
  assert_refused (fixture, "a", DERATE_ERROR_INVALID_CONFIG, "[service a], fallback");
  g_setenv ("DEFAULT_TIMEOUT", "soon", TRUE);
  assert_refused (fixture, "b", DERATE_ERROR_INVALID_CONFIG, "DEFAULT_TIMEOUT");
  g_unsetenv ("DEFAULT_TIMEOUT");
}

static void
assert_timeout (Fixture *fixture, const char *service, GTimeSpan span)
{
  g_autoptr (DeratePipeline) pipeline = make (fixture, service, BARE | NO_RETRY);

  policy_world_set_script (fixture->world, "hold");
  policy_world_call_async (fixture->world, pipeline, NULL, NULL);
  policy_world_advance (fixture->world, span - 1);
  policy_world_assert_end (fixture->world, "…");
  policy_world_advance (fixture->world, 1);
  policy_world_assert_end (fixture->world, "derate:timed-out");
}

static void
test_timeouts (Fixture *fixture, gconstpointer data)
{
  assert_timeout (fixture, "openai", 3 * G_TIME_SPAN_SECOND);
  assert_timeout (fixture, "redis", 30 * G_TIME_SPAN_SECOND);
  g_setenv ("DEFAULT_TIMEOUT", "0.5", TRUE);
  assert_timeout (fixture, "redis", G_TIME_SPAN_SECOND / 2);
  assert_timeout (fixture, "openai", 3 * G_TIME_SPAN_SECOND);
  g_unsetenv ("DEFAULT_TIMEOUT");
}

/* Without a key of its own each service has its share. */
static void
test_answer_budget (Fixture *fixture, gconstpointer data)
{
  assert_timeout (fixture, "database", 100 * G_TIME_SPAN_MILLISECOND);
  assert_timeout (fixture, "redis", 50 * G_TIME_SPAN_MILLISECOND);
  assert_timeout (fixture, "s3", 200 * G_TIME_SPAN_MILLISECOND);
  assert_timeout (fixture, "openai", 3 * G_TIME_SPAN_SECOND);
}

/* A drill makes calls slow within what limits them, also of a pipeline that was made before it. */
static void
test_delay (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DeratePipeline) pipeline = make (fixture, "openai", BARE | NO_RETRY);
  g_autoptr (DerateService) service = derate_core_lookup_service (fixture->core, "openai");
  DerateFault fault = { DERATE_FAULT_KIND_LATENCY, .latency = G_TIME_SPAN_SECOND };

  derate_service_set_drill (service, &fault);
  policy_world_set_script (fixture->world, "S");
  policy_world_call_async (fixture->world, pipeline, NULL, NULL);
  policy_world_advance (fixture->world, fault.latency - 1);
  policy_world_assert_end (fixture->world, "…");
  policy_world_advance (fixture->world, 1);
  policy_world_assert_end (fixture->world, "1");

  fault.latency = 4 * G_TIME_SPAN_SECOND;
  derate_service_set_drill (service, &fault);
  policy_world_call_async (fixture->world, pipeline, NULL, NULL);
  policy_world_advance (fixture->world, 3 * G_TIME_SPAN_SECOND);
  policy_world_assert_end (fixture->world, "derate:timed-out");

  derate_service_set_drill (service, NULL);
  policy_world_call_async (fixture->world, pipeline, NULL, NULL);
  policy_world_run (fixture->world);
  policy_world_assert_end (fixture->world, "2");
}

static void
hold (Fixture *fixture, DeratePipeline *pipeline, guint n)
{
  for (guint i = 0; i < n; i++)
    derate_policy_call_async (DERATE_POLICY (pipeline), NULL, policy_world_start, fixture->world,
                              NULL, NULL, NULL, NULL);
}

/* All pipelines of a service share its places. */
static void
test_bulkhead (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DeratePipeline) first = make (fixture, "openai", NO_RETRY);
  g_autoptr (DeratePipeline) second = make (fixture, "openai", NO_RETRY | BARE);

  policy_world_set_script (fixture->world, "S");
  policy_world_call (fixture->world, second, NULL, NULL);
  policy_world_assert_end (fixture->world, "1");
  policy_world_set_script (fixture->world, "hold");
  hold (fixture, first, 2);
  policy_world_call (fixture->world, second, NULL, NULL);
  policy_world_assert_end (fixture->world, "derate:queue-full");
}

static void
assert_answers (Fixture *fixture, const char *source, guint n)
{
  g_autofree char *text = derate_metrics_registry_render (derate_core_get_metrics (fixture->core));
  g_autofree char *line =
      g_strdup_printf ("\ndegradation_answers_total{level=\"optimal\",source=\"%s\"} %u\n", source,
                       n);

  g_assert_nonnull (strstr (text, line));
}

static void
call (Fixture *fixture, DeratePipeline *pipeline, const char *script, const char *end)
{
  policy_world_set_script (fixture->world, script);
  policy_world_call (fixture->world, pipeline, fixture->read, NULL);
  policy_world_assert_end (fixture->world, end);
  policy_world_set_script (fixture->world, script);
  policy_world_call_async (fixture->world, pipeline, fixture->read, NULL);
  policy_world_finish (fixture->world);
  policy_world_assert_end (fixture->world, end);
}

/* Each end once, in both forms; a cancelled call has none. */
static void
test_counted (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DeratePipeline) pipeline = make (fixture, "database", NO_RETRY);
  g_autoptr (DeratePipeline) bare = make (fixture, "database", BARE | NO_RETRY);
  g_autoptr (DeratePipeline) part = make (fixture, "database", BARE | NO_RETRY | UNCOUNTED);

  call (fixture, pipeline, "S", "1");
  call (fixture, pipeline, "F", "fallback:1");
  call (fixture, bare, "cancelled", "cancelled");
  call (fixture, part, "S", "1");
  call (fixture, bare, "S", "1");
  call (fixture, bare, "F", "io:39");
  assert_answers (fixture, "real", 4);
  assert_answers (fixture, "fallback", 2);
  assert_answers (fixture, "refused", 2);
}

/* What one pipeline remembers another gives; a file that is read again keeps it while it says the
 * same of the service. */
static void
test_reload (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DeratePipeline) first = make (fixture, "database", NO_RETRY);
  g_autoptr (DeratePipeline) second = NULL;
  g_autoptr (DeratePipeline) third = NULL;
  g_auto (GStrv) changes = NULL;

  call (fixture, first, "S", "1");
  write_config (fixture, SHOP "[service s3]\nrole=storage\n");
  changes = derate_core_reload (fixture->core, NULL);
  g_assert_cmpuint (g_strv_length (changes), ==, 1);
  second = make (fixture, "database", NO_RETRY);
  call (fixture, second, "F", "fallback:1");

  g_clear_pointer (&changes, g_strfreev);
  write_config (fixture, NAME "[service database]\nrole=database\nfallback=memory\n"
                              "call-timeout=7s\n");
  changes = derate_core_reload (fixture->core, NULL);
  g_assert_cmpuint (g_strv_length (changes), ==, 4);
  third = make (fixture, "database", NO_RETRY);
  policy_world_set_script (fixture->world, "F");
  policy_world_call (fixture->world, third, fixture->read, NULL);
  g_assert_null (fixture->world->answer);
  call (fixture, first, "F", "fallback:1");
}

/* Two calls that want the fallback at once, for different keys. */
static void
test_fallback_bulkhead (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DeratePipeline) pipeline = make (fixture, "database", NO_RETRY);
  g_autoptr (DeratePipeline) narrow = make (fixture, "redis", NO_RETRY);
  g_autoptr (DerateRequest) other = derate_request_new (DERATE_REQUEST_READ, "other");

  for (guint i = 0; i < 2; i++)
    {
      DeratePolicy *policy = DERATE_POLICY (i == 0 ? pipeline : narrow);

      call (fixture, i == 0 ? pipeline : narrow, "S", "1");
      policy_world_set_script (fixture->world, "F");
      derate_policy_call_async (policy, other, policy_world_start, fixture->world, NULL, NULL, NULL,
                                NULL);
      policy_world_call_async (fixture->world, policy, fixture->read, NULL);
      policy_world_finish (fixture->world);
      policy_world_assert_end (fixture->world, i == 0 ? "fallback:1" : "io:39");
    }
}

static DeratePipeline *
make_gated (Fixture *fixture, int flags)
{
  g_autoptr (GError) error = NULL;
  DeratePipeline *pipeline =
      derate_core_create_gated_pipeline (fixture->core, "openai", "ai",
                                         (DerateCorePipelineFlags)flags, &error);

  g_assert_no_error (error);
  return pipeline;
}

static void
trip (Fixture *fixture, const char *name)
{
  g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (fixture->core, name);

  g_assert_true (derate_breaker_trip (breaker, NULL));
}

static void
close_by_hold (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *id =
      derate_degradation_manager_hold (derate_core_get_degradation_manager (fixture->core),
                                       DERATE_LEVEL_LIMITED, DERATE_HOLD_MODE_AT_LEAST, "ana",
                                       "maintenance", G_TIME_SPAN_HOUR, &error);

  g_assert_no_error (error);
}

/* The database is down, and so the level minimal. */
static void
close_by_level (Fixture *fixture)
{
  trip (fixture, "database");
}

static void
close_by_dependency (Fixture *fixture)
{
  trip (fixture, "openai");
}

static void
close_by_drill (Fixture *fixture)
{
  g_autofree char *id =
      derate_core_start_drill (fixture->core, "openai", DERATE_FAULT_KIND_DOWN, 0,
                               G_TIME_SPAN_MINUTE, DERATE_LEVEL_DEGRADED, "a test", NULL);

  g_assert_nonnull (id);
}

/* Each closes the gate of `ai`. */
static const struct
{
  void (*close) (Fixture *fixture);
  DerateFallbackReason reason;
  const char *error;
} closings[] = {
  { close_by_hold, DERATE_FALLBACK_REASON_HOLD, "derate:hold" },
  { close_by_level, DERATE_FALLBACK_REASON_LEVEL, "derate:level" },
  { close_by_dependency, DERATE_FALLBACK_REASON_OPEN, "derate:open" },
  { close_by_drill, DERATE_FALLBACK_REASON_DRILL, "derate:drill" },
};

static void
on_started (GObject *source, GAsyncResult *result, gpointer data)
{
  g_assert_true (derate_core_start_finish (DERATE_CORE (source), result, NULL));
}

/* Neither the service nor its breaker is asked while the gate is closed. */
static void
assert_gated (gconstpointer config, guint i)
{
  Fixture fixture = { 0 };
  g_autoptr (DeratePipeline) pipeline = NULL;
  g_autoptr (DeratePipeline) bare = NULL;
  g_autoptr (DerateBreaker) breaker = NULL;
  g_autoptr (DerateBreakerStats) stats = NULL;

  set_up (&fixture, config);
  pipeline = make_gated (&fixture, NO_RETRY);
  bare = make_gated (&fixture, BARE | UNCOUNTED);
  derate_core_start_async (fixture.core, NULL, on_started, NULL);
  policy_world_advance (fixture.world, 0);
  call (&fixture, pipeline, "S", "1");
  call (&fixture, bare, "S", "1");
  closings[i].close (&fixture);

  call (&fixture, pipeline, "S", "fallback:1");
  g_assert_cmpint (derate_fallback_result_get_reason (fixture.world->fallback), ==,
                   closings[i].reason);
  g_assert_cmpuint (fixture.world->made, ==, 0);
  call (&fixture, bare, "S", closings[i].error);
  breaker = derate_core_lookup_breaker (fixture.core, "openai");
  stats = derate_breaker_dup_stats (breaker);
  g_assert_cmpuint (stats->total_requests, ==, 4);
  tear_down (&fixture, NULL);
}

static void
test_gated (gconstpointer config)
{
  for (guint i = 0; i < G_N_ELEMENTS (closings); i++)
    assert_gated (config, i);
}

/* Where levels are not enforced the gate is shown closed, and lets everything through. */
static void
test_gate_not_enforced (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DeratePipeline) pipeline = make_gated (fixture, NO_RETRY);

  derate_core_start_async (fixture->core, NULL, on_started, NULL);
  policy_world_advance (fixture->world, 0);
  close_by_hold (fixture);
  call (fixture, pipeline, "S", "1");
}

static void
test_no_such_gate (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (
      derate_core_create_gated_pipeline (fixture->core, "openai", "magic", FULL, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT);
  g_assert_cmpstr (error->message, ==, "no feature “magic”");
}

/* It goes on without its core. */
static void
test_outlives_the_core (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DeratePipeline) pipeline = make (fixture, "database", FULL);

  g_clear_object (&fixture->core);
  call (fixture, pipeline, "S", "1");
}

int
main (int argc, char **argv)
{
#define ADD(path, config, func) \
  g_test_add ("/core/pipeline/" path, Fixture, config, set_up, func, tear_down)

  policy_test_init (&argc, &argv);

  ADD ("stages", SHOP, test_stages);
  ADD ("by-hand", NULL, test_by_hand);
  ADD ("no-retries", SHOP, test_no_retries);
  g_test_add_func ("/core/pipeline/disabled", test_disabled);
  ADD ("refused", NAME "[service a]\nrole=ai\nfallback=nonsense\n[service b]\nrole=ai\n",
       test_refused);
  ADD ("timeouts", SHOP, test_timeouts);
  ADD ("answer-budget", NAME "answer-budget=200ms\n[service s3]\nrole=storage\n" SERVICES,
       test_answer_budget);
  ADD ("delay", SHOP, test_delay);
  ADD ("bulkhead", SHOP, test_bulkhead);
  ADD ("fallback-bulkhead",
       NAME "[service database]\nrole=database\nfallback=memory\n"
            "[service redis]\nrole=cache\nfallback=memory\nfallback-bulkhead=1\n",
       test_fallback_bulkhead);
  g_test_add_data_func ("/core/pipeline/gated", GATED, test_gated);
  ADD ("gate-not-enforced", NAME "enforce=off\n[service openai]\nrole=ai\n",
       test_gate_not_enforced);
  ADD ("no-such-gate", SHOP, test_no_such_gate);
  ADD ("counted", SHOP, test_counted);
  ADD ("reload", SHOP, test_reload);
  ADD ("outlives-the-core", SHOP, test_outlives_the_core);
  return g_test_run ();
}
