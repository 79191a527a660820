/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-bulkhead.h"

#include "derate-adaptive-limit-private.h"
#include "derate-error.h"
#include "derate-places-private.h"
#include "derate-policy-private.h"
#include "derate-shard-private.h"

/**
 * DerateBulkhead:
 *
 * A limit on how many calls are under way at once, so that a service that hangs holds only so many
 * of the program's threads and sockets.
 *
 * A call that finds no place is refused with %DERATE_ERROR_QUEUE_FULL, or waits its turn where
 * derate_bulkhead_set_queue() lets it: first come, first served, also before those who just come.
 * Who waited in vain is refused in the same way; none of it is a failure of the service, and none
 * enters the window of a circuit breaker. A call that waits past the deadline of a timeout around
 * it ends then.
 *
 * A place is held until the operation has ended, also when it ignores that it was cancelled: it is
 * what still runs that is limited. The synchronous form waits in the calling thread, which must not
 * be a loop's.
 *
 * Since: 1.0
 */
struct _DerateBulkhead
{
  DeratePolicy parent_instance;

  DerateClock *clock;
  DerateShardSlot cells;
  DeratePlaces places;
  guint queue_length;
  GTimeSpan max_wait;
  DerateAdaptiveLimit *adaptive; /* (nullable) */
};

struct _DerateBulkheadClass
{
  DeratePolicyClass parent_class;
};

enum
{
  CELL_CALLS,
  CELL_REFUSED,
  CELL_WAITED,
  CELL_TIMED_OUT,
  CELL_CANCELLED,
  N_CELLS
};

G_DEFINE_FINAL_TYPE (DerateBulkhead, derate_bulkhead, DERATE_TYPE_POLICY)

static void
count (DerateBulkhead *self, guint cell)
{
  derate_shard_add (self->cells + cell, 1);
}

static GError *
make_refusal (DerateBulkhead *self, gboolean waited)
{
  count (self, waited ? CELL_TIMED_OUT : CELL_REFUSED);
  return g_error_new_literal (DERATE_ERROR, DERATE_ERROR_QUEUE_FULL,
                              waited ? "no place in the bulkhead came free in time"
                                     : "the bulkhead is full");
}

static GError *
make_cancelled (DerateBulkhead *self)
{
  count (self, CELL_CANCELLED);
  return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED,
                              "cancelled while waiting for a place in the bulkhead");
}

/* What an ended call says about how many the service bears. That it was cancelled after more than
 * twice the usual is a timeout from outside. */
static DerateSample
judge (DerateBulkhead *self, const GError *error, GTimeSpan rtt)
{
  GTimeSpan usual;

  if (error == NULL)
    return DERATE_SAMPLE_SUCCESS;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT) ||
      g_error_matches (error, DERATE_ERROR, DERATE_ERROR_TIMED_OUT))
    return DERATE_SAMPLE_DROPPED;
  if (!g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return DERATE_SAMPLE_IGNORED;
  usual = derate_adaptive_limit_get_long_rtt (self->adaptive);
  return usual > 0 && rtt > 2 * usual ? DERATE_SAMPLE_DROPPED : DERATE_SAMPLE_IGNORED;
}

static gint64
begin (DerateBulkhead *self)
{
  return G_UNLIKELY (self->adaptive != NULL) ? derate_clock_get_time (self->clock) : 0;
}

/* Puts the limit that was learnt in force. Who was overtaken between the two steps, and has set one
 * that is old by then, sees it and sets the new one. */
static void
follow_limit (DerateBulkhead *self)
{
  guint limit = derate_adaptive_limit_get (self->adaptive);
  guint set;

  do
    {
      set = limit;
      derate_places_set_limit (&self->places, set);
      limit = derate_adaptive_limit_get (self->adaptive);
    }
  while (limit != set);
}

/* Gives the place back. */
static void
end (DerateBulkhead *self, gint64 begun, const GError *error)
{
  guint in_flight;
  gint64 now;

  if (G_UNLIKELY (self->adaptive != NULL))
    {
      now = derate_clock_get_time (self->clock);
      in_flight = derate_places_count_taken (derate_places_read (&self->places));
      if (derate_adaptive_limit_tell (self->adaptive, judge (self, error, now - begun), now,
                                      now - begun, in_flight))
        follow_limit (self);
    }
  derate_places_leave (&self->places);
}

