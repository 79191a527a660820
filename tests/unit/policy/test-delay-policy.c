/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-private.h"
#include "derate-delay-policy-private.h"

#include "leap-world.h"
#include "policy-world.h"

#define SECOND G_TIME_SPAN_SECOND

/* What is counted here is malloc () itself; a sanitizer has its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS FALSE
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTS_ALLOCATIONS FALSE
#endif
#endif
#ifndef COUNTS_ALLOCATIONS
#define COUNTS_ALLOCATIONS TRUE
#endif

static gint n_allocations; /* atomic */

#if COUNTS_ALLOCATIONS
extern void *__libc_malloc (size_t size);
extern void *__libc_calloc (size_t n, size_t size);

void *
malloc (size_t size)
{
  g_atomic_int_inc (&n_allocations);
  return __libc_malloc (size);
}

void *
calloc (size_t n, size_t size)
{
  g_atomic_int_inc (&n_allocations);
  return __libc_calloc (n, size);
}
#endif

/* Policies around an operation that a drill makes slow; @stages has a letter for each, from the
 * outside in: B a breaker that opens at the third failure, P a bulkhead of one place, a digit a
 * timeout of so many seconds, R two retries at once, and D the delay. */
typedef struct
{
  DerateClock *clock;
  DerateDelayPolicy *delay;
  DerateBreaker *breaker;
  DerateBulkhead *bulkhead;
  DeratePipeline *pipeline;
  DerateRequest *request;
} World;

static void
append (World *world, gpointer policy)
{
  derate_pipeline_append (world->pipeline, policy);
  g_object_unref (policy);
}

static DerateRetry *
make_retry (World *world)
{
  DerateRetry *retry = derate_retry_new (world->clock);

  derate_retry_set_max_retries (retry, 2);
  g_assert_true (derate_retry_set_backoff (retry, 0, 1, 0, 0, NULL));
  return retry;
}

static void
append_stage (World *world, char stage)
{
  if (stage == 'D')
    append (world, g_object_ref (world->delay));
  else if (stage == 'B')
    append (world, derate_breaker_policy_new (world->breaker));
  else if (stage == 'P')
    append (world, g_object_ref (world->bulkhead));
  else if (stage == 'R')
    append (world, make_retry (world));
  else
    append (world, derate_timeout_new (world->clock, (stage - '0') * SECOND));
}

/* Takes @clock. */
static void
world_init (World *world, DerateClock *clock, const char *stages, GTimeSpan delay)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();

  derate_breaker_config_set_failure_threshold (config, 3);
  *world = (World){ .clock = clock };
  world->delay = derate_delay_policy_new (clock);
  derate_delay_policy_set (world->delay, delay);
  world->breaker = derate_breaker_new_with_clock ("b", config, clock);
  world->bulkhead = derate_bulkhead_new (clock, 1);
  world->pipeline = derate_pipeline_new ();
  world->request = derate_request_new (DERATE_REQUEST_READ, NULL);
  for (; *stages != '\0'; stages++)
    append_stage (world, *stages);
}

