/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-script.h"

#include "derate-breaker-private.h"

/* How a breaker closes again: probes that decide by rate, and the ramp after closing. */

#define FOUR "half-open-decision=rate half-open-max-calls=4 open-duration=5s "
#define THREE "half-open-decision=rate half-open-max-calls=3 open-duration=1s "

static const BreakerStory by_rate[] = {
  { "three-of-four-fail", FOUR, "trip +5s F F S half-open F open opens=2 retry=5s" },
  { "half-fail", FOUR, "trip +5s S S F half-open F open" },
  { "one-of-four-fails", FOUR, "trip +5s F S S half-open S closed rate=? streak=0" },
  { "neutral-gives-back", FOUR, "trip +5s S S S N half-open N F closed" },
  { "permits-in-all", FOUR,
    "trip +5s hold hold S hold Xfull Xfull n1 hold Xfull d2 S Xfull s3 half-open s4 closed" },
  { "dropped-gives-back", FOUR, "trip +5s hold hold hold hold Xfull d1 hold Xfull flight=4" },
  { "two-of-three-fail", THREE "failure-rate-threshold=0.66", "trip +1s F S F open" },
  { "one-of-three-fails", THREE "failure-rate-threshold=0.66", "trip +1s F S S closed" },
  { "success-threshold-is-not-used", THREE "success-threshold=9", "trip +1s S S S closed" },
  { "minimum-calls-does-not-apply", THREE "minimum-calls=10", "trip +1s F F F open" },
  { "three-of-ten-reach-it",
    "half-open-decision=rate half-open-max-calls=10 failure-rate-threshold=0.3 open-duration=1s",
    "trip +1s F F F S S S S S S half-open S open" },
  { "two-of-ten-do-not",
    "half-open-decision=rate half-open-max-calls=10 failure-rate-threshold=0.3 open-duration=1s",
    "trip +1s F F S S S S S S S half-open S closed" },
  { "slow-probes", FOUR "slow-call-duration=1s slow-call-rate-threshold=0.5 half-open-lease=1m",
    "trip +5s S L S half-open L open" },
  { "slow-and-failed", FOUR "slow-call-duration=1s slow-call-rate-threshold=0.5 half-open-lease=1m",
    "trip +5s M L S half-open S open" },
  { "few-slow-probes", FOUR "slow-call-duration=1s slow-call-rate-threshold=0.5 half-open-lease=1m",
    "trip +5s S L S S closed" },
  { "one-probe", "half-open-decision=rate open-duration=1s", "trip +1s hold Xfull s1 closed" },
  { "time-window-beside", "window=time " FOUR,
    "F F F F F open +5s F S S S closed window=0 S window=1" },
  { "streak-goes-on", FOUR, "F F F F F open +5s F S F streak=7 F open streak=8" },
};

static const BreakerStory expiring[] = {
  { "expired-counts", FOUR "half-open-lease=2s",
    "trip +5s hold hold S +2s poll half-open S open opens=2" },
  { "expired-is-outvoted", FOUR "half-open-lease=2s", "trip +5s hold S +2s S S closed" },
  { "all-expire", FOUR "half-open-lease=2s",
    "trip +5s hold hold hold hold Xfull retry=2s +2s poll open retry=5s" },
  { "noticed-late", FOUR "half-open-lease=2s",
    "trip +5s hold hold hold hold +4s poll open retry=3s" },
  { "answer-after-the-lease", FOUR "half-open-lease=2s",
    "trip +5s hold +2s poll half-open s1 half-open ok=1 S S half-open S closed" },
  { "failure-after-the-lease", FOUR "half-open-lease=2s",
    "trip +5s hold +2s poll streak=1 f1 streak=1 failed=1 half-open S S S closed" },
  { "neutral-after-the-lease", FOUR "half-open-lease=2s",
    "trip +5s hold +2s poll n1 hold hold hold Xfull s2 s3 half-open s4 closed" },
  { "late-of-an-older-half-open", FOUR,
    "trip +5s hold hold F half-open trip +5s hold f1 f2 S S half-open s3 half-open S closed" },
};

static const BreakerStory checks[] = {
  { "checks-alone", THREE,
    "trip check=2/2 half-open check=3/2 check=4/2 half-open check=5/2 closed" },
  { "checks-beside-calls", THREE,
    "trip check=2/2 F check=3/2 check=4/2 half-open check=5/2 closed" },
  { "no-permit-left", THREE,
    "trip check=2/2 hold hold hold check=3/2 check=4/2 check=5/2 half-open f1 f2 half-open f3 "
    "open" },
};

