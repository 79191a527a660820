/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-script.h"

#include "derate-breaker-private.h"

/* The time window: what leaves it when. F is counted, and opens nothing unless the story says so.
 */
#define PLAIN "window=time failure-threshold=0 "

static const BreakerStory leaving[] = {
  { "one-a-second", PLAIN "window-size=10s minimum-calls=1 failure-rate-threshold=1",
    "S +1s S +1s S +1s S +1s S +1s S +1s S +1s S +1s S +1s S window=10 +1s window=9 +1s window=8" },
  { "young-slice-stays", PLAIN "window-size=5s",
    "S +100ms S +700ms S window=3 +3200ms window=3 +1s window=1 +799ms window=1 +1ms window=0" },
  { "exactly-at-the-end", PLAIN "window-size=5s minimum-calls=1 failure-rate-threshold=0.9",
    "S F rate=0.5 +4999999us rate=0.5 window=2 +1us window=0 rate=?" },
  { "end-after-a-pause", PLAIN "window-size=5s minimum-calls=1 failure-rate-threshold=0.9",
    "S +3333ms S F +4999999us window=2 rate=0.5 +1us window=0" },
  { "a-day-later", PLAIN "minimum-calls=2 failure-rate-threshold=0.9",
    "S F S F S rate=0.4 +1d window=0 rate=? S window=1 rate=? S rate=0 closed" },
  { "a-year-without-a-look", PLAIN "minimum-calls=2 failure-rate-threshold=0.9",
    "S F S F S +365d S S rate=0 window=2" },
  { "clock-stands-still", PLAIN "minimum-calls=5 failure-rate-threshold=0.9",
    "S F S F S S S S rate=0.25 window=8" },
  { "two-windows", PLAIN "window-size=10s minimum-calls=4 failure-rate-threshold=0.5",
    "F F F +10s F F F closed rate=? +10s F F F closed F open" },
  { "just-within-one-window", PLAIN "window-size=10s minimum-calls=4 failure-rate-threshold=0.5",
    "F F F +9999999us F open" },
  { "two-per-200ms", PLAIN "window-size=200ms minimum-calls=2 failure-rate-threshold=1",
    "F S closed +200ms F closed +50ms F open" },
};

/* What opens it */
static const BreakerStory opening[] = {
  { "at-minimum", PLAIN "window-size=20s minimum-calls=5",
    "F F F S rate=? closed S open rate=0.6" },
  { "by-failure-at-minimum", PLAIN "window-size=20s minimum-calls=5", "S S F F closed F open" },
  { "one-second-apart", PLAIN "window-size=20s minimum-calls=5",
    "S +1s S +1s S +1s F +1s F closed rate=0.4 +1s F open rate=0.5" },
  { "slow-and-failed",
    PLAIN "window-size=60s minimum-calls=5 slow-call-duration=4s slow-call-rate-threshold=0.5 "
          "failure-rate-threshold=1",
    "M L F S closed slow=? L open" },
  { "slow-among-quiet",
    PLAIN "window-size=60s minimum-calls=5 slow-call-duration=1s slow-call-rate-threshold=0.2",
    "S S S S S S S S slow=0 L closed +1s L open slow=0.2" },
  { "default-minimum-is-ten", PLAIN, "F F F F F F F F F closed rate=? F open" },
  { "row-beside-the-window", "window=time failure-threshold=3", "F S F F closed F open" },
  { "row-over-slices", "window=time failure-threshold=3", "F +30s F +30s F open" },
  { "success-ends-the-run-later", "window=time failure-threshold=3",
    "S S S S F F +30s S row=0 F F closed F open" },
  { "good-calls-leave", PLAIN "window-size=10s minimum-calls=4 failure-rate-threshold=0.6",
    "S S S S +5s F F F rate=0.428571429 closed +5s S open rate=0.75" },
  { "good-calls-leave-between-slices",
    PLAIN "window-size=10s minimum-calls=4 failure-rate-threshold=0.6",
    "S S S S +9500ms F F F S rate=0.375 closed +500ms S open rate=0.6" },
  { "good-calls-leave-while-watched",
    PLAIN "window-size=10s minimum-calls=4 failure-rate-threshold=0.6",
    "S S S S +5s F F F F rate=0.5 +5s rate=1 poll closed S open rate=0.8" },
  { "many-good-then-bad", PLAIN "window-size=10s minimum-calls=4 failure-rate-threshold=0.25",
    "S S S S S S +100ms S S S S S S F F F closed rate=0.2 +1s S S S rate=0.166666667 F F "
    "rate=0.25 open" },
  { "metrics-only-counts", PLAIN "minimum-calls=2",
    "mode=metrics-only F F F S closed rate=0.75 S S rate=0.5 +10s S S rate=0 closed" },
  { "disabled-counts-nothing", PLAIN, "mode=disabled S F S window=0 mode=normal S window=1" },
};