static void
world_clear (World *world)
{
  g_assert_cmpuint (derate_bulkhead_get_in_use (world->bulkhead), ==, 0);
  g_assert_cmpuint (derate_breaker_get_in_flight (world->breaker), ==, 0);
  derate_request_unref (world->request);
  g_assert_finalize_object (world->pipeline);
  g_assert_finalize_object (world->delay);
  g_assert_finalize_object (world->bulkhead);
  g_assert_finalize_object (world->breaker);
  g_object_unref (world->clock);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (World, world_clear)

typedef struct
{
  const char *name;
  const char *stages;
  GTimeSpan delay;
  const char *script; /* of the operation */
  const char *end; /* as the world of a policy tells it; cancelled: while it waits */
  guint made;
  GTimeSpan took;
} Case;

/* The same in both forms. */
static const Case cases[] = {
  { "none", "D", 0, "S", "1", 1, 0 },
  { "delayed", "D", 2 * SECOND, "S", "1", 1, 2 * SECOND },
  { "fails", "D", 2 * SECOND, "F", "io:39", 1, 2 * SECOND },
  { "long", "D", 5 * G_TIME_SPAN_MINUTE, "S", "1", 1, 5 * G_TIME_SPAN_MINUTE },
  { "shortest", "D", 1, "S", "1", 1, 1 },
  { "cancelled", "D", 2 * SECOND, "S", "cancelled", 0, 0 },
  { "cancelled-in-a-place", "PD", 2 * SECOND, "S", "cancelled", 0, 0 },
  { "cancelled-in-all", "RB3PD", 2 * SECOND, "S", "cancelled", 0, 0 },
  { "in-time", "3D", 2 * SECOND, "S", "1", 1, 2 * SECOND },
  { "at-the-deadline", "2D", 2 * SECOND, "S", "derate:timed-out", 0, 2 * SECOND },
  { "after-the-deadline", "1D", 2 * SECOND, "S", "derate:timed-out", 0, SECOND },
  { "outer-deadline", "13D", 2 * SECOND, "S", "derate:timed-out", 0, SECOND },
  { "inner-deadline", "31D", 2 * SECOND, "S", "derate:timed-out", 0, SECOND },
  { "before-both", "34D", 2 * SECOND, "S", "1", 1, 2 * SECOND },
  { "timeout-inside", "D3", 2 * SECOND, "S", "1", 1, 2 * SECOND },
  { "timeout-inside-is-no-limit", "D1", 2 * SECOND, "S", "1", 1, 2 * SECOND },
  { "in-a-place", "2PD", SECOND, "S", "1", 1, SECOND },
  { "each-attempt", "R3D", SECOND, "F S", "2", 2, 2 * SECOND },
  { "each-attempt-times-out", "R1D", 2 * SECOND, "S", "derate:timed-out", 0, 3 * SECOND },
  { "usual-order", "RB3PD", 2 * SECOND, "S", "1", 1, 2 * SECOND },
};

static void
test_sync (gconstpointer data)
{
  const Case *test = data;
  g_auto (World) world = { 0 };
  g_autoptr (PolicyWorld) caller = policy_world_new (test->script);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  world_init (&world, leap_clock_new (), test->stages, test->delay);
  if (g_str_equal (test->end, "cancelled"))
    leap_clock_cancel_next (world.clock, cancellable);
  policy_world_call (caller, world.pipeline, world.request, cancellable);
  policy_world_assert_end (caller, test->end);
  g_assert_cmpuint (caller->made, ==, test->made);
  g_assert_cmpint (leap_clock_get_leapt (world.clock), ==, test->took);
}

static void
test_async (gconstpointer data)
{
  const Case *test = data;
  g_auto (World) world = { 0 };
  g_autoptr (PolicyWorld) caller = policy_world_new (test->script);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  world_init (&world, g_object_ref (caller->clock), test->stages, test->delay);
  policy_world_call_async (caller, world.pipeline, world.request, cancellable);
  if (g_str_equal (test->end, "cancelled"))
    g_cancellable_cancel (cancellable);
  else if (test->took > 0)
    {
      policy_world_advance (caller, test->took - 1);
      policy_world_assert_end (caller, "…");
      policy_world_advance (caller, 1);
    }
  policy_world_run (caller);
  policy_world_assert_end (caller, test->end);
  g_assert_true (caller->freed);
  policy_world_advance (caller, G_TIME_SPAN_HOUR);
  g_assert_cmpuint (caller->made, ==, test->made);
}

/* A breaker takes calls that time out in the delay as those of a slow service. */
static void
test_opens_breaker (gconstpointer async)
{
  g_auto (World) world = { 0 };
  g_autoptr (PolicyWorld) caller = policy_world_new ("S");

  world_init (&world, async != NULL ? g_object_ref (caller->clock) : leap_clock_new (), "B1PD",
              2 * SECOND);
  for (guint i = 0; i < 3; i++)
    {
      if (async == NULL)
        policy_world_call (caller, world.pipeline, world.request, NULL);
      else
        policy_world_call_async (caller, world.pipeline, world.request, NULL);
      policy_world_advance (caller, SECOND);
      policy_world_assert_end (caller, "derate:timed-out");
    }
  g_assert_cmpint (derate_breaker_get_state (world.breaker), ==, DERATE_BREAKER_STATE_OPEN);
  g_assert_cmpuint (caller->made, ==, 0);
}

/* A call inside another one has that one's deadline, on whatever clock that is. */
static GVariant *
never (GCancellable *cancellable, gpointer data, GError **error)
{
  g_assert_not_reached ();
}

static GVariant *
call_inside (GCancellable *cancellable, gpointer data, GError **error)
{
  World *world = data;

  return derate_policy_call (DERATE_POLICY (world->delay), NULL, never, NULL, NULL, NULL, error);
}

static void
test_other_clock (void)
{
  g_auto (World) world = { 0 };
  g_autoptr (DerateClock) outer = leap_clock_new ();
  g_autoptr (DerateTimeout) timeout = derate_timeout_new (outer, SECOND);
  g_autoptr (GVariant) answer = NULL;
  g_autoptr (GError) error = NULL;

  world_init (&world, leap_clock_new (), "", 2 * SECOND);
  answer =
      derate_policy_call (DERATE_POLICY (timeout), NULL, call_inside, &world, NULL, NULL, &error);
  g_assert_null (answer);
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_TIMED_OUT);
  g_assert_cmpint (leap_clock_get_leapt (outer), ==, SECOND);
  g_assert_cmpint (leap_clock_get_leapt (world.clock), ==, 0);
}

