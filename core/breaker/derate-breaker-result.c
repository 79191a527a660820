/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-machine-private.h"

/* Calls that answer and have failed all the same. */

/**
 * derate_breaker_config_set_result_func:
 * @config: a config
 * @func: (nullable) (scope notified) (closure user_data) (destroy destroy): judges an answer
 * @user_data: given to @func
 * @destroy: (nullable): frees @user_data when no breaker and no copy of @config has it any more
 *
 * Lets a function judge what calls answer, where the breaker sees the answer: in
 * derate_breaker_call(), derate_breaker_call_async() and a pipeline. Without one an answer is a
 * success. The caller gets the answer whatever the function says of it. Whoever holds a permit says
 * so by it.
 *
 * Since: 1.0
 */
void
derate_breaker_config_set_result_func (DerateBreakerConfig *config,
                                       DerateBreakerResultFunc func,
                                       gpointer user_data,
                                       GDestroyNotify destroy)
{
  DerateBreakerSettings *settings;

  g_return_if_fail (config != NULL);

  settings = derate_breaker_config_edit (config);
  g_clear_pointer (&settings->result_data, derate_user_data_unref);
  settings->result_func = func;
  settings->result_data = derate_user_data_new (user_data, destroy);
}

static DerateBreakerOutcome
judge_answer (DerateBreaker *self, GVariant *answer)
{
  g_autoptr (DerateBreakerSettings) settings = NULL;

  g_mutex_lock (&self->mutex);
  settings = derate_breaker_settings_ref (self->settings);
  g_mutex_unlock (&self->mutex);
  if (settings->result_func == NULL)
    return DERATE_BREAKER_OUTCOME_SUCCESS;
  return settings->result_func (answer, settings->result_data->data);
}

void
derate_permit_answer (DeratePermit *permit, GVariant *answer)
{
  DeratePermitData *data = (DeratePermitData *)permit;
  DerateBreaker *breaker = __atomic_load_n (&data->breaker, __ATOMIC_ACQUIRE);
  DerateBreakerOutcome outcome = DERATE_BREAKER_OUTCOME_SUCCESS;

  if (breaker != NULL && G_UNLIKELY (__atomic_load_n (&breaker->judges_answers, __ATOMIC_RELAXED)))
    outcome = judge_answer (breaker, answer);
  if (outcome == DERATE_BREAKER_OUTCOME_SUCCESS)
    derate_permit_succeed (permit);
  else if (outcome == DERATE_BREAKER_OUTCOME_FAILURE)
    derate_permit_fail (permit, NULL);
  else
    derate_permit_cancel (permit);
}
