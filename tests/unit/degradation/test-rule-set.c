/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>

#include <string.h>

#include "derate-rule-set-private.h"

/* The 81 cells are data: levels-81.tsv has the level and the rule of each, written down from the
 * specification. */

static GPtrArray *
make_inputs (void)
{
  GPtrArray *inputs = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_input_unref);

  g_ptr_array_add (inputs, derate_rule_input_new ("database", DERATE_SERVICE_ROLE_DATABASE,
                                                  DERATE_CRITICALITY_CRITICAL));
  g_ptr_array_add (inputs, derate_rule_input_new ("redis", DERATE_SERVICE_ROLE_CACHE,
                                                  DERATE_CRITICALITY_MEDIUM));
  g_ptr_array_add (inputs, derate_rule_input_new ("openai", DERATE_SERVICE_ROLE_AI,
                                                  DERATE_CRITICALITY_HIGH));
  g_ptr_array_add (inputs, derate_rule_input_new ("s3", DERATE_SERVICE_ROLE_STORAGE,
                                                  DERATE_CRITICALITY_LOW));
  return inputs;
}

static GPtrArray *
make_plain_inputs (const char *const *names, const DerateCriticality *criticalities)
{
  GPtrArray *inputs = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_input_unref);

  for (guint i = 0; names[i] != NULL; i++)
    g_ptr_array_add (inputs,
                     derate_rule_input_new (names[i], DERATE_SERVICE_ROLE_NONE,
                                            criticalities != NULL ? criticalities[i]
                                                                  : DERATE_CRITICALITY_MEDIUM));
  return inputs;
}

/* Own rules from triples id, when, level. */
static GPtrArray *
make_rules (const char *const *texts)
{
  GPtrArray *rules = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_unref);

  for (guint i = 0; texts[i] != NULL; i += 3)
    {
      g_autoptr (GError) error = NULL;
      DerateRule *rule = derate_rule_parse (texts[i], texts[i + 1], texts[i + 2], &error);

      g_assert_no_error (error);
      g_ptr_array_add (rules, rule);
    }
  return rules;
}

static DerateHealthStatus
status_from_nick (const char *nick)
{
  if (g_str_equal (nick, "healthy"))
    return DERATE_HEALTH_STATUS_HEALTHY;
  if (g_str_equal (nick, "degraded"))
    return DERATE_HEALTH_STATUS_DEGRADED;
  g_assert_cmpstr (nick, ==, "down");
  return DERATE_HEALTH_STATUS_DOWN;
}

static char **
read_cells (void)
{
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;

  g_file_get_contents (TEST_DATA_DIR "/levels-81.tsv", &text, NULL, &error);
  g_assert_no_error (error);
  g_strchomp (text);
  return g_strsplit (text, "\n", -1);
}

static void
test_cell (gconstpointer data)
{
  g_auto (GStrv) cell = g_strsplit (data, "\t", -1);
  g_autoptr (GPtrArray) inputs = make_inputs ();
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateRuleSet) set =
      derate_rule_set_new (inputs, NULL, DERATE_RULE_SET_MODE_EXTEND, &error);
  DerateHealthStatus statuses[4];
  DerateRule *rule = NULL;
  DerateLevel level;

  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length (cell), ==, 6);
  for (guint i = 0; i < 4; i++)
    statuses[i] = status_from_nick (cell[i]);
  level = derate_rule_set_evaluate (set, statuses, 4, &rule);
  g_assert_cmpstr (derate_level_get_nick (level), ==, cell[4]);
  g_assert_cmpstr (derate_rule_get_id (rule), ==, cell[5]);
}

/* The data itself: all 81, each once, as often as the specification counts. */
static void
test_counts (void)
{
  static const char *const names[] = { "optimal", "degraded", "limited", "minimal", "emergency" };
  static const guint expected[] = { 2, 22, 3, 36, 18 };
  guint counts[5] = { 0 };
  g_auto (GStrv) lines = read_cells ();
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; lines[i] != NULL; i++)
    {
      g_auto (GStrv) cell = g_strsplit (lines[i], "\t", -1);

      if (lines[i][0] == '#')
        continue;
      g_assert_true (
          g_hash_table_add (seen, g_strjoin (" ", cell[0], cell[1], cell[2], cell[3], NULL)));
      for (guint j = 0; j < 5; j++)
        counts[j] += g_str_equal (cell[4], names[j]);
    }
  g_assert_cmpuint (g_hash_table_size (seen), ==, 81);
  for (guint j = 0; j < 5; j++)
    g_assert_cmpuint (counts[j], ==, expected[j]);
}

