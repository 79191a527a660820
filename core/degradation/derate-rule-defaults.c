/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-rule-set-private.h"

/* The rules of semantics §4, written in the names of the services that have the roles. Where
 * several have one role, one of them is enough. A rule that needs a role nobody has is left out. */

typedef struct
{
  GPtrArray *rules;
  char *database; /* names with “|” between them; empty for none */
  char *ai;
  char *cache;
  char *others; /* ai, cache and storage */
  char *sluggish; /* ai and cache */
  guint n_others;
  char *critical; /* services without a role, by criticality */
  guint n_critical;
  char *important;
  guint n_important;
  char *rest; /* high, medium and low */
} Defaults;

typedef gboolean (*InputFilter) (DerateRuleInput *input);

static gboolean
is_database (DerateRuleInput *input)
{
  return derate_rule_input_get_role (input) == DERATE_SERVICE_ROLE_DATABASE;
}

static gboolean
is_ai (DerateRuleInput *input)
{
  return derate_rule_input_get_role (input) == DERATE_SERVICE_ROLE_AI;
}

static gboolean
is_cache (DerateRuleInput *input)
{
  return derate_rule_input_get_role (input) == DERATE_SERVICE_ROLE_CACHE;
}

static gboolean
is_sluggish (DerateRuleInput *input)
{
  return is_ai (input) || is_cache (input);
}

static gboolean
is_other (DerateRuleInput *input)
{
  return is_sluggish (input) || derate_rule_input_get_role (input) == DERATE_SERVICE_ROLE_STORAGE;
}

static gboolean
has_no_role (DerateRuleInput *input)
{
  return derate_rule_input_get_role (input) == DERATE_SERVICE_ROLE_NONE;
}

static gboolean
is_critical (DerateRuleInput *input)
{
  return has_no_role (input) &&
         derate_rule_input_get_criticality (input) >= DERATE_CRITICALITY_CRITICAL;
}

static gboolean
is_rest (DerateRuleInput *input)
{
  return has_no_role (input) && !is_critical (input);
}

static gboolean
is_important (DerateRuleInput *input)
{
  return is_rest (input) && derate_rule_input_get_criticality (input) >= DERATE_CRITICALITY_MEDIUM;
}

static char *
join_names (GPtrArray *inputs, InputFilter filter, guint *count)
{
  GString *names = g_string_new (NULL);

  for (guint i = 0; i < inputs->len; i++)
    {
      DerateRuleInput *input = g_ptr_array_index (inputs, i);

      if (!filter (input))
        continue;
      if (names->len > 0)
        g_string_append_c (names, '|');
      g_string_append (names, derate_rule_input_get_service (input));
      if (count != NULL)
        (*count)++;
    }
  return g_string_free (names, FALSE);
}

static void
add (Defaults *self, const char *id, const char *level, const char *when)
{
  g_autoptr (GError) error = NULL;
  DerateRule *rule = derate_rule_parse (id, when, level, &error);

  g_assert_no_error (error);
  g_ptr_array_add (self->rules, rule);
}

static void
add_one (Defaults *self, const char *id, const char *level, const char *names, const char *state)
{
  g_autofree char *when = g_strconcat (names, state, NULL);

  if (names[0] != '\0')
    add (self, id, level, when);
}

static void
add_both (Defaults *self, const char *id, const char *level, const char *a, const char *b)
{
  g_autofree char *when = g_strconcat (a, "=down ", b, "=down", NULL);

  if (a[0] != '\0' && b[0] != '\0')
    add (self, id, level, when);
}

static void
add_two_of (Defaults *self, const char *id, const char *level, const char *names, guint count)
{
  g_autofree char *when = g_strconcat ("2of:", names, "=down", NULL);

  if (count >= 2)
    add (self, id, level, when);
}

static void
add_critical_and_others (Defaults *self)
{
  g_autofree char *when =
      g_strconcat (self->database, ">=degraded 2of:", self->others, "=down", NULL);

  if (self->database[0] != '\0' && self->n_others >= 2)
    add (self, "critical-and-others", "emergency", when);
}

static void
add_all (Defaults *self)
{
  add_both (self, "reads-impossible", "emergency", self->database, self->cache);
  add_critical_and_others (self);
  add_two_of (self, "criticals-down", "emergency", self->critical, self->n_critical);
  add_one (self, "database-limited", "minimal", self->database, ">=degraded");
  add_one (self, "critical-limited", "minimal", self->critical, ">=degraded");
  add_both (self, "ai-and-cache", "limited", self->ai, self->cache);
  add_two_of (self, "services-down", "limited", self->important, self->n_important);
  add_one (self, "dependency-down", "degraded", self->others, "=down");
  add_one (self, "service-down", "degraded", self->rest, "=down");
  /* Exactly the table's “D”: with one of them down, dependency-down stands before it. */
  add_one (self, "dependency-slow", "degraded", self->sluggish, ">=degraded");
  g_ptr_array_add (self->rules,
                   derate_rule_new_otherwise (DERATE_RULE_ALL_WELL, DERATE_LEVEL_OPTIMAL));
}

GPtrArray *
derate_rule_defaults_new (GPtrArray *inputs)
{
  Defaults self = { 0 };

  self.rules = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_unref);
  self.database = join_names (inputs, is_database, NULL);
  self.ai = join_names (inputs, is_ai, NULL);
  self.cache = join_names (inputs, is_cache, NULL);
  self.sluggish = join_names (inputs, is_sluggish, NULL);
  self.others = join_names (inputs, is_other, &self.n_others);
  self.critical = join_names (inputs, is_critical, &self.n_critical);
  self.important = join_names (inputs, is_important, &self.n_important);
  self.rest = join_names (inputs, is_rest, NULL);

  add_all (&self);

  g_free (self.database);
  g_free (self.ai);
  g_free (self.cache);
  g_free (self.sluggish);
  g_free (self.others);
  g_free (self.critical);
  g_free (self.important);
  g_free (self.rest);
  return self.rules;
}
