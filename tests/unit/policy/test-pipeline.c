/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-world.h"

#include "derate-breaker-private.h"

#define SPAN G_TIME_SPAN_SECOND

/* A breaker that opens at the first failure, and a timeout. */
typedef struct
{
  PolicyWorld *world;
  DerateBreaker *breaker;
  DeratePipeline *pipeline;
} Fixture;

static void
append_breaker (DeratePipeline *pipeline, DerateBreaker *breaker)
{
  g_autoptr (DerateBreakerPolicy) policy = derate_breaker_policy_new (breaker);

  derate_pipeline_append (pipeline, DERATE_POLICY (policy));
}

static void
append_timeout (DeratePipeline *pipeline, DerateClock *clock)
{
  g_autoptr (DerateTimeout) timeout = derate_timeout_new (clock, SPAN);

  derate_pipeline_append (pipeline, DERATE_POLICY (timeout));
}

static void
set_up (Fixture *fixture, gconstpointer script)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();

  derate_breaker_config_set_failure_threshold (config, 1);
  fixture->world = policy_world_new (script);
  fixture->breaker = derate_breaker_new_with_clock ("b", config, fixture->world->clock);
  fixture->pipeline = derate_pipeline_new ();
}

static void
tear_down (Fixture *fixture, gconstpointer script)
{
  g_clear_object (&fixture->pipeline);
  g_clear_object (&fixture->breaker);
  policy_world_free (fixture->world);
}

static void
call_both (Fixture *fixture, const char *end)
{
  policy_world_call (fixture->world, fixture->pipeline, NULL, NULL);
  policy_world_assert_end (fixture->world, end);
  policy_world_set_script (fixture->world, "S");
}

static void
test_empty (Fixture *fixture, gconstpointer script)
{
  call_both (fixture, "1");
  policy_world_call_async (fixture->world, fixture->pipeline, NULL, NULL);
  policy_world_finish (fixture->world);
  policy_world_assert_end (fixture->world, "1");
  g_assert_cmpuint (derate_pipeline_get_length (fixture->pipeline), ==, 0);
}

/* The breaker outside sees the timeout, and opens. */
static void
test_timeout_is_failure (Fixture *fixture, gconstpointer script)
{
  append_breaker (fixture->pipeline, fixture->breaker);
  append_timeout (fixture->pipeline, fixture->world->clock);
  call_both (fixture, "derate:timed-out");
  g_assert_cmpint (derate_breaker_get_state (fixture->breaker), ==, DERATE_BREAKER_STATE_OPEN);
  call_both (fixture, "derate:open");
}

/* Inside the timeout it sees the operation's own end. */
static void
test_timeout_outside (Fixture *fixture, gconstpointer script)
{
  append_timeout (fixture->pipeline, fixture->world->clock);
  append_breaker (fixture->pipeline, fixture->breaker);
  call_both (fixture, "derate:timed-out");
  g_assert_cmpint (derate_breaker_get_state (fixture->breaker), ==, DERATE_BREAKER_STATE_CLOSED);
}

static void
test_async_timeout (Fixture *fixture, gconstpointer script)
{
  append_breaker (fixture->pipeline, fixture->breaker);
  append_timeout (fixture->pipeline, fixture->world->clock);
  policy_world_call_async (fixture->world, fixture->pipeline, NULL, NULL);
  policy_world_advance (fixture->world, SPAN);
  policy_world_assert_end (fixture->world, "derate:timed-out");
  g_assert_cmpint (derate_breaker_get_state (fixture->breaker), ==, DERATE_BREAKER_STATE_OPEN);
  policy_world_end (fixture->world, 0, "S");
  g_assert_cmpint (derate_breaker_get_state (fixture->breaker), ==, DERATE_BREAKER_STATE_OPEN);
}

/* The timeout ends the call that a breaker inside has let through: that permit is neutral. */
static void
test_async_timeout_outside (Fixture *fixture, gconstpointer script)
{
  append_timeout (fixture->pipeline, fixture->world->clock);
  append_breaker (fixture->pipeline, fixture->breaker);
  derate_breaker_trip (fixture->breaker, NULL);
  policy_world_advance (fixture->world, G_TIME_SPAN_HOUR);
  policy_world_call_async (fixture->world, fixture->pipeline, NULL, NULL);
  g_assert_cmpuint (derate_breaker_get_in_flight (fixture->breaker), ==, 1);
  policy_world_advance (fixture->world, SPAN);
  policy_world_assert_end (fixture->world, "derate:timed-out");
  g_assert_cmpuint (derate_breaker_get_in_flight (fixture->breaker), ==, 0);
  g_assert_cmpint (derate_breaker_get_state (fixture->breaker), ==, DERATE_BREAKER_STATE_HALF_OPEN);
}

