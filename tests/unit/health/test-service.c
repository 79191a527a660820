/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "derate-service-room-private.h"
#include "fake-check.h"

#define SECOND G_TIME_SPAN_SECOND

typedef struct
{
  DerateClock *clock;
  FakeCheck *check;
  DerateService *service;
} Fixture;

static GPtrArray *log_lines;

static GLogWriterOutput
keep_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  GString *line = g_string_new (level & G_LOG_LEVEL_WARNING ? "warning" : "info");
  static const char *const wanted[] = { "EVENT", "COMPONENT", "PREVIOUS_STATE", "STATE", "CAUSE" };
  gboolean ours = FALSE;

  if (level & (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR))
    return g_log_writer_default (level, fields, n_fields, data);
  for (gsize k = 0; k < G_N_ELEMENTS (wanted); k++)
    for (gsize i = 0; i < n_fields; i++)
      if (g_str_equal (fields[i].key, wanted[k]))
        {
          g_string_append_printf (line, " %s", (const char *)fields[i].value);
          ours |= g_str_equal (fields[i].value, "service_status_changed");
        }
  if (ours)
    g_ptr_array_add (log_lines, g_string_free (line, FALSE));
  else
    g_string_free (line, TRUE);
  return G_LOG_WRITER_HANDLED;
}

static void
set_up (Fixture *f, gconstpointer data)
{
  f->clock = derate_manual_clock_new ();
  f->check = fake_check_new (f->clock);
  f->service = derate_service_new ("redis", DERATE_SERVICE_ROLE_CACHE, f->clock);
  derate_service_set_health_check (f->service, DERATE_HEALTH_CHECK (f->check));
  g_ptr_array_set_size (log_lines, 0);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (f->clock), 0);
  g_assert_finalize_object (f->service);
  g_assert_finalize_object (f->check);
  g_object_unref (f->clock);
}

static void
advance (Fixture *f, GTimeSpan span)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (f->clock), span);
}

static void
assert_status (DerateService *service, DerateHealthStatus status, DerateHealthCause cause)
{
  g_assert_cmpstr (derate_health_status_get_nick (derate_service_get_status (service)), ==,
                   derate_health_status_get_nick (status));
  g_assert_cmpstr (derate_health_cause_get_nick (derate_service_get_cause (service)), ==,
                   derate_health_cause_get_nick (cause));
}

static void
keep_result (GObject *object, GAsyncResult *result, gpointer data)
{
  GAsyncResult **kept = data;

  g_assert_null (*kept);
  *kept = g_object_ref (result);
}

/* One check that answers at once. */
static DerateHealthReport *
run_check (Fixture *f, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  derate_service_check_async (f->service, NULL, keep_result, &result);
  advance (f, 0);
  g_assert_nonnull (result);
  return derate_service_check_finish (f->service, result, error);
}

static void
run_checks (Fixture *f, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (DerateHealthReport) report = run_check (f, &error);

      g_assert_no_error (error);
      g_assert_nonnull (report);
    }
}

/* A breaker of the clock: opens at @failures in a row. */
static DerateBreaker *
make_breaker (Fixture *f, guint failures)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();

  derate_breaker_config_set_failure_threshold (config, failures);
  derate_breaker_config_set_open_duration (config, 60 * SECOND);
  derate_breaker_config_set_open_duration_jitter (config, 0);
  return derate_breaker_new_with_clock ("redis", config, f->clock);
}

static void
call (DerateBreaker *breaker, gboolean good)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
  g_autoptr (GError) error = NULL;

  g_assert_true (derate_breaker_acquire (breaker, &permit, &error));
  g_assert_no_error (error);
  if (good)
    {
      derate_permit_succeed (&permit);
      return;
    }
  error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "no answer");
  derate_permit_fail (&permit, error);
}

