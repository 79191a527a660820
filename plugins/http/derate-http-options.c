/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-options.h"

#include "derate-check-options.h"
#include "derate-soup-client.h"

#include <gio/gunixsocketaddress.h>
#include <string.h>

#define HEADER_PREFIX "check-header-"
#define UNIX_PREFIX "http+unix://"

/* As HAProxy's httpchk: “2xx and 3xx are valid” (its manual, option httpchk). */
#define STATUS_DEFAULT "200-399"

/* How much work a match may be at each place of the text: PCRE's own limit is ten million. */
#define REGEX_LIMIT "(*LIMIT_MATCH=100000)"

/* What belongs to the connection, or has an option of its own. */
static const char *const refused_headers[] = { "host",       "content-length", "transfer-encoding",
                                               "connection", "upgrade",        NULL };

static gboolean
refuse (GError **error, const char *key, const char *value, const char *problem)
{
  derate_check_options_set_error (error, key, value, problem);
  return FALSE;
}

/* http+unix://%2Frun%2Fapp.sock/path, as the Python library requests-unixsocket and others write
 * it: the host is the path of the socket. */
static GUri *
parse_unix (const char *text, GSocketConnectable **address)
{
  g_autoptr (GUri) uri = g_uri_parse (text, SOUP_HTTP_URI_FLAGS, NULL);
  const char *path = uri != NULL ? g_uri_get_host (uri) : NULL;

  if (path == NULL || *path != '/' || g_uri_get_port (uri) != -1)
    return NULL;
  *address = G_SOCKET_CONNECTABLE (g_unix_socket_address_new (path));
  return g_uri_build_with_user (SOUP_HTTP_URI_FLAGS, "http", g_uri_get_user (uri),
                                g_uri_get_password (uri), NULL, "localhost", -1,
                                g_uri_get_path (uri), g_uri_get_query (uri), NULL);
}

static gboolean
read_uri (DerateHttpOptions *options, GVariant *values, GUri **whole, GError **error)
{
  const char *text = derate_check_options_get (values, "uri");

  if (text == NULL)
    return refuse (error, "uri", "", "there is none, so there is nothing to ask");
  *whole = g_ascii_strncasecmp (text, UNIX_PREFIX, strlen (UNIX_PREFIX)) == 0
               ? parse_unix (text, &options->address)
               : derate_soup_parse_uri (text);
  if (*whole == NULL)
    return refuse (error, "uri", text, "not a http://, https:// or http+unix://%2Fpath URI");
  options->uri = soup_uri_copy (*whole, SOUP_URI_USER, NULL, SOUP_URI_PASSWORD, NULL,
                                SOUP_URI_FRAGMENT, NULL, SOUP_URI_NONE);
  return TRUE;
}

static gboolean
is_header_value (const char *value)
{
  for (const char *p = value; *p != '\0'; p++)
    {
      if (!g_ascii_isprint (*p))
        return FALSE;
    }
  return *value != '\0';
}

/* A user and a password of the URI or of the file; a file without a user is a bearer's token. */
static gboolean
read_credentials (DerateHttpOptions *options, GVariant *values, GUri *uri, GError **error)
{
  const char *user = g_uri_get_user (uri);
  const char *password = g_uri_get_password (uri);
  g_autofree char *joined = NULL;
  g_autofree char *encoded = NULL;
  char *secret = NULL;
  gboolean good;

  if (!derate_check_options_read_secret (values, &secret, error))
    return FALSE;
  if (user != NULL || password != NULL)
    {
      joined = g_strconcat (user != NULL ? user : "", ":",
                            secret != NULL     ? secret
                            : password != NULL ? password
                                               : "",
                            NULL);
      encoded = g_base64_encode ((const guchar *)joined, strlen (joined));
      options->authorization = g_strconcat ("Basic ", encoded, NULL);
      explicit_bzero (joined, strlen (joined));
      explicit_bzero (encoded, strlen (encoded));
    }
  else if (secret != NULL)
    options->authorization = g_strconcat ("Bearer ", secret, NULL);
  derate_check_secret_free (secret);
  good = options->authorization == NULL || is_header_value (options->authorization);
  return good || refuse (error, "password-file", derate_check_options_get (values, "password-file"),
                         "it has characters that no header can have");
}

static gboolean
read_method (DerateHttpOptions *options, GVariant *values, GError **error)
{
  const char *method = derate_check_options_get (values, "check-method");

  options->method = SOUP_METHOD_GET;
  if (method == NULL || g_str_equal (method, "GET"))
    return TRUE;
  options->method = SOUP_METHOD_HEAD;
  return g_str_equal (method, "HEAD") ||
         refuse (error, "check-method", method, "neither GET nor HEAD");
}

static gboolean
read_status (DerateHttpOptions *options, GVariant *values, GError **error)
{
  const char *text = derate_check_options_get (values, "check-status");

  options->status_text = g_strdup (text != NULL ? text : STATUS_DEFAULT);
  return derate_http_status_set_parse (&options->status, options->status_text) ||
         refuse (error, "check-status", text, "not statuses such as 200,300-308");
}

