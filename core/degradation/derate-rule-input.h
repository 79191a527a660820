/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-service-role.h>
#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

#define DERATE_TYPE_RULE_INPUT (derate_rule_input_get_type ())

typedef struct _DerateRuleInput DerateRuleInput;

DERATE_AVAILABLE_IN_1_0
GType derate_rule_input_get_type (void);

DERATE_AVAILABLE_IN_1_0
DerateRuleInput *derate_rule_input_new (const char       *service,
                                        DerateServiceRole role,
                                        DerateCriticality criticality);

DERATE_AVAILABLE_IN_1_0
DerateRuleInput *derate_rule_input_ref (DerateRuleInput *input);

DERATE_AVAILABLE_IN_1_0
void derate_rule_input_unref (DerateRuleInput *input);

DERATE_AVAILABLE_IN_1_0
const char *derate_rule_input_get_service (DerateRuleInput *input);

DERATE_AVAILABLE_IN_1_0
DerateServiceRole derate_rule_input_get_role (DerateRuleInput *input);

DERATE_AVAILABLE_IN_1_0
DerateCriticality derate_rule_input_get_criticality (DerateRuleInput *input);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateRuleInput, derate_rule_input_unref)

G_END_DECLS
