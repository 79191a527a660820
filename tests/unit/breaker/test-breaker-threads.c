/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-script.h"

#include "derate-breaker-private.h"

#define N_THREADS 8

/* Threads that start each round at the same instant. */
typedef struct
{
  GMutex mutex;
  GCond cond;
  guint waiting;
  guint round;
} Barrier;

static void
barrier_wait (Barrier *barrier)
{
  guint round;

  g_mutex_lock (&barrier->mutex);
  round = barrier->round;
  if (++barrier->waiting == N_THREADS)
    {
      barrier->waiting = 0;
      barrier->round++;
      g_cond_broadcast (&barrier->cond);
    }
  while (barrier->round == round)
    g_cond_wait (&barrier->cond, &barrier->mutex);
  g_mutex_unlock (&barrier->mutex);
}

typedef struct
{
  DerateClock *clock;
  DerateBreaker *breaker;
  Barrier barrier;
  guint rounds;
  gint admitted; /* atomic: in this round */
  gint wrong; /* atomic: rounds with another number than allowed */
  gint next; /* atomic: numbers the threads */
  guint allowed;
} Race;

static void
race_init (Race *race, const char *words)
{
  g_autoptr (DerateBreakerConfig) config = breaker_config_from_words (words);

  *race = (Race){ .clock = derate_manual_clock_new () };
  race->breaker = derate_breaker_new_with_clock ("race", config, race->clock);
  g_mutex_init (&race->barrier.mutex);
  g_cond_init (&race->barrier.cond);
}

static void
race_clear (Race *race)
{
  g_clear_object (&race->breaker);
  g_clear_object (&race->clock);
  g_mutex_clear (&race->barrier.mutex);
  g_cond_clear (&race->barrier.cond);
}

static void
race_run (Race *race, GThreadFunc func)
{
  GThread *threads[N_THREADS];

  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("race", func, race);
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
}

/* One thread opens the breaker and lets its time pass; then all ask at once. */
static gpointer
race_to_probe (gpointer data)
{
  Race *race = data;
  gboolean leads = g_atomic_int_add (&race->next, 1) == 0;

  for (guint i = 0; i < race->rounds; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      if (leads)
        {
          derate_breaker_trip (race->breaker, NULL);
          derate_manual_clock_advance (DERATE_MANUAL_CLOCK (race->clock), G_TIME_SPAN_SECOND);
          g_atomic_int_set (&race->admitted, 0);
        }
      barrier_wait (&race->barrier);
      if (derate_breaker_acquire (race->breaker, &permit, NULL))
        g_atomic_int_inc (&race->admitted);
      barrier_wait (&race->barrier);
      if (leads && (guint)g_atomic_int_get (&race->admitted) != race->allowed)
        g_atomic_int_inc (&race->wrong);
      derate_permit_cancel (&permit);
      barrier_wait (&race->barrier);
    }
  return NULL;
}

typedef struct
{
  const char *name;
  const char *config;
  guint allowed;
} Probes;

static const Probes probes[] = {
  { "strict-one", "half-open-max-calls=1", 1 },
  { "strict-three", "half-open-max-calls=3", 3 },
  { "rate-one", "half-open-max-calls=1 half-open-decision=rate", 1 },
  { "rate-three", "half-open-max-calls=3 half-open-decision=rate", 3 },
};

static void
test_exact_probes (gconstpointer data)
{
  const Probes *wanted = data;
  g_autofree char *words =
      g_strdup_printf ("open-duration=1s half-open-lease=1h %s", wanted->config);
  Race race;

  race_init (&race, words);
  race.rounds = breaker_test_is_slow () ? 5000 : 10000;
  race.allowed = wanted->allowed;
  race_run (&race, race_to_probe);
  g_assert_cmpint (g_atomic_int_get (&race.wrong), ==, 0);
  race_clear (&race);
}

/* Half of the calls fail; nothing opens, and nothing is lost in counting. */
static gpointer
count_calls (gpointer data)
{
  Race *race = data;

  barrier_wait (&race->barrier);
  for (guint i = 0; i < race->rounds; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      g_assert_true (derate_breaker_acquire (race->breaker, &permit, NULL));
      if (i % 4 == 1)
        derate_permit_fail (&permit, NULL);
      else if (i % 4 != 3)
        derate_permit_succeed (&permit);
    }
  return NULL;
}

static void
test_exact_counts (gconstpointer words)
{
  g_autoptr (DerateBreakerStats) stats = NULL;
  DerateBreakerTotals totals;
  Race race;

  race_init (&race, words);
  race.rounds = 10000;
  race_run (&race, count_calls);
  derate_breaker_get_totals (race.breaker, &totals);
  g_assert_cmpuint (totals.requests, ==, N_THREADS * 10000);
  g_assert_cmpuint (totals.success, ==, N_THREADS * 5000);
  g_assert_cmpuint (totals.failure, ==, N_THREADS * 2500);
  g_assert_cmpuint (totals.neutral, ==, N_THREADS * 2500);
  g_assert_cmpuint (derate_breaker_get_in_flight (race.breaker), ==, 0);
  stats = derate_breaker_dup_stats (race.breaker);
  g_assert_cmpuint (stats->calls, ==, N_THREADS * 10000);
  g_assert_cmpuint (stats->failed_requests, ==, N_THREADS * 2500);
  race_clear (&race);
}

