/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-policy-private.h"

#include "derate-breaker-policy.h"
#include "derate-breaker-private.h"
#include "derate-error.h"
#include "derate-log-private.h"

/**
 * DeratePolicy:
 *
 * Something that stands around a call: a retry, a circuit breaker, a timeout, a bulkhead, a rate
 * limiter, a hedge, a fallback, or a [class@Pipeline] of them.
 *
 * Each is used alone or in a pipeline, by derate_policy_call() in the calling thread, or by
 * derate_policy_call_async(). A policy is set up first and does not change once it is used; then
 * any thread may call it.
 *
 * Since: 1.0
 */
G_DEFINE_ABSTRACT_TYPE (DeratePolicy, derate_policy, G_TYPE_OBJECT)

/* The call that this thread is making. */
static GPrivate current_context = G_PRIVATE_INIT (NULL);

DerateCallContext *
derate_call_context_get_current (void)
{
  return g_private_get (&current_context);
}

/* Inside another call it has that one's deadline. */
void
derate_call_context_push (DerateCallContext *context)
{
  context->outer = g_private_get (&current_context);
  context->deadline = DERATE_CLOCK_NEVER;
  if (context->outer != NULL)
    {
      context->deadline = context->outer->deadline;
      context->clock = context->outer->clock;
    }
  g_private_set (&current_context, context);
}

void
derate_call_context_pop (DerateCallContext *context)
{
  g_private_set (&current_context, context->outer);
  if (G_UNLIKELY (context->token != NULL))
    derate_call_token_release (context);
}

static const char *
get_request_id (void)
{
  for (DerateCallContext *context = g_private_get (&current_context); context != NULL;
       context = context->outer)
    if (derate_request_get_id (context->request) != NULL)
      return derate_request_get_id (context->request);
  return NULL;
}

static void
derate_policy_finalize (GObject *object)
{
  DeratePolicy *policy = (DeratePolicy *)object;

  for (guint i = 0; i < policy->n_stages; i++)
    if (policy->stages[i] != policy)
      g_object_unref (policy->stages[i]);
  g_free (policy->stages);
  if (policy->ended_destroy != NULL)
    policy->ended_destroy (policy->ended_data);
  G_OBJECT_CLASS (derate_policy_parent_class)->finalize (object);
}

static void
derate_policy_class_init (DeratePolicyClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_policy_finalize;
  derate_log_set_request_id_func (get_request_id);
}

static void
derate_policy_init (DeratePolicy *policy)
{
  policy->stages = g_new (DeratePolicy *, 1);
  policy->stages[0] = policy;
  policy->n_stages = 1;
}

/* The stages of a pipeline that is used may not change either. */
void
derate_policy_set_used (DeratePolicy *policy)
{
  __atomic_store_n (&policy->used, TRUE, __ATOMIC_RELAXED);
  for (guint i = 0; i < policy->n_stages; i++)
    __atomic_store_n (&policy->stages[i]->used, TRUE, __ATOMIC_RELAXED);
}

gboolean
derate_policy_may_change (DeratePolicy *policy)
{
  if (!__atomic_load_n (&policy->used, __ATOMIC_RELAXED))
    return TRUE;
  g_critical ("%s: a policy that has been used does not change", G_OBJECT_TYPE_NAME (policy));
  return FALSE;
}

void
derate_policy_set_ended (DeratePolicy *policy,
                         DeratePolicyEnded func,
                         gpointer data,
                         GDestroyNotify destroy)
{
  policy->ended = func;
  policy->ended_data = data;
  policy->ended_destroy = destroy;
}