/* Two breakers with different opinions move on their own. */
static void
test_two_breakers (Fixture *fixture, gconstpointer script)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
  g_autoptr (DerateBreaker) other = NULL;

  derate_breaker_config_set_failure_threshold (config, 1);
  derate_breaker_config_ignore_error (config, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  other = derate_breaker_new_with_clock ("other", config, fixture->world->clock);
  append_breaker (fixture->pipeline, fixture->breaker);
  append_breaker (fixture->pipeline, other);
  call_both (fixture, "io:1");
  g_assert_cmpint (derate_breaker_get_state (fixture->breaker), ==, DERATE_BREAKER_STATE_OPEN);
  g_assert_cmpint (derate_breaker_get_state (other), ==, DERATE_BREAKER_STATE_CLOSED);

  derate_breaker_close (fixture->breaker);
  derate_breaker_trip (other, NULL);
  call_both (fixture, "derate:open");
  g_assert_cmpint (derate_breaker_get_state (fixture->breaker), ==, DERATE_BREAKER_STATE_CLOSED);
}

/* A pipeline gives its stages away as they are, and goes on by itself. */
static void
test_nested (Fixture *fixture, gconstpointer script)
{
  g_autoptr (DeratePipeline) inner = derate_pipeline_new ();

  append_breaker (inner, fixture->breaker);
  append_timeout (inner, fixture->world->clock);
  append_timeout (fixture->pipeline, fixture->world->clock);
  derate_pipeline_append (fixture->pipeline, DERATE_POLICY (inner));
  append_timeout (inner, fixture->world->clock);
  g_assert_cmpuint (derate_pipeline_get_length (inner), ==, 3);
  g_assert_cmpuint (derate_pipeline_get_length (fixture->pipeline), ==, 3);
  call_both (fixture, "1");
  policy_world_call_async (fixture->world, fixture->pipeline, NULL, NULL);
  policy_world_finish (fixture->world);
  policy_world_assert_end (fixture->world, "1");
}

/* After the first call of either kind; a critical ends a test. */
static void
test_refused_when_used (Fixture *fixture, gconstpointer script)
{
  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
      g_test_trap_assert_failed ();
      g_test_trap_assert_stderr ("*does not change*");
      return;
    }
  if (g_str_has_prefix (script, "hold"))
    policy_world_call_async (fixture->world, fixture->pipeline, NULL, NULL);
  else
    policy_world_call (fixture->world, fixture->pipeline, NULL, NULL);
  append_breaker (fixture->pipeline, fixture->breaker);
}

/* The program lets go of all but the call. */
static void
test_outlives_its_maker (Fixture *fixture, gconstpointer script)
{
  append_breaker (fixture->pipeline, fixture->breaker);
  append_timeout (fixture->pipeline, fixture->world->clock);
  policy_world_call_async (fixture->world, fixture->pipeline, NULL, NULL);
  g_clear_object (&fixture->pipeline);
  g_clear_object (&fixture->breaker);
  policy_world_end (fixture->world, 0, "S");
  policy_world_finish (fixture->world);
  policy_world_assert_end (fixture->world, "1");
  g_assert_true (fixture->world->freed);
}

/* Many calls with one cancellable leave nothing on it. */
static void
test_cancellable_is_left_alone (Fixture *fixture, gconstpointer script)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  const guint n = 20000;
#else
  const guint n = 1000000;
#endif
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  guint signal = g_signal_lookup ("cancelled", G_TYPE_CANCELLABLE);

  append_breaker (fixture->pipeline, fixture->breaker);
  append_timeout (fixture->pipeline, fixture->world->clock);
  for (guint i = 0; i < n; i++)
    {
      policy_world_call_async (fixture->world, fixture->pipeline, NULL, cancellable);
      policy_world_end (fixture->world, 0, "S");
      policy_world_finish (fixture->world);
      g_ptr_array_set_size (fixture->world->pending, 0);
      g_ptr_array_set_size (fixture->world->cancellables, 0);
    }
  policy_world_assert_end (fixture->world, "1");
  g_assert_false (g_signal_has_handler_pending (cancellable, signal, 0, TRUE));
  g_assert_cmpuint (G_OBJECT (cancellable)->ref_count, ==, 1);
}

int
main (int argc, char **argv)
{
#define ADD(path, script, func) \
  g_test_add ("/pipeline/" path, Fixture, script, set_up, func, tear_down)

  policy_test_init (&argc, &argv);

  ADD ("empty", "S", test_empty);
  ADD ("timeout-is-failure", "+2s:S", test_timeout_is_failure);
  ADD ("timeout-outside", "+2s:S", test_timeout_outside);
  ADD ("async-timeout", "hold", test_async_timeout);
  ADD ("async-timeout-outside", "hold", test_async_timeout_outside);
  g_test_add ("/policy/behaviour/53-two-breakers", Fixture, "N", set_up, test_two_breakers,
              tear_down);
  ADD ("nested", "S", test_nested);
  ADD ("refused-when-used", "S", test_refused_when_used);
  ADD ("refused-when-used-async", "hold", test_refused_when_used);
  ADD ("outlives-its-maker", "hold", test_outlives_its_maker);
  ADD ("cancellable-is-left-alone", "hold", test_cancellable_is_left_alone);
  return g_test_run ();
}
