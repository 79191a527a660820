/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "derate-degradation-collector-private.h"
#include "manager-fixture.h"

/* What users expect of levels and holds, by its number in tests/dev/behaviours-levels.tsv. A story
 * begins when all is well, a tick is every 30 s of it, and it is words:
 *   stepwise    one level a tick
 *   db=X redis=D openai=H s3=X   a service is down, degraded, healthy; “db=X+redis=X” both at once
 *   +30s        time passes
 *   floor=minimal/60s exact=optimal/10s   a hold is taken, the first is 1, the next 2
 *   bound=minimal   a floor that lasts as long as its holder :1.N, N being its number
 *   weak=optimal    an exact one without the right to hide an outage; it may be refused
 *   release=1 vanish=1 renew=1/20s   that one is given back, loses its holder, lives on
 *   set=limited     set_level ()
 *   enforce=off
 *   optimal … emergency   the level must be
 *   computed=minimal rule=hold by=1   computed level, rule and deciding hold must be; by=0: none
 *   holds=2         so many there must be
 *   ai:on cache:off uploads:queued   a feature must be so
 *   flapping steady masks honest     the level must be
 *   next=8s         the next tick must be so far away
 *   stale=90s       so long ago it must have been decided
 *   told=1>4,4>1    what the signals said since the last such word */
typedef struct
{
  const char *name;
  const char *story;
} Story;

#define ALL_BAD "db=X+redis=X+openai=X+s3=X"
#define ALL_WELL "db=H+redis=H+openai=H+s3=H"

static const Story behaviours[] = {
  { "22-read-only-at-once", "+1s writes:on db=X minimal writes:off reads:on rule=database-limited "
                            "next=29s told=1>4" },
  { "22-read-only-when-it-takes-no-writes", "db=D minimal writes:off reads:on" },
  { "23-stepwise", "stepwise +5s " ALL_BAD " emergency " ALL_WELL " computed=optimal emergency "
                   "+25s emergency +30s minimal +30s limited +30s degraded +30s optimal "
                   "told=1>5,5>4,4>3,3>2,2>1" },
  { "23-direct", "+5s " ALL_BAD " emergency " ALL_WELL " computed=optimal +25s emergency +30s "
                 "optimal told=1>5,5>1" },
  { "23-worse-on-the-way-up", "stepwise " ALL_BAD " " ALL_WELL " +30s minimal +30s limited db=X "
                              "minimal flapping +90s minimal db=H +30s limited" },
  { "25-hold-doubles", "redis=X redis=H +30s optimal steady redis=X flapping redis=H +30s degraded "
                       "+30s optimal redis=X redis=H +90s degraded +30s optimal redis=X redis=H "
                       "+210s degraded +30s optimal" },
  { "25-up-to-its-cap",
    "redis=X redis=H +30s redis=X redis=H +60s redis=X redis=H +120s redis=X redis=H +240s redis=X "
    "redis=H +480s optimal redis=X redis=H +570s degraded +30s optimal redis=X redis=H +570s "
    "degraded +30s optimal flapping" },
  { "25-quiet-forgets", "redis=X redis=H +30s redis=X redis=H +60s optimal flapping +870s flapping "
                        "+30s steady redis=X redis=H +30s optimal" },
  { "25-one-incident-counts-once", "redis=X redis=H +30s optimal redis=X s3=X openai=X db=X "
                                   "emergency " ALL_WELL " +30s emergency +30s optimal" },
  { "26-ai-alone", "openai=X degraded ai:off cache:on uploads:on writes:on reads:on" },
  { "26-cache-alone", "redis=X degraded ai:on cache:off reads:on" },
  { "26-back-before-the-level", "openai=X ai:off openai=H degraded ai:on +30s optimal" },
  { "26-level-beats-dependency", "openai=X redis=X limited openai=H ai:off +30s degraded ai:on" },
  { "28-nothing-to-read-from", "db=X minimal reads:on redis=X emergency rule=reads-impossible "
                               "reads:off writes:off cache:off ai:off uploads:off status:on" },
  { "30-floor-and-climb", "+5s floor=minimal/60s minimal rule=hold by=1 computed=optimal +59s "
                          "minimal holds=1 +1s minimal holds=0 computed=optimal +25s optimal "
                          "told=1>4,4>1" },
  { "30-floor-and-climb-stepwise", "stepwise floor=minimal/60s +60s limited +30s degraded +30s "
                                   "optimal" },
  { "30-worse-than-the-floor", "floor=degraded/600s db=X minimal rule=database-limited by=0 db=H "
                               "+30s degraded by=1" },
  { "30-holds-are-no-flapping", "floor=minimal/29s +30s optimal floor=minimal/29s +30s optimal "
                                "steady floor=minimal/29s +30s optimal steady" },
  { "32-worst-first", "floor=minimal/1h floor=limited/1h minimal by=1 release=1 +30s limited by=2 "
                      "release=2 +30s optimal" },
  { "32-worst-last", "floor=limited/1h floor=minimal/1h minimal by=2 release=1 +30s minimal "
                     "release=2 +30s optimal" },
  { "32-floor-above-exact",
    "exact=optimal/1h floor=limited/1h limited by=2 release=2 optimal by=1" },
  { "32-latest-exact",
    "exact=limited/1h exact=degraded/1h degraded release=2 limited by=1 release=1 "
    "+30s optimal" },
  { "33-holder-dies", "bound=emergency bound=limited floor=degraded/1h emergency by=1 vanish=1 "
                      "holds=2 +30s limited by=2 vanish=2 holds=1 +30s degraded by=3" },
  { "33-bound-has-no-end", "bound=minimal +26h minimal holds=1 vanish=1 +30s optimal" },
  { "35-worse-at-once", "exact=optimal/10s db=X optimal computed=minimal masks +9s optimal +1s "
                        "minimal honest rule=database-limited told=1>4" },
  { "35-worse-under-a-floor", "floor=degraded/10s exact=degraded/10s db=X degraded +10s minimal" },
  { "35-renewed", "exact=optimal/10s db=X +9s renew=1/20s +19s optimal +1s minimal" },
};

