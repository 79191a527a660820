/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>

#define SECOND G_TIME_SPAN_SECOND

/* Waits between attempts, on a clock that another thread moves. */

typedef struct
{
  DerateClock *clock;
  DerateRetry *retry;
  DerateRequest *request;
  GCancellable *cancellable;
  gint64 start;
  gint made; /* atomic */
  guint failures;
  gint64 last;
  gint ended; /* atomic */
  GVariant *answer;
  GError *error;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->clock = derate_manual_clock_new ();
  fixture->start = derate_clock_get_time (fixture->clock);
  fixture->retry = derate_retry_new (fixture->clock);
  fixture->request = derate_request_new (DERATE_REQUEST_READ, NULL);
  fixture->cancellable = g_cancellable_new ();
  fixture->failures = 2;
  g_assert_true (derate_retry_set_backoff (fixture->retry, SECOND, 2, 30 * SECOND, 0, NULL));
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_clear_pointer (&fixture->answer, g_variant_unref);
  g_clear_error (&fixture->error);
  g_assert_finalize_object (fixture->cancellable);
  derate_request_unref (fixture->request);
  g_assert_finalize_object (fixture->retry);
  g_assert_finalize_object (fixture->clock);
}

static GVariant *
operate (GCancellable *cancellable, gpointer data, GError **error)
{
  Fixture *fixture = data;

  fixture->last = derate_clock_get_time (fixture->clock) - fixture->start;
  if ((guint)g_atomic_int_add (&fixture->made, 1) >= fixture->failures)
    return g_variant_new_boolean (TRUE);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "no");
  return NULL;
}

static gpointer
call_in_thread (gpointer data)
{
  Fixture *fixture = data;

  fixture->answer = derate_policy_call (DERATE_POLICY (fixture->retry), fixture->request, operate,
                                        fixture, fixture->cancellable, NULL, &fixture->error);
  g_atomic_int_set (&fixture->ended, TRUE);
  return NULL;
}

static void
advance (Fixture *fixture, GTimeSpan span)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (fixture->clock), span);
}

/* Waits until the operation was made so often; the thread is about to wait then, or does. */
static void
until_made (Fixture *fixture, gint made)
{
  while (g_atomic_int_get (&fixture->made) < made)
    g_thread_yield ();
}

static void
test_sync (Fixture *fixture, gconstpointer data)
{
  GThread *thread = g_thread_new ("retry", call_in_thread, fixture);

  until_made (fixture, 1);
  while (!g_atomic_int_get (&fixture->ended))
    advance (fixture, SECOND / 100);
  g_thread_join (thread);
  g_assert_no_error (fixture->error);
  g_assert_cmpint (fixture->made, ==, 3);
  g_assert_cmpint (fixture->last, >=, 3 * SECOND);
}