static void
test_table (void)
{
  g_autoptr (GPtrArray) inputs = make_inputs ();
  g_autoptr (DerateRuleSet) set =
      derate_rule_set_new (inputs, NULL, DERATE_RULE_SET_MODE_EXTEND, NULL);
  g_autoptr (GVariant) table = derate_rule_set_dup_table (set);
  g_autoptr (GVariant) last = NULL;
  g_autofree char *json = NULL;

  g_assert_cmpuint (g_variant_n_children (table), ==, 81);
  last = g_variant_get_child_value (table, 80);
  json = derate_json_from_variant (last);
  g_assert_cmpstr (json, ==,
                   "{\"inputs\":{\"database\":\"down\",\"redis\":\"down\",\"openai\":\"down\","
                   "\"s3\":\"down\"},\"level\":\"emergency\",\"rule\":\"reads-impossible\"}");
}

static void
test_no_table_for_many (void)
{
  static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g", NULL };
  g_autoptr (GPtrArray) inputs = make_plain_inputs (names, NULL);
  g_autoptr (DerateRuleSet) set =
      derate_rule_set_new (inputs, NULL, DERATE_RULE_SET_MODE_EXTEND, NULL);

  g_assert_null (derate_rule_set_dup_table (set));
}

static void
test_unknown_counts_as_degraded (void)
{
  g_autoptr (GPtrArray) inputs = make_inputs ();
  g_autoptr (DerateRuleSet) set =
      derate_rule_set_new (inputs, NULL, DERATE_RULE_SET_MODE_EXTEND, NULL);
  DerateHealthStatus statuses[4] = { DERATE_HEALTH_STATUS_UNKNOWN, DERATE_HEALTH_STATUS_HEALTHY,
                                     DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_STATUS_HEALTHY };
  DerateRule *rule = NULL;

  g_assert_cmpint (derate_rule_set_evaluate (set, statuses, 4, &rule), ==, DERATE_LEVEL_MINIMAL);
  g_assert_cmpstr (derate_rule_get_id (rule), ==, "database-limited");
}

/* Services without a role, by criticality. */
static void
test_criticality (void)
{
  static const char *const names[] = { "c1", "c2", "h", "m", "l", NULL };
  static const DerateCriticality criticalities[] = {
    DERATE_CRITICALITY_CRITICAL, DERATE_CRITICALITY_CRITICAL, DERATE_CRITICALITY_HIGH,
    DERATE_CRITICALITY_MEDIUM,   DERATE_CRITICALITY_LOW,
  };
  static const struct
  {
    const char *states; /* of the five: H, D, X */
    const char *level;
    const char *rule;
  } cases[] = {
    { "HHHHH", "optimal", "all-well" },         { "HHDDD", "optimal", "all-well" },
    { "HHHHX", "degraded", "service-down" },    { "HHHXH", "degraded", "service-down" },
    { "HHXHX", "degraded", "service-down" },    { "HHXXH", "limited", "services-down" },
    { "DHHHH", "minimal", "critical-limited" }, { "XHHHH", "minimal", "critical-limited" },
    { "XDXXX", "minimal", "critical-limited" }, { "XXHHH", "emergency", "criticals-down" },
  };
  g_autoptr (GPtrArray) inputs = make_plain_inputs (names, criticalities);
  g_autoptr (DerateRuleSet) set =
      derate_rule_set_new (inputs, NULL, DERATE_RULE_SET_MODE_EXTEND, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      DerateHealthStatus statuses[5];
      DerateRule *rule = NULL;
      DerateLevel level;

      for (guint j = 0; j < 5; j++)
        statuses[j] = cases[i].states[j] == 'H'   ? DERATE_HEALTH_STATUS_HEALTHY
                      : cases[i].states[j] == 'D' ? DERATE_HEALTH_STATUS_DEGRADED
                                                  : DERATE_HEALTH_STATUS_DOWN;
      level = derate_rule_set_evaluate (set, statuses, 5, &rule);
      g_test_message ("%s", cases[i].states);
      g_assert_cmpstr (derate_level_get_nick (level), ==, cases[i].level);
      g_assert_cmpstr (derate_rule_get_id (rule), ==, cases[i].rule);
    }
}