static const Story ahead[] = {
  { "02-rule-and-inputs", "openai=X redis=X limited rule=ai-and-cache openai=H +30s degraded "
                          "rule=dependency-down" },
  { "04-needs-and-level", "openai=X degraded ai:off cache:on floor=limited/1h ai:off openai=H "
                          "ai:off release=1 +30s ai:on" },
  { "04-tried-out-only", "enforce=off openai=X db=X minimal ai:off" },
  { "05-exact-without-the-right", "db=X weak=limited holds=0 db=H +30s weak=degraded degraded "
                                  "db=X minimal by=0 db=H +60s degraded" },
  { "05-set-level-is-until-the-tick", "set=emergency emergency rule=set-level by=0 +29s emergency "
                                      "+1s optimal floor=limited/1h set=optimal limited" },
  { "06-flag-is-shown", "redis=X redis=H +30s redis=X flapping redis=H +60s optimal flapping" },
};

typedef struct
{
  Fixture *f;
  const Story *story;
  const char *word;
  char *ids[8];
  guint n_ids;
} Run;

static void G_GNUC_PRINTF (2, 3) G_GNUC_NORETURN fail (Run *run, const char *format, ...)
{
  va_list args;
  g_autofree char *text = NULL;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_error ("%s: at “%s” of “%s”: %s", run->story->name, run->word, run->story->story, text);
}

static void
expect_text (Run *run, const char *wanted, const char *found)
{
  if (g_strcmp0 (wanted, found) != 0)
    fail (run, "it is %s", found);
}

static GTimeSpan
parse_span (const char *text)
{
  GTimeSpan span = 0;

  g_assert_true (derate_time_span_parse (text, &span, NULL));
  return span;
}

/* Services */

static void
set_service (Run *run, const char *text)
{
  static const char *const names[] = { "db", "redis", "openai", "s3" };
  g_auto (GStrv) pair = g_strsplit (text, "=", 2);
  guint i = 0;

  while (strcmp (names[i], pair[0]) != 0)
    if (++i == N_SERVICES)
      fail (run, "no such service");
  fixture_set_status_silently (run->f, i,
                               pair[1][0] == 'X'   ? DERATE_HEALTH_STATUS_DOWN
                               : pair[1][0] == 'D' ? DERATE_HEALTH_STATUS_DEGRADED
                                                   : DERATE_HEALTH_STATUS_HEALTHY);
}

