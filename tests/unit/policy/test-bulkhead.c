/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "waiting-room.h"

#include <string.h>

#include "policy-world.h"

#define SECOND G_TIME_SPAN_SECOND

typedef struct
{
  const char *name;
  guint limit;
  guint queue;
  GTimeSpan max_wait;
  const char *script;
} Case;

static const Case cases[] = {
  { "no-queue-refuses-at-once", 2, 0, 0, "a:r b:rr c:rrQ a.:SrQ d:SrQr b.:SSQr d.:SSQS" },
  { "limit-1", 1, 0, 0, "a:r b:rQ a.:SQ c:SQr c.:SQS" },
  { "first-come-first-served", 1, 3, DERATE_CLOCK_NEVER,
    "a:r b:rw c:rww d:rwww e:rwwwQ a.:SrwwQ b.:SSrwQ c.:SSSrQ d.:SSSSQ" },
  { "who-waits-comes-before-who-comes", 1, 2, DERATE_CLOCK_NEVER,
    "a:r b:rw a.:Sr c:Srw b.:SSr c.:SSS" },
  { "time-out-is-a-refusal", 1, 2, SECOND,
    "a:r b:rw +999ms:rw c:rww +1ms:rQw a.:SQr +5s:SQr c.:SQS" },
  { "nobody-waits-for-ever", 1, 1, DERATE_CLOCK_NEVER, "a:r b:rw +1000h:rw a.:Sr b.:SS" },
  { "cancelled-head-leaves", 1, 3, DERATE_CLOCK_NEVER, "a:r b:rw c:rww b!:rCw a.:SCr c.:SCS" },
  { "cancelled-tail-leaves", 1, 3, DERATE_CLOCK_NEVER, "a:r b:rw c:rww c!:rwC a.:SrC b.:SSC" },
  { "cancelled-middle-leaves", 1, 3, DERATE_CLOCK_NEVER,
    "a:r b:rw c:rww d:rwww c!:rwCw a.:SrCw b.:SSCr d.:SSCS" },
  { "cancelled-makes-room-in-the-queue", 1, 1, DERATE_CLOCK_NEVER,
    "a:r b:rw c:rwQ b!:rCQ d:rCQw a.:SCQr d.:SCQS" },
  { "timed-out-makes-room-in-the-queue", 1, 1, SECOND, "a:r b:rw +1s:rQ c:rQw a.:SQr c.:SQS" },
};

static DerateBulkhead *
make_bulkhead (DerateClock *clock, const Case *row)
{
  DerateBulkhead *bulkhead = derate_bulkhead_new (clock, row->limit);

  g_assert_true (derate_bulkhead_set_queue (bulkhead, row->queue, row->max_wait, NULL));
  return bulkhead;
}

static void
run_case (const Case *row, gboolean async)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBulkhead) bulkhead = make_bulkhead (clock, row);
  g_autoptr (WaitingRoom) room = waiting_room_new (DERATE_POLICY (bulkhead), clock, async);
  const char *last = strrchr (row->script, ':') + 1;
  DerateBulkheadStats stats;

  waiting_room_play (room, row->script);
  derate_bulkhead_get_stats (bulkhead, &stats);
  g_assert_cmpuint (stats.limit, ==, row->limit);
  g_assert_cmpuint (stats.in_use, ==, 0);
  g_assert_cmpuint (stats.waiting, ==, 0);
  g_assert_cmpuint (stats.calls, ==, strlen (last));
  g_assert_cmpuint (stats.refused + stats.timed_out, ==, waiting_room_count (last, 'Q'));
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

/* The word for a call that was given a place and is cancelled before it hears of it: the place goes
 * to the next. */
static void
test_granted_then_cancelled (void)
{
  const Case row = { NULL, 1, 3, DERATE_CLOCK_NEVER, NULL };
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBulkhead) bulkhead = make_bulkhead (clock, &row);
  g_autoptr (WaitingRoom) room = waiting_room_new (DERATE_POLICY (bulkhead), clock, TRUE);

  waiting_room_play (room, "a:r b:rw c:rww");
  waiting_room_step (room, "a.");
  g_assert_cmpuint (derate_bulkhead_get_waiting (bulkhead), ==, 1);
  waiting_room_step (room, "b!");
  waiting_room_expect (room, "SCr");
  waiting_room_play (room, "c.:SCS");
  g_assert_cmpuint (derate_bulkhead_get_in_use (bulkhead), ==, 0);
}

