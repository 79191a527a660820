/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-degradation-state-private.h"
#include "derate-service-private.h"

static DerateHealthStatus
read_service (gpointer service, gboolean in_grace, gboolean with_drills)
{
  return with_drills ? derate_service_get_effective_status (service, in_grace)
                     : derate_service_get_undrilled_status (service, in_grace);
}

static GPtrArray *
make_inputs (GPtrArray *services)
{
  GPtrArray *inputs = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_input_unref);

  for (guint i = 0; i < services->len; i++)
    {
      DerateService *service = g_ptr_array_index (services, i);

      g_ptr_array_add (inputs, derate_rule_input_new (derate_service_get_name (service),
                                                      derate_service_get_role (service),
                                                      derate_service_get_criticality (service)));
    }
  return inputs;
}

/**
 * derate_degradation_manager_set_services:
 * @manager: a manager
 * @services: (element-type DerateService): the services that the level follows from
 * @rules: (element-type DerateRule) (nullable): the program's own rules
 * @mode: how these go with the default ones
 * @features: (element-type DerateFeature) (nullable): the program's own features, in place of the
 *   default ones of the same name and beside the others
 * @error: where to put the error
 *
 * Says what the level follows from. Everything is checked first; where it is refused, the old goes
 * on.
 *
 * Returns: %FALSE with %DERATE_ERROR_INVALID_CONFIG, see [ctor@RuleSet.new]; also where a feature
 * needs a service that is not there
 *
 * Since: 1.0
 */
gboolean
derate_degradation_manager_set_services (DerateDegradationManager *manager,
                                         GPtrArray *services,
                                         GPtrArray *rules,
                                         DerateRuleSetMode mode,
                                         GPtrArray *features,
                                         GError **error)
{
  g_autoptr (GPtrArray) inputs = NULL;
  g_autoptr (DerateRuleSet) set = NULL;

  g_return_val_if_fail (DERATE_IS_DEGRADATION_MANAGER (manager), FALSE);
  g_return_val_if_fail (services != NULL, FALSE);

  inputs = make_inputs (services);
  set = derate_rule_set_new (inputs, rules, mode, error);
  if (set == NULL)
    return FALSE;
  return derate_degradation_manager_set_inputs (manager, set, services, read_service, features,
                                                error);
}
