/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-script.h"

#include "derate-breaker-private.h"

/* What opens it */
static const BreakerStory opening[] = {
  { "five-in-a-row", "window=none", "F F F F closed streak=4 F open streak=5 opens=1 X blocked=1" },
  { "success-ends-the-run", "window=none", "F F F F S streak=0 F F F F closed F open" },
  { "three", "failure-threshold=3 window=none", "F S F F closed F open" },
  { "threshold-off", "failure-threshold=0 window=none", "F F F F F F F F F F F F closed row=12" },
  { "threshold-one", "failure-threshold=1", "S F open" },
  { "rate-at-minimum", "failure-threshold=0 minimum-calls=5", "F F F S rate=? closed S open" },
  { "rate-below", "failure-threshold=0 minimum-calls=5 window-size=6",
    "S S S F F closed rate=0.4 F open" },
  { "rate-unknown-never-opens", "failure-threshold=0", "F F F F F F F F F closed rate=? F open" },
  { "rate-reached-by-success", "failure-threshold=0 minimum-calls=4", "F S F closed S open" },
  { "two-of-three", "failure-threshold=0 window-size=3 failure-rate-threshold=0.6666666666666667",
    "F S F open" },
  { "alternating-below-rate", "failure-threshold=0 window-size=4 failure-rate-threshold=0.6",
    "S F S F S F S F S F closed rate=0.5" },
  { "old-samples-leave", "failure-threshold=0 failure-rate-threshold=0.6",
    "S S F F rate=? F F S S S S rate=0.4 S S S S S S S S S S rate=0 closed" },
  { "window-forgets-failures", "failure-threshold=0 window-size=4 failure-rate-threshold=0.75",
    "F F S S rate=0.5 S S S S rate=0 F F S closed" },
  { "slow-and-failed",
    "failure-threshold=0 slow-call-duration=4s slow-call-rate-threshold=0.5 "
    "minimum-calls=5 failure-rate-threshold=1",
    "M L F S closed slow=? rate=? L open failed=2 ok=3" },
  { "slow-at-the-bound", "slow-call-duration=5s window-size=2 slow-call-rate-threshold=0.5",
    "L S open" },
  { "not-slow", "slow-call-duration=5001ms window-size=2 slow-call-rate-threshold=0.5",
    "L L slow=0 closed" },
  { "slow-off", "", "L L L L L L L L L L slow=? closed" },
  { "slow-in-a-quiet-window", "slow-call-duration=1s slow-call-rate-threshold=0.2 window-size=5",
    "S S S S S S S S slow=0 L open" },
  { "neutral-counts-nothing", "window=none",
    "F F F F N N N N N closed streak=4 calls=9 ok=0 F open" },
  { "failure-after-quiet", "failure-rate-threshold=0.2 failure-threshold=0",
    "S S S S S S S S S S S S S S S S S S S S rate=0 F closed rate=0.1 F open ok=20 failed=2" },
};

/* What happens while it is open and half-open */
static const BreakerStory recovering[] = {
  { "half-open-at-expiry", "failure-threshold=1 open-duration=30s",
    "F open +29999ms X open +1ms S half-open S closed" },
  { "one-tick-early", "failure-threshold=1 open-duration=30s", "F +29999ms X retry=1ms" },
  { "retry-after", "failure-threshold=1 open-duration=5s",
    "retry=0 F +1ms X retry=4999ms +2d retry=0" },
  { "failures-while-open-change-nothing", "failure-threshold=2 open-duration=10s",
    "hold hold hold F F open +5s f1 f2 f3 retry=5s +5s S half-open" },
  { "failed-probe-reopens-afresh", "failure-threshold=6 window=none open-duration=10s",
    "F F F F F closed S F F F F F F open +9999ms X +1ms F open retry=10s +9s X +1s S S closed" },
  { "success-threshold-three", "failure-threshold=1 success-threshold=3 open-duration=1s",
    "F +1s S S half-open F open +1s S S half-open S closed" },
  { "success-threshold-one", "failure-threshold=1 success-threshold=1 open-duration=1s",
    "F +1s S closed" },
  { "one-failed-probe-below-minimum", "minimum-calls=6 open-duration=1s", "trip +1s F open" },
  { "permits-out-at-once", "half-open-max-calls=4 open-duration=1s",
    "trip +1s hold hold hold hold Xfull Xfull n1 hold Xfull d2 hold Xfull blocked=4" },
  { "neutral-frees-and-changes-nothing",
    "half-open-max-calls=1 success-threshold=4 open-duration=1s",
    "trip +1s S S S N half-open N half-open S closed" },
  { "dropped-frees", "open-duration=1s",
    "trip +1s hold Xfull d1 flight=0 hold Xfull n2 S S closed" },
  { "window-empty-after-closing", "open-duration=1s failure-threshold=0 window-size=4",
    "F F F F open +1s S S closed rate=? streak=0 S rate=? S S S rate=0 closed" },
  { "streak-kept-while-open", "open-duration=1s",
    "F F F F F open streak=5 +1s S half-open streak=5 row=0 S closed streak=0" },
  { "time-jumps-a-year", "failure-threshold=1", "F +365d S half-open S closed" },
  { "zero-duration", "failure-threshold=1 open-duration=0",
    "F open S half-open F open S S closed" },
  { "poll-half-opens", "failure-threshold=1 open-duration=30s",
    "F +29s poll open +1s poll half-open probes=1 poll poll probes=1" },
  { "looking-moves-nothing", "failure-threshold=1 open-duration=1s", "F +2s open retry=0 open" },
  { "statistics-by-state", "failure-threshold=3 window=none open-duration=1s",
    "S S F F F X X total=7 calls=5 blocked=2 ok=2 failed=3 good=0 +1s S good=1 total=8" },
};

