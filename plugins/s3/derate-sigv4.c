/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-sigv4.h"

#include <string.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define SERVICE "s3"
#define TERMINATOR "aws4_request"
#define DAY_LENGTH 8
#define KEY_LENGTH 32

void
derate_sigv4_credentials_free (DerateSigv4Credentials *credentials)
{
  g_free (credentials->access_key);
  if (credentials->secret_key != NULL)
    explicit_bzero (credentials->secret_key, strlen (credentials->secret_key));
  g_free (credentials->secret_key);
  g_free (credentials->token);
  g_free (credentials);
}

/* Decoded and encoded again, so that every octet has the one spelling that the signature knows. */
static char *
encode (const char *text, gssize length, const char *allowed)
{
  const char *end = length < 0 ? text + strlen (text) : text + length;
  g_autoptr (GBytes) raw = g_uri_unescape_bytes (text, end - text, NULL, NULL);
  const guint8 *octets = raw != NULL ? g_bytes_get_data (raw, NULL) : (const guint8 *)text;
  gsize n = raw != NULL ? g_bytes_get_size (raw) : (gsize)(end - text);
  GString *out = g_string_new (NULL);

  for (gsize i = 0; i < n; i++)
    {
      char c = (char)octets[i];

      if (c != '\0' && (g_ascii_isalnum (c) || strchr (allowed, c) != NULL))
        g_string_append_c (out, c);
      else
        g_string_append_printf (out, "%%%02X", octets[i]);
    }
  return g_string_free (out, FALSE);
}

static char *
canonical_parameter (const char *text)
{
  const char *equal = strchr (text, '=');
  g_autofree char *name = encode (text, equal != NULL ? equal - text : -1, "-_.~");
  g_autofree char *value = encode (equal != NULL ? equal + 1 : "", -1, "-_.~");

  return g_strconcat (name, "=", value, NULL);
}

/* By name, then value: '=' must sort below every character of a longer name. */
static int
compare_parameters (gconstpointer a, gconstpointer b)
{
  const char *one = *(const char *const *)a;
  const char *other = *(const char *const *)b;
  g_autofree char *one_name = g_strndup (one, strcspn (one, "="));
  g_autofree char *other_name = g_strndup (other, strcspn (other, "="));
  int order = strcmp (one_name, other_name);

  return order != 0 ? order : strcmp (one, other);
}

static char *
canonical_query (const char *query)
{
  g_autoptr (GPtrArray) parameters = g_ptr_array_new_with_free_func (g_free);
  g_auto (GStrv) parts = NULL;

  if (query == NULL || *query == '\0')
    return g_strdup ("");
  parts = g_strsplit (query, "&", -1);
  for (guint i = 0; parts[i] != NULL; i++)
    {
      if (*parts[i] != '\0')
        g_ptr_array_add (parameters, canonical_parameter (parts[i]));
    }
  g_ptr_array_sort (parameters, compare_parameters);
  g_ptr_array_add (parameters, NULL);
  return g_strjoinv ("&", (char **)parameters->pdata);
}

static char *
signed_headers (const DerateSigv4Request *request)
{
  GString *out = g_string_new (NULL);

  for (guint i = 0; i < request->n_headers; i++)
    g_string_append_printf (out, "%s%s", i > 0 ? ";" : "", request->headers[i].name);
  return g_string_free (out, FALSE);
}

/* Without white space around, and with one space where there were several. */
static void
append_trimmed (GString *out, const char *value)
{
  g_auto (GStrv) words = g_strsplit_set (value, " \t", -1);
  gboolean first = TRUE;

  for (guint i = 0; words[i] != NULL; i++)
    {
      if (*words[i] == '\0')
        continue;
      g_string_append_printf (out, "%s%s", first ? "" : " ", words[i]);
      first = FALSE;
    }
}

char *
derate_sigv4_canonical_request (const DerateSigv4Request *request)
{
  g_autofree char *path = encode (request->path, -1, "-_.~/");
  g_autofree char *query = canonical_query (request->query);
  g_autofree char *names = signed_headers (request);
  GString *out = g_string_new (NULL);

  g_string_append_printf (out, "%s\n%s\n%s\n", request->method, *path != '\0' ? path : "/", query);
  for (guint i = 0; i < request->n_headers; i++)
    {
      g_string_append_printf (out, "%s:", request->headers[i].name);
      append_trimmed (out, request->headers[i].value);
      g_string_append_c (out, '\n');
    }
  g_string_append_printf (out, "\n%s\n%s", names, request->payload);
  return g_string_free (out, FALSE);
}

static void
hmac (const guint8 *key, gsize length, const char *text, guint8 *digest)
{
  g_autoptr (GHmac) context = g_hmac_new (G_CHECKSUM_SHA256, key, length);
  gsize written = KEY_LENGTH;

  g_hmac_update (context, (const guchar *)text, -1);
  g_hmac_get_digest (context, digest, &written);
}

static char *
sign (const DerateSigv4Request *request, const char *secret, const char *text)
{
  g_autofree char *day = g_strndup (request->timestamp, DAY_LENGTH);
  g_autofree char *first = g_strconcat ("AWS4", secret, NULL);
  const char *const steps[] = { day, request->region, SERVICE, TERMINATOR };
  guint8 key[KEY_LENGTH];
  char *signature;

  hmac ((const guint8 *)first, strlen (first), steps[0], key);
  for (guint i = 1; i < G_N_ELEMENTS (steps); i++)
    hmac (key, sizeof key, steps[i], key);
  signature = g_compute_hmac_for_string (G_CHECKSUM_SHA256, key, sizeof key, text, -1);
  explicit_bzero (key, sizeof key);
  explicit_bzero (first, strlen (first));
  return signature;
}

char *
derate_sigv4_authorize (const DerateSigv4Request *request,
                        const DerateSigv4Credentials *credentials)
{
  g_autofree char *canonical = derate_sigv4_canonical_request (request);
  g_autofree char *names = signed_headers (request);
  g_autofree char *digest = g_compute_checksum_for_string (G_CHECKSUM_SHA256, canonical, -1);
  g_autofree char *scope = NULL;
  g_autofree char *text = NULL;
  g_autofree char *signature = NULL;

  scope = g_strdup_printf ("%.*s/%s/" SERVICE "/" TERMINATOR, DAY_LENGTH, request->timestamp,
                           request->region);
  text = g_strjoin ("\n", ALGORITHM, request->timestamp, scope, digest, NULL);
  signature = sign (request, credentials->secret_key, text);
  return g_strdup_printf (ALGORITHM " Credential=%s/%s,SignedHeaders=%s,Signature=%s",
                          credentials->access_key, scope, names, signature);
}

char *
derate_sigv4_timestamp (gint64 real_time)
{
  g_autoptr (GDateTime) date = g_date_time_new_from_unix_utc (real_time / G_TIME_SPAN_SECOND);

  return g_date_time_format (date, "%Y%m%dT%H%M%SZ");
}