/* What is none of the window's */
static const BreakerStory apart[] = {
  { "late-success", "window=time failure-threshold=1 open-duration=1s success-threshold=1",
    "hold hold F open s1 window=1 +1s S closed window=0 s2 window=0 S window=1 ok=4" },
  { "probes", PLAIN "open-duration=1s success-threshold=2",
    "trip +1s S half-open window=0 S closed window=0 S window=1" },
  { "neutral", PLAIN, "S N N S N window=2" },
  { "refused", "window=time failure-threshold=1", "S F X X window=2 blocked=2" },
  { "emptied-by-closing", PLAIN "open-duration=1s",
    "S S F trip window=3 close window=0 S window=1" },
  { "reset", PLAIN, "S S F reset window=0 rate=? S window=1" },
  { "kept-while-open", PLAIN "window-size=10s minimum-calls=1",
    "F open rate=1 +9s rate=1 +1s rate=?" },
};

/* Another window in place */
static const BreakerStory changing[] = {
  { "longer", PLAIN "window-size=10s minimum-calls=1 failure-rate-threshold=0.9",
    "S F +9s S set=window-size:20s window=3 +10s window=3 +1s window=1" },
  { "shorter", PLAIN "window-size=10s minimum-calls=1 failure-rate-threshold=0.9",
    "S F +6s S S set=window-size:5s window=2 rate=0 +5s window=0" },
  { "longer-many", PLAIN "window-size=10s minimum-calls=1 failure-rate-threshold=0.9",
    "S +1s F +1s S +1s S +1s S +1s S +1s S +1s S +1s S +1s S set=window-size:30s window=10 "
    "rate=0.1 S F +20s window=12 S +9s window=4 +1s window=1" },
  { "count-to-time", "failure-threshold=0 failure-rate-threshold=0.9",
    "F S S S S S +20s S S S F S set=window:time,window-size:10s,minimum-calls:5 rate=0.2 window=5 "
    "S S window=7 +10s window=0" },
  { "quiet-count-to-time", "failure-threshold=0 window-size=4",
    "S S S S S S S S set=window:time,window-size:10s window=4 S window=5" },
  { "time-to-count", PLAIN "minimum-calls=1 failure-rate-threshold=0.9",
    "S S S S F +5s S S S F set=window:count,window-size:100 window=9 rate=0.222222222 S "
    "window=10" },
  { "time-to-small-count", PLAIN "minimum-calls=1 failure-rate-threshold=0.9",
    "S S S S F +5s S F S F set=window:count,window-size:4 window=4 rate=0.5" },
  { "to-none-and-back", PLAIN "minimum-calls=1 failure-rate-threshold=0.9",
    "S F rate=0.5 set=window:none rate=? S S set=window:time rate=? window=0 S window=1" },
  { "minimum-falls", PLAIN "minimum-calls=8 failure-rate-threshold=0.25",
    "F F S S rate=? set=minimum-calls:4 rate=0.5 closed S open" },
  { "threshold-falls-after-a-success", PLAIN "minimum-calls=4 failure-rate-threshold=0.9",
    "F F S S closed set=failure-rate-threshold:0.25 closed S open" },
  { "threshold-falls-by-count", "failure-threshold=0 minimum-calls=4 failure-rate-threshold=0.9",
    "S F F S S S set=failure-rate-threshold:0.25 closed S open" },
  { "threshold-falls", PLAIN "minimum-calls=4 failure-rate-threshold=0.9",
    "S S F F closed set=failure-rate-threshold:0.25 closed S open" },
};

static DerateBreaker *
new_breaker (const char *words, DerateClock *clock)
{
  g_autoptr (DerateBreakerConfig) config = breaker_config_from_words (words);

  return derate_breaker_new_with_clock ("b", config, clock);
}

static void
call_once (DerateBreaker *breaker, gboolean good)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
  if (good)
    derate_permit_succeed (&permit);
  else
    derate_permit_fail (&permit, NULL);
}

