/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-rule-private.h"

#include <string.h>

#include "derate-error.h"

/**
 * DerateRule:
 *
 * One rule of a [struct@RuleSet]: in which states of the services it holds, and which level
 * follows. Immutable, so it may be shared by any number of threads.
 *
 * Since: 1.0
 */
struct _DerateRule
{
  char *id;
  char *when;
  DerateLevel level;
  GArray *terms; /* (element-type DerateRuleTerm), all must hold */
};

G_DEFINE_BOXED_TYPE (DerateRule, derate_rule, derate_rule_ref, derate_rule_unref)

#define NAME_MAX_LENGTH 63

static void
term_clear (gpointer data)
{
  g_strfreev (((DerateRuleTerm *)data)->names);
}

static void
rule_clear (gpointer data)
{
  DerateRule *rule = data;

  g_free (rule->id);
  g_free (rule->when);
  g_array_unref (rule->terms);
}

static DerateRule *
rule_new (const char *id, const char *when, DerateLevel level)
{
  DerateRule *rule = g_atomic_rc_box_new0 (DerateRule);

  rule->id = g_strdup (id);
  rule->when = g_strdup (when);
  rule->level = level;
  rule->terms = g_array_new (FALSE, TRUE, sizeof (DerateRuleTerm));
  g_array_set_clear_func (rule->terms, term_clear);
  return rule;
}

DerateRule *
derate_rule_new_otherwise (const char *id, DerateLevel level)
{
  return rule_new (id, "", level);
}

gboolean
derate_rule_name_is_valid (const char *text)
{
  if (text == NULL || !g_ascii_islower (text[0]) || strlen (text) > NAME_MAX_LENGTH)
    return FALSE;
  for (const char *c = text; *c != '\0'; c++)
    if (!g_ascii_islower (*c) && !g_ascii_isdigit (*c) && *c != '_' && *c != '-')
      return FALSE;
  return TRUE;
}

static gboolean
parse_status (const char *text, DerateHealthStatus *status)
{
  static const char *const nicks[] = { "healthy", "degraded", "down" };

  for (guint i = 0; i < G_N_ELEMENTS (nicks); i++)
    if (g_str_equal (text, nicks[i]))
      {
        *status = DERATE_HEALTH_STATUS_HEALTHY + i;
        return TRUE;
      }
  return FALSE;
}

/* Takes `INTof:` from the front of @names; 1 when there is none. */
static gboolean
take_count (const char **names, guint *need, const char **problem)
{
  const char *colon = strchr (*names, ':');
  const char *end = *names;
  guint64 count = 0;

  *need = 1;
  if (colon == NULL)
    return TRUE;
  for (; g_ascii_isdigit (*end); end++)
    count = MIN (count * 10 + (*end - '0'), G_MAXUINT32);
  if (end == *names || !g_str_has_prefix (end, "of:"))
    {
      *problem = "a count is written “2of:”";
      return FALSE;
    }
  if (count == 0 || count > G_MAXUINT16)
    {
      *problem = "the count is out of range";
      return FALSE;
    }
  *need = count;
  *names = colon + 1;
  return TRUE;
}

static gboolean
check_names (const DerateRuleTerm *term, const char **problem)
{
  guint n = g_strv_length (term->names);

  for (guint i = 0; i < n; i++)
    {
      if (!derate_rule_name_is_valid (term->names[i]))
        {
          *problem = "it has something that is no name of a service";
          return FALSE;
        }
      for (guint j = 0; j < i; j++)
        if (g_str_equal (term->names[i], term->names[j]))
          {
            *problem = "a service stands twice in it";
            return FALSE;
          }
    }
  if (term->need > n)
    *problem = "it counts more services than it names";
  return term->need <= n;
}

/* One term; @problem says what is wrong. On FALSE the term is still to be cleared. */
static gboolean
parse_term (const char *text, DerateRuleTerm *term, const char **problem)
{
  const char *equals = strchr (text, '=');
  const char *names = text;
  g_autofree char *left = NULL;

  if (equals == NULL)
    {
      *problem = "“=” or “>=” is missing";
      return FALSE;
    }
  if (!parse_status (equals + 1, &term->status))
    {
      *problem = "the state must be healthy, degraded or down";
      return FALSE;
    }
  term->or_worse = equals > text && equals[-1] == '>';
  left = g_strndup (text, equals - text - (term->or_worse ? 1 : 0));
  names = left;
  if (!take_count (&names, &term->need, problem))
    return FALSE;
  term->names = g_strsplit (names, "|", -1);
  if (term->names[0] == NULL)
    {
      *problem = "it names no service";
      return FALSE;
    }
  return check_names (term, problem);
}

