/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-script.h"

#include "derate-breaker-private.h"

/* A drill refuses a share of the calls, and the breaker is otherwise what it would be. */

#define PLAIN "failure-threshold=3 open-duration=5s success-threshold=1"

static const BreakerStory states[] = {
  { "closed", PLAIN,
    "S drill=1 Xdrill*4 closed retry=0 drilled=4 blocked=4 ok=1 calls=1 total=5 drill=0 S closed" },
  { "open", PLAIN, "trip drill=1 Xdrill open retry=5s drill=0 X +5s S closed" },
  { "time-has-come", PLAIN, "trip drill=1 +5s Xdrill open retry=0 drill=0 S closed" },
  { "becomes-half-open-by-time", PLAIN, "trip drill=1 +5s poll half-open Xdrill drill=0 S closed" },
  { "half-open-uses-no-probe", PLAIN,
    "trip +5s poll drill=1 Xdrill*9 half-open flight=0 drill=0 hold Xfull s1 closed" },
  { "probe-out-succeeds", PLAIN, "trip +5s hold drill=1 Xdrill s1 closed Xdrill drill=0 S" },
  { "probe-out-fails", PLAIN, "trip +5s hold drill=1 f1 open retry=5s Xdrill drill=0 X" },
  { "probe-out-expires", PLAIN " half-open-lease=1s",
    "trip +5s hold drill=1 Xdrill half-open +1s poll open drill=0 X" },
  { "ramp", PLAIN " ramp-duration=10s",
    "trip +5s S closed drill=1 Xdrill*20 retry=10s drill=0 S Xramp" },
  { "by-rate-decides-as-ever", PLAIN " half-open-decision=rate half-open-max-calls=2",
    "trip +5s hold hold drill=1 Xdrill s1 half-open s2 closed" },
};

static const BreakerStory modes[] = {
  { "forced-open", PLAIN, "mode=forced-open drill=1 Xdrill retry=5s drill=0 Xforced" },
  { "disabled", PLAIN, "mode=disabled drill=1 Xdrill blocked=1 drill=0 S ok=0 F closed" },
  { "metrics-only", PLAIN, "mode=metrics-only drill=1 Xdrill drill=0 S" },
  { "outlives-modes", PLAIN,
    "drill=1 mode=forced-open Xdrill mode=disabled Xdrill mode=metrics-only Xdrill mode=normal "
    "Xdrill drill=0 S" },
  { "outlives-hands", PLAIN,
    "drill=1 trip Xdrill close Xdrill for=1m Xdrill reset Xdrill set=window-size:5 Xdrill drill=0 "
    "S closed" },
};

static const BreakerStory counts[] = {
  { "no-window", PLAIN " window-size=10", "S F drill=1 Xdrill*50 window=2 rate=? row=1 failed=1" },
  { "no-time-window", "window=time failure-threshold=0",
    "S F S drill=1 Xdrill*50 window=3 drill=0 S window=4" },
  { "streak-stays", PLAIN, "F F drill=1 Xdrill*9 streak=2 row=2 drill=0 closed F open" },
  { "row-of-successes-stays", PLAIN, "S S drill=1 Xdrill*9 good=2 drill=0 S good=3" },
  { "permits-out-are-heard", PLAIN,
    "hold hold hold drill=1 Xdrill s1 ok=1 f2 row=1 n3 flight=0 window=2" },
  { "permits-out-open-it", PLAIN,
    "hold hold hold drill=1 f1 f2 f3 open Xdrill events=1 drill=0 X" },
  { "permits-of-before-and-after", PLAIN, "hold drill=1 drill=0 S s1 ok=2 flight=0" },
  { "permits-of-a-drill", PLAIN, "drill=0.5 hold Xdrill drill=0 s1 ok=1 flight=0 window=1" },
  { "told-of-the-state", PLAIN, "S drill=1 Xdrill*3 trip was-blocked=3 was-calls=1 was-failed=0" },
  { "reset-sets-zero", PLAIN, "drill=1 Xdrill reset blocked=0 total=0 drilled=1 Xdrill blocked=1" },
  { "no-transition", PLAIN, "drill=1 Xdrill*9 events=0 drill=0.2 drill=0 events=0 opens=0" },
};

/* What is measured, and what is let through, is so during a drill of some calls, too. */
static const BreakerStory shares[] = {
  { "measured", PLAIN " slow-call-duration=1s slow-call-rate-threshold=0.5 minimum-calls=2",
    "drill=0.5 L closed Xdrill L open drill=0 X" },
  { "measured-and-all", PLAIN " slow-call-duration=1s minimum-calls=2",
    "S drill=1 Xdrill*3 drill=0 L slow=0.5" },
  { "failures-open", PLAIN, "drill=0.5 F Xdrill F Xdrill*2 F open" },
  { "none", PLAIN, "drill=0 S*50 drilled=0" },
  { "another", PLAIN, "drill=1 Xdrill*3 drill=0.000001 S*50 drill=1 Xdrill*3" },
};

