/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-backend-cases.h"

#include <glib/gstdio.h>
#include <string.h>

#define SECRET "planted-S3-secret"
#define NAME "s3"
#define HEALTHY DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE
#define WRONG_CONFIG DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_CONFIG

static TestBackend *backend;

static char *
bucket_uri (const char *bucket, const char *more)
{
  return g_strdup_printf ("s3://%s?endpoint=%s%s", bucket, test_backend_get_uri (backend), more);
}

static DerateHealthCheck *
new_check (const char *bucket)
{
  g_autofree char *uri = bucket_uri (bucket, "&region=us-east-1");

  return test_check_new (NAME, "uri", uri, NULL);
}

static DerateHealthCheck *
new_uploads_check (void)
{
  return new_check ("uploads");
}

static void
test_healthy (void)
{
  g_autoptr (DerateHealthCheck) check = new_uploads_check ();
  g_autofree char *asked = NULL;

  for (guint i = 0; i < 3; i++)
    g_free (test_check_expect (check, HEALTHY));
  asked = test_backend_dup_asked (backend);
  g_assert_nonnull (strstr (asked, "HEAD /uploads"));
  g_assert_null (strstr (asked, "GET /uploads"));
}

static void
test_virtual_host (void)
{
  g_autofree char *port = g_strdup_printf ("%u", test_backend_get_port (backend));
  g_autofree char *uri =
      g_strdup_printf ("s3://uploads?endpoint=http://localhost:%s&style=virtual", port);
  g_autoptr (DerateHealthCheck) check = NULL;

  check = test_check_new (NAME, "uri", uri, NULL);
  g_free (test_check_expect (check, HEALTHY));
}

static void
test_no_such_bucket (void)
{
  g_autoptr (DerateHealthCheck) check = new_check ("nowhere");

  g_free (test_check_expect (check, WRONG_CONFIG));
}

