/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-call.h"

#include "derate-error.h"

/**
 * DerateCall:
 *
 * A call that was started by derate_breaker_call_async() and waits for its answer.
 *
 * It may be answered in any thread, once; what comes later is dropped. A call of which the last
 * reference goes without an answer ends with %DERATE_ERROR_FAILED and is neutral to the breaker.
 *
 * Since: 1.0
 */
struct _DerateCall
{
  DeratePermit *permit;
  GTask *task;
  gint answered; /* atomic */
};

G_DEFINE_BOXED_TYPE (DerateCall, derate_call, derate_call_ref, derate_call_unref)

static void
call_clear (gpointer data)
{
  DerateCall *call = data;

  if (g_atomic_int_compare_and_exchange (&call->answered, FALSE, TRUE))
    g_task_return_new_error (call->task, DERATE_ERROR, DERATE_ERROR_FAILED,
                             "the call was dropped without an answer");
  g_clear_object (&call->task);
  g_clear_pointer (&call->permit, derate_permit_unref);
}

/**
 * derate_call_ref:
 * @call: a call
 *
 * Takes a reference. May be called from any thread.
 *
 * Returns: (transfer full): @call
 *
 * Since: 1.0
 */
DerateCall *
derate_call_ref (DerateCall *call)
{
  return g_atomic_rc_box_acquire (call);
}

/**
 * derate_call_unref:
 * @call: (transfer full): a call
 *
 * Drops a reference. May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_call_unref (DerateCall *call)
{
  g_atomic_rc_box_release_full (call, call_clear);
}

/**
 * derate_call_succeed:
 * @call: a call
 * @answer: the answer; taken if floating
 *
 * Answers the call, and records a success. May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_call_succeed (DerateCall *call, GVariant *answer)
{
  g_autoptr (GVariant) owned = NULL;

  g_return_if_fail (call != NULL);
  g_return_if_fail (answer != NULL);

  owned = g_variant_ref_sink (answer);
  if (!g_atomic_int_compare_and_exchange (&call->answered, FALSE, TRUE))
    return;
  derate_permit_succeed (call->permit);
  g_task_return_pointer (call->task, g_steal_pointer (&owned), (GDestroyNotify)g_variant_unref);
}

/**
 * derate_call_fail:
 * @call: a call
 * @error: what went wrong
 *
 * Ends the call with an error, and records a failure unless the breaker's config says that @error
 * is neutral. May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_call_fail (DerateCall *call, const GError *error)
{
  g_return_if_fail (call != NULL);
  g_return_if_fail (error != NULL);

  if (!g_atomic_int_compare_and_exchange (&call->answered, FALSE, TRUE))
    return;
  derate_permit_fail (call->permit, error);
  g_task_return_error (call->task, g_error_copy (error));
}

/**
 * derate_breaker_call_async:
 * @breaker: a breaker
 * @func: (scope notified) (closure func_data) (destroy func_destroy): starts the call
 * @func_data: given to @func
 * @func_destroy: (nullable): frees @func_data when @func has returned
 * @cancellable: (nullable): ends the call early; when it is cancelled already nothing is called or
 *   counted
 * @callback: (scope async) (closure user_data): called in this thread's default context
 * @user_data: given to @callback
 *
 * Starts a call if the breaker lets it through, and records how it ended. @func is called before
 * this returns, in this thread.
 *
 * Since: 1.0
 */
void
derate_breaker_call_async (DerateBreaker *breaker,
                           DerateCallStartFunc func,
                           gpointer func_data,
                           GDestroyNotify func_destroy,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  g_autoptr (DeratePermit) permit = NULL;
  DerateCall *call;
  GError *error = NULL;

  g_return_if_fail (DERATE_IS_BREAKER (breaker));
  g_return_if_fail (func != NULL);

  task = g_task_new (breaker, cancellable, callback, user_data);
  g_task_set_source_tag (task, derate_breaker_call_async);
  g_task_set_check_cancellable (task, FALSE);

  if (g_cancellable_set_error_if_cancelled (cancellable, &error) ||
      (permit = derate_breaker_begin (breaker, &error)) == NULL)
    g_task_return_error (task, error);
  else
    {
      call = g_atomic_rc_box_new0 (DerateCall);
      call->permit = g_steal_pointer (&permit);
      call->task = g_steal_pointer (&task);
      func (call, cancellable, func_data);
    }
  if (func_destroy != NULL)
    func_destroy (func_data);
}

/**
 * derate_breaker_call_finish:
 * @breaker: a breaker
 * @result: what the callback was given
 * @error: return location for what went wrong: a refusal (%DERATE_ERROR_OPEN,
 *   %DERATE_ERROR_HALF_OPEN_FULL, %DERATE_ERROR_FORCED) or the error of the call
 *
 * Ends derate_breaker_call_async().
 *
 * Returns: (transfer full): the answer
 *
 * Since: 1.0
 */
GVariant *
derate_breaker_call_finish (DerateBreaker *breaker, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, breaker), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}