static gboolean
read_regex (DerateHttpOptions *options, GVariant *values, GError **error)
{
  const char *pattern = derate_check_options_get (values, "check-body-regex");
  g_autoptr (GError) local = NULL;
  g_autofree char *limited = NULL;

  if (pattern == NULL)
    return TRUE;
  limited = g_strconcat (REGEX_LIMIT, pattern, NULL);
  options->regex = g_regex_new (limited, 0, 0, &local);
  return options->regex != NULL ||
         refuse (error, "check-body-regex", pattern, "not a regular expression");
}

static gboolean
read_body (DerateHttpOptions *options, GVariant *values, GError **error)
{
  const char *body = derate_check_options_get (values, "check-body");

  options->body = g_strdup (body);
  if (!read_regex (options, values, error))
    return FALSE;
  if (body != NULL && options->regex != NULL)
    return refuse (error, "check-body", body, "there is check-body-regex= too");
  if ((body != NULL || options->regex != NULL) && options->method == SOUP_METHOD_HEAD)
    return refuse (error, "check-method", "HEAD", "an answer to it has no body to look into");
  return TRUE;
}

/* check-header-NAME=VALUE. Values may be secrets and are not shown. */
static gboolean
read_headers (DerateHttpOptions *options, GVariant *values, GError **error)
{
  const char *host = derate_check_options_get (values, "check-host");
  GVariantIter iter;
  const char *key;
  const char *value;

  options->host = g_strdup (host);
  if (host != NULL && (!is_header_value (host) || strpbrk (host, " /@?#") != NULL))
    return refuse (error, "check-host", host, "not a host");
  options->headers = soup_message_headers_new (SOUP_MESSAGE_HEADERS_REQUEST);
  g_variant_iter_init (&iter, values);
  while (g_variant_iter_next (&iter, "{&s&s}", &key, &value))
    {
      const char *name = key + strlen (HEADER_PREFIX);

      if (!g_str_has_prefix (key, HEADER_PREFIX))
        continue;
      if (*name == '\0' || g_strv_contains (refused_headers, name))
        return refuse (error, key, "***", "not a header that can be given");
      if (!is_header_value (value))
        return refuse (error, key, "***", "it has characters that no header can have");
      soup_message_headers_replace (options->headers, name, value);
    }
  return TRUE;
}

static gboolean
read_anchors (DerateHttpOptions *options, GVariant *values, GError **error)
{
  const char *path = derate_check_options_get (values, "check-ca-file");
  g_autoptr (GError) local = NULL;

  if (path == NULL)
    return TRUE;
  if (!g_str_equal (g_uri_get_scheme (options->uri), "https"))
    return refuse (error, "check-ca-file", path, "the URI is not one of https");
  /* GIO opens it as any file; a pipe would block, a device might never end. */
  if (!g_file_test (path, G_FILE_TEST_IS_REGULAR) || !g_path_is_absolute (path))
    return refuse (error, "check-ca-file", path, "not the absolute path of a regular file");
  options->anchors = g_tls_file_database_new (path, &local);
  return options->anchors != NULL || refuse (error, "check-ca-file", path, local->message);
}

DerateHttpOptions *
derate_http_options_parse (GVariant *values, GError **error)
{
  static const char *const known[] = { "uri",
                                       "password-file",
                                       "check-method",
                                       "check-status",
                                       "check-body",
                                       "check-body-regex",
                                       "check-host",
                                       HEADER_PREFIX "*",
                                       "check-ca-file",
                                       "check-follow-redirects",
                                       NULL };
  g_autoptr (DerateHttpOptions) options = g_atomic_rc_box_new0 (DerateHttpOptions);
  g_autoptr (GUri) whole = NULL;

  if (!derate_check_options_validate (values, known, error) ||
      !read_uri (options, values, &whole, error) ||
      !read_credentials (options, values, whole, error) || !read_method (options, values, error) ||
      !read_status (options, values, error) || !read_body (options, values, error) ||
      !read_headers (options, values, error) || !read_anchors (options, values, error) ||
      !derate_check_options_get_boolean (values, "check-follow-redirects", &options->follow, error))
    return NULL;
  return g_steal_pointer (&options);
}

DerateHttpOptions *
derate_http_options_ref (DerateHttpOptions *options)
{
  return g_atomic_rc_box_acquire (options);
}

static void
options_clear (gpointer data)
{
  DerateHttpOptions *options = data;

  g_clear_pointer (&options->uri, g_uri_unref);
  g_clear_object (&options->address);
  g_clear_object (&options->anchors);
  g_free (options->host);
  derate_check_secret_free (options->authorization);
  g_clear_pointer (&options->headers, soup_message_headers_unref);
  g_free (options->status_text);
  g_free (options->body);
  g_clear_pointer (&options->regex, g_regex_unref);
}

void
derate_http_options_unref (DerateHttpOptions *options)
{
  g_atomic_rc_box_release_full (options, options_clear);
}
