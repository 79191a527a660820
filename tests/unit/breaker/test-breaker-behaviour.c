/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-script.h"

#include "derate-breaker-private.h"

/* What users of other breakers expect of one, by its number in tests/dev/behaviours.tsv. Where the
 * libraries do not agree, or offer a choice that there is not here, the last column says which way
 * was taken; the doc comment of the setting or function says so too. */

static const BreakerStory counting[] = {
  { "24-count-window-slides", "failure-threshold=0",
    "mode=metrics-only S S F F rate=? window=4 F*4 S*4 window=10 rate=0.6 S*3 window=10 rate=0.3" },
  { "24-count-window-opens-at-threshold", "failure-threshold=0 failure-rate-threshold=0.6",
    "S S F F F F F F S closed rate=? S open rate=0.6 opens=1" },
  { "24-refusals-are-no-samples", "failure-threshold=0 failure-rate-threshold=0.6",
    "S S F*6 S S open X X window=10 rate=0.6 blocked=2" },
  { "29-count-window-of-a-hundred",
    "failure-threshold=0 window-size=100 minimum-calls=50 failure-rate-threshold=1",
    "S*17 F*32 rate=? F rate=0.66 window=50 ok=17 failed=33 S*100 window=100 rate=0 ok=117" },
  { "31-first-failure-below-minimum", "failure-threshold=0 minimum-calls=2", "F closed rate=?" },
  { "31-minimum-reached-by-a-success", "failure-threshold=0 minimum-calls=2", "F closed S open",
    "the rate is looked at with each outcome, as resilience4j does; Polly looks at failures only" },
  { "31-minimum-reached-by-a-failure", "failure-threshold=0 minimum-calls=2", "S closed F open" },
  { "40-consecutive-three", "failure-threshold=3 window=none", "F S F F closed F open" },
  { "40-two-of-three",
    "failure-threshold=0 window-size=3 failure-rate-threshold=0.6666666666666667", "F S F open" },
  { "40-two-of-three-not-before",
    "failure-threshold=0 window-size=3 failure-rate-threshold=0.6666666666666667",
    "F F closed rate=? S open",
    "a rate is unknown below minimum-calls; Failsafe opens with the second failure already" },
  { "40-alternating-below-rate",
    "failure-threshold=0 window-size=4 minimum-calls=4 failure-rate-threshold=0.6",
    "S F S F S F S F S F S F closed rate=0.5" },
  { "45-sixth-failure", "failure-threshold=6 window=none",
    "F*5 closed S row=0 F*5 closed F open was-failed=11 was-calls=12",
    "opens at failure-threshold; gobreaker's default opens above 5, on the 6th" },
  { "45-refused-do-not-count", "failure-threshold=6 window=none open-duration=60s",
    "F*6 open X*5 calls=6 blocked=5 failed=6 row=6" },
  { "45-streak-is-kept", "failure-threshold=6 window=none open-duration=1s",
    "F*6 streak=6 +1s S half-open streak=6 row=0 S closed streak=0 row=0",
    "gobreaker clears its counts on every transition: here failure_count is kept until closed, for "
    "whoever asks why; what was counted in a state is told to listeners" },
  { "45-counters-of-the-state", "failure-threshold=6 window=none open-duration=1s",
    "S F*6 was-calls=7 was-ok=1 was-failed=6 was-streak=6 X X +1s S was-blocked=2 was-calls=0 "
    "S was-calls=2 was-ok=2 was-failed=0" },
  { "55-warm-up", "minimum-calls=6 failure-threshold=0", "F*5 closed F open",
    "minimum-calls is the warm-up of a window, each time it begins empty; opossum's allowWarmUp "
    "shelters the first window only, by time" },
  { "59-half-of-fifty",
    "failure-threshold=0 window-size=100 minimum-calls=50 failure-rate-threshold=0.5",
    "S*25 F*24 closed F open rate=0.5",
    "opens at the threshold, as resilience4j; cockatiel, opossum, Sentinel and Failsafe above it" },
  { "59-more-than-half",
    "failure-threshold=0 window-size=100 minimum-calls=50 failure-rate-threshold=0.5",
    "S*24 F*25 closed F open rate=0.52" },
  { "60-slow-ratio",
    "failure-threshold=0 slow-call-duration=5s slow-call-rate-threshold=1 minimum-calls=3 "
    "failure-rate-threshold=1 open-duration=5s",
    "L L closed L open slow=1 +1s X +4s S half-open",
    "slow is at or above slow-call-duration; Sentinel's is above it" },
  { "60-error-ratio",
    "failure-threshold=0 failure-rate-threshold=0.2 minimum-calls=1 open-duration=10s "
    "success-threshold=1",
    "S F open +5s X +5s F open retry=10s +10s S closed S*9 F closed rate=0.1" },
  { "61-volume-of-five", "failure-threshold=0 minimum-calls=5", "F*4 closed rate=? F open" },
  { "61-old-failures-are-forgotten",
    "failure-threshold=0 minimum-calls=5 open-duration=5s success-threshold=1",
    "F*5 open +5s S closed window=0 F*4 closed F open",
    "the window is emptied on closing, as in Hystrix; an outcome before it never opens again" },
};

