/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-world.h"

#define SPAN (2 * G_TIME_SPAN_SECOND)

typedef struct
{
  const char *name;
  const char *script;
  const char *end;
} Case;

/* At the deadline is late. A refusal stays what it is, and so does the caller's own cancel. */
static const Case sync_cases[] = {
  { "in-time", "S", "1" },
  { "just-in-time", "+1999ms:S", "1" },
  { "at-the-deadline", "+2s:S", "derate:timed-out" },
  { "late", "+1h:S", "derate:timed-out" },
  { "late-error", "+2s:F", "derate:timed-out" },
  { "error", "+1s:F", "io:39" },
  { "nothing", "none", "derate:failed" },
};

static void
test_sync (gconstpointer data)
{
  const Case *test = data;
  g_autoptr (PolicyWorld) world = policy_world_new (test->script);
  g_autoptr (DerateTimeout) timeout = derate_timeout_new (world->clock, SPAN);

  policy_world_call (world, timeout, NULL, NULL);
  policy_world_assert_end (world, test->end);
}

static void
test_sync_cancelled_late (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("+5s:cancel");
  g_autoptr (DerateTimeout) timeout = derate_timeout_new (world->clock, SPAN);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  policy_world_call (world, timeout, NULL, cancellable);
  policy_world_assert_end (world, "cancelled");
}

/* A refusal that an inner stage took long to give. */
static void
test_sync_refused_late (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("S");
  g_autoptr (DeratePipeline) pipeline = derate_pipeline_new ();
  g_autoptr (DerateTimeout) timeout = derate_timeout_new (world->clock, 1);
  g_autoptr (DerateBreaker) breaker = derate_breaker_new_with_clock ("b", NULL, world->clock);
  g_autoptr (DerateBreakerPolicy) stage = derate_breaker_policy_new (breaker);

  derate_breaker_trip (breaker, NULL);
  derate_pipeline_append (pipeline, DERATE_POLICY (timeout));
  derate_pipeline_append (pipeline, DERATE_POLICY (stage));
  policy_world_call (world, pipeline, NULL, NULL);
  policy_world_assert_end (world, "derate:open");
}

typedef struct
{
  const char *name;
  const char *script;
  const char *ending; /* of the operation at @at */
  GTimeSpan at;
  const char *end;
} AsyncCase;

static const AsyncCase async_cases[] = {
  { "in-start", "S", NULL, 0, "1" },
  { "fails-in-start", "F", NULL, 0, "io:39" },
  { "in-time", "hold", "S", SPAN - 1, "1" },
  { "fails-in-time", "hold", "F", SPAN - 1, "io:39" },
  { "in-another-thread", "thread", NULL, 0, "1" },
  { "dropped", "drop", NULL, 0, "derate:abandoned" },
  { "dropped-later", "hold", "drop", 1, "derate:abandoned" },
  { "late", "hold", "S", SPAN, "derate:timed-out" },
  { "much-later", "hold", "S", G_TIME_SPAN_HOUR, "derate:timed-out" },
  { "fails-late", "hold", "F", SPAN, "derate:timed-out" },
  { "dropped-late", "hold", "drop", SPAN, "derate:timed-out" },
  { "ends-when-cancelled", "cancel", NULL, SPAN, "derate:timed-out" },
  { "start-takes-too-long", "+3s:hold", "S", 1, "derate:timed-out" },
};

static void
test_async (gconstpointer data)
{
  const AsyncCase *test = data;
  g_autoptr (PolicyWorld) world = policy_world_new (test->script);
  g_autoptr (DerateTimeout) timeout = derate_timeout_new (world->clock, SPAN);

  policy_world_call_async (world, timeout, NULL, NULL);
  policy_world_advance (world, test->at);
  if (test->ending != NULL)
    policy_world_end (world, 0, test->ending);
  policy_world_finish (world);
  policy_world_assert_end (world, test->end);
  policy_world_run (world);
  g_assert_true (world->freed);
  g_assert_cmpuint (world->made, ==, 1);
  policy_world_advance (world, G_TIME_SPAN_DAY);
}

