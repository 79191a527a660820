/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-fallback.h"

#include "derate-error.h"
#include "derate-variant-private.h"

/**
 * DerateFallback:
 *
 * What answers when a service does not.
 *
 * The library of strategies, `derate-fallbacks-1`, has `default`, `cached`, `degraded` and `error`;
 * implement this for others. A [class@FallbackChain] tries several in turn.
 *
 * Since: 1.0
 */
G_DEFINE_INTERFACE (DerateFallback, derate_fallback, G_TYPE_OBJECT)

static DerateFallbackResult *
derate_fallback_real_answer (DerateFallback *fallback,
                             DerateFallbackRequest *request,
                             GError **error)
{
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_UNAVAILABLE,
               "fallback %s of service %s cannot answer at once",
               derate_fallback_get_strategy (fallback),
               derate_fallback_request_get_service (request));
  return NULL;
}

static void
derate_fallback_real_answer_async (DerateFallback *fallback,
                                   DerateFallbackRequest *request,
                                   GCancellable *cancellable,
                                   GAsyncReadyCallback callback,
                                   gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (fallback, cancellable, callback, user_data);
  g_autoptr (GError) error = NULL;
  DerateFallbackResult *result;

  g_task_set_source_tag (task, derate_fallback_real_answer_async);
  if (g_task_return_error_if_cancelled (task))
    return;
  result = derate_fallback_answer (fallback, request, &error);
  if (result != NULL)
    g_task_return_pointer (task, result, (GDestroyNotify)derate_fallback_result_unref);
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

static DerateFallbackResult *
derate_fallback_real_answer_finish (DerateFallback *fallback, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, fallback), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
derate_fallback_real_note_answer (DerateFallback *fallback, const char *key, GVariant *value)
{
}

static void
derate_fallback_default_init (DerateFallbackInterface *iface)
{
  iface->answer = derate_fallback_real_answer;
  iface->answer_async = derate_fallback_real_answer_async;
  iface->answer_finish = derate_fallback_real_answer_finish;
  iface->note_answer = derate_fallback_real_note_answer;
}

/**
 * derate_fallback_get_strategy:
 * @fallback: a fallback
 *
 * The name of the strategy. May be called from any thread.
 *
 * Returns: the name
 *
 * Since: 1.0
 */
const char *
derate_fallback_get_strategy (DerateFallback *fallback)
{
  return DERATE_FALLBACK_GET_IFACE (fallback)->get_strategy (fallback);
}

/**
 * derate_fallback_answer:
 * @fallback: a fallback
 * @request: what is asked
 * @error: where to put the error
 *
 * Answers at once. It never blocks, and may be called from any thread.
 *
 * Returns: (transfer full): the answer; %NULL with %DERATE_ERROR_UNAVAILABLE where there is none,
 * or where only derate_fallback_answer_async() can give it
 *
 * Since: 1.0
 */
DerateFallbackResult *
derate_fallback_answer (DerateFallback *fallback, DerateFallbackRequest *request, GError **error)
{
  g_return_val_if_fail (DERATE_IS_FALLBACK (fallback) && request != NULL, NULL);

  return DERATE_FALLBACK_GET_IFACE (fallback)->answer (fallback, request, error);
}

/**
 * derate_fallback_answer_async:
 * @fallback: a fallback
 * @request: what is asked
 * @cancellable: (nullable): what ends the waiting
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: for @callback
 *
 * Answers when it can.
 *
 * Since: 1.0
 */
void
derate_fallback_answer_async (DerateFallback *fallback,
                              DerateFallbackRequest *request,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer user_data)
{
  g_return_if_fail (DERATE_IS_FALLBACK (fallback) && request != NULL);

  DERATE_FALLBACK_GET_IFACE (fallback)->answer_async (fallback, request, cancellable, callback,
                                                      user_data);
}

/**
 * derate_fallback_answer_finish:
 * @fallback: a fallback
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends derate_fallback_answer_async().
 *
 * Returns: (transfer full): the answer; %NULL with %DERATE_ERROR_UNAVAILABLE or an error of the
 *   strategy
 *
 * Since: 1.0
 */
DerateFallbackResult *
derate_fallback_answer_finish (DerateFallback *fallback, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DERATE_IS_FALLBACK (fallback), NULL);

  return DERATE_FALLBACK_GET_IFACE (fallback)->answer_finish (fallback, result, error);
}

/**
 * derate_fallback_note_answer:
 * @fallback: a fallback
 * @key: (nullable): what was asked for
 * @value: what the service answered; a floating reference is taken
 *
 * Tells of a good answer of the service itself, for a strategy that keeps such. May be called from
 * any thread.
 *
 * Since: 1.0
 */
void
derate_fallback_note_answer (DerateFallback *fallback, const char *key, GVariant *value)
{
  g_autoptr (GVariant) owned = NULL;

  g_return_if_fail (DERATE_IS_FALLBACK (fallback) && value != NULL);

  owned = derate_variant_share (value);
  DERATE_FALLBACK_GET_IFACE (fallback)->note_answer (fallback, key, owned);
}
