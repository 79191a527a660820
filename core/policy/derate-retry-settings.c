/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-retry-private.h"

/* What a retry policy can be told before it is used. */

void
derate_retry_closure_clear (DerateRetryClosure *closure)
{
  if (closure->destroy != NULL)
    closure->destroy (closure->data);
  *closure = (DerateRetryClosure){ NULL, NULL };
}

/**
 * derate_retry_set_max_retries:
 * @retry: a retry policy that is not used yet
 * @retries: attempts after the first, at most; 0 lets everything straight through
 *
 * Says how often to try again. The default is 3 (the seeds' `DEFAULT_MAX_RETRIES`).
 *
 * Since: 1.0
 */
void
derate_retry_set_max_retries (DerateRetry *self, guint retries)
{
  g_return_if_fail (DERATE_IS_RETRY (self));

  if (!derate_policy_may_change (DERATE_POLICY (self)))
    return;
  self->max_retries = retries;
}

/**
 * derate_retry_get_max_retries:
 * @retry: a retry policy
 *
 * How often it tries again at most.
 *
 * Returns: attempts after the first
 *
 * Since: 1.0
 */
guint
derate_retry_get_max_retries (DerateRetry *self)
{
  g_return_val_if_fail (DERATE_IS_RETRY (self), 0);

  return self->max_retries;
}

/**
 * derate_retry_set_backoff:
 * @retry: a retry policy that is not used yet
 * @initial: before the first retry, in microseconds; 0 tries again at once
 * @multiplier: by which each delay is longer than the one before, at least 1
 * @maximum: no delay is longer, in microseconds, at least @initial
 * @jitter: from 0 to 1: which part of a delay is left to chance; 1 is anything from nothing to all
 *   of it ("full jitter"), 0 none
 * @error: return location for %DERATE_ERROR_INVALID_ARGUMENT; then nothing is changed
 *
 * Says how long to wait. The default is 500 ms, 2, 30 s, 1.
 *
 * Returns: %FALSE when the values are out of range or contradict each other
 *
 * Since: 1.0
 */
gboolean
derate_retry_set_backoff (DerateRetry *self,
                          GTimeSpan initial,
                          double multiplier,
                          GTimeSpan maximum,
                          double jitter,
                          GError **error)
{
  DerateBackoff backoff = { initial, multiplier, maximum, jitter };

  g_return_val_if_fail (DERATE_IS_RETRY (self), FALSE);
  g_return_val_if_fail (derate_policy_may_change (DERATE_POLICY (self)), FALSE);

  if (!derate_backoff_check (&backoff, error))
    return FALSE;
  self->backoff = backoff;
  return TRUE;
}

/**
 * derate_retry_get_longest_delay:
 * @retry: a retry policy
 * @n: which retry, from 1
 *
 * How long it waits before a retry at most, when the service does not say.
 *
 * Returns: microseconds
 *
 * Since: 1.0
 */
GTimeSpan
derate_retry_get_longest_delay (DerateRetry *self, guint n)
{
  g_return_val_if_fail (DERATE_IS_RETRY (self), 0);

  return derate_backoff_get_delay (&self->backoff, n, 1);
}

/**
 * derate_retry_set_budget:
 * @retry: a retry policy that is not used yet
 * @share: retries are at most so many times the calls of the last 10 s; infinite is no limit
 * @reserve: so many retries in 10 s are allowed whatever the calls
 * @error: return location for %DERATE_ERROR_INVALID_ARGUMENT
 *
 * Bounds retries, so that they do not multiply the load on a service that fails. The default is 0.2
 * and 3.
 *
 * Returns: %FALSE when @share is negative or no number
 *
 * Since: 1.0
 */
gboolean
derate_retry_set_budget (DerateRetry *self, double share, guint reserve, GError **error)
{
  g_return_val_if_fail (DERATE_IS_RETRY (self), FALSE);
  g_return_val_if_fail (derate_policy_may_change (DERATE_POLICY (self)), FALSE);

  return derate_budget_set (&self->budget, share, reserve, error);
}

/**
 * derate_retry_add_error:
 * @retry: a retry policy that is not used yet
 * @domain: an error domain
 * @code: an error code, or -1 for all of @domain
 * @verdict: what it says; %DERATE_RETRY_VERDICT_UNKNOWN takes back what was said before
 *
 * Says what an error means. A later line is stronger than an earlier one. Errors nobody judged are
 * %DERATE_RETRY_VERDICT_IDEMPOTENT.
 *
 * Since: 1.0
 */
void
derate_retry_add_error (DerateRetry *self, GQuark domain, int code, DerateRetryVerdict verdict)
{
  DerateRetryMatch match = { domain, code, verdict };

  g_return_if_fail (DERATE_IS_RETRY (self) && domain != 0);

  if (!derate_policy_may_change (DERATE_POLICY (self)))
    return;
  g_array_append_val (self->matches, match);
}

/**
 * derate_retry_set_error_func:
 * @retry: a retry policy that is not used yet
 * @func: (scope notified) (closure user_data) (destroy destroy) (nullable): judges errors
 * @user_data: given to @func
 * @destroy: (nullable): frees @user_data
 *
 * Asks @func first what an error means; where it does not know, the list of
 * derate_retry_add_error() says. It is not asked about refusals and cancelled calls.
 *
 * Since: 1.0
 */
void
derate_retry_set_error_func (DerateRetry *self,
                             DerateRetryErrorFunc func,
                             gpointer user_data,
                             GDestroyNotify destroy)
{
  g_return_if_fail (DERATE_IS_RETRY (self));

  if (!derate_policy_may_change (DERATE_POLICY (self)))
    return;
  derate_retry_closure_clear (&self->error_closure);
  self->error_func = func;
  self->error_closure = (DerateRetryClosure){ user_data, destroy };
}

/**
 * derate_retry_set_answer_func:
 * @retry: a retry policy that is not used yet
 * @func: (scope notified) (closure user_data) (destroy destroy) (nullable): judges answers
 * @user_data: given to @func
 * @destroy: (nullable): frees @user_data
 *
 * Lets an answer be a reason to try again, too.
 *
 * Since: 1.0
 */
void
derate_retry_set_answer_func (DerateRetry *self,
                              DerateRetryAnswerFunc func,
                              gpointer user_data,
                              GDestroyNotify destroy)
{
  g_return_if_fail (DERATE_IS_RETRY (self));

  if (!derate_policy_may_change (DERATE_POLICY (self)))
    return;
  derate_retry_closure_clear (&self->answer_closure);
  self->answer_func = func;
  self->answer_closure = (DerateRetryClosure){ user_data, destroy };
}

/**
 * derate_retry_set_after_func:
 * @retry: a retry policy that is not used yet
 * @func: (scope notified) (closure user_data) (destroy destroy) (nullable): reads from an error
 * when to come back
 * @user_data: given to @func
 * @destroy: (nullable): frees @user_data
 *
 * Honours what services say about when to come back.
 *
 * Since: 1.0
 */
void
derate_retry_set_after_func (DerateRetry *self,
                             DerateRetryAfterFunc func,
                             gpointer user_data,
                             GDestroyNotify destroy)
{
  g_return_if_fail (DERATE_IS_RETRY (self));

  if (!derate_policy_may_change (DERATE_POLICY (self)))
    return;
  derate_retry_closure_clear (&self->after_closure);
  self->after_func = func;
  self->after_closure = (DerateRetryClosure){ user_data, destroy };
}
