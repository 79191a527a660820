/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-rate-limiter.h"

#include <math.h>

#include "derate-error.h"
#include "derate-policy-private.h"
#include "derate-shard-private.h"
#include "derate-turns-private.h"

/* How far ahead a full bucket may reach, in nanoseconds: 73 years. */
#define MAX_BURST (G_GINT64_CONSTANT (1) << 61)

/**
 * DerateRateLimiter:
 *
 * A limit on how many calls begin in a second: a bucket with room for a burst of tokens, into which
 * they drip at the rate, and each call takes one.
 *
 * A call that finds none is refused with %DERATE_ERROR_RATE_LIMITED, or waits its turn where
 * derate_rate_limiter_set_max_wait() lets it: then it has its token ahead and knows when it will
 * begin, and one whose turn would come too late for that is refused at once; in the synchronous
 * form also one whose turn would come too late for the deadline of a timeout around it, which in
 * the asynchronous form ends the wait. Who is cancelled while waiting gives its turn to the next. A
 * refusal is no failure of the service and never enters the window of a circuit breaker.
 *
 * The synchronous form waits in the calling thread, which must not be a loop's.
 *
 * Since: 1.0
 */
struct _DerateRateLimiter
{
  DeratePolicy parent_instance;

  DerateClock *clock;
  DerateShardSlot cells;
  DerateTurns turns;
  guint burst;
  GTimeSpan max_wait;
};

struct _DerateRateLimiterClass
{
  DeratePolicyClass parent_class;
};

enum
{
  CELL_CALLS,
  CELL_REFUSED,
  CELL_WAITED,
  CELL_CANCELLED,
  N_CELLS
};

G_DEFINE_FINAL_TYPE (DerateRateLimiter, derate_rate_limiter, DERATE_TYPE_POLICY)

static gint64
get_now (DerateRateLimiter *self)
{
  return derate_clock_get_time (self->clock) * 1000;
}

static void
count (DerateRateLimiter *self, guint cell)
{
  derate_shard_add (self->cells + cell, 1);
}

static GError *
make_refusal (DerateRateLimiter *self)
{
  count (self, CELL_REFUSED);
  return g_error_new_literal (DERATE_ERROR, DERATE_ERROR_RATE_LIMITED, "the rate limit is reached");
}

static GError *
make_cancelled (DerateRateLimiter *self)
{
  count (self, CELL_CANCELLED);
  return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED,
                              "cancelled while waiting for the rate limit");
}

/* The last moment at which a call may begin. */
static gint64
get_latest (DerateRateLimiter *self, gint64 now, GTimeSpan left)
{
  GTimeSpan wait = MIN (self->max_wait, left - 1);

  return wait < (G_MAXINT64 - now) / 1000 ? now + wait * 1000 : G_MAXINT64;
}

typedef struct
{
  DerateTurnWaiter turn;
  DerateRateLimiter *limiter;
  gboolean cancelled;
} SyncWaiter;

static gboolean
on_sync_event (DerateWait *wait, DerateWaitEvent event, gpointer data)
{
  SyncWaiter *waiter = data;

  waiter->cancelled = event == DERATE_WAIT_CANCELLED;
  return derate_turns_leave (&waiter->turn, get_now (waiter->limiter), waiter->cancelled) ||
         waiter->cancelled;
}

static gboolean
wait_for_turn (DerateRateLimiter *self, DerateCallContext *context, gint64 now, GError **error)
{
  GMainContext *own = derate_wait_context_new ();
  SyncWaiter waiter = { .limiter = self };
  g_autoptr (DerateWait) wait = derate_wait_new (self->clock, own, on_sync_event, &waiter);
  gint64 latest = get_latest (self, now, derate_call_context_get_time_left (context));
  gboolean queued;

  waiter.turn.wait = wait;
  derate_wait_start (wait, DERATE_CLOCK_NEVER, context->cancellable);
  queued = derate_turns_queue (&self->turns, now, latest, &waiter.turn);
  if (queued)
    derate_wait_run (wait);
  else
    derate_wait_stop (wait);
  derate_wait_context_free (own);

  if (queued && !waiter.cancelled)
    {
      count (self, CELL_WAITED);
      return TRUE;
    }
  g_propagate_error (error, queued ? make_cancelled (self) : make_refusal (self));
  return FALSE;
}

