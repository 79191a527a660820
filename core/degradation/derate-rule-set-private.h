/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-rule-private.h"
#include "derate-rule-set.h"

G_BEGIN_DECLS

/* A term whose names have become places in the list of inputs. */
typedef struct
{
  guint need;
  gboolean or_worse;
  DerateHealthStatus status;
  guint n_inputs;
  guint *inputs;
} DerateCompiledTerm;

typedef struct
{
  DerateLevel level;
  guint n_terms;
  DerateCompiledTerm *terms;
} DerateCompiledRule;

/* The default rules for @inputs in their order, the last of them `all-well`. */
GPtrArray *derate_rule_defaults_new (GPtrArray *inputs);

static inline gboolean
derate_compiled_term_accepts (const DerateCompiledTerm *term, DerateHealthStatus status)
{
  return term->or_worse ? status >= term->status : status == term->status;
}

/* Whether a worse state of an input can only make the term truer. */
static inline gboolean
derate_compiled_term_is_monotone (const DerateCompiledTerm *term)
{
  return term->or_worse || term->status == DERATE_HEALTH_STATUS_DOWN;
}

/* The services whose state made @rule hold, with that state, in the order in which the rule names
 * them: a{ss}; for the rule that always holds, all of them. Floating. */
GVariant *derate_rule_set_build_decision (DerateRuleSet            *set,
                                          DerateRule               *rule,
                                          const DerateHealthStatus *statuses);

/* Looks for a state and an input that, when it gets worse, makes the level better. */
typedef enum
{
  DERATE_RULE_PROOF_MONOTONE,
  DERATE_RULE_PROOF_BROKEN,
  DERATE_RULE_PROOF_TOO_COMPLEX,
} DerateRuleProof;

#define DERATE_RULE_PROOF_MAX_STEPS 100000

/* On BROKEN, @cell (of @n_inputs) has the better-served state and @input the one that worsens.
 * @n_steps: how many partial states were looked at. */
DerateRuleProof derate_rule_proof (const DerateCompiledRule *rules,
                                   guint                     n_rules,
                                   guint                     n_inputs,
                                   DerateHealthStatus       *cell,
                                   guint                    *input,
                                   guint                    *n_steps);

/* How many steps it took to prove @set. */
guint derate_rule_set_get_n_proof_steps (DerateRuleSet *set);

G_END_DECLS
