/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-health-streak-private.h"

/* Results and what they amount to, one letter each: h healthy, d degraded, x down, . expired (what
 * they amount to then is u). */
static const struct
{
  const char *what;
  guint fall;
  guint rise;
  const char *results;
  const char *statuses;
} cases[] = {
  { "one result decides at first", 3, 2, "h", "h" },
  { "also a bad one", 3, 2, "x", "x" },
  { "two failures then a success change nothing", 3, 2, "hxxh", "hhhh" },
  { "the streak is then zero", 3, 2, "hxxhxxh", "hhhhhhh" },
  { "three in a row are down", 3, 2, "hxxx", "hhhx" },
  { "fall applies to degraded too", 3, 2, "hddd", "hhhd" },
  { "mixed results are the better of them", 3, 2, "hdxx", "hhhd" },
  { "and down when each was confirmed", 3, 2, "hdxxx", "hhhdx" },
  { "two good ones are healthy again", 3, 2, "xhh", "xxh" },
  { "one is not", 3, 2, "xhxhx", "xxxxx" },
  { "rise applies to degraded too", 3, 2, "dhdhh", "ddddh" },
  { "from down by way of degraded", 3, 2, "xdd", "xxd" },
  { "mixed good results are degraded", 3, 2, "xhd", "xxd" },
  { "degraded falls to down", 3, 2, "dxxx", "dddx" },
  { "one that expired starts anew", 3, 2, "hxx.x", "hhhux" },
  { "and the old streak is forgotten", 3, 2, "hxx.hxx", "hhhuhhh" },
  { "one of each", 1, 1, "hxdh", "hxdh" },
};

static DerateHealthStatus
read_letter (char letter)
{
  switch (letter)
    {
    case 'h':
      return DERATE_HEALTH_STATUS_HEALTHY;
    case 'd':
      return DERATE_HEALTH_STATUS_DEGRADED;
    case 'x':
      return DERATE_HEALTH_STATUS_DOWN;
    default:
      return DERATE_HEALTH_STATUS_UNKNOWN;
    }
}

static void
test_table (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  DerateHealthStreak streak = { 0 };

  for (gsize n = 0; cases[i].results[n] != '\0'; n++)
    {
      DerateHealthStatus result = read_letter (cases[i].results[n]);

      if (result == DERATE_HEALTH_STATUS_UNKNOWN)
        derate_health_streak_expire (&streak);
      else
        derate_health_streak_add (&streak, result, DERATE_HEALTH_CAUSE_NONE, cases[i].fall,
                                  cases[i].rise);
      g_assert_cmpint (streak.status, ==, read_letter (cases[i].statuses[n]));
      g_assert_cmpint (derate_health_streak_is_undecided (&streak), ==,
                       cases[i].results[n] != cases[i].statuses[n] &&
                           result != DERATE_HEALTH_STATUS_UNKNOWN);
    }
}

static void
test_cause (void)
{
  DerateHealthStreak streak = { 0 };

  derate_health_streak_add (&streak, DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, 2, 2);
  derate_health_streak_add (&streak, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_TIMEOUT, 2, 2);
  g_assert_cmpint (streak.cause, ==, DERATE_HEALTH_CAUSE_NONE);
  g_assert_true (derate_health_streak_add (&streak, DERATE_HEALTH_STATUS_DOWN,
                                           DERATE_HEALTH_CAUSE_REFUSED, 2, 2));
  g_assert_cmpint (streak.cause, ==, DERATE_HEALTH_CAUSE_REFUSED);

  /* The newest cause of the same status, at once; not that of another status. */
  g_assert_true (derate_health_streak_add (&streak, DERATE_HEALTH_STATUS_DOWN,
                                           DERATE_HEALTH_CAUSE_AUTH, 2, 2));
  g_assert_cmpint (streak.cause, ==, DERATE_HEALTH_CAUSE_AUTH);
  g_assert_false (derate_health_streak_add (&streak, DERATE_HEALTH_STATUS_DEGRADED,
                                            DERATE_HEALTH_CAUSE_SLOW, 2, 2));
  g_assert_cmpint (streak.cause, ==, DERATE_HEALTH_CAUSE_AUTH);

  /* degraded, healthy: degraded, by the cause of the degraded one */
  derate_health_streak_add (&streak, DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, 2, 2);
  g_assert_cmpint (streak.status, ==, DERATE_HEALTH_STATUS_DEGRADED);
  g_assert_cmpint (streak.cause, ==, DERATE_HEALTH_CAUSE_SLOW);
  derate_health_streak_add (&streak, DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, 2, 2);
  g_assert_cmpint (streak.cause, ==, DERATE_HEALTH_CAUSE_NONE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/health/streak/%s", cases[i].what);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_table);
    }
  g_test_add_func ("/health/streak/cause", test_cause);
  return g_test_run ();
}