/* One who waits, in either form: in a context of the thread's own, or in the call's. */
typedef struct
{
  DeratePlaceWaiter place;
  DerateWaitEvent event;
} SyncWaiter;

static gboolean
on_sync_event (DerateWait *wait, DerateWaitEvent event, gpointer data)
{
  SyncWaiter *waiter = data;

  waiter->event = event;
  return event == DERATE_WAIT_WOKEN || derate_places_give_up (&waiter->place);
}

static gint64
get_wait_deadline (DerateBulkhead *self, GTimeSpan left)
{
  gint64 now = derate_clock_get_time (self->clock);
  GTimeSpan wait = MIN (self->max_wait, left);

  return wait < DERATE_CLOCK_NEVER - now ? now + wait : DERATE_CLOCK_NEVER;
}

static gboolean
wait_for_place (DerateBulkhead *self, DerateCallContext *context, GError **error)
{
  GMainContext *own = derate_wait_context_new ();
  SyncWaiter waiter = { .event = DERATE_WAIT_WOKEN };
  g_autoptr (DerateWait) wait = derate_wait_new (self->clock, own, on_sync_event, &waiter);
  DeratePlace place;

  waiter.place.wait = wait;
  place = derate_places_take_or_queue (&self->places, self->queue_length, &waiter.place);
  if (place == DERATE_PLACE_QUEUED)
    {
      derate_wait_start (wait,
                         get_wait_deadline (self, derate_call_context_get_time_left (context)),
                         context->cancellable);
      derate_wait_run (wait);
    }
  derate_wait_context_free (own);

  if (place == DERATE_PLACE_REFUSED)
    g_propagate_error (error, make_refusal (self, FALSE));
  else if (waiter.event == DERATE_WAIT_TIMED_OUT)
    g_propagate_error (error, make_refusal (self, TRUE));
  else if (waiter.event == DERATE_WAIT_CANCELLED)
    g_propagate_error (error, make_cancelled (self));
  else
    {
      if (place == DERATE_PLACE_QUEUED)
        count (self, CELL_WAITED);
      return TRUE;
    }
  return FALSE;
}

static gboolean
take_place (DerateBulkhead *self, DerateCallContext *context, GError **error)
{
  count (self, CELL_CALLS);
  if (G_LIKELY (derate_places_try_take (&self->places)))
    return TRUE;
  if (self->queue_length > 0)
    return wait_for_place (self, context, error);
  g_propagate_error (error, make_refusal (self, FALSE));
  return FALSE;
}

static GVariant *
derate_bulkhead_call (DeratePolicy *policy, DerateCallContext *context, guint next, GError **error)
{
  DerateBulkhead *self = (DerateBulkhead *)policy;
  GError *own_error = NULL;
  GVariant *answer;
  gint64 begun;

  if (!take_place (self, context, error))
    return NULL;
  begun = begin (self);
  answer = derate_stage_call (context, next, &own_error);
  end (self, begun, own_error);
  if (own_error != NULL)
    g_propagate_error (error, own_error);
  return answer;
}

/* A call that is answered later. It owns itself until it has ended. */
typedef struct
{
  DeratePlaceWaiter place;
  DerateBulkhead *bulkhead; /* kept by the call */
  DerateAsyncCall *call;
  guint next;
  GCancellable *cancellable;
  DerateStageDone done;
  gpointer data;
  gint64 begun;
} Run;

static void
run_end (Run *run, GVariant *answer, GError *error)
{
  g_autoptr (DerateAsyncCall) call = run->call;
  DerateStageDone done = run->done;
  gpointer data = run->data;

  g_clear_pointer (&run->place.wait, derate_wait_unref);
  g_clear_object (&run->cancellable);
  g_free (run);
  derate_async_call_end_stage (call, done, data, answer, error);
}

static void
on_ended (gpointer data, GVariant *answer, GError *error)
{
  Run *run = data;

  end (run->bulkhead, run->begun, error);
  run_end (run, answer, error);
}

static void
run_begin (Run *run)
{
  run->begun = begin (run->bulkhead);
  derate_stage_start (run->call, run->next, run->cancellable, on_ended, run);
}

