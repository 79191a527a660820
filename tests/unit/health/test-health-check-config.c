/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>

static void
test_defaults (void)
{
  g_autoptr (DerateHealthCheckConfig) config = derate_health_check_config_new ();

  g_assert_cmpint (derate_health_check_config_get_interval (config), ==, 10 * G_TIME_SPAN_SECOND);
  g_assert_cmpint (derate_health_check_config_get_timeout (config), ==, 2 * G_TIME_SPAN_SECOND);
  g_assert_cmpint (derate_health_check_config_get_fast_interval (config), ==,
                   2 * G_TIME_SPAN_SECOND);
  g_assert_cmpint (derate_health_check_config_get_slow (config), ==, 1 * G_TIME_SPAN_SECOND);
  g_assert_cmpuint (derate_health_check_config_get_fall (config), ==, 3);
  g_assert_cmpuint (derate_health_check_config_get_rise (config), ==, 2);
  g_assert_cmpfloat (derate_health_check_config_get_jitter (config), ==, 0.1);
}

static void
test_follow (void)
{
  g_autoptr (DerateHealthCheckConfig) config = derate_health_check_config_new ();
  g_autoptr (DerateHealthCheckConfig) copy = NULL;

  derate_health_check_config_set_timeout (config, 5 * G_TIME_SPAN_SECOND);
  g_assert_cmpint (derate_health_check_config_get_slow (config), ==,
                   2500 * G_TIME_SPAN_MILLISECOND);
  derate_health_check_config_set_interval (config, 1 * G_TIME_SPAN_SECOND);
  g_assert_cmpint (derate_health_check_config_get_fast_interval (config), ==,
                   1 * G_TIME_SPAN_SECOND);

  copy = derate_health_check_config_copy (config);
  g_assert_true (derate_health_check_config_equal (config, copy));
  derate_health_check_config_set_fall (copy, 9);
  g_assert_false (derate_health_check_config_equal (config, copy));
}

static const struct
{
  const char *key;
  const char *value;
  const char *error; /* part of the message; NULL where it is taken */
} texts[] = {
  { "check-interval", "15s", NULL },
  { "check-timeout", "250ms", NULL },
  { "check-fast-interval", "1s", NULL },
  { "check-slow", "1.5s", NULL },
  { "check-fall", "1", NULL },
  { "check-rise", "4", NULL },
  { "check-jitter", "0", NULL },
  { "check-jitter", "0.5", NULL },
  { "check-interval", "0", "check-interval=0:" },
  { "check-interval", "10", "check-interval=10:" },
  { "check-interval", "", "check-interval=:" },
  { "check-fall", "0", "check-fall=0:" },
  { "check-fall", "-1", "check-fall=-1:" },
  { "check-rise", "two", "check-rise=two:" },
  { "check-jitter", "0.6", "check-jitter=0.6:" },
  { "check-jitter", "-0.1", "check-jitter=-0.1:" },
  { "check-jitter", "nan", "check-jitter=nan:" },
  { "check-jitter", "0.1x", "check-jitter=0.1x:" },
  { "check-path", "/x", "“check-path”" },
};

static void
test_text (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (DerateHealthCheckConfig) config = derate_health_check_config_new ();
  g_autoptr (DerateHealthCheckConfig) before = derate_health_check_config_copy (config);
  g_autoptr (GError) error = NULL;
  gboolean taken =
      derate_health_check_config_set_from_string (config, texts[i].key, texts[i].value, &error);

  if (texts[i].error == NULL)
    {
      g_assert_no_error (error);
      g_assert_true (taken);
      g_assert_false (derate_health_check_config_equal (config, before));
      g_assert_true (derate_health_check_config_has_key (texts[i].key));
      return;
    }
  g_assert_false (taken);
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_assert_nonnull (strstr (error->message, texts[i].error));
  g_assert_true (derate_health_check_config_equal (config, before));
}

static void
test_conflict (void)
{
  g_autoptr (DerateHealthCheckConfig) config = derate_health_check_config_new ();
  g_autoptr (GError) error = NULL;

  g_assert_true (derate_health_check_config_validate (config, NULL));
  derate_health_check_config_set_slow (config, 2 * G_TIME_SPAN_SECOND);
  g_assert_false (derate_health_check_config_validate (config, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_assert_nonnull (strstr (error->message, "check-slow=2s"));
  g_assert_nonnull (strstr (error->message, "check-timeout=2s"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/health/check-config/defaults", test_defaults);
  g_test_add_func ("/health/check-config/follow", test_follow);
  g_test_add_func ("/health/check-config/conflict", test_conflict);
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autofree char *path =
          g_strdup_printf ("/health/check-config/text/%" G_GSIZE_FORMAT "-%s=%s", i, texts[i].key,
                           texts[i].value);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_text);
    }
  return g_test_run ();
}
