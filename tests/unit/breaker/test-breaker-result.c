/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-script.h"

#include "derate-breaker-private.h"

/* Answers that are failures, and answers that say how long to stay away. The answer is an HTTP
 * status. */

static DerateBreakerOutcome
judge_status (GVariant *answer, gpointer user_data)
{
  guint32 status = g_variant_get_uint32 (answer);

  if (user_data != NULL)
    ++*(guint *)user_data;
  if (status >= 500)
    return DERATE_BREAKER_OUTCOME_FAILURE;
  if (status >= 400)
    return DERATE_BREAKER_OUTCOME_NEUTRAL;
  return status == 0 ? DERATE_BREAKER_OUTCOME_UNKNOWN : DERATE_BREAKER_OUTCOME_SUCCESS;
}

static DerateBreaker *
new_breaker (DerateClock *clock, DerateBreakerResultFunc func, gpointer user_data)
{
  g_autoptr (DerateBreakerConfig) config =
      breaker_config_from_words ("failure-threshold=2 open-duration=10s success-threshold=1");

  derate_breaker_config_set_result_func (config, func, user_data, NULL);
  return derate_breaker_new_with_clock ("b", config, clock);
}

static GVariant *
give_status (GCancellable *cancellable, gpointer user_data, GError **error)
{
  return g_variant_new_uint32 (GPOINTER_TO_UINT (user_data));
}

static void
start_status (DerateCall *call, GCancellable *cancellable, gpointer user_data)
{
  derate_call_succeed (call, g_variant_new_uint32 (GPOINTER_TO_UINT (user_data)));
  derate_call_unref (call);
}

static void
keep_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **)user_data = g_object_ref (result);
}

typedef GVariant *(*Form) (DerateBreaker *breaker, guint status, GError **error);

static GVariant *
call_sync (DerateBreaker *breaker, guint status, GError **error)
{
  return derate_breaker_call (breaker, give_status, GUINT_TO_POINTER (status), NULL, error);
}

static GVariant *
call_async (DerateBreaker *breaker, guint status, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  derate_breaker_call_async (breaker, start_status, GUINT_TO_POINTER (status), NULL, NULL,
                             keep_result, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  return derate_breaker_call_finish (breaker, result, error);
}

static GVariant *
call_pipeline (DerateBreaker *breaker, guint status, GError **error)
{
  g_autoptr (DerateBreakerPolicy) policy = derate_breaker_policy_new (breaker);

  return derate_policy_call (DERATE_POLICY (policy), NULL, give_status, GUINT_TO_POINTER (status),
                             NULL, NULL, error);
}

static const struct
{
  const char *name;
  Form form;
} forms[] = {
  { "sync", call_sync },
  { "async", call_async },
  { "pipeline", call_pipeline },
};

/* The caller gets the answer, whatever it is taken for. */
static void
expect_answer (Form form, DerateBreaker *breaker, guint status)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer = form (breaker, status, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_get_uint32 (answer), ==, status);
}

static void
test_judged (gconstpointer data)
{
  Form form = forms[GPOINTER_TO_UINT (data)].form;
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  guint asked = 0;
  g_autoptr (DerateBreaker) breaker = new_breaker (clock, judge_status, &asked);
  g_autoptr (GError) error = NULL;
  DerateBreakerTotals totals;

  expect_answer (form, breaker, 200);
  expect_answer (form, breaker, 503);
  expect_answer (form, breaker, 404);
  expect_answer (form, breaker, 0);
  derate_breaker_get_totals (breaker, &totals);
  g_assert_cmpuint (totals.success, ==, 1);
  g_assert_cmpuint (totals.failure, ==, 1);
  g_assert_cmpuint (totals.neutral, ==, 2);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_CLOSED);

  expect_answer (form, breaker, 500);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_OPEN);
  g_assert_null (form (breaker, 200, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_OPEN);
  g_assert_cmpuint (asked, ==, 5);
}

/* A good answer closes, a neutral one gives its probe back, a bad one opens again. */
static void
test_probes (gconstpointer data)
{
  Form form = forms[GPOINTER_TO_UINT (data)].form;
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker (clock, judge_status, NULL);

  derate_breaker_trip (breaker, NULL);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 10 * G_TIME_SPAN_SECOND);
  expect_answer (form, breaker, 404);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_HALF_OPEN);
  expect_answer (form, breaker, 500);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_OPEN);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 10 * G_TIME_SPAN_SECOND);
  expect_answer (form, breaker, 200);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_CLOSED);
}

/* An answer that says how long: the function opens the breaker it is of. */
static DerateBreakerOutcome
obey_retry_after (GVariant *answer, gpointer user_data)
{
  DerateBreaker **breaker = user_data;

  if (g_variant_get_uint32 (answer) != 429)
    return DERATE_BREAKER_OUTCOME_SUCCESS;
  derate_breaker_open_for (*breaker, G_TIME_SPAN_HOUR, NULL);
  return DERATE_BREAKER_OUTCOME_FAILURE;
}