static gboolean
is_about_services (const char *word)
{
  const char *equals = strchr (word, '=');

  return equals != NULL && equals[1] != '\0' && strchr ("HDX", equals[1]) != NULL &&
         (equals[2] == '\0' || equals[2] == '+');
}

static gboolean
do_services (Run *run, const char *word)
{
  g_auto (GStrv) parts = g_strsplit (word, "+", -1);

  if (!is_about_services (word))
    return FALSE;
  for (guint i = 0; parts[i] != NULL; i++)
    set_service (run, parts[i]);
  derate_degradation_manager_service_changed (run->f->manager);
  return TRUE;
}

/* Holds */

/* “minimal/60s”; without a time it is bound. */
static void
take_hold (Run *run, const char *text, DerateHoldMode mode, gboolean may_mask)
{
  g_auto (GStrv) parts = g_strsplit (text, "/", 2);
  g_autofree char *owner = g_strdup_printf (":1.%u", run->n_ids + 1);
  DerateHoldRequest request = {
    .mode = mode,
    .who = "ana",
    .reason = "test",
    .owner = owner,
    .uid = 1000,
    .bound = parts[1] == NULL,
    .ttl = parts[1] != NULL ? parse_span (parts[1]) : 0,
    .may_mask = may_mask,
  };
  g_autoptr (GError) error = NULL;
  char *id;

  g_assert_true (derate_level_from_nick (parts[0], &request.level, NULL));
  id = derate_degradation_manager_take_hold (run->f->manager, &request, &error);
  if (may_mask)
    g_assert_no_error (error);
  else if (id == NULL)
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
  if (id != NULL)
    run->ids[run->n_ids++] = id;
}

static void
renew_hold (Run *run, const char *text)
{
  g_auto (GStrv) parts = g_strsplit (text, "/", 2);

  g_assert_true (derate_degradation_manager_renew (run->f->manager, run->ids[atoi (parts[0]) - 1],
                                                   parse_span (parts[1]), NULL));
}

static void
lose_holder (Run *run, const char *number)
{
  g_autofree char *owner = g_strconcat (":1.", number, NULL);

  derate_degradation_manager_owner_vanished (run->f->manager, owner);
}

static gboolean
do_holds (Run *run, const char *key, const char *value)
{
  if (g_str_equal (key, "floor") || g_str_equal (key, "bound"))
    take_hold (run, value, DERATE_HOLD_MODE_AT_LEAST, TRUE);
  else if (g_str_equal (key, "exact"))
    take_hold (run, value, DERATE_HOLD_MODE_EXACT, TRUE);
  else if (g_str_equal (key, "weak"))
    take_hold (run, value, DERATE_HOLD_MODE_EXACT, FALSE);
  else if (g_str_equal (key, "release"))
    g_assert_true (
        derate_degradation_manager_release (run->f->manager, run->ids[atoi (value) - 1], NULL));
  else if (g_str_equal (key, "renew"))
    renew_hold (run, value);
  else if (g_str_equal (key, "vanish"))
    lose_holder (run, value);
  else
    return FALSE;
  return TRUE;
}

/* What must be */

static void
expect_holds (Run *run, const char *value)
{
  g_autoptr (GVariant) holds = derate_degradation_manager_dup_holds (run->f->manager, TRUE);

  if (g_variant_n_children (holds) != (gsize)atoi (value))
    fail (run, "there are %" G_GSIZE_FORMAT, g_variant_n_children (holds));
}

static void
expect_deciding (Run *run, const char *value)
{
  g_autofree char *id = derate_degradation_manager_dup_deciding_hold (run->f->manager);
  guint number = (guint)atoi (value);

  expect_text (run, number > 0 ? run->ids[number - 1] : NULL, id);
}

static void
expect_told (Run *run, const char *value)
{
  g_auto (GStrv) steps = NULL;
  g_autoptr (GString) told = g_string_new (NULL);

  derate_manual_clock_advance (run->f->clock, 0);
  steps = g_strsplit (run->f->told->str, " ", -1);
  for (guint i = 0; steps[i] != NULL && steps[i][0] != '\0'; i++)
    g_string_append_printf (told, "%s%.3s", i > 0 ? "," : "", steps[i]);
  expect_text (run, value, told->str);
  g_string_truncate (run->f->told, 0);
}