/* On time though the operation never answers; it is cancelled before the caller hears of it. */
static void
test_async_never (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("hold");
  g_autoptr (DerateTimeout) timeout = derate_timeout_new (world->clock, SPAN);
  g_autoptr (GCancellable) caller = g_cancellable_new ();

  policy_world_call_async (world, timeout, NULL, caller);
  policy_world_advance (world, SPAN - 1);
  policy_world_assert_end (world, "…");
  g_assert_false (g_cancellable_is_cancelled (policy_world_get_cancellable (world, 0)));
  policy_world_advance (world, 1);
  policy_world_assert_end (world, "derate:timed-out");
  g_assert_true (g_cancellable_is_cancelled (policy_world_get_cancellable (world, 0)));
  g_assert_false (g_cancellable_is_cancelled (caller));
  g_assert_false (world->freed);
  policy_world_end (world, 0, "S");
  g_assert_true (world->freed);
}

/* The attempt's own cancellable follows the caller's. */
static void
test_async_cancelled (gconstpointer script)
{
  g_autoptr (PolicyWorld) world = policy_world_new (script);
  g_autoptr (DerateTimeout) timeout = derate_timeout_new (world->clock, SPAN);
  g_autoptr (GCancellable) caller = g_cancellable_new ();

  policy_world_call_async (world, timeout, NULL, caller);
  g_cancellable_cancel (caller);
  g_assert_true (g_cancellable_is_cancelled (policy_world_get_cancellable (world, 0)));
  policy_world_run (world);
  policy_world_assert_end (world, "cancelled");
  policy_world_advance (world, SPAN);
  if (world->live > 0)
    policy_world_end (world, 0, "S");
  policy_world_run (world);
  g_assert_true (world->freed);
}

static void
test_settings (void)
{
  g_autoptr (DerateTimeout) timeout = derate_timeout_new (NULL, DERATE_TIMEOUT_DEFAULT);

  g_assert_cmpint (derate_timeout_get_span (timeout), ==, 30 * G_TIME_SPAN_SECOND);
}

/* Further than the clock goes. */
static void
test_endless (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("+1h:S hold");
  g_autoptr (DerateTimeout) timeout = derate_timeout_new (world->clock, G_MAXINT64);

  policy_world_call (world, timeout, NULL, NULL);
  policy_world_assert_end (world, "1");
  policy_world_call_async (world, timeout, NULL, NULL);
  policy_world_advance (world, G_TIME_SPAN_DAY);
  policy_world_assert_end (world, "…");
  policy_world_end (world, 0, "S");
  policy_world_finish (world);
  policy_world_assert_end (world, "1");
}

int
main (int argc, char **argv)
{
  policy_test_init (&argc, &argv);

  for (guint i = 0; i < G_N_ELEMENTS (sync_cases); i++)
    {
      g_autofree char *path = g_strconcat ("/timeout/sync/", sync_cases[i].name, NULL);

      g_test_add_data_func (path, &sync_cases[i], test_sync);
    }
  for (guint i = 0; i < G_N_ELEMENTS (async_cases); i++)
    {
      g_autofree char *path = g_strconcat ("/timeout/async/", async_cases[i].name, NULL);

      g_test_add_data_func (path, &async_cases[i], test_async);
    }
  g_test_add_func ("/timeout/sync/cancelled-late", test_sync_cancelled_late);
  g_test_add_func ("/timeout/sync/refused-late", test_sync_refused_late);
  g_test_add_func ("/timeout/async/never", test_async_never);
  g_test_add_data_func ("/timeout/async/cancelled", "hold", test_async_cancelled);
  g_test_add_data_func ("/timeout/async/cancelled-and-ends", "cancel", test_async_cancelled);
  g_test_add_func ("/timeout/settings", test_settings);
  g_test_add_func ("/timeout/endless", test_endless);
  return g_test_run ();
}
