/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-env.h"

#include <math.h>

#include "derate-error.h"
#include "derate-number-private.h"

static const struct
{
  const char *text;
  gboolean value;
} booleans[] = {
  { "true", TRUE }, { "false", FALSE }, { "1", TRUE },  { "0", FALSE },
  { "yes", TRUE },  { "no", FALSE },    { "on", TRUE }, { "off", FALSE },
};

/* The variable's text, or NULL where the fallback stands. */
static const char *
get_text (const char *name)
{
  const char *text = g_getenv (name);

  return text != NULL && *text != '\0' ? text : NULL;
}

/**
 * derate_env_get_boolean:
 * @name: a variable of the environment, such as `ENABLE_QUERY_LOGGING`
 * @fallback: what it is while the variable is unset or empty
 * @value: (out): what it is; left alone on an error
 * @error: return location for an error
 *
 * Reads a switch from the environment: `true`, `false`, `1`, `0`, `yes`, `no`, `on` or `off`, in
 * any case. A plugin that has a variable of its own is refused by name like Derate's are.
 * May be called from any thread, as long as none changes the environment.
 *
 * Returns: %FALSE with %DERATE_ERROR_INVALID_CONFIG, which names the variable and its text, where
 *   that is something else
 *
 * Since: 1.0
 */
gboolean
derate_env_get_boolean (const char *name, gboolean fallback, gboolean *value, GError **error)
{
  const char *text = get_text (name);

  if (text == NULL)
    {
      *value = fallback;
      return TRUE;
    }
  for (guint i = 0; i < G_N_ELEMENTS (booleans); i++)
    if (g_ascii_strcasecmp (text, booleans[i].text) == 0)
      {
        *value = booleans[i].value;
        return TRUE;
      }
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
               "environment variable %s: “%s” is neither true nor false", name, text);
  return FALSE;
}

/**
 * derate_env_get_number:
 * @name: a variable of the environment, such as `SLOW_QUERY_THRESHOLD_MS`
 * @fallback: what it is while the variable is unset or empty
 * @minimum: the least it may be
 * @maximum: the most it may be
 * @value: (out): what it is; left alone on an error
 * @error: return location for an error
 *
 * Reads a number from the environment: decimal, with a dot whatever the locale, without a unit.
 * May be called from any thread, as long as none changes the environment.
 *
 * Returns: %FALSE with %DERATE_ERROR_INVALID_CONFIG, which names the variable, its text and the
 *   bounds, where that is no number or not within them
 *
 * Since: 1.0
 */
gboolean
derate_env_get_number (const char *name,
                       double fallback,
                       double minimum,
                       double maximum,
                       double *value,
                       GError **error)
{
  const char *text = get_text (name);
  g_autoptr (GString) low = NULL;
  g_autoptr (GString) high = NULL;
  char *end = NULL;
  double number;

  if (text == NULL)
    {
      *value = fallback;
      return TRUE;
    }

  number = g_ascii_strtod (text, &end);
  if ((g_ascii_isdigit (*text) || *text == '-' || *text == '.') && *end == '\0' &&
      isfinite (number) && number >= minimum && number <= maximum)
    {
      *value = number;
      return TRUE;
    }

  low = g_string_new (NULL);
  high = g_string_new (NULL);
  derate_number_append_sample (low, minimum);
  derate_number_append_sample (high, maximum);
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
               "environment variable %s: “%s” is not a number from %s to %s", name, text, low->str,
               high->str);
  return FALSE;
}
