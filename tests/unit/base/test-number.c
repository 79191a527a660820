/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <locale.h>
#include <math.h>
#include <string.h>

#include "derate-number-private.h"

typedef void (*Append) (GString *out, double value);

static char *
format (Append append, double value)
{
  GString *out = g_string_new (NULL);

  append (out, value);
  return g_string_free (out, FALSE);
}

static const struct
{
  double value;
  const char *json;
  const char *sample;
  const char *le;
} rows[] = {
  { 0, "0", "0", "0.0" },
  { -0.0, "-0", "-0", "-0.0" },
  { 1, "1", "1", "1.0" },
  { -1, "-1", "-1", "-1.0" },
  { 0.1, "0.1", "0.1", "0.1" },
  { 0.3, "0.3", "0.3", "0.3" },
  { 0.1 + 0.2, "0.30000000000000004", "0.30000000000000004", "0.30000000000000004" },
  { 2.5, "2.5", "2.5", "2.5" },
  { 1.0 / 3, "0.3333333333333333", "0.3333333333333333", "0.3333333333333333" },
  { 0.0001, "0.0001", "0.0001", "0.0001" },
  { 0.00001, "1e-05", "1e-05", "1e-05" },
  { 0.000025, "2.5e-05", "2.5e-05", "2.5e-05" },
  { 100000, "100000", "100000", "100000.0" },
  { 1e6, "1000000", "1000000", "1e+06" },
  { 1234567, "1234567", "1234567", "1.234567e+06" },
  { 123456.5, "123456.5", "123456.5", "123456.5" },
  { 1763720000.1, "1763720000.1", "1763720000.1", "1.7637200001e+09" },
  { 999999999999999, "999999999999999", "999999999999999", "9.99999999999999e+14" },
  { 1e15, "1e+15", "1e+15", "1e+15" },
  { 1e23, "1e+23", "1e+23", "1e+23" },
  { 1e300, "1e+300", "1e+300", "1e+300" },
  { 1.7976931348623157e308, "1.7976931348623157e+308", "1.7976931348623157e+308",
    "1.7976931348623157e+308" },
  { 5e-324, "5e-324", "5e-324", "5e-324" },
  { NAN, "null", "NaN", "NaN" },
  { INFINITY, "null", "+Inf", "+Inf" },
  { -INFINITY, "null", "-Inf", "-Inf" },
};

static void
test_formats (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *json = format (derate_number_append_json, rows[i].value);
      g_autofree char *sample = format (derate_number_append_sample, rows[i].value);
      g_autofree char *le = format (derate_number_append_le, rows[i].value);

      g_assert_cmpstr (json, ==, rows[i].json);
      g_assert_cmpstr (sample, ==, rows[i].sample);
      g_assert_cmpstr (le, ==, rows[i].le);
    }
}

static void
test_reads_back (void)
{
  for (guint i = 0; i < 20000; i++)
    {
      guint64 bits = ((guint64)g_test_rand_int () << 32) | (guint32)g_test_rand_int ();
      g_autofree char *text = NULL;
      double value;

      memcpy (&value, &bits, sizeof value);
      if (!isfinite (value))
        continue;
      text = format (derate_number_append_json, value);
      g_assert_cmpfloat (g_ascii_strtod (text, NULL), ==, value);
      g_free (text);
      text = format (derate_number_append_le, value);
      g_assert_cmpfloat (g_ascii_strtod (text, NULL), ==, value);
    }
}

static void
test_uint64 (void)
{
  static const guint64 values[] = { 0, 9, 10, G_MAXUINT32, G_MAXUINT64 };

  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    {
      g_autofree char *expected = g_strdup_printf ("%" G_GUINT64_FORMAT, values[i]);
      g_autoptr (GString) out = g_string_new ("x");

      derate_number_append_uint64 (out, values[i]);
      g_assert_cmpstr (out->str + 1, ==, expected);
    }
}

static void
test_locale (void)
{
  static const char *const locales[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8" };
  const char *found = NULL;

  for (guint i = 0; found == NULL && i < G_N_ELEMENTS (locales); i++)
    found = setlocale (LC_ALL, locales[i]);
  if (found == NULL)
    g_test_message ("no locale with a decimal comma is installed");
  test_formats ();
  setlocale (LC_ALL, "C");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/number/formats", test_formats);
  g_test_add_func ("/number/reads-back", test_reads_back);
  g_test_add_func ("/number/uint64", test_uint64);
  g_test_add_func ("/number/locale", test_locale);
  return g_test_run ();
}
