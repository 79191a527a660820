/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-rule-set-private.h"

#include <string.h>

/* Is there a state in which one service getting worse makes the level better?
 *
 * Enumerating the states is 3^n. Instead: the level can only get better if a rule stops holding,
 * and only a term with “=healthy” or “=degraded” stops holding when a service gets worse. So for
 * each such rule R, each service in such a term and each of its two worsenings, a state is looked
 * for in which R holds before, and neither R nor any rule at least as bad holds after. States are
 * built service by service; a partial one is given up as soon as some rule is settled the wrong
 * way. Services that neither stand in R nor in a term of that kind are healthy without loss:
 * everything that speaks of them then holds least. Nor are states gone through that no term tells
 * apart, nor any where a rule follows from R term by term, as one does that was written to cover
 * it. Each partial state is a step. */

typedef enum
{
  MAYBE,
  YES,
  NO,
} Answer;

#define UNSET DERATE_HEALTH_STATUS_UNKNOWN

typedef struct
{
  const DerateCompiledRule *rules;
  guint n_rules;
  guint n_inputs;
  guint n_steps;

  const DerateCompiledRule *stops; /* R */
  guint input; /* the one that worsens */
  DerateHealthStatus *cell; /* before; UNSET while open */
  GPtrArray *others; /* rules at least as bad as R that are not settled yet */
  GArray *open; /* (element-type guint) inputs to go through */
  gboolean *tells; /* [input][status]: whether a term tells it from the status before */
} Search;

/* Of input @i before, or with @after once the input has worsened. */
static DerateHealthStatus
status_of (const Search *search, guint i, gboolean after)
{
  return search->cell[i] + (after && i == search->input ? 1 : 0);
}

static Answer
ask_term (const Search *search, const DerateCompiledTerm *term, gboolean after)
{
  guint sure = 0;
  guint open = 0;

  for (guint i = 0; i < term->n_inputs; i++)
    {
      DerateHealthStatus status = status_of (search, term->inputs[i], after);

      if (status == UNSET)
        open++;
      else
        sure += derate_compiled_term_accepts (term, status);
    }
  if (sure >= term->need)
    return YES;
  return sure + open >= term->need ? MAYBE : NO;
}

static Answer
ask_rule (const Search *search, const DerateCompiledRule *rule, gboolean after)
{
  Answer answer = YES;

  for (guint i = 0; i < rule->n_terms; i++)
    switch (ask_term (search, &rule->terms[i], after))
      {
      case NO:
        return NO;
      case MAYBE:
        answer = MAYBE;
        break;
      case YES:
      default:
        break;
      }
  return answer;
}

/* YES: a counter-example whatever the open inputs are; NO: none from here. */
static Answer
ask_state (const Search *search)
{
  Answer before = ask_rule (search, search->stops, FALSE);
  Answer after = ask_rule (search, search->stops, TRUE);
  gboolean settled = before == YES && after == NO;

  if (before == NO || after == YES)
    return NO;
  for (guint i = 0; i < search->others->len; i++)
    switch (ask_rule (search, g_ptr_array_index (search->others, i), TRUE))
      {
      case YES:
        return NO;
      case MAYBE:
        settled = FALSE;
        break;
      case NO:
      default:
        break;
      }
  return settled ? YES : MAYBE;
}

static gboolean *
telling (const Search *search, guint input, guint status)
{
  return &search->tells[input * (DERATE_HEALTH_STATUS_DOWN + 1) + status];
}

static DerateRuleProof
go_through (Search *search, guint depth)
{
  Answer answer;
  guint input;

  if (++search->n_steps > DERATE_RULE_PROOF_MAX_STEPS)
    return DERATE_RULE_PROOF_TOO_COMPLEX;
  answer = ask_state (search);
  if (answer == YES)
    return DERATE_RULE_PROOF_BROKEN;
  if (answer == NO || depth == search->open->len)
    return DERATE_RULE_PROOF_MONOTONE;

  input = g_array_index (search->open, guint, depth);
  for (guint status = DERATE_HEALTH_STATUS_HEALTHY; status <= DERATE_HEALTH_STATUS_DOWN; status++)
    {
      DerateRuleProof proof;

      if (status > DERATE_HEALTH_STATUS_HEALTHY && !*telling (search, input, status))
        continue;
      search->cell[input] = status;
      proof = go_through (search, depth + 1);
      if (proof != DERATE_RULE_PROOF_MONOTONE)
        return proof;
    }
  search->cell[input] = UNSET;
  return DERATE_RULE_PROOF_MONOTONE;
}

static void
open_inputs_of (Search *search, const DerateCompiledTerm *term)
{
  for (guint i = 0; i < term->n_inputs; i++)
    {
      guint input = term->inputs[i];

      if (input == search->input || search->cell[input] == UNSET)
        continue;
      search->cell[input] = UNSET;
      g_array_append_val (search->open, input);
    }
}

/* Which inputs are to be gone through, those of R first; the others are healthy. */
static void
open_inputs (Search *search)
{
  g_array_set_size (search->open, 0);
  for (guint i = 0; i < search->n_inputs; i++)
    search->cell[i] = DERATE_HEALTH_STATUS_HEALTHY;
  for (guint i = 0; i < search->stops->n_terms; i++)
    open_inputs_of (search, &search->stops->terms[i]);
  for (guint i = 0; i < search->n_rules; i++)
    for (guint j = 0; j < search->rules[i].n_terms; j++)
      if (search->rules[i].level >= search->stops->level &&
          !derate_compiled_term_is_monotone (&search->rules[i].terms[j]))
        open_inputs_of (search, &search->rules[i].terms[j]);
}

