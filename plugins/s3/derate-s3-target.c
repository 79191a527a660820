/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-s3-target.h"

#include <string.h>

#define DEFAULT_REGION "us-east-1"
#define REGION_MAX 32
#define BUCKET_MIN 3
#define BUCKET_MAX 63
#define CODE_MAX 64

static gboolean
is_made_of (const char *text, const char *others, gsize min, gsize max)
{
  gsize length = strlen (text);

  for (gsize i = 0; i < length; i++)
    {
      if (!g_ascii_islower (text[i]) && !g_ascii_isdigit (text[i]) &&
          strchr (others, text[i]) == NULL)
        return FALSE;
    }
  return length >= min && length <= max;
}

gboolean
derate_s3_is_region (const char *text)
{
  return is_made_of (text, "-", 1, REGION_MAX);
}

static const char *
read_parameters (DerateS3Target *target, const char *query)
{
  g_autoptr (GHashTable) parameters = NULL;
  GHashTableIter iter;
  gpointer name;
  gpointer value;

  parameters = g_uri_parse_params (query, -1, "&", G_URI_PARAMS_NONE, NULL);
  if (parameters == NULL)
    return "its parameters cannot be read";
  g_hash_table_iter_init (&iter, parameters);
  while (g_hash_table_iter_next (&iter, &name, &value))
    {
      if (g_str_equal (name, "region"))
        {
          g_free (target->region);
          target->region = g_strdup (value);
        }
      else if (g_str_equal (name, "endpoint"))
        target->endpoint = derate_soup_parse_uri (value);
      else if (!g_str_equal (name, "style"))
        return "it has a parameter that is none of endpoint, region and style";
    }
  value = g_hash_table_lookup (parameters, "style");
  if (value != NULL && !g_str_equal (value, "path") && !g_str_equal (value, "virtual"))
    return "style is neither path nor virtual";
  if (g_hash_table_contains (parameters, "endpoint") && target->endpoint == NULL)
    return "endpoint is not an http or https URI";
  target->virtual_host = value != NULL ? g_str_equal (value, "virtual") : target->endpoint == NULL;
  return NULL;
}

static char *
default_region (void)
{
  const char *region = g_getenv ("AWS_REGION");

  if (region == NULL || *region == '\0')
    region = g_getenv ("AWS_DEFAULT_REGION");
  return g_strdup (region != NULL && *region != '\0' ? region : DEFAULT_REGION);
}

DerateS3Target *
derate_s3_target_parse (const char *text, const char **problem)
{
  g_autoptr (DerateS3Target) target = g_new0 (DerateS3Target, 1);
  g_autoptr (GUri) uri = g_uri_parse (text, G_URI_FLAGS_NONE, NULL);
  const char *path;

  if (uri == NULL || !g_str_equal (g_uri_get_scheme (uri), "s3") || g_uri_get_host (uri) == NULL)
    {
      *problem = "not an s3:// URI";
      return NULL;
    }
  path = g_uri_get_path (uri);
  target->bucket = g_strdup (g_uri_get_host (uri));
  target->region = default_region ();
  *problem = read_parameters (target, g_uri_get_query (uri) != NULL ? g_uri_get_query (uri) : "");
  if (*problem == NULL && !is_made_of (target->bucket, "-.", BUCKET_MIN, BUCKET_MAX))
    *problem = "the bucket's name is not one";
  if (*problem == NULL && !derate_s3_is_region (target->region))
    *problem = "the region's name is not one";
  if (*problem == NULL && *path != '\0' && !g_str_equal (path, "/"))
    *problem = "there is a path behind the bucket";
  return *problem == NULL ? g_steal_pointer (&target) : NULL;
}

void
derate_s3_target_free (DerateS3Target *target)
{
  g_free (target->bucket);
  g_free (target->region);
  g_clear_pointer (&target->endpoint, g_uri_unref);
  g_free (target);
}