/* With the clock standing at the last decision where nothing decides any more. */
static void
expect_stale (Run *run, GTimeSpan span)
{
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateMetricsCollector) collector = derate_degradation_collector_new (run->f->manager);
  g_autofree char *text = NULL;
  const char *line;
  double now =
      (double)derate_clock_get_real_time (DERATE_CLOCK (run->f->clock)) / G_TIME_SPAN_SECOND;

  derate_metrics_registry_add_collector (registry, collector);
  text = derate_metrics_registry_render (registry);
  line = strstr (text, "\ndegradation_last_evaluation_timestamp_seconds ");
  g_assert_nonnull (line);
  g_assert_cmpfloat_with_epsilon (now - g_ascii_strtod (strchr (line, ' ') + 1, NULL),
                                  (double)span / G_TIME_SPAN_SECOND, 0.001);
}

static gboolean
do_numbers (Run *run, const char *key, const char *value)
{
  DerateLevel level = DERATE_LEVEL_UNKNOWN;

  if (g_str_equal (key, "computed"))
    expect_text (run, value,
                 derate_level_get_nick (
                     derate_degradation_manager_get_computed_level (run->f->manager)));
  else if (g_str_equal (key, "rule"))
    fixture_assert_rule (run->f, value);
  else if (g_str_equal (key, "by"))
    expect_deciding (run, value);
  else if (g_str_equal (key, "holds"))
    expect_holds (run, value);
  else if (g_str_equal (key, "told"))
    expect_told (run, value);
  else if (g_str_equal (key, "next"))
    g_assert_cmpint (derate_degradation_manager_get_next_tick (run->f->manager), ==,
                     parse_span (value));
  else if (g_str_equal (key, "stale"))
    expect_stale (run, parse_span (value));
  else if (g_str_equal (key, "enforce"))
    derate_degradation_manager_set_enforced (run->f->manager, FALSE);
  else if (g_str_equal (key, "set") && derate_level_from_nick (value, &level, NULL))
    derate_degradation_manager_set_level (run->f->manager, level, NULL);
  else
    return FALSE;
  return TRUE;
}

/* “ai:off” */
static gboolean
do_feature (Run *run, const char *word)
{
  g_auto (GStrv) pair = g_strsplit (word, ":", 2);
  g_autoptr (GVariant) features = NULL;
  g_autoptr (GVariant) feature = NULL;
  g_autoptr (DerateGate) gate = NULL;
  const char *mode = NULL;
  gboolean enforced;

  if (pair[1] == NULL)
    return FALSE;
  features = derate_degradation_manager_dup_features (run->f->manager);
  feature = g_variant_lookup_value (features, pair[0], G_VARIANT_TYPE_VARDICT);
  g_assert_true (g_variant_lookup (feature, "mode", "&s", &mode));
  expect_text (run, pair[1], mode);
  gate = derate_degradation_manager_get_gate (run->f->manager, pair[0]);
  enforced = derate_degradation_manager_get_enforced (run->f->manager);
  if (derate_gate_is_open (gate) != (!enforced || strcmp (mode, "on") == 0))
    fail (run, "its gate is not");
  return TRUE;
}

static gboolean
do_flag (Run *run, const char *word)
{
  gboolean flapping = derate_degradation_manager_get_flapping (run->f->manager);
  gboolean masks = derate_degradation_manager_get_level (run->f->manager) <
                   derate_degradation_manager_get_computed_level (run->f->manager);

  if (g_str_equal (word, "flapping") || g_str_equal (word, "steady"))
    expect_text (run, word, flapping ? "flapping" : "steady");
  else if (g_str_equal (word, "masks") || g_str_equal (word, "honest"))
    expect_text (run, word, masks ? "masks" : "honest");
  else if (g_str_equal (word, "stepwise"))
    derate_degradation_manager_set_recovery (run->f->manager, DERATE_RECOVERY_MODE_STEPWISE,
                                             30 * G_TIME_SPAN_SECOND, 30 * G_TIME_SPAN_SECOND,
                                             TRUE);
  else
    return FALSE;
  return TRUE;
}

