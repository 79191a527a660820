/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-script.h"

#include <dirent.h>
#include <math.h>

#include "derate-breaker-private.h"

/* What went wrong in other breakers, by its number in tests/dev/behaviours.tsv. */

static const BreakerStory stories[] = {
  { "02-hung-probe", "open-duration=10s half-open-lease=3s success-threshold=1",
    "trip +10s hold Xfull +3s X open retry=10s +10s hold half-open s1 half-open ok=1 Xfull s2 "
    "closed",
    "a probe past its lease has failed: the circuit opens again and asks afresh after "
    "open-duration, where resilience4j can be told to close" },
  { "02-hung-probe-found-late", "open-duration=10s half-open-lease=3s success-threshold=1",
    "trip +10s hold +1d S closed s1 closed ok=2" },
  { "02-hung-probe-by-default", "open-duration=10s success-threshold=1",
    "trip +10s hold +10s X open +10s S closed",
    "the lease is the open duration; resilience4j, Polly and gobreaker wait for ever" },
  { "02-hung-for-days", "open-duration=1s half-open-max-calls=3 half-open-lease=1s",
    "trip +1s hold*3 +6d hold*3 +6d hold*3 Xfull +6d S S closed f1 s2 n3 d4 f5 s6 n7 d8 f9 closed "
    "window=0 row=0 flight=0" },
  { "02-expired-probe-ends-the-run", "open-duration=10s",
    "S*3 good=3 trip +10s S good=4 hold +10s poll open good=0 row=1 +10s S half-open good=1" },
  { "02-hung-probe-by-rate",
    "open-duration=10s half-open-lease=3s half-open-decision=rate half-open-max-calls=2",
    "trip +10s hold*2 Xfull +3s X open +10s hold S half-open s1 f2 half-open s3 closed" },
  { "03-late-success-closes-nothing", "failure-threshold=2 success-threshold=1 open-duration=1s",
    "hold F F open +1s hold half-open s1 half-open was-ok=0 Xfull probes=1 s2 closed" },
  { "03-late-successes-of-all-kinds",
    "failure-threshold=2 success-threshold=2 open-duration=1s slow-call-duration=1s "
    "half-open-max-calls=2",
    "hold*4 F F open +1s hold half-open s1 s2 s3 s4 half-open ok=4 hold Xfull s5 half-open s6 "
    "closed" },
  { "03-late-failure-reopens-nothing", "failure-threshold=2 success-threshold=1 open-duration=1s",
    "hold*3 F F +1s hold f1 f2 half-open Xfull s4 closed f3 closed row=0 streak=0 window=0 "
    "failed=5" },
  { "03-late-success-while-open", "failure-threshold=1 success-threshold=1 open-duration=10s",
    "hold F +5s s1 open retry=5s X events=1" },
  { "03-late-failure-does-not-open-twice", "failure-threshold=1 open-duration=10s",
    "hold*5 F f1 f2 f3 f4 f5 open opens=1 events=1 streak=1 failed=6" },
  { "04-late-neutral-mints-permits", "failure-threshold=1 half-open-max-calls=2 open-duration=1s",
    "hold*4 F +1s hold n1 n2 d3 hold n4 Xfull Xfull half-open flight=2" },
  { "04-late-answers-mint-no-permits",
    "failure-threshold=1 half-open-max-calls=2 open-duration=1s success-threshold=9",
    "hold*4 F +1s hold*2 s1 s2 f3 f4 Xfull half-open flight=2" },
  { "04-late-probes-of-the-round-before",
    "half-open-max-calls=3 open-duration=1s success-threshold=9",
    "trip +1s hold*3 f1 open +1s hold*3 Xfull n2 d3 Xfull s2 Xfull half-open" },
  { "04-late-neutral-by-rate",
    "failure-threshold=1 half-open-decision=rate half-open-max-calls=2 open-duration=1s",
    "hold*4 F +1s hold n1 n2 d3 hold n4 Xfull Xfull half-open flight=2" },
  { "04-late-of-an-expired-probe",
    "half-open-decision=rate half-open-max-calls=3 open-duration=9s half-open-lease=1s",
    "trip +9s hold*2 +1s poll n1 d2 hold Xfull half-open" },
  { "06-no-time-at-all", "failure-threshold=1 open-duration=0 success-threshold=1",
    "F open S closed F open F open F open S closed events=10 opens=4" },
  { "06-no-time-at-all-by-poll", "open-duration=0",
    "trip poll half-open poll half-open trip open poll half-open events=4" },
  { "07-second-open", "open-duration=10s",
    "trip +5s trip open retry=5s events=1 +5s S half-open probes=1 opens=1",
    "trip () leaves an open breaker its time; open_for () moves the end" },
  { "07-second-open-for", "open-duration=10s",
    "for=10s +5s for=10s retry=10s +5s X +5s S half-open probes=1 opens=1" },
  { "09-clock-stands-still", "failure-threshold=1 open-duration=1ms", "F X*1000 open" },
  { "09-clock-jumps-a-day", "failure-threshold=1 open-duration=5s",
    "F +1d S half-open S closed F open X" },
  { "09-date-goes-back", "failure-threshold=1 open-duration=5s success-threshold=1",
    "F wall=-1h X +5s S closed" },
  { "09-date-goes-on", "failure-threshold=1 open-duration=5s",
    "F wall=365d X +4999ms X wall=-730d +1ms S half-open" },
  { "09-date-and-lease", "open-duration=5s half-open-lease=5s",
    "trip +5s hold wall=1d Xfull +4999ms wall=-9d Xfull +1ms X open" },
  { "10-cancelled-is-no-success", "open-duration=1s success-threshold=1",
    "trip +1s C*20 half-open N*20 half-open flight=0 F open" },
  { "13-below-minimum-reopens", "minimum-calls=10 failure-threshold=0 open-duration=1s",
    "trip +1s F open +1s F open opens=3" },
  { "13-below-minimum-closes", "minimum-calls=10 failure-threshold=0 open-duration=1s",
    "trip +1s S S closed" },
  { "13-below-minimum-by-rate",
    "minimum-calls=10 failure-threshold=0 open-duration=1s half-open-decision=rate "
    "half-open-max-calls=2",
    "trip +1s F S open +1s S S closed" },
  { "16-calls-return-over-a-ramp",
    "failure-threshold=1 window=none open-duration=1s success-threshold=1 ramp-duration=10s",
    "F +1s S closed S Xramp*9 S Xramp*9 S +5s Xramp S Xramp S +5s S*20 closed",
    "resilience4j has this on a branch only" },
  { "17-flapping",
    "failure-threshold=2 window=none open-duration=1s open-duration-multiplier=2 "
    "success-threshold=1",
    "F F retry=1s +1s S closed F F retry=2s +2s S closed F F retry=4s +4s S closed F F retry=8s "
    "+8s S closed +1s F F retry=4s +4s S closed +1m F F retry=1s",
    "one step down for each open-duration spent healthy, as Envoy ejects" },
  { "22-loop-as-long-as-the-break", "open-duration=30s",
    "trip +30s check=1/2 half-open +30s check=2/2 half-open +30s check=3/2 closed" },
  { "22-check-goes-round-it", "open-duration=1h",
    "trip X check=1/2 open X check=2/2 half-open calls=0" },
  { "22-never-straight-to-closed", "open-duration=1h success-threshold=1",
    "trip check=9/2 half-open check=10/2 closed" },
  { "22-failures-while-open-move-no-timer", "failure-threshold=1 open-duration=30s",
    "hold*3 F +10s f1 +10s f2 n3 retry=10s +10s S half-open" },
  { "22-slow-reconnect-passes", "open-duration=30s success-threshold=1",
    "trip +30s hold +8s s1 closed" },
  { "22-cheap-check-heals-no-call", "open-duration=30s success-threshold=2",
    "trip +30s F open check=1/2 check=2/2 half-open F open check=1/2 check=2/2 half-open F open",
    "where there is traffic it decides; a good check counts only while nobody asks" },
  { "24-zero-is-zero", "failure-threshold=0 open-duration=0 slow-call-duration=0",
    "F*9 closed L*9 slow=? trip S half-open" },
};

