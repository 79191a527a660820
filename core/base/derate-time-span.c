/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-time-span.h"

#include <math.h>
#include <string.h>

#include "derate-error.h"

/* Longest first where one is a prefix of another. */
static const struct
{
  const char *suffix;
  gint64 usec;
} units[] = {
  { "us", 1 },
  { "ms", G_TIME_SPAN_MILLISECOND },
  { "s", G_TIME_SPAN_SECOND },
  { "m", G_TIME_SPAN_MINUTE },
  { "h", G_TIME_SPAN_HOUR },
  { "d", G_TIME_SPAN_DAY },
};

/* The unit that is the whole leading word of @text, so that `10mss` is not ten minutes. */
static gint64
match_unit (const char *text, gsize *length)
{
  gsize word = strspn (text, "abcdefghijklmnopqrstuvwxyz");

  for (guint i = 0; i < G_N_ELEMENTS (units); i++)
    if (strlen (units[i].suffix) == word && strncmp (text, units[i].suffix, word) == 0)
      {
        *length = word;
        return units[i].usec;
      }
  return 0;
}

/**
 * derate_time_span_parse:
 * @text: a duration such as `30s`, `250ms`, `1.5h`, `1m30s` or `0`
 * @span: (out): where to put it, in microseconds
 * @error: where to put the error
 *
 * Reads a duration as configuration and command lines write it: one or more numbers, each with a
 * unit out of us, ms, s, m, h and d. There are no spaces and there is no sign; a bare `0` needs no
 * unit. May be called from any thread.
 *
 * Returns: %FALSE with %DERATE_ERROR_INVALID_ARGUMENT where @text is not a duration
 *
 * Since: 1.0
 */
gboolean
derate_time_span_parse (const char *text, GTimeSpan *span, GError **error)
{
  const char *p = text;
  double total = 0;

  g_return_val_if_fail (text != NULL && span != NULL, FALSE);

  if (strcmp (text, "0") == 0)
    {
      *span = 0;
      return TRUE;
    }

  while (*p != '\0')
    {
      gsize digits = strspn (p, "0123456789.");
      char *end = NULL;
      gint64 unit;
      gsize length;
      double number;

      number = g_ascii_strtod (p, &end);
      if (digits == 0 || end != p + digits || !g_ascii_isdigit (*p))
        break;
      p = end;
      unit = match_unit (p, &length);
      if (unit == 0)
        {
          p = text;
          break;
        }
      total += number * (double)unit;
      p += length;
    }

  if (p == text || *p != '\0' || total >= (double)(G_MAXINT64 / 2))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                   "“%s” is not a duration such as 30s or 250ms", text);
      return FALSE;
    }

  *span = llround (total);
  return TRUE;
}

/**
 * derate_time_span_to_string:
 * @span: a duration in microseconds, not negative
 *
 * Writes a duration the way derate_time_span_parse() reads it, in the largest unit that keeps it
 * whole. May be called from any thread.
 *
 * Returns: (transfer full): the text
 *
 * Since: 1.0
 */
char *
derate_time_span_to_string (GTimeSpan span)
{
  if (span == 0)
    return g_strdup ("0");
  for (gint i = G_N_ELEMENTS (units) - 1; i >= 0; i--)
    if (span % units[i].usec == 0)
      return g_strdup_printf ("%" G_GINT64_FORMAT "%s", span / units[i].usec, units[i].suffix);
  g_return_val_if_reached (NULL);
}