/* Cancelled while it runs: what still runs holds its place, whether its caller is gone or not. */
static void
test_cancelled_running (gconstpointer data)
{
  const Case row = { NULL, 1, 1, SECOND, NULL };
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBulkhead) bulkhead = make_bulkhead (clock, &row);
  g_autoptr (WaitingRoom) room = waiting_room_new (DERATE_POLICY (bulkhead), clock, data != NULL);

  waiting_room_play (room, data != NULL ? "a:r a!:C b:Cw" : "a:r a!:r b:rw");
  g_assert_cmpuint (derate_bulkhead_get_in_use (bulkhead), ==, 1);
  waiting_room_play (room, data != NULL ? "a.:Cr b.:CS" : "a.:Sr b.:SS");
  g_assert_cmpuint (derate_bulkhead_get_in_use (bulkhead), ==, 0);
}

/* 58: a queue for who finds no place, three ways to leave it. */
static void
test_queue_of_probes (void)
{
  const Case row = { NULL, 1, 9, 2 * SECOND, NULL };
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBulkhead) bulkhead = make_bulkhead (clock, &row);
  g_autoptr (WaitingRoom) room = waiting_room_new (DERATE_POLICY (bulkhead), clock, TRUE);

  waiting_room_play (room, "a:r b:rw +1s:rw c:rww d:rwww c!:rwCw +1s:rQCw a.:SQCr d.:SQCS");
}

/* T11: a bulkhead full of healthy slow calls opens no breaker around it. */
static void
test_no_failure (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("hold");
  g_autoptr (DerateBreaker) breaker = derate_breaker_new_with_clock ("b", NULL, world->clock);
  g_autoptr (DerateBreakerPolicy) outer = derate_breaker_policy_new (breaker);
  g_autoptr (DerateBulkhead) bulkhead = derate_bulkhead_new (world->clock, 1);
  g_autoptr (DeratePipeline) pipeline = derate_pipeline_new ();
  g_autoptr (DerateBreakerStats) stats = NULL;

  g_assert_true (derate_bulkhead_set_queue (bulkhead, 1, SECOND, NULL));
  derate_pipeline_append (pipeline, DERATE_POLICY (outer));
  derate_pipeline_append (pipeline, DERATE_POLICY (bulkhead));
  policy_world_call_async (world, pipeline, NULL, NULL);
  g_assert_cmpuint (world->live, ==, 1);
  for (guint i = 0; i < 100; i++)
    {
      PolicyWorld *other = policy_world_new ("S");

      policy_world_call_async (other, pipeline, NULL, NULL);
      policy_world_advance (world, SECOND);
      policy_world_run (other);
      policy_world_assert_end (other, "derate:queue-full");
      g_assert_cmpuint (other->made, ==, 0);
      policy_world_free (other);
    }
  stats = derate_breaker_dup_stats (breaker);
  g_assert_cmpint (stats->state, ==, DERATE_BREAKER_STATE_CLOSED);
  g_assert_cmpuint (stats->failed_requests, ==, 0);
  policy_world_end (world, 0, "S");
  policy_world_run (world);
  policy_world_assert_end (world, "1");
}

