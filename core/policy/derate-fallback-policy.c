/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-fallback-policy-private.h"

#include <string.h>

#include "derate-error.h"
#include "derate-fallback-result-private.h"

/**
 * DerateFallbackPolicy:
 *
 * What answers in place of a service: the outermost stage of a [class@Pipeline].
 *
 * It asks its fallback after a refusal, a timeout, and an error that a circuit breaker inside it
 * counts as failure; where no breaker stands inside, after every error. It does not after an error
 * that is an answer, such as a 404 that the breaker ignores, nor for a call that was cancelled.
 * When the fallback has nothing either, the error is the call's own, with the fallback's cause
 * appended. Real answers to reads are noted, for fallbacks that keep them.
 *
 * At most so many fallbacks run at once, so that what answers in place of one service does not sink
 * the next: derate_fallback_policy_set_max_concurrent(). In the asynchronous form reads with equal
 * keys that want the fallback at the same time share one run of it. The synchronous form asks only
 * fallbacks that answer at once.
 *
 * Since: 1.0
 */

struct _DerateFallbackPolicyClass
{
  DeratePolicyClass parent_class;
};

/* One call that is answered later. */
typedef struct
{
  DerateFallbackPolicy *policy;
  DerateAsyncCall *call; /* keeps the policy */
  guint next;
  GCancellable *cancellable; /* (nullable) */
  DerateStageDone done;
  gpointer data;
} Attempt;

G_DEFINE_FINAL_TYPE (DerateFallbackPolicy, derate_fallback_policy, DERATE_TYPE_POLICY)

static gboolean
is_read (DerateRequest *request)
{
  return (derate_request_get_flags (request) & DERATE_REQUEST_READ) != 0;
}

/* A fallback inside may have given the answer. */
static void
note_answer (DerateFallbackPolicy *self,
             DerateRequest *request,
             DerateFallbackResult *fallback,
             GVariant *answer)
{
  if (is_read (request) &&
      (fallback == NULL || derate_fallback_result_get_value (fallback) != answer))
    derate_fallback_note_answer (self->fallback, derate_request_get_key (request), answer);
}

DerateFallbackRequest *
derate_fallback_policy_make_request (DerateFallbackPolicy *self,
                                     DerateRequest *request,
                                     const GError *error)
{
  DerateFallbackRequest *made =
      derate_fallback_request_new (self->service, derate_fallback_reason_from_error (error), error,
                                   derate_request_get_key (request),
                                   derate_request_get_body (request));

  derate_fallback_request_set_write (made, !is_read (request));
  derate_fallback_request_set_id (made, derate_request_get_id (request));
  return made;
}

gboolean
derate_fallback_policy_enter (DerateFallbackPolicy *self)
{
  guint busy = __atomic_add_fetch (&self->busy, 1, __ATOMIC_RELAXED);

  if (self->max_concurrent == 0 || busy <= self->max_concurrent)
    return TRUE;
  derate_fallback_policy_leave (self);
  return FALSE;
}

void
derate_fallback_policy_leave (DerateFallbackPolicy *self)
{
  __atomic_sub_fetch (&self->busy, 1, __ATOMIC_RELAXED);
}

/* A chain's text has the call's in it. */
void
derate_fallback_policy_add_cause (DerateFallbackPolicy *self, GError *error, const char *why)
{
  g_autofree char *old = error->message;

  if (strstr (why, old) != NULL)
    error->message = g_strdup (why);
  else
    error->message = g_strdup_printf ("service %s: %s; fallback %s: %s", self->service, old,
                                      derate_fallback_get_strategy (self->fallback), why);
}

DerateFallbackResult *
derate_fallback_policy_address (DerateFallbackResult *result, DerateRequest *request)
{
  g_autoptr (DerateFallbackResult) owned = result;
  const char *id = derate_request_get_id (request);

  return id != NULL ? derate_fallback_result_with_request_id (owned, id) : g_steal_pointer (&owned);
}

/* The fallback's answer, or NULL with why in @error. */
static DerateFallbackResult *
answer_now (DerateFallbackPolicy *self, DerateRequest *request, GError *error)
{
  g_autoptr (DerateFallbackRequest) made = NULL;
  g_autoptr (GError) why = NULL;
  DerateFallbackResult *result = NULL;

  if (!derate_fallback_policy_enter (self))
    {
      derate_fallback_policy_add_cause (self, error, "too many run already");
      return NULL;
    }
  made = derate_fallback_policy_make_request (self, request, error);
  result = derate_fallback_answer (self->fallback, made, &why);
  derate_fallback_policy_leave (self);
  if (result == NULL)
    derate_fallback_policy_add_cause (self, error, why != NULL ? why->message : "no answer");
  return result;
}