/* Against a list of all outcomes: the window holds what is younger than nine tenths of it, and
 * nothing that is older than it. */
static void
test_model (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker =
      new_breaker ("window=time window-size=1s failure-threshold=0 failure-rate-threshold=1 "
                   "minimum-calls=100000",
                   clock);
  g_autoptr (GArray) times = g_array_new (FALSE, FALSE, sizeof (gint64));
  guint32 seed = 7;

  for (guint i = 0; i < 20000; i++)
    {
      gint64 now;
      guint least = 0;
      guint most = 0;
      guint found = 0;

      seed = seed * 1664525 + 1013904223;
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock),
                                   (seed >> 8) % (i % 500 == 0 ? 1500000 : 30000));
      now = derate_clock_get_time (clock);
      call_once (breaker, seed % 5 != 0);
      g_array_append_val (times, now);
      if (seed % 3 != 0)
        continue;
      for (guint k = times->len; k > 0; k--)
        {
          gint64 age = now - g_array_index (times, gint64, k - 1);

          if (age >= G_TIME_SPAN_SECOND)
            break;
          most++;
          least += age < 900 * G_TIME_SPAN_MILLISECOND ? 1 : 0;
        }
      derate_breaker_get_window (breaker, G_TIME_SPAN_DAY, NULL, &found);
      g_assert_cmpuint (found, >=, least);
      g_assert_cmpuint (found, <=, most);
    }
}

/* What is known to be recent: whole slices. */
static void
test_recent_outcomes (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker ("window=time window-size=10s", clock);
  guint outcomes;

  for (guint i = 0; i < 10; i++)
    {
      call_once (breaker, TRUE);
      call_once (breaker, TRUE);
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), G_TIME_SPAN_SECOND);
    }
  derate_breaker_get_window (breaker, 3 * G_TIME_SPAN_SECOND, NULL, &outcomes);
  g_assert_cmpuint (outcomes, ==, 6);
  derate_breaker_get_window (breaker, G_TIME_SPAN_HOUR, NULL, &outcomes);
  g_assert_cmpuint (outcomes, ==, 18);
}

/* Threads count each on its own, over many slices: nothing is lost and nothing counted twice. */
#define N_THREADS 4
#define N_CALLS 20000

typedef struct
{
  DerateClock *clock;
  DerateBreaker *breaker;
  gint next; /* atomic */
} Crowd;

static gpointer
call_often (gpointer data)
{
  Crowd *crowd = data;
  gboolean leads = g_atomic_int_add (&crowd->next, 1) == 0;

  for (guint i = 0; i < N_CALLS; i++)
    {
      call_once (crowd->breaker, i % 100 != 99);
      if (leads && i % 50 == 0)
        derate_manual_clock_advance (DERATE_MANUAL_CLOCK (crowd->clock), 100 * 1000);
    }
  return NULL;
}

static void
test_crowd (void)
{
  Crowd crowd = { .clock = derate_manual_clock_new () };
  GThread *threads[N_THREADS];
  double rate;
  guint outcomes;

  crowd.breaker =
      new_breaker ("window=time window-size=1d failure-threshold=0 slow-call-duration=1h",
                   crowd.clock);
  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("crowd", call_often, &crowd);
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  derate_breaker_get_window (crowd.breaker, 2 * G_TIME_SPAN_DAY, &rate, &outcomes);
  g_assert_cmpuint (outcomes, ==, N_THREADS * N_CALLS);
  g_assert_cmpfloat_with_epsilon (rate, 0.01, 1e-12);
  g_object_unref (crowd.breaker);
  g_object_unref (crowd.clock);
}

int
main (int argc, char **argv)
{
  breaker_test_init (&argc, &argv);

  breaker_stories_add ("/breaker/time/leaving", leaving, G_N_ELEMENTS (leaving));
  breaker_stories_add ("/breaker/time/opening", opening, G_N_ELEMENTS (opening));
  breaker_stories_add ("/breaker/time/apart", apart, G_N_ELEMENTS (apart));
  breaker_stories_add ("/breaker/time/changing", changing, G_N_ELEMENTS (changing));
  g_test_add_func ("/breaker/time/model", test_model);
  g_test_add_func ("/breaker/time/recent-outcomes", test_recent_outcomes);
  g_test_add_func ("/breaker/time/crowd", test_crowd);
  return g_test_run ();
}