static void
test_refused_settings (void)
{
  g_autoptr (DerateBulkhead) bulkhead = derate_bulkhead_new (NULL, DERATE_BULKHEAD_DEFAULT);
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (derate_bulkhead_get_limit (bulkhead), ==, 25);
  g_assert_false (derate_bulkhead_set_queue (bulkhead, 1, -1, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_false (derate_bulkhead_set_queue (bulkhead, 1, 0, NULL));
  g_assert_false (derate_bulkhead_set_queue (bulkhead, G_MAXUINT, 1, NULL));
  g_assert_true (derate_bulkhead_set_queue (bulkhead, 0, 0, NULL));
  g_assert_false (derate_bulkhead_set_adaptive (bulkhead, 0, 10, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT);
  g_assert_false (derate_bulkhead_set_adaptive (bulkhead, 10, 9, NULL));
  g_assert_false (derate_bulkhead_set_adaptive (bulkhead, 1, G_MAXUINT, NULL));
  g_assert_true (derate_bulkhead_set_adaptive (bulkhead, 1, 10, NULL));
  g_assert_cmpuint (derate_bulkhead_get_limit (bulkhead), ==, 10);
}

/* A model of the same: who runs, who waits and until when. */
typedef struct
{
  guint limit;
  guint queue;
  GTimeSpan max_wait;
  GTimeSpan now;
  char states[N_CALLERS + 1];
  GTimeSpan until[N_CALLERS];
  GQueue waiting; /* numbers of callers */
  guint running;
} Model;

static void
model_admit (Model *model)
{
  while (model->running < model->limit && !g_queue_is_empty (&model->waiting))
    {
      model->states[GPOINTER_TO_UINT (g_queue_pop_head (&model->waiting))] = 'r';
      model->running++;
    }
}

static void
model_begin (Model *model, guint i)
{
  if (model->running < model->limit)
    {
      model->states[i] = 'r';
      model->running++;
    }
  else if (g_queue_get_length (&model->waiting) < model->queue)
    {
      model->states[i] = 'w';
      model->until[i] = model->now + model->max_wait;
      g_queue_push_tail (&model->waiting, GUINT_TO_POINTER (i));
    }
  else
    model->states[i] = 'Q';
}

static void
model_pass (Model *model, GTimeSpan span)
{
  model->now += span;
  for (guint i = 0; i < N_CALLERS; i++)
    if (model->states[i] == 'w' && model->until[i] <= model->now)
      {
        model->states[i] = 'Q';
        g_queue_remove (&model->waiting, GUINT_TO_POINTER (i));
      }
}

static void
model_step (Model *model, WaitingRoom *room)
{
  guint i = g_test_rand_int_range (0, N_CALLERS);
  char step[16] = { (char)('a' + i), '\0' };
  gint what = g_test_rand_int_range (0, 10);
  GTimeSpan span;

  if (what == 0)
    {
      span = g_test_rand_int_range (1, 400);
      g_snprintf (step, sizeof step, "+%ums", (guint)span);
      waiting_room_step (room, step);
      model_pass (model, span * G_TIME_SPAN_MILLISECOND);
      return;
    }
  if (model->states[i] == 'r')
    {
      step[1] = '.';
      model->states[i] = 'S';
      model->running--;
      model_admit (model);
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
      Model model = { .limit = g_test_rand_int_range (1, 6),
                      .queue = g_test_rand_int_range (0, 12),
                      .max_wait = SECOND };
      const Case row = { NULL, model.limit, model.queue, model.max_wait, NULL };
      g_autoptr (DerateClock) clock = derate_manual_clock_new ();
      g_autoptr (DerateBulkhead) bulkhead = make_bulkhead (clock, &row);
      g_autoptr (WaitingRoom) room = waiting_room_new (DERATE_POLICY (bulkhead), clock, async);
      char first[] = "a";

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
          g_assert_cmpuint (derate_bulkhead_get_in_use (bulkhead), ==, model.running);
        }
      g_queue_clear (&model.waiting);
    }
}

#define N_THREADS 8
#define N_CALLS 2000
#define LIMIT 3

typedef struct
{
  DerateBulkhead *bulkhead;
  gint running; /* atomic */
  gint too_many; /* atomic */
  gint ends[3]; /* atomic: answered, refused, cancelled */
  GCancellable *cancellables[N_THREADS];
  GMutex mutex; /* guards the cancellables */
} Crowd;

static GVariant *
count_running (GCancellable *cancellable, gpointer data, GError **error)
{
  Crowd *crowd = data;

  if (g_atomic_int_add (&crowd->running, 1) >= LIMIT)
    g_atomic_int_inc (&crowd->too_many);
  g_thread_yield ();
  g_atomic_int_add (&crowd->running, -1);
  return g_variant_new_boolean (TRUE);
}

static void
change_cancellable (Crowd *crowd, guint i, GCancellable *cancellable)
{
  g_mutex_lock (&crowd->mutex);
  g_set_object (&crowd->cancellables[i], cancellable);
  g_mutex_unlock (&crowd->mutex);
}

/* Cancels the neighbour now and then, who may be waiting, running or gone. */
static void
cancel_neighbour (Crowd *crowd, guint i)
{
  g_autoptr (GCancellable) cancellable = NULL;

  g_mutex_lock (&crowd->mutex);
  g_set_object (&cancellable, crowd->cancellables[(i + 1) % N_THREADS]);
  g_mutex_unlock (&crowd->mutex);
  if (cancellable != NULL)
    g_cancellable_cancel (cancellable);
}

static Crowd crowd;

static gpointer
call_often (gpointer data)
{
  guint number = GPOINTER_TO_UINT (data);

  for (guint i = 0; i < N_CALLS; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      g_autoptr (GVariant) answer = NULL;
      g_autoptr (GError) error = NULL;

      change_cancellable (&crowd, number, cancellable);
      if (i % 5 == 0)
        cancel_neighbour (&crowd, number);
      answer = derate_policy_call (DERATE_POLICY (crowd.bulkhead), NULL, count_running, &crowd,
                                   cancellable, NULL, &error);
      g_atomic_int_inc (&crowd.ends[answer != NULL ? 0 : error->domain == DERATE_ERROR ? 1 : 2]);
    }
  return NULL;
}

/* T21: no place is lost or made up, whoever is cancelled when. */
static void
test_threads (void)
{
  g_autoptr (DerateBulkhead) bulkhead = derate_bulkhead_new (NULL, LIMIT);
  GThread *threads[N_THREADS];
  DerateBulkheadStats stats;

  g_assert_true (derate_bulkhead_set_queue (bulkhead, 4, DERATE_CLOCK_NEVER, NULL));
  crowd = (Crowd){ .bulkhead = bulkhead };
  g_mutex_init (&crowd.mutex);
  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("call", call_often, GUINT_TO_POINTER (i));
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  for (guint i = 0; i < N_THREADS; i++)
    change_cancellable (&crowd, i, NULL);
  g_mutex_clear (&crowd.mutex);

  g_assert_cmpint (crowd.too_many, ==, 0);
  derate_bulkhead_get_stats (bulkhead, &stats);
  g_assert_cmpuint (stats.in_use, ==, 0);
  g_assert_cmpuint (stats.waiting, ==, 0);
  g_assert_cmpuint (stats.refused, ==, crowd.ends[1]);
  g_assert_cmpuint (stats.cancelled, <=, crowd.ends[2]);
  g_assert_cmpuint (crowd.ends[0] + crowd.ends[1] + crowd.ends[2], ==, N_THREADS * N_CALLS);
}

/* A thread with a context of its own calls, hears of the timeout and goes; the operation answers
 * later, from another. */
typedef struct
{
  DerateClock *clock;
  DeratePipeline *pipeline;
  GCancellable *cancellable; /* (nullable) ends the call in the timeout's stead */
  DerateCall *calls[2];
  guint n_calls;
  guint n_freed;
  guint n_ended;
} Visit;

static void
start_visit (DerateCall *call, GCancellable *cancellable, gpointer data)
{
  Visit *visit = data;

  visit->calls[visit->n_calls++] = call;
}

static void
on_visit_freed (gpointer data)
{
  ((Visit *)data)->n_freed++;
}

static void
on_visit_ended (GObject *source, GAsyncResult *result, gpointer data)
{
  Visit *visit = data;
  g_autoptr (GError) error = NULL;

  g_assert_null (derate_policy_call_finish (DERATE_POLICY (source), result, NULL, &error));
  if (visit->cancellable != NULL)
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  else
    g_assert_error (error, DERATE_ERROR, DERATE_ERROR_TIMED_OUT);
  visit->n_ended++;
}

static void
answer_visit (Visit *visit)
{
  for (guint i = 0; i < visit->n_calls; i++)
    {
      derate_call_succeed (visit->calls[i], g_variant_new_uint32 (i));
      derate_call_unref (visit->calls[i]);
    }
  visit->n_calls = 0;
}

static gpointer
answer_from_outside (gpointer visit)
{
  answer_visit (visit);
  return NULL;
}

static gpointer
call_and_go (gpointer data)
{
  Visit *visit = data;
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_IDEMPOTENT, NULL);

  g_main_context_push_thread_default (context);
  derate_policy_call_async (DERATE_POLICY (visit->pipeline), request, start_visit, visit,
                            on_visit_freed, visit->cancellable, on_visit_ended, visit);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (visit->clock), SECOND);
  while (g_main_context_iteration (context, FALSE))
    ;
  if (visit->cancellable != NULL)
    g_cancellable_cancel (visit->cancellable);
  else
    derate_manual_clock_advance (DERATE_MANUAL_CLOCK (visit->clock), SECOND);
  while (visit->n_ended == 0)
    g_main_context_iteration (context, TRUE);
  g_main_context_pop_thread_default (context);
  return NULL;
}

