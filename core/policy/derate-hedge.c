/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-hedge-private.h"

#include "derate-error.h"

/**
 * DerateHedge:
 *
 * Makes a call a second time when the first attempt takes long, and takes the answer that comes
 * first: for a service of which a few answers are slow without a reason (Dean and Barroso, “The
 * Tail at Scale”).
 *
 * The second attempt begins after a delay, or after the time that all but a few calls take,
 * derate_hedge_set_quantile(). An attempt that fails while the other runs is not the end; that the
 * first fails before the delay is, for to try again is the business of a [class@Retry]. When both
 * fail the error is the first one's. What comes too late is cancelled and its answer dropped.
 *
 * Only idempotent requests are made twice, the others go straight through, and second attempts are
 * at most 20 % of the calls of the last 10 s, or 3 when that is more, so that a service that is
 * slow for all is not asked twice as much (failsafe-go's budget).
 *
 * In derate_policy_call() the first attempt is made in the calling thread, the second in one of the
 * library's: the operation must bear to be called in two threads at once. Each has a cancellable of
 * its own. The call returns when both have ended, so it is only as fast as the operation heeds its
 * cancellable.
 *
 * Since: 1.0
 */
struct _DerateHedgeClass
{
  DeratePolicyClass parent_class;
};

G_DEFINE_FINAL_TYPE (DerateHedge, derate_hedge, DERATE_TYPE_POLICY)

void
derate_hedge_note_answer (DerateHedge *self, gboolean first, GTimeSpan span)
{
  if (!first)
    derate_shard_add (self->cells + HEDGE_CELL_WON, 1);
  /* A first attempt that lost took at least so long: left out, what is slow would seem rarer than
   * it is. */
  if (self->latency != NULL)
    derate_latency_add (self->latency, span);
}

/* A call that is answered later, and its two attempts. Held by each attempt and by the timer. */
typedef struct _Race Race;

typedef struct
{
  Race *race;
  GCancellable *cancellable;
  gulong parent_handler;
  gboolean is_running;
  GError *error; /* (nullable) */
} Attempt;

struct _Race
{
  gatomicrefcount refs;
  DerateHedge *hedge; /* kept by the call */
  DerateAsyncCall *call;
  guint next;
  GCancellable *parent; /* (nullable) */
  gint64 begun;
  gpointer data;

  /* An attempt that is late, when the call has ended, ends in any thread. */
  GMutex mutex;
  GSource *timer; /* (nullable) */
  DerateStageDone done; /* NULL once answered */
  Attempt attempts[2];
};

static void
race_unref (gpointer data)
{
  Race *race = data;

  if (!g_atomic_ref_count_dec (&race->refs))
    return;
  for (guint i = 0; i < 2; i++)
    {
      g_clear_object (&race->attempts[i].cancellable);
      g_clear_error (&race->attempts[i].error);
    }
  g_clear_pointer (&race->timer, g_source_unref);
  g_clear_object (&race->parent);
  g_mutex_clear (&race->mutex);
  derate_async_call_unref (race->call);
  g_free (race);
}

/* What the end of @attempt decides: NULL when the race goes on, or was over. */
static DerateStageDone
race_decide (Race *race, Attempt *attempt, GVariant *answer, GError *error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&race->mutex);

  attempt->is_running = FALSE;
  attempt->error = error;
  if (answer == NULL && (race->attempts[0].is_running || race->attempts[1].is_running))
    return NULL;
  return g_steal_pointer (&race->done);
}

/* Whether an attempt is under way yet. Nobody else cancels one. */
static gboolean
is_running (Race *race, guint i)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&race->mutex);

  return race->attempts[i].is_running;
}

/* By who has taken @done. Takes both. */
static void
race_end (Race *race, DerateStageDone done, GVariant *answer, GError *error)
{
  if (race->timer != NULL)
    g_source_destroy (race->timer);
  for (guint i = 0; i < 2; i++)
    if (race->attempts[i].cancellable != NULL)
      {
        derate_cancellable_unchain (race->parent, &race->attempts[i].parent_handler);
        if (is_running (race, i))
          g_cancellable_cancel (race->attempts[i].cancellable);
      }
  derate_async_call_end_stage (race->call, done, race->data, answer, error);
}