static DerateBreaker *
new_breaker (const char *words, DerateClock *clock)
{
  g_autoptr (DerateBreakerConfig) config = breaker_config_from_words (words);

  return derate_breaker_new_with_clock ("b", config, clock);
}

/* A listener does whatever there is to do. */
static GVariant *
answer (GCancellable *cancellable, gpointer user_data, GError **error)
{
  return g_variant_new_boolean (TRUE);
}

static void
ignore (DerateBreaker *breaker,
        DerateBreakerState old_state,
        DerateBreakerState new_state,
        const DerateBreakerCounters *counters,
        gpointer user_data)
{
}

static void
look (DerateBreaker *breaker)
{
  g_autoptr (DerateBreakerStats) stats = derate_breaker_dup_stats (breaker);
  g_autoptr (GVariant) saved = g_variant_ref_sink (derate_breaker_save (breaker));

  g_assert_cmpint (derate_breaker_get_state (breaker), ==, stats->state);
  g_assert_cmpint (derate_breaker_get_mode (breaker), ==, stats->mode);
  g_assert_cmpint (derate_breaker_get_retry_after (breaker), ==, stats->retry_after);
}

static void
do_all (DerateBreaker *breaker,
        DerateBreakerState old_state,
        DerateBreakerState new_state,
        const DerateBreakerCounters *counters,
        gpointer user_data)
{
  static const DerateBreakerMode modes[] = { DERATE_BREAKER_MODE_FORCED_OPEN,
                                             DERATE_BREAKER_MODE_NORMAL,
                                             DERATE_BREAKER_MODE_METRICS_ONLY,
                                             DERATE_BREAKER_MODE_NORMAL };
  g_autoptr (DerateBreakerConfig) config = derate_breaker_dup_config (breaker);
  g_autoptr (GVariant) answered = NULL;
  g_autoptr (DeratePermit) permit = NULL;
  guint *told = user_data;
  guint id;

  look (breaker);
  if (++*told > 50) /* or it would go on as long as it lives: there is no time between the states */
    return;
  id = derate_breaker_add_listener (breaker, ignore, NULL, NULL);
  answered = derate_breaker_call (breaker, answer, NULL, NULL, NULL);
  permit = derate_breaker_begin (breaker, NULL);
  g_assert_true (derate_breaker_reconfigure (breaker, config, NULL));
  derate_breaker_poll (breaker);
  derate_breaker_remove_listener (breaker, id);
  if (permit != NULL)
    derate_permit_fail (permit, NULL);
  derate_breaker_set_mode (breaker, modes[*told % G_N_ELEMENTS (modes)]);
}