/* The threshold is exact when all fail at once: one opening, whoever it was. */
static gpointer
fail_together (gpointer data)
{
  Race *race = data;
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  g_assert_true (derate_breaker_acquire (race->breaker, &permit, NULL));
  barrier_wait (&race->barrier);
  derate_permit_fail (&permit, NULL);
  g_assert_cmpint (derate_breaker_get_state (race->breaker), ==,
                   race->allowed == 1 ? DERATE_BREAKER_STATE_OPEN : DERATE_BREAKER_STATE_CLOSED);
  return NULL;
}

static void
test_exact_threshold (void)
{
  for (guint i = 0; i < 200; i++)
    {
      g_autoptr (DerateBreakerStats) stats = NULL;
      g_autofree char *words =
          g_strdup_printf ("window=none failure-threshold=%d", i % 2 == 0 ? 1 : N_THREADS + 1);
      Race race;

      race_init (&race, words);
      race.allowed = i % 2 == 0 ? 1 : 0;
      race_run (&race, fail_together);
      stats = derate_breaker_dup_stats (race.breaker);
      g_assert_cmpuint (stats->circuit_open_count, ==, race.allowed);
      g_assert_cmpuint (stats->failed_requests, ==, N_THREADS);
      race_clear (&race);
    }
}

/* Everybody does everything: whatever the order, listeners hear an unbroken chain of legal edges.
 */
typedef struct
{
  DerateBreakerState state;
  gint telling; /* atomic */
  gint wrong; /* atomic */
  guint heard;
} Chain;

static void
follow (DerateBreaker *breaker,
        DerateBreakerState old_state,
        DerateBreakerState new_state,
        const DerateBreakerCounters *counters,
        gpointer user_data)
{
  Chain *chain = user_data;

  if (!g_atomic_int_compare_and_exchange (&chain->telling, 0, 1))
    g_atomic_int_inc (&chain->wrong);
  if (old_state != chain->state || !derate_breaker_has_edge (old_state, new_state))
    g_atomic_int_inc (&chain->wrong);
  chain->state = new_state;
  chain->heard++;
  g_atomic_int_set (&chain->telling, 0);
}

static void
do_anything (Race *race, guint n)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  switch (n % 16)
    {
    case 0:
      derate_breaker_trip (race->breaker, NULL);
      break;
    case 1:
      derate_breaker_close (race->breaker);
      break;
    case 2:
      derate_breaker_poll (race->breaker);
      break;
    case 3:
      derate_breaker_reset (race->breaker);
      break;
    case 4:
      derate_breaker_set_mode (race->breaker, DERATE_BREAKER_MODE_NORMAL + (n / 16) % 4);
      break;
    case 5:
      derate_breaker_note_good_check (race->breaker, 3, 2);
      break;
    case 6:
      derate_breaker_get_window (race->breaker, G_TIME_SPAN_SECOND, NULL, NULL);
      break;
    default:
      if (!derate_breaker_acquire (race->breaker, &permit, NULL))
        break;
      if (n % 3 == 0)
        derate_permit_fail (&permit, NULL);
      else if (n % 3 == 1)
        derate_permit_succeed (&permit);
    }
}

static gpointer
do_everything (gpointer data)
{
  Race *race = data;
  guint32 seed = 1 + (guint32)g_atomic_int_add (&race->next, 1);

  barrier_wait (&race->barrier);
  for (guint i = 0; i < race->rounds; i++)
    {
      seed = seed * 1664525 + 1013904223;
      do_anything (race, seed >> 8);
    }
  return NULL;
}

static void
test_chain (gconstpointer words)
{
  Chain chain = { .state = DERATE_BREAKER_STATE_CLOSED };
  Race race;

  race_init (&race, words);
  race.rounds = 4000;
  derate_breaker_add_listener (race.breaker, follow, &chain, NULL);
  race_run (&race, do_everything);
  g_assert_cmpint (g_atomic_int_get (&chain.wrong), ==, 0);
  g_assert_cmpint (chain.state, ==, derate_breaker_get_state (race.breaker));
  g_assert_cmpuint (chain.heard, >, 100);
  g_assert_cmpuint (derate_breaker_get_in_flight (race.breaker), ==, 0);
  race_clear (&race);
}

/* A listener that takes its time keeps no other thread from its permit. */
typedef struct
{
  GMutex mutex;
  GCond cond;
  gboolean inside;
  gboolean released;
} Gate;

static void
wait_at_gate (DerateBreaker *breaker,
              DerateBreakerState old_state,
              DerateBreakerState new_state,
              const DerateBreakerCounters *counters,
              gpointer user_data)
{
  Gate *gate = user_data;

  g_mutex_lock (&gate->mutex);
  gate->inside = TRUE;
  g_cond_broadcast (&gate->cond);
  while (!gate->released)
    g_cond_wait (&gate->cond, &gate->mutex);
  g_mutex_unlock (&gate->mutex);
}

