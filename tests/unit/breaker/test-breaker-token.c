/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-script.h"

#include <malloc.h>

#include "derate-breaker-private.h"

/* A program's one GCancellable lives as long as it does: after a million calls it has no handler
 * and no memory that it did not have before. And what comes for a call that has ended is dropped.
 */

#define N_CALLS (breaker_test_is_slow () ? 20000 : 1000000)
#define BYTES 65536 /* in all: less than one a call */

typedef struct
{
  DerateClock *clock;
  DerateBreaker *breaker;
  DeratePolicy *pipeline; /* (nullable) */
  GCancellable *token;
  GVariant *answer;
  DerateCall *call;
  GError *error;
  guint ended;
  gsize bytes;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DerateBreakerConfig) config =
      breaker_config_from_words ("open-duration=1s success-threshold=1");

  fixture->clock = derate_manual_clock_new ();
  fixture->breaker = derate_breaker_new_with_clock ("b", config, fixture->clock);
  fixture->token = g_cancellable_new ();
  fixture->answer = g_variant_ref_sink (g_variant_new_boolean (TRUE));
}

static void
set_up_pipeline (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DeratePipeline) pipeline = derate_pipeline_new ();
  g_autoptr (DerateBreakerPolicy) breaker = NULL;
  g_autoptr (DerateTimeout) timeout = NULL;

  set_up (fixture, data);
  breaker = derate_breaker_policy_new (fixture->breaker);
  timeout = derate_timeout_new (fixture->clock, G_TIME_SPAN_SECOND);
  derate_pipeline_append (pipeline, DERATE_POLICY (breaker));
  derate_pipeline_append (pipeline, DERATE_POLICY (timeout));
  fixture->pipeline = DERATE_POLICY (g_steal_pointer (&pipeline));
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_clear_error (&fixture->error);
  g_clear_object (&fixture->pipeline);
  g_assert_cmpuint (G_OBJECT (fixture->breaker)->ref_count, ==, 1);
  g_assert_cmpuint (G_OBJECT (fixture->token)->ref_count, ==, 1);
  g_clear_object (&fixture->breaker);
  g_clear_object (&fixture->token);
  g_clear_object (&fixture->clock);
  g_clear_pointer (&fixture->answer, g_variant_unref);
}

static void
expect_no_handler (Fixture *fixture)
{
  guint id = g_signal_lookup ("cancelled", G_TYPE_CANCELLABLE);

  g_assert_cmpuint (g_signal_handler_find (fixture->token, G_SIGNAL_MATCH_ID, id, 0, NULL, NULL,
                                           NULL),
                    ==, 0);
  g_assert_cmpuint (G_OBJECT (fixture->token)->ref_count, ==, 1);
}

/* The first calls may make what stays; the others must not. */
static void
begin_counting (Fixture *fixture)
{
  fixture->bytes = mallinfo2 ().uordblks;
}

static void
expect_no_growth (Fixture *fixture)
{
  gsize after = mallinfo2 ().uordblks;

  expect_no_handler (fixture);
  g_test_message ("%" G_GSSIZE_FORMAT " bytes more", (gssize)(after - fixture->bytes));
  if (!breaker_test_is_slow ())
    g_assert_cmpint ((gssize)(after - fixture->bytes), <, BYTES);
  g_assert_cmpuint (derate_breaker_get_in_flight (fixture->breaker), ==, 0);
}

static GVariant *
operate (GCancellable *cancellable, gpointer user_data, GError **error)
{
  Fixture *fixture = user_data;

  if (++fixture->ended % 8 != 0)
    return g_variant_ref (fixture->answer);
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, "refused");
  return NULL;
}

static void
call (Fixture *fixture)
{
  g_autoptr (GVariant) answer =
      fixture->pipeline == NULL
          ? derate_breaker_call (fixture->breaker, operate, fixture, fixture->token, NULL)
          : derate_policy_call (fixture->pipeline, NULL, operate, fixture, fixture->token, NULL,
                                NULL);

  derate_breaker_close (fixture->breaker);
}

static void
test_calls (Fixture *fixture, gconstpointer data)
{
  for (guint i = 0; i < N_CALLS; i++)
    {
      if (i == 1000)
        begin_counting (fixture);
      call (fixture);
    }
  g_assert_cmpuint (fixture->ended, ==, N_CALLS);
  expect_no_growth (fixture);
}

static void
on_done (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Fixture *fixture = user_data;
  g_autoptr (GVariant) answer = NULL;

  g_clear_error (&fixture->error);
  answer = fixture->pipeline == NULL
               ? derate_breaker_call_finish (fixture->breaker, result, &fixture->error)
               : derate_policy_call_finish (fixture->pipeline, result, NULL, &fixture->error);
  fixture->ended++;
}

static void
start (DerateCall *made, GCancellable *cancellable, gpointer user_data)
{
  ((Fixture *)user_data)->call = made;
}

