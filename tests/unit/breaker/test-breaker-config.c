/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-script.h"

#include <string.h>

#include "derate-breaker-config-private.h"

static const struct
{
  const char *key;
  const char *value;
} good[] = {
  { "failure-threshold", "3" },
  { "failure-threshold", "0" },
  { "window", "none" },
  { "window", "count" },
  { "window-size", "100" },
  { "minimum-calls", "4" },
  { "failure-rate-threshold", "0.3" },
  { "failure-rate-threshold", "1" },
  { "slow-call-duration", "250ms" },
  { "slow-call-duration", "off" },
  { "slow-call-duration", "0" },
  { "slow-call-rate-threshold", "0.5" },
  { "measure", "true" },
  { "measure", "false" },
  { "open-duration", "2m" },
  { "open-duration", "0" },
  { "open-duration-multiplier", "1.5" },
  { "open-duration-max", "1h" },
  { "open-duration-jitter", "0" },
  { "half-open-max-calls", "3" },
  { "success-threshold", "1" },
  { "half-open-lease", "10s" },
  { "window", "time" },
  { "window-size", "10s" },
  { "window-size", "10ms" },
  { "window-size", "1d" },
  { "half-open-decision", "strict" },
  { "half-open-decision", "rate" },
  { "ramp-duration", "0" },
  { "ramp-duration", "10s" },
};

static const struct
{
  const char *key;
  const char *value;
} bad[] = {
  { "failure-threshold", "-1" },
  { "failure-threshold", "five" },
  { "failure-threshold", "" },
  { "failure-threshold", "99999999999" },
  { "window", "rolling" },
  { "window-size", "0" },
  { "window-size", "9ms" },
  { "window-size", "25h" },
  { "window-size", "ten" },
  { "window-size", "100001" },
  { "minimum-calls", "0" },
  { "failure-rate-threshold", "0" },
  { "failure-rate-threshold", "1.1" },
  { "failure-rate-threshold", "50%" },
  { "failure-rate-threshold", "nan" },
  { "failure-rate-threshold", "-0.5" },
  { "slow-call-duration", "5" },
  { "slow-call-rate-threshold", "0" },
  { "measure", "yes" },
  { "measure", "" },
  { "open-duration", "60" },
  { "open-duration", "off" },
  { "open-duration-multiplier", "0.5" },
  { "open-duration-multiplier", "inf" },
  { "open-duration-multiplier", "1e9" },
  { "open-duration-max", "0" },
  { "open-duration-jitter", "1.5" },
  { "half-open-max-calls", "0" },
  { "success-threshold", "0" },
  { "half-open-lease", "0" },
  { "half-open-decision", "majority" },
  { "half-open-decision", "" },
  { "ramp-duration", "10" },
  { "ramp-duration", "-1s" },
  { "recovery-timeout", "60s" },
};

static void
test_good (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (good); i++)
    {
      g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
      g_autoptr (GError) error = NULL;

      g_assert_true (
          derate_breaker_config_set_from_string (config, good[i].key, good[i].value, &error));
      g_assert_no_error (error);
    }
}

/* The error names key and value, and nothing has changed. */
static void
test_bad (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
      g_autoptr (DerateBreakerConfig) before = derate_breaker_config_new ();
      g_autoptr (GError) error = NULL;

      g_test_message ("%s=%s", bad[i].key, bad[i].value);
      g_assert_false (
          derate_breaker_config_set_from_string (config, bad[i].key, bad[i].value, &error));
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_assert_nonnull (strstr (error->message, bad[i].key));
      g_assert_nonnull (strstr (error->message, bad[i].value));
      g_assert_true (derate_breaker_config_equal (config, before));
    }
}

