/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>

#define S G_TIME_SPAN_SECOND

static void
test_parse (void)
{
  static const struct
  {
    const char *text;
    GTimeSpan span; /* -1: refused */
  } cases[] = {
    { "0", 0 },      { "0s", 0 },          { "30s", 30 * S },   { "250ms", 250000 },
    { "7us", 7 },    { "1.5h", 5400 * S }, { "1m30s", 90 * S }, { "2d", 172800 * S },
    { "0.5us", 1 },  { "", -1 },           { "30", -1 },        { "00", -1 },
    { "1m30", -1 },  { "s", -1 },          { "-1s", -1 },       { "+1s", -1 },
    { "1 s", -1 },   { " 1s", -1 },        { "1s ", -1 },       { "1S", -1 },
    { "10mss", -1 }, { "1sec", -1 },       { ".5s", -1 },       { "1.2.3s", -1 },
    { "1e3s", -1 },  { "0x1s", -1 },       { "1,5s", -1 },      { "99999999999999d", -1 },
    { "10x", -1 },   { "1s2", -1 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      GTimeSpan span = -1;
      gboolean good = derate_time_span_parse (cases[i].text, &span, &error);

      g_test_message ("“%s”", cases[i].text);
      g_assert_cmpint (good, ==, cases[i].span >= 0);
      g_assert_cmpint (span, ==, cases[i].span);
      if (!good)
        g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT);
    }
}

static void
test_there_and_back (void)
{
  static const GTimeSpan spans[] = { 0, 1, 999, 1500, 250000, S, 90 * S, 3600 * S, 86400 * S };

  for (guint i = 0; i < G_N_ELEMENTS (spans); i++)
    {
      g_autofree char *text = derate_time_span_to_string (spans[i]);
      GTimeSpan span = -1;

      g_assert_true (derate_time_span_parse (text, &span, NULL));
      g_assert_cmpint (span, ==, spans[i]);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/time-span/parse", test_parse);
  g_test_add_func ("/time-span/there-and-back", test_there_and_back);
  return g_test_run ();
}