static gboolean
on_event (DerateWait *wait, DerateWaitEvent event, gpointer data)
{
  Run *run = data;
  DerateBulkhead *self = run->bulkhead;

  if (event != DERATE_WAIT_WOKEN && !derate_places_give_up (&run->place))
    return FALSE;
  derate_wait_stop (wait);
  if (event == DERATE_WAIT_TIMED_OUT)
    run_end (run, NULL, make_refusal (self, TRUE));
  else if (event == DERATE_WAIT_CANCELLED)
    run_end (run, NULL, make_cancelled (self));
  else if (g_cancellable_is_cancelled (run->cancellable))
    {
      derate_places_leave (&self->places);
      run_end (run, NULL, make_cancelled (self));
    }
  else
    {
      count (self, CELL_WAITED);
      run_begin (run);
    }
  return TRUE;
}

static void
queue (Run *run)
{
  DerateBulkhead *self = run->bulkhead;

  run->place.wait =
      derate_wait_new (self->clock, derate_async_call_get_context (run->call), on_event, run);
  switch (derate_places_take_or_queue (&self->places, self->queue_length, &run->place))
    {
    case DERATE_PLACE_TAKEN:
      run_begin (run);
      break;
    case DERATE_PLACE_QUEUED:
      /* Woken or not by now: it hears of it in the context, which is this thread's. */
      derate_wait_start (run->place.wait, get_wait_deadline (self, G_MAXINT64), run->cancellable);
      break;
    default:
      run_end (run, NULL, make_refusal (self, FALSE));
      break;
    }
}

static void
derate_bulkhead_start (DeratePolicy *policy,
                       DerateAsyncCall *call,
                       guint next,
                       GCancellable *cancellable,
                       DerateStageDone done,
                       gpointer data)
{
  DerateBulkhead *self = (DerateBulkhead *)policy;
  Run *run = g_new0 (Run, 1);

  run->bulkhead = self;
  run->call = derate_async_call_ref (call);
  run->next = next;
  g_set_object (&run->cancellable, cancellable);
  run->done = done;
  run->data = data;

  count (self, CELL_CALLS);
  if (derate_places_try_take (&self->places))
    run_begin (run);
  else
    queue (run);
}

static void
derate_bulkhead_finalize (GObject *object)
{
  DerateBulkhead *self = DERATE_BULKHEAD (object);

  derate_places_clear (&self->places);
  g_clear_pointer (&self->adaptive, derate_adaptive_limit_free);
  derate_shard_free (self->cells, N_CELLS);
  g_object_unref (self->clock);
  G_OBJECT_CLASS (derate_bulkhead_parent_class)->finalize (object);
}

static void
derate_bulkhead_class_init (DerateBulkheadClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_bulkhead_finalize;
  klass->parent_class.call = derate_bulkhead_call;
  klass->parent_class.start = derate_bulkhead_start;
}

static void
derate_bulkhead_init (DerateBulkhead *self)
{
  self->cells = derate_shard_alloc (N_CELLS);
}

/**
 * derate_bulkhead_new:
 * @clock: (nullable): the clock; without it, the system's
 * @max_concurrent: how many calls may be under way, 1 to 2³¹ − 1; %DERATE_BULKHEAD_DEFAULT where
 * you know no better
 *
 * Makes a bulkhead without a queue.
 *
 * Returns: (transfer full): the bulkhead
 *
 * Since: 1.0
 */
DerateBulkhead *
derate_bulkhead_new (DerateClock *clock, guint max_concurrent)
{
  DerateBulkhead *self;

  g_return_val_if_fail (max_concurrent > 0 && max_concurrent <= G_MAXINT32, NULL);

  self = g_object_new (DERATE_TYPE_BULKHEAD, NULL);
  self->clock = g_object_ref (clock != NULL ? clock : derate_clock_get_system ());
  derate_places_init (&self->places, max_concurrent);
  return self;
}

static gboolean
refuse_setting (GError **error, const char *why)
{
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT, "bulkhead: %s", why);
  return FALSE;
}

/**
 * derate_bulkhead_set_queue:
 * @bulkhead: a bulkhead that is not used yet
 * @length: how many calls may wait for a place; 0, the default, refuses at once
 * @max_wait: how long a call may wait, in microseconds; %DERATE_CLOCK_NEVER is no limit
 * @error: return location for %DERATE_ERROR_INVALID_ARGUMENT; then nothing is changed
 *
 * Lets calls wait for a place.
 *
 * Returns: %FALSE when a value is out of range, or some may wait but for no time
 *
 * Since: 1.0
 */
