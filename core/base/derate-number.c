/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-number-private.h"

#include <math.h>
#include <string.h>

/* Whole numbers below this print as digits alone and read back exactly. */
#define PLAIN_MAX 1e15

/* Every decimal of up to 15 digits survives the way into a normal double and back, so what %.15g
 * writes and reads back is the shortest; subnormals have fewer digits and are tried from one. */
#define SURE_DIGITS 15
#define MAX_DIGITS 17
#define SMALLEST_NORMAL 2.2250738585072014e-308

/* Writes @value as d.ddde±xx with the fewest digits that read back. */
static void
format_scientific (double value, char buffer[G_ASCII_DTOSTR_BUF_SIZE])
{
  gint digits = fabs (value) < SMALLEST_NORMAL ? 1 : SURE_DIGITS;

  for (; digits <= MAX_DIGITS; digits++)
    {
      char format[8];

      g_snprintf (format, sizeof format, "%%.%de", digits - 1);
      g_ascii_formatd (buffer, G_ASCII_DTOSTR_BUF_SIZE, format, value);
      if (g_ascii_strtod (buffer, NULL) == value)
        return;
    }
}

/* Writes @digits (no dot) and @exponent of the first one without an exponent. */
static void
append_plain (GString *out, const char *digits, gint exponent)
{
  gint length = (gint)strlen (digits);

  if (exponent < 0)
    {
      g_string_append (out, "0.");
      for (gint i = -1; i > exponent; i--)
        g_string_append_c (out, '0');
      g_string_append (out, digits);
      return;
    }

  for (gint i = 0; i < MAX (length, exponent + 1); i++)
    {
      if (i == exponent + 1)
        g_string_append_c (out, '.');
      g_string_append_c (out, i < length ? digits[i] : '0');
    }
}

static void
append_exponent (GString *out, const char *digits, gint exponent)
{
  g_string_append_c (out, digits[0]);
  if (digits[1] != '\0')
    g_string_append_printf (out, ".%s", digits + 1);
  g_string_append_printf (out, "e%c%02d", exponent < 0 ? '-' : '+', ABS (exponent));
}

/* Writes a finite @value; with an exponent below 1e-4 and from ten to the @exponent_from on. */
static void
append_finite (GString *out, double value, gint exponent_from)
{
  char buffer[G_ASCII_DTOSTR_BUF_SIZE];
  char digits[MAX_DIGITS + 2];
  gsize n = 0;
  gint exponent;
  const char *p = buffer;

  format_scientific (value, buffer);
  if (*p == '-')
    g_string_append_c (out, *p++);
  for (; *p != 'e' && *p != '\0'; p++)
    if (g_ascii_isdigit (*p) && n <= MAX_DIGITS)
      digits[n++] = *p;
  while (n > 1 && digits[n - 1] == '0')
    n--;
  digits[n] = '\0';
  exponent = *p == 'e' ? (gint)g_ascii_strtoll (p + 1, NULL, 10) : 0;

  if (exponent < -4 || exponent >= exponent_from)
    append_exponent (out, digits, exponent);
  else
    append_plain (out, digits, exponent);
}

/* By hand: an exposition prints thousands of them. */
void
derate_number_append_uint64 (GString *out, guint64 value)
{
  char buffer[20];
  char *p = buffer + sizeof buffer;

  do
    *--p = (char)('0' + value % 10);
  while ((value /= 10) != 0);
  g_string_append_len (out, p, buffer + sizeof buffer - p);
}

/* Most measured values are whole microseconds or shorter, and need no printf: a decimal of up to 15
 * digits that reads back is the shortest. */
static gboolean
append_decimal (GString *out, double value)
{
  double size = fabs (value);
  guint64 millionths;
  char digits[6];
  gsize n = sizeof digits;

  if (!(size >= 1e-4 && size < 1e9))
    return FALSE;
  millionths = (guint64)(size * 1e6 + 0.5);
  if ((double)millionths / 1e6 != size)
    return FALSE;
  if (value < 0)
    g_string_append_c (out, '-');
  derate_number_append_uint64 (out, millionths / 1000000);
  millionths %= 1000000;
  for (gsize i = sizeof digits; i > 0; i--, millionths /= 10)
    digits[i - 1] = (char)('0' + millionths % 10);
  while (n > 0 && digits[n - 1] == '0')
    n--;
  if (n > 0)
    g_string_append_c (out, '.');
  g_string_append_len (out, digits, (gssize)n);
  return TRUE;
}

static void
append_number (GString *out, double value)
{
  if (value == floor (value) && fabs (value) < PLAIN_MAX && !(value == 0 && signbit (value)))
    {
      if (value < 0)
        g_string_append_c (out, '-');
      derate_number_append_uint64 (out, (guint64)fabs (value));
    }
  else if (!append_decimal (out, value))
    append_finite (out, value, SURE_DIGITS);
}

void
derate_number_append_json (GString *out, double value)
{
  if (isfinite (value))
    append_number (out, value);
  else
    g_string_append (out, "null");
}

static gboolean
append_not_finite (GString *out, double value)
{
  if (isfinite (value))
    return FALSE;
  g_string_append (out, isnan (value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
  return TRUE;
}

void
derate_number_append_sample (GString *out, double value)
{
  if (!append_not_finite (out, value))
    append_number (out, value);
}

void
derate_number_append_le (GString *out, double value)
{
  gsize start = out->len;

  if (append_not_finite (out, value))
    return;
  append_finite (out, value, 6);
  if (strpbrk (out->str + start, ".e") == NULL)
    g_string_append (out, ".0");
}