/* In the other form, step by step */

static void
start (World *world, PolicyWorld *caller, GCancellable *cancellable)
{
  policy_world_call_async (caller, world->pipeline, world->request, cancellable);
}

/* A delay that is changed is that of the attempts which begin then. */
static void
test_changed (void)
{
  g_auto (World) world = { 0 };
  g_autoptr (PolicyWorld) caller = policy_world_new ("S");

  world_init (&world, g_object_ref (caller->clock), "9PD", 2 * SECOND);
  start (&world, caller, NULL);
  g_assert_cmpint (derate_delay_policy_get (world.delay), ==, 2 * SECOND);
  derate_delay_policy_set (world.delay, 0);
  policy_world_advance (caller, 2 * SECOND - 1);
  policy_world_assert_end (caller, "…");
  g_assert_cmpuint (derate_bulkhead_get_in_use (world.bulkhead), ==, 1);
  policy_world_advance (caller, 1);
  policy_world_assert_end (caller, "1");

  start (&world, caller, NULL);
  policy_world_run (caller);
  policy_world_assert_end (caller, "2");
}

/* One that waits ends when it is cancelled, gives its place back at once, and begins nothing. */
static void
test_cancelled_at (gconstpointer at)
{
  g_auto (World) world = { 0 };
  g_autoptr (PolicyWorld) caller = policy_world_new ("S");
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  world_init (&world, g_object_ref (caller->clock), "R9PD", 2 * SECOND);
  start (&world, caller, cancellable);
  policy_world_advance (caller, GPOINTER_TO_INT (at));
  g_cancellable_cancel (cancellable);
  g_assert_cmpuint (derate_bulkhead_get_in_use (world.bulkhead), ==, 0);
  policy_world_run (caller);
  policy_world_assert_end (caller, "cancelled");
  g_assert_true (caller->freed);
  policy_world_advance (caller, 9 * SECOND);
  g_assert_cmpuint (caller->made, ==, 0);
}

/* Nobody runs the context any more once the call has ended by its timeout: the place is back all
 * the same. */
static void
test_context_gone (void)
{
  g_auto (World) world = { 0 };
  GMainContext *context = g_main_context_new ();
  g_autoptr (PolicyWorld) caller = policy_world_new ("S");

  world_init (&world, g_object_ref (caller->clock), "1PD", 2 * SECOND);
  g_main_context_push_thread_default (context);
  start (&world, caller, NULL);
  policy_world_advance (caller, SECOND);
  while (!caller->done)
    g_main_context_iteration (context, TRUE);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  policy_world_assert_end (caller, "derate:timed-out");
  g_assert_true (caller->freed);
  g_assert_cmpuint (derate_bulkhead_get_in_use (world.bulkhead), ==, 0);
}

