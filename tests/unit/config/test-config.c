/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>
#include <glib/gstdio.h>
#include <string.h>

/* What surfaces.md shows, and a little of everything else. */
static const char good[] = "# a comment\n"
                           "[derate]\n"
                           "name = retail-agent\n"
                           "recovery-interval=30s\n"
                           "recovery-damping=off\n"
                           "answer-budget=200ms\n"
                           "\n"
                           "[service database]\n"
                           "plugin=postgresql\n"
                           "  # indented\n"
                           "uri=postgresql:///shop?host=${PGHOST:-/run/postgresql}\n"
                           "criticality=critical\n"
                           "breaker-failure-threshold=3\n"
                           "breaker-open-duration=30s\n"
                           "breaker-degraded-rate=0.25\n"
                           "bulkhead=25\n"
                           "fallback=prices  error\n"
                           "check-query=SELECT 'a=b' # not a comment\n"
                           "check-timeout=1500ms\n"
                           "check-fall=5\r\n"
                           "\n"
                           "[service cache]\n"
                           "role=cache\n"
                           "\n"
                           "[fallback prices]\n"
                           "strategy=cached\n"
                           "max-age=10m\n"
                           "\n"
                           "[rule ai-and-cache]\n"
                           "when=openai=down redis=down\n"
                           "level=limited\n"
                           "[feature ai]\n"
                           "needs=openai\n"
                           "until=degraded";

static DerateConfig *
parse (const char *text)
{
  g_autoptr (GError) error = NULL;
  DerateConfig *config = derate_config_new_from_data (text, "a.conf", &error);

  g_assert_no_error (error);
  return config;
}

static void
assert_words (char **words, const char *expected)
{
  g_autofree char *joined = g_strjoinv (" ", words);

  g_assert_cmpstr (joined, ==, expected);
  g_strfreev (words);
}

static void
test_values (void)
{
  g_autoptr (DerateConfig) config = parse (good);
  g_autofree char *origin = NULL;
  const char *group = "service database";

  assert_words (derate_config_list_names (config, "service"), "database cache");
  assert_words (derate_config_list_names (config, "rule"), "ai-and-cache");
  assert_words (derate_config_list_names (config, "queue"), "");
  assert_words (derate_config_list_names (config, "http"), "");
  assert_words (derate_config_list_names (config, "nonsense"), "");
  assert_words (derate_config_list_keys (config, "fallback prices"), "strategy max-age");
  assert_words (derate_config_list_keys (config, "fallback other"), "");
  assert_words (derate_config_list_words (config, group, "fallback"), "prices error");
  assert_words (derate_config_list_words (config, "service cache", "fallback"), "");

  g_assert_cmpstr (derate_config_get_text (config, "derate", "name", NULL), ==, "retail-agent");
  g_assert_cmpstr (derate_config_get_text (config, group, "uri", NULL), ==,
                   "postgresql:///shop?host=/run/postgresql");
  g_assert_cmpstr (derate_config_get_text (config, group, "check-query", NULL), ==,
                   "SELECT 'a=b' # not a comment");
  g_assert_cmpstr (derate_config_get_text (config, group, "password-file", "none"), ==, "none");
  g_assert_cmpint (derate_config_get_duration (config, "derate", "answer-budget", 7), ==, 200000);
  g_assert_cmpint (derate_config_get_duration (config, "derate", "grace", 7), ==, 7);
  g_assert_cmpuint (derate_config_get_uint (config, group, "bulkhead", 7), ==, 25);
  g_assert_cmpuint (derate_config_get_uint (config, "service cache", "bulkhead", 7), ==, 7);
  g_assert_cmpfloat (derate_config_get_double (config, group, "breaker-degraded-rate", 0.5), ==,
                     0.25);
  g_assert_cmpfloat (derate_config_get_double (config, "service cache", "breaker-degraded-rate",
                                               0.5),
                     ==, 0.5);
  g_assert_false (derate_config_get_boolean (config, "derate", "recovery-damping", TRUE));
  g_assert_true (derate_config_get_boolean (config, "derate", "enforce", TRUE));
  g_assert_cmpint (derate_config_get_enum (config, group, "criticality", DERATE_TYPE_CRITICALITY,
                                           -1),
                   ==, DERATE_CRITICALITY_CRITICAL);
  g_assert_cmpint (derate_config_get_enum (config, group, "role", DERATE_TYPE_SERVICE_ROLE, -1), ==,
                   -1);
  g_assert_true (derate_config_has_group (config, "service cache"));
  g_assert_false (derate_config_has_group (config, "service cach"));

  origin = derate_config_dup_origin (config, group, "plugin");
  g_assert_cmpstr (origin, ==, "file a.conf, [service database], plugin");
}