/* Permits of another generation, and permits that never end */
static const BreakerStory permits[] = {
  { "late-success-does-not-close", "failure-threshold=1 success-threshold=1 open-duration=1s",
    "hold F +1s N half-open s1 half-open ok=1 S closed" },
  { "late-failure-does-not-reopen", "failure-threshold=1 success-threshold=2 open-duration=1s",
    "hold F +1s S half-open f1 half-open S closed" },
  { "late-failure-after-closing", "failure-threshold=1 success-threshold=1 open-duration=1s",
    "hold F +1s S closed f1 closed streak=0 row=0 failed=2" },
  { "late-neutral-mints-no-permit", "failure-threshold=1 half-open-max-calls=2 open-duration=1s",
    "hold hold hold F +1s hold n1 n2 d3 hold Xfull Xfull" },
  { "late-probe-of-an-older-half-open", "open-duration=1s half-open-max-calls=2",
    "trip +1s hold F open +1s S half-open s1 half-open ok=2 hold hold Xfull" },
  { "late-while-open-changes-nothing", "failure-threshold=1 open-duration=1s",
    "hold F +2s f1 open s1 open probes=0" },
  { "outcome-taken-once", "failure-threshold=2",
    "hold f1 f1 f1 s1 n1 d1 closed failed=1 ok=0 calls=1" },
  { "lease-expires", "open-duration=10s half-open-lease=3s",
    "trip +10s hold Xfull +2999ms Xfull +1ms X open retry=10s +10s S half-open s1 half-open "
    "S closed" },
  { "lease-noticed-late", "open-duration=10s half-open-lease=3s",
    "trip +10s hold +13s S half-open" },
  { "lease-is-open-duration", "open-duration=10s", "trip +10s hold +9s Xfull +1s X open streak=1" },
  { "lease-answered-too-late", "open-duration=10s half-open-lease=3s success-threshold=1",
    "trip +10s hold +3s s1 open ok=1 retry=10s" },
  { "lease-by-poll", "open-duration=10s half-open-lease=3s", "trip +10s hold +3s poll open" },
  { "retry-while-probe-is-out", "open-duration=10s half-open-lease=3s",
    "trip +10s hold Xfull retry=3s +1s retry=2s n1 retry=0" },
  { "hung-probe-second-chance", "open-duration=1s half-open-lease=1h half-open-max-calls=2",
    "trip +1s hold S S closed s1 closed" },
};

/* How the time open grows */
static const BreakerStory backoff[] = {
  { "grows", "open-duration=1s open-duration-multiplier=2 failure-threshold=1",
    "F retry=1s +1s F retry=2s +2s F retry=4s +3999ms X +1ms F retry=8s" },
  { "by-hand-counts", "open-duration=5s open-duration-multiplier=1.5",
    "trip +3s X +3s hold half-open trip open +6s X +5s S half-open" },
  { "clamped",
    "open-duration=1s open-duration-multiplier=10 open-duration-max=30s failure-threshold=1",
    "F +1s F retry=10s +10s F retry=30s +30s F retry=30s +30s F retry=30s" },
  { "kept-without-a-healthy-spell",
    "open-duration=10s open-duration-multiplier=2 failure-threshold=1 success-threshold=1",
    "F retry=10s +10s S closed +9s F retry=20s +20s S closed F retry=40s" },
  { "falls-a-step-a-spell",
    "open-duration=10s open-duration-multiplier=2 failure-threshold=1 success-threshold=1",
    "F +10s F +20s F retry=40s +40s S closed +10s F retry=20s +20s S closed +30s F retry=10s" },
  { "reset-starts-anew", "open-duration=10s open-duration-multiplier=2 failure-threshold=1",
    "F +10s F retry=20s reset closed F retry=10s" },
};