static void
test_history (Fixture *f, gconstpointer data)
{
  g_autoptr (GVariant) history = NULL;
  g_autoptr (GVariant) all = NULL;
  g_autofree char *json = NULL;

  run_checks (f, 1);
  advance (f, 5 * SECOND);
  fake_check_set (f->check, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_AUTH, NULL);
  run_checks (f, 3);
  history = derate_service_dup_history (f->service);
  json = derate_json_from_variant (history);
  g_assert_cmpstr (json, ==,
                   "[{\"time\":1763720000,\"from\":\"unknown\",\"to\":\"healthy\",\"cause\":null},"
                   "{\"time\":1763720005,\"from\":\"healthy\",\"to\":\"down\",\"cause\":\"auth\"}"
                   "]");

  for (guint i = 0; i < 40; i++)
    {
      fake_check_set (f->check,
                      i % 2 == 0 ? DERATE_HEALTH_STATUS_HEALTHY : DERATE_HEALTH_STATUS_DOWN,
                      DERATE_HEALTH_CAUSE_NONE, NULL);
      run_checks (f, 3);
    }
  all = derate_service_dup_history (f->service);
  g_assert_cmpuint (g_variant_n_children (all), ==, DERATE_SERVICE_HISTORY_MAX);
}

/* The word */

static const struct
{
  const char *what;
  int check; /* status, -1 for none */
  int breaker; /* state, -1 for none */
  double rate; /* against 0.25 */
  DerateHealthStatus status;
  DerateHealthCause cause;
} words[] = {
#define U DERATE_HEALTH_STATUS_UNKNOWN
#define H DERATE_HEALTH_STATUS_HEALTHY
#define D DERATE_HEALTH_STATUS_DEGRADED
#define X DERATE_HEALTH_STATUS_DOWN
#define CLOSED DERATE_BREAKER_STATE_CLOSED
#define OPEN DERATE_BREAKER_STATE_OPEN
#define HALF DERATE_BREAKER_STATE_HALF_OPEN
#define CAUSE(x) DERATE_HEALTH_CAUSE_##x
  { "nobody speaks", -1, -1, NAN, U, CAUSE (NONE) },
  { "no check, closed", -1, CLOSED, NAN, H, CAUSE (NONE) },
  { "no check, half-open", -1, HALF, NAN, D, CAUSE (BREAKER_OPEN) },
  { "no check, open", -1, OPEN, NAN, X, CAUSE (BREAKER_OPEN) },
  { "no check, bad rate", -1, CLOSED, 0.25, D, CAUSE (PROTOCOL) },
  { "no check, better rate", -1, CLOSED, 0.24, H, CAUSE (NONE) },
  { "no breaker, healthy", H, -1, NAN, H, CAUSE (NONE) },
  { "no breaker, down", X, -1, NAN, X, CAUSE (AUTH) },
  { "no breaker, unknown", U, -1, NAN, U, CAUSE (NONE) },
  { "healthy and open", H, OPEN, NAN, X, CAUSE (BREAKER_OPEN) },
  { "degraded and open", D, OPEN, NAN, X, CAUSE (BREAKER_OPEN) },
  { "down and open: the check says more", X, OPEN, NAN, X, CAUSE (AUTH) },
  { "unknown and open", U, OPEN, NAN, X, CAUSE (BREAKER_OPEN) },
  { "healthy and half-open", H, HALF, NAN, H, CAUSE (NONE) },
  { "unknown and half-open", U, HALF, NAN, U, CAUSE (NONE) },
  { "healthy, bad rate", H, CLOSED, 0.3, D, CAUSE (PROTOCOL) },
  { "degraded, bad rate: the check says more", D, CLOSED, 0.3, D, CAUSE (AUTH) },
  { "unknown, bad rate", U, CLOSED, 0.3, U, CAUSE (NONE) },
  { "down, bad rate", X, CLOSED, 0.3, X, CAUSE (AUTH) },
};

