/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-check-options.h"

#include <derate-redact.h>
#include <string.h>

void
derate_check_options_set_error (GError **error,
                                const char *key,
                                const char *value,
                                const char *problem)
{
  g_autofree char *shown = derate_redact (value);

  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, "%s=%s: %s", key, shown, problem);
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
      if (!g_strv_contains (known, key))
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

  *secret = NULL;
  if (path == NULL)
    return TRUE;
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