static void
test_gone_context (gconstpointer data)
{
  gboolean hedged = strchr (data, 'h') != NULL;
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBulkhead) bulkhead = derate_bulkhead_new (clock, 2);
  g_autoptr (DeratePipeline) pipeline = derate_pipeline_new ();
  g_autoptr (DerateTimeout) timeout = derate_timeout_new (clock, 2 * SECOND);
  g_autoptr (DerateHedge) hedge = derate_hedge_new (clock, SECOND);
  g_autoptr (DerateRetry) retry = derate_retry_new (clock);
  g_autoptr (DerateBreaker) breaker = derate_breaker_new ("b", NULL);
  g_autoptr (DerateBreakerPolicy) stage = derate_breaker_policy_new (breaker);

  g_assert_true (derate_hedge_set_budget (hedge, 1, 10, NULL));
  if (strchr (data, 'b') != NULL)
    derate_pipeline_append (pipeline, DERATE_POLICY (stage));
  derate_pipeline_append (pipeline, DERATE_POLICY (timeout));
  if (hedged)
    derate_pipeline_append (pipeline, DERATE_POLICY (hedge));
  derate_pipeline_append (pipeline, DERATE_POLICY (bulkhead));
  if (strchr (data, 'r') != NULL)
    derate_pipeline_append (pipeline, DERATE_POLICY (retry));
  for (guint i = 0; i < 5; i++)
    {
      g_autoptr (GCancellable) cancellable =
          strchr (data, 'c') != NULL ? g_cancellable_new () : NULL;
      Visit visit = { .clock = clock, .pipeline = pipeline, .cancellable = cancellable };

      g_thread_join (g_thread_new ("visit", call_and_go, &visit));
      g_assert_cmpuint (visit.n_calls, ==, hedged ? 2 : 1);
      g_assert_cmpuint (derate_bulkhead_get_in_use (bulkhead), ==, visit.n_calls);
      g_assert_cmpuint (visit.n_freed, ==, 0);
      g_thread_join (g_thread_new ("answer", answer_from_outside, &visit));
      g_assert_cmpuint (derate_bulkhead_get_in_use (bulkhead), ==, 0);
      g_assert_cmpuint (visit.n_ended, ==, 1);
      g_assert_cmpuint (visit.n_freed, ==, 1);
    }
}

