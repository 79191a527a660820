/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-json.h"

#include <math.h>

static const struct
{
  const char *variant;
  const char *json;
} rows[] = {
  { "true", "true" },
  { "byte 0x41", "65" },
  { "int16 -3", "-3" },
  { "uint16 3", "3" },
  { "-7", "-7" },
  { "uint32 7", "7" },
  { "int64 -9223372036854775808", "-9223372036854775808" },
  { "uint64 18446744073709551615", "18446744073709551615" },
  { "0.1", "0.1" },
  { "2.0", "2" },
  { "'a'", "\"a\"" },
  { "''", "\"\"" },
  { "'q\" b\\\\ n\\n t\\t r\\r b\\b f\\f u\\u0001 d\\u007f é 😀'",
    "\"q\\\" b\\\\ n\\n t\\t r\\r b\\b f\\f u\\u0001 d\\u007f é 😀\"" },
  { "objectpath '/a'", "\"/a\"" },
  { "signature 'as'", "\"as\"" },
  { "<<'x'>>", "\"x\"" },
  { "@ms nothing", "null" },
  { "@ms 'x'", "\"x\"" },
  { "@mms just nothing", "null" },
  { "@md 1.5", "1.5" },
  { "@as []", "[]" },
  { "['a', 'b']", "[\"a\",\"b\"]" },
  { "[[1, 2], []]", "[[1,2],[]]" },
  { "(1, 'a', <2.5>)", "[1,\"a\",2.5]" },
  { "()", "[]" },
  { "@a{sv} {}", "{}" },
  { "{'z': <1>, 'a': <'x'>, 'm': <@md nothing>}", "{\"z\":1,\"a\":\"x\",\"m\":null}" },
  { "{'z': 'b', 'a': 'c'}", "{\"z\":\"b\",\"a\":\"c\"}" },
  { "{'outer': <{'inner': <[1]>}>}", "{\"outer\":{\"inner\":[1]}}" },
  { "[{'a': <1>}, {'b': <2>}]", "[{\"a\":1},{\"b\":2}]" },
  { "{'quote\"': <1>}", "{\"quote\\\"\":1}" },
  { "{uint32 5: 'x'}", "{\"5\":\"x\"}" },
  { "{'a', 1}", "{\"a\":1}" },
};

static void
test_values (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GVariant) value = g_variant_parse (NULL, rows[i].variant, NULL, NULL, &error);
      g_autofree char *json = NULL;

      g_assert_no_error (error);
      json = derate_json_from_variant (value);
      g_assert_cmpstr (json, ==, rows[i].json);
    }
}

static void
test_not_finite (void)
{
  g_autofree char *nan = derate_json_from_variant (g_variant_new_double (NAN));
  g_autofree char *inf = derate_json_from_variant (g_variant_new_double (-INFINITY));
  g_autofree char *none = derate_json_from_variant (NULL);

  g_assert_cmpstr (nan, ==, "null");
  g_assert_cmpstr (inf, ==, "null");
  g_assert_cmpstr (none, ==, "null");
}

static void
test_shallow (void)
{
  g_autofree char *within = g_strnfill (64, '[');
  g_autofree char *over = g_strnfill (65, '{');
  g_autofree char *hidden = g_strconcat ("/*\"*/", over, NULL);
  g_autofree char *quoted = g_strconcat ("{\"\\\"", over, "\": 1}", NULL);
  g_autoptr (GString) wide = g_string_new (NULL);

  for (guint i = 0; i < 100; i++)
    g_string_append (wide, "[{}],");
  g_assert_true (derate_json_is_shallow (""));
  g_assert_true (derate_json_is_shallow ("]]\"\\"));
  g_assert_true (derate_json_is_shallow (wide->str));
  g_assert_true (derate_json_is_shallow (within));
  g_assert_true (derate_json_is_shallow (quoted));
  g_assert_false (derate_json_is_shallow (over));
  g_assert_false (derate_json_is_shallow (hidden));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/json/values", test_values);
  g_test_add_func ("/json/not-finite", test_not_finite);
  g_test_add_func ("/json/shallow", test_shallow);
  return g_test_run ();
}