static const BreakerStory checks[] = {
  { "do-not-half-open", PLAIN,
    "trip drill=1 check=2/2 check=9/2 open drill=0 check=3/2 half-open" },
  { "do-not-close", PLAIN,
    "trip +5s poll drill=1 check=2/2 check=3/2 half-open drill=0 check=4/2 closed" },
  { "nor-while-some-are-refused", PLAIN, "trip drill=0.1 check=2/2 open drill=0" },
};

static const BreakerStory restarts[] = {
  { "closed", PLAIN, "F F drill=1 Xdrill restart=0 closed drilled=0 S" },
  { "open", PLAIN, "trip +2s drill=1 Xdrill restart=1s open retry=2s X" },
};

static GVariant *
save (const char *mode, double share)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = derate_breaker_new_with_clock ("b", NULL, clock);
  DerateBreakerMode value;

  g_assert_true (derate_breaker_mode_from_nick (mode, &value, NULL));
  derate_breaker_set_mode (breaker, value);
  derate_breaker_set_drill (breaker, share);
  for (guint i = 0; share > 0 && i < 9; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      g_assert_false (derate_breaker_acquire (breaker, &permit, NULL));
    }
  return g_variant_ref_sink (derate_breaker_save (breaker));
}

/* A program that is killed during a drill goes on without it. */
static void
test_saved (gconstpointer mode)
{
  g_autoptr (GVariant) before = save (mode, 0);
  g_autoptr (GVariant) during = save (mode, 1);
  g_autofree char *expected = g_variant_print (before, TRUE);
  g_autofree char *found = g_variant_print (during, TRUE);

  g_assert_cmpstr (found, ==, expected);
}

/* Of @n calls, each of which goes well when it is let through. */
static guint
count_refusals (DerateBreaker *breaker, guint n)
{
  guint refused = 0;

  for (guint i = 0; i < n; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
      g_autoptr (GError) error = NULL;

      if (derate_breaker_acquire (breaker, &permit, i % 7 == 0 ? &error : NULL))
        derate_permit_succeed (&permit);
      else
        refused++;
      if (error != NULL)
        {
          g_assert_error (error, DERATE_ERROR, DERATE_ERROR_DRILL);
          g_assert_cmpstr (error->message, ==, "circuit breaker 'b' refuses calls for a drill");
        }
    }
  return refused;
}

static void
assert_near (guint found, double expected, double tolerance)
{
  g_assert_cmpfloat (found, >=, expected - tolerance);
  g_assert_cmpfloat (found, <=, expected + tolerance);
}

/* The share is kept over any stretch of calls, and nothing is left to luck. */
static void
test_share (gconstpointer data)
{
  double share = g_ascii_strtod (data, NULL);
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = derate_breaker_new_with_clock ("b", NULL, clock);
  g_autoptr (DerateBreakerStats) stats = NULL;
  guint refused = 0;

  derate_breaker_set_drill (breaker, share);
  for (guint part = 0; part < 200; part++)
    {
      guint n = count_refusals (breaker, 500);

      assert_near (n, share * 500, share < 1 ? 4 : 0);
      refused += n;
    }
  assert_near (refused, share * 100000, share < 1 ? 8 : 0);
  g_assert_cmpuint (derate_breaker_count_drilled (breaker), ==, refused);
  stats = derate_breaker_dup_stats (breaker);
  g_assert_cmpuint (stats->calls_blocked, ==, refused);
  g_assert_cmpuint (stats->successful_requests, ==, 100000 - refused);
  g_assert_cmpuint (derate_breaker_get_in_flight (breaker), ==, 0);
}

/* Kinds of calls that take turns are refused alike: a drill has no rhythm of its own. */
static void
test_turns (gconstpointer data)
{
  guint kinds = GPOINTER_TO_UINT (data);
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = derate_breaker_new_with_clock ("b", NULL, clock);
  guint refused[16] = { 0 };

  derate_breaker_set_drill (breaker, 0.5);
  for (guint i = 0; i < 1000 * kinds; i++)
    refused[i % kinds] += count_refusals (breaker, 1);
  for (guint kind = 0; kind < kinds; kind++)
    assert_near (refused[kind], 500, 20);
}

/* A permit that is shared, and calls made by the breaker itself, are refused alike. */
static GVariant *
never (GCancellable *cancellable, gpointer data, GError **error)
{
  g_assert_not_reached ();
}