static void
do_word (Run *run, const char *word)
{
  g_auto (GStrv) pair = g_strsplit (word, "=", 2);
  DerateLevel level = DERATE_LEVEL_UNKNOWN;

  if (word[0] == '+')
    derate_manual_clock_advance (run->f->clock, parse_span (word + 1));
  else if (derate_level_from_nick (word, &level, NULL))
    expect_text (run, word,
                 derate_level_get_nick (derate_degradation_manager_get_level (run->f->manager)));
  else if (!do_services (run, word) && !do_flag (run, word) &&
           !(pair[1] != NULL &&
             (do_holds (run, pair[0], pair[1]) || do_numbers (run, pair[0], pair[1]))) &&
           !do_feature (run, word))
    fail (run, "no such word");
}

static void
tell_story (Fixture *f, const Story *story)
{
  Run run = { .f = f, .story = story };
  g_auto (GStrv) words = g_strsplit (story->story, " ", -1);

  fixture_begin (f);
  for (guint i = 0; words[i] != NULL; i++)
    {
      run.word = words[i];
      do_word (&run, words[i]);
    }
  for (guint i = 0; i < run.n_ids; i++)
    g_free (run.ids[i]);
}

static void
test_story (Fixture *f, gconstpointer data)
{
  tell_story (f, data);
}

/* 20: each of the states there are, through the manager, and the rule that says so. */
static void
test_every_state (Fixture *f, gconstpointer data)
{
  g_autofree char *path = g_build_filename (TEST_DATA_DIR, "levels-81.tsv", NULL);
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  guint n = 0;

  fixture_begin (f);
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    {
      g_auto (GStrv) cells = g_strsplit (lines[i], "\t", -1);

      if (lines[i][0] == '#' || lines[i][0] == '\0')
        continue;
      n++;
      for (guint j = 0; j < N_SERVICES; j++)
        fixture_set_status_silently (f, j,
                                     strcmp (cells[j], "down") == 0 ? DERATE_HEALTH_STATUS_DOWN
                                     : strcmp (cells[j], "degraded") == 0
                                         ? DERATE_HEALTH_STATUS_DEGRADED
                                         : DERATE_HEALTH_STATUS_HEALTHY);
      derate_degradation_manager_service_changed (f->manager);
      fixture_advance (f, 1200); /* however much it looks like flapping */
      fixture_assert_level (f, cells[N_SERVICES]);
      fixture_assert_rule (f, cells[N_SERVICES + 1]);
    }
  g_assert_cmpuint (n, ==, 81);
}