/* Cancelled from another thread while it waits, with the clock standing still or moving. */
static void
test_sync_cancelled (Fixture *fixture, gconstpointer moving)
{
  GThread *thread = g_thread_new ("retry", call_in_thread, fixture);

  until_made (fixture, 1);
  if (moving != NULL)
    advance (fixture, SECOND / 2);
  g_cancellable_cancel (fixture->cancellable);
  while (moving != NULL && !g_atomic_int_get (&fixture->ended))
    advance (fixture, SECOND);
  g_thread_join (thread);
  /* Perhaps it was about to wait only: then the attempt's own error stands. */
  if (!g_error_matches (fixture->error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    g_assert_error (fixture->error, G_IO_ERROR, G_IO_ERROR_FAILED);
  g_assert_cmpint (fixture->made, ==, 1);
}

static void
start (DerateCall *call, GCancellable *cancellable, gpointer data)
{
  g_autoptr (GError) error = NULL;
  GVariant *answer = operate (cancellable, data, &error);

  if (answer != NULL)
    derate_call_succeed (call, answer);
  else
    derate_call_fail (call, error);
  derate_call_unref (call);
}

static void
on_done (GObject *source, GAsyncResult *result, gpointer data)
{
  Fixture *fixture = data;

  fixture->answer =
      derate_policy_call_finish (DERATE_POLICY (source), result, NULL, &fixture->error);
  fixture->ended++;
}

static void
start_async (Fixture *fixture)
{
  derate_policy_call_async (DERATE_POLICY (fixture->retry), fixture->request, start, fixture, NULL,
                            fixture->cancellable, on_done, fixture);
}

static void
test_async (Fixture *fixture, gconstpointer data)
{
  start_async (fixture);
  g_assert_cmpint (fixture->made, ==, 1);
  advance (fixture, SECOND - 1);
  g_assert_cmpint (fixture->made, ==, 1);
  advance (fixture, 1);
  g_assert_cmpint (fixture->made, ==, 2);
  advance (fixture, 2 * SECOND - 1);
  g_assert_cmpint (fixture->made, ==, 2);
  g_assert_false (fixture->ended);
  advance (fixture, 1);
  g_assert_cmpint (fixture->made, ==, 3);
  g_assert_cmpint (fixture->ended, ==, 1);
  g_assert_no_error (fixture->error);
}

static void
test_async_cancelled (Fixture *fixture, gconstpointer data)
{
  start_async (fixture);
  advance (fixture, SECOND / 2);
  g_cancellable_cancel (fixture->cancellable);
  g_assert_false (fixture->ended);
  advance (fixture, 0);
  g_assert_cmpint (fixture->ended, ==, 1);
  g_assert_error (fixture->error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  advance (fixture, 100 * SECOND);
  g_assert_cmpint (fixture->made, ==, 1);
  g_assert_cmpint (fixture->ended, ==, 1);
}

#define N_THREADS 8
#define N_CALLS 2000

typedef struct
{
  DerateRetry *retry;
  DerateRequest *request;
  gint made; /* atomic */
  gint answered; /* atomic */
} Crowd;

static GVariant *
fail_sometimes (GCancellable *cancellable, gpointer data, GError **error)
{
  Crowd *crowd = data;

  if (g_atomic_int_add (&crowd->made, 1) % 3 != 0)
    return g_variant_new_boolean (TRUE);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "no");
  return NULL;
}

static gpointer
call_often (gpointer data)
{
  Crowd *crowd = data;

  for (guint i = 0; i < N_CALLS; i++)
    {
      g_autoptr (GVariant) answer =
          derate_policy_call (DERATE_POLICY (crowd->retry), crowd->request, fail_sometimes, crowd,
                              NULL, NULL, NULL);

      if (answer != NULL)
        g_atomic_int_inc (&crowd->answered);
    }
  return NULL;
}

/* Every call and every retry is counted, whatever the threads do. */
static void
test_threads (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateRetry) retry = derate_retry_new (clock);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);
  Crowd crowd = { retry, request, 0, 0 };
  GThread *threads[N_THREADS];
  DerateRetryStats stats;

  g_assert_true (derate_retry_set_backoff (retry, 0, 1, 0, 0, NULL));
  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("call", call_often, &crowd);
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  derate_retry_get_stats (retry, &stats);
  g_assert_cmpuint (stats.calls, ==, N_THREADS * N_CALLS);
  g_assert_cmpuint (stats.retries, ==, crowd.made - N_THREADS * N_CALLS);
  g_assert_cmpuint (stats.retries, <=, N_THREADS * N_CALLS / 5);
  g_assert_cmpuint (stats.calls - crowd.answered, ==, stats.exhausted + stats.over_budget);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/retry-wait/sync", Fixture, NULL, set_up, test_sync, tear_down);
  g_test_add ("/retry-wait/sync/cancelled", Fixture, NULL, set_up, test_sync_cancelled, tear_down);
  g_test_add ("/retry-wait/sync/cancelled-while-the-clock-moves", Fixture, "", set_up,
              test_sync_cancelled, tear_down);
  g_test_add ("/retry-wait/async", Fixture, NULL, set_up, test_async, tear_down);
  g_test_add ("/retry-wait/async/cancelled", Fixture, NULL, set_up, test_async_cancelled,
              tear_down);
  g_test_add_func ("/retry-wait/64-threads", test_threads);
  return g_test_run ();
}