static void
test_word (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  DerateHealthStreak streak = {
    .status = MAX (words[i].check, 0),
    .cause = words[i].check == D || words[i].check == X ? CAUSE (AUTH) : CAUSE (NONE),
  };
  DerateBreakerView view = {
    .present = words[i].breaker >= 0,
    .state = MAX (words[i].breaker, 0),
    .failure_rate = words[i].rate,
    .degraded_rate = 0.25,
    .down_rate = 0.5,
  };
  static const DerateFault none = { 0 };
  const DerateHealthStreak *check = words[i].check >= 0 ? &streak : NULL;
  guint word = derate_service_word_compute (check, FALSE, FALSE, &view, NULL, &none);

  g_assert_cmpint (derate_service_word_get_status (word), ==, words[i].status);
  g_assert_cmpint (derate_service_word_get_cause (word), ==, words[i].cause);
  g_assert_cmpint (derate_service_word_get_effective (word, TRUE, FALSE), ==,
                   words[i].status == U ? X : words[i].status);

  view.recent_success = TRUE;
  word = derate_service_word_compute (check, FALSE, FALSE, &view, NULL, &none);
  g_assert_cmpint (derate_service_word_get_effective (word, TRUE, FALSE), ==,
                   words[i].status == U ? D : words[i].status);
}

/* Checks */

static void
test_unknown (Fixture *f, gconstpointer data)
{
  assert_status (f->service, U, CAUSE (NONE));
  g_assert_cmpint (derate_service_get_effective_status (f->service, TRUE), ==, D);
  g_assert_cmpint (derate_service_get_effective_status (f->service, FALSE), ==, X);
  g_assert_cmpint (derate_service_get_last_check (f->service), ==, 0);

  run_checks (f, 1);
  assert_status (f->service, H, CAUSE (NONE));
  g_assert_cmpint (derate_service_get_effective_status (f->service, TRUE), ==, H);
  g_assert_cmpint (derate_service_get_effective_status (f->service, FALSE), ==, H);
  g_assert_cmpint (derate_service_get_last_check (f->service), ==,
                   derate_clock_get_real_time (f->clock));
}

static void
test_fall_and_rise (Fixture *f, gconstpointer data)
{
  g_autofree char *error = NULL;

  run_checks (f, 1);
  fake_check_set (f->check, X, CAUSE (REFUSED), "connection refused");
  run_checks (f, 2);
  assert_status (f->service, H, CAUSE (NONE));
  run_checks (f, 1);
  assert_status (f->service, X, CAUSE (REFUSED));
  error = derate_service_dup_error (f->service);
  g_assert_cmpstr (error, ==, "connection refused");

  fake_check_set (f->check, H, CAUSE (NONE), NULL);
  run_checks (f, 1);
  assert_status (f->service, X, CAUSE (REFUSED));
  g_clear_pointer (&error, g_free);
  error = derate_service_dup_error (f->service);
  g_assert_cmpstr (error, ==, "connection refused");
  run_checks (f, 1);
  assert_status (f->service, H, CAUSE (NONE));
  g_clear_pointer (&error, g_free);
  error = derate_service_dup_error (f->service);
  g_assert_null (error);
}

static void
check_latency (Fixture *f, GTimeSpan latency, DerateHealthStatus status, DerateHealthCause cause)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (DerateHealthReport) report = NULL;
  g_autoptr (GError) error = NULL;

  f->check->delay = latency;
  derate_service_check_async (f->service, NULL, keep_result, &result);
  advance (f, latency - 1);
  g_assert_null (result);
  advance (f, 1);
  g_assert_nonnull (result);
  report = derate_service_check_finish (f->service, result, &error);
  g_assert_no_error (error);
  g_assert_cmpint (derate_health_report_get_status (report), ==, status);
  g_assert_cmpint (derate_health_report_get_cause (report), ==, cause);
}

