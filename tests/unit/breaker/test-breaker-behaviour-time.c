/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-script.h"

/* What users of other breakers expect of one that counts over a time, and of probes that decide
 * together; see test-breaker-behaviour.c. */

/* As resilience4j tests its own: 20 s, at least 5 calls, slow from 4 s on. */
#define PLAIN                                                                                   \
  "failure-threshold=0 window=time window-size=20s minimum-calls=5 failure-rate-threshold=0.5 " \
  "slow-call-duration=4s slow-call-rate-threshold=0.5 open-duration=5s half-open-max-calls=4 "  \
  "half-open-lease=1s "
#define BY_RATE PLAIN "half-open-decision=rate "
#define BARE "failure-threshold=0 window=time "

static const BreakerStory windows[] = {
  { "01-opens-on-the-fifth", PLAIN,
    "F F F S closed S open rate=0.6 events=1 X blocked=1 window=5 rate=0.6 failed=3 calls=5" },
  { "02-unknown-below-the-minimum", PLAIN,
    "F rate=? F rate=? S rate=? S rate=? slow=? closed window=4 events=0",
    "unknown is NaN, in JSON null; resilience4j's is -1" },
  { "03-exactly-half", PLAIN, "S +1s S +1s S +1s F +1s F closed rate=0.4 +1s F open rate=0.5" },
  { "04-slow", PLAIN, "M L F S closed slow=? L open slow=0.6 rate=0.4 failed=2 ok=3" },
  { "25-leave-by-age", BARE "window-size=5s",
    "S +100ms S +700ms S window=3 +3200ms window=3 +1s window=1 +800ms window=0",
    "slices of a tenth of the window, the first of them begins with the first outcome; "
    "resilience4j "
    "counts whole seconds of its clock" },
  { "25-leave-at-once", BARE "window-size=5s",
    "S +1s S +1s S +1s S +1s S window=5 +5s window=0 S window=1 +100d S window=1" },
  { "26-ten-slices", BARE "window-size=10s",
    "S +1s S +1s S +1s S +1s S +1s S +1s S +1s S +1s S +1s S window=10 +1s window=9 +1s window=8 "
    "+1s window=7 +6s window=1 +1s window=0" },
  { "32-spread-over-two-windows", BARE "window-size=10s minimum-calls=4 failure-rate-threshold=1",
    "F*3 closed +10s F*3 closed window=3 +10s F*3 closed window=3 F open" },
  { "32-exactly-at-the-end", BARE "window-size=10s minimum-calls=4 failure-rate-threshold=1",
    "F*3 +10s F closed window=1" },
  { "32-just-before-the-end", BARE "window-size=10s minimum-calls=4 failure-rate-threshold=1",
    "F*3 +9999999us F open window=4" },
  { "44-two-in-a-moment", BARE "window-size=200ms minimum-calls=2 failure-rate-threshold=1",
    "F S closed +200ms F closed +50ms F open",
    "there is no number of failures in a time: a time window with as many calls at least" },
};

static const BreakerStory half_open[] = {
  { "09-three-of-four-fail", BY_RATE,
    "trip +5s F F S half-open F open was-rate=0.75 was-calls=4 was-failed=3 opens=2" },
  { "10-one-of-four-fails", BY_RATE,
    "trip +5s F S S half-open S closed was-calls=4 rate=? window=0 streak=0 S window=1" },
  { "11-neutral-decides-nothing", BY_RATE, "trip +5s S S S N half-open flight=0 F closed" },
  { "11-neutral-is-no-probe", BY_RATE, "trip +5s N*20 half-open S S S F closed" },
  { "13-permits-in-all", BY_RATE, "trip +5s hold*4 Xfull Xfull d1 hold Xfull blocked=3 half-open" },
  { "21-one-never-answered", PLAIN, "trip +5s hold +999ms poll half-open +1ms poll open retry=5s",
    "a lease for each permit, not a longest stay: one past its lease is a failed probe, which "
    "opens "
    "it; resilience4j's wait is off by default and can end in closed" },
  { "21-one-never-answered-by-rate", BY_RATE,
    "trip +5s hold +1s poll half-open S S half-open S closed",
    "by rate it is one failure of the four, which still decide together" },
  { "21-none-answered-by-rate", BY_RATE, "trip +5s hold*4 Xfull +1s X open was-failed=0 streak=4" },
  { "41-two-of-three-fail",
    "half-open-decision=rate half-open-max-calls=3 failure-rate-threshold=0.66 open-duration=1s",
    "trip +1s F S F open" },
  { "41-one-of-three-fails",
    "half-open-decision=rate half-open-max-calls=3 failure-rate-threshold=0.66 open-duration=1s",
    "trip +1s F S S closed" },
  { "57-sample-of-ten",
    "half-open-decision=rate half-open-max-calls=10 failure-rate-threshold=0.4 open-duration=1s",
    "trip +1s F*3 S*6 half-open S closed" },
  { "57-sample-of-ten-with-a-fourth",
    "half-open-decision=rate half-open-max-calls=10 failure-rate-threshold=0.4 open-duration=1s",
    "trip +1s F*4 half-open S*5 half-open S open",
    "decided when all are answered; cockatiel's fourth failure of ten reopens at once" },
};

int
main (int argc, char **argv)
{
  breaker_test_init (&argc, &argv);

  breaker_stories_add ("/breaker/behaviour", windows, G_N_ELEMENTS (windows));
  breaker_stories_add ("/breaker/behaviour", half_open, G_N_ELEMENTS (half_open));
  return g_test_run ();
}
