/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-script.h"

#include "derate-breaker-private.h"

typedef struct
{
  DerateClock *clock;
  DerateBreaker *breaker;
  guint calls;
  DerateCall *pending;
  GVariant *answer;
  GError *error;
  gboolean done;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer words)
{
  g_autoptr (DerateBreakerConfig) config =
      breaker_config_from_words ("failure-threshold=2 success-threshold=1 open-duration=1s");

  fixture->clock = derate_manual_clock_new ();
  fixture->breaker = derate_breaker_new_with_clock ("b", config, fixture->clock);
}

static void
tear_down (Fixture *fixture, gconstpointer words)
{
  g_clear_pointer (&fixture->pending, derate_call_unref);
  g_clear_pointer (&fixture->answer, g_variant_unref);
  g_clear_error (&fixture->error);
  g_clear_object (&fixture->breaker);
  g_clear_object (&fixture->clock);
}

static GVariant *
answer (GCancellable *cancellable, gpointer user_data, GError **error)
{
  ((Fixture *)user_data)->calls++;
  return g_variant_new_uint32 (42);
}

static GVariant *
refuse (GCancellable *cancellable, gpointer user_data, GError **error)
{
  ((Fixture *)user_data)->calls++;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, "refused");
  return NULL;
}

static GVariant *
say_nothing (GCancellable *cancellable, gpointer user_data, GError **error)
{
  return NULL;
}

static GVariant *
give_up (GCancellable *cancellable, gpointer user_data, GError **error)
{
  g_cancellable_cancel (cancellable);
  g_cancellable_set_error_if_cancelled (cancellable, error);
  return NULL;
}