static void
test_own_rules (void)
{
  static const char *const texts[] = { "files-gone", "s3=down",         "limited", /* worse */
                                       "slow",       "redis>=degraded", "degraded", /* same level */
                                       NULL };
  static const DerateHealthStatus s3_down[4] = { DERATE_HEALTH_STATUS_HEALTHY,
                                                 DERATE_HEALTH_STATUS_HEALTHY,
                                                 DERATE_HEALTH_STATUS_HEALTHY,
                                                 DERATE_HEALTH_STATUS_DOWN };
  static const DerateHealthStatus redis_down[4] = { DERATE_HEALTH_STATUS_HEALTHY,
                                                    DERATE_HEALTH_STATUS_DOWN,
                                                    DERATE_HEALTH_STATUS_HEALTHY,
                                                    DERATE_HEALTH_STATUS_HEALTHY };
  static const DerateHealthStatus database_down[4] = { DERATE_HEALTH_STATUS_DOWN,
                                                       DERATE_HEALTH_STATUS_HEALTHY,
                                                       DERATE_HEALTH_STATUS_HEALTHY,
                                                       DERATE_HEALTH_STATUS_HEALTHY };
  g_autoptr (GPtrArray) inputs = make_inputs ();
  g_autoptr (GPtrArray) rules = make_rules (texts);
  g_autoptr (DerateRuleSet) extended =
      derate_rule_set_new (inputs, rules, DERATE_RULE_SET_MODE_EXTEND, NULL);
  g_autoptr (DerateRuleSet) replaced =
      derate_rule_set_new (inputs, rules, DERATE_RULE_SET_MODE_REPLACE, NULL);
  DerateRule *rule = NULL;

  g_assert_cmpint (derate_rule_set_evaluate (extended, s3_down, 4, &rule), ==,
                   DERATE_LEVEL_LIMITED);
  g_assert_cmpstr (derate_rule_get_id (rule), ==, "files-gone");
  derate_rule_set_evaluate (extended, redis_down, 4, &rule);
  g_assert_cmpstr (derate_rule_get_id (rule), ==, "slow");
  g_assert_cmpint (derate_rule_set_evaluate (extended, database_down, 4, &rule), ==,
                   DERATE_LEVEL_MINIMAL);

  g_assert_cmpint (derate_rule_set_evaluate (replaced, database_down, 4, &rule), ==,
                   DERATE_LEVEL_OPTIMAL);
  g_assert_cmpstr (derate_rule_get_id (rule), ==, "all-well");
}

static void
test_default_rule_is_replaced (void)
{
  static const char *const texts[] = { "dependency-down", "s3=down", "limited", NULL };
  static const DerateHealthStatus redis_down[4] = { DERATE_HEALTH_STATUS_HEALTHY,
                                                    DERATE_HEALTH_STATUS_DOWN,
                                                    DERATE_HEALTH_STATUS_HEALTHY,
                                                    DERATE_HEALTH_STATUS_HEALTHY };
  g_autoptr (GPtrArray) inputs = make_inputs ();
  g_autoptr (GPtrArray) rules = make_rules (texts);
  g_autoptr (DerateRuleSet) set =
      derate_rule_set_new (inputs, rules, DERATE_RULE_SET_MODE_EXTEND, NULL);
  DerateRule *rule = NULL;

  /* What is left for it is dependency-slow, which has “or worse”. */
  derate_rule_set_evaluate (set, redis_down, 4, &rule);
  g_assert_cmpstr (derate_rule_get_id (rule), ==, "dependency-slow");
}

typedef struct
{
  const char *name;
  const char *rules[10];
  const char *message; /* NULL = accepted */
} RefusalCase;

static const RefusalCase refusals[] = {
  { "duplicate-id",
    { "a", "s3=down", "limited", "a", "redis=down", "limited" },
    "“a” is there twice" },
  { "unknown-service",
    { "a", "s3|mongo=down", "limited" },
    "rule “a”: when “s3|mongo=down”: no service “mongo”" },
  { "exact-degraded",
    { "a", "s3=degraded", "emergency" },
    "making “s3” worse makes the level better: database=healthy redis=healthy openai=healthy "
    "s3=degraded is emergency (rule “a”), but database=healthy redis=healthy openai=healthy "
    "s3=down "
    "is degraded (rule “dependency-down”)" },
  { "healthy", { "a", "s3=healthy", "limited" }, "making “s3” worse" },
  { "healthy-covered",
    { "a", "s3=healthy redis=down", "limited", "b", "s3>=degraded redis=down", "limited" },
    NULL },
  { "degraded-covered", { "a", "openai=degraded", "degraded" }, NULL },
  { "two-of-degraded",
    { "a", "2of:redis|openai|s3=degraded", "minimal" },
    "worse makes the level" },
};