static void
on_ended (gpointer data, GVariant *answer, GError *error)
{
  Attempt *attempt = data;
  Race *race = attempt->race;
  DerateStageDone done = race_decide (race, attempt, answer, error);

  if (done == NULL)
    g_clear_pointer (&answer, g_variant_unref);
  else if (answer != NULL)
    {
      derate_hedge_note_answer (race->hedge, attempt == &race->attempts[0],
                                derate_clock_get_time (race->hedge->clock) - race->begun);
      race_end (race, done, answer, NULL);
    }
  else
    race_end (race, done, NULL, g_steal_pointer (&race->attempts[0].error));
  race_unref (race);
}

static void
race_begin (Race *race, guint i)
{
  Attempt *attempt = &race->attempts[i];

  attempt->race = race;
  attempt->cancellable = g_cancellable_new ();
  attempt->parent_handler = derate_cancellable_chain (race->parent, attempt->cancellable);
  attempt->is_running = TRUE;
  g_atomic_ref_count_inc (&race->refs);
  derate_stage_start (race->call, race->next, attempt->cancellable, on_ended, attempt);
}

static gboolean
is_open (Race *race)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&race->mutex);

  return race->done != NULL;
}

static gboolean
on_time (gpointer data)
{
  Race *race = data;
  DerateHedge *self = race->hedge;

  if (is_open (race) && !g_cancellable_is_cancelled (race->parent) &&
      derate_budget_take (&self->budget, derate_clock_get_time (self->clock)))
    race_begin (race, 1);
  return G_SOURCE_REMOVE;
}

static void
race_set_timer (Race *race, GTimeSpan delay)
{
  DerateClock *clock = race->hedge->clock;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&race->mutex);

  if (race->done == NULL)
    return;
  g_atomic_ref_count_inc (&race->refs);
  race->timer = derate_clock_source_new (clock, delay < DERATE_CLOCK_NEVER - race->begun
                                                    ? race->begun + delay
                                                    : DERATE_CLOCK_NEVER);
  g_source_set_callback (race->timer, on_time, race, race_unref);
  g_source_attach (race->timer, derate_async_call_get_context (race->call));
}

static void
derate_hedge_start (DeratePolicy *policy,
                    DerateAsyncCall *call,
                    guint next,
                    GCancellable *cancellable,
                    DerateStageDone done,
                    gpointer data)
{
  DerateHedge *self = (DerateHedge *)policy;
  GTimeSpan delay;
  Race *race;

  if (!(derate_request_get_flags (derate_async_call_get_request (call)) &
        DERATE_REQUEST_IDEMPOTENT))
    {
      derate_stage_start (call, next, cancellable, done, data);
      return;
    }
  derate_shard_add (self->cells + HEDGE_CELL_CALLS, 1);
  delay = derate_hedge_get_delay (self);
  race = g_new0 (Race, 1);
  g_atomic_ref_count_init (&race->refs);
  g_mutex_init (&race->mutex);
  race->hedge = self;
  race->call = derate_async_call_ref (call);
  race->next = next;
  g_set_object (&race->parent, cancellable);
  race->begun = derate_clock_get_time (self->clock);
  race->done = done;
  race->data = data;
  race_begin (race, 0);
  race_set_timer (race, delay);
  race_unref (race);
}

static void
derate_hedge_finalize (GObject *object)
{
  DerateHedge *self = DERATE_HEDGE (object);

  derate_hedge_timer_free (self->timer);
  g_clear_pointer (&self->latency, derate_latency_free);
  derate_budget_clear (&self->budget);
  derate_shard_free (self->cells, HEDGE_N_CELLS);
  g_object_unref (self->clock);
  G_OBJECT_CLASS (derate_hedge_parent_class)->finalize (object);
}

static void
derate_hedge_class_init (DerateHedgeClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_hedge_finalize;
  klass->parent_class.call = derate_hedge_call;
  klass->parent_class.start = derate_hedge_start;
}

static void
derate_hedge_init (DerateHedge *self)
{
  self->cells = derate_shard_alloc (HEDGE_N_CELLS);
}