static GVariant *
derate_rate_limiter_call (DeratePolicy *policy,
                          DerateCallContext *context,
                          guint next,
                          GError **error)
{
  DerateRateLimiter *self = (DerateRateLimiter *)policy;
  gint64 now = get_now (self);

  count (self, CELL_CALLS);
  if (G_UNLIKELY (derate_turns_try_take (&self->turns, now, 1) > 0))
    {
      if (self->max_wait == 0)
        {
          g_propagate_error (error, make_refusal (self));
          return NULL;
        }
      if (!wait_for_turn (self, context, now, error))
        return NULL;
    }
  return derate_stage_call (context, next, error);
}

/* A call that waits for its turn in its context. It owns itself until then. */
typedef struct
{
  DerateTurnWaiter turn;
  DerateRateLimiter *limiter; /* kept by the call */
  DerateAsyncCall *call;
  guint next;
  GCancellable *cancellable;
  DerateStageDone done;
  gpointer data;
} Run;

static void
run_free (Run *run)
{
  g_clear_pointer (&run->turn.wait, derate_wait_unref);
  g_clear_object (&run->cancellable);
  derate_async_call_unref (run->call);
  g_free (run);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Run, run_free)

static gboolean
on_event (DerateWait *wait, DerateWaitEvent event, gpointer data)
{
  Run *run = data;
  gboolean cancelled = event == DERATE_WAIT_CANCELLED;
  g_autoptr (Run) over = NULL;

  if (!derate_turns_leave (&run->turn, get_now (run->limiter), cancelled) && !cancelled)
    return FALSE;
  derate_wait_stop (wait);
  over = run;
  if (cancelled)
    derate_async_call_end_stage (run->call, run->done, run->data, NULL,
                                 make_cancelled (run->limiter));
  else
    {
      count (run->limiter, CELL_WAITED);
      derate_stage_start (run->call, run->next, run->cancellable, run->done, run->data);
    }
  return TRUE;
}

static void
queue (Run *run, gint64 now)
{
  DerateRateLimiter *self = run->limiter;
  g_autoptr (Run) refused = NULL;

  run->turn.wait =
      derate_wait_new (self->clock, derate_async_call_get_context (run->call), on_event, run);
  derate_wait_start (run->turn.wait, DERATE_CLOCK_NEVER, run->cancellable);
  if (derate_turns_queue (&self->turns, now, get_latest (self, now, G_MAXINT64), &run->turn))
    return;
  derate_wait_stop (run->turn.wait);
  refused = run;
  run->done (run->data, NULL, make_refusal (self));
}

static void
derate_rate_limiter_start (DeratePolicy *policy,
                           DerateAsyncCall *call,
                           guint next,
                           GCancellable *cancellable,
                           DerateStageDone done,
                           gpointer data)
{
  DerateRateLimiter *self = (DerateRateLimiter *)policy;
  gint64 now = get_now (self);
  Run *run;

  count (self, CELL_CALLS);
  if (derate_turns_try_take (&self->turns, now, 1) == 0)
    derate_stage_start (call, next, cancellable, done, data);
  else if (self->max_wait == 0)
    done (data, NULL, make_refusal (self));
  else
    {
      run = g_new0 (Run, 1);
      run->limiter = self;
      run->call = derate_async_call_ref (call);
      run->next = next;
      g_set_object (&run->cancellable, cancellable);
      run->done = done;
      run->data = data;
      queue (run, now);
    }
}

static void
derate_rate_limiter_finalize (GObject *object)
{
  DerateRateLimiter *self = DERATE_RATE_LIMITER (object);

  derate_turns_clear (&self->turns);
  derate_shard_free (self->cells, N_CELLS);
  g_object_unref (self->clock);
  G_OBJECT_CLASS (derate_rate_limiter_parent_class)->finalize (object);
}

static void
derate_rate_limiter_class_init (DerateRateLimiterClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_rate_limiter_finalize;
  klass->parent_class.call = derate_rate_limiter_call;
  klass->parent_class.start = derate_rate_limiter_start;
}

static void
derate_rate_limiter_init (DerateRateLimiter *self)
{
  self->cells = derate_shard_alloc (N_CELLS);
}

/**
 * derate_rate_limiter_new:
 * @clock: (nullable): the clock; without it, the system's
 * @rate: calls a second, more than 0 and at most a thousand million
 * @burst: how many may begin at once after a pause, at least 1; @burst / @rate is at most 73 years
 *
 * Makes a rate limiter whose bucket is full and in which nobody waits.
 *
 * Returns: (transfer full): the limiter
 *
 * Since: 1.0
 */