/* What is done by hand */
static const BreakerStory control[] = {
  { "trip", "open-duration=10s", "trip open opens=1 retry=10s X +10s S S closed" },
  { "trip-twice-half-way", "open-duration=10s", "trip +5s trip retry=5s +5s S half-open probes=1" },
  { "trip-half-open", "open-duration=10s", "trip +10s hold trip open s1 open" },
  { "open-for", "open-duration=1s", "for=2h +1h X open +1h +1s S half-open" },
  { "open-until", "open-duration=1s", "until=30m +15m X +15m +1s S half-open" },
  { "open-until-moves-the-end", "open-duration=10s",
    "trip until=1h +10s X until=1s +1s S half-open" },
  { "close", "open-duration=10s", "F F F F F open close closed rate=? streak=0 failed=5 opens=1" },
  { "close-half-open", "open-duration=1s", "trip +1s hold close closed f1 closed row=0" },
  { "reset-zeroes", "open-duration=10s",
    "S F F F F F open X reset closed calls=0 ok=0 failed=0 blocked=0 opens=0 streak=0 total=0 "
    "F F F F closed failed=4" },
  { "reset-while-closed", "", "S S F reset closed calls=0 ok=0 failed=0 good=0 S good=1" },
  { "disabled", "failure-threshold=1",
    "mode=disabled F F F S closed calls=0 failed=0 ok=0 rate=?" },
  { "disabled-closes", "failure-threshold=1",
    "F open mode=disabled closed S F mode=normal closed F open" },
  { "metrics-only", "failure-threshold=3 minimum-calls=5",
    "mode=metrics-only F F F S S closed rate=0.6 failed=3 F closed" },
  { "metrics-only-begins-empty", "minimum-calls=3 failure-threshold=0",
    "F F mode=metrics-only rate=? F rate=? streak=1" },
  { "forced-open", "open-duration=5s",
    "mode=forced-open open Xforced +6s Xforced blocked=2 poll open probes=0 +1d Xforced" },
  { "forced-back-to-closed", "open-duration=5s", "mode=forced-open mode=normal closed S" },
  { "forced-back-to-half-open", "open-duration=5s",
    "trip mode=forced-open mode=normal half-open S S closed" },
  { "forced-outranks", "open-duration=5s",
    "mode=forced-open trip for=1s check=9/2 +1h poll Xforced open" },
  { "forced-retry", "open-duration=5s", "mode=forced-open +9h retry=5s" },
  { "forced-closed-by-hand", "", "mode=forced-open close closed S" },
  { "forced-reset", "", "mode=forced-open reset closed S" },
  { "forced-ignores-late", "failure-threshold=1 success-threshold=1",
    "hold mode=forced-open s1 open Xforced" },
  { "refusals-change-nothing",
    "failure-threshold=0 window-size=4 failure-rate-threshold=0.75 "
    "open-duration=1s",
    "F F F F open X X X blocked=3 failed=4 rate=1" },
};

/* Health checks beside it: semantics §3 */
static const BreakerStory checks[] = {
  { "rise-half-opens", "open-duration=60s", "trip check=1/2 open check=2/2 half-open" },
  { "rise-after-expiry", "open-duration=60s", "trip +60s check=1/9 half-open" },
  { "not-when-told-how-long", "open-duration=60s",
    "for=60s check=5/2 open +60s check=6/2 half-open" },
  { "not-when-forced", "", "mode=forced-open check=5/2 open" },
  { "idle-closes", "open-duration=60s",
    "trip check=2/2 half-open check=3/2 half-open check=4/2 closed" },
  { "traffic-decides", "open-duration=60s success-threshold=2",
    "trip check=2/2 half-open N check=3/2 half-open N check=4/2 half-open check=5/2 half-open "
    "check=6/2 closed" },
  { "refused-call-is-traffic", "open-duration=60s success-threshold=1",
    "trip check=2/2 hold Xfull check=3/2 half-open Xfull check=4/2 half-open" },
  { "check-and-call-together", "open-duration=60s", "trip check=2/2 check=3/2 half-open S closed" },
  { "closed-stays", "", "check=9/2 closed ok=0" },
};

