/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-redact.h"

#include <string.h>

static const struct
{
  const char *text;
  const char *redacted;
} rows[] = {
  /* URIs */
  { "postgresql://u:pw@h:5432/db", "postgresql://u:***@h:5432/db" },
  { "redis://:pw@h/0", "redis://:***@h/0" },
  { "no uri “redis://:pw@h/0”, sorry", "no uri “redis://:***@h/0”, sorry" },
  { "a://u:p@q@h b://v:r@h", "a://u:***@h b://v:***@h" },
  { "postgres://u:p/w@h/db", "postgres://u:***@h/db" },
  { "postgres://u:p'w@h/db", "postgres://u:***@h/db" },
  { "http://h:80/x@y", "http://h:80/x@y" },
  { "http://h/x@y", "http://h/x@y" },
  { "postgresql://u@h/db", "postgresql://u@h/db" },
  { "https://s3/b?X-Amz-Signature=00ff&x=1", "https://s3/b?X-Amz-Signature=***&x=1" },
  { "https://h/?a=b&token=t%20&secret=s#f", "https://h/?a=b&token=***&secret=***#f" },
  { "https://h/?key=abc", "https://h/?key=***" },
  { "\"https://h/?password=x\" refused", "\"https://h/?password=***\" refused" },
  /* Keyword connection strings */
  { "host=a password=abc user=b", "host=a password=*** user=b" },
  { "password='a b\\'c' host=h", "password=*** host=h" },
  { "password = abc host=h", "password = *** host=h" },
  { "password=a\\ b host=h", "password=*** host=h" },
  { "sslpassword=abc", "sslpassword=***" },
  { "PGPASSWORD=abc psql", "PGPASSWORD=*** psql" },
  /* Headers, JSON, environment */
  { "Authorization: Bearer abc.def", "Authorization: Bearer ***" },
  { "authorization: Basic dXNlcjpwdw==", "authorization: Basic ***" },
  { "got Bearer abc", "got Bearer ***" },
  { "api-key: abc", "api-key: ***" },
  { "{\"password\": \"a\\\"b\", \"n\":1}", "{\"password\": ***, \"n\":1}" },
  { "{'token': 'abc'}", "{'token': ***}" },
  { "AWS_SECRET_ACCESS_KEY=abc", "AWS_SECRET_ACCESS_KEY=***" },
  { "aws_session_token=\"x y\" z", "aws_session_token=*** z" },
  /* Shapes */
  { "Incorrect API key provided: sk-abcd****wxyz.", "Incorrect API key provided: sk-***." },
  { "sk-proj-abcdefghijkl", "sk-***" },
  { "AKIAIOSFODNN7EXAMPLE", "AKIA***" },
  { "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "***" },
  /* What is no secret stays */
  { "", "" },
  { "connection refused (127.0.0.1:5432)", "connection refused (127.0.0.1:5432)" },
  { "password authentication failed for user \"x\"",
    "password authentication failed for user \"x\"" },
  { "the bearer of news", "the bearer of news" },
  { "unexpected token: }", "unexpected token: }" },
  { "max_tokens=100 password-file=/etc/x", "max_tokens=100 password-file=/etc/x" },
  { "key=value", "key=value" },
  { "task-risk-free-sk-", "task-risk-free-sk-" },
  { "da39a3ee5e6b4b0d3255bfef95601890afd80709", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
  { "password=", "password=" },
  { "Bearer ", "Bearer " },
  { "://", "://" },
  { "a://:@", "a://:@" },
  /* Bytes that are not UTF-8 */
  { "a\xff password=\xfe\xfd b", "a\xef\xbf\xbd password=*** b" },
};

static void
test_table (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *redacted = derate_redact (rows[i].text);

      g_assert_cmpstr (redacted, ==, rows[i].redacted);
    }
  g_assert_null (derate_redact (NULL));
}

/* Any bytes at all do no harm. */
static void
test_random (void)
{
  static const char *const pieces[] = {
    "password", "=", ":", "://", "@",    "'", "\"", "\\", " ", "Bearer ", "sk-", "AKIA",
    "token",    "?", "&", "a",   "\xff", "{", "}",  "/",  "-", ".",       "é",
  };

  for (guint i = 0; i < 20000; i++)
    {
      g_autoptr (GString) text = g_string_new (NULL);
      g_autofree char *once = NULL;

      for (gint n = g_test_rand_int_range (0, 12); n > 0; n--)
        g_string_append (text, pieces[g_test_rand_int_range (0, G_N_ELEMENTS (pieces))]);
      once = derate_redact (text->str);
      g_assert_true (g_utf8_validate (once, -1, NULL));
    }
}

/* A long text, such as a bad line of a file, is dealt with in a moment whatever it is made of:
 * where each place looked at all that follows, this would take minutes, and the test be ended. */
static void
test_long (void)
{
  static const char *const pieces[] = { "a", "A-", "-a", "x=", "://", "://a:", "a:b@", "password" };

  for (guint i = 0; i < G_N_ELEMENTS (pieces); i++)
    {
      g_autoptr (GString) text = g_string_new (NULL);
      g_autofree char *redacted = NULL;

      while (text->len < 128 * 1024)
        g_string_append (text, pieces[i]);
      g_string_append (text, " redis://u:hunter2@h");
      redacted = derate_redact (text->str);
      g_assert_true (g_str_has_suffix (redacted, " redis://u:***@h"));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/redact/table", test_table);
  g_test_add_func ("/redact/random", test_random);
  g_test_add_func ("/redact/long", test_long);
  return g_test_run ();
}
