/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-private.h"
#include "derate-error.h"

/**
 * derate_breaker_call:
 * @breaker: a breaker
 * @func: (scope call) (closure user_data): makes the call
 * @user_data: given to @func
 * @cancellable: (nullable): ends the call early; when it is cancelled already nothing is called or
 *   counted
 * @error: return location for what went wrong: a refusal (%DERATE_ERROR_OPEN,
 *   %DERATE_ERROR_HALF_OPEN_FULL, %DERATE_ERROR_FORCED, %DERATE_ERROR_RAMPING,
 *   %DERATE_ERROR_DRILL) or the error of @func
 *
 * Makes a call if the breaker lets it through, in this thread, and records how it ended. A call
 * that gives neither an answer nor an error has failed; an answer is a success, unless the function
 * of derate_breaker_config_set_result_func() says otherwise. When an answer or error says how long
 * to stay away, say it by derate_breaker_open_for(), in @func or after: the outcome of a call that
 * was under way when the breaker opened changes nothing any more.
 *
 * Returns: (transfer full): the answer
 *
 * Since: 1.0
 */
GVariant *
derate_breaker_call (DerateBreaker *breaker,
                     DerateCallFunc func,
                     gpointer user_data,
                     GCancellable *cancellable,
                     GError **error)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
  g_autoptr (GVariant) answer = NULL;
  g_autoptr (GError) own_error = NULL;

  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), NULL);
  g_return_val_if_fail (func != NULL, NULL);

  if (g_cancellable_set_error_if_cancelled (cancellable, error) ||
      !derate_breaker_acquire (breaker, &permit, error))
    return NULL;

  answer = func (cancellable, user_data, &own_error);
  if (answer != NULL)
    {
      g_variant_take_ref (answer);
      derate_permit_answer (&permit, answer);
      return g_steal_pointer (&answer);
    }
  if (own_error == NULL)
    g_set_error (&own_error, DERATE_ERROR, DERATE_ERROR_FAILED,
                 "the call through circuit breaker '%s' gave no answer",
                 derate_breaker_get_name (breaker));
  derate_permit_fail (&permit, own_error);
  g_propagate_error (error, g_steal_pointer (&own_error));
  return NULL;
}