static void
test_refusal (gconstpointer data)
{
  const RefusalCase *refusal = data;
  g_autoptr (GPtrArray) inputs = make_inputs ();
  g_autoptr (GPtrArray) rules = make_rules (refusal->rules);
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateRuleSet) set =
      derate_rule_set_new (inputs, rules, DERATE_RULE_SET_MODE_EXTEND, &error);

  if (refusal->message == NULL)
    {
      g_assert_no_error (error);
      g_assert_nonnull (set);
      return;
    }
  g_assert_null (set);
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, refusal->message));
}

static void
test_duplicate_service (void)
{
  static const char *const names[] = { "a", "b", "a", NULL };
  g_autoptr (GPtrArray) inputs = make_plain_inputs (names, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_null (derate_rule_set_new (inputs, NULL, DERATE_RULE_SET_MODE_EXTEND, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
}

#define BIG 60

static GPtrArray *
make_big_inputs (void)
{
  GPtrArray *inputs = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_input_unref);

  for (guint i = 0; i < BIG; i++)
    {
      g_autofree char *name = g_strdup_printf ("s%u", i);

      g_ptr_array_add (inputs, derate_rule_input_new (name, DERATE_SERVICE_ROLE_NONE, i % 4));
    }
  return inputs;
}

/* 3^60 states: proved without going through them. */
static void
test_many_services (void)
{
  static const char *const texts[] = { "few",  "s1=degraded s2>=degraded", "degraded",
                                       "more", "2of:s1|s2>=degraded",      "degraded",
                                       NULL };
  g_autoptr (GPtrArray) inputs = make_big_inputs ();
  g_autoptr (GPtrArray) rules = make_rules (texts);
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateRuleSet) set =
      derate_rule_set_new (inputs, rules, DERATE_RULE_SET_MODE_EXTEND, &error);

  g_assert_no_error (error);
  g_assert_nonnull (set);
}

static void
test_too_complex (void)
{
  g_autoptr (GPtrArray) inputs = make_big_inputs ();
  g_autoptr (GString) exact = g_string_new ("14of:");
  g_autoptr (GString) worse = g_string_new ("14of:");
  g_autoptr (GPtrArray) rules = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *with = NULL;
  g_autofree char *without = NULL;
  const char *texts[] = { "exact",   NULL,      "limited", "with",    NULL,
                          "limited", "without", NULL,      "limited", NULL };

  for (guint i = 0; i < 28; i++)
    {
      g_string_append_printf (exact, "%ss%u", i > 0 ? "|" : "", i);
      g_string_append_printf (worse, "%ss%u", i > 0 ? "|" : "", i);
    }
  g_string_append (exact, "=degraded");
  g_string_append (worse, ">=degraded");
  /* Either of the two holds where the first did, but neither follows from it alone. */
  with = g_strconcat ("s40=healthy ", worse->str, NULL);
  without = g_strconcat ("s40>=degraded ", worse->str, NULL);
  texts[1] = exact->str;
  texts[4] = with;
  texts[7] = without;
  rules = make_rules (texts);

  g_assert_null (derate_rule_set_new (inputs, rules, DERATE_RULE_SET_MODE_REPLACE, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_assert_nonnull (strstr (error->message, "too complex to prove"));
}

/* Random rule sets over few services: the proof and going through all states agree. */

#define N_RANDOM 4

static char *
random_when (void)
{
  static const char *const states[] = { "=healthy", "=degraded", ">=degraded", "=down", "=down" };
  GString *when = g_string_new (NULL);
  guint n_terms = g_test_rand_int_range (1, 4);

  for (guint i = 0; i < n_terms; i++)
    {
      guint n = g_test_rand_int_range (1, N_RANDOM + 1);
      guint first = g_test_rand_int_range (0, N_RANDOM);

      if (i > 0)
        g_string_append_c (when, ' ');
      if (n > 1 && g_test_rand_bit ())
        g_string_append_printf (when, "%dof:", g_test_rand_int_range (1, n + 1));
      for (guint j = 0; j < n; j++)
        g_string_append_printf (when, "%sr%u", j > 0 ? "|" : "", (first + j) % N_RANDOM);
      g_string_append (when, states[g_test_rand_int_range (0, G_N_ELEMENTS (states))]);
    }
  return g_string_free (when, FALSE);
}

static GPtrArray *
random_rules (void)
{
  static const char *const levels[] = { "degraded", "limited", "minimal", "emergency" };
  GPtrArray *rules = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_unref);
  guint n = g_test_rand_int_range (1, 6);

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *id = g_strdup_printf ("rule%u", i);
      g_autofree char *when = random_when ();
      g_autoptr (GError) error = NULL;
      DerateRule *rule =
          derate_rule_parse (id, when, levels[g_test_rand_int_range (0, G_N_ELEMENTS (levels))],
                             &error);

      g_assert_no_error (error);
      g_ptr_array_add (rules, rule);
    }
  return rules;
}

/* An interpreter of its own: straight from the terms, with nothing of the rule set. */
static gboolean
term_holds (const DerateRuleTerm *term, const DerateHealthStatus *cell)
{
  guint count = 0;

  for (guint i = 0; term->names[i] != NULL; i++)
    {
      DerateHealthStatus status = cell[term->names[i][1] - '0'];

      count += term->or_worse ? status >= term->status : status == term->status;
    }
  return count >= term->need;
}

static DerateLevel
evaluate_plainly (GPtrArray *rules, const DerateHealthStatus *cell)
{
  DerateLevel worst = DERATE_LEVEL_OPTIMAL;

  for (guint i = 0; i < rules->len; i++)
    {
      DerateRule *rule = g_ptr_array_index (rules, i);
      gboolean holds = TRUE;

      for (guint j = 0; j < derate_rule_get_n_terms (rule); j++)
        holds = holds && term_holds (derate_rule_get_term (rule, j), cell);
      if (holds)
        worst = MAX (worst, derate_rule_get_level (rule));
    }
  return worst;
}

static gboolean
is_monotone_plainly (GPtrArray *rules)
{
  for (guint code = 0; code < 81; code++)
    {
      DerateHealthStatus cell[N_RANDOM];
      DerateLevel level;
      guint rest = code;

      for (guint i = 0; i < N_RANDOM; i++, rest /= 3)
        cell[i] = DERATE_HEALTH_STATUS_HEALTHY + rest % 3;
      level = evaluate_plainly (rules, cell);
      for (guint i = 0; i < N_RANDOM; i++)
        {
          if (cell[i] == DERATE_HEALTH_STATUS_DOWN)
            continue;
          cell[i]++;
          if (evaluate_plainly (rules, cell) < level)
            return FALSE;
          cell[i]--;
        }
    }
  return TRUE;
}

static void
test_random_rule_sets (void)
{
  static const char *const names[] = { "r0", "r1", "r2", "r3", NULL };
  g_autoptr (GPtrArray) inputs = make_plain_inputs (names, NULL);
  guint n_monotone = 0, n_broken = 0;

  for (guint i = 0; i < 4000; i++)
    {
      g_autoptr (GPtrArray) rules = random_rules ();
      g_autoptr (GError) error = NULL;
      g_autoptr (DerateRuleSet) set =
          derate_rule_set_new (inputs, rules, DERATE_RULE_SET_MODE_REPLACE, &error);
      gboolean monotone = is_monotone_plainly (rules);

      if (monotone)
        g_assert_no_error (error);
      else
        g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      n_monotone += monotone;
      n_broken += !monotone;
    }
  /* Both kinds came up often. */
  g_assert_cmpuint (n_monotone, >, 200);
  g_assert_cmpuint (n_broken, >, 200);
}

int
main (int argc, char *argv[])
{
  g_auto (GStrv) lines = read_cells ();

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; lines[i] != NULL; i++)
    {
      g_autofree char *name = g_strconcat ("/degradation/levels/", lines[i], NULL);

      if (lines[i][0] != '#')
        g_test_add_data_func (g_strdelimit (name, "\t", ' '), lines[i], test_cell);
    }
  g_test_add_func ("/degradation/rule-set/counts", test_counts);
  g_test_add_func ("/degradation/rule-set/table", test_table);
  g_test_add_func ("/degradation/rule-set/no-table-for-many", test_no_table_for_many);
  g_test_add_func ("/degradation/rule-set/unknown", test_unknown_counts_as_degraded);
  g_test_add_func ("/degradation/rule-set/criticality", test_criticality);
  g_test_add_func ("/degradation/rule-set/own-rules", test_own_rules);
  g_test_add_func ("/degradation/rule-set/default-replaced", test_default_rule_is_replaced);
  for (guint i = 0; i < G_N_ELEMENTS (refusals); i++)
    {
      g_autofree char *name =
          g_strconcat ("/degradation/rule-set/refused/", refusals[i].name, NULL);

      g_test_add_data_func (name, &refusals[i], test_refusal);
    }
  g_test_add_func ("/degradation/rule-set/duplicate-service", test_duplicate_service);
  g_test_add_func ("/degradation/rule-set/many-services", test_many_services);
  g_test_add_func ("/degradation/rule-set/too-complex", test_too_complex);
  g_test_add_func ("/degradation/rule-set/random", test_random_rule_sets);
  return g_test_run ();
}
