/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "waiting-room.h"

#include <math.h>
#include <string.h>

#include "policy-world.h"

#define SECOND G_TIME_SPAN_SECOND
#define MS G_TIME_SPAN_MILLISECOND

typedef struct
{
  const char *name;
  double rate;
  guint burst;
  GTimeSpan max_wait;
  const char *script;
} Case;

/* Operations end at once: who has begun is S. */
static const Case cases[] = {
  { "burst-then-refused", 1, 3, 0, "a:S b:SS c:SSS d:SSSL +1s:SSSL e:SSSLS f:SSSLSL" },
  { "no-more-than-the-burst-after-a-year", 10, 2, 0, "a:S +8760h:S b:SS c:SSS d:SSSL" },
  { "just-before-the-next-token", 10, 1, 0, "a:S +99999us:S b:SL +1us:SL c:SLS" },
  { "waits-its-turn", 1, 1, 10 * SECOND, "a:S b:Sw c:Sww +999ms:Sww +1ms:SSw +1s:SSS" },
  { "too-long-a-wait-is-refused-at-once", 1, 1, 2 * SECOND,
    "a:S b:Sw c:Sww d:SwwL +1s:SSwL e:SSwLw +1s:SSSLw +1s:SSSLS" },
  { "cancelled-head-gives-its-turn-on", 1, 1, 9 * SECOND,
    "a:S b:Sw c:Sww d:Swww b!:SCww +1s:SCSw +1s:SCSS e:SCSSw" },
  { "cancelled-middle-gives-its-turn-on", 1, 1, 9 * SECOND,
    "a:S b:Sw c:Sww d:Swww c!:SwCw +1s:SSCw +1s:SSCS" },
  { "cancelled-tail-gives-its-token-back", 1, 1, 2 * SECOND,
    "a:S b:Sw c:Sww d:SwwL c!:SwCL e:SwCLw +1s:SSCLw +1s:SSCLS" },
  { "all-cancelled-leave-no-trace", 1, 1, 9 * SECOND,
    "a:S b:Sw c:Sww d:Swww b!:SCww c!:SCCw d!:SCCC +1s:SCCC e:SCCCS f:SCCCSw" },
  { "who-comes-does-not-overtake", 1, 1, 9 * SECOND, "a:S b:Sw +1s:SS c:SSw +1s:SSS" },
};

static DerateRateLimiter *
make_limiter (DerateClock *clock, const Case *row)
{
  DerateRateLimiter *limiter = derate_rate_limiter_new (clock, row->rate, row->burst);

  g_assert_true (derate_rate_limiter_set_max_wait (limiter, row->max_wait, NULL));
  return limiter;
}

static void
run_case (const Case *row, gboolean async)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateRateLimiter) limiter = make_limiter (clock, row);
  g_autoptr (WaitingRoom) room = waiting_room_new (DERATE_POLICY (limiter), clock, async);
  const char *last = strrchr (row->script, ':') + 1;
  DerateRateLimiterStats stats;

  waiting_room_end_at_once (room);
  waiting_room_play (room, row->script);
  derate_rate_limiter_get_stats (limiter, &stats);
  g_assert_cmpuint (stats.waiting, ==, waiting_room_count (last, 'w'));
  g_assert_cmpuint (stats.calls, ==, strlen (last));
  g_assert_cmpuint (stats.refused, ==, waiting_room_count (last, 'L'));
  g_assert_cmpuint (stats.cancelled, ==, waiting_room_count (last, 'C'));
}

static void
test_sync (gconstpointer row)
{
  run_case (row, FALSE);
}

static void
test_async (gconstpointer row)
{
  run_case (row, TRUE);
}

static void
test_try_acquire (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateRateLimiter) limiter = derate_rate_limiter_new (clock, 10, 5);
  GTimeSpan after;

  g_assert_cmpint (derate_rate_limiter_get_retry_after (limiter), ==, 0);
  g_assert_true (derate_rate_limiter_try_acquire (limiter, 0, &after));
  g_assert_cmpint (after, ==, 0);
  g_assert_false (derate_rate_limiter_try_acquire (limiter, 6, &after));
  g_assert_cmpint (after, ==, -1);
  g_assert_false (derate_rate_limiter_try_acquire (limiter, G_MAXUINT, NULL));
  g_assert_true (derate_rate_limiter_try_acquire (limiter, 5, NULL));
  g_assert_false (derate_rate_limiter_try_acquire (limiter, 1, &after));
  g_assert_cmpint (after, ==, 100 * MS);
  g_assert_cmpint (derate_rate_limiter_get_retry_after (limiter), ==, 100 * MS);
  g_assert_false (derate_rate_limiter_try_acquire (limiter, 3, &after));
  g_assert_cmpint (after, ==, 300 * MS);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 300 * MS);
  g_assert_true (derate_rate_limiter_try_acquire (limiter, 3, &after));
  g_assert_false (derate_rate_limiter_try_acquire (limiter, 1, NULL));
}

