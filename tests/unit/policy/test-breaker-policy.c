/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-world.h"

#include "derate-breaker-private.h"

/* Opens after two failures, closes after one success; what is not found is an answer. */
static DerateBreaker *
make_breaker (PolicyWorld *world)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();

  derate_breaker_config_set_failure_threshold (config, 2);
  derate_breaker_config_set_success_threshold (config, 1);
  derate_breaker_config_set_open_duration (config, G_TIME_SPAN_SECOND);
  derate_breaker_config_set_open_duration_jitter (config, 0);
  derate_breaker_config_ignore_error (config, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  return derate_breaker_new_with_clock ("b", config, world->clock);
}

static void
make_half_open (PolicyWorld *world, DerateBreaker *breaker)
{
  g_assert_true (derate_breaker_trip (breaker, NULL));
  policy_world_advance (world, G_TIME_SPAN_SECOND);
}

typedef struct
{
  const char *name;
  const char *script;
  const char *ending; /* (nullable) of the operation that is held; also cancel */
  const char *end;
  DerateBreakerState state; /* after a probe that ended so */
} Case;

#define CLOSED DERATE_BREAKER_STATE_CLOSED
#define OPEN DERATE_BREAKER_STATE_OPEN
#define HALF_OPEN DERATE_BREAKER_STATE_HALF_OPEN

static const Case sync_cases[] = {
  { "success", "S", NULL, "1", CLOSED },
  { "failure", "F", NULL, "io:39", OPEN },
  { "timeout", "T", NULL, "io:24", OPEN },
  { "neutral", "N", NULL, "io:1", HALF_OPEN },
  { "cancelled", "cancel", NULL, "cancelled", HALF_OPEN },
  { "nothing", "none", NULL, "derate:failed", OPEN },
};

/* However a probe ends, its place is free again. */
static void
assert_free (PolicyWorld *world, DerateBreaker *breaker, const Case *test)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  policy_world_assert_end (world, test->end);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, test->state);
  g_assert_cmpuint (derate_breaker_get_in_flight (breaker), ==, 0);
  policy_world_advance (world, G_TIME_SPAN_SECOND);
  g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
}

static void
test_sync (gconstpointer data)
{
  const Case *test = data;
  g_autoptr (PolicyWorld) world = policy_world_new (test->script);
  g_autoptr (DerateBreaker) breaker = make_breaker (world);
  g_autoptr (DerateBreakerPolicy) policy = derate_breaker_policy_new (breaker);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  g_assert_true (derate_breaker_policy_get_breaker (policy) == breaker);
  make_half_open (world, breaker);
  policy_world_call (world, policy, NULL, cancellable);
  assert_free (world, breaker, test);
}

static const Case async_cases[] = {
  { "success", "S", NULL, "1", CLOSED },
  { "failure", "F", NULL, "io:39", OPEN },
  { "neutral", "N", NULL, "io:1", HALF_OPEN },
  { "in-another-thread", "thread", NULL, "1", CLOSED },
  { "later-success", "hold", "S", "1", CLOSED },
  { "later-failure", "hold", "F", "io:39", OPEN },
  { "later-neutral", "hold", "N", "io:1", HALF_OPEN },
  { "dropped", "drop", NULL, "derate:abandoned", HALF_OPEN },
  { "later-dropped", "hold", "drop", "derate:abandoned", HALF_OPEN },
  { "cancelled", "cancel", "cancel", "cancelled", HALF_OPEN },
  { "cancelled-and-goes-on", "hold", "cancel", "cancelled", HALF_OPEN },
};

static void
test_async (gconstpointer data)
{
  const Case *test = data;
  g_autoptr (PolicyWorld) world = policy_world_new (test->script);
  g_autoptr (DerateBreaker) breaker = make_breaker (world);
  g_autoptr (DerateBreakerPolicy) policy = derate_breaker_policy_new (breaker);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  make_half_open (world, breaker);
  policy_world_call_async (world, policy, NULL, cancellable);
  if (test->ending != NULL)
    {
      g_assert_cmpuint (derate_breaker_get_in_flight (breaker), ==, 1);
      if (g_str_equal (test->ending, "cancel"))
        g_cancellable_cancel (cancellable);
      else
        policy_world_end (world, 0, test->ending);
    }
  policy_world_finish (world);
  assert_free (world, breaker, test);
  if (world->live > 0)
    policy_world_end (world, 0, "F"); /* too late to mean anything */
  policy_world_run (world);
  g_assert_true (world->freed);
  g_assert_cmpint (derate_breaker_get_state (breaker), !=, DERATE_BREAKER_STATE_UNKNOWN);
  g_assert_cmpuint (derate_breaker_get_in_flight (breaker), ==, 0);
}