static const BreakerStory changing[] = {
  { "strict-to-rate", "open-duration=1s success-threshold=3",
    "trip +1s S hold set=half-open-decision:rate,half-open-max-calls:2 half-open s1 half-open F "
    "half-open S open" },
  { "rate-to-strict", THREE "half-open-lease=1s",
    "trip +1s hold +1s poll half-open F set=half-open-decision:strict half-open f1 half-open S S "
    "closed" },
  { "fewer", FOUR, "trip +5s F S S half-open set=half-open-max-calls:3 closed" },
  { "fewer-with-some-out", FOUR,
    "trip +5s hold hold hold set=half-open-max-calls:2 Xfull s1 half-open Xfull s2 closed s3 "
    "closed" },
  { "more", FOUR, "trip +5s hold hold hold hold Xfull set=half-open-max-calls:5 hold Xfull" },
  { "strict-fewer", "half-open-max-calls=3 open-duration=1s",
    "trip +1s hold hold set=half-open-max-calls:1 Xfull n1 Xfull n2 hold Xfull" },
};

/* The ramp: of the first ten calls nine are refused. */
#define RAMP \
  "failure-threshold=3 window=none open-duration=1s success-threshold=1 ramp-duration=10s "
#define CLOSED_AGAIN "F F F open +1s S closed "

static const BreakerStory ramp[] = {
  { "first-tenth", RAMP,
    CLOSED_AGAIN "S Xramp Xramp Xramp Xramp Xramp Xramp Xramp Xramp Xramp S Xramp" },
  { "half-way", RAMP, CLOSED_AGAIN "S +5s Xramp S Xramp S Xramp S Xramp S Xramp S S Xramp" },
  { "near-the-end", RAMP, CLOSED_AGAIN "S +9999ms Xramp S S S S S S S" },
  { "at-the-end", RAMP, CLOSED_AGAIN "S +10s S S S S S retry=0" },
  { "by-poll", RAMP, CLOSED_AGAIN "S Xramp +10s poll S S S" },
  { "retry-after", RAMP, CLOSED_AGAIN "retry=10s S Xramp +4s retry=6s +6s retry=0" },
  { "refusals-are-blocked", RAMP "window-size=5",
    CLOSED_AGAIN "blocked=0 S Xramp Xramp blocked=2 row=0 ok=2 total=7" },
  { "never-in-a-window",
    "failure-threshold=0 window=time open-duration=1s success-threshold=1 ramp-duration=10s",
    "trip +1s S closed S Xramp Xramp window=1" },
  { "failures-count", RAMP, CLOSED_AGAIN "F +10s F closed F open X" },
  { "failures-in-the-ramp-open", RAMP, CLOSED_AGAIN "+9s F F F open X +1s S closed S Xramp" },
  { "row-ends-in-the-ramp", RAMP, CLOSED_AGAIN "+9s F F S F F closed" },
  { "permit-before-the-end", RAMP, CLOSED_AGAIN "hold Xramp +10s s1 ok=2 S" },
  { "by-hand-does-not-ramp", RAMP, "trip close S S S S retry=0" },
  { "by-hand-ends-it", RAMP, CLOSED_AGAIN "S Xramp close S S S" },
  { "reset-ends-it", RAMP, CLOSED_AGAIN "S Xramp reset S S S" },
  { "metrics-only-ends-it", RAMP, CLOSED_AGAIN "S Xramp mode=metrics-only S S S" },
  { "disabled-ends-it", RAMP, CLOSED_AGAIN "S Xramp mode=disabled S S S mode=normal S S" },
  { "forced-and-back", RAMP, CLOSED_AGAIN "S Xramp mode=forced-open Xforced mode=normal S S S" },
  { "by-checks", RAMP, "trip check=2/2 check=3/2 closed S Xramp" },
  { "by-rate", RAMP "half-open-decision=rate half-open-max-calls=2",
    "trip +1s S S closed S Xramp" },
  { "goes-on-when-changed", RAMP,
    CLOSED_AGAIN "S +5s set=ramp-duration:1h Xramp S retry=5s +5s S S S retry=0" },
  { "begun-before-it-was-off", RAMP, CLOSED_AGAIN "S set=ramp-duration:0 Xramp +10s S S" },
  { "off", "failure-threshold=3 open-duration=1s success-threshold=1", CLOSED_AGAIN "S S S S" },
  { "over-a-restart", RAMP, CLOSED_AGAIN "S +5s restart=0 retry=5s S S Xramp S +5s S S S" },
  { "ended-before-the-restart", RAMP, CLOSED_AGAIN "S +10s restart=0 S S S retry=0" },
  { "clock-stands-still", RAMP,
    CLOSED_AGAIN "N Xramp Xramp Xramp Xramp Xramp Xramp Xramp Xramp Xramp N" },
};