/* A rate that is no whole number of nanoseconds is never exceeded. */
static void
test_exact (void)
{
  static const double rates[] = { 3, 7, 1e6, 123456.7, .001, 1e9 };

  for (guint i = 0; i < G_N_ELEMENTS (rates); i++)
    {
      g_autoptr (DerateClock) clock = derate_manual_clock_new ();
      g_autoptr (DerateRateLimiter) limiter = derate_rate_limiter_new (clock, rates[i], 1);
      gint64 start = derate_clock_get_time (clock);
      guint64 taken = 0;

      for (guint j = 0; j < 10000; j++)
        {
          GTimeSpan after;

          if (derate_rate_limiter_try_acquire (limiter, 1, &after))
            taken++;
          else
            derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), after);
          g_assert_cmpfloat (taken, <=,
                             1 + rates[i] * (derate_clock_get_time (clock) - start) / 1e6);
        }
      g_assert_cmpuint (taken, >=, 5000);
    }
}

static void
test_refused_settings (void)
{
  static const struct
  {
    double rate;
    guint burst;
  } rows[] = {
    { 0, 1 }, { -1, 1 }, { NAN, 1 }, { INFINITY, 1 }, { 2e9, 1 }, { 1, 0 }, { 1e-9, 99 }
  };
  g_autoptr (DerateRateLimiter) limiter = derate_rate_limiter_new (NULL, 1, 1);
  g_autoptr (GError) error = NULL;

  g_assert_false (derate_rate_limiter_set_max_wait (limiter, -1, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_test_expect_message ("Derate", G_LOG_LEVEL_CRITICAL, "*failed*");
      g_assert_null (derate_rate_limiter_new (NULL, rows[i].rate, rows[i].burst));
      g_test_assert_expected_messages ();
    }
}

/* T11: what the limiter refuses opens no breaker around it. */
static void
test_no_failure (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("S");
  g_autoptr (DerateBreaker) breaker = derate_breaker_new_with_clock ("b", NULL, world->clock);
  g_autoptr (DerateBreakerPolicy) outer = derate_breaker_policy_new (breaker);
  g_autoptr (DerateRateLimiter) limiter = derate_rate_limiter_new (world->clock, 1, 1);
  g_autoptr (DeratePipeline) pipeline = derate_pipeline_new ();
  g_autoptr (DerateBreakerStats) stats = NULL;

  derate_pipeline_append (pipeline, DERATE_POLICY (outer));
  derate_pipeline_append (pipeline, DERATE_POLICY (limiter));
  policy_world_call (world, pipeline, NULL, NULL);
  policy_world_assert_end (world, "1");
  for (guint i = 0; i < 100; i++)
    {
      policy_world_call (world, pipeline, NULL, NULL);
      policy_world_assert_end (world, "derate:rate-limited");
    }
  stats = derate_breaker_dup_stats (breaker);
  g_assert_cmpint (stats->state, ==, DERATE_BREAKER_STATE_CLOSED);
  g_assert_cmpuint (stats->failed_requests, ==, 0);
  g_assert_cmpuint (world->made, ==, 1);
}

/* A turn past the deadline of a timeout around it is not waited for. */
static void
test_deadline (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("S");
  g_autoptr (DerateTimeout) timeout = derate_timeout_new (world->clock, SECOND);
  g_autoptr (DerateRateLimiter) limiter = derate_rate_limiter_new (world->clock, 1, 1);
  g_autoptr (DeratePipeline) pipeline = derate_pipeline_new ();

  g_assert_true (derate_rate_limiter_set_max_wait (limiter, 5 * SECOND, NULL));
  derate_pipeline_append (pipeline, DERATE_POLICY (timeout));
  derate_pipeline_append (pipeline, DERATE_POLICY (limiter));
  policy_world_call (world, pipeline, NULL, NULL);
  policy_world_assert_end (world, "1");
  policy_world_call (world, pipeline, NULL, NULL);
  policy_world_assert_end (world, "derate:rate-limited");
  g_assert_cmpint (derate_rate_limiter_get_retry_after (limiter), ==, SECOND);
}

static void
count_end (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer =
      derate_policy_call_finish (DERATE_POLICY (source), result, NULL, &error);
  guint *ends = data;

  ends[answer != NULL ? 0 : 1]++;
}

/* Every second one of ten thousand gives up at once: quickly, and the others keep their order and
 * lose no turn. (When each told all behind it that they come earlier, this took minutes.) */
static void
test_many_give_up (void)
{
  const guint n = 10000;
  g_autoptr (PolicyWorld) world = policy_world_new ("S");
  g_autoptr (DerateRateLimiter) limiter = derate_rate_limiter_new (world->clock, 1, 1);
  g_autoptr (GCancellable) some = g_cancellable_new ();
  g_autoptr (GCancellable) rest = g_cancellable_new ();
  guint ends[2] = { 0 }; /* answered, cancelled */

  g_assert_true (derate_rate_limiter_set_max_wait (limiter, G_TIME_SPAN_DAY, NULL));
  g_assert_true (derate_rate_limiter_try_acquire (limiter, 1, NULL));
  for (guint i = 0; i < n; i++)
    derate_policy_call_async (DERATE_POLICY (limiter), NULL, policy_world_start, world, NULL,
                              i % 2 == 0 ? some : rest, count_end, ends);
  g_cancellable_cancel (some);
  policy_world_run (world);
  g_assert_cmpuint (ends[1], ==, n / 2);
  g_assert_cmpuint (derate_rate_limiter_get_waiting (limiter), ==, n / 2);
  g_assert_cmpint (derate_rate_limiter_get_retry_after (limiter), ==, (n / 2 + 1) * SECOND);
  for (guint i = 1; i <= 20; i++)
    {
      policy_world_advance (world, SECOND - 1);
      g_assert_cmpuint (ends[0], ==, i - 1);
      policy_world_advance (world, 1);
      g_assert_cmpuint (ends[0], ==, i);
    }
  g_cancellable_cancel (rest);
  policy_world_run (world);
  g_assert_cmpuint (ends[0] + ends[1], ==, n);
  g_assert_cmpint (derate_rate_limiter_get_retry_after (limiter), ==, SECOND);
}

/* A model of the same: tokens as a number, and a queue of those who wait. */
typedef struct
{
  GTimeSpan interval;
  guint burst;
  GTimeSpan max_wait;
  GTimeSpan now;
  GTimeSpan tokens; /* times the interval, at now */
  char states[N_CALLERS + 1];
  GQueue waiting; /* numbers of callers */
} Model;

/* When the @n-th who waits has its turn, from 1. */
static GTimeSpan
model_turn (Model *model, guint n)
{
  return model->now + MAX (n * model->interval - model->tokens, 0);
}

static void
model_begin (Model *model, guint i)
{
  guint n = g_queue_get_length (&model->waiting) + 1;

  if (model_turn (model, n) == model->now)
    {
      model->states[i] = 'S';
      model->tokens -= model->interval;
    }
  else if (model_turn (model, n) - model->now <= model->max_wait)
    {
      model->states[i] = 'w';
      g_queue_push_tail (&model->waiting, GUINT_TO_POINTER (i));
    }
  else
    model->states[i] = 'L';
}

/* A microsecond at a time would do; so would from turn to turn. */
static void
model_pass (Model *model, GTimeSpan span)
{
  while (span > 0)
    {
      GTimeSpan step = span;

      if (!g_queue_is_empty (&model->waiting))
        step = MIN (step, model_turn (model, 1) - model->now);
      model->now += step;
      model->tokens = MIN (model->tokens + step, (GTimeSpan)model->burst * model->interval);
      span -= step;
      while (!g_queue_is_empty (&model->waiting) && model->tokens >= model->interval)
        {
          model->states[GPOINTER_TO_UINT (g_queue_pop_head (&model->waiting))] = 'S';
          model->tokens -= model->interval;
        }
    }
}

static void
model_step (Model *model, WaitingRoom *room)
{
  guint i = g_test_rand_int_range (0, N_CALLERS);
  char step[16] = { (char)('a' + i), '\0' };
  GTimeSpan span;

  if (g_test_rand_int_range (0, 8) == 0)
    {
      span = g_test_rand_int_range (1, 400);
      g_snprintf (step, sizeof step, "+%ums", (guint)span);
      model_pass (model, span * MS);
    }
  else if (model->states[i] == 'w')
    {
      step[1] = '!';
      model->states[i] = 'C';
      g_queue_remove (&model->waiting, GUINT_TO_POINTER (i));
    }
  else
    model_begin (model, i);
  waiting_room_step (room, step);
}

static void
test_random (gconstpointer data)
{
  gboolean async = data != NULL;

  for (guint round = 0; round < (async ? 40 : 4); round++)
    {
      static const double rates[] = { 1, 2, 4, 10, 20, 100 };
      const Case row = { NULL, rates[g_test_rand_int_range (0, 6)], g_test_rand_int_range (1, 6),
                         g_test_rand_int_range (0, 3000) * MS, NULL };
      Model model = { .interval = (GTimeSpan)(SECOND / row.rate),
                      .burst = row.burst,
                      .max_wait = row.max_wait };
      g_autoptr (DerateClock) clock = derate_manual_clock_new ();
      g_autoptr (DerateRateLimiter) limiter = make_limiter (clock, &row);
      g_autoptr (WaitingRoom) room = waiting_room_new (DERATE_POLICY (limiter), clock, async);
      char first[] = "a";

      waiting_room_end_at_once (room);
      model.tokens = model.burst * model.interval;
      g_queue_init (&model.waiting);
      for (guint i = 0; i < N_CALLERS; i++, first[0]++)
        {
          model_begin (&model, i);
          waiting_room_step (room, first);
          waiting_room_expect (room, model.states);
        }
      for (guint i = 0; i < (async ? 500 : 100); i++)
        {
          model_step (&model, room);
          waiting_room_expect (room, model.states);
        }
      g_queue_clear (&model.waiting);
    }
}

#define N_THREADS 8
#define N_TRIES 20000

typedef struct
{
  DerateRateLimiter *limiter;
  gint taken; /* atomic */
} Crowd;

static gpointer
take_often (gpointer data)
{
  Crowd *crowd = data;

  for (guint i = 0; i < N_TRIES; i++)
    if (derate_rate_limiter_try_acquire (crowd->limiter, 1 + i % 3, NULL))
      g_atomic_int_add (&crowd->taken, 1 + i % 3);
  return NULL;
}

/* As many tokens as there are, to the last, whoever asks. */
static void
test_threads (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateRateLimiter) limiter = derate_rate_limiter_new (clock, 1000, 5000);
  Crowd crowd = { limiter, 0 };
  GThread *threads[N_THREADS];

  for (guint round = 0; round < 3; round++)
    {
      crowd.taken = 0;
      for (guint i = 0; i < N_THREADS; i++)
        threads[i] = g_thread_new ("take", take_often, &crowd);
      for (guint i = 0; i < N_THREADS; i++)
        g_thread_join (threads[i]);
      g_assert_cmpint (crowd.taken, ==, round == 0 ? 5000 : 2000);
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 2 * SECOND);
    }
}

