/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-env.h"

#include <string.h>

#include "derate-error.h"

#define NAME "DERATE_TEST_VARIABLE"

static const struct
{
  const char *text;
  gint value; /* -1 refused, 2 the fallback */
} booleans[] = {
  { NULL, 2 }, { "", 2 },     { "true", 1 },   { "True", 1 },     { "1", 1 },  { "yes", 1 },
  { "on", 1 }, { "ON", 1 },   { "false", 0 },  { "0", 0 },        { "no", 0 }, { "off", 0 },
  { "2", -1 }, { "tru", -1 }, { " true", -1 }, { "enabled", -1 },
};

static void
set_variable (const char *text)
{
  if (text != NULL)
    g_setenv (NAME, text, TRUE);
  else
    g_unsetenv (NAME);
}

static void
test_booleans (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (booleans); i++)
    {
      g_autoptr (GError) error = NULL;
      gboolean value = 9;
      gboolean ok;

      set_variable (booleans[i].text);
      ok = derate_env_get_boolean (NAME, 2, &value, &error);
      if (booleans[i].value >= 0)
        {
          g_assert_no_error (error);
          g_assert_true (ok);
          g_assert_cmpint (value, ==, booleans[i].value);
          continue;
        }
      g_assert_false (ok);
      g_assert_cmpint (value, ==, 9);
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_assert_nonnull (strstr (error->message, NAME));
    }
}

static const struct
{
  const char *text;
  double value; /* -1 refused */
} numbers[] = {
  { NULL, 60 },   { "", 60 },    { "5", 5 },   { "30.5", 30.5 }, { ".5", 0.5 }, { "0", 0 },
  { "100", 100 }, { "101", -1 }, { "-1", -1 }, { "5s", -1 },     { "abc", -1 }, { "nan", -1 },
  { "inf", -1 },  { "1,5", -1 }, { " 5", -1 }, { "5 ", -1 },
};

static void
test_numbers (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      g_autoptr (GError) error = NULL;
      double value = 9;
      gboolean ok;

      set_variable (numbers[i].text);
      ok = derate_env_get_number (NAME, 60, 0, 100, &value, &error);
      if (numbers[i].value >= 0)
        {
          g_assert_no_error (error);
          g_assert_true (ok);
          g_assert_cmpfloat (value, ==, numbers[i].value);
          continue;
        }
      g_assert_false (ok);
      g_assert_cmpfloat (value, ==, 9);
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_assert_nonnull (strstr (error->message, NAME));
      g_assert_nonnull (strstr (error->message, "from 0 to 100"));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/env/booleans", test_booleans);
  g_test_add_func ("/env/numbers", test_numbers);
  return g_test_run ();
}
