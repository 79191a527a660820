/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "derate-config-private.h"
#include "derate-error.h"

#define NAME_START "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
#define NAME_REST NAME_START "0123456789"

static gsize
name_length (const char *p)
{
  return strspn (p, NAME_START) == 0 ? 0 : strspn (p, NAME_REST);
}

/* @p stands after `${`; gives where to go on. */
static const char *
expand_braces (const char *p, GString *out, GError **error)
{
  gsize length = name_length (p);
  const char *end = strchr (p, '}');
  g_autofree char *name = g_strndup (p, length);
  gboolean with_default = strncmp (p + length, ":-", 2) == 0;
  const char *value;

  /* The text is not shown: a default may be a password. */
  if (length == 0 || end == NULL || (!with_default && p + length != end))
    {
      g_set_error_literal (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                           "“$” begins neither ${NAME} nor ${NAME:-default} nor $$");
      return NULL;
    }

  value = g_getenv (name);
  if (with_default && (value == NULL || *value == '\0'))
    g_string_append_len (out, p + length + 2, end - (p + length + 2));
  else if (value != NULL && g_utf8_validate (value, -1, NULL))
    g_string_append (out, value);
  else
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   value == NULL ? "the environment has no variable %s"
                                 : "the variable %s of the environment is not UTF-8",
                   name);
      return NULL;
    }
  return end + 1;
}

char *
derate_config_expand (const char *raw, GError **error)
{
  g_autoptr (GString) out = g_string_new (NULL);

  for (const char *p = raw; *p != '\0';)
    {
      if (p[0] != '$')
        g_string_append_c (out, *p++);
      else if (p[1] == '$')
        {
          g_string_append_c (out, '$');
          p += 2;
        }
      else
        {
          p = expand_braces (p[1] == '{' ? p + 2 : "", out, error);
          if (p == NULL)
            return NULL;
        }
    }
  return g_strdup (out->str);
}
