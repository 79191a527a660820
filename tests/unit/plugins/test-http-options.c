/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-options.h"

#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <string.h>

#define SECRET "planted-secret"
#define URI "http://app.example/health"
#define PAIRS_MAX 4

typedef struct
{
  const char *key;
  const char *value;
} Pair;

static DerateHttpOptions *
parse (const Pair *pairs, GError **error)
{
  g_autoptr (GVariant) values = NULL;
  GVariantBuilder builder;
  gboolean uri = FALSE;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  for (guint i = 0; i < PAIRS_MAX && pairs[i].key != NULL; i++)
    {
      uri = uri || g_str_equal (pairs[i].key, "uri");
      g_variant_builder_add (&builder, "{ss}", pairs[i].key, pairs[i].value);
    }
  if (!uri)
    g_variant_builder_add (&builder, "{ss}", "uri", URI);
  values = g_variant_ref_sink (g_variant_builder_end (&builder));
  return derate_http_options_parse (values, error);
}

static DerateHttpOptions *
parse_good (const Pair *pairs)
{
  g_autoptr (GError) error = NULL;
  DerateHttpOptions *options = parse (pairs, &error);

  g_assert_no_error (error);
  g_assert_nonnull (options);
  return options;
}

static void
test_defaults (void)
{
  g_autoptr (DerateHttpOptions) options = parse_good ((const Pair[PAIRS_MAX]){ { NULL } });
  g_autofree char *uri = g_uri_to_string (options->uri);

  g_assert_cmpstr (uri, ==, URI);
  g_assert_cmpstr (options->method, ==, "GET");
  g_assert_cmpstr (options->status_text, ==, "200-399");
  g_assert_null (options->address);
  g_assert_null (options->authorization);
  g_assert_null (options->host);
  g_assert_null (options->body);
  g_assert_null (options->regex);
  g_assert_null (options->anchors);
  g_assert_false (options->follow);
}

/* clang-format off */
static const struct
{
  const char *name;
  Pair pairs[PAIRS_MAX];
  const char *part; /* of the error */
} refused[] = {
  { "no-uri",       { { "uri", "" } }, "uri=: " },
  { "ftp",          { { "uri", "ftp://u:" SECRET "@h/" } }, "not a http://" },
  { "no-host",      { { "uri", "http:///health" } }, "uri=http:///health: " },
  { "bad-escape",   { { "uri", "http://u:" SECRET "%zz@h/" } }, "not a http://" },
  { "unix-no-path", { { "uri", "http+unix://run/app.sock" } }, "not a http://" },
  { "unix-port",    { { "uri", "http+unix://%2Frun%2Fa:80/" } }, "not a http://" },
  { "unknown",      { { "check-everything", "yes" } }, "check-everything=yes: unknown key" },
  { "method",       { { "check-method", "POST" } }, "check-method=POST: neither GET nor HEAD" },
  { "status-word",  { { "check-status", "ok" } }, "check-status=ok: " },
  { "status-small", { { "check-status", "99" } }, "check-status=99: " },
  { "status-big",   { { "check-status", "600" } }, "check-status=600: " },
  { "status-back",  { { "check-status", "300-200" } }, "check-status=300-200: " },
  { "status-comma", { { "check-status", "200," } }, "check-status=200,: " },
  { "status-space", { { "check-status", "200, 204" } }, "check-status=200, 204: " },
  { "status-four",  { { "check-status", "2000" } }, "check-status=2000: " },
  { "regex",        { { "check-body-regex", "(" } }, "check-body-regex=(: " },
  { "two-bodies",   { { "check-body", "a" }, { "check-body-regex", "b" } }, "check-body=a: " },
  { "head-body",    { { "check-method", "HEAD" }, { "check-body", "a" } }, "check-method=HEAD: " },
  { "host",         { { "check-host", "a b" } }, "check-host=a b: not a host" },
  { "host-path",    { { "check-host", "a/b" } }, "check-host=a/b: not a host" },
  { "header-host",  { { "check-header-host", SECRET } }, "check-header-host=***: " },
  { "header-none",  { { "check-header-", SECRET } }, "check-header-=***: " },
  { "header-line",  { { "check-header-a", SECRET "\r\nb: c" } }, "check-header-a=***: " },
  { "header-empty", { { "check-header-a", "" } }, "check-header-a=***: " },
  { "follow",       { { "check-follow-redirects", "3" } }, "check-follow-redirects=3: " },
  { "ca-plain",     { { "check-ca-file", "/etc/passwd" } }, "not one of https" },
  { "ca-missing",   { { "uri", "https://h/" }, { "check-ca-file", "/nowhere" } }, "/nowhere: " },
  { "ca-relative",  { { "uri", "https://h/" }, { "check-ca-file", "a.pem" } }, "absolute" },
  { "ca-device",    { { "uri", "https://h/" }, { "check-ca-file", "/dev/zero" } }, "regular" },
  { "password-file", { { "password-file", "/nowhere/key" } }, "password-file=/nowhere/key: " },
};
/* clang-format on */