static DerateBreaker *
new_breaker (const char *words, DerateClock *clock)
{
  g_autoptr (DerateBreakerConfig) config = breaker_config_from_words (words);

  return derate_breaker_new_with_clock ("b", config, clock);
}

static void
fail_once (DerateBreaker *breaker)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
  derate_permit_fail (&permit, NULL);
}

static void
succeed_once (DerateBreaker *breaker)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
  derate_permit_succeed (&permit);
}

/* The share of failures is compared without rounding: 99 of 200 is less than half. */
static void
test_integers (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker ("failure-threshold=0 window-size=200", clock);

  for (guint i = 0; i < 200; i++)
    if (i < 101)
      succeed_once (breaker);
    else
      fail_once (breaker);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_CLOSED);
  fail_once (breaker); /* a success leaves the window */
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_OPEN);
}

/* A hundred thousand reopenings at a factor of 100: the time open stays finite and at its maximum.
 */
static void
test_backoff_overflow (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker =
      new_breaker ("failure-threshold=1 open-duration=1s open-duration-multiplier=100 "
                   "open-duration-max=36500d open-duration-jitter=1",
                   clock);
  GTimeSpan last = 0;

  for (guint i = 0; i < 100000; i++)
    {
      derate_breaker_move (breaker, DERATE_BREAKER_STATE_OPEN, NULL);
      last = derate_breaker_get_retry_after (breaker);
      g_assert_cmpint (last, >=, G_TIME_SPAN_SECOND);
      g_assert_cmpint (last, <=, 2 * 36500 * G_TIME_SPAN_DAY);
      derate_breaker_move (breaker, DERATE_BREAKER_STATE_HALF_OPEN, NULL);
    }
  g_assert_cmpint (last, >=, 36500 * G_TIME_SPAN_DAY);
}

/* A thousand breakers that open together do not come back together, and never early. */
static void
test_jitter (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  GTimeSpan least = G_MAXINT64;
  GTimeSpan most = 0;

  for (guint i = 0; i < 1000; i++)
    {
      g_autoptr (DerateBreaker) breaker =
          new_breaker ("failure-threshold=1 open-duration=10s open-duration-jitter=0.5", clock);

      fail_once (breaker);
      least = MIN (least, derate_breaker_get_retry_after (breaker));
      most = MAX (most, derate_breaker_get_retry_after (breaker));
    }
  g_assert_cmpint (least, >=, 10 * G_TIME_SPAN_SECOND);
  g_assert_cmpint (least, <, 11 * G_TIME_SPAN_SECOND);
  g_assert_cmpint (most, >, 14 * G_TIME_SPAN_SECOND);
  g_assert_cmpint (most, <=, 15 * G_TIME_SPAN_SECOND);
}

/* Only the clock it was given moves it; the date may jump. */
static void
test_wall_clock (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker ("failure-threshold=1 open-duration=5s", clock);
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  fail_once (breaker);
  derate_manual_clock_step_real_time (DERATE_MANUAL_CLOCK (clock), G_TIME_SPAN_DAY);
  g_assert_false (derate_breaker_acquire (breaker, &permit, NULL));
  derate_manual_clock_step_real_time (DERATE_MANUAL_CLOCK (clock), -2 * G_TIME_SPAN_DAY);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 5 * G_TIME_SPAN_SECOND);
  g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
}

static void
test_edges (void)
{
  static const struct
  {
    DerateBreakerState from;
    DerateBreakerState to;
  } legal[] = {
    { DERATE_BREAKER_STATE_CLOSED, DERATE_BREAKER_STATE_OPEN },
    { DERATE_BREAKER_STATE_OPEN, DERATE_BREAKER_STATE_HALF_OPEN },
    { DERATE_BREAKER_STATE_OPEN, DERATE_BREAKER_STATE_CLOSED },
    { DERATE_BREAKER_STATE_HALF_OPEN, DERATE_BREAKER_STATE_OPEN },
    { DERATE_BREAKER_STATE_HALF_OPEN, DERATE_BREAKER_STATE_CLOSED },
  };
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker ("", clock);
  g_autoptr (GError) error = NULL;
  guint n = 0;

  for (guint from = 0; from < 4; from++)
    for (guint to = 0; to < 4; to++)
      n += derate_breaker_has_edge (from, to) ? 1 : 0;
  g_assert_cmpuint (n, ==, G_N_ELEMENTS (legal));
  for (guint i = 0; i < G_N_ELEMENTS (legal); i++)
    g_assert_true (derate_breaker_has_edge (legal[i].from, legal[i].to));

  g_assert_false (derate_breaker_move (breaker, DERATE_BREAKER_STATE_HALF_OPEN, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE);
  g_assert_nonnull (strstr (error->message, "closed to half-open"));
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_CLOSED);
}