static void
test_sync (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GVariant) found = NULL;
  g_autoptr (GError) error = NULL;

  found = derate_breaker_call (fixture->breaker, answer, fixture, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_get_uint32 (found), ==, 42);
  g_assert_false (g_variant_is_floating (found));

  g_assert_null (derate_breaker_call (fixture->breaker, refuse, fixture, NULL, NULL));
  g_assert_null (derate_breaker_call (fixture->breaker, refuse, fixture, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
  g_clear_error (&error);
  g_assert_null (derate_breaker_call (fixture->breaker, answer, fixture, NULL, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_OPEN);
  g_assert_cmpuint (fixture->calls, ==, 3);
}

static void
test_nothing (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DerateBreakerStats) stats = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_null (derate_breaker_call (fixture->breaker, say_nothing, fixture, NULL, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_FAILED);
  stats = derate_breaker_dup_stats (fixture->breaker);
  g_assert_cmpuint (stats->failed_requests, ==, 1);
}

/* Cancelled a thousand times, before and during: nothing is counted, no permit is lost. */
static void
test_cancelled (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GCancellable) before = g_cancellable_new ();
  g_autoptr (DerateBreakerStats) stats = NULL;

  derate_breaker_trip (fixture->breaker, NULL);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (fixture->clock), G_TIME_SPAN_SECOND);
  g_cancellable_cancel (before);
  for (guint i = 0; i < 1000; i++)
    {
      g_autoptr (GCancellable) during = g_cancellable_new ();
      g_autoptr (GError) error = NULL;

      g_assert_null (derate_breaker_call (fixture->breaker, answer, fixture, before, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_error (&error);
      g_assert_null (derate_breaker_call (fixture->breaker, give_up, fixture, during, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    }
  stats = derate_breaker_dup_stats (fixture->breaker);
  g_assert_cmpint (stats->state, ==, DERATE_BREAKER_STATE_HALF_OPEN);
  g_assert_cmpuint (stats->failed_requests + stats->successful_requests, ==, 0);
  g_assert_cmpuint (stats->calls, ==, 1000);
  g_assert_cmpuint (fixture->calls, ==, 0);
  g_assert_cmpuint (derate_breaker_get_in_flight (fixture->breaker), ==, 0);
}

static void
start (DerateCall *call, GCancellable *cancellable, gpointer user_data)
{
  Fixture *fixture = user_data;

  fixture->calls++;
  fixture->pending = call;
}

static void
on_done (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Fixture *fixture = user_data;

  fixture->answer = derate_breaker_call_finish (DERATE_BREAKER (source), result, &fixture->error);
  fixture->done = TRUE;
}

static void
run_until_done (Fixture *fixture)
{
  while (!fixture->done)
    g_main_context_iteration (NULL, TRUE);
  fixture->done = FALSE;
}

static void
call_async (Fixture *fixture, GCancellable *cancellable)
{
  g_clear_error (&fixture->error);
  g_clear_pointer (&fixture->answer, g_variant_unref);
  derate_breaker_call_async (fixture->breaker, start, fixture, NULL, cancellable, on_done, fixture);
}

static void
test_async (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) failure = g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "late");
  g_autoptr (DerateBreakerStats) stats = NULL;

  call_async (fixture, NULL);
  derate_call_succeed (fixture->pending, g_variant_new_uint32 (42));
  derate_call_fail (fixture->pending, failure); /* too late */
  run_until_done (fixture);
  g_assert_no_error (fixture->error);
  g_assert_cmpuint (g_variant_get_uint32 (fixture->answer), ==, 42);

  for (guint i = 0; i < 2; i++)
    {
      g_clear_pointer (&fixture->pending, derate_call_unref);
      call_async (fixture, NULL);
      derate_call_fail (fixture->pending, failure);
      run_until_done (fixture);
      g_assert_error (fixture->error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
    }
  g_assert_cmpint (derate_breaker_get_state (fixture->breaker), ==, DERATE_BREAKER_STATE_OPEN);
  call_async (fixture, NULL);
  run_until_done (fixture);
  g_assert_error (fixture->error, DERATE_ERROR, DERATE_ERROR_OPEN);
  g_assert_cmpuint (fixture->calls, ==, 3);
  stats = derate_breaker_dup_stats (fixture->breaker);
  g_assert_cmpuint (stats->successful_requests, ==, 1);
  g_assert_cmpuint (stats->failed_requests, ==, 2);
}

/* A call that nobody will answer ends, and frees its permit. */
static void
test_async_dropped (Fixture *fixture, gconstpointer data)
{
  derate_breaker_trip (fixture->breaker, NULL);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (fixture->clock), G_TIME_SPAN_SECOND);
  call_async (fixture, NULL);
  g_assert_cmpuint (derate_breaker_get_in_flight (fixture->breaker), ==, 1);
  g_clear_pointer (&fixture->pending, derate_call_unref);
  run_until_done (fixture);
  g_assert_error (fixture->error, DERATE_ERROR, DERATE_ERROR_ABANDONED);
  g_assert_cmpuint (derate_breaker_get_in_flight (fixture->breaker), ==, 0);
  g_assert_cmpint (derate_breaker_get_state (fixture->breaker), ==, DERATE_BREAKER_STATE_HALF_OPEN);
}

static void
test_async_cancelled (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (DerateBreakerStats) stats = NULL;

  g_cancellable_cancel (cancellable);
  call_async (fixture, cancellable);
  run_until_done (fixture);
  g_assert_error (fixture->error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  stats = derate_breaker_dup_stats (fixture->breaker);
  g_assert_cmpuint (stats->total_requests, ==, 0);
}

static DerateBreaker *
restart (Fixture *fixture, GTimeSpan away)
{
  g_autoptr (GVariant) saved = g_variant_ref_sink (derate_breaker_save (fixture->breaker));
  g_autoptr (DerateBreakerConfig) config = derate_breaker_dup_config (fixture->breaker);
  DerateBreaker *next = derate_breaker_new_with_clock ("b", config, fixture->clock);
  g_autoptr (GError) error = NULL;

  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (fixture->clock), away);
  g_assert_true (derate_breaker_restore (next, saved, &error));
  g_assert_no_error (error);
  return next;
}

/* What was open stays so for the rest of its time. */
static void
test_saved_open (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DerateBreaker) soon = NULL;
  g_autoptr (DerateBreaker) late = NULL;

  derate_breaker_trip (fixture->breaker, NULL);
  soon = restart (fixture, 400 * G_TIME_SPAN_MILLISECOND);
  g_assert_cmpint (derate_breaker_get_state (soon), ==, DERATE_BREAKER_STATE_OPEN);
  g_assert_cmpint (derate_breaker_get_retry_after (soon), ==, 600 * G_TIME_SPAN_MILLISECOND);
  late = restart (fixture, G_TIME_SPAN_MINUTE);
  g_assert_cmpint (derate_breaker_get_state (late), ==, DERATE_BREAKER_STATE_HALF_OPEN);
}

static void
test_saved_mode (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DerateBreaker) next = NULL;
  g_autoptr (GVariant) nonsense = g_variant_ref_sink (g_variant_new_parsed ("{'state': <'ajar'>}"));
  g_autoptr (GError) error = NULL;

  derate_breaker_set_mode (fixture->breaker, DERATE_BREAKER_MODE_FORCED_OPEN);
  next = restart (fixture, G_TIME_SPAN_DAY);
  g_assert_cmpint (derate_breaker_get_mode (next), ==, DERATE_BREAKER_MODE_FORCED_OPEN);
  g_assert_false (derate_breaker_restore (next, nonsense, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT);
}

/* What was not closed when it was forced open has to prove itself, also after a restart. */
static void
test_saved_forced (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DerateBreaker) closed = NULL;
  g_autoptr (DerateBreaker) open = NULL;

  derate_breaker_set_mode (fixture->breaker, DERATE_BREAKER_MODE_FORCED_OPEN);
  closed = restart (fixture, G_TIME_SPAN_DAY);
  derate_breaker_set_mode (closed, DERATE_BREAKER_MODE_NORMAL);
  g_assert_cmpint (derate_breaker_get_state (closed), ==, DERATE_BREAKER_STATE_CLOSED);

  derate_breaker_set_mode (fixture->breaker, DERATE_BREAKER_MODE_NORMAL);
  derate_breaker_trip (fixture->breaker, NULL);
  derate_breaker_set_mode (fixture->breaker, DERATE_BREAKER_MODE_FORCED_OPEN);
  open = restart (fixture, G_TIME_SPAN_DAY);
  g_assert_cmpint (derate_breaker_get_mode (open), ==, DERATE_BREAKER_MODE_FORCED_OPEN);
  g_assert_cmpint (derate_breaker_get_state (open), ==, DERATE_BREAKER_STATE_OPEN);
  derate_breaker_set_mode (open, DERATE_BREAKER_MODE_NORMAL);
  g_assert_cmpint (derate_breaker_get_state (open), ==, DERATE_BREAKER_STATE_HALF_OPEN);
}

