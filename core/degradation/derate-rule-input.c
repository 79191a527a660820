/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-rule-input.h"

/**
 * DerateRuleInput:
 *
 * What a [struct@RuleSet] knows of a service: its name, role and criticality. Immutable.
 *
 * Since: 1.0
 */
struct _DerateRuleInput
{
  char *service;
  DerateServiceRole role;
  DerateCriticality criticality;
};

G_DEFINE_BOXED_TYPE (DerateRuleInput,
                     derate_rule_input,
                     derate_rule_input_ref,
                     derate_rule_input_unref)

/**
 * derate_rule_input_new:
 * @service: the name of the service
 * @role: what it is for
 * @criticality: how much the program needs it; read only where there is no role
 *
 * Makes an input.
 *
 * Returns: (transfer full): the input
 *
 * Since: 1.0
 */
DerateRuleInput *
derate_rule_input_new (const char *service, DerateServiceRole role, DerateCriticality criticality)
{
  DerateRuleInput *input = g_atomic_rc_box_new0 (DerateRuleInput);

  input->service = g_strdup (service);
  input->role = role;
  input->criticality = criticality;
  return input;
}

/**
 * derate_rule_input_ref:
 * @input: an input
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @input
 *
 * Since: 1.0
 */
DerateRuleInput *
derate_rule_input_ref (DerateRuleInput *input)
{
  return g_atomic_rc_box_acquire (input);
}

static void
input_clear (gpointer data)
{
  g_free (((DerateRuleInput *)data)->service);
}

/**
 * derate_rule_input_unref:
 * @input: (transfer full): an input
 *
 * Drops a reference.
 *
 * Since: 1.0
 */
void
derate_rule_input_unref (DerateRuleInput *input)
{
  g_atomic_rc_box_release_full (input, input_clear);
}

/**
 * derate_rule_input_get_service:
 * @input: an input
 *
 * The name of the service.
 *
 * Returns: the name
 *
 * Since: 1.0
 */
const char *
derate_rule_input_get_service (DerateRuleInput *input)
{
  return input->service;
}

/**
 * derate_rule_input_get_role:
 * @input: an input
 *
 * What the service is for.
 *
 * Returns: the role
 *
 * Since: 1.0
 */
DerateServiceRole
derate_rule_input_get_role (DerateRuleInput *input)
{
  return input->role;
}

/**
 * derate_rule_input_get_criticality:
 * @input: an input
 *
 * How much the program needs the service.
 *
 * Returns: the criticality
 *
 * Since: 1.0
 */
DerateCriticality
derate_rule_input_get_criticality (DerateRuleInput *input)
{
  return input->criticality;
}