static void
test_expansion (void)
{
  static const struct
  {
    const char *raw;
    const char *value;
  } cases[] = {
    { "${SET}", "value" },
    { "a${SET}b${SET}c", "avaluebvaluec" },
    { "${SET:-other}", "value" },
    { "${UNSET:-other}", "other" },
    { "${EMPTY:-other}", "other" },
    { "${UNSET:-}x", "x" },
    { "${UNSET:-a:-b}", "a:-b" },
    { "$$", "$" },
    { "$${SET}", "${SET}" },
    { "$$$$SET", "$$SET" },
    { "a\\nb\\", "a\\nb\\" },
    { "\"q\"", "\"q\"" },
    { "  inner  kept  ", "inner  kept" },
    { "${EMPTY}", "unset" },
    { "${UNSET:-}", "unset" },
    { "", "unset" },
  };

  g_setenv ("SET", "value", TRUE);
  g_setenv ("EMPTY", "", TRUE);
  g_unsetenv ("UNSET");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *text = g_strdup_printf ("[service x]\nuri=%s\n", cases[i].raw);
      g_autoptr (DerateConfig) config = parse (text);

      g_assert_cmpstr (derate_config_get_text (config, "service x", "uri", "unset"), ==,
                       cases[i].value);
    }
}

/* A folder with a.conf and what a test puts in a.conf.d. */
static char *
write_files (const char *main_text, const char *const *names, const char *const *texts)
{
  char *folder = g_dir_make_tmp ("derate-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "a.conf", NULL);
  g_autofree char *more = g_strconcat (path, ".d", NULL);

  g_assert_true (g_file_set_contents (path, main_text, -1, NULL));
  if (names[0] != NULL)
    g_assert_cmpint (g_mkdir (more, 0700), ==, 0);
  for (guint i = 0; names[i] != NULL; i++)
    {
      g_autofree char *file = g_build_filename (more, names[i], NULL);

      g_assert_true (g_file_set_contents (file, texts[i], -1, NULL));
    }
  return folder;
}

static void
remove_files (const char *folder, const char *const *names)
{
  g_autofree char *path = g_build_filename (folder, "a.conf", NULL);
  g_autofree char *more = g_strconcat (path, ".d", NULL);

  for (guint i = 0; names[i] != NULL; i++)
    {
      g_autofree char *file = g_build_filename (more, names[i], NULL);

      g_assert_cmpint (g_unlink (file), ==, 0);
    }
  g_rmdir (more);
  g_assert_cmpint (g_unlink (path), ==, 0);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

static void
test_overrides (void)
{
  /* In the order they are written; read in the order of the names. */
  static const char *const names[] = { "20-b.conf", "10-a.conf", "30.conf.bak", ".40.conf", NULL };
  static const char *const texts[] = {
    "[service x]\nuri=from-b\nrole=\n[derate]\nname=n\n[service y]\n",
    "[service x]\nuri=from-a\nbulkhead=5\n",
    "not read",
    "not read",
  };
  g_autofree char *folder =
      write_files ("[service x]\nuri=${UNSET}\nrole=ai\npreset=staging\n", names, texts);
  g_autofree char *path = g_build_filename (folder, "a.conf", NULL);
  g_autofree char *origin = NULL;
  g_autofree char *untouched = NULL;
  g_autofree char *expected = g_strdup_printf ("file %s.d/20-b.conf, [service x], uri", path);
  g_autofree char *expected_untouched = g_strdup_printf ("file %s, [service x], preset", path);
  g_autoptr (DerateConfig) config = NULL;
  g_autoptr (GError) error = NULL;

  g_unsetenv ("UNSET");
  config = derate_config_new_from_file (path, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (derate_config_get_text (config, "service x", "uri", NULL), ==, "from-b");
  g_assert_cmpuint (derate_config_get_uint (config, "service x", "bulkhead", 0), ==, 5);
  g_assert_cmpstr (derate_config_get_text (config, "service x", "role", NULL), ==, NULL);
  g_assert_cmpstr (derate_config_get_text (config, "service x", "preset", NULL), ==, "staging");
  assert_words (derate_config_list_keys (config, "service x"), "uri preset bulkhead");
  assert_words (derate_config_list_names (config, "service"), "x y");
  origin = derate_config_dup_origin (config, "service x", "uri");
  g_assert_cmpstr (origin, ==, expected);
  untouched = derate_config_dup_origin (config, "service x", "preset");
  g_assert_cmpstr (untouched, ==, expected_untouched);
  remove_files (folder, names);
}

/* An error names the file it is in, not the first. */
static void
test_bad_override (void)
{
  static const char *const names[] = { "10.conf", NULL };
  static const char *const texts[] = { "\n[service x]\nrole=ai\nrole=ai\n" };
  g_autofree char *folder = write_files ("[service x]\nrole=ai\n", names, texts);
  g_autofree char *path = g_build_filename (folder, "a.conf", NULL);
  g_autofree char *expected =
      g_strdup_printf ("file %s.d/10.conf, [service x], role: the key is given twice (line 4)",
                       path);
  g_autoptr (GError) error = NULL;

  g_assert_null (derate_config_new_from_file (path, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_assert_cmpstr (error->message, ==, expected);
  remove_files (folder, names);
}

static void
test_unreadable (void)
{
  static const struct
  {
    const char *path;
    const char *fragment;
  } cases[] = {
    { "/nowhere/a.conf", "file /nowhere/a.conf: " },
    { "/", "file /: it is not a regular file of at most 1048576 bytes" },
    { "/dev/zero", "file /dev/zero: it is not a regular file" },
    { "", "file : " },
  };
  static const char *const none[] = { NULL };
  g_autofree char *folder = write_files ("", none, NULL);
  g_autofree char *path = g_build_filename (folder, "a.conf", NULL);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_assert_null (derate_config_new_from_file (cases[i].path, &error));
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_assert_true (g_str_has_prefix (error->message, cases[i].fragment));
      g_clear_error (&error);
    }

  g_assert_true (g_file_set_contents (path, "[derate]\0\n", 10, NULL));
  g_assert_null (derate_config_new_from_file (path, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_assert_nonnull (strstr (error->message, "it has a byte 0 in it"));
  remove_files (folder, none);
}

static void
test_equal (void)
{
  g_autoptr (DerateConfig) one = parse ("[service x]\nuri=a\nrole=ai\n[service y]\n");
  g_autoptr (DerateConfig) same = parse ("[service y]\n[service x]\n#\nrole=ai\nuri=a\npreset=\n");
  g_autoptr (DerateConfig) other = parse ("[service x]\nuri=a\nrole=ai\npreset=staging\n");

  g_assert_true (derate_config_group_equal (one, same, "service x"));
  g_assert_false (derate_config_group_equal (one, other, "service x"));
  g_assert_false (derate_config_group_equal (other, one, "service x"));
  g_assert_false (derate_config_group_equal (one, other, "service y"));
  g_assert_true (derate_config_group_equal (one, other, "service z"));
}

static const struct
{
  const char *description;
  const char *text;
  DerateServiceRole role;
  const char *environment; /* DEFAULT_FAILURE_THRESHOLD, DEFAULT_RECOVERY_TIMEOUT */
  guint failures;
  guint open_seconds;
  double rate;
  guint successes;
} breakers[] = {
  { "built-in", "", DERATE_SERVICE_ROLE_NONE, NULL, 5, 60, 0.5, 2 },
  { "environment", "", DERATE_SERVICE_ROLE_NONE, "7", 7, 7, 0.5, 2 },
  { "database", "", DERATE_SERVICE_ROLE_DATABASE, "7", 3, 30, 0.5, 2 },
  { "ai", "", DERATE_SERVICE_ROLE_AI, "7", 5, 60, 0.5, 2 },
  { "cache", "", DERATE_SERVICE_ROLE_CACHE, "7", 5, 20, 0.5, 2 },
  { "storage", "", DERATE_SERVICE_ROLE_STORAGE, "7", 5, 30, 0.5, 2 },
  { "role-key", "role=cache\n", DERATE_SERVICE_ROLE_DATABASE, NULL, 5, 20, 0.5, 2 },
  { "no-role-key", "role=none\n", DERATE_SERVICE_ROLE_DATABASE, "7", 7, 7, 0.5, 2 },
  { "general-preset", "[derate]\npreset=staging\n", DERATE_SERVICE_ROLE_DATABASE, "7", 8, 30, 0.6,
    2 },
  { "service-preset", "preset=development\n[derate]\npreset=staging\n",
    DERATE_SERVICE_ROLE_DATABASE, "7", 10, 30, 0.7, 2 },
  { "production", "preset=production\n", DERATE_SERVICE_ROLE_DATABASE, NULL, 5, 60, 0.5, 2 },
  { "critical", "preset=critical\n", DERATE_SERVICE_ROLE_NONE, NULL, 3, 120, 0.3, 3 },
  { "both-presets", "preset=production\n[derate]\npreset=critical\n", DERATE_SERVICE_ROLE_NONE,
    NULL, 5, 60, 0.5, 3 },
  { "key", "preset=critical\nbreaker-failure-threshold=9\nbreaker-success-threshold=1\n",
    DERATE_SERVICE_ROLE_DATABASE, "7", 9, 120, 0.3, 1 },
  { "shared", "breaker=b\n[breaker b]\nopen-duration=90s\n", DERATE_SERVICE_ROLE_DATABASE, NULL, 3,
    90, 0.5, 2 },
  { "shared-with-preset",
    "breaker=b\n[breaker b]\npreset=staging\nfailure-threshold=2\n[derate]\npreset=critical\n",
    DERATE_SERVICE_ROLE_DATABASE, NULL, 2, 30, 0.6, 3 },
  { "own-group", "[breaker x]\nfailure-threshold=2\n", DERATE_SERVICE_ROLE_CACHE, NULL, 2, 20, 0.5,
    2 },
};

static void
test_breaker (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *text = g_strconcat ("[service x]\n", breakers[i].text, NULL);
  g_autoptr (DerateConfig) config = parse (text);
  g_autoptr (DerateBreakerConfig) breaker = NULL;
  g_autoptr (GError) error = NULL;

  if (breakers[i].environment != NULL)
    {
      g_setenv ("DEFAULT_FAILURE_THRESHOLD", breakers[i].environment, TRUE);
      g_setenv ("DEFAULT_RECOVERY_TIMEOUT", breakers[i].environment, TRUE);
    }
  breaker = derate_config_dup_breaker_config (config, "x", breakers[i].role, &error);
  g_unsetenv ("DEFAULT_FAILURE_THRESHOLD");
  g_unsetenv ("DEFAULT_RECOVERY_TIMEOUT");
  g_assert_no_error (error);
  g_assert_cmpuint (derate_breaker_config_get_failure_threshold (breaker), ==,
                    breakers[i].failures);
  g_assert_cmpint (derate_breaker_config_get_open_duration (breaker), ==,
                   breakers[i].open_seconds * G_TIME_SPAN_SECOND);
  g_assert_cmpfloat (derate_breaker_config_get_failure_rate_threshold (breaker), ==,
                     breakers[i].rate);
  g_assert_cmpuint (derate_breaker_config_get_success_threshold (breaker), ==,
                    breakers[i].successes);
}

/* Every way a breaker can decide has its key. */
static void
test_breaker_ways (void)
{
  g_autoptr (DerateConfig) config =
      parse ("[service x]\nbreaker-window-size=90s\nbreaker-window=time\n"
             "breaker-half-open-decision=rate\nbreaker-ramp-duration=20s\n"
             "breaker-minimum-calls=200\n");
  g_autoptr (DerateBreakerConfig) breaker = NULL;
  g_autoptr (GError) error = NULL;

  breaker = derate_config_dup_breaker_config (config, "x", DERATE_SERVICE_ROLE_NONE, &error);
  g_assert_no_error (error);
  g_assert_cmpint (derate_breaker_config_get_window (breaker), ==, DERATE_BREAKER_WINDOW_TIME);
  g_assert_cmpint (derate_breaker_config_get_window_duration (breaker), ==,
                   90 * G_TIME_SPAN_SECOND);
  g_assert_cmpuint (derate_breaker_config_get_minimum_calls (breaker), ==, 200);
  g_assert_cmpint (derate_breaker_config_get_half_open_decision (breaker), ==,
                   DERATE_BREAKER_DECISION_RATE);
  g_assert_cmpint (derate_breaker_config_get_ramp_duration (breaker), ==, 20 * G_TIME_SPAN_SECOND);
}

static void
test_check (void)
{
  g_autoptr (DerateConfig) config = parse (good);
  g_autoptr (DerateHealthCheckConfig) check = NULL;
  g_autoptr (DerateHealthCheckConfig) other = NULL;
  g_autoptr (GVariant) options = derate_config_dup_check_options (config, "database");
  g_autoptr (GVariant) none = derate_config_dup_check_options (config, "cache");
  g_autoptr (GVariant) expected = g_variant_ref_sink (
      g_variant_new_parsed ("{'uri': 'postgresql:///shop?host=/run/postgresql', "
                            "'check-query': \"SELECT 'a=b' # not a comment\"}"));
  g_autoptr (GError) error = NULL;

  g_setenv ("RESILIENCE_MONITORING_INTERVAL", "7.5", TRUE);
  check = derate_config_dup_check_config (config, "database", &error);
  g_unsetenv ("RESILIENCE_MONITORING_INTERVAL");
  g_assert_no_error (error);
  g_assert_cmpint (derate_health_check_config_get_interval (check), ==, 7500000);
  g_assert_cmpint (derate_health_check_config_get_timeout (check), ==, 1500000);
  g_assert_cmpuint (derate_health_check_config_get_fall (check), ==, 5);
  g_assert_cmpuint (derate_health_check_config_get_rise (check), ==, 2);
  other = derate_config_dup_check_config (config, "cache", &error);
  g_assert_cmpint (derate_health_check_config_get_interval (other), ==, 10000000);

  g_assert_cmpvariant (options, expected);
  g_assert_cmpuint (g_variant_n_children (none), ==, 0);
}

/* 63 characters are the most; see test-config-refused for 64. */
static void
test_longest_name (void)
{
  g_autofree char *name = g_strnfill (63, 'a');
  g_autofree char *text = g_strconcat ("[service ", name, "]\n", NULL);
  g_autoptr (DerateConfig) config = parse (text);

  assert_words (derate_config_list_names (config, "service"), name);
}

static void
test_warnings (void)
{
  static const struct
  {
    const char *text;
    const char *warnings;
  } cases[] = {
    { "[service x]\n", "" },
    { "[service x]\nbreaker-failure-threshold=1\n",
      "file a.conf, [service x], breaker-failure-threshold: failure-threshold 1 opens the breaker "
      "at any single error" },
    { "[service x]\nbreaker=b\n[breaker b]\nopen-duration=9s\n",
      "file a.conf, [breaker b], open-duration: open-duration under 10s gives the service little "
      "time to recover" },
    { "[service x]\nbreaker-open-duration=10s\n", "" },
    { "[service x]\ncriticality=critical\n",
      "file a.conf, [service x]: a critical service without a fallback" },
    { "[service x]\nrole=database\n",
      "file a.conf, [service x]: a critical service without a fallback" },
    { "[service x]\nrole=database\ncriticality=low\n", "" },
    { "[service x]\nrole=database\nfallback=error\n", "" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (DerateConfig) config = parse (cases[i].text);

      assert_words (derate_config_list_warnings (config), cases[i].warnings);
    }
}

int
main (int argc, char **argv)
{
  g_unsetenv ("PGHOST");
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/config/values", test_values);
  g_test_add_func ("/config/expansion", test_expansion);
  g_test_add_func ("/config/overrides", test_overrides);
  g_test_add_func ("/config/bad-override", test_bad_override);
  g_test_add_func ("/config/unreadable", test_unreadable);
  g_test_add_func ("/config/equal", test_equal);
  g_test_add_func ("/config/breaker-ways", test_breaker_ways);
  g_test_add_func ("/config/check", test_check);
  g_test_add_func ("/config/longest-name", test_longest_name);
  g_test_add_func ("/config/warnings", test_warnings);
  for (gsize i = 0; i < G_N_ELEMENTS (breakers); i++)
    {
      g_autofree char *path = g_strdup_printf ("/config/breaker/%s", breakers[i].description);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_breaker);
    }
  return g_test_run ();
}
