/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>

#include <string.h>

#include "derate-rule-set-private.h"

/* Rule sets of many services at random. What is monotone by the way it is made is taken; with one
 * inversion planted it is refused, and the two states that the refusal names are looked at with an
 * evaluation of the test's own. */

#define N_SETS 400
#define N_MOST 40
#define N_LEAST 3

static const DerateLevel levels[] = {
  DERATE_LEVEL_DEGRADED,
  DERATE_LEVEL_LIMITED,
  DERATE_LEVEL_MINIMAL,
  DERATE_LEVEL_EMERGENCY,
};

typedef struct
{
  GPtrArray *inputs; /* (element-type DerateRuleInput) */
  GPtrArray *rules; /* (element-type DerateRule) */
} World;

static void
world_init (World *world, guint n)
{
  world->inputs = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_input_unref);
  world->rules = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_unref);
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *name = g_strdup_printf ("s%u", i);

      g_ptr_array_add (world->inputs, derate_rule_input_new (name, DERATE_SERVICE_ROLE_NONE,
                                                             DERATE_CRITICALITY_MEDIUM));
    }
}

static void
world_clear (World *world)
{
  g_ptr_array_unref (world->inputs);
  g_ptr_array_unref (world->rules);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (World, world_clear)

static void
add_rule (World *world, const char *when, DerateLevel level)
{
  g_autofree char *id = g_strdup_printf ("rule%u", world->rules->len);
  g_autoptr (GError) error = NULL;
  DerateRule *rule = derate_rule_parse (id, when, derate_level_get_nick (level), &error);

  g_assert_no_error (error);
  g_ptr_array_add (world->rules, rule);
}

/* Each service in its own term, so that no term asks for what another forbids. */
static void
shuffle (guint *places, guint n)
{
  for (guint i = 0; i < n; i++)
    places[i] = i;
  for (guint i = 0; i < n; i++)
    {
      guint other = g_test_rand_int_range (0, (gint)n);
      guint kept = places[i];

      places[i] = places[other];
      places[other] = kept;
    }
}

/* Terms about a few services; with @exact one that a worse service makes untrue, first. */
static char *
make_when (guint n, gboolean exact)
{
  static const char *const states[] = { ">=degraded", "=down", ">=down" };
  GString *when = g_string_new (NULL);
  guint places[N_MOST];
  guint used = 0;
  guint n_terms = g_test_rand_int_range (1, 4);

  shuffle (places, n);
  for (guint i = 0; i < n_terms && used < n; i++)
    {
      guint most = MIN (n - used, 4);
      guint many = exact && i == 0 ? 1 : g_test_rand_int_range (1, (gint)most + 1);

      if (i > 0)
        g_string_append_c (when, ' ');
      if (many > 1 && g_test_rand_bit ())
        g_string_append_printf (when, "%dof:", g_test_rand_int_range (1, (gint)many + 1));
      for (guint j = 0; j < many; j++)
        g_string_append_printf (when, "%ss%u", j > 0 ? "|" : "", places[used++]);
      if (exact && i == 0)
        g_string_append (when, g_test_rand_bit () ? "=degraded" : "=healthy");
      else
        g_string_append (when, states[g_test_rand_int_range (0, G_N_ELEMENTS (states))]);
    }
  return g_string_free (when, FALSE);
}

/* One rule for the days on which another service is well, and one for the others. */
static void
add_in_two (World *world, const char *when, DerateLevel level)
{
  guint other = g_test_rand_int_range (0, (gint)world->inputs->len);
  g_autofree char *well = g_strdup_printf ("%s s%u=healthy", when, other);
  g_autofree char *unwell = g_strdup_printf ("%s s%u>=degraded", when, other);

  add_rule (world, well, level);
  add_rule (world, unwell, level);
}

/* A rule with a term that stops holding, and one as bad at least for what comes after. */
static void
add_covered (World *world, guint n)
{
  guint level = g_test_rand_int_range (0, G_N_ELEMENTS (levels));
  guint cover = g_test_rand_int_range ((gint)level, G_N_ELEMENTS (levels));
  g_autofree char *when = make_when (n, TRUE);
  const char *rest = strchr (when, ' ');
  g_autofree char *name = g_strndup (when, strcspn (when, "="));
  gboolean healthy = strstr (when, "=healthy") != NULL;
  g_autofree char *after =
      g_strconcat (name, healthy ? ">=degraded" : "=down", rest != NULL ? rest : "", NULL);

  add_rule (world, when, levels[level]);
  if (g_test_rand_bit ())
    add_rule (world, after, levels[cover]);
  else
    add_in_two (world, after, levels[cover]);
}

/* No rule is as bad as emergency where @room is asked for. */
static void
fill_monotone (World *world, gboolean room)
{
  guint n = world->inputs->len;
  guint n_rules = g_test_rand_int_range (1, 15);
  gint n_levels = G_N_ELEMENTS (levels) - (room ? 1 : 0);

  for (guint i = 0; i < n_rules; i++)
    {
      g_autofree char *when = make_when (n, FALSE);

      if (!room && g_test_rand_int_range (0, 5) == 0)
        add_covered (world, n);
      else
        add_rule (world, when, levels[g_test_rand_int_range (0, n_levels)]);
    }
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
        {
          const DerateRuleTerm *term = derate_rule_get_term (rule, j);
          guint count = 0;

          for (guint k = 0; term->names[k] != NULL; k++)
            {
              DerateHealthStatus status = cell[g_ascii_strtoull (term->names[k] + 1, NULL, 10)];

              count += term->or_worse ? status >= term->status : status == term->status;
            }
          holds = holds && count >= term->need;
        }
      if (holds)
        worst = MAX (worst, derate_rule_get_level (rule));
    }
  return worst;
}