static void
test_listener_does_all (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker ("failure-threshold=1 open-duration=0", clock);
  guint told = 0;

  derate_breaker_add_listener (breaker, do_all, &told, NULL);
  derate_breaker_trip (breaker, NULL);
  for (guint i = 0; i < 10; i++)
    {
      derate_breaker_set_mode (breaker, DERATE_BREAKER_MODE_NORMAL);
      derate_breaker_close (breaker);
      derate_breaker_trip (breaker, NULL);
    }
  g_assert_cmpuint (told, >, 50);
  g_assert_cmpuint (derate_breaker_get_in_flight (breaker), ==, 0);
}

/* The system's clock does not know the date. */
static void
test_system_clock (void)
{
  gint64 before = g_get_monotonic_time ();
  gint64 now = derate_clock_get_time (derate_clock_get_system ());

  g_assert_cmpint (now, >=, before);
  g_assert_cmpint (now, <=, g_get_monotonic_time ());
}

/* A thousand calls that took long and were cancelled: no failure, no slow sample, no permit lost.
 */
static void
test_cancelled (gconstpointer data)
{
  gboolean half_open = GPOINTER_TO_INT (data);
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker =
      new_breaker ("failure-threshold=1 slow-call-duration=1s slow-call-rate-threshold=0.1 "
                   "open-duration=1h window-size=5",
                   clock);
  g_autoptr (GError) cancelled = g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "cancelled");
  DerateBreakerTotals totals;

  if (half_open)
    derate_breaker_trip (breaker, NULL);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), G_TIME_SPAN_HOUR);
  for (guint i = 0; i < 1000; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 5 * G_TIME_SPAN_SECOND);
      if (i % 2 == 0)
        derate_permit_fail (&permit, cancelled);
    }
  derate_breaker_get_totals (breaker, &totals);
  g_assert_cmpuint (totals.neutral, ==, 1000);
  g_assert_cmpuint (totals.requests, ==, 1000);
  g_assert_cmpuint (derate_breaker_get_in_flight (breaker), ==, 0);
  g_assert_cmpint (totals.state, ==,
                   half_open ? DERATE_BREAKER_STATE_HALF_OPEN : DERATE_BREAKER_STATE_CLOSED);
  g_assert_true (isnan (totals.slow_call_rate) && isnan (totals.failure_rate));
}