/* Times that no clock shows neither keep it open for longer than it would be nor overflow. */
static void
test_saved_nonsense_times (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    const char *saved;
    DerateBreakerState state;
  } cases[] = {
    { "{'state': <'open'>, 'open-until': <int64 -9223372036854775808>}",
      DERATE_BREAKER_STATE_HALF_OPEN },
    { "{'state': <'open'>, 'open-until': <int64 9223372036854775807>}", DERATE_BREAKER_STATE_OPEN },
    { "{'state': <'closed'>, 'ramp-until': <int64 -9223372036854775808>}",
      DERATE_BREAKER_STATE_CLOSED },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GVariant) saved = g_variant_ref_sink (g_variant_new_parsed (cases[i].saved));
      g_autoptr (DerateBreaker) next = derate_breaker_new_with_clock ("b", NULL, fixture->clock);

      g_assert_true (derate_breaker_restore (next, saved, NULL));
      g_assert_cmpint (derate_breaker_get_state (next), ==, cases[i].state);
      g_assert_cmpint (derate_breaker_get_retry_after (next), <=, 11 * G_TIME_SPAN_MINUTE);
    }
}

/* A wall clock that jumped back does not keep it open for ever. */
static void
test_saved_jump (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GVariant) saved = NULL;
  g_autoptr (DerateBreaker) next = NULL;

  derate_breaker_trip (fixture->breaker, NULL);
  derate_manual_clock_step_real_time (DERATE_MANUAL_CLOCK (fixture->clock), -365 * G_TIME_SPAN_DAY);
  saved = g_variant_ref_sink (derate_breaker_save (fixture->breaker));
  derate_manual_clock_step_real_time (DERATE_MANUAL_CLOCK (fixture->clock), -365 * G_TIME_SPAN_DAY);
  next = derate_breaker_new_with_clock ("b", NULL, fixture->clock);
  g_assert_true (derate_breaker_restore (next, saved, NULL));
  g_assert_cmpint (derate_breaker_get_retry_after (next), <=, 11 * G_TIME_SPAN_MINUTE);
}

static void
fail (DerateBreaker *breaker, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
      derate_permit_fail (&permit, NULL);
    }
}

static void
reconfigure (DerateBreaker *breaker, const char *words)
{
  g_autoptr (DerateBreakerConfig) config = breaker_config_from_words (words);
  g_autoptr (GError) error = NULL;

  g_assert_true (derate_breaker_reconfigure (breaker, config, &error));
  g_assert_no_error (error);
}

