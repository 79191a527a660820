/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-retry-private.h"

#include "derate-error.h"

/* Whether a call is tried again, and when. */

/* What the library itself refused, or what would be the same again. Another try of it only adds to
 * the load that made it be refused. */
static gboolean
is_final (const GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return TRUE;
  return error->domain == DERATE_ERROR && error->code != DERATE_ERROR_FAILED &&
         error->code != DERATE_ERROR_TIMED_OUT;
}

static DerateRetryVerdict
look_up (DerateRetry *self, const GError *error)
{
  for (guint i = self->matches->len; i > 0; i--)
    {
      const DerateRetryMatch *match = &g_array_index (self->matches, DerateRetryMatch, i - 1);

      if (match->domain == error->domain && (match->code < 0 || match->code == error->code))
        return match->verdict;
    }
  return DERATE_RETRY_VERDICT_UNKNOWN;
}

static DerateRetryVerdict
judge_error (DerateRetry *self, const GError *error)
{
  DerateRetryVerdict verdict = DERATE_RETRY_VERDICT_UNKNOWN;

  if (is_final (error))
    return DERATE_RETRY_VERDICT_NEVER;
  if (self->error_func != NULL)
    verdict = self->error_func (error, self->error_closure.data);
  if (verdict == DERATE_RETRY_VERDICT_UNKNOWN)
    verdict = look_up (self, error);
  return verdict != DERATE_RETRY_VERDICT_UNKNOWN ? verdict : DERATE_RETRY_VERDICT_IDEMPOTENT;
}

static gboolean
is_wanted (DerateRetry *self, DerateRequest *request, GVariant *answer, const GError *error)
{
  DerateRetryVerdict verdict;

  if (answer == NULL)
    verdict = judge_error (self, error);
  else if (self->answer_func != NULL)
    verdict = self->answer_func (answer, self->answer_closure.data);
  else
    return FALSE;

  return verdict == DERATE_RETRY_VERDICT_ALWAYS ||
         (verdict == DERATE_RETRY_VERDICT_IDEMPOTENT &&
          (derate_request_get_flags (request) & DERATE_REQUEST_IDEMPOTENT) != 0);
}

/* -1 where the service asks for more than we ever wait. What it asks for is added to, not made
 * shorter by chance: those it sent away at once must not come back at once. */
static GTimeSpan
get_delay (DerateRetry *self, const GError *error, guint n)
{
  GTimeSpan delay = derate_backoff_get_delay (&self->backoff, n, g_random_double ());
  GTimeSpan after = -1;

  if (error != NULL && self->after_func != NULL)
    after = self->after_func (error, self->after_closure.data);
  if (after < 0)
    return delay;
  if (after > self->backoff.maximum)
    return -1;
  return delay < self->backoff.maximum - after ? after + delay : self->backoff.maximum;
}

gint64
derate_retry_decide (DerateRetry *self,
                     DerateRequest *request,
                     GCancellable *cancellable,
                     GVariant *answer,
                     const GError *error,
                     guint n,
                     GTimeSpan left)
{
  gint64 now;
  GTimeSpan delay;

  if (!is_wanted (self, request, answer, error))
    {
      if (n > 1 && answer != NULL)
        derate_shard_add (self->cells + RETRY_CELL_RECOVERED, 1);
      return -1;
    }
  if (self->max_retries == 0 || g_cancellable_is_cancelled (cancellable))
    return -1;
  if (n > self->max_retries)
    {
      derate_shard_add (self->cells + RETRY_CELL_EXHAUSTED, 1);
      return -1;
    }
  delay = get_delay (self, error, n);
  if (delay < 0 || delay >= left)
    return -1;
  now = derate_clock_get_time (self->clock);
  return derate_budget_take (&self->budget, now) ? now + delay : -1;
}