/* A second attempt is made when the first is late, as with a slow service; it is as late. */
static void
test_hedge (gconstpointer over)
{
  g_auto (World) world = { 0 };
  g_autoptr (PolicyWorld) caller = policy_world_new ("S");
  g_autoptr (DerateHedge) hedge = derate_hedge_new (caller->clock, SECOND);
  DerateHedgeStats stats;

  world_init (&world, g_object_ref (caller->clock), "9", 3 * SECOND);
  derate_pipeline_append (world.pipeline, DERATE_POLICY (hedge));
  derate_pipeline_append (world.pipeline, DERATE_POLICY (world.delay));
  start (&world, caller, NULL);
  if (over != NULL)
    derate_delay_policy_set (world.delay, 0);
  policy_world_advance (caller, SECOND);
  policy_world_assert_end (caller, over != NULL ? "1" : "…");
  policy_world_advance (caller, 2 * SECOND);
  policy_world_assert_end (caller, "1");
  policy_world_advance (caller, 9 * SECOND);
  g_assert_cmpuint (caller->made, ==, 1);
  derate_hedge_get_stats (hedge, &stats);
  g_assert_cmpuint (stats.hedges, ==, 1);
  g_assert_cmpuint (stats.won, ==, over != NULL ? 1 : 0);
}

typedef struct
{
  World world;
  DerateHedge *hedge;
  gint made; /* atomic */
  gint ended; /* atomic */
} Hedged;

static GVariant *
answer_number (GCancellable *cancellable, gpointer data, GError **error)
{
  return g_variant_new_int32 (g_atomic_int_add ((gint *)data, 1) + 1);
}

static gpointer
call_hedged (gpointer data)
{
  Hedged *hedged = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer =
      derate_policy_call (DERATE_POLICY (hedged->world.pipeline), hedged->world.request,
                          answer_number, &hedged->made, NULL, NULL, &error);

  g_assert_no_error (error);
  g_assert_nonnull (answer);
  g_atomic_int_set (&hedged->ended, TRUE);
  return NULL;
}

static void
test_hedge_sync (void)
{
  Hedged hedged = { 0 };
  DerateHedgeStats stats;
  GThread *thread;

  world_init (&hedged.world, derate_manual_clock_new (), "", 3 * SECOND);
  hedged.hedge = derate_hedge_new (hedged.world.clock, SECOND);
  derate_pipeline_append (hedged.world.pipeline, DERATE_POLICY (hedged.hedge));
  derate_pipeline_append (hedged.world.pipeline, DERATE_POLICY (hedged.world.delay));
  thread = g_thread_new ("call", call_hedged, &hedged);
  while (!g_atomic_int_get (&hedged.ended))
    derate_manual_clock_advance (DERATE_MANUAL_CLOCK (hedged.world.clock), SECOND / 100);
  g_thread_join (thread);
  g_assert_cmpint (hedged.made, >=, 1);
  derate_hedge_get_stats (hedged.hedge, &stats);
  g_assert_cmpuint (stats.hedges, ==, 1);
  g_object_unref (hedged.hedge);
  world_clear (&hedged.world);
}

/* Allocations of @n calls in the one form or the other. */
static gint
count_allocations (World *world, gboolean async, guint n)
{
  g_auto (LeapScript) script = { 0 };
  gint before = 0;

  leap_script_init (&script, world->clock, "S");
  for (guint i = 0; i < n + 10; i++)
    {
      if (i == 10)
        before = g_atomic_int_get (&n_allocations);
      leap_script_call (&script, world->pipeline, async, world->request, NULL);
    }
  return g_atomic_int_get (&n_allocations) - before;
}

/* Without a drill the stage costs no memory in either form: not once in two calls, for GLib's own
 * tables may grow. */
static void
test_no_allocation (gconstpointer async)
{
  g_auto (World) with = { 0 };
  g_auto (World) without = { 0 };
  gint expected;

  world_init (&with, leap_clock_new (), "RB9PD", 0);
  world_init (&without, leap_clock_new (), "RB9P", 0);
  expected = count_allocations (&without, async != NULL, 100);
  g_assert_cmpint (count_allocations (&with, async != NULL, 100), <, expected + 50);
  if (COUNTS_ALLOCATIONS && async != NULL)
    g_assert_cmpint (expected, >, 0);
}

/* Threads */

#define N_THREADS 4
#define N_CALLS 500