/* What an operation answers after its call was cancelled is no outcome. */
static void
test_late_outcome (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("hold");
  g_autoptr (DerateBreaker) breaker = make_breaker (world);
  g_autoptr (DerateBreakerPolicy) policy = derate_breaker_policy_new (breaker);
  g_autoptr (DerateBreakerStats) stats = NULL;

  for (guint i = 0; i < 5; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();

      policy_world_call_async (world, policy, NULL, cancellable);
      g_cancellable_cancel (cancellable);
      policy_world_finish (world);
      policy_world_end (world, i, "F");
    }
  stats = derate_breaker_dup_stats (breaker);
  g_assert_cmpuint (stats->calls, ==, 5);
  g_assert_cmpuint (stats->failed_requests, ==, 0);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, CLOSED);
}

static void
test_refusal (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("F");
  g_autoptr (DerateBreaker) breaker = make_breaker (world);
  g_autoptr (DerateBreakerPolicy) policy = derate_breaker_policy_new (breaker);
  g_autoptr (DerateBreakerStats) stats = NULL;

  for (guint i = 0; i < 4; i++)
    policy_world_call (world, policy, NULL, NULL);
  policy_world_assert_end (world, "derate:open");
  policy_world_call_async (world, policy, NULL, NULL);
  policy_world_finish (world);
  policy_world_assert_end (world, "derate:open");
  g_assert_cmpuint (world->made, ==, 2);
  stats = derate_breaker_dup_stats (breaker);
  g_assert_cmpuint (stats->failed_requests, ==, 2);
}

/* Nobody wants the error. */
static void
test_no_error (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("F");
  g_autoptr (DerateBreaker) breaker = make_breaker (world);
  g_autoptr (DerateBreakerPolicy) policy = derate_breaker_policy_new (breaker);

  for (guint i = 0; i < 3; i++)
    g_assert_null (derate_policy_call (DERATE_POLICY (policy), NULL, policy_world_operate, world,
                                       NULL, NULL, NULL));
  g_assert_cmpuint (world->made, ==, 2);
}

/* Cancelled before: nothing is called or counted, open or not. */
static void
test_cancelled_before (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("S");
  g_autoptr (DerateBreaker) breaker = make_breaker (world);
  g_autoptr (DerateBreakerPolicy) policy = derate_breaker_policy_new (breaker);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (DerateBreakerStats) stats = NULL;

  g_cancellable_cancel (cancellable);
  for (guint i = 0; i < 2; i++)
    {
      policy_world_call (world, policy, NULL, cancellable);
      policy_world_assert_end (world, "cancelled");
      policy_world_call_async (world, policy, NULL, cancellable);
      policy_world_finish (world);
      policy_world_assert_end (world, "cancelled");
      derate_breaker_trip (breaker, NULL);
    }
  g_assert_cmpuint (world->made, ==, 0);
  stats = derate_breaker_dup_stats (breaker);
  g_assert_cmpuint (stats->total_requests, ==, 0);
}

int
main (int argc, char **argv)
{
  policy_test_init (&argc, &argv);

  for (guint i = 0; i < G_N_ELEMENTS (sync_cases); i++)
    {
      g_autofree char *path = g_strconcat ("/breaker-policy/sync/", sync_cases[i].name, NULL);

      g_test_add_data_func (path, &sync_cases[i], test_sync);
    }
  for (guint i = 0; i < G_N_ELEMENTS (async_cases); i++)
    {
      g_autofree char *path = g_strconcat ("/breaker-policy/async/", async_cases[i].name, NULL);

      g_test_add_data_func (path, &async_cases[i], test_async);
    }
  g_test_add_func ("/breaker-policy/late-outcome", test_late_outcome);
  g_test_add_func ("/breaker-policy/refusal", test_refusal);
  g_test_add_func ("/breaker-policy/no-error", test_no_error);
  g_test_add_func ("/breaker-policy/cancelled-before", test_cancelled_before);
  return g_test_run ();
}
