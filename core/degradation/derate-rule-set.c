/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-rule-set-private.h"

#include <string.h>

#include "derate-error.h"

/**
 * DerateRuleSet:
 *
 * The function from the states of the services to the level. Immutable, so it may be shared by any
 * number of threads.
 *
 * The level is the worst one of a rule that holds; the rule reported is the first in order at that
 * level. A set in which making a service worse makes the level better cannot be made.
 *
 * Since: 1.0
 */
struct _DerateRuleSet
{
  GPtrArray *inputs; /* (element-type DerateRuleInput) */
  GPtrArray *rules; /* (element-type DerateRule), in the order of report */
  GHashTable *index; /* name → place in inputs + 1 */
  DerateCompiledRule *compiled;
  guint n_proof_steps;
};

G_DEFINE_BOXED_TYPE (DerateRuleSet, derate_rule_set, derate_rule_set_ref, derate_rule_set_unref)

/* Above this a table of all states is too long for anybody to read. */
#define TABLE_MAX_INPUTS 6

static void
rule_set_clear (gpointer data)
{
  DerateRuleSet *set = data;

  for (guint i = 0; set->compiled != NULL && i < set->rules->len; i++)
    {
      for (guint j = 0; j < set->compiled[i].n_terms; j++)
        g_free (set->compiled[i].terms[j].inputs);
      g_free (set->compiled[i].terms);
    }
  g_free (set->compiled);
  g_hash_table_unref (set->index);
  g_ptr_array_unref (set->inputs);
  g_ptr_array_unref (set->rules);
}

static gboolean
take_inputs (DerateRuleSet *set, GPtrArray *inputs, GError **error)
{
  for (guint i = 0; i < inputs->len; i++)
    {
      DerateRuleInput *input = g_ptr_array_index (inputs, i);
      const char *name = derate_rule_input_get_service (input);

      g_ptr_array_add (set->inputs, derate_rule_input_ref (input));
      if (!derate_rule_name_is_valid (name))
        {
          g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                       "service “%s”: the name must be lower-case letters, digits, “_” and “-”",
                       name);
          return FALSE;
        }
      if (!g_hash_table_insert (set->index, (gpointer)name, GUINT_TO_POINTER (i + 1)))
        {
          g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                       "service “%s” is there twice", name);
          return FALSE;
        }
    }
  return TRUE;
}

static gboolean
has_rule (GPtrArray *rules, const char *id)
{
  for (guint i = 0; i < rules->len; i++)
    if (g_str_equal (derate_rule_get_id (g_ptr_array_index (rules, i)), id))
      return TRUE;
  return FALSE;
}

static gboolean
take_rules (DerateRuleSet *set, GPtrArray *own, DerateRuleSetMode mode, GError **error)
{
  g_autoptr (GPtrArray) defaults = derate_rule_defaults_new (set->inputs);

  for (guint i = 0; own != NULL && i < own->len; i++)
    {
      DerateRule *rule = g_ptr_array_index (own, i);

      if (has_rule (set->rules, derate_rule_get_id (rule)))
        {
          g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, "rule “%s” is there twice",
                       derate_rule_get_id (rule));
          return FALSE;
        }
      g_ptr_array_add (set->rules, derate_rule_ref (rule));
    }
  for (guint i = 0; i < defaults->len; i++)
    {
      DerateRule *rule = g_ptr_array_index (defaults, i);
      gboolean otherwise = derate_rule_get_n_terms (rule) == 0;

      if (otherwise || (mode == DERATE_RULE_SET_MODE_EXTEND &&
                        !has_rule (set->rules, derate_rule_get_id (rule))))
        g_ptr_array_add (set->rules, derate_rule_ref (rule));
    }
  return TRUE;
}

static gboolean
compile_term (DerateRuleSet *set,
              DerateRule *rule,
              const DerateRuleTerm *term,
              DerateCompiledTerm *out,
              GError **error)
{
  out->need = term->need;
  out->or_worse = term->or_worse;
  out->status = term->status;
  out->n_inputs = g_strv_length (term->names);
  out->inputs = g_new0 (guint, out->n_inputs);
  for (guint i = 0; i < out->n_inputs; i++)
    {
      guint place = GPOINTER_TO_UINT (g_hash_table_lookup (set->index, term->names[i]));

      if (place == 0)
        {
          g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                       "rule “%s”: when “%s”: no service “%s”", derate_rule_get_id (rule),
                       derate_rule_get_when (rule), term->names[i]);
          return FALSE;
        }
      out->inputs[i] = place - 1;
    }
  return TRUE;
}