static gboolean
has_input (const DerateCompiledTerm *term, guint input)
{
  for (guint i = 0; i < term->n_inputs; i++)
    if (term->inputs[i] == input)
      return TRUE;
  return FALSE;
}

/* Whether @term holds after the input has worsened because @cause held before. */
static gboolean
term_follows (const Search *search, const DerateCompiledTerm *cause, const DerateCompiledTerm *term)
{
  guint from = search->cell[search->input];

  if (term->need > cause->need)
    return FALSE;
  for (guint status = DERATE_HEALTH_STATUS_HEALTHY; status <= DERATE_HEALTH_STATUS_DOWN; status++)
    if (derate_compiled_term_accepts (cause, status) &&
        !derate_compiled_term_accepts (term, status))
      return FALSE;
  if (has_input (cause, search->input) && derate_compiled_term_accepts (cause, from) &&
      !derate_compiled_term_accepts (term, from + 1))
    return FALSE;
  for (guint i = 0; i < cause->n_inputs; i++)
    if (!has_input (term, cause->inputs[i]))
      return FALSE;
  return TRUE;
}

/* Term by term, so not every rule that follows is seen to. */
static gboolean
rule_follows (const Search *search, const DerateCompiledRule *rule)
{
  for (guint i = 0; i < rule->n_terms; i++)
    {
      gboolean follows = ask_term (search, &rule->terms[i], TRUE) == YES;

      for (guint j = 0; !follows && j < search->stops->n_terms; j++)
        follows = term_follows (search, &search->stops->terms[j], &rule->terms[i]);
      if (!follows)
        return FALSE;
    }
  return TRUE;
}

static void
note_tells (Search *search, const DerateCompiledRule *rule)
{
  for (guint i = 0; i < rule->n_terms; i++)
    for (guint status = DERATE_HEALTH_STATUS_DEGRADED; status <= DERATE_HEALTH_STATUS_DOWN;
         status++)
      {
        const DerateCompiledTerm *term = &rule->terms[i];

        if (derate_compiled_term_accepts (term, status) ==
            derate_compiled_term_accepts (term, status - 1))
          continue;
        for (guint j = 0; j < term->n_inputs; j++)
          *telling (search, term->inputs[j], status) = TRUE;
      }
}

/* The rules that could still hold afterwards; FALSE when one does for certain. */
static gboolean
collect_others (Search *search)
{
  memset (search->tells, 0,
          search->n_inputs * (DERATE_HEALTH_STATUS_DOWN + 1) * sizeof *search->tells);
  note_tells (search, search->stops);
  g_ptr_array_set_size (search->others, 0);
  for (guint i = 0; i < search->n_rules; i++)
    {
      const DerateCompiledRule *rule = &search->rules[i];
      Answer answer;

      if (rule == search->stops || rule->level < search->stops->level)
        continue;
      answer = ask_rule (search, rule, TRUE);
      if (answer == YES || (answer == MAYBE && rule_follows (search, rule)))
        return FALSE;
      if (answer == NO)
        continue;
      g_ptr_array_add (search->others, (gpointer)rule);
      note_tells (search, rule);
    }
  return TRUE;
}

static DerateRuleProof
try_worsening (Search *search, const DerateCompiledTerm *term, guint input, guint from)
{
  if (!derate_compiled_term_accepts (term, from) || derate_compiled_term_accepts (term, from + 1))
    return DERATE_RULE_PROOF_MONOTONE;
  search->input = input;
  open_inputs (search);
  search->cell[input] = from;
  if (!collect_others (search))
    return DERATE_RULE_PROOF_MONOTONE;
  return go_through (search, 0);
}

static DerateRuleProof
try_term (Search *search, const DerateCompiledTerm *term)
{
  for (guint i = 0; i < term->n_inputs; i++)
    for (guint from = DERATE_HEALTH_STATUS_HEALTHY; from < DERATE_HEALTH_STATUS_DOWN; from++)
      {
        DerateRuleProof proof = try_worsening (search, term, term->inputs[i], from);

        if (proof != DERATE_RULE_PROOF_MONOTONE)
          return proof;
      }
  return DERATE_RULE_PROOF_MONOTONE;
}

static DerateRuleProof
try_rule (Search *search, const DerateCompiledRule *rule)
{
  search->stops = rule;
  for (guint i = 0; i < rule->n_terms; i++)
    {
      DerateRuleProof proof;

      if (derate_compiled_term_is_monotone (&rule->terms[i]))
        continue;
      proof = try_term (search, &rule->terms[i]);
      if (proof != DERATE_RULE_PROOF_MONOTONE)
        return proof;
    }
  return DERATE_RULE_PROOF_MONOTONE;
}

DerateRuleProof
derate_rule_proof (const DerateCompiledRule *rules,
                   guint n_rules,
                   guint n_inputs,
                   DerateHealthStatus *cell,
                   guint *input,
                   guint *n_steps)
{
  g_autoptr (GPtrArray) others = g_ptr_array_new ();
  g_autoptr (GArray) open = g_array_new (FALSE, FALSE, sizeof (guint));
  g_autofree gboolean *tells = g_new0 (gboolean, n_inputs * (DERATE_HEALTH_STATUS_DOWN + 1));
  Search search = { rules, n_rules, n_inputs, 0, NULL, 0, cell, others, open, tells };
  DerateRuleProof proof = DERATE_RULE_PROOF_MONOTONE;

  for (guint i = 0; i < n_rules && proof == DERATE_RULE_PROOF_MONOTONE; i++)
    proof = try_rule (&search, &rules[i]);
  *input = search.input;
  *n_steps = search.n_steps;
  for (guint i = 0; i < n_inputs; i++)
    if (cell[i] == UNSET)
      cell[i] = DERATE_HEALTH_STATUS_HEALTHY;
  return proof;
}