static void
test_other_ways (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = derate_breaker_new_with_clock ("b", NULL, clock);
  g_autoptr (GError) error = NULL;

  derate_breaker_set_drill (breaker, 1);
  g_assert_null (derate_breaker_begin (breaker, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_DRILL);
  g_clear_error (&error);
  g_assert_null (derate_breaker_call (breaker, never, NULL, NULL, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_DRILL);
  g_assert_cmpuint (derate_breaker_count_drilled (breaker), ==, 2);
}

#define N_THREADS 4
#define N_DRILLS 300

typedef struct
{
  DerateBreaker *breaker;
  gint over; /* atomic */
  gint blocked; /* atomic, as are these: what the threads saw */
  gint succeeded;
  gint failed;
} Crowd;

static gpointer
call_until_over (gpointer data)
{
  Crowd *crowd = data;

  for (guint i = 0; !g_atomic_int_get (&crowd->over); i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      if (!derate_breaker_acquire (crowd->breaker, &permit, NULL))
        g_atomic_int_inc (&crowd->blocked);
      else if (i % 5 == 0)
        {
          derate_permit_fail (&permit, NULL);
          g_atomic_int_inc (&crowd->failed);
        }
      else
        {
          derate_permit_succeed (&permit);
          g_atomic_int_inc (&crowd->succeeded);
        }
    }
  return NULL;
}

static void
assert_let_through (DerateBreaker *breaker, gboolean expected)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  g_assert_cmpint (derate_breaker_acquire (breaker, &permit, NULL), ==, expected);
}

/* A drill is in force when it is set and over when it is ended, whatever others do, and every call
 * is counted once. */
static void
test_toggled (gconstpointer words)
{
  g_autoptr (DerateBreakerConfig) config = breaker_config_from_words (words);
  g_autoptr (DerateBreaker) breaker = derate_breaker_new ("b", config);
  g_autoptr (DerateBreakerStats) stats = NULL;
  Crowd crowd = { .breaker = breaker };
  GThread *threads[N_THREADS];

  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("call", call_until_over, &crowd);
  for (guint i = 0; i < N_DRILLS; i++)
    {
      derate_breaker_set_drill (breaker, 1);
      assert_let_through (breaker, FALSE);
      derate_breaker_set_drill (breaker, 0.3);
      g_thread_yield ();
      derate_breaker_set_drill (breaker, 0);
      assert_let_through (breaker, TRUE);
    }
  g_atomic_int_set (&crowd.over, TRUE);
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);

  stats = derate_breaker_dup_stats (breaker);
  g_assert_cmpuint (stats->calls_blocked, ==, crowd.blocked + N_DRILLS);
  g_assert_cmpuint (derate_breaker_count_drilled (breaker), ==, stats->calls_blocked);
  g_assert_cmpuint (stats->successful_requests, ==, crowd.succeeded);
  g_assert_cmpuint (stats->failed_requests, ==, crowd.failed);
  g_assert_cmpuint (derate_breaker_get_in_flight (breaker), ==, 0);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_CLOSED);
}

int
main (int argc, char **argv)
{
  static const char *const saved_modes[] = { "normal", "disabled", "metrics-only", "forced-open" };
  static const char *const share_words[] = { "0.001", "0.3", "0.5", "0.9", "0.999", "1" };

  breaker_test_init (&argc, &argv);

  breaker_stories_add ("/breaker/drill/state", states, G_N_ELEMENTS (states));
  breaker_stories_add ("/breaker/drill/mode", modes, G_N_ELEMENTS (modes));
  breaker_stories_add ("/breaker/drill/counts", counts, G_N_ELEMENTS (counts));
  breaker_stories_add ("/breaker/drill/share", shares, G_N_ELEMENTS (shares));
  breaker_stories_add ("/breaker/drill/check", checks, G_N_ELEMENTS (checks));
  breaker_stories_add ("/breaker/drill/restart", restarts, G_N_ELEMENTS (restarts));
  for (guint i = 0; i < G_N_ELEMENTS (saved_modes); i++)
    {
      g_autofree char *path = g_strconcat ("/breaker/drill/saved/", saved_modes[i], NULL);

      g_test_add_data_func (path, saved_modes[i], test_saved);
    }
  for (guint i = 0; i < G_N_ELEMENTS (share_words); i++)
    {
      g_autofree char *path = g_strconcat ("/breaker/drill/share-of-many/", share_words[i], NULL);

      g_test_add_data_func (path, share_words[i], test_share);
    }
  for (guint kinds = 2; kinds <= 16; kinds++)
    {
      g_autofree char *path = g_strdup_printf ("/breaker/drill/turns/%u", kinds);

      g_test_add_data_func (path, GUINT_TO_POINTER (kinds), test_turns);
    }
  g_test_add_func ("/breaker/drill/other-ways", test_other_ways);
  g_test_add_data_func ("/breaker/drill/64-toggled", "failure-threshold=0 window=none",
                        test_toggled);
  g_test_add_data_func ("/breaker/drill/64-toggled-in-window",
                        "failure-threshold=0 failure-rate-threshold=1 window-size=1000",
                        test_toggled);
  g_test_add_data_func ("/breaker/drill/64-toggled-measured",
                        "failure-threshold=0 failure-rate-threshold=1 slow-call-duration=1h",
                        test_toggled);
  return g_test_run ();
}