static gpointer
close_it (gpointer data)
{
  derate_breaker_close (data);
  return NULL;
}

static void
test_slow_listener (void)
{
  g_autoptr (DerateBreaker) breaker = derate_breaker_new ("slow", NULL);
  Gate gate = { .inside = FALSE };
  GThread *thread;

  g_mutex_init (&gate.mutex);
  g_cond_init (&gate.cond);
  derate_breaker_trip (breaker, NULL);
  derate_breaker_add_listener (breaker, wait_at_gate, &gate, NULL);
  thread = g_thread_new ("close", close_it, breaker);
  g_mutex_lock (&gate.mutex);
  while (!gate.inside)
    g_cond_wait (&gate.cond, &gate.mutex);
  g_mutex_unlock (&gate.mutex);

  /* The breaker is closed, and its listener still busy. */
  for (guint i = 0; i < 100; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
      if (i < 3)
        derate_permit_fail (&permit, NULL);
      else
        derate_permit_succeed (&permit);
    }
  derate_breaker_trip (breaker, NULL);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_OPEN);

  g_mutex_lock (&gate.mutex);
  gate.released = TRUE;
  g_cond_broadcast (&gate.cond);
  g_mutex_unlock (&gate.mutex);
  g_thread_join (thread);
  g_mutex_clear (&gate.mutex);
  g_cond_clear (&gate.cond);
}

/* A permit may end in another thread than it began in. */
static gpointer
succeed_elsewhere (gpointer data)
{
  derate_permit_succeed (data);
  return NULL;
}

static void
test_ends_elsewhere (void)
{
  g_autoptr (DerateBreaker) breaker = derate_breaker_new ("elsewhere", NULL);
  g_autoptr (DerateBreakerStats) stats = NULL;

  for (guint i = 0; i < 20; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
      g_thread_join (g_thread_new ("end", succeed_elsewhere, &permit));
    }
  stats = derate_breaker_dup_stats (breaker);
  g_assert_cmpuint (stats->successful_requests, ==, 20);
  g_assert_cmpuint (stats->consecutive_successes, ==, 20);
  g_assert_cmpuint (derate_breaker_get_in_flight (breaker), ==, 0);
}

/* Two threads end one shared permit: one of them is heard. */
static gpointer
end_shared (gpointer data)
{
  Race *race = data;

  for (guint i = 0; i < race->rounds; i++)
    {
      static DeratePermit *permit;

      barrier_wait (&race->barrier);
      if (g_atomic_int_compare_and_exchange (&race->admitted, (gint)i, (gint)i + 1))
        g_atomic_pointer_set (&permit, derate_breaker_begin (race->breaker, NULL));
      barrier_wait (&race->barrier);
      derate_permit_succeed (g_atomic_pointer_get (&permit));
      barrier_wait (&race->barrier);
      if (g_atomic_int_compare_and_exchange (&race->next, (gint)i, (gint)i + 1))
        derate_permit_unref (g_atomic_pointer_get (&permit));
    }
  return NULL;
}

static void
test_shared_permit (void)
{
  g_autoptr (DerateBreakerStats) stats = NULL;
  Race race;

  race_init (&race, "");
  race.rounds = 1000;
  race_run (&race, end_shared);
  stats = derate_breaker_dup_stats (race.breaker);
  g_assert_cmpuint (stats->successful_requests, ==, 1000);
  race_clear (&race);
}

int
main (int argc, char **argv)
{
  breaker_test_init (&argc, &argv);

  for (guint i = 0; i < G_N_ELEMENTS (probes); i++)
    {
      g_autofree char *path = g_strdup_printf ("/breaker/trap/05-at-expiry/%s", probes[i].name);

      g_test_add_data_func (path, &probes[i], test_exact_probes);
    }
  g_test_add_data_func ("/breaker/behaviour/64-counts", "failure-threshold=0 window=none",
                        test_exact_counts);
  g_test_add_data_func ("/breaker/behaviour/64-counts-in-window",
                        "failure-threshold=0 failure-rate-threshold=1 window-size=1000",
                        test_exact_counts);
  g_test_add_func ("/breaker/behaviour/63-threshold", test_exact_threshold);
  g_test_add_data_func ("/breaker/trap/06-chain",
                        "failure-threshold=2 open-duration=0 half-open-max-calls=2", test_chain);
  g_test_add_data_func ("/breaker/trap/06-chain-by-rate",
                        "failure-threshold=2 open-duration=0 half-open-max-calls=3 "
                        "half-open-decision=rate ramp-duration=1h window=time",
                        test_chain);
  g_test_add_func ("/breaker/trap/08-slow-listener", test_slow_listener);
  g_test_add_func ("/breaker/threads/ends-elsewhere", test_ends_elsewhere);
  g_test_add_func ("/breaker/threads/shared-permit", test_shared_permit);
  return g_test_run ();
}
