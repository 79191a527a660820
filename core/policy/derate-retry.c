/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-retry-private.h"

#include "derate-env.h"
#include "derate-error.h"
#include "derate-names-private.h"
#include "derate-wait-private.h"

struct _DerateRetryClass
{
  DeratePolicyClass parent_class;
};

/**
 * DerateRetry:
 *
 * Makes a call again when it failed and another try may help.
 *
 * At most 3 retries after the first attempt, after 500 ms, 1 s and 2 s at most (never over 30 s),
 * each made shorter by chance down to nothing, so that what failed at once does not come back at
 * once ("full jitter", of the AWS Architecture Blog). An error that says when to come back is
 * honoured where a [callback@RetryAfterFunc] reads it: the delay is added to that, and one longer
 * than the longest delay ends the call.
 *
 * A request is tried again when it is idempotent; another only after an error that proves that
 * nothing was done, which is %G_IO_ERROR_CONNECTION_REFUSED and what derate_retry_add_error() adds
 * (of a database: SQLSTATE 40001 and 40P01). Never tried again is a call that was cancelled, and
 * what the library itself refused: an open breaker, a drill, a full bulkhead, a spent rate; more
 * calls are no cure for too many. The synchronous form does not wait for a retry that would begin
 * past the deadline of a timeout around it; in the asynchronous form that timeout ends the wait.
 *
 * Retries are at most 20 % of the calls of the last 10 s, or 3 when that is more, so that a storm
 * cannot form (the share and the 3 are failsafe-go's and Envoy's, the window Finagle's).
 *
 * The error is the last attempt's, its text begun with the number of attempts; a call that is
 * cancelled while it waits ends with %G_IO_ERROR_CANCELLED. An answer that its function keeps
 * refusing is given as it is. The synchronous form waits in the calling thread, which
 * must not be a loop's.
 *
 * Since: 1.0
 */
G_DEFINE_FINAL_TYPE (DerateRetry, derate_retry, DERATE_TYPE_POLICY)

static GVariant *
try_again (DerateRetry *self,
           DerateCallContext *context,
           guint next,
           GVariant *answer,
           GError **error)
{
  guint retries = 0;
  gint64 when;

  while ((when = derate_retry_decide (self, context->request, context->cancellable, answer, *error,
                                      retries + 1, derate_call_context_get_time_left (context))) >=
         0)
    {
      g_clear_pointer (&answer, g_variant_unref);
      g_clear_error (error);
      if (!derate_wait_until (self->clock, when, context->cancellable))
        {
          g_cancellable_set_error_if_cancelled (context->cancellable, error);
          return NULL;
        }
      retries++;
      answer = derate_stage_call (context, next, error);
    }
  if (retries > 0 && *error != NULL)
    g_prefix_error (error, "after %u attempts: ", retries + 1);
  return answer;
}

static GVariant *
derate_retry_call (DeratePolicy *policy, DerateCallContext *context, guint next, GError **error)
{
  DerateRetry *self = (DerateRetry *)policy;
  GError *own_error = NULL;
  GVariant *answer;

  derate_shard_add (self->cells + RETRY_CELL_CALLS, 1);
  answer = derate_stage_call (context, next, &own_error);
  if (G_LIKELY (answer != NULL && self->answer_func == NULL))
    return answer;
  answer = try_again (self, context, next, answer, &own_error);
  if (own_error != NULL)
    g_propagate_error (error, own_error);
  return answer;
}

/* A call that is answered later. It owns itself until it has ended. */
typedef struct
{
  DerateRetry *retry; /* kept by the call */
  DerateAsyncCall *call;
  guint next;
  GCancellable *cancellable;
  DerateStageDone done;
  gpointer data;
  guint retries;
  DerateWait *wait;
} Run;

static void on_attempt_done (gpointer data, GVariant *answer, GError *error);

static void
run_end (Run *run, GVariant *answer, GError *error)
{
  g_autoptr (DerateAsyncCall) call = run->call;
  DerateStageDone done = run->done;
  gpointer data = run->data;

  g_clear_pointer (&run->wait, derate_wait_unref);
  g_clear_object (&run->cancellable);
  g_free (run);
  derate_async_call_end_stage (call, done, data, answer, error);
}

static gboolean
on_waited (DerateWait *wait, DerateWaitEvent event, gpointer data)
{
  Run *run = data;

  derate_wait_stop (wait);
  g_clear_pointer (&run->wait, derate_wait_unref);
  if (event == DERATE_WAIT_CANCELLED)
    {
      run_end (run, NULL,
               g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                    "cancelled while waiting to try again"));
      return TRUE;
    }
  run->retries++;
  derate_stage_start (run->call, run->next, run->cancellable, on_attempt_done, run);
  return TRUE;
}

