/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-pg-error.h"
#include "derate-pg-parameters-private.h"

#include <string.h>

/* clang-format off */
static const struct
{
  const char *text; /* a GVariant, as g_variant_parse () reads it */
  const char *sent; /* TYPE:BYTES of each in hexadecimal, TYPE"TEXT" or TYPE- for NULL */
} sent[] = {
  { "()", "" },
  { "(true, false)", "16:01 16:00" },
  { "(byte 0xff, int16 -2)", "21:00ff 21:fffe" },
  { "(uint16 65535, -3)", "23:0000ffff 23:fffffffd" },
  { "(uint32 4294967295, int64 -4)", "20:00000000ffffffff 20:fffffffffffffffc" },
  { "(uint64 9223372036854775807,)", "20:7fffffffffffffff" },
  { "(1.5, -0.0)", "701:3ff8000000000000 701:8000000000000000" },
  { "('it\\'s', '')", "0\"it's\" 0\"\"" },
  { "([byte 0x00, 0x01], @ay [])", "17:0001 17:" },
  { "(@mi nothing, @mi 7)", "23- 23:00000007" },
  { "(@ms nothing, @may nothing, @mv nothing, @mb nothing)", "0- 17- 0- 16-" },
  { "(<'x'>, <<int64 1>>, <@mx nothing>, @mv <true>)", "0\"x\" 20:0000000000000001 20- 16:01" },
  { "(1, 2, 3, 4, 5, 6, 7, 8, 'nine', @mi nothing)", "23:00000001 23:00000002 23:00000003 23:00000004 "
    "23:00000005 23:00000006 23:00000007 23:00000008 0\"nine\" 23-" },
};

static const struct
{
  const char *text;
  const char *named; /* what the error says */
} refused[] = {
  { "'secret'", "“s”: not a tuple" },
  { "[1]", "“ai”: not a tuple" },
  { "(1, ['secret'])", "parameter $2 of type “as”" },
  { "(1, (2, 3))", "parameter $2 of type “(ii)”" },
  { "({'k': <1>},)", "parameter $1 of type “a{sv}”" },
  { "(objectpath '/secret',)", "parameter $1 of type “o”" },
  { "(@mas nothing,)", "parameter $1 of type “mas”" },
  { "(<(1, 2)>,)", "parameter $1 of type “(ii)”" },
  { "('x', 2, uint64 9223372036854775808)", "parameter $3 of type “t” holds more than an int8 can" },
  { "(1, 2, 3, 4, 5, 6, 7, 8, 9, signature 'i')", "parameter $10 of type “g”" },
};
/* clang-format on */

static char *
describe (const DeratePgParameters *parameters)
{
  GString *out = g_string_new (NULL);

  for (int i = 0; i < parameters->n; i++)
    {
      g_string_append_printf (out, "%s%u", i > 0 ? " " : "", parameters->types[i]);
      if (parameters->values[i] == NULL)
        g_string_append_c (out, '-');
      else if (parameters->formats[i] == 0)
        g_string_append_printf (out, "\"%s\"", parameters->values[i]);
      else
        g_string_append_c (out, ':');
      for (int j = 0; j < parameters->lengths[i]; j++)
        g_string_append_printf (out, "%02x", (guchar)parameters->values[i][j]);
    }
  return g_string_free (out, FALSE);
}

static void
test_sent (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (sent); i++)
    {
      g_autoptr (GVariant) tuple = g_variant_parse (NULL, sent[i].text, NULL, NULL, NULL);
      g_autoptr (GBytes) bytes = g_variant_get_data_as_bytes (tuple);
      g_autoptr (GVariant) serialised =
          g_variant_ref_sink (g_variant_new_from_bytes (g_variant_get_type (tuple), bytes, FALSE));
      GVariant *const forms[] = { tuple, serialised };

      for (guint j = 0; j < G_N_ELEMENTS (forms); j++)
        {
          g_auto (DeratePgParameters) parameters = { 0 };
          g_autoptr (GError) error = NULL;
          g_autofree char *description = NULL;

          g_assert_true (derate_pg_parameters_init (&parameters, forms[j], FALSE, &error));
          g_assert_no_error (error);
          g_assert_false (parameters.is_big);
          description = describe (&parameters);
          g_assert_cmpstr (description, ==, sent[i].sent);
        }
    }
}

/* The position and the type are named, the value never is. */
static void
test_refused (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      g_autoptr (GVariant) tuple = g_variant_parse (NULL, refused[i].text, NULL, NULL, NULL);
      g_auto (DeratePgParameters) parameters = { 0 };
      g_autoptr (GError) error = NULL;

      g_assert_false (derate_pg_parameters_init (&parameters, tuple, FALSE, &error));
      g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_PARAMETER);
      g_test_message ("%s", error->message);
      g_assert_nonnull (strstr (error->message, refused[i].named));
      g_assert_null (strstr (error->message, "secret"));
    }
}

static void
test_none (void)
{
  g_auto (DeratePgParameters) parameters = { 0 };

  g_assert_true (derate_pg_parameters_init (&parameters, NULL, FALSE, NULL));
  g_assert_cmpint (parameters.n, ==, 0);
}

static void
test_too_many (void)
{
  GVariantBuilder builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_TUPLE);
  g_autoptr (GVariant) tuple = NULL;
  g_auto (DeratePgParameters) parameters = { 0 };
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 65536; i++)
    g_variant_builder_add (&builder, "y", 0);
  tuple = g_variant_ref_sink (g_variant_builder_end (&builder));
  g_assert_false (derate_pg_parameters_init (&parameters, tuple, FALSE, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_PARAMETER);
}

/* What is big is left alone where it would hold a loop: not even looked at. */
static void
test_big (void)
{
  g_autofree char *text = g_strnfill (DERATE_PG_BIG, 'x');
  g_autoptr (GVariant) tuple = g_variant_ref_sink (g_variant_new ("(iss)", 1, text, "more"));
  g_auto (DeratePgParameters) left = { 0 };
  g_auto (DeratePgParameters) taken = { 0 };

  g_assert_true (derate_pg_parameters_init (&left, tuple, FALSE, NULL));
  g_assert_true (left.is_big);
  g_assert_cmpint (left.n, ==, 0);
  g_assert_true (derate_pg_parameters_init (&taken, tuple, TRUE, NULL));
  g_assert_false (taken.is_big);
  g_assert_cmpint (taken.n, ==, 3);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pg-parameters/sent", test_sent);
  g_test_add_func ("/pg-parameters/refused", test_refused);
  g_test_add_func ("/pg-parameters/none", test_none);
  g_test_add_func ("/pg-parameters/too-many", test_too_many);
  g_test_add_func ("/pg-parameters/big", test_big);

  return g_test_run ();
}