static gboolean
parse_terms (DerateRule *rule, GError **error)
{
  g_auto (GStrv) words = g_strsplit (rule->when, " ", -1);

  for (guint i = 0; words[i] != NULL; i++)
    {
      DerateRuleTerm term = { 0 };
      const char *problem = NULL;
      gboolean good = parse_term (words[i], &term, &problem);

      g_array_append_val (rule->terms, term);
      if (good)
        continue;
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   "rule “%s”: when “%s”: term “%s”: %s", rule->id, rule->when, words[i], problem);
      return FALSE;
    }
  if (words[0] != NULL)
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
               "rule “%s”: when is missing or empty", rule->id);
  return FALSE;
}

/**
 * derate_rule_parse:
 * @id: its name, `[a-z][a-z0-9_-]{0,62}`
 * @when: terms separated by one space, all of which must hold. A term is
 *   `[INTof:]NAME[|NAME…]` followed by `=` or `>=` and `healthy`, `degraded` or `down`: as many of
 *   the services as the number says, or one of them, have that state, or with `>=` that state or a
 *   worse one
 * @level: the nick of the level that follows
 * @error: where to put the error
 *
 * Reads a rule as a configuration file has it, such as `2of:openai|redis|s3=down
 * database>=degraded`. Whether the services exist is for [ctor@RuleSet.new] to see.
 *
 * Returns: (transfer full): the rule, or %NULL with %DERATE_ERROR_INVALID_CONFIG that names rule,
 * key and value
 *
 * Since: 1.0
 */
DerateRule *
derate_rule_parse (const char *id, const char *when, const char *level, GError **error)
{
  g_autoptr (DerateRule) rule = NULL;
  DerateLevel value;

  if (!derate_rule_name_is_valid (id))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   "rule “%s”: the name must be lower-case letters, digits, “_” and “-”",
                   id != NULL ? id : "");
      return NULL;
    }
  if (level == NULL || !derate_level_from_nick (level, &value, NULL))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   "rule “%s”: level “%s” must be optimal, degraded, limited, minimal or emergency",
                   id, level != NULL ? level : "");
      return NULL;
    }
  rule = rule_new (id, when != NULL ? when : "", value);
  if (!parse_terms (rule, error))
    return NULL;
  return g_steal_pointer (&rule);
}

/**
 * derate_rule_ref:
 * @rule: a rule
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @rule
 *
 * Since: 1.0
 */
DerateRule *
derate_rule_ref (DerateRule *rule)
{
  return g_atomic_rc_box_acquire (rule);
}

/**
 * derate_rule_unref:
 * @rule: (transfer full): a rule
 *
 * Drops a reference.
 *
 * Since: 1.0
 */
void
derate_rule_unref (DerateRule *rule)
{
  g_atomic_rc_box_release_full (rule, rule_clear);
}

/**
 * derate_rule_get_id:
 * @rule: a rule
 *
 * The name under which it is reported.
 *
 * Returns: the name
 *
 * Since: 1.0
 */
const char *
derate_rule_get_id (DerateRule *rule)
{
  return rule->id;
}

/**
 * derate_rule_get_when:
 * @rule: a rule
 *
 * The text of its terms.
 *
 * Returns: the text; empty for the built-in rule that always holds
 *
 * Since: 1.0
 */
const char *
derate_rule_get_when (DerateRule *rule)
{
  return rule->when;
}

/**
 * derate_rule_get_level:
 * @rule: a rule
 *
 * The level that follows.
 *
 * Returns: the level
 *
 * Since: 1.0
 */
DerateLevel
derate_rule_get_level (DerateRule *rule)
{
  return rule->level;
}

guint
derate_rule_get_n_terms (DerateRule *rule)
{
  return rule->terms->len;
}

const DerateRuleTerm *
derate_rule_get_term (DerateRule *rule, guint index)
{
  return &g_array_index (rule->terms, DerateRuleTerm, index);
}