int
main (int argc, char **argv)
{
  policy_test_init (&argc, &argv);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *sync = g_strdup_printf ("/bulkhead/sync/%s", cases[i].name);
      g_autofree char *async = g_strdup_printf ("/bulkhead/async/%s", cases[i].name);

      g_test_add_data_func (sync, &cases[i], test_sync);
      g_test_add_data_func (async, &cases[i], test_async);
    }
  g_test_add_data_func ("/bulkhead/sync/random", NULL, test_random);
  g_test_add_data_func ("/bulkhead/async/random", "", test_random);
  g_test_add_data_func ("/bulkhead/sync/cancelled-while-it-runs", NULL, test_cancelled_running);
  g_test_add_data_func ("/bulkhead/async/cancelled-while-it-runs", "", test_cancelled_running);
  g_test_add_func ("/policy/trap/21-granted-then-cancelled", test_granted_then_cancelled);
  g_test_add_func ("/policy/trap/21-threads", test_threads);
  g_test_add_func ("/policy/behaviour/58-queue", test_queue_of_probes);
  g_test_add_func ("/policy/trap/11-full-bulkhead-is-no-failure", test_no_failure);
  g_test_add_data_func ("/bulkhead/gone-context/timeout", "", test_gone_context);
  g_test_add_data_func ("/bulkhead/gone-context/cancelled", "c", test_gone_context);
  g_test_add_data_func ("/bulkhead/gone-context/breaker", "b", test_gone_context);
  g_test_add_data_func ("/bulkhead/gone-context/breaker-cancelled", "bc", test_gone_context);
  g_test_add_data_func ("/bulkhead/gone-context/hedge", "h", test_gone_context);
  g_test_add_data_func ("/bulkhead/gone-context/hedge-cancelled", "hc", test_gone_context);
  g_test_add_data_func ("/bulkhead/gone-context/retry", "r", test_gone_context);
  g_test_add_func ("/bulkhead/refused-settings", test_refused_settings);
  return g_test_run ();
}
