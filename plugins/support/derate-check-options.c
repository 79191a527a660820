/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-check-options.h"

#include <derate-redact.h>
#include <glib/gstdio.h>
#include <string.h>

#define SECRET_MAX (64 * 1024)
#define SHOWN_MAX 200

/* A URI that is refused may be no URI at all, with its password where nobody expects one: whatever
 * stands before an @ is hidden, and what looks like nothing but a password. */
static char *
show_uri (const char *value)
{
  const char *at = strrchr (value, '@');
  const char *host = strstr (value, "://");
  const char *query = strchr (value, '?');
  gsize scheme = strspn (value, "abcdefghijklmnopqrstuvwxyz0123");

  if (query != NULL && strchr (query, '%') != NULL)
    return g_strdup ("***");
  if (at != NULL)
    return g_strdup_printf ("%.*s***%s", host == value + scheme ? (int)scheme + 3 : 0, value, at);
  return g_strdup (*value == '\0' || strpbrk (value, ":=/.") != NULL ? value : "***");
}

static char *
show (const char *key, const char *value)
{
  g_autofree char *safe = g_str_equal (key, "uri") ? show_uri (value) : g_strdup (value);
  g_autofree char *shown = derate_redact (safe);

  return g_utf8_substring (shown, 0, MIN (g_utf8_strlen (shown, -1), SHOWN_MAX));
}

void
derate_check_options_set_error (GError **error,
                                const char *key,
                                const char *value,
                                const char *problem)
{
  g_autofree char *shown = show (key, value);

  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, "%s=%s: %s", key, shown, problem);
}

static gboolean
is_known (const char *key, const char *const *known)
{
  for (; *known != NULL; known++)
    {
      gsize length = strcspn (*known, "*");

      if ((*known)[length] == '*' ? strncmp (key, *known, length) == 0 : g_str_equal (key, *known))
        return TRUE;
    }
  return FALSE;
}

gboolean
derate_check_options_validate (GVariant *options, const char *const *known, GError **error)
{
  GVariantIter iter;
  const char *key;
  const char *value;

  g_variant_iter_init (&iter, options);
  while (g_variant_iter_next (&iter, "{&s&s}", &key, &value))
    {
      if (!is_known (key, known))
        {
          derate_check_options_set_error (error, key, value, "unknown key");
          return FALSE;
        }
    }
  return TRUE;
}

const char *
derate_check_options_get (GVariant *options, const char *key)
{
  const char *value = NULL;

  g_variant_lookup (options, key, "&s", &value);
  return value;
}

gboolean
derate_check_options_get_boolean (GVariant *options,
                                  const char *key,
                                  gboolean *value,
                                  GError **error)
{
  const char *text = derate_check_options_get (options, key);

  *value = FALSE;
  if (text == NULL)
    return TRUE;
  *value = g_str_equal (text, "yes");
  if (*value || g_str_equal (text, "no"))
    return TRUE;
  derate_check_options_set_error (error, key, text, "neither yes nor no");
  return FALSE;
}

gboolean
derate_check_options_read_secret (GVariant *options, char **secret, GError **error)
{
  const char *path = derate_check_options_get (options, "password-file");
  g_autoptr (GError) local = NULL;
  GStatBuf info;

  *secret = NULL;
  if (path == NULL)
    return TRUE;
  /* A pipe would block, a device might never end. */
  if (g_stat (path, &info) == 0 && (!S_ISREG (info.st_mode) || info.st_size > SECRET_MAX))
    {
      derate_check_options_set_error (error, "password-file", path,
                                      "not a regular file of at most 64 KiB");
      return FALSE;
    }
  if (!g_file_get_contents (path, secret, NULL, &local))
    {
      derate_check_options_set_error (error, "password-file", path, local->message);
      return FALSE;
    }
  g_strchomp (*secret);
  return TRUE;
}

void
derate_check_secret_free (char *secret)
{
  if (secret != NULL)
    explicit_bzero (secret, strlen (secret));
  g_free (secret);
}
