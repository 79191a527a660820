/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-level.h>

G_BEGIN_DECLS

#define DERATE_TYPE_RULE (derate_rule_get_type ())

typedef struct _DerateRule DerateRule;

DERATE_AVAILABLE_IN_1_0
GType derate_rule_get_type (void);

DERATE_AVAILABLE_IN_1_0
DerateRule *derate_rule_parse (const char *id,
                               const char *when,
                               const char *level,
                               GError    **error);

DERATE_AVAILABLE_IN_1_0
DerateRule *derate_rule_ref (DerateRule *rule);

DERATE_AVAILABLE_IN_1_0
void derate_rule_unref (DerateRule *rule);

DERATE_AVAILABLE_IN_1_0
const char *derate_rule_get_id (DerateRule *rule);

DERATE_AVAILABLE_IN_1_0
const char *derate_rule_get_when (DerateRule *rule);

DERATE_AVAILABLE_IN_1_0
DerateLevel derate_rule_get_level (DerateRule *rule);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateRule, derate_rule_unref)

G_END_DECLS
