/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-s3-target.h"

#include <string.h>

/* clang-format off */
static const struct
{
  const char *text;
  const char *uri; /* of the bucket; NULL: refused */
} targets[] = {
  { "s3://uploads?endpoint=http://127.0.0.1:9000", "http://127.0.0.1:9000/uploads" },
  { "s3://uploads?endpoint=http://127.0.0.1:9000/&style=path", "http://127.0.0.1:9000/uploads" },
  { "s3://uploads?endpoint=http://localhost:9000&style=virtual", "http://uploads.localhost:9000/" },
  { "s3://uploads?endpoint=https://store.example/base", "https://store.example/base/uploads" },
  { "s3://uploads?region=eu-west-1", "https://uploads.s3.eu-west-1.amazonaws.com/" },
  { "s3://uploads?region=eu-west-1&style=path", "https://s3.eu-west-1.amazonaws.com/uploads" },
  { "s3://uploads/", "https://uploads.s3.us-east-1.amazonaws.com/" },
  { "http://uploads", NULL },
  { "s3://", NULL },
  { "s3://Uploads", NULL },
  { "s3://up", NULL },
  { "s3://uploads/folder", NULL },
  { "s3://uploads?style=dns", NULL },
  { "s3://uploads?endpoint=ftp://a", NULL },
  { "s3://uploads?endpoint=http://", NULL },
  { "s3://uploads?region=evil.example/", NULL },
  { "s3://uploads?key=value", NULL },
  { "s3://uploads?endpoint", NULL },
};

static const struct
{
  const char *xml;
  const char *code;
} errors[] = {
  { "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>m</Message></Error>", "SlowDown" },
  { "<Error><Code></Code></Error>", NULL },
  { "<Error><Code>no &amp; letters</Code></Error>", NULL },
  { "<Error><Code>Cut", NULL },
  { "<html>503</html>", NULL },
  { "", NULL },
};

static const struct
{
  const char *text;
  const char *access_key; /* NULL: refused */
  const char *token;
} credentials[] = {
  { "AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=s/+=\n", "a", NULL },
  { "# of the store\n\n AWS_ACCESS_KEY_ID=a \r\nAWS_SECRET_ACCESS_KEY=s/+=\nAWS_SESSION_TOKEN=t", "a", "t" },
  { "AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=s/+=\nAWS_SESSION_TOKEN=\n", "a", NULL },
  { "AWS_ACCESS_KEY_ID=a\n", NULL, NULL },
  { "AWS_ACCESS_KEY_ID=\nAWS_SECRET_ACCESS_KEY=s\n", NULL, NULL },
  { "# AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=s\n", NULL, NULL },
  { "", NULL, NULL },
};
/* clang-format on */

static void
test_targets (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      const char *problem = NULL;
      g_autoptr (DerateS3Target) target = derate_s3_target_parse (targets[i].text, &problem);
      g_autoptr (GUri) uri = NULL;
      g_autofree char *text = NULL;

      g_test_message ("%s: %s", targets[i].text, problem);
      g_assert_true ((target == NULL) == (problem != NULL));
      if (target != NULL)
        uri = derate_s3_target_build_uri (target, NULL);
      if (uri != NULL)
        text = g_uri_to_string (uri);
      g_assert_cmpstr (text, ==, targets[i].uri);
    }
}

static void
test_region (void)
{
  g_assert_true (derate_s3_is_region ("ap-southeast-2"));
  g_assert_false (derate_s3_is_region (""));
  g_assert_false (derate_s3_is_region ("evil.example"));
  g_assert_false (derate_s3_is_region ("a/b"));
  g_assert_false (derate_s3_is_region ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

static void
test_error_codes (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    {
      g_autofree char *code = derate_s3_parse_error_code (errors[i].xml);

      g_assert_cmpstr (code, ==, errors[i].code);
    }
}

static void
test_credentials (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (credentials); i++)
    {
      g_autoptr (DerateSigv4Credentials) found = derate_s3_parse_credentials (credentials[i].text);

      g_assert_cmpstr (found != NULL ? found->access_key : NULL, ==, credentials[i].access_key);
      if (found == NULL)
        continue;
      g_assert_cmpstr (found->secret_key, ==, "s/+=");
      g_assert_cmpstr (found->token, ==, credentials[i].token);
    }
}

static void
test_message (void)
{
  const char *problem = NULL;
  g_autoptr (DerateS3Target) target = NULL;
  char access[] = "access";
  char secret[] = "planted-secret";
  char token[] = "token";
  DerateSigv4Credentials keys = { access, secret, token };
  g_autoptr (SoupMessage) message = NULL;
  SoupMessageHeaders *headers;
  const char *authorization;

  target = derate_s3_target_parse ("s3://uploads?endpoint=http://127.0.0.1:9000", &problem);
  message = derate_s3_target_sign (target, "GET", "list-type=2", &keys);
  headers = soup_message_get_request_headers (message);
  authorization = soup_message_headers_get_one (headers, "Authorization");
  g_assert_nonnull (authorization);
  g_assert_nonnull (strstr (authorization, "SignedHeaders=host;x-amz-content-sha256;x-amz-date;"
                                           "x-amz-security-token,"));
  g_assert_null (strstr (authorization, "planted-secret"));
  g_assert_cmpstr (soup_message_headers_get_one (headers, "Host"), ==, "127.0.0.1:9000");
  g_assert_cmpstr (soup_message_headers_get_one (headers, "x-amz-security-token"), ==, "token");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_unsetenv ("AWS_REGION");
  g_unsetenv ("AWS_DEFAULT_REGION");

  g_test_add_func ("/s3-target/uris", test_targets);
  g_test_add_func ("/s3-target/region", test_region);
  g_test_add_func ("/s3-target/error-codes", test_error_codes);
  g_test_add_func ("/s3-target/credentials", test_credentials);
  g_test_add_func ("/s3-target/signed-message", test_message);

  return g_test_run ();
}
