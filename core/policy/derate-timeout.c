/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-timeout.h"

#include "derate-error.h"
#include "derate-policy-private.h"
#include "derate-time-span.h"

/**
 * DerateTimeout:
 *
 * A limit on how long a call may take. What takes longer ends with %DERATE_ERROR_TIMED_OUT, which
 * is a failure to a circuit breaker around it.
 *
 * In derate_policy_call() nothing can interrupt the operation: it can ask when it should be over,
 * derate_call_get_deadline(), or for something that is cancelled then,
 * derate_call_dup_cancellable(). When it ends at or after the deadline all the same, its answer is
 * dropped.
 *
 * In derate_policy_call_async() the operation's cancellable is cancelled at the deadline and the
 * call ends then, even when the operation never does; a late answer is dropped. A call that has
 * only waited, for a place in a bulkhead inside the timeout, ends with %DERATE_ERROR_QUEUE_FULL,
 * which says nothing about the service.
 *
 * Since: 1.0
 */
struct _DerateTimeout
{
  DeratePolicy parent_instance;

  DerateClock *clock;
  GTimeSpan span;
};

struct _DerateTimeoutClass
{
  DeratePolicyClass parent_class;
};

/* One call that is answered later. Held by what was started, and by the timer. */
typedef struct
{
  gatomicrefcount refs;
  DerateTimeout *timeout;
  DerateAsyncCall *call;
  guint attempts_before;
  GCancellable *cancellable;
  GCancellable *parent; /* (nullable) */
  gulong parent_handler;
  GSource *timer;
  DerateStageDone done; /* atomic: NULL once answered */
  gpointer data;
} Attempt;

G_DEFINE_FINAL_TYPE (DerateTimeout, derate_timeout, DERATE_TYPE_POLICY)

static gint64
get_deadline (DerateTimeout *timeout)
{
  gint64 now = derate_clock_get_time (timeout->clock);

  return now < DERATE_CLOCK_NEVER - timeout->span ? now + timeout->span : DERATE_CLOCK_NEVER;
}

static GError *
make_error (DerateTimeout *timeout, gboolean begun)
{
  g_autofree char *span = derate_time_span_to_string (timeout->span);

  return begun ? g_error_new (DERATE_ERROR, DERATE_ERROR_TIMED_OUT, "no answer within %s", span)
               : g_error_new (DERATE_ERROR, DERATE_ERROR_QUEUE_FULL,
                              "the call could not begin within %s", span);
}

/* A refusal says more than that it came late, and so does the caller's own change of mind. */
static gboolean
is_kept (DerateCallContext *context, const GError *error)
{
  switch (derate_fallback_reason_from_error (error))
    {
    case DERATE_FALLBACK_REASON_OPEN:
    case DERATE_FALLBACK_REASON_OVERLOAD:
    case DERATE_FALLBACK_REASON_DRILL:
      return TRUE;
    default:
      return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED) &&
             g_cancellable_is_cancelled (context->cancellable);
    }
}

static GVariant *
derate_timeout_call (DeratePolicy *policy, DerateCallContext *context, guint next, GError **error)
{
  DerateTimeout *timeout = (DerateTimeout *)policy;
  gint64 deadline = get_deadline (timeout);
  gint64 outer_deadline = context->deadline;
  DerateClock *outer_clock = context->clock;
  GError *own_error = NULL;
  GVariant *answer;

  if (deadline < outer_deadline)
    {
      context->deadline = deadline;
      context->clock = timeout->clock;
    }
  answer = derate_stage_call (context, next, &own_error);
  context->deadline = outer_deadline;
  context->clock = outer_clock;
  if (G_UNLIKELY (context->token != NULL))
    derate_call_token_release (context);

  if (G_UNLIKELY (derate_clock_get_time (timeout->clock) >= deadline) &&
      (answer != NULL || !is_kept (context, own_error)))
    {
      g_clear_pointer (&answer, g_variant_unref);
      g_clear_error (&own_error);
      own_error = make_error (timeout, TRUE);
    }
  if (own_error != NULL)
    g_propagate_error (error, own_error);
  return answer;
}

static void
attempt_unref (gpointer data)
{
  Attempt *attempt = data;

  if (!g_atomic_ref_count_dec (&attempt->refs))
    return;
  g_clear_object (&attempt->parent);
  g_object_unref (attempt->cancellable);
  g_source_unref (attempt->timer);
  derate_async_call_unref (attempt->call);
  g_free (attempt);
}