static const BreakerStory recovering[] = {
  { "07-open-for", "open-duration=1s", "for=2h +1h X +1h +1s S half-open" },
  { "07-open-until", "open-duration=1s", "until=30m +15m X +15m +1s S half-open" },
  { "07-half-open-at-the-time", "open-duration=1s", "for=2h +7199999ms X +1ms S half-open",
    "half-open at the time; resilience4j after it" },
  { "08-break-grows", "open-duration=5s open-duration-multiplier=1.5",
    "trip +3s X +3s hold half-open trip open +6s X retry=1500ms +5s S half-open" },
  { "23-begins-open", "open-duration=5s", "trip X +4999ms X +1ms S half-open",
    "there is no initial state: trip () or restore () a new breaker" },
  { "23-begins-metrics-only", "minimum-calls=2", "mode=metrics-only F F closed rate=1 failed=2" },
  { "36-retry-after", "failure-threshold=1 open-duration=5s", "F +1ms X retry=4999ms" },
  { "36-retry-after-is-never-negative", "failure-threshold=1 open-duration=5s",
    "F +1h open retry=0 hold retry=5s +6s retry=0",
    "asked of the breaker, 0 at least; Polly's goes negative behind a hung probe" },
  { "37-attempts",
    "failure-threshold=1 open-duration=1s open-duration-multiplier=2 success-threshold=1",
    "F retry=1s +1s F retry=2s +2s F retry=4s +4s F retry=8s +8s F retry=16s +16s S closed +16s "
    "F retry=1s +1s F retry=2s +2s F retry=4s opens=8",
    "there is no generator function: multiplier, maximum and jitter say it" },
  { "37-closing-alone-is-no-recovery",
    "failure-threshold=1 open-duration=1s open-duration-multiplier=2 success-threshold=1",
    "F +1s F +2s F retry=4s +4s S closed +1s F retry=2s",
    "the step falls by one for each open-duration spent closed, as Envoy's; Polly and resilience4j "
    "begin at the first again after one good probe" },
  { "41-three-successes", "open-duration=1s success-threshold=3",
    "trip +1s S S half-open S closed" },
  { "41-failure-reopens-at-once", "open-duration=1s success-threshold=3",
    "trip +1s S S F open opens=2" },
  { "46-just-before", "failure-threshold=1 open-duration=60s success-threshold=1",
    "F +59999ms X open" },
  { "46-failed-probe", "failure-threshold=1 open-duration=60s success-threshold=1",
    "F +60s F open retry=60s +59999ms X +1ms S closed",
    "probes are success-threshold 2 by default; one in gobreaker, opossum, Polly and the seeds" },
  { "46-two-by-default", "failure-threshold=1 open-duration=60s", "F +60s S half-open S closed" },
  { "54-ignored-error-in-half-open", "open-duration=1s",
    "trip +1s C half-open C half-open flight=0 S S closed",
    "an ignored error is neutral; opossum's filtered one closes the circuit" },
  { "54-late-completion", "open-duration=10s half-open-lease=3s success-threshold=1",
    "trip +10s hold +3s X s1 open retry=10s flight=0" },
  { "55-volume-does-not-shelter-a-probe", "minimum-calls=6 open-duration=1s", "trip +1s F open",
    "opossum's volume threshold did" },
  { "56-saved-open-for-the-rest", "open-duration=30s",
    "trip +10s restart=5s open retry=15s X +14999ms X +1ms S half-open" },
  { "56-saved-open-whose-time-is-over", "open-duration=30s", "trip restart=30s half-open S" },
  { "56-saved-closed", "open-duration=30s", "F F restart=30s closed streak=0 window=0",
    "windows and streaks are not saved: what was counted before the restart opens nothing" },
  { "56-saved-half-open", "open-duration=30s success-threshold=3",
    "trip +30s S restart=1s half-open S S half-open S closed",
    "a restored half-open begins with no success; cockatiel saves its sample" },
  { "57-breaks-of-one-and-two",
    "failure-threshold=1 open-duration=1s open-duration-multiplier=2 open-duration-max=2s "
    "success-threshold=1",
    "F +1s F +1s X +1s S closed +1s F retry=1s",
    "begins at the first again after a healthy spell; cockatiel's does as soon as it closes" },
  { "63-two-successes-then-a-failure", "failure-threshold=1 success-threshold=3 open-duration=1s",
    "F +1s S S half-open F open +1s S S half-open S closed" },
};