DerateRateLimiter *
derate_rate_limiter_new (DerateClock *clock, double rate, guint burst)
{
  DerateRateLimiter *self;
  double interval = ceil (1e9 / rate);

  g_return_val_if_fail (rate > 0 && rate <= 1e9, NULL);
  g_return_val_if_fail (burst > 0 && interval * burst <= MAX_BURST, NULL);

  self = g_object_new (DERATE_TYPE_RATE_LIMITER, NULL);
  self->clock = g_object_ref (clock != NULL ? clock : derate_clock_get_system ());
  self->burst = burst;
  derate_turns_init (&self->turns, (gint64)interval, (gint64)interval * burst);
  return self;
}

/**
 * derate_rate_limiter_set_max_wait:
 * @limiter: a rate limiter that is not used yet
 * @max_wait: how long a call may wait for its turn, in microseconds; 0, the default, refuses at
 * once
 * @error: return location for %DERATE_ERROR_INVALID_ARGUMENT
 *
 * Lets calls wait for their turn.
 *
 * Returns: %FALSE when @max_wait is negative
 *
 * Since: 1.0
 */
gboolean
derate_rate_limiter_set_max_wait (DerateRateLimiter *self, GTimeSpan max_wait, GError **error)
{
  g_return_val_if_fail (DERATE_IS_RATE_LIMITER (self), FALSE);
  g_return_val_if_fail (derate_policy_may_change (DERATE_POLICY (self)), FALSE);

  if (max_wait < 0)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                   "rate limiter: the longest wait is negative");
      return FALSE;
    }
  self->max_wait = max_wait;
  return TRUE;
}

static GTimeSpan
to_microseconds (gint64 nanoseconds)
{
  return nanoseconds / 1000 + (nanoseconds % 1000 > 0);
}

/**
 * derate_rate_limiter_try_acquire:
 * @limiter: a rate limiter
 * @n: how many tokens to take: all or none
 * @retry_after: (out) (optional): when it is refused, in how many microseconds there would be so
 *   many if nobody else took any; -1 when never, because the bucket does not hold so many
 *
 * Takes tokens for something that is not a call. May be called from any thread, and never waits.
 *
 * Returns: whether they were taken
 *
 * Since: 1.0
 */
gboolean
derate_rate_limiter_try_acquire (DerateRateLimiter *self, guint n, GTimeSpan *retry_after)
{
  GTimeSpan wait = -1;

  g_return_val_if_fail (DERATE_IS_RATE_LIMITER (self), FALSE);

  if (n <= self->burst)
    wait = n > 0 ? to_microseconds (derate_turns_try_take (&self->turns, get_now (self), n)) : 0;
  if (retry_after != NULL)
    *retry_after = wait;
  return wait == 0;
}

/**
 * derate_rate_limiter_get_retry_after:
 * @limiter: a rate limiter
 *
 * How long until a call would begin at once, for the `Retry-After` of a refusal. May be called from
 * any thread.
 *
 * Returns: microseconds; 0 when one would now
 *
 * Since: 1.0
 */
GTimeSpan
derate_rate_limiter_get_retry_after (DerateRateLimiter *self)
{
  g_return_val_if_fail (DERATE_IS_RATE_LIMITER (self), 0);

  return to_microseconds (derate_turns_get_wait (&self->turns, get_now (self), 1));
}

/**
 * derate_rate_limiter_get_waiting:
 * @limiter: a rate limiter
 *
 * How many calls wait for their turn. May be called from any thread.
 *
 * Returns: a number of calls
 *
 * Since: 1.0
 */
guint
derate_rate_limiter_get_waiting (DerateRateLimiter *self)
{
  g_return_val_if_fail (DERATE_IS_RATE_LIMITER (self), 0);

  return __atomic_load_n (&self->turns.n_waiting, __ATOMIC_RELAXED);
}

/**
 * derate_rate_limiter_get_stats:
 * @limiter: a rate limiter
 * @stats: (out caller-allocates): what it holds and what it has counted
 *
 * Reads everything at once. Counters never fall; derate_rate_limiter_try_acquire() is not in them.
 * May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_rate_limiter_get_stats (DerateRateLimiter *self, DerateRateLimiterStats *stats)
{
  g_return_if_fail (DERATE_IS_RATE_LIMITER (self) && stats != NULL);

  /* How calls ended before how many there were, so that no more end than begin. */
  stats->refused = derate_shard_sum (self->cells + CELL_REFUSED);
  stats->waited = derate_shard_sum (self->cells + CELL_WAITED);
  stats->cancelled = derate_shard_sum (self->cells + CELL_CANCELLED);
  stats->waiting = derate_rate_limiter_get_waiting (self);
  stats->calls = derate_shard_sum (self->cells + CELL_CALLS);
}
