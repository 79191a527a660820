/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-time-span.h"

#include <string.h>

#include "derate-error.h"

static const struct
{
  const char *text;
  GTimeSpan span;
  const char *back; /* NULL where it is the same text */
} good[] = {
  { "0", 0, NULL },
  { "0s", 0, "0" },
  { "1us", 1, NULL },
  { "250ms", 250000, NULL },
  { "30s", 30000000, NULL },
  { "1m", 60000000, NULL },
  { "60s", 60000000, "1m" },
  { "2h", 7200000000, NULL },
  { "1d", 86400000000, NULL },
  { "1.5h", 5400000000, "90m" },
  { "0.5ms", 500, "500us" },
  { "0.4us", 0, "0" },
  { "1m30s", 90000000, "90s" },
  { "1h30m15s", 5415000000, "5415s" },
  { "007s", 7000000, "7s" },
};

static const char *const bad[] = {
  "",     "30",  "s",    "-5s",   "+5s",    "5 s",   " 5s",
  "5s ",  "5S",  "5sec", "10mss", "1e3s",   "0x10s", "1.2.3s",
  "..s",  ".5s", "5.s.", "1m30",  "1m 30s", "nan",   "infs",
  "5min", "5µs", "1w",   "00",    "s30",    "1,5s",  "99999999999999999d",
  "5s\n",
};

static void
test_good (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autofree char *back = NULL;
      GTimeSpan span = -1;

      g_assert_true (derate_time_span_parse (good[i].text, &span, &error));
      g_assert_no_error (error);
      g_assert_cmpint (span, ==, good[i].span);
      back = derate_time_span_to_string (span);
      g_assert_cmpstr (back, ==, good[i].back != NULL ? good[i].back : good[i].text);
    }
}

static void
test_bad (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;
      GTimeSpan span = -1;

      if (derate_time_span_parse (bad[i], &span, &error))
        g_error ("“%s” was taken as %" G_GINT64_FORMAT, bad[i], span);
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT);
      g_assert_nonnull (strstr (error->message, bad[i]));
      g_assert_cmpint (span, ==, -1);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/time-span/good", test_good);
  g_test_add_func ("/time-span/bad", test_bad);
  return g_test_run ();
}