static void
test_slow (Fixture *f, gconstpointer data)
{
  check_latency (f, SECOND - 1, H, CAUSE (NONE));
  check_latency (f, SECOND, D, CAUSE (SLOW));

  /* A slow refusal is a refusal. */
  fake_check_set (f->check, X, CAUSE (REFUSED), NULL);
  check_latency (f, SECOND, X, CAUSE (REFUSED));
}

static void
test_timeout (Fixture *f, gconstpointer data)
{
  g_autofree char *error = NULL;

  f->check->behaviour = FAKE_HANG;
  check_latency (f, 2 * SECOND, X, CAUSE (TIMEOUT));
  assert_status (f->service, X, CAUSE (TIMEOUT));
  g_assert_cmpuint (f->check->n_cancelled, ==, 1);
  error = derate_service_dup_error (f->service);
  g_assert_cmpstr (error, ==, "no answer within 2s");

  /* It ended when it was cancelled, so the next may begin. */
  fake_check_set (f->check, H, CAUSE (NONE), NULL);
  f->check->delay = 0;
  run_checks (f, 2);
  assert_status (f->service, H, CAUSE (NONE));
}

static void
test_ignores_cancel (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  DerateServiceCheckStats stats;

  f->check->behaviour = FAKE_IGNORE;
  check_latency (f, 2 * SECOND, X, CAUSE (TIMEOUT));
  g_assert_null (run_check (f, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE);
  g_assert_cmpuint (f->check->n_started, ==, 1);

  /* Its late answer changes nothing. */
  fake_check_set (f->check, H, CAUSE (NONE), NULL);
  fake_check_let_go (f->check);
  advance (f, 0);
  assert_status (f->service, X, CAUSE (TIMEOUT));
  derate_service_get_check_stats (f->service, &stats);
  g_assert_cmpuint (stats.count, ==, 1);

  f->check->delay = 0;
  run_checks (f, 2);
  g_assert_cmpuint (f->check->n_started, ==, 3);
  assert_status (f->service, H, CAUSE (NONE));
}

static void
test_own_failure (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;

  run_checks (f, 1);
  f->check->behaviour = FAKE_FAIL;
  for (guint i = 1; i <= 5; i++)
    {
      g_assert_null (run_check (f, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
      g_clear_error (&error);
      assert_status (f->service, H, CAUSE (NONE));
      g_assert_cmpuint (derate_service_get_check_errors (f->service), ==, i);
    }
  text = derate_service_dup_error (f->service);
  g_assert_nonnull (strstr (text, "no descriptor left"));
  g_assert_null (strstr (text, "s3cret"));

  advance (f, 30 * SECOND - 1);
  derate_service_update (f->service);
  assert_status (f->service, H, CAUSE (NONE));
  advance (f, 1);
  derate_service_update (f->service);
  assert_status (f->service, U, CAUSE (STALE));
  g_assert_cmpint (derate_service_get_effective_status (f->service, FALSE), ==, X);
}

static void
test_shared_run (Fixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) first = NULL;
  g_autoptr (GAsyncResult) second = NULL;
  g_autoptr (GAsyncResult) third = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (DerateHealthReport) a = NULL;
  g_autoptr (DerateHealthReport) b = NULL;
  g_autoptr (DerateHealthReport) c = NULL;
  g_autoptr (GError) error = NULL;

  f->check->delay = SECOND / 2;
  derate_service_check_async (f->service, NULL, keep_result, &first);
  derate_service_check_async (f->service, cancellable, keep_result, &second);
  derate_service_check_async (f->service, NULL, keep_result, &third);
  advance (f, SECOND / 4);
  g_cancellable_cancel (cancellable);
  advance (f, SECOND / 4);

  a = derate_service_check_finish (f->service, first, &error);
  g_assert_no_error (error);
  b = derate_service_check_finish (f->service, third, &error);
  g_assert_no_error (error);
  g_assert_true (a == b);
  c = derate_service_check_finish (f->service, second, &error);
  g_assert_null (c);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (f->check->n_started, ==, 1);
  g_assert_cmpuint (f->check->n_cancelled, ==, 0);
}

static void
test_no_check (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  derate_service_set_health_check (f->service, NULL);
  g_assert_null (run_check (f, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE);
  g_assert_nonnull (strstr (error->message, "redis"));
}

static void
test_durations (Fixture *f, gconstpointer data)
{
  DerateServiceCheckStats stats;

  check_latency (f, 5 * G_TIME_SPAN_MILLISECOND, H, CAUSE (NONE));
  check_latency (f, 6 * G_TIME_SPAN_MILLISECOND, H, CAUSE (NONE));
  derate_service_get_check_stats (f->service, &stats);
  g_assert_cmpuint (stats.count, ==, 2);
  g_assert_cmpfloat_with_epsilon (stats.sum, 0.011, 1e-9);
  g_assert_cmpfloat (derate_check_duration_bounds[2], ==, 0.005);
  g_assert_cmpuint (stats.buckets[2], ==, 1);
  g_assert_cmpuint (stats.buckets[3], ==, 1);
}

/* Breaker */

typedef struct
{
  guint n;
  GThread *thread;
  DerateHealthStatus seen;
} Hook;

static void
on_hook (DerateService *service, gpointer data)
{
  Hook *hook = data;

  hook->n++;
  hook->thread = g_thread_self ();
  hook->seen = derate_service_get_status (service);
}

static gpointer
fail_in_thread (gpointer data)
{
  DerateBreaker *breaker = data;

  for (guint i = 0; i < 3; i++)
    call (breaker, FALSE);
  return g_thread_self ();
}

static void
test_open_at_once (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateBreaker) breaker = make_breaker (f, 3);
  g_autoptr (DerateService) other =
      derate_service_new ("sessions", DERATE_SERVICE_ROLE_NONE, f->clock);
  Hook hook = { 0 };
  Hook other_hook = { 0 };
  gpointer thread;

  run_checks (f, 1);
  derate_service_set_breaker (f->service, breaker);
  derate_service_set_breaker (other, breaker);
  assert_status (other, H, CAUSE (NONE));
  derate_service_set_hook (f->service, on_hook, &hook);
  derate_service_set_hook (other, on_hook, &other_hook);

  /* No loop runs in that thread, nor here. */
  thread = g_thread_join (g_thread_new ("caller", fail_in_thread, breaker));
  assert_status (f->service, X, CAUSE (BREAKER_OPEN));
  assert_status (other, X, CAUSE (BREAKER_OPEN));
  g_assert_cmpuint (hook.n, ==, 1);
  g_assert_true (hook.thread == thread);
  g_assert_cmpint (hook.seen, ==, X);
  g_assert_cmpuint (other_hook.n, ==, 1);
  g_assert_true (other_hook.thread == thread);

  derate_service_set_breaker (other, NULL);
  assert_status (other, U, CAUSE (NONE));
  derate_breaker_close (breaker);
  assert_status (f->service, H, CAUSE (NONE));
  assert_status (other, U, CAUSE (NONE));
  advance (f, 0);
}

/* However the threads fall, the last word is the breaker's state. */
static gpointer
trip_and_close (gpointer data)
{
  for (guint i = 0; i < 200; i++)
    {
      derate_breaker_trip (data, NULL);
      derate_breaker_close (data);
    }
  return NULL;
}

static void
test_many_threads (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateBreaker) breaker = make_breaker (f, 3);
  GThread *threads[4];

  run_checks (f, 1);
  derate_service_set_breaker (f->service, breaker);
  for (guint round = 0; round < 5; round++)
    {
      for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
        threads[i] = g_thread_new ("caller", trip_and_close, breaker);
      for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
        g_thread_join (threads[i]);
      g_assert_cmpint (derate_breaker_get_state (breaker), ==, CLOSED);
      assert_status (f->service, H, CAUSE (NONE));
      g_assert_true (derate_breaker_trip (breaker, NULL));
      assert_status (f->service, X, CAUSE (BREAKER_OPEN));
      derate_breaker_close (breaker);
      advance (f, 0);
    }
}

static void
test_half_open (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateBreaker) breaker = make_breaker (f, 1);
  g_autoptr (DerateService) bare = derate_service_new ("bare", DERATE_SERVICE_ROLE_NONE, f->clock);

  run_checks (f, 1);
  derate_service_set_breaker (f->service, breaker);
  derate_service_set_breaker (bare, breaker);
  call (breaker, FALSE);
  assert_status (bare, X, CAUSE (BREAKER_OPEN));

  advance (f, 60 * SECOND);
  derate_breaker_poll (breaker);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, HALF);
  assert_status (bare, D, CAUSE (BREAKER_OPEN));

  call (breaker, TRUE);
  call (breaker, TRUE);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, CLOSED);
  assert_status (bare, H, CAUSE (NONE));
  advance (f, 0);
}