static GVariant *
answer (GCancellable *cancellable, gpointer data, GError **error)
{
  return g_variant_new_boolean (TRUE);
}

/* Waits for real time: nobody is left behind. */
static gpointer
wait_often (gpointer data)
{
  Crowd *crowd = data;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  for (guint i = 0; i < 300; i++)
    {
      g_autoptr (GVariant) found = NULL;

      found = derate_policy_call (DERATE_POLICY (crowd->limiter), NULL, answer, NULL, cancellable,
                                  NULL, NULL);
      if (found != NULL)
        g_atomic_int_inc (&crowd->taken);
    }
  return NULL;
}

static void
test_waiting_threads (void)
{
  g_autoptr (DerateRateLimiter) limiter = derate_rate_limiter_new (NULL, 20000, 1);
  Crowd crowd = { limiter, 0 };
  GThread *threads[N_THREADS];
  gint64 start = g_get_monotonic_time ();
  DerateRateLimiterStats stats;

  g_assert_true (derate_rate_limiter_set_max_wait (limiter, 60 * SECOND, NULL));
  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("wait", wait_often, &crowd);
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  derate_rate_limiter_get_stats (limiter, &stats);
  g_assert_cmpint (crowd.taken, ==, N_THREADS * 300);
  g_assert_cmpuint (stats.waiting, ==, 0);
  g_assert_cmpuint (stats.refused, ==, 0);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, (N_THREADS * 300 - 1) * 50);
}

int
main (int argc, char **argv)
{
  policy_test_init (&argc, &argv);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *sync = g_strdup_printf ("/rate-limiter/sync/%s", cases[i].name);
      g_autofree char *async = g_strdup_printf ("/rate-limiter/async/%s", cases[i].name);

      g_test_add_data_func (sync, &cases[i], test_sync);
      g_test_add_data_func (async, &cases[i], test_async);
    }
  g_test_add_data_func ("/rate-limiter/sync/random", NULL, test_random);
  g_test_add_data_func ("/rate-limiter/async/random", "", test_random);
  g_test_add_func ("/rate-limiter/try-acquire", test_try_acquire);
  g_test_add_func ("/rate-limiter/exact", test_exact);
  g_test_add_func ("/rate-limiter/refused-settings", test_refused_settings);
  g_test_add_func ("/rate-limiter/deadline", test_deadline);
  g_test_add_func ("/rate-limiter/many-give-up", test_many_give_up);
  g_test_add_func ("/rate-limiter/threads", test_threads);
  g_test_add_func ("/rate-limiter/waiting-threads", test_waiting_threads);
  g_test_add_func ("/policy/trap/11-rate-limit-is-no-failure", test_no_failure);
  return g_test_run ();
}