static gboolean
compile (DerateRuleSet *set, GError **error)
{
  set->compiled = g_new0 (DerateCompiledRule, set->rules->len);
  for (guint i = 0; i < set->rules->len; i++)
    {
      DerateRule *rule = g_ptr_array_index (set->rules, i);
      DerateCompiledRule *out = &set->compiled[i];

      out->level = derate_rule_get_level (rule);
      out->n_terms = derate_rule_get_n_terms (rule);
      out->terms = g_new0 (DerateCompiledTerm, out->n_terms);
      for (guint j = 0; j < out->n_terms; j++)
        if (!compile_term (set, rule, derate_rule_get_term (rule, j), &out->terms[j], error))
          return FALSE;
    }
  return TRUE;
}

/* All of it where that can be read; else what is not healthy, and @changed. */
static char *
describe_cell (DerateRuleSet *set, const DerateHealthStatus *cell, guint changed)
{
  GString *text = g_string_new (NULL);
  gboolean is_short = set->inputs->len <= TABLE_MAX_INPUTS;
  DerateRule *rule = NULL;
  DerateLevel level = derate_rule_set_evaluate (set, cell, set->inputs->len, &rule);

  for (guint i = 0; i < set->inputs->len; i++)
    if (is_short || i == changed || cell[i] != DERATE_HEALTH_STATUS_HEALTHY)
      g_string_append_printf (text, "%s=%s ",
                              derate_rule_input_get_service (g_ptr_array_index (set->inputs, i)),
                              derate_health_status_get_nick (cell[i]));
  g_string_append (text, is_short ? "" : "(all others healthy) ");
  g_string_append_printf (text, "is %s (rule “%s”)", derate_level_get_nick (level),
                          derate_rule_get_id (rule));
  return g_string_free (text, FALSE);
}

static gboolean
prove (DerateRuleSet *set, GError **error)
{
  g_autofree DerateHealthStatus *cell = g_new0 (DerateHealthStatus, set->inputs->len);
  g_autofree char *better = NULL;
  g_autofree char *worse = NULL;
  guint input = 0;

  switch (derate_rule_proof (set->compiled, set->rules->len, set->inputs->len, cell, &input,
                             &set->n_proof_steps))
    {
    case DERATE_RULE_PROOF_MONOTONE:
      return TRUE;
    case DERATE_RULE_PROOF_TOO_COMPLEX:
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   "rules: too complex to prove in %d steps that a worse service never makes the "
                   "level better; terms with “>=degraded” and “=down” need no proof",
                   DERATE_RULE_PROOF_MAX_STEPS);
      return FALSE;
    case DERATE_RULE_PROOF_BROKEN:
    default:
      better = describe_cell (set, cell, input);
      cell[input]++;
      worse = describe_cell (set, cell, input);
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   "rules: making “%s” worse makes the level better: %s, but %s",
                   derate_rule_input_get_service (g_ptr_array_index (set->inputs, input)), better,
                   worse);
      return FALSE;
    }
}

/**
 * derate_rule_set_new:
 * @inputs: (element-type DerateRuleInput): the services
 * @rules: (element-type DerateRule) (nullable): the program's own rules, in their order
 * @mode: how these go with the default rules
 * @error: where to put the error
 *
 * Makes the rule set of a program. The default rules are those for services with the roles
 * database, cache, ai and storage; services without a role count by their criticality. Where no
 * rule holds, the level is optimal and the rule `all-well`.
 *
 * Returns: (transfer full): the rule set, or %NULL with %DERATE_ERROR_INVALID_CONFIG: an id or a
 *   service twice, an unknown service, a worse service that makes the level better (both states are
 *   named), or a set too complex to prove that there is none
 *
 * Since: 1.0
 */