static const struct
{
  const char *words;
  const char *named; /* in the error; NULL: no conflict */
} pairs[] = {
  { "", NULL },
  { "window-size=5 minimum-calls=5", NULL },
  { "window-size=5 minimum-calls=6", "minimum-calls" },
  { "window=none minimum-calls=60", NULL },
  { "window=time", NULL },
  { "window=time minimum-calls=60", NULL },
  { "window=time window-size=5s", NULL },
  { "window-size=5s window=time", NULL },
  { "window=time window-size=5", "window-size: '5' is a number of calls" },
  { "window-size=5 window=time", "window-size: '5' is a number of calls" },
  { "window-size=5 window=time window-size=5s", NULL },
  { "window-size=5s", "window-size: '5s' is a duration" },
  { "window=count window-size=90s", "window-size: '90s' is a duration" },
  { "window=none window-size=5s", NULL },
  { "window=time slow-call-duration=1s", NULL },
  { "open-duration=20m", NULL },
  { "open-duration=20m open-duration-max=10m", "open-duration-max" },
  { "slow-call-rate-threshold=0.5", "slow-call-duration" },
  { "slow-call-rate-threshold=0.5 slow-call-duration=1s", NULL },
  { "window=none slow-call-duration=1s", "slow-call-duration" },
};

static void
test_pairs (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (pairs); i++)
    {
      g_autoptr (DerateBreakerConfig) config = breaker_config_from_words (pairs[i].words);
      g_autoptr (GError) error = NULL;
      gboolean valid = derate_breaker_config_validate (config, &error);

      g_test_message ("%s", pairs[i].words);
      g_assert_cmpint (valid, ==, pairs[i].named == NULL);
      if (valid)
        continue;
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_assert_nonnull (strstr (error->message, pairs[i].named));
    }
}

/* What setters let pass, validate () does not, and no breaker is made of it. */
static void
test_setters (void)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
  g_autoptr (GError) error = NULL;

  derate_breaker_config_set_failure_rate_threshold (config, 0.0 / 0.0);
  g_assert_false (derate_breaker_config_validate (config, &error));
  g_assert_nonnull (strstr (error->message, "failure-rate-threshold"));
  derate_breaker_config_set_failure_rate_threshold (config, 0.5);
  g_assert_true (derate_breaker_config_validate (config, NULL));

  g_clear_error (&error);
  derate_breaker_config_set_open_duration (config, -5);
  g_assert_false (derate_breaker_config_validate (config, &error));
  g_assert_nonnull (strstr (error->message, "open-duration"));
  derate_breaker_config_set_open_duration (config, G_TIME_SPAN_SECOND);

  g_clear_error (&error);
  derate_breaker_config_set_window (config, DERATE_BREAKER_WINDOW_TIME);
  g_assert_true (derate_breaker_config_validate (config, NULL));
  g_assert_cmpuint (derate_breaker_config_get_minimum_calls (config), ==, 10);
  derate_breaker_config_set_window_size (config, 20);
  g_assert_false (derate_breaker_config_validate (config, &error));
  g_assert_nonnull (strstr (error->message, "window-size"));
  derate_breaker_config_set_window_duration (config, G_TIME_SPAN_MINUTE);
  g_assert_true (derate_breaker_config_validate (config, NULL));
  g_clear_error (&error);
  derate_breaker_config_set_window_duration (config, 0);
  g_assert_false (derate_breaker_config_validate (config, &error));
  g_assert_nonnull (strstr (error->message, "window-size"));
  derate_breaker_config_set_window (config, (DerateBreakerWindow)7);
  g_assert_false (derate_breaker_config_validate (config, NULL));
}

static void
test_defaults (void)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();

  g_assert_cmpuint (derate_breaker_config_get_failure_threshold (config), ==, 5);
  g_assert_cmpint (derate_breaker_config_get_window (config), ==, DERATE_BREAKER_WINDOW_COUNT);
  g_assert_cmpuint (derate_breaker_config_get_window_size (config), ==, 10);
  g_assert_cmpuint (derate_breaker_config_get_minimum_calls (config), ==, 10);
  g_assert_cmpfloat (derate_breaker_config_get_failure_rate_threshold (config), ==, 0.5);
  g_assert_cmpint (derate_breaker_config_get_slow_call_duration (config), ==, 0);
  g_assert_cmpfloat (derate_breaker_config_get_slow_call_rate_threshold (config), ==, 1.0);
  g_assert_cmpint (derate_breaker_config_get_open_duration (config), ==, 60 * G_TIME_SPAN_SECOND);
  g_assert_cmpfloat (derate_breaker_config_get_open_duration_multiplier (config), ==, 1.0);
  g_assert_cmpint (derate_breaker_config_get_open_duration_max (config), ==,
                   10 * G_TIME_SPAN_MINUTE);
  g_assert_cmpfloat (derate_breaker_config_get_open_duration_jitter (config), ==, 0.1);
  g_assert_cmpuint (derate_breaker_config_get_half_open_max_calls (config), ==, 1);
  g_assert_cmpuint (derate_breaker_config_get_success_threshold (config), ==, 2);
  g_assert_cmpint (derate_breaker_config_get_half_open_lease (config), ==, 60 * G_TIME_SPAN_SECOND);

  g_assert_cmpint (derate_breaker_config_get_window_duration (config), ==, 10 * G_TIME_SPAN_SECOND);

  derate_breaker_config_set_window_size (config, 20);
  derate_breaker_config_set_open_duration (config, G_TIME_SPAN_HOUR);
  g_assert_cmpuint (derate_breaker_config_get_minimum_calls (config), ==, 20);
  g_assert_cmpint (derate_breaker_config_get_half_open_lease (config), ==, G_TIME_SPAN_HOUR);
  g_assert_cmpint (derate_breaker_config_get_open_duration_max (config), ==, G_TIME_SPAN_HOUR);
}