/* Over the whole ramp a little more than half of an even stream is let through, and in each part of
 * it the share that belongs there. */
static void
test_shares (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreakerConfig) config =
      breaker_config_from_words ("open-duration=1s success-threshold=1 ramp-duration=10s");
  g_autoptr (DerateBreaker) breaker = derate_breaker_new_with_clock ("b", config, clock);

  derate_breaker_trip (breaker, NULL);
  derate_breaker_move (breaker, DERATE_BREAKER_STATE_HALF_OPEN, NULL);
  derate_breaker_note_good_check (breaker, 1, 1);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_CLOSED);
  for (guint part = 0; part < 10; part++)
    {
      guint admitted = 0;

      for (guint i = 0; i < 1000; i++)
        {
          g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

          admitted += derate_breaker_acquire (breaker, &permit, NULL) ? 1 : 0;
          derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), G_TIME_SPAN_MILLISECOND);
        }
      g_assert_cmpint ((int)admitted, >=, (int)(145 + 90 * part) - 3);
      g_assert_cmpint ((int)admitted, <=, (int)(145 + 90 * part) + 3);
    }
}

static void
test_texts (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreakerConfig) config =
      breaker_config_from_words ("success-threshold=1 ramp-duration=10s");
  g_autoptr (DerateBreaker) breaker = derate_breaker_new_with_clock ("b", config, clock);
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
  g_autoptr (GError) error = NULL;

  derate_breaker_trip (breaker, NULL);
  derate_breaker_move (breaker, DERATE_BREAKER_STATE_HALF_OPEN, NULL);
  derate_breaker_note_good_check (breaker, 1, 1);
  g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
  g_assert_false (derate_breaker_acquire (breaker, &permit, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_RAMPING);
  g_assert_cmpstr (error->message, ==,
                   "circuit breaker 'b' has closed and does not let every call through yet");
  /* It says nothing about the service to a breaker around this one. */
  g_assert_false (derate_breaker_config_is_failure (config, error));
}

/* What a listener is told of probes that decided together. */
static void
keep_rate (DerateBreaker *breaker,
           DerateBreakerState old_state,
           DerateBreakerState new_state,
           const DerateBreakerCounters *counters,
           gpointer user_data)
{
  *(double *)user_data = counters->failure_rate;
}

static void
test_rate_told (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreakerConfig) config =
      breaker_config_from_words ("half-open-decision=rate half-open-max-calls=4");
  g_autoptr (DerateBreaker) breaker = derate_breaker_new_with_clock ("b", config, clock);
  double rate = -1;

  derate_breaker_add_listener (breaker, keep_rate, &rate, NULL);
  derate_breaker_trip (breaker, NULL);
  derate_breaker_move (breaker, DERATE_BREAKER_STATE_HALF_OPEN, NULL);
  for (guint i = 0; i < 4; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
      if (i == 2)
        derate_permit_succeed (&permit);
      else
        derate_permit_fail (&permit, NULL);
    }
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_OPEN);
  g_assert_cmpfloat (rate, ==, 0.75);
}

int
main (int argc, char **argv)
{
  breaker_test_init (&argc, &argv);

  breaker_stories_add ("/breaker/by-rate", by_rate, G_N_ELEMENTS (by_rate));
  breaker_stories_add ("/breaker/by-rate/leases", expiring, G_N_ELEMENTS (expiring));
  breaker_stories_add ("/breaker/by-rate/checks", checks, G_N_ELEMENTS (checks));
  breaker_stories_add ("/breaker/by-rate/changing", changing, G_N_ELEMENTS (changing));
  g_test_add_func ("/breaker/by-rate/told", test_rate_told);
  breaker_stories_add ("/breaker/ramp", ramp, G_N_ELEMENTS (ramp));
  g_test_add_func ("/breaker/ramp/shares", test_shares);
  g_test_add_func ("/breaker/ramp/texts", test_texts);
  return g_test_run ();
}