static const BreakerStory by_hand[] = {
  { "05-open-then-half-open", "open-duration=5s",
    "trip +3s X +3s hold half-open was-blocked=1 was-calls=0 blocked=1 Xfull "
    "s1 S closed was-blocked=1 was-calls=2 blocked=2 calls=2",
    "what was counted in a state is told to listeners when it ends; statistics go on until reset, "
    "resilience4j's are zeroed by each transition" },
  { "13-permits-at-once", "open-duration=5s half-open-max-calls=4",
    "trip +5s hold*4 Xfull Xfull d1 hold Xfull blocked=3" },
  { "15-disabled", "failure-threshold=1 minimum-calls=1",
    "mode=disabled S F S F closed calls=0 ok=0 failed=0 window=0 rate=? events=0" },
  { "16-forced-open", "open-duration=5s",
    "mode=forced-open Xforced +6s Xforced blocked=2 open probes=0 events=1" },
  { "17-metrics-only", "failure-threshold=2 minimum-calls=5",
    "mode=metrics-only F F F S S closed rate=0.6 F closed failed=4 events=0",
    "there are no events of a rate that opens nothing, but one log line at the alert threshold" },
  { "19-no-way-to-half-open", "", "cannot=half-open closed events=0" },
  { "19-same-state-is-no-event", "open-duration=1s",
    "close close events=0 trip trip events=1 +1s poll poll events=2 close close events=3" },
  { "20-reset-of-open", "open-duration=5s",
    "S F*5 open X reset closed calls=0 ok=0 failed=0 blocked=0 opens=0 streak=0 total=0 window=0" },
  { "20-reset-of-closed", "",
    "S F S reset closed calls=0 ok=0 failed=0 streak=0 window=0 events=0" },
  { "20-metrics-only-begins-empty", "minimum-calls=2 failure-rate-threshold=1",
    "F S rate=0.5 mode=metrics-only rate=? window=0 failed=1",
    "a mode begins with an empty window and keeps the statistics, which only reset () zeroes; in "
    "resilience4j both go" },
  { "35-forced-any-time", "open-duration=5s",
    "mode=forced-open Xforced +365d Xforced retry=5s close S closed",
    "nobody knows when it ends: retry-after is open-duration, where Polly's is null" },
  { "35-open-and-forced-differ", "open-duration=5s",
    "trip X mode=forced-open Xforced mode=normal half-open" },
  { "58-one-mode-for-all", "open-duration=5s",
    "mode=forced-open mode=forced-open mode=normal closed S",
    "a mode is not counted as cockatiel's isolate handles are: the last word is valid; what "
    "several "
    "hands hold are holds on the level" },
  { "58-no-queue-for-probes", "open-duration=1s success-threshold=1",
    "trip +1s hold Xfull Xfull s1 closed S",
    "who finds the probes out is refused at once; cockatiel's wait for the probe" },
};

static DerateBreaker *
new_breaker (const char *words, DerateClock *clock)
{
  g_autoptr (DerateBreakerConfig) config = breaker_config_from_words (words);

  return derate_breaker_new_with_clock ("b", config, clock);
}

static GVariant *
count_call (GCancellable *cancellable, gpointer user_data, GError **error)
{
  ++*(guint *)user_data;
  return g_variant_new_boolean (TRUE);
}

/* A token that is cancelled already is what the caller hears of, also while open. */
static void
test_cancelled_before (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker ("", clock);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  DerateBreakerState state = DERATE_BREAKER_STATE_CLOSED;
  guint calls = 0;

  g_cancellable_cancel (cancellable);
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (DerateBreakerStats) stats = NULL;
      g_autoptr (GError) error = NULL;

      g_assert_null (derate_breaker_call (breaker, count_call, &calls, cancellable, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      stats = derate_breaker_dup_stats (breaker);
      g_assert_cmpuint (stats->total_requests, ==, 0);
      g_assert_cmpint (stats->state, ==, state);
      g_assert_cmpuint (calls, ==, 0);
      if (i == 0)
        derate_breaker_trip (breaker, NULL);
      else
        derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), G_TIME_SPAN_HOUR);
      state = DERATE_BREAKER_STATE_OPEN;
    }
}