/* 11: what is named must be there, and the refusal says where it is named. */
static void
test_names_what_is_not_there (void)
{
  g_autoptr (GPtrArray) inputs =
      g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_input_unref);
  g_autoptr (GPtrArray) rules = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_unref);
  g_autoptr (GPtrArray) features =
      g_ptr_array_new_with_free_func ((GDestroyNotify)derate_feature_unref);
  g_autoptr (DerateRuleSet) set = NULL;
  g_autoptr (GError) error = NULL;

  g_ptr_array_add (inputs, derate_rule_input_new ("redis", DERATE_SERVICE_ROLE_CACHE,
                                                  DERATE_CRITICALITY_MEDIUM));
  g_ptr_array_add (rules, derate_rule_parse ("slow", "redis|mongo=down", "limited", NULL));
  g_assert_null (derate_rule_set_new (inputs, rules, DERATE_RULE_SET_MODE_EXTEND, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_assert_nonnull (strstr (error->message, "slow"));
  g_assert_nonnull (strstr (error->message, "mongo"));
  g_clear_error (&error);

  set = derate_rule_set_new (inputs, NULL, DERATE_RULE_SET_MODE_EXTEND, NULL);
  g_ptr_array_add (features, derate_feature_parse ("search", "elastic", "limited", NULL));
  g_assert_false (derate_degradation_manager_check_features (set, features, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_assert_nonnull (strstr (error->message, "search"));
  g_assert_nonnull (strstr (error->message, "elastic"));
}

/* 12: nothing to depend on is no accident: the level is the best, and says by which rule. */
static void
test_no_services (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateCore) core = derate_core_new ("alone", clock, NULL);
  DerateDegradationManager *manager = derate_core_get_degradation_manager (core);
  g_autofree char *rule = NULL;
  g_autofree char *text = NULL;

  derate_core_start_async (core, NULL, NULL, NULL);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 0);
  g_assert_true (derate_core_is_ready (core));
  g_assert_cmpint (derate_degradation_manager_get_level (manager), ==, DERATE_LEVEL_OPTIMAL);
  rule = derate_degradation_manager_dup_rule (manager);
  g_assert_cmpstr (rule, ==, "all-well");
  text = derate_degradation_manager_dup_explanation (manager);
  g_assert_nonnull (strstr (text, "rule all-well"));
}

/* 13: the second to fail, while the level stays where it is. */
static void
test_second_failure (void)
{
  static const char *const names[] = { "openai", "s3" };
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateConfig) config =
      derate_config_new_from_data ("[derate]\nname=shop\n[service openai]\nrole=ai\n"
                                   "[service s3]\nrole=storage\n",
                                   "shop.conf", NULL);
  g_autoptr (DerateCore) core = derate_core_new_from_config (config, clock, NULL);
  DerateDegradationManager *manager = derate_core_get_degradation_manager (core);
  g_autoptr (GVariant) levels = NULL;

  derate_core_start_async (core, NULL, NULL, NULL);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 0);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (core, names[i]);

      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 7 * G_TIME_SPAN_SECOND);
      g_assert_true (derate_breaker_trip (breaker, NULL));
      g_assert_cmpint (derate_degradation_manager_get_level (manager), ==, DERATE_LEVEL_DEGRADED);
    }
  levels = derate_degradation_manager_dup_history (manager, 0);
  g_assert_cmpuint (g_variant_n_children (levels), ==, 1);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (DerateService) service = derate_core_lookup_service (core, names[i]);
      g_autoptr (GVariant) history = derate_service_dup_history (service);
      g_autoptr (GVariant) last =
          g_variant_get_child_value (history, g_variant_n_children (history) - 1);
      const char *to = NULL;
      double when = 0;

      g_assert_true (g_variant_lookup (last, "to", "&s", &to));
      g_assert_true (g_variant_lookup (last, "time", "d", &when));
      g_assert_cmpstr (to, ==, "down");
      g_assert_cmpfloat_with_epsilon (when, 1763720000 + 7 * (i + 1), 0.001);
    }
}

/* 29: nobody runs the loop, and whoever scrapes sees how old the last word is. */
static void
test_stalled (Fixture *f, gconstpointer data)
{
  static const Story before = { "29-stalled", "+45s stale=15s +15s stale=0" };
  Run run = { .f = f, .story = &before, .word = "" };

  tell_story (f, &before);
  derate_degradation_manager_stop (f->manager);
  fixture_advance (f, 90);
  expect_stale (&run, 90 * G_TIME_SPAN_SECOND);
}

static void
add_stories (const char *kind, const Story *stories, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *path = g_strdup_printf ("/degradation/%s/%s", kind, stories[i].name);

      g_test_add (path, Fixture, &stories[i], fixture_set_up, test_story, fixture_tear_down);
    }
}

static GLogWriterOutput
drop_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  if (level & (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR))
    return g_log_writer_default (level, fields, n_fields, data);
  return G_LOG_WRITER_HANDLED;
}

int
main (int argc, char *argv[])
{
#define PATH "/degradation/behaviour"

  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (drop_log, NULL, NULL);
  add_stories ("behaviour", behaviours, G_N_ELEMENTS (behaviours));
  add_stories ("ahead", ahead, G_N_ELEMENTS (ahead));
  g_test_add_func (PATH "/11-names-what-is-not-there", test_names_what_is_not_there);
  g_test_add_func (PATH "/12-no-services", test_no_services);
  g_test_add_func (PATH "/13-second-failure", test_second_failure);
  g_test_add (PATH "/20-every-state", Fixture, NULL, fixture_set_up, test_every_state,
              fixture_tear_down);
  g_test_add (PATH "/29-stalled", Fixture, NULL, fixture_set_up, test_stalled, fixture_tear_down);
  return g_test_run ();
}