/* What is forced open is for nobody to probe. */
static void
test_forced_does_not_become_half_open (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker ("", clock);
  g_autoptr (GError) error = NULL;

  derate_breaker_set_mode (breaker, DERATE_BREAKER_MODE_FORCED_OPEN);
  g_assert_false (derate_breaker_move (breaker, DERATE_BREAKER_STATE_HALF_OPEN, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE);
  g_assert_nonnull (strstr (error->message, "forced-open"));
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_OPEN);
}

static void
test_mode_refuses_to_open (gconstpointer data)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker ("", clock);
  g_autoptr (GError) error = NULL;

  derate_breaker_set_mode (breaker, GPOINTER_TO_INT (data));
  g_assert_false (derate_breaker_trip (breaker, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE);
  g_clear_error (&error);
  g_assert_false (derate_breaker_open_for (breaker, 1, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_CLOSED);
}

/* The text of a refusal names the breaker, and the hundredth is as long as the first. */
static void
test_refusal_text (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker ("failure-threshold=1", clock);

  fail_once (breaker);
  for (guint i = 0; i < 100; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
      g_autoptr (GError) error = NULL;

      g_assert_false (derate_breaker_acquire (breaker, &permit, &error));
      g_assert_cmpstr (error->message, ==, "circuit breaker 'b' is open");
    }
}

/* A permit that is used again without having ended is neutral first. */
static void
test_permit_reuse (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker ("", clock);
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
  g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
  g_assert_cmpuint (derate_breaker_get_in_flight (breaker), ==, 1);
  derate_permit_succeed (&permit);
  g_assert_cmpuint (derate_breaker_get_in_flight (breaker), ==, 0);
}

static void
test_shared_permit (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker ("open-duration=1s", clock);
  g_autoptr (GError) error = NULL;
  DeratePermit *first;
  DeratePermit *second;

  derate_breaker_trip (breaker, NULL);
  g_assert_null (derate_breaker_begin (breaker, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_OPEN);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), G_TIME_SPAN_SECOND);

  first = derate_breaker_begin (breaker, NULL);
  second = g_boxed_copy (DERATE_TYPE_PERMIT, first);
  derate_permit_unref (first);
  g_assert_cmpuint (derate_breaker_get_in_flight (breaker), ==, 1);
  g_boxed_free (DERATE_TYPE_PERMIT, second);
  g_assert_cmpuint (derate_breaker_get_in_flight (breaker), ==, 0);

  first = derate_breaker_begin (breaker, NULL);
  g_assert_nonnull (first);
  derate_permit_succeed (first);
  derate_permit_fail (first, NULL);
  derate_permit_unref (first);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_HALF_OPEN);
}

/* A permit keeps its breaker, if it is a shared one. */
static void
test_shared_permit_outlives (void)
{
  DerateBreaker *breaker = derate_breaker_new ("short-lived", NULL);
  DeratePermit *permit = derate_breaker_begin (breaker, NULL);

  g_object_add_weak_pointer (G_OBJECT (breaker), (gpointer *)&breaker);
  g_object_unref (breaker);
  g_assert_nonnull (breaker);
  derate_permit_unref (permit);
  g_assert_null (breaker);
}

static guint
count_outcomes (DerateBreaker *breaker, GTimeSpan span)
{
  guint outcomes = 0;

  derate_breaker_get_window (breaker, span, NULL, &outcomes);
  return outcomes;
}

/* How much of the window is recent, successes of a quiet window included as soon as somebody looks.
 */
