/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-policy-private.h"

#include "derate-call-private.h"
#include "derate-error.h"

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

struct _DerateAsyncCall
{
  DeratePolicy *policy;
  DerateRequest *request;
  DerateCallStartFunc func;
  gpointer func_data;
  GDestroyNotify func_destroy;
  GMainContext *context;
  GThread *thread;
  DerateFallbackResult *fallback;
};

/* An answer of the operation, on its way to the call's context. */
typedef struct
{
  DerateAsyncCall *call;
  DerateStageDone done;
  gpointer data;
  GVariant *answer;
  GError *error;
} Arrival;

/* The call that this thread is making. */
static GPrivate current_context = G_PRIVATE_INIT (NULL);

static void
derate_policy_finalize (GObject *object)
{
  DeratePolicy *policy = (DeratePolicy *)object;

  for (guint i = 0; i < policy->n_stages; i++)
    if (policy->stages[i] != policy)
      g_object_unref (policy->stages[i]);
  g_free (policy->stages);
  G_OBJECT_CLASS (derate_policy_parent_class)->finalize (object);
}

static void
derate_policy_class_init (DeratePolicyClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_policy_finalize;
}

static void
derate_policy_init (DeratePolicy *policy)
{
  policy->stages = g_new (DeratePolicy *, 1);
  policy->stages[0] = policy;
  policy->n_stages = 1;
}

static GVariant *
call_operation (DerateCallContext *context, GError **error)
{
  GError *own_error = NULL;
  GVariant *answer = context->func (context->cancellable, context->func_data, &own_error);

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

  g_return_val_if_fail (policy != NULL && func != NULL, NULL);

  if (fallback != NULL)
    *fallback = NULL;
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return NULL;
  context = (DerateCallContext){
    .stages = policy->stages,
    .n_stages = policy->n_stages,
    .request = request,
    .func = func,
    .func_data = func_data,
    .cancellable = cancellable,
    .deadline = DERATE_CLOCK_NEVER,
    .outer = g_private_get (&current_context),
  };
  if (context.outer != NULL)
    context.deadline = context.outer->deadline;
  g_private_set (&current_context, &context);
  answer = derate_stage_call (&context, 0, error);
  g_private_set (&current_context, context.outer);

  if (fallback != NULL && answer != NULL)
    *fallback = context.fallback;
  else
    g_clear_pointer (&context.fallback, derate_fallback_result_unref);
  return answer;
}

/**
 * derate_call_get_deadline:
 *
 * When the call that this thread is making should be over, for an operation that can be told: what
 * ends later is recorded as timed out. Of timeouts inside one another the earliest counts.
 *
 * Returns: a time of the timeout's clock in microseconds, or %DERATE_CLOCK_NEVER
 *
 * Since: 1.0
 */
gint64
derate_call_get_deadline (void)
{
  DerateCallContext *context = g_private_get (&current_context);

  return context != NULL ? context->deadline : DERATE_CLOCK_NEVER;
}

static void
async_call_clear (gpointer data)
{
  DerateAsyncCall *call = data;

  if (call->func_destroy != NULL)
    call->func_destroy (call->func_data);
  g_clear_pointer (&call->request, derate_request_unref);
  g_clear_pointer (&call->fallback, derate_fallback_result_unref);
  g_clear_pointer (&call->context, g_main_context_unref);
  g_clear_object (&call->policy);
}

DerateAsyncCall *
derate_async_call_ref (DerateAsyncCall *call)
{
  return g_atomic_rc_box_acquire (call);
}

void
derate_async_call_unref (DerateAsyncCall *call)
{
  g_atomic_rc_box_release_full (call, async_call_clear);
}

DerateRequest *
derate_async_call_get_request (DerateAsyncCall *call)
{
  return call->request;
}

GMainContext *
derate_async_call_get_context (DerateAsyncCall *call)
{
  return call->context;
}

void
derate_async_call_set_fallback (DerateAsyncCall *call, DerateFallbackResult *result)
{
  g_clear_pointer (&call->fallback, derate_fallback_result_unref);
  call->fallback = result;
}

static void
arrival_free (gpointer data)
{
  Arrival *arrival = data;

  g_clear_pointer (&arrival->answer, g_variant_unref);
  g_clear_error (&arrival->error);
  derate_async_call_unref (arrival->call);
  g_free (arrival);
}

static gboolean
arrive (gpointer data)
{
  Arrival *arrival = data;

  arrival->done (arrival->data, g_steal_pointer (&arrival->answer),
                 g_steal_pointer (&arrival->error));
  return G_SOURCE_REMOVE;
}