DerateRuleSet *
derate_rule_set_new (GPtrArray *inputs, GPtrArray *rules, DerateRuleSetMode mode, GError **error)
{
  g_autoptr (DerateRuleSet) set = g_atomic_rc_box_new0 (DerateRuleSet);

  set->inputs = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_input_unref);
  set->rules = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_unref);
  set->index = g_hash_table_new (g_str_hash, g_str_equal);
  if (!take_inputs (set, inputs, error) || !take_rules (set, rules, mode, error) ||
      !compile (set, error) || !prove (set, error))
    return NULL;
  return g_steal_pointer (&set);
}

/**
 * derate_rule_set_ref:
 * @set: a rule set
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @set
 *
 * Since: 1.0
 */
DerateRuleSet *
derate_rule_set_ref (DerateRuleSet *set)
{
  return g_atomic_rc_box_acquire (set);
}

/**
 * derate_rule_set_unref:
 * @set: (transfer full): a rule set
 *
 * Drops a reference.
 *
 * Since: 1.0
 */
void
derate_rule_set_unref (DerateRuleSet *set)
{
  g_atomic_rc_box_release_full (set, rule_set_clear);
}

/**
 * derate_rule_set_get_inputs:
 * @set: a rule set
 *
 * The services, in the order in which their states are given.
 *
 * Returns: (transfer none) (element-type DerateRuleInput): the inputs; not to be changed
 *
 * Since: 1.0
 */
GPtrArray *
derate_rule_set_get_inputs (DerateRuleSet *set)
{
  return set->inputs;
}

/**
 * derate_rule_set_get_rules:
 * @set: a rule set
 *
 * The rules, in the order in which they are reported.
 *
 * Returns: (transfer none) (element-type DerateRule): the rules; not to be changed
 *
 * Since: 1.0
 */
GPtrArray *
derate_rule_set_get_rules (DerateRuleSet *set)
{
  return set->rules;
}

guint
derate_rule_set_get_n_proof_steps (DerateRuleSet *set)
{
  return set->n_proof_steps;
}

static gboolean
rule_holds (const DerateCompiledRule *rule, const DerateHealthStatus *statuses)
{
  for (guint i = 0; i < rule->n_terms; i++)
    {
      const DerateCompiledTerm *term = &rule->terms[i];
      guint count = 0;

      for (guint j = 0; j < term->n_inputs && count < term->need; j++)
        {
          DerateHealthStatus status = statuses[term->inputs[j]];

          if (status == DERATE_HEALTH_STATUS_UNKNOWN)
            status = DERATE_HEALTH_STATUS_DEGRADED;
          count += derate_compiled_term_accepts (term, status);
        }
      if (count < term->need)
        return FALSE;
    }
  return TRUE;
}

/**
 * derate_rule_set_evaluate:
 * @set: a rule set
 * @statuses: (array length=n_statuses): the states of the inputs, in their order; unknown counts as
 *   degraded
 * @n_statuses: as many as there are inputs
 * @rule: (out) (optional) (transfer none): where to put the rule that decided
 *
 * The level that follows from the states.
 *
 * Returns: the level; %DERATE_LEVEL_UNKNOWN where the number of states is wrong
 *
 * Since: 1.0
 */
DerateLevel
derate_rule_set_evaluate (DerateRuleSet *set,
                          const DerateHealthStatus *statuses,
                          gsize n_statuses,
                          DerateRule **rule)
{
  DerateLevel worst = DERATE_LEVEL_UNKNOWN;

  g_return_val_if_fail (n_statuses == set->inputs->len, DERATE_LEVEL_UNKNOWN);

  for (guint i = 0; i < set->rules->len; i++)
    if (set->compiled[i].level > worst && rule_holds (&set->compiled[i], statuses))
      {
        worst = set->compiled[i].level;
        if (rule != NULL)
          *rule = g_ptr_array_index (set->rules, i);
      }
  return worst;
}

static void
add_state (GVariantBuilder *states, DerateRuleSet *set, guint input, DerateHealthStatus status)
{
  const char *name = derate_rule_input_get_service (g_ptr_array_index (set->inputs, input));

  g_variant_builder_add_value (states, g_variant_new_dict_entry (g_variant_new_string (name),
                                                                 g_variant_new_string (
                                                                     derate_health_status_get_nick (
                                                                         status))));
}