/* A copy is a copy, and a breaker has its own. */
static void
test_copies (void)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
  g_autoptr (DerateBreakerConfig) copy = g_boxed_copy (DERATE_TYPE_BREAKER_CONFIG, config);
  g_autoptr (DerateBreaker) breaker = derate_breaker_new ("b", config);
  g_autoptr (DerateBreakerConfig) taken = NULL;

  derate_breaker_config_set_failure_threshold (config, 9);
  g_assert_cmpuint (derate_breaker_config_get_failure_threshold (copy), ==, 5);
  g_assert_false (derate_breaker_config_equal (config, copy));
  taken = derate_breaker_dup_config (breaker);
  g_assert_true (derate_breaker_config_equal (taken, copy));
}

static void
test_environment (void)
{
  g_autoptr (DerateBreakerConfig) config = NULL;
  g_autoptr (GError) error = NULL;

  g_unsetenv ("DEFAULT_FAILURE_THRESHOLD");
  g_unsetenv ("DEFAULT_RECOVERY_TIMEOUT");
  config = derate_breaker_config_new_from_environment (&error);
  g_assert_no_error (error);
  g_assert_cmpuint (derate_breaker_config_get_failure_threshold (config), ==, 5);
  g_clear_pointer (&config, derate_breaker_config_free);

  g_setenv ("DEFAULT_FAILURE_THRESHOLD", "7", TRUE);
  g_setenv ("DEFAULT_RECOVERY_TIMEOUT", "12.5", TRUE);
  config = derate_breaker_config_new_from_environment (&error);
  g_assert_no_error (error);
  g_assert_cmpuint (derate_breaker_config_get_failure_threshold (config), ==, 7);
  g_assert_cmpint (derate_breaker_config_get_open_duration (config), ==, 12500000);
  g_clear_pointer (&config, derate_breaker_config_free);

  g_setenv ("DEFAULT_FAILURE_THRESHOLD", "7.5", TRUE);
  g_assert_null (derate_breaker_config_new_from_environment (&error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_assert_nonnull (strstr (error->message, "DEFAULT_FAILURE_THRESHOLD"));
  g_clear_error (&error);

  g_setenv ("DEFAULT_FAILURE_THRESHOLD", "7", TRUE);
  g_setenv ("DEFAULT_RECOVERY_TIMEOUT", "soon", TRUE);
  g_assert_null (derate_breaker_config_new_from_environment (&error));
  g_assert_nonnull (strstr (error->message, "DEFAULT_RECOVERY_TIMEOUT"));
}

/* A breaker of such a config never opens, until it is told to take part. */
static void
test_environment_disables (void)
{
  g_autoptr (DerateBreakerConfig) config = NULL;
  g_autoptr (DerateBreakerConfig) copy = NULL;
  g_autoptr (DerateBreakerConfig) plain = derate_breaker_config_new ();
  g_autoptr (DerateBreaker) breaker = NULL;
  g_autoptr (GError) error = NULL;

  g_unsetenv ("DEFAULT_FAILURE_THRESHOLD");
  g_unsetenv ("DEFAULT_RECOVERY_TIMEOUT");
  g_setenv ("ENABLE_RESILIENCE", "maybe", TRUE);
  g_assert_null (derate_breaker_config_new_from_environment (&error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_assert_nonnull (strstr (error->message, "ENABLE_RESILIENCE"));

  g_setenv ("ENABLE_RESILIENCE", "false", TRUE);
  config = derate_breaker_config_new_from_environment (NULL);
  g_unsetenv ("ENABLE_RESILIENCE");
  derate_breaker_config_set_failure_threshold (config, 1);
  copy = derate_breaker_config_copy (config);
  breaker = derate_breaker_new ("b", copy);
  g_assert_cmpint (derate_breaker_get_mode (breaker), ==, DERATE_BREAKER_MODE_DISABLED);
  for (guint i = 0; i < 20; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
      derate_permit_fail (&permit, NULL);
    }
  g_assert_true (derate_breaker_reconfigure (breaker, plain, NULL));
  g_assert_cmpint (derate_breaker_get_mode (breaker), ==, DERATE_BREAKER_MODE_DISABLED);
  derate_breaker_set_mode (breaker, DERATE_BREAKER_MODE_NORMAL);
  g_assert_true (derate_breaker_trip (breaker, NULL));
}

/* Which errors are failures */
enum
{
  PLAIN,
  IGNORE_ALL_IO = 1,
  IGNORE_NOT_FOUND = 2,
  RECORD_TIMED_OUT = 4,
  FUNCTION = 8,
};

static const struct
{
  const char *description;
  guint rules;
  GQuark (*domain) (void);
  int code;
  gboolean failure;
} judged[] = {
  { "any error", PLAIN, g_io_error_quark, G_IO_ERROR_CONNECTION_REFUSED, TRUE },
  { "cancelled", PLAIN, g_io_error_quark, G_IO_ERROR_CANCELLED, FALSE },
  { "own timeout", PLAIN, derate_error_quark, DERATE_ERROR_TIMED_OUT, TRUE },
  { "own refusal: open", PLAIN, derate_error_quark, DERATE_ERROR_OPEN, FALSE },
  { "own refusal: bulkhead", PLAIN, derate_error_quark, DERATE_ERROR_QUEUE_FULL, FALSE },
  { "own refusal: rate", PLAIN, derate_error_quark, DERATE_ERROR_RATE_LIMITED, FALSE },
  { "own refusal: level", PLAIN, derate_error_quark, DERATE_ERROR_LEVEL, FALSE },
  { "own refusal: hold", PLAIN, derate_error_quark, DERATE_ERROR_HOLD, FALSE },
  { "ignored by code", IGNORE_NOT_FOUND, g_io_error_quark, G_IO_ERROR_NOT_FOUND, FALSE },
  { "not ignored", IGNORE_NOT_FOUND, g_io_error_quark, G_IO_ERROR_BUSY, TRUE },
  { "ignored by domain", IGNORE_ALL_IO, g_io_error_quark, G_IO_ERROR_BUSY, FALSE },
  { "recorded", RECORD_TIMED_OUT, g_io_error_quark, G_IO_ERROR_TIMED_OUT, TRUE },
  { "not recorded", RECORD_TIMED_OUT, g_io_error_quark, G_IO_ERROR_BUSY, FALSE },
  { "ignore outranks record", RECORD_TIMED_OUT | IGNORE_ALL_IO, g_io_error_quark,
    G_IO_ERROR_TIMED_OUT, FALSE },
  { "function says failure", FUNCTION, g_io_error_quark, G_IO_ERROR_BUSY, TRUE },
  { "function says neutral", FUNCTION, g_io_error_quark, G_IO_ERROR_NOT_FOUND, FALSE },
  { "function is not asked about cancelled", FUNCTION, g_io_error_quark, G_IO_ERROR_CANCELLED,
    FALSE },
};

static gboolean
is_busy (const GError *error, gpointer user_data)
{
  g_assert_cmpint (error->code, !=, G_IO_ERROR_CANCELLED);
  return error->code == G_IO_ERROR_BUSY;
}

static void
test_errors (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (judged); i++)
    {
      g_autoptr (DerateBreakerConfig) config = breaker_config_from_words ("failure-threshold=1");
      g_autoptr (GError) error = g_error_new (judged[i].domain (), judged[i].code, "x");
      g_autoptr (DerateBreaker) breaker = NULL;
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      g_test_message ("%s", judged[i].description);
      if (judged[i].rules & IGNORE_ALL_IO)
        derate_breaker_config_ignore_error (config, G_IO_ERROR, -1);
      if (judged[i].rules & IGNORE_NOT_FOUND)
        derate_breaker_config_ignore_error (config, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
      if (judged[i].rules & RECORD_TIMED_OUT)
        derate_breaker_config_record_error (config, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
      if (judged[i].rules & FUNCTION)
        derate_breaker_config_set_error_func (config, is_busy, NULL, NULL);

      g_assert_cmpint (derate_breaker_config_is_failure (config, error), ==, judged[i].failure);
      breaker = derate_breaker_new ("b", config);
      g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
      derate_permit_fail (&permit, error);
      g_assert_cmpint (derate_breaker_get_state (breaker) == DERATE_BREAKER_STATE_OPEN, ==,
                       judged[i].failure);
    }
}

static void
count_free (gpointer user_data)
{
  ++*(guint *)user_data;
}

/* The function's data lives as long as anybody may call it. */
static void
test_error_func_lifetime (void)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
  g_autoptr (DerateBreakerConfig) other = derate_breaker_config_new ();
  DerateBreaker *breaker;
  guint freed = 0;

  derate_breaker_config_set_error_func (config, is_busy, &freed, count_free);
  breaker = derate_breaker_new ("b", config);
  derate_breaker_config_set_error_func (config, NULL, NULL, NULL);
  g_assert_cmpuint (freed, ==, 0);
  g_assert_true (derate_breaker_reconfigure (breaker, other, NULL));
  g_assert_cmpuint (freed, ==, 1);
  g_object_unref (breaker);
}

static void
test_nicks (void)
{
  static const struct
  {
    const char *text;
    DerateBreakerState state;
  } states[] = {
    { "closed", DERATE_BREAKER_STATE_CLOSED },
    { "CLOSED", DERATE_BREAKER_STATE_CLOSED },
    { "open", DERATE_BREAKER_STATE_OPEN },
    { "half-open", DERATE_BREAKER_STATE_HALF_OPEN },
    { "half_open", DERATE_BREAKER_STATE_HALF_OPEN },
    { "HALF_OPEN", DERATE_BREAKER_STATE_HALF_OPEN },
    { "half", DERATE_BREAKER_STATE_UNKNOWN },
    { "", DERATE_BREAKER_STATE_UNKNOWN },
    { "unknown", DERATE_BREAKER_STATE_UNKNOWN },
    { NULL, DERATE_BREAKER_STATE_UNKNOWN },
  };
  DerateBreakerMode mode;
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (states); i++)
    g_assert_cmpint (derate_breaker_state_from_nick (states[i].text), ==, states[i].state);
  g_assert_cmpstr (derate_breaker_state_to_nick (DERATE_BREAKER_STATE_HALF_OPEN), ==, "half-open");
  g_assert_true (derate_breaker_mode_from_nick ("FORCED_OPEN", &mode, &error));
  g_assert_cmpint (mode, ==, DERATE_BREAKER_MODE_FORCED_OPEN);
  g_assert_false (derate_breaker_mode_from_nick ("broken", &mode, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_UNKNOWN_MODE);
}

int
main (int argc, char **argv)
{
  breaker_test_init (&argc, &argv);

  g_test_add_func ("/breaker/config/good", test_good);
  g_test_add_func ("/breaker/trap/24-invalid-values", test_bad);
  g_test_add_func ("/breaker/trap/24-conflicting-pairs", test_pairs);
  g_test_add_func ("/breaker/config/setters", test_setters);
  g_test_add_func ("/breaker/config/defaults", test_defaults);
  g_test_add_func ("/breaker/config/copies", test_copies);
  g_test_add_func ("/breaker/config/environment", test_environment);
  g_test_add_func ("/breaker/config/environment-disables", test_environment_disables);
  g_test_add_func ("/breaker/config/errors", test_errors);
  g_test_add_func ("/breaker/config/error-func", test_error_func_lifetime);
  g_test_add_func ("/breaker/config/nicks", test_nicks);
  return g_test_run ();
}