void
derate_policy_tell_end (DeratePolicy *policy,
                        GVariant *answer,
                        gboolean fallback,
                        const GError *error)
{
  if (answer == NULL && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  if (answer == NULL && derate_policy_is_failure (policy, 0, error))
    policy->ended (DERATE_POLICY_END_FAILED, policy->ended_data);
  else
    policy->ended (fallback ? DERATE_POLICY_END_FALLBACK : DERATE_POLICY_END_REAL,
                   policy->ended_data);
}

/* An operation that was dropped without a word is no answer, though it is neutral to a breaker. */
gboolean
derate_policy_is_failure (DeratePolicy *policy, guint next, const GError *error)
{
  gboolean judged = FALSE;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return FALSE;
  if (derate_fallback_reason_from_error (error) != DERATE_FALLBACK_REASON_ERROR ||
      g_error_matches (error, DERATE_ERROR, DERATE_ERROR_ABANDONED))
    return TRUE;
  for (guint i = next; i < policy->n_stages; i++)
    {
      if (!DERATE_IS_BREAKER_POLICY (policy->stages[i]))
        continue;
      if (derate_breaker_is_failure (derate_breaker_policy_get_breaker (
                                         (DerateBreakerPolicy *)policy->stages[i]),
                                     error))
        return TRUE;
      judged = TRUE;
    }
  return !judged;
}

static GVariant *
call_operation (DerateCallContext *context, GError **error)
{
  GError *own_error = NULL;
  GVariant *answer;

  if (context->cancellable != NULL &&
      g_cancellable_set_error_if_cancelled (context->cancellable, error))
    return NULL;
  answer = context->func (context->cancellable, context->func_data, &own_error);
  if (answer != NULL)
    {
      g_clear_error (&own_error);
      return g_variant_take_ref (answer);
    }
  if (own_error == NULL)
    own_error = g_error_new_literal (DERATE_ERROR, DERATE_ERROR_FAILED, "the call gave no answer");
  g_propagate_error (error, own_error);
  return NULL;
}

GVariant *
derate_stage_call (DerateCallContext *context, guint index, GError **error)
{
  DeratePolicy *policy;

  if (index == context->n_stages)
    return call_operation (context, error);
  policy = context->stages[index];
  return DERATE_POLICY_GET_CLASS (policy)->call (policy, context, index + 1, error);
}

/**
 * derate_policy_call:
 * @policy: a policy
 * @request: (nullable): what is asked for; without it, a write that must not be made twice
 * @func: (scope call) (closure func_data): makes the call; it may be called never, or several times
 * @func_data: given to @func
 * @cancellable: (nullable): ends the call early; when it is cancelled already nothing is called or
 *   counted
 * @fallback: (out) (optional) (nullable) (transfer full): where the answer came from, when it is a
 *   fallback's; %NULL when it is the real one
 * @error: return location for what went wrong: a refusal of one of the policies, or the error of
 *   the last attempt
 *
 * Makes a call in this thread, under @policy. May be called from any thread, also inside another
 * call.
 *
 * Returns: (transfer full): the answer
 *
 * Since: 1.0
 */
GVariant *
derate_policy_call (DeratePolicy *policy,
                    DerateRequest *request,
                    DerateCallFunc func,
                    gpointer func_data,
                    GCancellable *cancellable,
                    DerateFallbackResult **fallback,
                    GError **error)
{
  DerateCallContext context;
  GVariant *answer;
  gboolean is_fallback = FALSE;
  GError *own_error = NULL;

  g_return_val_if_fail (policy != NULL && func != NULL, NULL);

  if (fallback != NULL)
    *fallback = NULL;
  if (cancellable != NULL && g_cancellable_set_error_if_cancelled (cancellable, error))
    return NULL;
  if (G_UNLIKELY (!__atomic_load_n (&policy->used, __ATOMIC_RELAXED)))
    derate_policy_set_used (policy);
  context = (DerateCallContext){
    .policy = policy,
    .stages = policy->stages,
    .n_stages = policy->n_stages,
    .request = request,
    .func = func,
    .func_data = func_data,
    .cancellable = cancellable,
  };
  derate_call_context_push (&context);
  answer = derate_stage_call (&context, 0, policy->ended != NULL ? &own_error : error);
  if (G_UNLIKELY (context.fallback != NULL))
    is_fallback = derate_fallback_result_get_value (context.fallback) == answer;
  if (policy->ended != NULL)
    derate_policy_tell_end (policy, answer, is_fallback, own_error);
  derate_call_context_pop (&context);

  if (own_error != NULL)
    g_propagate_error (error, own_error);
  /* A stage may have dropped the fallback's answer and got another. */
  if (is_fallback && fallback != NULL)
    *fallback = g_steal_pointer (&context.fallback);
  g_clear_pointer (&context.fallback, derate_fallback_result_unref);
  return answer;
}