/* The function that judges an error may do anything to the breaker; the outcome is not lost. */
static gboolean
judge_and_meddle (const GError *error, gpointer user_data)
{
  DerateBreaker *breaker = *(DerateBreaker **)user_data;
  g_autoptr (DerateBreakerStats) stats = derate_breaker_dup_stats (breaker);
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
  derate_permit_fail (&permit, NULL);
  return TRUE;
}

static void
test_judge_meddles (void)
{
  DerateBreaker *breaker = NULL;
  g_autoptr (DerateBreakerConfig) config = breaker_config_from_words ("failure-threshold=4");
  g_autoptr (GError) error = g_error_new (G_IO_ERROR, G_IO_ERROR_FAILED, "failed");
  g_autoptr (DerateBreakerStats) stats = NULL;

  derate_breaker_config_set_error_func (config, judge_and_meddle, &breaker, NULL);
  breaker = derate_breaker_new ("b", config);
  for (guint i = 0; i < 2; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
      derate_permit_fail (&permit, error);
    }
  stats = derate_breaker_dup_stats (breaker);
  g_assert_cmpuint (stats->failed_requests, ==, 4);
  g_assert_cmpint (stats->state, ==, DERATE_BREAKER_STATE_OPEN);
  g_assert_cmpuint (derate_breaker_get_in_flight (breaker), ==, 0);
  g_object_unref (breaker);
}

/* A call that ends by an early return leaves its permit behind as good as new. */
static gboolean
return_early (DerateBreaker *breaker)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  if (!derate_breaker_acquire (breaker, &permit, NULL))
    return FALSE;
  if (derate_breaker_get_state (breaker) != DERATE_BREAKER_STATE_UNKNOWN)
    return TRUE;
  derate_permit_succeed (&permit);
  return FALSE;
}

static void
test_early_return (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = new_breaker ("open-duration=1s", clock);

  derate_breaker_trip (breaker, NULL);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), G_TIME_SPAN_SECOND);
  for (guint i = 0; i < 100; i++)
    g_assert_true (return_early (breaker));
  g_assert_cmpuint (derate_breaker_get_in_flight (breaker), ==, 0);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_HALF_OPEN);
}

static guint
count_threads (void)
{
  DIR *tasks = opendir ("/proc/self/task");
  guint n = 0;

  g_assert_nonnull (tasks);
  while (readdir (tasks) != NULL)
    n++;
  closedir (tasks);
  return n;
}

/* Nothing waits in the context: no source is ready, and none will be by the passing of time. */
static void
assert_no_timer (void)
{
  GMainContext *context = g_main_context_default ();
  int timeout = 0;
  int priority;

  g_assert_true (g_main_context_acquire (context));
  g_assert_false (g_main_context_prepare (context, &priority));
  g_main_context_query (context, G_MAXINT, &timeout, NULL, 0);
  g_main_context_release (context);
  g_assert_cmpint (timeout, ==, -1);
}

static void
test_ten_thousand (void)
{
  g_autoptr (GPtrArray) breakers = g_ptr_array_new_with_free_func (g_object_unref);
  guint threads = count_threads ();

  for (guint i = 0; i < 10000; i++)
    {
      g_autofree char *name = g_strdup_printf ("b%u", i);
      DerateBreaker *breaker = derate_breaker_new (name, NULL);

      g_ptr_array_add (breakers, breaker);
      g_assert_true (return_early (breaker));
      if (i % 2 == 0)
        derate_breaker_trip (breaker, NULL);
    }
  g_assert_cmpuint (count_threads (), ==, threads);
  assert_no_timer ();
}