static void
test_forced (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateBreaker) breaker = make_breaker (f, 1);

  run_checks (f, 1);
  derate_service_set_breaker (f->service, breaker);
  derate_breaker_set_mode (breaker, DERATE_BREAKER_MODE_FORCED_OPEN);
  assert_status (f->service, X, CAUSE (BREAKER_OPEN));

  /* Good checks do not take a forced breaker out. */
  run_checks (f, 5);
  assert_status (f->service, X, CAUSE (BREAKER_OPEN));
  derate_breaker_set_mode (breaker, DERATE_BREAKER_MODE_NORMAL);
  assert_status (f->service, H, CAUSE (NONE));
}

static void
test_good_checks (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateBreaker) breaker = make_breaker (f, 1);

  derate_service_set_breaker (f->service, breaker);
  run_checks (f, 5);
  call (breaker, FALSE);
  assert_status (f->service, X, CAUSE (BREAKER_OPEN));

  /* Only those since it opened count, and only in a row. */
  run_checks (f, 1);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, OPEN);
  fake_check_set (f->check, X, CAUSE (REFUSED), NULL);
  run_checks (f, 1);
  fake_check_set (f->check, H, CAUSE (NONE), NULL);
  run_checks (f, 1);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, OPEN);
  run_checks (f, 1);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, HALF);
  assert_status (f->service, H, CAUSE (NONE));

  /* Nobody calls, so checks close it. */
  run_checks (f, 1);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, HALF);
  run_checks (f, 1);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, CLOSED);
}

