/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-call-private.h"

#include "derate-breaker-private.h"
#include "derate-error.h"

/**
 * DerateCall:
 *
 * A call that was started by derate_breaker_call_async() or derate_policy_call_async() and waits
 * for its answer.
 *
 * It may be answered in any thread, once; what comes later is dropped. A call of which the last
 * reference goes without an answer ends with %DERATE_ERROR_ABANDONED.
 *
 * Since: 1.0
 */
struct _DerateCall
{
  DerateCallDone done;
  gpointer data;
  gint answered; /* atomic */
};

G_DEFINE_BOXED_TYPE (DerateCall, derate_call, derate_call_ref, derate_call_unref)

DerateCall *
derate_call_new (DerateCallDone done, gpointer data)
{
  DerateCall *call = g_atomic_rc_box_new0 (DerateCall);

  call->done = done;
  call->data = data;
  return call;
}

/* Takes both. */
static void
call_end (DerateCall *call, GVariant *answer, GError *error)
{
  if (g_atomic_int_compare_and_exchange (&call->answered, FALSE, TRUE))
    {
      call->done (call->data, answer, error);
      return;
    }
  g_clear_pointer (&answer, g_variant_unref);
  g_clear_error (&error);
}

static void
call_clear (gpointer data)
{
  DerateCall *call = data;

  if (!g_atomic_int_get (&call->answered))
    call_end (call, NULL,
              g_error_new_literal (DERATE_ERROR, DERATE_ERROR_ABANDONED,
                                   "the call was dropped without an answer"));
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
  g_return_if_fail (call != NULL);
  g_return_if_fail (answer != NULL);

  call_end (call, g_variant_ref_sink (answer), NULL);
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

  if (!g_atomic_int_get (&call->answered))
    call_end (call, NULL, g_error_copy (error));
}

/* The breaker's own: what is to be told when the call has ended. */
typedef struct
{
  DeratePermit permit; /* of the breaker that the task keeps */
  GTask *task;
} Ending;

static void
on_call_done (gpointer data, GVariant *answer, GError *error)
{
  Ending *ending = data;

  if (answer != NULL)
    {
      derate_permit_answer (&ending->permit, answer);
      g_task_return_pointer (ending->task, answer, (GDestroyNotify)g_variant_unref);
    }
  else
    {
      derate_permit_fail (&ending->permit, error);
      g_task_return_error (ending->task, error);
    }
  g_object_unref (ending->task);
  g_free (ending);
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
  DeratePermit permit = DERATE_PERMIT_INIT;
  Ending *ending;
  GError *error = NULL;

  g_return_if_fail (DERATE_IS_BREAKER (breaker));
  g_return_if_fail (func != NULL);

  task = g_task_new (breaker, cancellable, callback, user_data);
  g_task_set_source_tag (task, derate_breaker_call_async);
  g_task_set_check_cancellable (task, FALSE);

  if (g_cancellable_set_error_if_cancelled (cancellable, &error) ||
      !derate_breaker_acquire (breaker, &permit, &error))
    g_task_return_error (task, error);
  else
    {
      ending = g_new (Ending, 1);
      ending->permit = permit;
      ending->task = g_steal_pointer (&task);
      func (derate_call_new (on_call_done, ending), cancellable, func_data);
    }
  if (func_destroy != NULL)
    func_destroy (func_data);
}

/**
 * derate_breaker_call_finish:
 * @breaker: a breaker
 * @result: what the callback was given
 * @error: return location for what went wrong: a refusal (%DERATE_ERROR_OPEN,
 *   %DERATE_ERROR_HALF_OPEN_FULL, %DERATE_ERROR_FORCED, %DERATE_ERROR_RAMPING,
 *   %DERATE_ERROR_DRILL) or the error of the call
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