static void
test_recent_outcomes (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker ("failure-threshold=0", clock);
  double rate = -1;

  for (guint i = 0; i < 10; i++)
    succeed_once (breaker);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), G_TIME_SPAN_MINUTE);
  g_assert_cmpuint (count_outcomes (breaker, 30 * G_TIME_SPAN_SECOND), ==, 0);
  g_assert_cmpuint (count_outcomes (breaker, 2 * G_TIME_SPAN_MINUTE), ==, 10);

  for (guint i = 0; i < 4; i++)
    succeed_once (breaker);
  fail_once (breaker);
  g_assert_cmpuint (count_outcomes (breaker, 30 * G_TIME_SPAN_SECOND), ==, 5);
  derate_breaker_get_window (breaker, 0, &rate, NULL);
  g_assert_cmpfloat_with_epsilon (rate, 0.1, 1e-9);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), G_TIME_SPAN_MINUTE);
  g_assert_cmpuint (count_outcomes (breaker, 30 * G_TIME_SPAN_SECOND), ==, 0);
}

static void
test_last_success (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker ("", clock);
  gint64 first;

  g_assert_cmpint (derate_breaker_get_last_success (breaker), ==, 0);
  for (guint i = 0; i < 20; i++)
    succeed_once (breaker);
  first = derate_breaker_get_last_success (breaker);
  g_assert_cmpint (first, ==, derate_clock_get_time (clock));
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), G_TIME_SPAN_MINUTE);
  g_assert_cmpint (derate_breaker_get_last_success (breaker), ==, first);
  succeed_once (breaker);
  g_assert_cmpint (derate_breaker_get_last_success (breaker), ==, derate_clock_get_time (clock));
}

static void
test_open_until_for_monitor (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker ("open-duration=10s half-open-lease=3s", clock);
  gint64 start = derate_clock_get_time (clock);
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  g_assert_cmpint (derate_breaker_get_open_until (breaker), ==, DERATE_CLOCK_NEVER);
  derate_breaker_trip (breaker, NULL);
  g_assert_cmpint (derate_breaker_get_open_until (breaker), ==, start + 10 * G_TIME_SPAN_SECOND);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 10 * G_TIME_SPAN_SECOND);
  g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
  g_assert_cmpint (derate_breaker_get_open_until (breaker), ==, start + 13 * G_TIME_SPAN_SECOND);
  derate_breaker_set_mode (breaker, DERATE_BREAKER_MODE_FORCED_OPEN);
  g_assert_cmpint (derate_breaker_get_open_until (breaker), ==, DERATE_CLOCK_NEVER);
}

int
main (int argc, char **argv)
{
  breaker_test_init (&argc, &argv);

  breaker_stories_add ("/breaker/opening", opening, G_N_ELEMENTS (opening));
  breaker_stories_add ("/breaker/recovering", recovering, G_N_ELEMENTS (recovering));
  breaker_stories_add ("/breaker/permits", permits, G_N_ELEMENTS (permits));
  breaker_stories_add ("/breaker/backoff", backoff, G_N_ELEMENTS (backoff));
  breaker_stories_add ("/breaker/control", control, G_N_ELEMENTS (control));
  breaker_stories_add ("/breaker/checks", checks, G_N_ELEMENTS (checks));
  g_test_add_func ("/breaker/mode/forced-not-half-open", test_forced_does_not_become_half_open);
  g_test_add_func ("/breaker/integers", test_integers);
  g_test_add_func ("/breaker/trap/25-break-overflow", test_backoff_overflow);
  g_test_add_func ("/breaker/trap/16-jitter", test_jitter);
  g_test_add_func ("/breaker/wall-clock", test_wall_clock);
  g_test_add_func ("/breaker/trap/06-edges", test_edges);
  g_test_add_data_func ("/breaker/control/disabled-does-not-open",
                        GINT_TO_POINTER (DERATE_BREAKER_MODE_DISABLED), test_mode_refuses_to_open);
  g_test_add_data_func ("/breaker/control/metrics-only-does-not-open",
                        GINT_TO_POINTER (DERATE_BREAKER_MODE_METRICS_ONLY),
                        test_mode_refuses_to_open);
  g_test_add_func ("/breaker/trap/26-refusal-text", test_refusal_text);
  g_test_add_func ("/breaker/permit/reuse", test_permit_reuse);
  g_test_add_func ("/breaker/permit/shared", test_shared_permit);
  g_test_add_func ("/breaker/permit/outlives", test_shared_permit_outlives);
  g_test_add_func ("/breaker/recent-outcomes", test_recent_outcomes);
  g_test_add_func ("/breaker/last-success", test_last_success);
  g_test_add_func ("/breaker/open-until", test_open_until_for_monitor);
  return g_test_run ();
}
