/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>

#include <string.h>

#include "derate-rule-private.h"

typedef struct
{
  const char *name;
  const char *id;
  const char *when;
  const char *level;
  const char *message;
} BadCase;

static const BadCase bad[] = {
  { "id-empty", "", "a=down", "limited", "rule “”" },
  { "id-upper", "Ab", "a=down", "limited", "rule “Ab”" },
  { "when-empty", "r", "", "limited", "when is missing" },
  { "when-missing", "r", NULL, "limited", "when is missing" },
  { "two-spaces", "r", "a=down  b=down", "limited", "term “”" },
  { "trailing-space", "r", "a=down ", "limited", "term “”" },
  { "no-operator", "r", "a", "limited", "“=” or “>=” is missing" },
  { "bad-state", "r", "a=unknown", "limited", "healthy, degraded or down" },
  { "state-upper", "r", "a=DOWN", "limited", "healthy, degraded or down" },
  { "no-name", "r", "=down", "limited", "names no service" },
  { "empty-alternative", "r", "a|=down", "limited", "no name of a service" },
  { "bad-name", "r", "A=down", "limited", "no name of a service" },
  { "less-or-equal", "r", "a<=down", "limited", "no name of a service" },
  { "twice", "r", "a|a=down", "limited", "twice" },
  { "count-zero", "r", "0of:a=down", "limited", "out of range" },
  { "count-huge", "r", "99999999999999999999of:a=down", "limited", "out of range" },
  { "count-too-many", "r", "3of:a|b=down", "limited", "more services than it names" },
  { "count-no-number", "r", "of:a=down", "limited", "2of:" },
  { "count-spelt", "r", "2 of:a|b=down", "limited", "term “2”" },
  { "count-misspelt", "r", "2off:a|b=down", "limited", "2of:" },
  { "level", "r", "a=down", "bad", "rule “r”: level “bad”" },
  { "level-missing", "r", "a=down", NULL, "rule “r”: level “”" },
};

static void
test_bad (gconstpointer data)
{
  const BadCase *c = data;
  g_autoptr (GError) error = NULL;

  g_assert_null (derate_rule_parse (c->id, c->when, c->level, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, c->message));
}

static void
test_good (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateRule) rule =
      derate_rule_parse ("r-1", "2of:openai|redis|s3=down database>=degraded x=healthy", "minimal",
                         &error);
  const DerateRuleTerm *term;

  g_assert_no_error (error);
  g_assert_cmpstr (derate_rule_get_id (rule), ==, "r-1");
  g_assert_cmpstr (derate_rule_get_when (rule), ==,
                   "2of:openai|redis|s3=down database>=degraded x=healthy");
  g_assert_cmpint (derate_rule_get_level (rule), ==, DERATE_LEVEL_MINIMAL);
  g_assert_cmpuint (derate_rule_get_n_terms (rule), ==, 3);

  term = derate_rule_get_term (rule, 0);
  g_assert_cmpuint (term->need, ==, 2);
  g_assert_false (term->or_worse);
  g_assert_cmpint (term->status, ==, DERATE_HEALTH_STATUS_DOWN);
  g_assert_cmpuint (g_strv_length (term->names), ==, 3);
  g_assert_cmpstr (term->names[2], ==, "s3");
  term = derate_rule_get_term (rule, 1);
  g_assert_cmpuint (term->need, ==, 1);
  g_assert_true (term->or_worse);
  g_assert_cmpint (term->status, ==, DERATE_HEALTH_STATUS_DEGRADED);
  term = derate_rule_get_term (rule, 2);
  g_assert_cmpint (term->status, ==, DERATE_HEALTH_STATUS_HEALTHY);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/degradation/rule/good", test_good);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autofree char *name = g_strconcat ("/degradation/rule/bad/", bad[i].name, NULL);

      g_test_add_data_func (name, &bad[i], test_bad);
    }
  return g_test_run ();
}