static double
rate_of (DerateBreaker *breaker)
{
  double rate;

  derate_breaker_get_window (breaker, 0, &rate, NULL);
  return rate;
}

/* In place: the newest samples, the statistics, the state and the permits stay. */
static void
test_reconfigure (Fixture *fixture, gconstpointer data)
{
  DerateBreaker *breaker = fixture->breaker;
  g_autoptr (DerateBreakerStats) stats = NULL;
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  reconfigure (breaker, "failure-threshold=0 failure-rate-threshold=1 window-size=8");
  g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
  for (guint i = 0; i < 4; i++)
    g_variant_unref (derate_breaker_call (breaker, answer, fixture, NULL, NULL));
  fail (breaker, 4);
  g_assert_cmpfloat (rate_of (breaker), ==, 0.5);
  reconfigure (breaker, "failure-threshold=0 failure-rate-threshold=1 window-size=5");
  g_assert_cmpfloat (rate_of (breaker), ==, 0.8);
  reconfigure (breaker,
               "failure-threshold=0 failure-rate-threshold=1 window-size=50 minimum-calls=5");
  g_assert_cmpfloat (rate_of (breaker), ==, 0.8);
  derate_permit_fail (&permit, NULL);
  g_assert_cmpfloat_with_epsilon (rate_of (breaker), 5.0 / 6, 1e-9);
  stats = derate_breaker_dup_stats (breaker);
  g_assert_cmpuint (stats->failed_requests, ==, 5);
  g_assert_cmpuint (stats->successful_requests, ==, 4);

  derate_breaker_trip (breaker, NULL);
  g_assert_cmpint (derate_breaker_get_retry_after (breaker), ==, G_TIME_SPAN_MINUTE);
  reconfigure (breaker, "open-duration=1s half-open-max-calls=3");
  g_assert_cmpint (derate_breaker_get_retry_after (breaker), ==, G_TIME_SPAN_MINUTE);
}

/* More probes while half-open: those that are out keep their places. */
static void
test_reconfigure_half_open (Fixture *fixture, gconstpointer data)
{
  DeratePermit permits[3] = { DERATE_PERMIT_INIT, DERATE_PERMIT_INIT, DERATE_PERMIT_INIT };
  DerateBreaker *breaker = fixture->breaker;

  derate_breaker_trip (breaker, NULL);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (fixture->clock), G_TIME_SPAN_SECOND);
  g_assert_true (derate_breaker_acquire (breaker, &permits[0], NULL));
  g_assert_false (derate_breaker_acquire (breaker, &permits[1], NULL));
  reconfigure (breaker, "half-open-max-calls=2 success-threshold=3");
  g_assert_true (derate_breaker_acquire (breaker, &permits[1], NULL));
  g_assert_false (derate_breaker_acquire (breaker, &permits[2], NULL));
  derate_permit_succeed (&permits[0]);
  derate_permit_succeed (&permits[1]);
  g_assert_cmpuint (derate_breaker_get_in_flight (breaker), ==, 0);
}

static void
test_reconfigure_refused (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DerateBreakerConfig) config = breaker_config_from_words ("minimum-calls=50");
  g_autoptr (DerateBreakerConfig) before = derate_breaker_dup_config (fixture->breaker);
  g_autoptr (DerateBreakerConfig) after = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_false (derate_breaker_reconfigure (fixture->breaker, config, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  after = derate_breaker_dup_config (fixture->breaker);
  g_assert_true (derate_breaker_config_equal (before, after));
}

int
main (int argc, char **argv)
{
#define ADD(path, func) g_test_add ("/breaker/" path, Fixture, NULL, set_up, func, tear_down)

  breaker_test_init (&argc, &argv);

  ADD ("call/sync", test_sync);
  ADD ("call/nothing", test_nothing);
  ADD ("call/cancelled", test_cancelled);
  ADD ("call/async", test_async);
  ADD ("call/async-dropped", test_async_dropped);
  ADD ("call/async-cancelled", test_async_cancelled);
  ADD ("saved/open", test_saved_open);
  ADD ("saved/mode", test_saved_mode);
  ADD ("saved/forced", test_saved_forced);
  ADD ("saved/nonsense-times", test_saved_nonsense_times);
  ADD ("saved/jump", test_saved_jump);
  ADD ("reconfigure/window", test_reconfigure);
  ADD ("reconfigure/half-open", test_reconfigure_half_open);
  ADD ("reconfigure/refused", test_reconfigure_refused);
  return g_test_run ();
}