static void
test_says_how_long (gconstpointer data)
{
  Form form = forms[GPOINTER_TO_UINT (data)].form;
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  DerateBreaker *breaker = NULL;
  g_autoptr (DerateBreakerStats) stats = NULL;

  breaker = new_breaker (clock, obey_retry_after, &breaker);
  expect_answer (form, breaker, 200);
  expect_answer (form, breaker, 429);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_OPEN);
  g_assert_cmpint (derate_breaker_get_retry_after (breaker), ==, G_TIME_SPAN_HOUR);
  stats = derate_breaker_dup_stats (breaker);
  g_assert_cmpuint (stats->failed_requests, ==, 1);
  g_assert_cmpuint (stats->circuit_open_count, ==, 1);

  /* Not sooner, whatever checks say; and the probe may say it again. */
  derate_breaker_note_good_check (breaker, 9, 2);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_OPEN);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), G_TIME_SPAN_HOUR);
  expect_answer (form, breaker, 429);
  g_assert_cmpint (derate_breaker_get_retry_after (breaker), ==, G_TIME_SPAN_HOUR);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), G_TIME_SPAN_HOUR);
  expect_answer (form, breaker, 200);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_CLOSED);
  g_object_unref (breaker);
}

/* The call itself says how long, and fails then: it opened once, for that long. */
static GVariant *
open_and_fail (GCancellable *cancellable, gpointer user_data, GError **error)
{
  derate_breaker_open_for (user_data, G_TIME_SPAN_MINUTE, NULL);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, "come back in a minute");
  return NULL;
}

static void
test_call_says_how_long (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker (clock, NULL, NULL);
  g_autoptr (DerateBreakerStats) stats = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_null (derate_breaker_call (breaker, open_and_fail, breaker, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_assert_cmpint (derate_breaker_get_retry_after (breaker), ==, G_TIME_SPAN_MINUTE);
  stats = derate_breaker_dup_stats (breaker);
  g_assert_cmpuint (stats->circuit_open_count, ==, 1);
}

static void
count_free (gpointer user_data)
{
  ++*(guint *)user_data;
}

/* Who may still ask the function keeps its data; without it an answer is a success. */
static void
test_lifetime (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreakerConfig) config = breaker_config_from_words ("failure-threshold=1");
  g_autoptr (DerateBreakerConfig) same = NULL;
  g_autoptr (DerateBreakerConfig) plain = breaker_config_from_words ("failure-threshold=1");
  g_autoptr (DerateBreaker) breaker = NULL;
  guint freed = 0;

  derate_breaker_config_set_result_func (config, judge_status, &freed, count_free);
  g_assert_false (derate_breaker_config_equal (config, plain));
  same = derate_breaker_config_copy (config);
  g_assert_true (derate_breaker_config_equal (config, same));
  breaker = derate_breaker_new_with_clock ("b", config, clock);
  derate_breaker_config_set_result_func (config, NULL, NULL, NULL);
  derate_breaker_config_set_result_func (same, NULL, NULL, NULL);
  g_assert_cmpuint (freed, ==, 0);
  g_assert_true (derate_breaker_reconfigure (breaker, plain, NULL));
  g_assert_cmpuint (freed, ==, 1);
  expect_answer (call_sync, breaker, 503);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_CLOSED);
}

static const struct
{
  const char *name;
  guint failures;
  guint seconds;
  double rate;
  guint successes;
} presets[] = {
  { "development", 10, 30, 0.7, 2 },
  { "staging", 8, 30, 0.6, 2 },
  { "production", 5, 60, 0.5, 2 },
  { "critical", 3, 120, 0.3, 3 },
};

static void
test_presets (void)
{
  g_autoptr (DerateBreakerConfig) before = derate_breaker_config_new ();
  g_autoptr (DerateBreakerConfig) other = derate_breaker_config_new ();
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (presets); i++)
    {
      g_autoptr (DerateBreakerConfig) config = breaker_config_from_words ("window-size=20");

      derate_breaker_config_apply_preset (config, presets[i].name, &error);
      g_assert_no_error (error);
      g_assert_true (derate_breaker_config_validate (config, NULL));
      g_assert_cmpuint (derate_breaker_config_get_failure_threshold (config), ==,
                        presets[i].failures);
      g_assert_cmpint (derate_breaker_config_get_open_duration (config), ==,
                       presets[i].seconds * G_TIME_SPAN_SECOND);
      g_assert_cmpfloat (derate_breaker_config_get_failure_rate_threshold (config), ==,
                         presets[i].rate);
      g_assert_cmpuint (derate_breaker_config_get_success_threshold (config), ==,
                        presets[i].successes);
      g_assert_cmpuint (derate_breaker_config_get_window_size (config), ==, 20);
    }
  g_assert_false (derate_breaker_config_apply_preset (other, "Production", &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_assert_nonnull (strstr (error->message, "'Production'"));
  g_assert_true (derate_breaker_config_equal (before, other));
}

int
main (int argc, char **argv)
{
  breaker_test_init (&argc, &argv);

  for (guint i = 0; i < G_N_ELEMENTS (forms); i++)
    {
      g_autofree char *judged = g_strconcat ("/breaker/result/judged/", forms[i].name, NULL);
      g_autofree char *probes = g_strconcat ("/breaker/result/probes/", forms[i].name, NULL);
      g_autofree char *how_long = g_strconcat ("/breaker/result/how-long/", forms[i].name, NULL);

      g_test_add_data_func (judged, GUINT_TO_POINTER (i), test_judged);
      g_test_add_data_func (probes, GUINT_TO_POINTER (i), test_probes);
      g_test_add_data_func (how_long, GUINT_TO_POINTER (i), test_says_how_long);
    }
  g_test_add_func ("/breaker/result/how-long/by-the-call", test_call_says_how_long);
  g_test_add_func ("/breaker/result/lifetime", test_lifetime);
  g_test_add_func ("/breaker/presets", test_presets);
  return g_test_run ();
}