static void
call_async (Fixture *fixture)
{
  if (fixture->pipeline == NULL)
    derate_breaker_call_async (fixture->breaker, start, fixture, NULL, fixture->token, on_done,
                               fixture);
  else
    derate_policy_call_async (fixture->pipeline, NULL, start, fixture, NULL, fixture->token,
                              on_done, fixture);
}

static void
run_until (Fixture *fixture, guint ended)
{
  while (fixture->ended < ended)
    g_main_context_iteration (NULL, TRUE);
}

/* Answered, failed, dropped in turn. */
static void
test_async_calls (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) refused =
      g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, "refused");

  for (guint i = 0; i < N_CALLS; i++)
    {
      if (i == 1000)
        begin_counting (fixture);
      call_async (fixture);
      if (i % 4 == 0)
        derate_call_fail (fixture->call, refused);
      else if (i % 4 != 1)
        derate_call_succeed (fixture->call, fixture->answer);
      g_clear_pointer (&fixture->call, derate_call_unref);
      run_until (fixture, i + 1);
      derate_breaker_close (fixture->breaker);
    }
  expect_no_growth (fixture);
}

/* An answer that tells when it is freed. */
static GVariant *
new_watched (gboolean *freed)
{
  static const guint8 text[] = "late";

  *freed = FALSE;
  return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, text, sizeof text, TRUE,
                                  (GDestroyNotify)g_atomic_int_inc, freed);
}

/* Its end is taken once: what is said later is freed, and changes nothing. */
static void
test_answered_late (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "failed");
  g_autoptr (DerateBreakerStats) stats = NULL;
  g_autoptr (DerateCall) other = NULL;
  gboolean freed[3];

  call_async (fixture);
  other = derate_call_ref (fixture->call);
  derate_call_fail (fixture->call, error);
  derate_call_succeed (fixture->call, new_watched (&freed[0]));
  g_assert_true (freed[0]);
  run_until (fixture, 1);
  g_assert_error (fixture->error, G_IO_ERROR, G_IO_ERROR_FAILED);
  derate_call_succeed (fixture->call, new_watched (&freed[1]));
  g_assert_true (freed[1]);
  derate_call_fail (fixture->call, error);
  g_clear_pointer (&fixture->call, derate_call_unref);
  derate_call_succeed (other, new_watched (&freed[2])); /* by another who holds it */
  g_assert_true (freed[2]);
  expect_no_handler (fixture);
  stats = derate_breaker_dup_stats (fixture->breaker);
  g_assert_cmpuint (stats->failed_requests, ==, 1);
  g_assert_cmpuint (stats->successful_requests, ==, 0);
  g_assert_cmpuint (fixture->ended, ==, 1);
}

/* An operation that does not end is answered at its timeout; its end is dropped, whatever it is. */
static void
test_never_returns (Fixture *fixture, gconstpointer data)
{
  const char *how = data;
  g_autoptr (GError) error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "failed");
  g_autoptr (DerateBreakerStats) stats = NULL;
  gboolean freed = TRUE;

  call_async (fixture);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (fixture->clock), G_TIME_SPAN_SECOND);
  run_until (fixture, 1);
  g_assert_error (fixture->error, DERATE_ERROR, DERATE_ERROR_TIMED_OUT);
  g_assert_cmpuint (derate_breaker_get_in_flight (fixture->breaker), ==, 0);
  if (g_str_equal (how, "succeeds"))
    derate_call_succeed (fixture->call, new_watched (&freed));
  else if (g_str_equal (how, "fails"))
    derate_call_fail (fixture->call, error);
  g_assert_true (freed);
  g_clear_pointer (&fixture->call, derate_call_unref);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  expect_no_handler (fixture);
  stats = derate_breaker_dup_stats (fixture->breaker);
  g_assert_cmpuint (stats->failed_requests, ==, 1);
  g_assert_cmpuint (stats->successful_requests, ==, 0);
  g_assert_cmpuint (fixture->ended, ==, 1);
}

int
main (int argc, char **argv)
{
#define PATH "/breaker/trap/20-one-token/"
#define LATE "/breaker/behaviour/54-late-end/"

  breaker_test_init (&argc, &argv);

  g_test_add (PATH "calls", Fixture, NULL, set_up, test_calls, tear_down);
  g_test_add (PATH "async-calls", Fixture, NULL, set_up, test_async_calls, tear_down);
  g_test_add (PATH "pipeline", Fixture, NULL, set_up_pipeline, test_calls, tear_down);
  g_test_add (PATH "async-pipeline", Fixture, NULL, set_up_pipeline, test_async_calls, tear_down);
  g_test_add (LATE "answered-late", Fixture, NULL, set_up, test_answered_late, tear_down);
  g_test_add (LATE "times-out-succeeds", Fixture, "succeeds", set_up_pipeline, test_never_returns,
              tear_down);
  g_test_add (LATE "times-out-fails", Fixture, "fails", set_up_pipeline, test_never_returns,
              tear_down);
  g_test_add (LATE "times-out-is-dropped", Fixture, "dropped", set_up_pipeline, test_never_returns,
              tear_down);
  return g_test_run ();
}