/* One that nobody answers for. */
static void
drop_call (DerateBreaker *breaker)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
}

/* A good check stands for a probe where none was asked for since the check before, whatever that
 * one found. */
static void
test_good_checks_and_calls (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateBreaker) breaker = make_breaker (f, 1);

  derate_service_set_breaker (f->service, breaker);
  run_checks (f, 1);
  call (breaker, FALSE);
  run_checks (f, 2);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, HALF);
  for (guint i = 0; i < 3; i++)
    {
      drop_call (breaker);
      run_checks (f, 1); /* not counted */
    }
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, HALF);
  run_checks (f, 1); /* the first */
  drop_call (breaker);
  fake_check_set (f->check, X, CAUSE (REFUSED), NULL);
  run_checks (f, 1); /* the call was before it */
  fake_check_set (f->check, H, CAUSE (NONE), NULL);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, HALF);
  run_checks (f, 1); /* the second */
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, CLOSED);
}

static void
test_rate (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateBreaker) breaker = make_breaker (f, 0);
  g_autoptr (DerateService) database =
      derate_service_new ("database", DERATE_SERVICE_ROLE_DATABASE, f->clock);

  derate_service_set_breaker (f->service, breaker);
  derate_service_set_breaker (database, breaker);
  run_checks (f, 1);
  for (guint i = 0; i < 10; i++)
    call (breaker, i >= 2);
  run_checks (f, 1);
  assert_status (f->service, H, CAUSE (NONE)); /* 0.2 */

  /* Seen before fail () returns. */
  for (guint i = 0; i < 10; i++)
    {
      assert_status (f->service, i < 3 ? H : D, i < 3 ? CAUSE (NONE) : CAUSE (PROTOCOL));
      call (breaker, i >= 3);
    }
  run_checks (f, 1);
  assert_status (f->service, D, CAUSE (PROTOCOL)); /* 0.3 of 0.5 */
  derate_service_update (database);
  assert_status (database, H, CAUSE (NONE));
  derate_service_set_breaker_degraded_rate (database, 0.25);
  assert_status (database, D, CAUSE (PROTOCOL));
  derate_service_set_breaker_degraded_rate (f->service, 0);
  assert_status (f->service, H, CAUSE (NONE));
  derate_service_set_breaker_degraded_rate (f->service, DERATE_SERVICE_RATE_DEFAULT);
  assert_status (f->service, D, CAUSE (PROTOCOL));

  /* Old calls say nothing. */
  advance (f, 31 * SECOND);
  run_checks (f, 1);
  assert_status (f->service, H, CAUSE (NONE));
}

