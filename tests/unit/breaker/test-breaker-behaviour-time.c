/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-script.h"

/* What users of other breakers expect of one that counts over a time; see test-breaker-behaviour.c.
 */

/* As resilience4j tests its own: 20 s, at least 5 calls, slow from 4 s on. */
#define PLAIN                                                                                   \
  "failure-threshold=0 window=time window-size=20s minimum-calls=5 failure-rate-threshold=0.5 " \
  "slow-call-duration=4s slow-call-rate-threshold=0.5 open-duration=5s half-open-max-calls=4 "  \
  "half-open-lease=1s "
#define BARE "failure-threshold=0 window=time "

static const BreakerStory stories[] = {
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

int
main (int argc, char **argv)
{
  breaker_test_init (&argc, &argv);

  breaker_stories_add ("/breaker/behaviour", stories, G_N_ELEMENTS (stories));
  return g_test_run ();
}