static void
on_attempt_done (gpointer data, GVariant *answer, GError *error)
{
  Run *run = data;
  DerateRetry *self = run->retry;
  gint64 when = derate_retry_decide (self, derate_async_call_get_request (run->call),
                                     run->cancellable, answer, error, run->retries + 1, G_MAXINT64);

  if (when < 0)
    {
      if (run->retries > 0 && error != NULL)
        g_prefix_error (&error, "after %u attempts: ", run->retries + 1);
      run_end (run, answer, error);
      return;
    }
  g_clear_pointer (&answer, g_variant_unref);
  g_clear_error (&error);
  /* Also when it need not wait: a stage that fails at once must not be called deeper and deeper. */
  run->wait =
      derate_wait_new (self->clock, derate_async_call_get_context (run->call), on_waited, run);
  derate_wait_start (run->wait, when, run->cancellable);
}

static void
derate_retry_start (DeratePolicy *policy,
                    DerateAsyncCall *call,
                    guint next,
                    GCancellable *cancellable,
                    DerateStageDone done,
                    gpointer data)
{
  Run *run = g_new0 (Run, 1);

  run->retry = (DerateRetry *)policy;
  run->call = derate_async_call_ref (call);
  run->next = next;
  g_set_object (&run->cancellable, cancellable);
  run->done = done;
  run->data = data;
  derate_shard_add (run->retry->cells + RETRY_CELL_CALLS, 1);
  derate_stage_start (call, next, cancellable, on_attempt_done, run);
}

static void
derate_retry_finalize (GObject *object)
{
  DerateRetry *self = DERATE_RETRY (object);

  derate_retry_closure_clear (&self->error_closure);
  derate_retry_closure_clear (&self->answer_closure);
  derate_retry_closure_clear (&self->after_closure);
  g_array_unref (self->matches);
  derate_budget_clear (&self->budget);
  derate_shard_free (self->cells, RETRY_N_CELLS);
  g_object_unref (self->clock);
  G_OBJECT_CLASS (derate_retry_parent_class)->finalize (object);
}

static void
derate_retry_class_init (DerateRetryClass *klass)
{
  DeratePolicyClass *policy_class = DERATE_POLICY_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = derate_retry_finalize;
  policy_class->call = derate_retry_call;
  policy_class->start = derate_retry_start;
}

static void
derate_retry_init (DerateRetry *self)
{
  self->cells = derate_shard_alloc (RETRY_N_CELLS);
  self->max_retries = 3;
  self->backoff = (DerateBackoff)DERATE_BACKOFF_INIT;
  self->matches = g_array_new (FALSE, FALSE, sizeof (DerateRetryMatch));
  derate_retry_add_error (self, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED,
                          DERATE_RETRY_VERDICT_ALWAYS);
}

/**
 * derate_retry_new:
 * @clock: (nullable): the clock; without it, the system's
 *
 * Makes a retry policy.
 *
 * Returns: (transfer full): the policy
 *
 * Since: 1.0
 */
DerateRetry *
derate_retry_new (DerateClock *clock)
{
  DerateRetry *self = g_object_new (DERATE_TYPE_RETRY, NULL);

  self->clock = g_object_ref (clock != NULL ? clock : derate_clock_get_system ());
  derate_budget_init (&self->budget, self->cells + RETRY_CELL_CALLS,
                      derate_clock_get_time (self->clock));
  return self;
}

/**
 * derate_retry_new_from_environment:
 * @clock: (nullable): the clock; without it, the system's
 * @error: return location for %DERATE_ERROR_INVALID_CONFIG, which names the variable
 *
 * Makes a retry policy with as many retries as `DEFAULT_MAX_RETRIES` says, none when
 * `ENABLE_RESILIENCE` is false.
 *
 * Returns: (transfer full): the policy
 *
 * Since: 1.0
 */
DerateRetry *
derate_retry_new_from_environment (DerateClock *clock, GError **error)
{
  DerateRetry *self;
  gboolean enabled;
  double retries;

  if (!derate_env_get_boolean (DERATE_ENV_ENABLE, TRUE, &enabled, error) ||
      !derate_env_get_number (DERATE_ENV_MAX_RETRIES, 3, 0, G_MAXINT32, &retries, error))
    return NULL;
  self = derate_retry_new (clock);
  self->max_retries = enabled ? (guint)retries : 0;
  return self;
}

/**
 * derate_retry_get_stats:
 * @retry: a retry policy
 * @stats: (out caller-allocates): what was counted
 *
 * Reads all counters at once. They never fall. May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_retry_get_stats (DerateRetry *self, DerateRetryStats *stats)
{
  g_return_if_fail (DERATE_IS_RETRY (self) && stats != NULL);

  /* Ends before retries before calls, so that no more end than were begun. */
  stats->recovered = derate_shard_sum (self->cells + RETRY_CELL_RECOVERED);
  stats->exhausted = derate_shard_sum (self->cells + RETRY_CELL_EXHAUSTED);
  derate_budget_read (&self->budget, &stats->retries, &stats->over_budget);
  stats->calls = derate_shard_sum (self->cells + RETRY_CELL_CALLS);
}