/* What makes @term hold, but for what is @told already. */
static void
add_term (GVariantBuilder *states,
          DerateRuleSet *set,
          const DerateCompiledTerm *term,
          const DerateHealthStatus *statuses,
          gboolean *told)
{
  for (guint i = 0; i < term->n_inputs; i++)
    {
      guint input = term->inputs[i];
      DerateHealthStatus status = statuses[input];

      if (status == DERATE_HEALTH_STATUS_UNKNOWN)
        status = DERATE_HEALTH_STATUS_DEGRADED;
      if (told[input] || !derate_compiled_term_accepts (term, status))
        continue;
      told[input] = TRUE;
      add_state (states, set, input, statuses[input]);
    }
}

GVariant *
derate_rule_set_build_decision (DerateRuleSet *set,
                                DerateRule *rule,
                                const DerateHealthStatus *statuses)
{
  g_autofree gboolean *told = g_new0 (gboolean, set->inputs->len);
  const DerateCompiledRule *compiled;
  GVariantBuilder builder;
  guint place = 0;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  if (!g_ptr_array_find (set->rules, rule, &place))
    return g_variant_builder_end (&builder);
  compiled = &set->compiled[place];
  for (guint i = 0; i < compiled->n_terms; i++)
    add_term (&builder, set, &compiled->terms[i], statuses, told);
  for (guint i = 0; compiled->n_terms == 0 && i < set->inputs->len; i++)
    add_state (&builder, set, i, statuses[i]);
  return g_variant_builder_end (&builder);
}

static void
add_row (DerateRuleSet *set, GVariantBuilder *rows, const DerateHealthStatus *cell)
{
  GVariantBuilder inputs;
  DerateRule *rule = NULL;
  DerateLevel level = derate_rule_set_evaluate (set, cell, set->inputs->len, &rule);

  g_variant_builder_init (&inputs, G_VARIANT_TYPE ("a{ss}"));
  for (guint i = 0; i < set->inputs->len; i++)
    g_variant_builder_add (&inputs, "{ss}",
                           derate_rule_input_get_service (g_ptr_array_index (set->inputs, i)),
                           derate_health_status_get_nick (cell[i]));
  g_variant_builder_open (rows, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (rows, "{sv}", "inputs", g_variant_builder_end (&inputs));
  g_variant_builder_add (rows, "{sv}", "level",
                         g_variant_new_string (derate_level_get_nick (level)));
  g_variant_builder_add (rows, "{sv}", "rule", g_variant_new_string (derate_rule_get_id (rule)));
  g_variant_builder_close (rows);
}

/* The next state in counting order, the last input first; FALSE after the last one. */
static gboolean
next_cell (DerateHealthStatus *cell, guint n)
{
  for (guint i = n; i > 0; i--)
    {
      if (cell[i - 1] < DERATE_HEALTH_STATUS_DOWN)
        {
          cell[i - 1]++;
          return TRUE;
        }
      cell[i - 1] = DERATE_HEALTH_STATUS_HEALTHY;
    }
  return FALSE;
}

/**
 * derate_rule_set_dup_table:
 * @set: a rule set
 *
 * All states with the level and the rule of each, as `aa{sv}` with the keys `inputs` (`a{ss}`),
 * `level` and `rule`.
 *
 * Returns: (transfer full) (nullable): the table; %NULL where there are more than 6 inputs
 *
 * Since: 1.0
 */
GVariant *
derate_rule_set_dup_table (DerateRuleSet *set)
{
  DerateHealthStatus cell[TABLE_MAX_INPUTS];
  GVariantBuilder rows;

  if (set->inputs->len > TABLE_MAX_INPUTS)
    return NULL;
  for (guint i = 0; i < TABLE_MAX_INPUTS; i++)
    cell[i] = DERATE_HEALTH_STATUS_HEALTHY;
  g_variant_builder_init (&rows, G_VARIANT_TYPE ("aa{sv}"));
  do
    add_row (set, &rows, cell);
  while (next_cell (cell, set->inputs->len));
  return g_variant_ref_sink (g_variant_builder_end (&rows));
}