/* What HEAD cannot tell, the list does. */
static void
test_credentials (void)
{
  g_autofree char *folder = g_dir_make_tmp ("derate-test-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (folder, "keys", NULL);
  g_autofree char *uri = bucket_uri ("uploads", "");
  const struct
  {
    const char *text;
    const char *code;
  } files[] = {
    { "AWS_ACCESS_KEY_ID=derate\nAWS_SECRET_ACCESS_KEY=" SECRET "\n", "SignatureDoesNotMatch" },
    { "AWS_ACCESS_KEY_ID=nobody\nAWS_SECRET_ACCESS_KEY=" SECRET "\n", "InvalidAccessKeyId" },
    { "AWS_ACCESS_KEY_ID=derate\nAWS_SECRET_ACCESS_KEY=derate-example-secret\n"
      "AWS_SESSION_TOKEN=" SECRET "\n",
      "InvalidToken" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    {
      g_autoptr (DerateHealthCheck) check = NULL;
      g_autofree char *message = NULL;

      g_assert_true (g_file_set_contents (file, files[i].text, -1, NULL));
      check = test_check_new (NAME, "uri", uri, "password-file", file, NULL);
      message = test_check_expect (check, WRONG_CONFIG);
      g_assert_nonnull (strstr (message, files[i].code));
      g_assert_null (strstr (message, SECRET));
    }
  g_unlink (file);
  g_rmdir (folder);
}

/* The bucket lives elsewhere: signed again for that region, once, and known from then on. */
static void
test_region (void)
{
  g_autoptr (DerateHealthCheck) check = new_check ("europe");
  g_autofree char *before = NULL;
  g_autofree char *after = NULL;

  g_free (test_check_expect (check, HEALTHY));
  before = test_backend_dup_asked (backend);
  g_assert_nonnull (strstr (before, "\"HEAD /europe\": 2"));
  g_free (test_check_expect (check, HEALTHY));
  after = test_backend_dup_asked (backend);
  g_assert_nonnull (strstr (after, "\"HEAD /europe\": 3"));
}

/* A server that always names another region is followed once a run, and nothing that is no region
 * is. */
static void
test_bad_regions (void)
{
  g_autoptr (DerateHealthCheck) check = new_uploads_check ();
  g_autoptr (DerateHealthCheck) other = new_uploads_check ();
  g_autofree char *asked = NULL;

  test_backend_control (backend,
                        "{\"status\": 301, \"region\": \"mars-1\", \"path\": \"/uploads\"}");
  g_free (test_check_expect (check, WRONG_CONFIG));
  test_backend_control (backend, "{\"status\": 301, \"region\": \"evil.example/\"}");
  g_free (test_check_expect (other, WRONG_CONFIG));
  test_backend_control (backend, "{}");
  g_free (test_check_expect (other, HEALTHY));
  g_free (test_check_expect (check, HEALTHY));
}

/* clang-format off */
static const TestBackendFault faults[] = {
  { "{\"status\": 403}", WRONG_CONFIG, "AccessDenied" },
  { "{\"status\": 404}", WRONG_CONFIG, "404" },
  { "{\"status\": 400}", WRONG_CONFIG, "400" },
  { "{\"status\": 301}", WRONG_CONFIG, "301" },
  { "{\"status\": 503}", DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_THROTTLED, "SlowDown" },
  { "{\"status\": 503, \"code\": \"ServiceUnavailable\"}",
    DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL, "ServiceUnavailable" },
  { "{\"status\": 429}", DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_THROTTLED, "429" },
  { "{\"status\": 500}", DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL, "500" },
  { "{\"garbage\": true}", DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL, "" },
  { "{\"close\": true}", DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL, "" },
};
/* clang-format on */

static void
test_options (void)
{
  g_autoptr (GError) bucket = test_check_new_fails (NAME, NULL);
  g_autoptr (GError) key =
      test_check_new_fails (NAME, "uri", "s3://uploads", "check-everything", "yes", NULL);
  g_autoptr (GError) style = test_check_new_fails (NAME, "uri", "s3://uploads?style=dns", NULL);
  g_autoptr (GError) keys = NULL;

  g_assert_nonnull (strstr (bucket->message, "uri="));
  g_assert_nonnull (strstr (key->message, "check-everything=yes"));
  g_assert_nonnull (strstr (style->message, "style is neither path nor virtual"));
  g_unsetenv ("AWS_SECRET_ACCESS_KEY");
  keys = test_check_new_fails (NAME, "uri", "s3://uploads", NULL);
  g_assert_nonnull (strstr (keys->message, "AWS_SECRET_ACCESS_KEY"));
  g_setenv ("AWS_SECRET_ACCESS_KEY", "derate-example-secret", TRUE);
}

int
main (int argc, char *argv[])
{
  int status;

  g_test_init (&argc, &argv, NULL);
  g_setenv ("AWS_ACCESS_KEY_ID", "derate", TRUE);
  g_setenv ("AWS_SECRET_ACCESS_KEY", "derate-example-secret", TRUE);
  g_unsetenv ("AWS_SESSION_TOKEN");
  g_unsetenv ("AWS_REGION");
  g_unsetenv ("AWS_DEFAULT_REGION");
  backend = test_backend_new (NAME, (const char *const[]){ "--bucket", "uploads", "--bucket",
                                                           "europe@eu-west-1", NULL });

  g_test_add_func ("/s3/check/healthy", test_healthy);
  g_test_add_func ("/s3/check/virtual-host", test_virtual_host);
  g_test_add_func ("/s3/check/no-such-bucket", test_no_such_bucket);
  g_test_add_func ("/s3/check/credentials", test_credentials);
  g_test_add_func ("/s3/check/region", test_region);
  g_test_add_func ("/s3/check/bad-regions", test_bad_regions);
  test_backend_add_cases ("/s3", backend, new_uploads_check, SECRET, faults, G_N_ELEMENTS (faults));
  g_test_add_func ("/s3/check/options", test_options);
  test_backend_add_ends ("/s3");

  status = g_test_run ();
  test_backend_free (backend);
  return status;
}