static void
test_snapshots (void)
{
  g_autoptr (DerateBreaker) breaker = derate_breaker_new ("b", NULL);
  g_autoptr (DerateBreakerStats) stats = derate_breaker_dup_stats (breaker);
  g_autoptr (GVariant) saved = g_variant_ref_sink (derate_breaker_save (breaker));
  g_autofree char *before = g_variant_print (saved, FALSE);
  g_autofree char *after = NULL;

  derate_breaker_trip (breaker, NULL);
  after = g_variant_print (saved, FALSE);
  g_assert_cmpstr (before, ==, after);
  g_assert_cmpint (stats->state, ==, DERATE_BREAKER_STATE_CLOSED);
  g_assert_cmpuint (stats->circuit_open_count, ==, 0);
}

/* All of them are inside at once, or none gets out: the lock is not held while a call runs. */
#define N_INSIDE 16

typedef struct
{
  DerateBreaker *breaker;
  GMutex mutex;
  GCond cond;
  guint inside;
} Crowd;

static GVariant *
wait_for_crowd (GCancellable *cancellable, gpointer user_data, GError **error)
{
  Crowd *crowd = user_data;

  g_mutex_lock (&crowd->mutex);
  crowd->inside++;
  g_cond_broadcast (&crowd->cond);
  while (crowd->inside < N_INSIDE)
    g_cond_wait (&crowd->cond, &crowd->mutex);
  g_mutex_unlock (&crowd->mutex);
  return g_variant_new_boolean (TRUE);
}

static gpointer
join_crowd (gpointer data)
{
  Crowd *crowd = data;

  return derate_breaker_call (crowd->breaker, wait_for_crowd, crowd, NULL, NULL);
}

static void
test_crowd (gconstpointer data)
{
  gboolean half_open = GPOINTER_TO_INT (data);
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker =
      new_breaker ("open-duration=1s half-open-max-calls=16 success-threshold=16", clock);
  Crowd crowd = { .breaker = breaker };
  GThread *threads[N_INSIDE];

  g_mutex_init (&crowd.mutex);
  g_cond_init (&crowd.cond);
  if (half_open)
    derate_breaker_trip (breaker, NULL);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), G_TIME_SPAN_SECOND);
  for (guint i = 0; i < N_INSIDE; i++)
    threads[i] = g_thread_new ("crowd", join_crowd, &crowd);
  for (guint i = 0; i < N_INSIDE; i++)
    {
      g_autoptr (GVariant) answered = g_thread_join (threads[i]);

      g_assert_nonnull (answered);
    }
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_CLOSED);
  g_mutex_clear (&crowd.mutex);
  g_cond_clear (&crowd.cond);
}

int
main (int argc, char **argv)
{
#define PATH "/breaker/trap"

  breaker_test_init (&argc, &argv);

  breaker_stories_add (PATH, stories, G_N_ELEMENTS (stories));
  g_test_add_func (PATH "/08-listener-does-all", test_listener_does_all);
  g_test_add_func (PATH "/09-system-clock", test_system_clock);
  g_test_add_data_func (PATH "/10-cancelled/closed", GINT_TO_POINTER (FALSE), test_cancelled);
  g_test_add_data_func (PATH "/10-cancelled/half-open", GINT_TO_POINTER (TRUE), test_cancelled);
  g_test_add_func (PATH "/12-judge-meddles", test_judge_meddles);
  g_test_add_func (PATH "/12-early-return", test_early_return);
  g_test_add_func (PATH "/14-ten-thousand", test_ten_thousand);
  g_test_add_func (PATH "/14-snapshots", test_snapshots);
  g_test_add_data_func (PATH "/15-calls-overlap/closed", GINT_TO_POINTER (FALSE), test_crowd);
  g_test_add_data_func (PATH "/15-calls-overlap/half-open", GINT_TO_POINTER (TRUE), test_crowd);
  return g_test_run ();
}