/* Two breakers around one call, each with its own idea of a failure. */
typedef struct
{
  DerateBreaker *inner;
  int code;
} Nested;

static GVariant *
fail_with_code (GCancellable *cancellable, gpointer user_data, GError **error)
{
  g_set_error (error, G_IO_ERROR, ((Nested *)user_data)->code, "code");
  return NULL;
}

static GVariant *
call_inner (GCancellable *cancellable, gpointer user_data, GError **error)
{
  Nested *nested = user_data;

  return derate_breaker_call (nested->inner, fail_with_code, nested, cancellable, error);
}

static DerateBreaker *
new_breaker_for (int code, DerateClock *clock)
{
  g_autoptr (DerateBreakerConfig) config = breaker_config_from_words ("failure-threshold=1");

  derate_breaker_config_record_error (config, G_IO_ERROR, code);
  return derate_breaker_new_with_clock ("nested", config, clock);
}

static void
test_nested (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) outer = new_breaker_for (G_IO_ERROR_TIMED_OUT, clock);
  g_autoptr (DerateBreaker) inner = new_breaker_for (G_IO_ERROR_BUSY, clock);
  Nested nested = { .inner = inner, .code = G_IO_ERROR_TIMED_OUT };

  g_assert_null (derate_breaker_call (outer, call_inner, &nested, NULL, NULL));
  g_assert_cmpint (derate_breaker_get_state (outer), ==, DERATE_BREAKER_STATE_OPEN);
  g_assert_cmpint (derate_breaker_get_state (inner), ==, DERATE_BREAKER_STATE_CLOSED);

  derate_breaker_close (outer);
  nested.code = G_IO_ERROR_BUSY;
  for (guint i = 0; i < 3; i++) /* the refusals of the inner one are not the outer one's failures */
    g_assert_null (derate_breaker_call (outer, call_inner, &nested, NULL, NULL));
  g_assert_cmpint (derate_breaker_get_state (outer), ==, DERATE_BREAKER_STATE_CLOSED);
  g_assert_cmpint (derate_breaker_get_state (inner), ==, DERATE_BREAKER_STATE_OPEN);
}

/* Whoever asks for a name gets the breaker that has it, with what it has counted. */
static void
test_second_of_a_name (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreakerRegistry) registry = derate_breaker_registry_new (clock);
  g_autoptr (DerateBreaker) first =
      derate_breaker_registry_get_or_create (registry, "b", NULL, NULL);
  g_autoptr (DerateBreakerStats) stats = NULL;
  g_autoptr (DerateBreaker) second = NULL;

  for (guint i = 0; i < 3; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      g_assert_true (derate_breaker_acquire (first, &permit, NULL));
      derate_permit_fail (&permit, NULL);
    }
  second = derate_breaker_registry_get_or_create (registry, "b", NULL, NULL);
  stats = derate_breaker_dup_stats (second);
  g_assert_cmpuint (stats->failure_count, ==, 3);
}

/* One outcome, however often it is given; a caller who gives up is no failure. */
static void
test_once (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker ("failure-threshold=1", clock);
  g_autoptr (GError) cancelled = g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "cancelled");
  g_autoptr (DerateBreakerStats) stats = NULL;
  g_autoptr (DeratePermit) permit = derate_breaker_begin (breaker, NULL);
  g_autoptr (DeratePermit) given_up = derate_breaker_begin (breaker, NULL);

  derate_permit_succeed (permit);
  derate_permit_succeed (permit);
  derate_permit_fail (permit, NULL);
  derate_permit_fail (given_up, cancelled);
  derate_permit_fail (given_up, NULL);
  stats = derate_breaker_dup_stats (breaker);
  g_assert_cmpuint (stats->successful_requests, ==, 1);
  g_assert_cmpuint (stats->failed_requests, ==, 0);
  g_assert_cmpint (stats->state, ==, DERATE_BREAKER_STATE_CLOSED);
}

int
main (int argc, char **argv)
{
#define PATH "/breaker/behaviour"

  breaker_test_init (&argc, &argv);

  breaker_stories_add (PATH, counting, G_N_ELEMENTS (counting));
  breaker_stories_add (PATH, recovering, G_N_ELEMENTS (recovering));
  breaker_stories_add (PATH, by_hand, G_N_ELEMENTS (by_hand));
  g_test_add_func (PATH "/39-cancelled-before", test_cancelled_before);
  g_test_add_func (PATH "/53-nested", test_nested);
  g_test_add_func (PATH "/63-second-of-a-name", test_second_of_a_name);
  g_test_add_func (PATH "/64-once", test_once);
  return g_test_run ();
}
