/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-hedge-private.h"
#include "derate-timer-thread-private.h"

/* A call in the calling thread. The first attempt is made there, the second in a thread of its own,
 * which the thread of timers begins. The calling thread stays until both have
 * ended, so a race may point into its stack.
 *
 * Threads: a race's mutex guards the race, the timer's mutex the queue; the queue's comes first
 * where both are held, which is nowhere. */

#define NOBODY 2

typedef struct
{
  DerateHedge *hedge;
  DerateCallContext *context; /* the calling thread's: only what does not change is read */
  gint64 deadline;
  DerateClock *deadline_clock;
  guint next;
  GCancellable *outer; /* (nullable) the caller's */
  GCancellable *cancellables[2];
  gulong handlers[2]; /* of the caller's */

  GMutex mutex;
  GCond ended;
  gboolean is_over; /* the first has ended: no second begins */
  gboolean is_hedged; /* the second has begun */
  gboolean hedge_ended;
  guint winner; /* who answered first, or NOBODY */
  GVariant *answer; /* of the second */
  DerateFallbackResult *fallback;

  /* In the timer's queue. */
  GList link;
  gint64 due;
  gboolean is_queued; /* guarded by the timer's mutex */
} Race;

struct _DerateHedgeTimer
{
  DerateClock *clock;
  GMutex mutex;
  GQueue queue; /* (element-type Race) by when they are due */
  GSource *source; /* (nullable) made when first needed */
  gint64 armed;
};

static void
race_ref (Race *race)
{
  g_atomic_rc_box_acquire (race);
}

static void
race_clear (gpointer data)
{
  Race *race = data;

  g_clear_object (&race->cancellables[0]);
  g_clear_object (&race->cancellables[1]);
  g_mutex_clear (&race->mutex);
  g_cond_clear (&race->ended);
}

static void
race_unref (Race *race)
{
  g_atomic_rc_box_release_full (race, race_clear);
}

static void
timer_clear (gpointer data)
{
  DerateHedgeTimer *timer = data;

  g_clear_pointer (&timer->source, g_source_unref);
  g_mutex_clear (&timer->mutex);
  g_object_unref (timer->clock);
}

static void
timer_unref (gpointer timer)
{
  g_atomic_rc_box_release_full (timer, timer_clear);
}

DerateHedgeTimer *
derate_hedge_timer_new (DerateClock *clock)
{
  DerateHedgeTimer *timer = g_atomic_rc_box_new0 (DerateHedgeTimer);

  timer->clock = g_object_ref (clock);
  timer->armed = DERATE_CLOCK_NEVER;
  g_mutex_init (&timer->mutex);
  g_queue_init (&timer->queue);
  return timer;
}

void
derate_hedge_timer_free (DerateHedgeTimer *timer)
{
  if (timer->source != NULL)
    {
      derate_clock_source_set_deadline (timer->clock, timer->source, DERATE_CLOCK_NEVER);
      g_source_destroy (timer->source);
    }
  timer_unref (timer);
}

/* The second attempt, in a thread of its own. */
static gpointer
run_second (gpointer data)
{
  Race *race = data;
  DerateCallContext context = {
    .policy = race->context->policy,
    .stages = race->context->stages,
    .n_stages = race->context->n_stages,
    .request = race->context->request,
    .func = race->context->func,
    .func_data = race->context->func_data,
    .cancellable = race->cancellables[1],
  };
  GVariant *answer;
  gboolean won;

  derate_call_context_push (&context);
  context.deadline = race->deadline;
  context.clock = race->deadline_clock;
  answer = derate_stage_call (&context, race->next, NULL);
  derate_call_context_pop (&context);

  g_mutex_lock (&race->mutex);
  won = answer != NULL && race->winner == NOBODY;
  if (won)
    race->winner = 1;
  race->answer = answer;
  race->fallback = context.fallback;
  g_mutex_unlock (&race->mutex);
  if (won)
    g_cancellable_cancel (race->cancellables[0]);

  g_mutex_lock (&race->mutex);
  race->hedge_ended = TRUE;
  g_cond_signal (&race->ended);
  g_mutex_unlock (&race->mutex);
  race_unref (race);
  return NULL;
}

/* Called locked. Where no thread is to be had there is no second attempt. */
static void
begin_second_locked (Race *race)
{
  GThread *thread;

  race->cancellables[1] = g_cancellable_new ();
  race->handlers[1] = derate_cancellable_chain (race->outer, race->cancellables[1]);
  race_ref (race);
  thread = g_thread_try_new ("derate-hedge", run_second, race, NULL);
  race->is_hedged = thread != NULL;
  if (thread != NULL)
    g_thread_unref (thread);
  else
    race_unref (race);
}

/* Its time has come; in the thread of timers. The hedge is there as long as the race is not over.
 */
static void
begin_second (Race *race)
{
  g_mutex_lock (&race->mutex);
  if (!race->is_over && !g_cancellable_is_cancelled (race->cancellables[0]) &&
      derate_budget_take (&race->hedge->budget, derate_clock_get_time (race->hedge->clock)))
    begin_second_locked (race);
  g_mutex_unlock (&race->mutex);
}

static void
arm_locked (DerateHedgeTimer *timer, gint64 due)
{
  timer->armed = due;
  derate_clock_source_set_deadline (timer->clock, timer->source, due);
}

/* Takes out the first that is due, with a reference. */
static Race *
pop_due (DerateHedgeTimer *timer, gint64 now)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&timer->mutex);
  Race *race = g_queue_peek_head (&timer->queue);

  if (race != NULL && race->due <= now)
    {
      g_queue_unlink (&timer->queue, &race->link);
      race->is_queued = FALSE;
      return race;
    }
  arm_locked (timer, race != NULL ? race->due : DERATE_CLOCK_NEVER);
  return NULL;
}