GUri *
derate_s3_target_build_uri (const DerateS3Target *target, const char *query)
{
  g_autofree char *host = NULL;
  g_autofree char *whole = NULL;
  g_autofree char *path = NULL;
  g_autofree char *front = NULL;

  if (target->endpoint != NULL)
    host = g_strdup (g_uri_get_host (target->endpoint));
  else
    host = g_strdup_printf ("s3.%s.amazonaws.com", target->region);
  front = g_strdup (target->endpoint != NULL ? g_uri_get_path (target->endpoint) : "");
  if (g_str_has_suffix (front, "/"))
    front[strlen (front) - 1] = '\0';
  if (target->virtual_host)
    {
      whole = g_strconcat (target->bucket, ".", host, NULL);
      path = g_strconcat (front, "/", NULL);
    }
  else
    {
      whole = g_strdup (host);
      path = g_strconcat (front, "/", target->bucket, NULL);
    }
  return g_uri_build (SOUP_HTTP_URI_FLAGS,
                      target->endpoint != NULL ? g_uri_get_scheme (target->endpoint) : "https",
                      NULL, whole,
                      target->endpoint != NULL ? g_uri_get_port (target->endpoint) : -1, path,
                      query, NULL);
}

SoupMessage *
derate_s3_target_sign (const DerateS3Target *target,
                       const char *method,
                       const char *query,
                       const DerateSigv4Credentials *credentials)
{
  g_autoptr (GUri) uri = derate_s3_target_build_uri (target, query);
  SoupMessage *message = soup_message_new_from_uri (method, uri);
  SoupMessageHeaders *headers = soup_message_get_request_headers (message);
  GUri *sent = soup_message_get_uri (message);
  g_autofree char *host = derate_soup_uri_dup_host (sent);
  gint64 now = derate_clock_get_real_time (derate_clock_get_system ());
  g_autofree char *timestamp = derate_sigv4_timestamp (now);
  g_autofree char *authorization = NULL;
  const DerateSigv4Header signed_headers[] = {
    { "host", host },
    { "x-amz-content-sha256", DERATE_SIGV4_EMPTY },
    { "x-amz-date", timestamp },
    { "x-amz-security-token", credentials->token },
  };
  DerateSigv4Request request = {
    .method = method,
    .path = g_uri_get_path (sent),
    .query = g_uri_get_query (sent),
    .headers = signed_headers,
    .n_headers = credentials->token != NULL ? 4 : 3,
    .payload = DERATE_SIGV4_EMPTY,
    .region = target->region,
    .timestamp = timestamp,
  };

  authorization = derate_sigv4_authorize (&request, credentials);
  for (guint i = 0; i < request.n_headers; i++)
    soup_message_headers_replace (headers, signed_headers[i].name, signed_headers[i].value);
  soup_message_headers_replace (headers, "Authorization", authorization);
  return message;
}

static DerateSigv4Credentials *
make_credentials (const char *access_key, const char *secret_key, const char *token)
{
  DerateSigv4Credentials *credentials;

  if (access_key == NULL || *access_key == '\0' || secret_key == NULL || *secret_key == '\0')
    return NULL;
  credentials = g_new0 (DerateSigv4Credentials, 1);
  credentials->access_key = g_strdup (access_key);
  credentials->secret_key = g_strdup (secret_key);
  credentials->token = token != NULL && *token != '\0' ? g_strdup (token) : NULL;
  return credentials;
}

DerateSigv4Credentials *
derate_s3_parse_credentials (const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  const char *found[3] = { NULL, NULL, NULL };
  const char *const names[] = { "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=",
                                "AWS_SESSION_TOKEN=" };

  for (guint i = 0; lines[i] != NULL; i++)
    {
      g_strstrip (lines[i]);
      for (guint j = 0; j < G_N_ELEMENTS (names); j++)
        {
          if (g_str_has_prefix (lines[i], names[j]))
            found[j] = lines[i] + strlen (names[j]);
        }
    }
  return make_credentials (found[0], found[1], found[2]);
}

DerateSigv4Credentials *
derate_s3_credentials_from_environment (void)
{
  return make_credentials (g_getenv ("AWS_ACCESS_KEY_ID"), g_getenv ("AWS_SECRET_ACCESS_KEY"),
                           g_getenv ("AWS_SESSION_TOKEN"));
}

char *
derate_s3_parse_error_code (const char *xml)
{
  const char *start = strstr (xml, "<Code>");
  const char *end = start != NULL ? strstr (start, "</Code>") : NULL;

  if (end == NULL)
    return NULL;
  start += strlen ("<Code>");
  if (end == start || end - start > CODE_MAX)
    return NULL;
  for (const char *p = start; p < end; p++)
    {
      if (!g_ascii_isalnum (*p))
        return NULL;
    }
  return g_strndup (start, (gsize)(end - start));
}