/* Who empties the window by hand is heard at once, though the breaker was closed before. */
static void
test_rate_forgotten (Fixture *f, gconstpointer data)
{
  void (*const forget[]) (DerateBreaker *) = { derate_breaker_reset, derate_breaker_close };
  g_autoptr (DerateBreaker) breaker = make_breaker (f, 0);

  derate_service_set_breaker (f->service, breaker);
  run_checks (f, 1);
  for (guint i = 0; i < G_N_ELEMENTS (forget); i++)
    {
      for (guint j = 0; j < 10; j++)
        call (breaker, j >= 3);
      assert_status (f->service, D, CAUSE (PROTOCOL));
      forget[i](breaker);
      assert_status (f->service, H, CAUSE (NONE));
    }
}

static void
test_unknown_with_traffic (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateBreaker) breaker = make_breaker (f, 3);

  derate_service_set_breaker (f->service, breaker);
  g_assert_cmpint (derate_service_get_effective_status (f->service, FALSE), ==, X);
  call (breaker, TRUE);
  derate_service_update (f->service);
  assert_status (f->service, U, CAUSE (NONE));
  g_assert_cmpint (derate_service_get_effective_status (f->service, FALSE), ==, D);
  advance (f, 30 * SECOND);
  derate_service_update (f->service);
  g_assert_cmpint (derate_service_get_effective_status (f->service, FALSE), ==, D);
  advance (f, 1);
  derate_service_update (f->service);
  g_assert_cmpint (derate_service_get_effective_status (f->service, FALSE), ==, X);
}

/* What is told */

static void
on_status_changed (DerateService *service,
                   DerateHealthStatus old_status,
                   DerateHealthStatus new_status,
                   DerateHealthCause cause,
                   gpointer data)
{
  g_string_append_printf (data, "%s>%s:%s ", derate_health_status_get_nick (old_status),
                          derate_health_status_get_nick (new_status),
                          derate_health_cause_get_nick (cause));
}

static void
on_notify (GObject *object, GParamSpec *pspec, gpointer data)
{
  g_string_append_printf (data, "(%s) ", pspec->name);
}

