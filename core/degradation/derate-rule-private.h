/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-health-report.h"
#include "derate-rule.h"

G_BEGIN_DECLS

/* The rule that holds when no other does. */
#define DERATE_RULE_ALL_WELL "all-well"

/* At least @need of @names have @status, or with @or_worse @status or a worse one. */
typedef struct
{
  guint need;
  gboolean or_worse;
  DerateHealthStatus status; /* healthy, degraded or down */
  char **names;
} DerateRuleTerm;

/* The rule that always holds, which the grammar cannot say. */
DerateRule *derate_rule_new_otherwise (const char *id,
                                       DerateLevel level);

guint derate_rule_get_n_terms (DerateRule *rule);
const DerateRuleTerm *derate_rule_get_term (DerateRule *rule,
                                            guint       index);

/* Whether @text is `[a-z][a-z0-9_-]{0,62}`, as every name in a configuration file. */
gboolean derate_rule_name_is_valid (const char *text);

G_END_DECLS