/* NULL when another has ended it. */
static DerateStageDone
take_done (Attempt *attempt)
{
  DerateStageDone done = __atomic_exchange_n (&attempt->done, NULL, __ATOMIC_ACQ_REL);

  if (done != NULL)
    derate_cancellable_unchain (attempt->parent, &attempt->parent_handler);
  return done;
}

static void
on_ended (gpointer data, GVariant *answer, GError *error)
{
  Attempt *attempt = data;
  DerateStageDone done = take_done (attempt);

  g_source_destroy (attempt->timer);
  if (done != NULL)
    done (attempt->data, answer, error);
  else
    {
      g_clear_pointer (&answer, g_variant_unref);
      g_clear_error (&error);
    }
  attempt_unref (attempt);
}

/* Cancels first, so that the operation has heard of it before what is outside goes on; an answer
 * that it gives at that is late. */
static gboolean
on_deadline (gpointer data)
{
  Attempt *attempt = data;
  DerateStageDone done = take_done (attempt);
  gboolean begun = derate_async_call_count_attempts (attempt->call) > attempt->attempts_before;

  if (done != NULL)
    {
      g_cancellable_cancel (attempt->cancellable);
      derate_async_call_end_stage (attempt->call, done, attempt->data, NULL,
                                   make_error (attempt->timeout, begun));
    }
  return G_SOURCE_REMOVE;
}

static void
derate_timeout_start (DeratePolicy *policy,
                      DerateAsyncCall *call,
                      guint next,
                      GCancellable *cancellable,
                      DerateStageDone done,
                      gpointer data)
{
  DerateTimeout *timeout = (DerateTimeout *)policy;
  Attempt *attempt = g_new0 (Attempt, 1);

  g_atomic_ref_count_init (&attempt->refs);
  g_atomic_ref_count_inc (&attempt->refs);
  attempt->timeout = timeout;
  attempt->call = derate_async_call_ref (call);
  attempt->attempts_before = derate_async_call_count_attempts (call);
  attempt->done = done;
  attempt->data = data;
  attempt->cancellable = g_cancellable_new ();
  g_set_object (&attempt->parent, cancellable);
  attempt->parent_handler = derate_cancellable_chain (cancellable, attempt->cancellable);
  attempt->timer = derate_clock_source_new (timeout->clock, get_deadline (timeout));
  g_source_set_callback (attempt->timer, on_deadline, attempt, attempt_unref);
  g_source_attach (attempt->timer, derate_async_call_get_context (call));
  derate_stage_start (call, next, attempt->cancellable, on_ended, attempt);
}

static void
derate_timeout_finalize (GObject *object)
{
  g_clear_object (&((DerateTimeout *)object)->clock);
  G_OBJECT_CLASS (derate_timeout_parent_class)->finalize (object);
}

static void
derate_timeout_class_init (DerateTimeoutClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_timeout_finalize;
  klass->parent_class.call = derate_timeout_call;
  klass->parent_class.start = derate_timeout_start;
}

static void
derate_timeout_init (DerateTimeout *timeout)
{
}

/**
 * derate_timeout_new:
 * @clock: (nullable): its clock; %NULL for the system's
 * @span: how long a call may take, in microseconds, more than 0; %DERATE_TIMEOUT_DEFAULT where you
 *   know no better
 *
 * Makes a timeout.
 *
 * Returns: (transfer full): the timeout
 *
 * Since: 1.0
 */
DerateTimeout *
derate_timeout_new (DerateClock *clock, GTimeSpan span)
{
  DerateTimeout *timeout;

  g_return_val_if_fail (span > 0, NULL);

  timeout = g_object_new (DERATE_TYPE_TIMEOUT, NULL);
  timeout->clock = g_object_ref (clock != NULL ? clock : derate_clock_get_system ());
  timeout->span = span;
  return timeout;
}

/**
 * derate_timeout_get_span:
 * @timeout: a timeout
 *
 * How long a call may take.
 *
 * Returns: microseconds
 *
 * Since: 1.0
 */
GTimeSpan
derate_timeout_get_span (DerateTimeout *timeout)
{
  g_return_val_if_fail (DERATE_IS_TIMEOUT (timeout), 0);

  return timeout->span;
}
