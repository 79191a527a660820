/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-health-report.h>
#include <derate-rule-input.h>
#include <derate-rule.h>

G_BEGIN_DECLS

/**
 * DerateRuleSetMode:
 * @DERATE_RULE_SET_MODE_EXTEND: the program's rules stand before the default ones; one with the id
 *   of a default rule takes its place
 * @DERATE_RULE_SET_MODE_REPLACE: only the program's rules
 *
 * How a program's own rules go with the default ones.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_RULE_SET_MODE_EXTEND,
  DERATE_RULE_SET_MODE_REPLACE,
} DerateRuleSetMode;

#define DERATE_TYPE_RULE_SET (derate_rule_set_get_type ())

typedef struct _DerateRuleSet DerateRuleSet;

DERATE_AVAILABLE_IN_1_0
GType derate_rule_set_get_type (void);

DERATE_AVAILABLE_IN_1_0
DerateRuleSet *derate_rule_set_new (GPtrArray        *inputs,
                                    GPtrArray        *rules,
                                    DerateRuleSetMode mode,
                                    GError          **error);

DERATE_AVAILABLE_IN_1_0
DerateRuleSet *derate_rule_set_ref (DerateRuleSet *set);

DERATE_AVAILABLE_IN_1_0
void derate_rule_set_unref (DerateRuleSet *set);

DERATE_AVAILABLE_IN_1_0
GPtrArray *derate_rule_set_get_inputs (DerateRuleSet *set);

DERATE_AVAILABLE_IN_1_0
GPtrArray *derate_rule_set_get_rules (DerateRuleSet *set);

DERATE_AVAILABLE_IN_1_0
DerateLevel derate_rule_set_evaluate (DerateRuleSet            *set,
                                      const DerateHealthStatus *statuses,
                                      gsize                     n_statuses,
                                      DerateRule              **rule);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_rule_set_dup_table (DerateRuleSet *set);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateRuleSet, derate_rule_set_unref)

G_END_DECLS
