/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-backend-cases.h"

#include <glib/gstdio.h>
#include <string.h>

#define KEY "derate-example-key"
#define SECRET "planted-OpenAI-secret"
#define NAME "openai"
#define HEALTHY DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE
#define WRONG_CONFIG DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_CONFIG

static TestBackend *backend;

static DerateHealthCheck *
new_check (void)
{
  g_autofree char *uri = g_strconcat (test_backend_get_uri (backend), "/v1", NULL);

  return test_check_new (NAME, "uri", uri, NULL);
}

static void
test_healthy (void)
{
  g_autoptr (DerateHealthCheck) check = new_check ();
  g_autofree char *asked = NULL;

  for (guint i = 0; i < 3; i++)
    g_free (test_check_expect (check, HEALTHY));
  /* Nothing that is billed. */
  asked = test_backend_dup_asked (backend);
  g_assert_nonnull (strstr (asked, "{\"GET /v1/models\": 3}"));
}

static void
test_path (void)
{
  g_autofree char *uri = g_strconcat (test_backend_get_uri (backend), "/v1/", NULL);
  g_autoptr (DerateHealthCheck) check =
      test_check_new (NAME, "uri", uri, "check-path", "/health", NULL);
  g_autoptr (DerateHealthCheck) root =
      test_check_new (NAME, "uri", test_backend_get_uri (backend), "check-path", "health", NULL);
  g_autoptr (DerateHealthCheck) wrong =
      test_check_new (NAME, "uri", uri, "check-path", "nowhere", NULL);

  g_free (test_check_expect (check, HEALTHY));
  g_free (test_check_expect (root, HEALTHY));
  g_free (test_check_expect (wrong, WRONG_CONFIG));
}

static void
test_credentials (void)
{
  g_autofree char *folder = g_dir_make_tmp ("derate-test-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (folder, "key", NULL);
  g_autofree char *uri = g_strconcat (test_backend_get_uri (backend), "/v1", NULL);
  g_autoptr (DerateHealthCheck) wrong = NULL;
  g_autoptr (DerateHealthCheck) without = NULL;
  g_autofree char *message = NULL;

  g_assert_true (g_file_set_contents (file, SECRET "\n", -1, NULL));
  wrong = test_check_new (NAME, "uri", uri, "password-file", file, NULL);
  g_free (test_check_expect (wrong, WRONG_CONFIG));
  /* A server that quotes what it refuses. */
  test_backend_control (backend, "{\"status\": 401, \"message\": \"no such key: " SECRET "\"}");
  message = test_check_expect (wrong, WRONG_CONFIG);
  g_assert_null (strstr (message, SECRET));
  test_backend_control (backend, "{}");
  g_unsetenv ("OPENAI_API_KEY");
  without = test_check_new (NAME, "uri", uri, NULL);
  g_setenv ("OPENAI_API_KEY", KEY, TRUE);
  g_free (test_check_expect (without, WRONG_CONFIG));
  g_unlink (file);
  g_rmdir (folder);
}

/* clang-format off */
static const TestBackendFault faults[] = {
  { "{\"status\": 401}", WRONG_CONFIG, "invalid_api_key" },
  { "{\"status\": 403}", WRONG_CONFIG, "403" },
  { "{\"status\": 429, \"retry_after\": 7}",
    DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_THROTTLED, "asks for 7.0 s" },
  { "{\"status\": 503, \"message\": \"Loading model\"}",
    DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED, "Loading model (503)" },
  { "{\"status\": 503}", DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL, "503" },
  { "{\"status\": 500}", DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL, "500" },
  { "{\"garbage\": true}", DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL, "" },
  { "{\"truncate\": true}", DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL, "" },
  { "{\"interim\": true}", DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL, "interim" },
  { "{\"close\": true}", DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL, "" },
};
/* clang-format on */

static void
look_at_endless (gpointer check)
{
  test_backend_control (backend, "{\"endless\": true}");
  for (guint i = 0; i < 3; i++)
    g_free (test_check_expect (check, HEALTHY));
  /* Nobody unpacks it: there would be no end to that, within one read. */
  test_backend_control (backend, "{\"packed\": true}");
  g_free (test_check_expect (check, HEALTHY));
}

/* The body never ends; as much of it is read as is of use. */
static void
test_endless (void)
{
  g_autoptr (DerateHealthCheck) check = new_check ();

  test_loop_goes_on (look_at_endless, check);
  test_backend_control (backend, "{}");
  g_free (test_check_expect (check, HEALTHY));
}

static void
test_options (void)
{
  g_autoptr (GError) key = test_check_new_fails (NAME, "check-everything", "yes", NULL);
  g_autoptr (GError) uri = test_check_new_fails (NAME, "uri", "ftp://u:" SECRET "@h", NULL);
  g_autoptr (GError) path = test_check_new_fails (NAME, "check-path", "a?b", NULL);

  g_assert_nonnull (strstr (key->message, "check-everything=yes"));
  g_assert_nonnull (strstr (uri->message, "not an http or https URI"));
  g_assert_null (strstr (uri->message, SECRET));
  g_assert_nonnull (strstr (path->message, "check-path=a?b"));
}

int
main (int argc, char *argv[])
{
  int status;

  g_test_init (&argc, &argv, NULL);
  g_setenv ("OPENAI_API_KEY", KEY, TRUE);
  backend = test_backend_new (NAME, NULL);

  g_test_add_func ("/openai/behaviour/17-models-are-listed-nothing-is-generated", test_healthy);
  g_test_add_func ("/openai/check/path", test_path);
  g_test_add_func ("/openai/check/credentials", test_credentials);
  test_backend_add_cases ("/openai", backend, new_check, SECRET, faults, G_N_ELEMENTS (faults));
  g_test_add_func ("/openai/check/endless", test_endless);
  g_test_add_func ("/openai/check/options", test_options);
  test_backend_add_ends ("/openai");

  status = g_test_run ();
  test_backend_free (backend);
  return status;
}