gboolean
derate_bulkhead_set_queue (DerateBulkhead *self, guint length, GTimeSpan max_wait, GError **error)
{
  g_return_val_if_fail (DERATE_IS_BULKHEAD (self), FALSE);
  g_return_val_if_fail (derate_policy_may_change (DERATE_POLICY (self)), FALSE);

  if (length > G_MAXINT32)
    return refuse_setting (error, "the queue is too long");
  if (max_wait < 0)
    return refuse_setting (error, "the longest wait is negative");
  if (length > 0 && max_wait == 0)
    return refuse_setting (error, "there is a queue, but no time to wait in it");
  self->queue_length = length;
  self->max_wait = max_wait;
  return TRUE;
}

/**
 * derate_bulkhead_set_adaptive:
 * @bulkhead: a bulkhead that is not used yet
 * @min: never less than so many calls at once, from 1
 * @max: never more than so many
 * @error: return location for %DERATE_ERROR_INVALID_ARGUMENT; then nothing is changed
 *
 * Lets the limit follow what the service bears, which its answers tell by how long they take: it
 * grows while they take what they always did, and falls when they take longer or time out. It
 * begins at what derate_bulkhead_new() was given. Off by default. (The Gradient2 limit of Netflix's
 * concurrency-limits, whose bounds are 20 and 200.)
 *
 * Returns: %FALSE when the bounds contradict each other
 *
 * Since: 1.0
 */
gboolean
derate_bulkhead_set_adaptive (DerateBulkhead *self, guint min, guint max, GError **error)
{
  g_return_val_if_fail (DERATE_IS_BULKHEAD (self), FALSE);
  g_return_val_if_fail (derate_policy_may_change (DERATE_POLICY (self)), FALSE);

  if (min < 1 || max < min || max > G_MAXINT32)
    return refuse_setting (error, "the bounds are not 1 or more, the lower one first");
  g_clear_pointer (&self->adaptive, derate_adaptive_limit_free);
  self->adaptive = derate_adaptive_limit_new (self->places.limit, min, max);
  derate_places_set_limit (&self->places, derate_adaptive_limit_get (self->adaptive));
  return TRUE;
}

/**
 * derate_bulkhead_get_limit:
 * @bulkhead: a bulkhead
 *
 * How many calls may be under way now. May be called from any thread.
 *
 * Returns: a number of calls
 *
 * Since: 1.0
 */
guint
derate_bulkhead_get_limit (DerateBulkhead *self)
{
  g_return_val_if_fail (DERATE_IS_BULKHEAD (self), 0);

  return __atomic_load_n (&self->places.limit, __ATOMIC_RELAXED);
}

/**
 * derate_bulkhead_get_in_use:
 * @bulkhead: a bulkhead
 *
 * How many calls are under way. May be called from any thread.
 *
 * Returns: a number of calls
 *
 * Since: 1.0
 */
guint
derate_bulkhead_get_in_use (DerateBulkhead *self)
{
  g_return_val_if_fail (DERATE_IS_BULKHEAD (self), 0);

  return derate_places_count_taken (derate_places_read (&self->places));
}

/**
 * derate_bulkhead_get_waiting:
 * @bulkhead: a bulkhead
 *
 * How many calls wait for a place. May be called from any thread.
 *
 * Returns: a number of calls
 *
 * Since: 1.0
 */
guint
derate_bulkhead_get_waiting (DerateBulkhead *self)
{
  g_return_val_if_fail (DERATE_IS_BULKHEAD (self), 0);

  return derate_places_count_waiting (derate_places_read (&self->places));
}

/**
 * derate_bulkhead_get_stats:
 * @bulkhead: a bulkhead
 * @stats: (out caller-allocates): what it holds and what it has counted
 *
 * Reads everything at once. Counters never fall. May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_bulkhead_get_stats (DerateBulkhead *self, DerateBulkheadStats *stats)
{
  guint64 word;

  g_return_if_fail (DERATE_IS_BULKHEAD (self) && stats != NULL);

  /* How calls ended before how many there were, so that no more end than begin. */
  stats->refused = derate_shard_sum (self->cells + CELL_REFUSED);
  stats->waited = derate_shard_sum (self->cells + CELL_WAITED);
  stats->timed_out = derate_shard_sum (self->cells + CELL_TIMED_OUT);
  stats->cancelled = derate_shard_sum (self->cells + CELL_CANCELLED);
  word = derate_places_read (&self->places);
  stats->calls = derate_shard_sum (self->cells + CELL_CALLS);
  stats->limit = derate_bulkhead_get_limit (self);
  stats->in_use = derate_places_count_taken (word);
  stats->waiting = derate_places_count_waiting (word);
}