static gpointer
call_often (gpointer data)
{
  Hedged *crowd = data;

  for (guint i = 0; i < N_CALLS; i++)
    {
      g_autoptr (GVariant) answer =
          derate_policy_call (DERATE_POLICY (crowd->world.delay), NULL, answer_number, &crowd->made,
                              NULL, NULL, NULL);

      g_assert_nonnull (answer);
    }
  g_atomic_int_inc (&crowd->ended);
  return NULL;
}

/* A drill begins and ends while others call. */
static void
test_toggled (void)
{
  Hedged crowd = { 0 };
  GThread *threads[N_THREADS];

  world_init (&crowd.world, g_object_ref (derate_clock_get_system ()), "", 0);
  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("call", call_often, &crowd);
  for (guint i = 0; g_atomic_int_get (&crowd.ended) < N_THREADS; i++)
    derate_delay_policy_set (crowd.world.delay, i % 3);
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  g_assert_cmpint (crowd.made, ==, N_THREADS * N_CALLS);
  world_clear (&crowd.world);
}

static gpointer
cancel_it (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return NULL;
}

/* Another thread cancels at about the moment when the delay is over: the call ends once, either
 * way, and its place is back. */
static void
test_cancel_race (void)
{
  g_autoptr (DerateBulkhead) bulkhead = derate_bulkhead_new (NULL, 1);
  g_autoptr (DerateDelayPolicy) delay = derate_delay_policy_new (derate_clock_get_system ());
  g_autoptr (DeratePipeline) pipeline = derate_pipeline_new ();

  derate_pipeline_append (pipeline, DERATE_POLICY (bulkhead));
  derate_pipeline_append (pipeline, DERATE_POLICY (delay));
  for (guint i = 0; i < N_CALLS; i++)
    {
      g_autoptr (PolicyWorld) caller = policy_world_new ("S");
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      GThread *thread;

      derate_delay_policy_set (delay, 1 + i % 100);
      policy_world_call_async (caller, pipeline, NULL, cancellable);
      thread = g_thread_new ("cancel", cancel_it, cancellable);
      policy_world_finish (caller);
      g_thread_join (thread);
      policy_world_run (caller);
      g_assert_true (caller->freed);
      if (caller->answer == NULL)
        policy_world_assert_end (caller, "cancelled");
      g_assert_cmpuint (derate_bulkhead_get_in_use (bulkhead), ==, 0);
    }
}

int
main (int argc, char **argv)
{
  policy_test_init (&argc, &argv);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *sync = g_strconcat ("/delay-policy/sync/", cases[i].name, NULL);
      g_autofree char *async = g_strconcat ("/delay-policy/async/", cases[i].name, NULL);

      g_test_add_data_func (sync, &cases[i], test_sync);
      g_test_add_data_func (async, &cases[i], test_async);
    }
  g_test_add_data_func ("/delay-policy/sync/opens-breaker", NULL, test_opens_breaker);
  g_test_add_data_func ("/delay-policy/async/opens-breaker", "", test_opens_breaker);
  g_test_add_func ("/delay-policy/sync/other-clock", test_other_clock);
  g_test_add_func ("/delay-policy/async/changed", test_changed);
  g_test_add_data_func ("/delay-policy/async/cancelled-at-once", GINT_TO_POINTER (0),
                        test_cancelled_at);
  g_test_add_data_func ("/delay-policy/async/cancelled-later", GINT_TO_POINTER (SECOND),
                        test_cancelled_at);
  g_test_add_func ("/delay-policy/async/context-gone", test_context_gone);
  g_test_add_data_func ("/delay-policy/async/hedge", NULL, test_hedge);
  g_test_add_data_func ("/delay-policy/async/hedge-after-it", "", test_hedge);
  g_test_add_func ("/delay-policy/sync/hedge", test_hedge_sync);
  g_test_add_data_func ("/delay-policy/sync/no-allocation", NULL, test_no_allocation);
  g_test_add_data_func ("/delay-policy/async/no-allocation", "", test_no_allocation);
  g_test_add_func ("/delay-policy/64-toggled", test_toggled);
  g_test_add_func ("/delay-policy/64-cancel-race", test_cancel_race);
  return g_test_run ();
}