static void
test_refused (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateHttpOptions) options = parse (refused[i].pairs, &error);

  g_assert_null (options);
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, refused[i].part));
  g_assert_null (strstr (error->message, SECRET));
}

static void
test_no_uri (void)
{
  g_autoptr (GVariant) values = g_variant_ref_sink (g_variant_new ("a{ss}", NULL));
  g_autoptr (GError) error = NULL;

  g_assert_null (derate_http_options_parse (values, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
}

/* clang-format off */
static const struct
{
  const char *text;
  guint good[4];
  guint bad[4];
} sets[] = {
  { "200-399", { 200, 204, 301, 399 }, { 199, 400, 503, 0 } },
  { "200", { 200 }, { 199, 201, 299, 999 } },
  { "200,204,300-308", { 200, 204, 300, 308 }, { 201, 203, 299, 309 } },
  { "100-599", { 100, 200, 404, 599 }, { 99, 600, 0, 1000 } },
  { "401", { 401 }, { 200, 400, 402, 403 } },
};
/* clang-format on */

static void
test_status (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (sets); i++)
    {
      g_autoptr (DerateHttpOptions) options =
          parse_good ((const Pair[PAIRS_MAX]){ { "check-status", sets[i].text } });

      for (guint j = 0; j < G_N_ELEMENTS (sets[i].good) && sets[i].good[j] != 0; j++)
        g_assert_true (derate_http_status_set_has (&options->status, sets[i].good[j]));
      for (guint j = 0; j < G_N_ELEMENTS (sets[i].bad); j++)
        g_assert_false (derate_http_status_set_has (&options->status, sets[i].bad[j]));
    }
}

static void
test_unix (void)
{
  g_autoptr (DerateHttpOptions) options = parse_good (
      (const Pair[PAIRS_MAX]){ { "uri", "http+unix://%2Frun%2Fapp.sock/health?deep=1" } });
  g_autofree char *uri = g_uri_to_string (options->uri);

  g_assert_true (G_IS_UNIX_SOCKET_ADDRESS (options->address));
  g_assert_cmpstr (g_unix_socket_address_get_path (G_UNIX_SOCKET_ADDRESS (options->address)), ==,
                   "/run/app.sock");
  g_assert_cmpstr (uri, ==, "http://localhost/health?deep=1");
}

/* clang-format off */
static const struct
{
  const char *uri;
  const char *content; /* of password-file; NULL: there is none */
  const char *authorization;
} credentials[] = {
  { "http://ana:s%40cret@h/", NULL, "Basic YW5hOnNAY3JldA==" },
  { "http://ana@h/", NULL, "Basic YW5hOg==" },
  { "http://ana@h/", "s@cret\n", "Basic YW5hOnNAY3JldA==" },
  { "http://h/", "a.b-c\n", "Bearer a.b-c" },
  { "http+unix://ana:s%40cret@%2Frun%2Fs/", NULL, "Basic YW5hOnNAY3JldA==" },
  { "http://h/", NULL, NULL },
};
/* clang-format on */

/* They are taken out of the URI that is asked and shown. */
static void
test_credentials (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (credentials); i++)
    {
      g_autofree char *folder = g_dir_make_tmp ("derate-test-XXXXXX", NULL);
      g_autofree char *file = g_build_filename (folder, "key", NULL);
      const char *key = credentials[i].content != NULL ? "password-file" : NULL;
      g_autoptr (DerateHttpOptions) options = NULL;
      g_autofree char *uri = NULL;

      if (key != NULL)
        g_assert_true (g_file_set_contents (file, credentials[i].content, -1, NULL));
      options =
          parse_good ((const Pair[PAIRS_MAX]){ { "uri", credentials[i].uri }, { key, file } });
      uri = g_uri_to_string (options->uri);
      g_assert_cmpstr (options->authorization, ==, credentials[i].authorization);
      g_assert_null (strchr (uri, '@'));
      g_assert_null (strstr (uri, "ana"));
      g_unlink (file);
      g_rmdir (folder);
    }
}

static void
test_bearer_line (void)
{
  g_autofree char *folder = g_dir_make_tmp ("derate-test-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (folder, "key", NULL);
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_set_contents (file, SECRET "\r\nHost: elsewhere", -1, NULL));
  g_assert_null (parse ((const Pair[PAIRS_MAX]){ { "password-file", file } }, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_assert_null (strstr (error->message, SECRET));
  g_unlink (file);
  g_rmdir (folder);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/http-options/defaults", test_defaults);
  g_test_add_func ("/http-options/no-uri", test_no_uri);
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      g_autofree char *path = g_strconcat ("/http-options/refused/", refused[i].name, NULL);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_refused);
    }
  g_test_add_func ("/http-options/status", test_status);
  g_test_add_func ("/http-options/unix", test_unix);
  g_test_add_func ("/http-options/credentials", test_credentials);
  g_test_add_func ("/http-options/bearer-line", test_bearer_line);

  return g_test_run ();
}