/**
 * derate_hedge_new:
 * @clock: (nullable): the clock; without it, the system's
 * @delay: how long the first attempt is waited for, in microseconds, not negative
 *
 * Makes a hedge.
 *
 * Returns: (transfer full): the hedge
 *
 * Since: 1.0
 */
DerateHedge *
derate_hedge_new (DerateClock *clock, GTimeSpan delay)
{
  DerateHedge *self;

  g_return_val_if_fail (delay >= 0, NULL);

  self = g_object_new (DERATE_TYPE_HEDGE, NULL);
  self->clock = g_object_ref (clock != NULL ? clock : derate_clock_get_system ());
  self->delay = delay;
  self->timer = derate_hedge_timer_new (self->clock);
  derate_budget_init (&self->budget, self->cells + HEDGE_CELL_CALLS,
                      derate_clock_get_time (self->clock));
  return self;
}

/**
 * derate_hedge_set_quantile:
 * @hedge: a hedge that is not used yet
 * @quantile: between 0 and 1; 0.95 waits as long as 95 % of calls take
 * @error: return location for %DERATE_ERROR_INVALID_ARGUMENT
 *
 * Lets the delay follow what calls took in the last 30 to 60 s. Until there are 20 of them it is
 * the one that derate_hedge_new() was given.
 *
 * Returns: %FALSE when @quantile is not between 0 and 1
 *
 * Since: 1.0
 */
gboolean
derate_hedge_set_quantile (DerateHedge *self, double quantile, GError **error)
{
  g_return_val_if_fail (DERATE_IS_HEDGE (self), FALSE);
  g_return_val_if_fail (derate_policy_may_change (DERATE_POLICY (self)), FALSE);

  if (!(quantile > 0 && quantile < 1))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                   "hedge: a quantile is between 0 and 1, not %g", quantile);
      return FALSE;
    }
  g_clear_pointer (&self->latency, derate_latency_free);
  self->latency = derate_latency_new (quantile);
  return TRUE;
}

/**
 * derate_hedge_set_budget:
 * @hedge: a hedge that is not used yet
 * @share: second attempts are at most so many times the calls of the last 10 s; infinite is no
 * limit
 * @reserve: so many in 10 s are allowed whatever the calls
 * @error: return location for %DERATE_ERROR_INVALID_ARGUMENT
 *
 * Bounds second attempts. The default is 0.2 and 3.
 *
 * Returns: %FALSE when @share is negative or no number
 *
 * Since: 1.0
 */
gboolean
derate_hedge_set_budget (DerateHedge *self, double share, guint reserve, GError **error)
{
  g_return_val_if_fail (DERATE_IS_HEDGE (self), FALSE);
  g_return_val_if_fail (derate_policy_may_change (DERATE_POLICY (self)), FALSE);

  return derate_budget_set (&self->budget, share, reserve, error);
}

/**
 * derate_hedge_get_delay:
 * @hedge: a hedge
 *
 * How long a first attempt is waited for now. May be called from any thread.
 *
 * Returns: microseconds
 *
 * Since: 1.0
 */
GTimeSpan
derate_hedge_get_delay (DerateHedge *self)
{
  GTimeSpan usual = 0;

  g_return_val_if_fail (DERATE_IS_HEDGE (self), 0);

  if (self->latency != NULL)
    usual = derate_latency_get (self->latency, derate_clock_get_time (self->clock));
  return usual > 0 ? usual : self->delay;
}

/**
 * derate_hedge_get_stats:
 * @hedge: a hedge
 * @stats: (out caller-allocates): what was counted
 *
 * Reads all counters at once. They never fall. May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_hedge_get_stats (DerateHedge *self, DerateHedgeStats *stats)
{
  g_return_if_fail (DERATE_IS_HEDGE (self) && stats != NULL);

  /* What came last first, so that no more end than begin. */
  stats->won = derate_shard_sum (self->cells + HEDGE_CELL_WON);
  derate_budget_read (&self->budget, &stats->hedges, &stats->over_budget);
  stats->calls = derate_shard_sum (self->cells + HEDGE_CELL_CALLS);
}