static GVariant *
derate_fallback_policy_call (DeratePolicy *policy,
                             DerateCallContext *context,
                             guint next,
                             GError **error)
{
  DerateFallbackPolicy *self = (DerateFallbackPolicy *)policy;
  DerateFallbackResult *result;
  GError *own_error = NULL;
  GVariant *answer = derate_stage_call (context, next, &own_error);

  if (G_LIKELY (answer != NULL))
    {
      note_answer (self, context->request, context->fallback, answer);
      return answer;
    }
  if (derate_policy_is_failure (context->policy, next, own_error) &&
      !g_cancellable_is_cancelled (context->cancellable))
    {
      result = answer_now (self, context->request, own_error);
      if (result != NULL)
        {
          g_error_free (own_error);
          g_clear_pointer (&context->fallback, derate_fallback_result_unref);
          context->fallback = derate_fallback_policy_address (result, context->request);
          return g_variant_ref (derate_fallback_result_get_value (context->fallback));
        }
    }
  g_propagate_error (error, own_error);
  return NULL;
}

static void
on_ended (gpointer data, GVariant *answer, GError *error)
{
  g_autofree Attempt *attempt = data;
  g_autoptr (DerateAsyncCall) call = attempt->call;
  g_autoptr (GCancellable) cancellable = attempt->cancellable;

  if (answer != NULL)
    note_answer (attempt->policy, derate_async_call_get_request (call),
                 derate_async_call_find_fallback (call, answer), answer);
  if (answer == NULL && !g_cancellable_is_cancelled (cancellable) &&
      derate_policy_is_failure (derate_async_call_get_policy (call), attempt->next, error))
    derate_fallback_run_ask (attempt->policy, call, cancellable, error, attempt->done,
                             attempt->data);
  else
    attempt->done (attempt->data, answer, error);
}

static void
derate_fallback_policy_start (DeratePolicy *policy,
                              DerateAsyncCall *call,
                              guint next,
                              GCancellable *cancellable,
                              DerateStageDone done,
                              gpointer data)
{
  Attempt *attempt = g_new0 (Attempt, 1);

  attempt->policy = (DerateFallbackPolicy *)policy;
  attempt->call = derate_async_call_ref (call);
  attempt->next = next;
  g_set_object (&attempt->cancellable, cancellable);
  attempt->done = done;
  attempt->data = data;
  derate_stage_start (call, next, cancellable, on_ended, attempt);
}

static void
derate_fallback_policy_finalize (GObject *object)
{
  DerateFallbackPolicy *self = (DerateFallbackPolicy *)object;

  g_free (self->service);
  g_clear_object (&self->fallback);
  g_hash_table_unref (self->runs);
  g_mutex_clear (&self->mutex);
  G_OBJECT_CLASS (derate_fallback_policy_parent_class)->finalize (object);
}

static void
derate_fallback_policy_class_init (DerateFallbackPolicyClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_fallback_policy_finalize;
  klass->parent_class.call = derate_fallback_policy_call;
  klass->parent_class.start = derate_fallback_policy_start;
}

static void
derate_fallback_policy_init (DerateFallbackPolicy *self)
{
  g_mutex_init (&self->mutex);
  self->runs = g_hash_table_new (derate_fallback_run_hash, derate_fallback_run_equal);
  self->max_concurrent = DERATE_FALLBACK_POLICY_MAX_CONCURRENT;
}

/**
 * derate_fallback_policy_new:
 * @service: the service that it answers for
 * @fallback: what answers, such as a [class@FallbackChain]
 *
 * Makes a policy of a fallback.
 *
 * Returns: (transfer full): the policy
 *
 * Since: 1.0
 */
DerateFallbackPolicy *
derate_fallback_policy_new (const char *service, DerateFallback *fallback)
{
  DerateFallbackPolicy *self;

  g_return_val_if_fail (service != NULL && DERATE_IS_FALLBACK (fallback), NULL);

  self = g_object_new (DERATE_TYPE_FALLBACK_POLICY, NULL);
  self->service = g_strdup (service);
  self->fallback = g_object_ref (fallback);
  return self;
}

/**
 * derate_fallback_policy_set_max_concurrent:
 * @policy: a policy that has not been used
 * @max_concurrent: how many fallbacks run at once, 0 for any number
 *
 * Sets the budget of what the fallback asks. A call that finds no place in it keeps its error. The
 * default is %DERATE_FALLBACK_POLICY_MAX_CONCURRENT.
 *
 * Since: 1.0
 */
void
derate_fallback_policy_set_max_concurrent (DerateFallbackPolicy *policy, guint max_concurrent)
{
  g_return_if_fail (DERATE_IS_FALLBACK_POLICY (policy));

  if (derate_policy_may_change ((DeratePolicy *)policy))
    policy->max_concurrent = max_concurrent;
}

/**
 * derate_fallback_policy_get_max_concurrent:
 * @policy: a policy
 *
 * How many fallbacks run at once.
 *
 * Returns: the number, 0 for any
 *
 * Since: 1.0
 */
guint
derate_fallback_policy_get_max_concurrent (DerateFallbackPolicy *policy)
{
  g_return_val_if_fail (DERATE_IS_FALLBACK_POLICY (policy), 0);

  return policy->max_concurrent;
}