static void
test_signals (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateBreaker) breaker = make_breaker (f, 3);
  g_autoptr (GString) heard = g_string_new (NULL);

  run_checks (f, 1);
  derate_service_set_breaker (f->service, breaker);
  advance (f, 0);
  g_ptr_array_set_size (log_lines, 0);
  g_signal_connect (f->service, "status-changed", G_CALLBACK (on_status_changed), heard);
  g_signal_connect (f->service, "notify", G_CALLBACK (on_notify), heard);

  g_thread_join (g_thread_new ("caller", fail_in_thread, breaker));
  derate_breaker_close (breaker);
  g_assert_cmpstr (heard->str, ==, "");
  advance (f, 0);
  g_assert_cmpstr (heard->str, ==,
                   "(cause) (status) healthy>down:breaker-open "
                   "(cause) (status) down>healthy:none ");

  g_assert_cmpuint (log_lines->len, ==, 2);
  g_assert_cmpstr (g_ptr_array_index (log_lines, 0), ==,
                   "warning service_status_changed redis healthy down breaker-open");
  g_assert_cmpstr (g_ptr_array_index (log_lines, 1), ==,
                   "info service_status_changed redis down healthy");
  g_signal_handlers_disconnect_by_data (f->service, heard);
}

static void
test_variant (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateBreaker) breaker = make_breaker (f, 1);
  g_autoptr (GVariant) fresh = g_variant_ref_sink (derate_service_to_variant (f->service));
  g_autoptr (GVariant) down = NULL;
  g_autofree char *fresh_text = derate_json_from_variant (fresh);
  g_autofree char *down_text = NULL;

  g_assert_cmpstr (fresh_text, ==,
                   "{\"status\":\"unknown\",\"cause\":null,\"since\":1763720000,\"breaker\":null,"
                   "\"role\":\"cache\",\"criticality\":\"medium\",\"age_seconds\":null,"
                   "\"error\":null}");

  advance (f, SECOND / 10);
  fake_check_set (f->check, X, CAUSE (REFUSED), "connection refused");
  derate_service_set_breaker (f->service, breaker);
  run_checks (f, 1);
  call (breaker, FALSE);
  advance (f, 6 * SECOND / 5);
  down = g_variant_ref_sink (derate_service_to_variant (f->service));
  down_text = derate_json_from_variant (down);
  g_assert_cmpstr (down_text, ==,
                   "{\"status\":\"down\",\"cause\":\"refused\",\"since\":1763720000.1,"
                   "\"breaker\":\"open\",\"role\":\"cache\",\"criticality\":\"medium\","
                   "\"age_seconds\":1.2,\"error\":\"connection refused\"}");
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  log_lines = g_ptr_array_new_with_free_func (g_free);
  g_log_set_writer_func (keep_log, NULL, NULL);

  for (gsize i = 0; i < G_N_ELEMENTS (words); i++)
    {
      g_autofree char *path = g_strdup_printf ("/health/service/status/%s", words[i].what);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_word);
    }
#define ADD(name, func) g_test_add ("/health/service/" name, Fixture, NULL, set_up, func, tear_down)
  ADD ("unknown", test_unknown);
  ADD ("fall-and-rise", test_fall_and_rise);
  ADD ("history", test_history);
  ADD ("slow", test_slow);
  ADD ("timeout", test_timeout);
  ADD ("ignores-cancel", test_ignores_cancel);
  ADD ("own-failure", test_own_failure);
  ADD ("shared-run", test_shared_run);
  ADD ("no-check", test_no_check);
  ADD ("durations", test_durations);
  ADD ("breaker/open-at-once", test_open_at_once);
  ADD ("breaker/many-threads", test_many_threads);
  ADD ("breaker/half-open", test_half_open);
  ADD ("breaker/forced", test_forced);
  ADD ("breaker/good-checks", test_good_checks);
  ADD ("breaker/good-checks-and-calls", test_good_checks_and_calls);
  ADD ("breaker/rate", test_rate);
  ADD ("breaker/rate-forgotten", test_rate_forgotten);
  ADD ("breaker/unknown-with-traffic", test_unknown_with_traffic);
  ADD ("signals", test_signals);
  ADD ("variant", test_variant);
  result = g_test_run ();
  g_ptr_array_unref (log_lines);
  return result;
}