/* “s1=down s4=degraded (all others healthy) is limited (rule “rule3”)” */
static DerateLevel
read_cell (const char *text, DerateHealthStatus *cell)
{
  g_auto (GStrv) words = g_strsplit (text, " ", -1);
  DerateLevel level = DERATE_LEVEL_UNKNOWN;

  for (guint i = 0; i < N_MOST; i++)
    cell[i] = DERATE_HEALTH_STATUS_HEALTHY;
  for (guint i = 0; words[i] != NULL; i++)
    {
      char *equals = strchr (words[i], '=');

      if (words[i][0] == 's' && equals != NULL)
        {
          DerateHealthStatus *status = &cell[g_ascii_strtoull (words[i] + 1, NULL, 10)];

          while (strcmp (derate_health_status_get_nick (*status), equals + 1) != 0)
            g_assert_cmpint (++*status, <=, DERATE_HEALTH_STATUS_DOWN);
        }
      else if (strcmp (words[i], "is") == 0)
        g_assert_true (derate_level_from_nick (words[i + 1], &level, NULL));
    }
  return level;
}

static void
assert_pair (World *world, const char *message)
{
  const char *better = strstr (message, "makes the level better: ");
  const char *worse = strstr (message, ", but ");
  g_autofree char *first = NULL;
  DerateHealthStatus before[N_MOST];
  DerateHealthStatus after[N_MOST];
  DerateLevel level_before;
  DerateLevel level_after;
  guint n_steps = 0;

  g_assert_nonnull (better);
  g_assert_nonnull (worse);
  first = g_strndup (better, worse - better);
  level_before = read_cell (first, before);
  level_after = read_cell (worse, after);
  for (guint i = 0; i < N_MOST; i++)
    {
      g_assert_cmpint (after[i], >=, before[i]);
      n_steps += after[i] - before[i];
    }
  g_assert_cmpuint (n_steps, ==, 1);
  g_assert_cmpint (level_after, <, level_before);
  g_assert_cmpint (evaluate_plainly (world->rules, before), ==, level_before);
  g_assert_cmpint (evaluate_plainly (world->rules, after), ==, level_after);
}

static void
test_monotone (void)
{
  guint most = 0;

  for (guint i = 0; i < N_SETS; i++)
    {
      g_auto (World) world = { NULL };
      g_autoptr (GError) error = NULL;
      g_autoptr (DerateRuleSet) set = NULL;

      world_init (&world, g_test_rand_int_range (N_LEAST, N_MOST + 1));
      fill_monotone (&world, FALSE);
      set = derate_rule_set_new (world.inputs, world.rules, DERATE_RULE_SET_MODE_REPLACE, &error);
      g_assert_no_error (error);
      most = MAX (most, derate_rule_set_get_n_proof_steps (set));
    }
  g_test_message ("%d monotone sets taken, %u steps at most", N_SETS, most);
}

/* The planted rule is the only one as bad as it is, so whatever the others say, to lose it makes
 * the level better. */
static void
test_inversion (void)
{
  for (guint i = 0; i < N_SETS; i++)
    {
      g_auto (World) world = { NULL };
      g_autofree char *planted = NULL;
      g_autoptr (GError) error = NULL;

      world_init (&world, g_test_rand_int_range (N_LEAST, N_MOST + 1));
      fill_monotone (&world, TRUE);
      planted = make_when (world.inputs->len, TRUE);
      add_rule (&world, planted, DERATE_LEVEL_EMERGENCY);
      g_assert_null (
          derate_rule_set_new (world.inputs, world.rules, DERATE_RULE_SET_MODE_REPLACE, &error));
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      if (i < 3)
        g_test_message ("%s", error->message);
      assert_pair (&world, error->message);
    }
}