static gboolean
on_time (gpointer data)
{
  DerateHedgeTimer *timer = data;
  gint64 now = derate_clock_get_time (timer->clock);
  Race *race;

  while ((race = pop_due (timer, now)) != NULL)
    {
      begin_second (race);
      race_unref (race);
    }
  return G_SOURCE_CONTINUE;
}

/* Called locked. */
static void
ensure_source_locked (DerateHedgeTimer *timer)
{
  if (timer->source != NULL)
    return;
  timer->source = derate_clock_source_new (timer->clock, DERATE_CLOCK_NEVER);
  g_source_set_callback (timer->source, on_time, g_atomic_rc_box_acquire (timer), timer_unref);
  g_source_attach (timer->source, derate_timer_thread_get_context ());
}

/* The queue holds a reference. The source is set to another time only when it would come too late:
 * calls that end before theirs do not wake the thread. */
static void
enqueue (DerateHedgeTimer *timer, Race *race)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&timer->mutex);
  GList *before = timer->queue.tail;

  while (before != NULL && ((Race *)before->data)->due > race->due)
    before = before->prev;
  race_ref (race);
  race->is_queued = TRUE;
  race->link = (GList){ .data = race };
  g_queue_insert_after_link (&timer->queue, before, &race->link);
  ensure_source_locked (timer);
  if (race->due < timer->armed)
    arm_locked (timer, race->due);
}

static void
dequeue (DerateHedgeTimer *timer, Race *race)
{
  gboolean was_queued;

  g_mutex_lock (&timer->mutex);
  was_queued = race->is_queued;
  race->is_queued = FALSE;
  if (was_queued)
    g_queue_unlink (&timer->queue, &race->link);
  g_mutex_unlock (&timer->mutex);
  if (was_queued)
    race_unref (race);
}

static Race *
race_new (DerateHedge *self, DerateCallContext *context, guint next, gint64 now)
{
  Race *race = g_atomic_rc_box_new0 (Race);
  GTimeSpan delay = derate_hedge_get_delay (self);

  race->hedge = self;
  race->context = context;
  race->deadline = context->deadline;
  race->deadline_clock = context->clock;
  race->next = next;
  race->outer = context->cancellable;
  race->cancellables[0] = g_cancellable_new ();
  race->handlers[0] = derate_cancellable_chain (race->outer, race->cancellables[0]);
  race->winner = NOBODY;
  race->due = delay < DERATE_CLOCK_NEVER - now ? now + delay : DERATE_CLOCK_NEVER;
  g_mutex_init (&race->mutex);
  g_cond_init (&race->ended);
  return race;
}

/* The first has ended; waits until the second has, if there is one. */
static void
race_join (Race *race, gboolean answered)
{
  g_mutex_lock (&race->mutex);
  race->is_over = TRUE;
  if (answered && race->winner == NOBODY)
    race->winner = 0;
  if (race->is_hedged && race->winner == 0)
    {
      g_mutex_unlock (&race->mutex);
      g_cancellable_cancel (race->cancellables[1]);
      g_mutex_lock (&race->mutex);
    }
  while (race->is_hedged && !race->hedge_ended)
    g_cond_wait (&race->ended, &race->mutex);
  g_mutex_unlock (&race->mutex);
}

/* In the calling thread, with the attempt's cancellable for the caller's. */
static GVariant *
run_first (Race *race, DerateCallContext *context, GError **error)
{
  GCancellable *outer = context->cancellable;
  GVariant *answer;

  context->cancellable = race->cancellables[0];
  answer = derate_stage_call (context, race->next, error);
  context->cancellable = outer;
  if (G_UNLIKELY (context->token != NULL))
    derate_call_token_release (context);
  return answer;
}

/* When the second has won, its answer for that of the first. */
static GVariant *
take_answer (Race *race, DerateCallContext *context, GVariant *answer, GError **error)
{
  if (race->winner != 1)
    {
      g_clear_pointer (&race->answer, g_variant_unref);
      g_clear_pointer (&race->fallback, derate_fallback_result_unref);
      return answer;
    }
  g_clear_pointer (&answer, g_variant_unref);
  g_clear_error (error);
  g_clear_pointer (&context->fallback, derate_fallback_result_unref);
  context->fallback = g_steal_pointer (&race->fallback);
  return g_steal_pointer (&race->answer);
}

GVariant *
derate_hedge_call (DeratePolicy *policy, DerateCallContext *context, guint next, GError **error)
{
  DerateHedge *self = (DerateHedge *)policy;
  GError *own_error = NULL;
  GVariant *answer;
  GTimeSpan span;
  gint64 begun;
  Race *race;

  if (!(derate_request_get_flags (context->request) & DERATE_REQUEST_IDEMPOTENT))
    return derate_stage_call (context, next, error);
  derate_shard_add (self->cells + HEDGE_CELL_CALLS, 1);
  begun = derate_clock_get_time (self->clock);
  race = race_new (self, context, next, begun);
  enqueue (self->timer, race);

  answer = run_first (race, context, &own_error);
  span = derate_clock_get_time (self->clock) - begun;
  dequeue (self->timer, race);
  race_join (race, answer != NULL);
  for (guint i = 0; i < 2; i++)
    derate_cancellable_unchain (race->outer, &race->handlers[i]);

  answer = take_answer (race, context, answer, &own_error);
  if (answer != NULL)
    derate_hedge_note_answer (self, race->winner == 0, span);
  race_unref (race);
  if (own_error != NULL)
    g_propagate_error (error, own_error);
  return answer;
}