/* The operation has answered, in any thread. */
static void
on_operation_done (gpointer data, GVariant *answer, GError *error)
{
  Arrival *arrival = data;
  DerateAsyncCall *call = arrival->call;
  g_autoptr (GSource) source = NULL;

  arrival->answer = answer;
  arrival->error = error;
  if (call->thread == g_thread_self ())
    {
      arrive (arrival);
      arrival_free (arrival);
      return;
    }
  source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (source, "[derate] answer");
  g_source_set_callback (source, arrive, arrival, arrival_free);
  g_source_attach (source, call->context);
}

void
derate_stage_start (DerateAsyncCall *call,
                    guint index,
                    GCancellable *cancellable,
                    DerateStageDone done,
                    gpointer data)
{
  DeratePolicy *policy;
  Arrival *arrival;

  if (index < call->policy->n_stages)
    {
      policy = call->policy->stages[index];
      DERATE_POLICY_GET_CLASS (policy)->start (policy, call, index + 1, cancellable, done, data);
      return;
    }
  arrival = g_new0 (Arrival, 1);
  arrival->call = derate_async_call_ref (call);
  arrival->done = done;
  arrival->data = data;
  call->func (derate_call_new (on_operation_done, arrival), cancellable, call->func_data);
}

static void
on_call_done (gpointer data, GVariant *answer, GError *error)
{
  GTask *task = data;

  if (answer != NULL)
    g_task_return_pointer (task, answer, (GDestroyNotify)g_variant_unref);
  else
    g_task_return_error (task, error);
  g_object_unref (task);
}

/**
 * derate_policy_call_async:
 * @policy: a policy
 * @request: (nullable): what is asked for; without it, a write that must not be made twice
 * @func: (scope notified) (closure func_data) (destroy func_destroy): starts the call, in this
 *   thread; it may be called never, or several times
 * @func_data: given to @func
 * @func_destroy: (nullable): frees @func_data when the last attempt has ended
 * @cancellable: (nullable): ends the call early; when it is cancelled already nothing is called or
 *   counted
 * @callback: (scope async) (closure user_data): called in this thread's default context
 * @user_data: given to @callback
 *
 * Makes a call under @policy. An attempt may be answered in any thread; the policies act, and call
 * @func again, in the thread that called this, when its context runs.
 *
 * Since: 1.0
 */
void
derate_policy_call_async (DeratePolicy *policy,
                          DerateRequest *request,
                          DerateCallStartFunc func,
                          gpointer func_data,
                          GDestroyNotify func_destroy,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer user_data)
{
  g_autoptr (DerateAsyncCall) call = NULL;
  GTask *task;
  GError *error = NULL;

  g_return_if_fail (DERATE_IS_POLICY (policy) && func != NULL);

  task = g_task_new (policy, cancellable, callback, user_data);
  g_task_set_source_tag (task, derate_policy_call_async);
  g_task_set_check_cancellable (task, FALSE);

  call = g_atomic_rc_box_new0 (DerateAsyncCall);
  call->policy = g_object_ref (policy);
  call->request = request != NULL ? derate_request_ref (request) : NULL;
  call->func = func;
  call->func_data = func_data;
  call->func_destroy = func_destroy;
  call->context = g_main_context_ref_thread_default ();
  call->thread = g_thread_self ();
  g_task_set_task_data (task, derate_async_call_ref (call),
                        (GDestroyNotify)derate_async_call_unref);

  if (g_cancellable_set_error_if_cancelled (cancellable, &error))
    on_call_done (task, NULL, error);
  else
    derate_stage_start (call, 0, cancellable, on_call_done, task);
}

/**
 * derate_policy_call_finish:
 * @policy: a policy
 * @result: what the callback was given
 * @fallback: (out) (optional) (nullable) (transfer full): where the answer came from, when it is a
 *   fallback's; %NULL when it is the real one
 * @error: return location for what went wrong: a refusal of one of the policies, or the error of
 *   the last attempt
 *
 * Ends derate_policy_call_async().
 *
 * Returns: (transfer full): the answer
 *
 * Since: 1.0
 */
GVariant *
derate_policy_call_finish (DeratePolicy *policy,
                           GAsyncResult *result,
                           DerateFallbackResult **fallback,
                           GError **error)
{
  DerateAsyncCall *call;
  GVariant *answer;

  g_return_val_if_fail (g_task_is_valid (result, policy), NULL);

  call = g_task_get_task_data (G_TASK (result));
  answer = g_task_propagate_pointer (G_TASK (result), error);
  if (fallback != NULL)
    *fallback = answer != NULL ? g_steal_pointer (&call->fallback) : NULL;
  return answer;
}