/* As large as anybody will have it, from the text of a file. Time is only printed: what is
 * asserted is the number of steps, which is the same on every machine. */

#define BIG_SERVICES 200
#define BIG_RULES 50
#define BIG_STEPS 5000

static char *
make_big_text (void)
{
  GString *text = g_string_new ("[derate]\nname=big\nrules=extend\n");

  for (guint i = 0; i < BIG_SERVICES; i++)
    g_string_append_printf (text, "[service s%u]\ncriticality=%s\n", i,
                            i % 4 == 0 ? "critical" : "low");
  for (guint i = 0; i < BIG_RULES; i++)
    {
      const char *level = derate_level_get_nick (levels[i % G_N_ELEMENTS (levels)]);

      g_string_append_printf (text, "[rule r%u]\nlevel=%s\nwhen=", i, level);
      if (i % 5 != 0) /* by its form */
        g_string_append_printf (text, "2of:s%u|s%u|s%u|s%u=down s%u>=degraded\n", i, i + 50,
                                i + 100, i + 149, i + 2);
      else if (i % 10 != 0) /* to be proved, with the next one's help */
        g_string_append_printf (text, "s%u=degraded 2of:s%u|s%u|s%u|s%u=down\n", i, i + 1, i + 60,
                                i + 110, i + 140);
      else
        g_string_append_printf (text, "2of:s%u|s%u|s%u|s%u=down s%u>=degraded\n", i + 6, i + 65,
                                i + 115, i + 145, i + 5);
    }
  for (guint i = 5; i < BIG_RULES; i += 10) /* what covers them, whether s199 is well or not */
    for (guint j = 0; j < 2; j++)
      g_string_append_printf (text,
                              "[rule c%u-%u]\nlevel=emergency\n"
                              "when=s%u=down 2of:s%u|s%u|s%u|s%u=down s199%s\n",
                              i, j, i, i + 1, i + 60, i + 110, i + 140,
                              j == 0 ? "=healthy" : ">=degraded");
  return g_string_free (text, FALSE);
}

static void
test_big (void)
{
  g_autofree char *text = make_big_text ();
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (GError) error = NULL;
  gint64 start = g_get_monotonic_time ();
  g_autoptr (DerateConfig) config = derate_config_new_from_data (text, "big.conf", &error);
  g_autoptr (DerateCore) core = NULL;
  g_autoptr (GPtrArray) rules = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_unref);
  g_auto (World) world = { NULL };
  g_autoptr (DerateRuleSet) set = NULL;
  g_auto (GStrv) names = NULL;

  g_assert_no_error (error);
  core = derate_core_new_from_config (config, clock, &error);
  g_assert_no_error (error);
  g_test_message ("%d services and %d rules loaded in %.1f ms", BIG_SERVICES,
                  BIG_RULES + 2 * BIG_RULES / 10,
                  (double)(g_get_monotonic_time () - start) / G_TIME_SPAN_MILLISECOND);

  world_init (&world, BIG_SERVICES);
  names = derate_config_list_names (config, "rule");
  for (guint i = 0; names[i] != NULL; i++)
    {
      g_autofree char *group = g_strconcat ("rule ", names[i], NULL);

      g_ptr_array_add (rules,
                       derate_rule_parse (names[i],
                                          derate_config_get_text (config, group, "when", NULL),
                                          derate_config_get_text (config, group, "level", NULL),
                                          &error));
      g_assert_no_error (error);
    }
  start = g_get_monotonic_time ();
  set = derate_rule_set_new (world.inputs, rules, DERATE_RULE_SET_MODE_EXTEND, &error);
  g_assert_no_error (error);
  g_test_message ("of which the rules %.1f ms, proved in %u steps",
                  (double)(g_get_monotonic_time () - start) / G_TIME_SPAN_MILLISECOND,
                  derate_rule_set_get_n_proof_steps (set));
  g_assert_cmpuint (derate_rule_set_get_n_proof_steps (set), >, 0);
  g_assert_cmpuint (derate_rule_set_get_n_proof_steps (set), <, BIG_STEPS);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL); /* prints the seed; --seed brings it back */
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  g_test_add_func ("/degradation/rule-proof/monotone-is-taken", test_monotone);
  g_test_add_func ("/degradation/ahead/01-inversion-is-refused", test_inversion);
  g_test_add_func ("/degradation/rule-proof/two-hundred-services", test_big);
  return g_test_run ();
}
