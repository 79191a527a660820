/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "leap-world.h"

#include <math.h>

#include "derate-backoff-private.h"
#include "derate-budget-private.h"

#define MS G_TIME_SPAN_MILLISECOND

typedef struct
{
  const char *name;
  const char *letters;
  DerateRequestFlags flags;
  guint made;
  const char *end;
  GTimeSpan waited; /* with no jitter */
} Case;

static const Case cases[] = {
  { "answers-at-once", "S", DERATE_REQUEST_IDEMPOTENT, 1, "1", 0 },
  { "second-time", "FS", DERATE_REQUEST_IDEMPOTENT, 2, "2", 500 * MS },
  { "at-most-3-retries", "F", DERATE_REQUEST_IDEMPOTENT, 4, "F", 3500 * MS },
  { "read-is-idempotent", "FS", DERATE_REQUEST_READ, 2, "2", 500 * MS },
  { "write-not-twice", "FS", DERATE_REQUEST_NONE, 1, "F", 0 },
  { "write-refused-did-nothing", "RS", DERATE_REQUEST_NONE, 2, "2", 500 * MS },
  { "write-40001-did-nothing", "4S", DERATE_REQUEST_NONE, 2, "2", 500 * MS },
  { "write-refused-then-failed", "RF", DERATE_REQUEST_NONE, 2, "F", 500 * MS },
  { "timeout-of-ours", "TS", DERATE_REQUEST_IDEMPOTENT, 2, "2", 500 * MS },
  { "never-open", "O", DERATE_REQUEST_IDEMPOTENT, 1, "O", 0 },
  { "never-half-open-full", "H", DERATE_REQUEST_IDEMPOTENT, 1, "H", 0 },
  { "never-forced", "X", DERATE_REQUEST_IDEMPOTENT, 1, "X", 0 },
  { "never-drill", "D", DERATE_REQUEST_IDEMPOTENT, 1, "D", 0 },
  { "never-queue-full", "Q", DERATE_REQUEST_IDEMPOTENT, 1, "Q", 0 },
  { "never-rate-limited", "L", DERATE_REQUEST_IDEMPOTENT, 1, "L", 0 },
  { "never-unavailable", "U", DERATE_REQUEST_IDEMPOTENT, 1, "U", 0 },
  { "never-cancelled", "C", DERATE_REQUEST_IDEMPOTENT, 1, "C", 0 },
  { "open-after-failures", "FFO", DERATE_REQUEST_IDEMPOTENT, 3, "O", 1500 * MS },
  { "retry-after-is-a-floor", "AS", DERATE_REQUEST_IDEMPOTENT, 2, "2", 2500 * MS },
  { "retry-after-over-the-cap", "ZS", DERATE_REQUEST_IDEMPOTENT, 1, "Z", 0 },
};

static DerateRetry *
make_retry (DerateClock *clock)
{
  DerateRetry *retry = derate_retry_new (clock);

  g_assert_true (derate_retry_set_backoff (retry, 500 * MS, 2, 30 * G_TIME_SPAN_SECOND, 0, NULL));
  derate_retry_add_error (retry, leap_sql_quark (), 40001, DERATE_RETRY_VERDICT_ALWAYS);
  derate_retry_set_after_func (retry, leap_read_after, NULL, NULL);
  return retry;
}

static void
run_case (const Case *row, gboolean async)
{
  g_autoptr (DerateClock) clock = leap_clock_new ();
  g_autoptr (DerateRetry) retry = make_retry (clock);
  g_autoptr (DerateRequest) request = derate_request_new (row->flags, NULL);
  g_auto (LeapScript) script;
  DerateRetryStats stats;

  leap_script_init (&script, clock, row->letters);
  leap_script_call (&script, retry, async, request, NULL);
  leap_script_assert_end (&script, row->end);
  g_assert_cmpuint (script.made, ==, row->made);
  g_assert_cmpint (leap_clock_get_leapt (clock), ==, row->waited);
  if (script.error != NULL && row->made > 1)
    {
      g_autofree char *begin = g_strdup_printf ("after %u attempts: ", row->made);

      g_assert_true (g_str_has_prefix (script.error->message, begin));
    }

  derate_retry_get_stats (retry, &stats);
  g_assert_cmpuint (stats.calls, ==, 1);
  g_assert_cmpuint (stats.retries, ==, row->made - 1);
  g_assert_cmpuint (stats.recovered, ==, script.answer != NULL && row->made > 1);
  g_assert_cmpuint (stats.exhausted, ==, row->made == 4);
  g_assert_cmpuint (stats.over_budget, ==, 0);
}

static void
test_sync (gconstpointer data)
{
  run_case (data, FALSE);
}

static void
test_async (gconstpointer data)
{
  run_case (data, TRUE);
}

static void
test_no_request (void)
{
  g_autoptr (DerateClock) clock = leap_clock_new ();
  g_autoptr (DerateRetry) retry = make_retry (clock);
  g_auto (LeapScript) script;

  leap_script_init (&script, clock, "F");
  leap_script_call (&script, retry, FALSE, NULL, NULL);
  g_assert_cmpuint (script.made, ==, 1);
}

static void
test_none (gconstpointer async)
{
  g_autoptr (DerateClock) clock = leap_clock_new ();
  g_autoptr (DerateRetry) retry = make_retry (clock);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);
  g_auto (LeapScript) script;
  DerateRetryStats stats;

  derate_retry_set_max_retries (retry, 0);
  leap_script_init (&script, clock, "F");
  leap_script_call (&script, retry, async != NULL, request, NULL);
  g_assert_cmpuint (script.made, ==, 1);
  g_assert_cmpstr (script.error->message, ==, "F");
  derate_retry_get_stats (retry, &stats);
  g_assert_cmpuint (stats.exhausted, ==, 0);
}

typedef struct
{
  DerateBreaker *breaker;
  LeapScript script;
  guint attempts;
} Outside;

static GVariant *
call_breaker (GCancellable *cancellable, gpointer data, GError **error)
{
  Outside *outside = data;

  outside->attempts++;
  return derate_breaker_call (outside->breaker, leap_script_run, &outside->script, cancellable,
                              error);
}

/* 51: around a breaker that opens at 3, six retries are allowed: the operation runs three times,
 * and what is open is not tried again. */
static void
test_around_breaker (void)
{
  g_autoptr (DerateClock) clock = leap_clock_new ();
  g_autoptr (DerateRetry) retry = make_retry (clock);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
  g_autoptr (DerateBreaker) breaker = NULL;
  g_autoptr (DerateBreakerStats) stats = NULL;
  g_autoptr (GError) error = NULL;
  Outside outside = { 0 };

  derate_breaker_config_set_failure_threshold (config, 3);
  outside.breaker = breaker = derate_breaker_new_with_clock ("b", config, clock);
  derate_retry_set_max_retries (retry, 6);
  g_assert_true (derate_retry_set_budget (retry, INFINITY, 0, NULL));
  leap_script_init (&outside.script, clock, "F");
  g_assert_null (derate_policy_call (DERATE_POLICY (retry), request, call_breaker, &outside, NULL,
                                     NULL, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_OPEN);
  g_assert_cmpuint (outside.script.made, ==, 3);
  g_assert_cmpuint (outside.attempts, ==, 4);
  /* T27: the breaker sees each. */
  stats = derate_breaker_dup_stats (breaker);
  g_assert_cmpuint (stats->failed_requests, ==, 3);
  g_assert_cmpuint (stats->calls_blocked, ==, 1);
  leap_script_clear (&outside.script);
}

typedef struct
{
  DerateRetry *retry;
  DerateRequest *request;
  LeapScript *script;
} Inside;

static GVariant *
call_retry (GCancellable *cancellable, gpointer data, GError **error)
{
  Inside *inside = data;

  return derate_policy_call (DERATE_POLICY (inside->retry), inside->request, leap_script_run,
                             inside->script, cancellable, NULL, error);
}

/* 52, T27: inside a breaker three attempts that fail are one failure. */
static void
test_inside_breaker (void)
{
  g_autoptr (DerateClock) clock = leap_clock_new ();
  g_autoptr (DerateRetry) retry = make_retry (clock);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);
  g_autoptr (DerateBreaker) breaker = derate_breaker_new_with_clock ("b", NULL, clock);
  g_autoptr (DerateBreakerStats) stats = NULL;
  g_auto (LeapScript) script;
  Inside inside = { retry, request, &script };

  derate_retry_set_max_retries (retry, 2);
  leap_script_init (&script, clock, "F");
  g_assert_null (derate_breaker_call (breaker, call_retry, &inside, NULL, NULL));
  g_assert_cmpuint (script.made, ==, 3);
  stats = derate_breaker_dup_stats (breaker);
  g_assert_cmpuint (stats->failed_requests, ==, 1);
  g_assert_cmpuint (stats->failure_count, ==, 1);
}

/* 65 */
static void
test_backoff (void)
{
  const DerateBackoff backoff = { 100 * MS, 2, 100000 * MS, .5 };
  GTimeSpan last = 0;

  for (guint n = 1; n <= 11; n++)
    {
      GTimeSpan delay = derate_backoff_get_delay (&backoff, n, 1);

      g_assert_cmpint (delay, >, last);
      g_assert_cmpint (delay, ==, MIN (100 * MS << (n - 1), 100000 * MS));
      last = delay;
    }
  for (guint n = 11; n <= 13; n++)
    g_assert_cmpint (derate_backoff_get_delay (&backoff, n, 1), ==, 100000 * MS);
  for (guint n = 1; n <= 13; n++)
    for (double chance = 0; chance <= 1; chance += .125)
      {
        GTimeSpan full = derate_backoff_get_delay (&backoff, n, 1);
        GTimeSpan delay = derate_backoff_get_delay (&backoff, n, chance);

        g_assert_cmpint (delay, >=, full / 2);
        g_assert_cmpint (delay, <=, full);
      }
}

/* T25: to 10 000 and beyond, whatever the numbers. */
static void
test_backoff_overflow (void)
{
  static const DerateBackoff backoffs[] = {
    { 500 * MS, 2, 30 * G_TIME_SPAN_SECOND, 1 },
    { 1, 1e300, G_MAXINT64, 1 },
    { 0, 1e300, 5, 1 },
    { G_MAXINT64, 10, G_MAXINT64, 0 },
    { 0, 1, 0, 0 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (backoffs); i++)
    {
      g_assert_true (derate_backoff_check (&backoffs[i], NULL));
      for (guint n = 1; n < 10100; n++)
        for (double chance = 0; chance <= 1; chance += .5)
          {
            GTimeSpan delay = derate_backoff_get_delay (&backoffs[i], n, chance);

            g_assert_cmpint (delay, >=, 0);
            g_assert_cmpint (delay, <=, backoffs[i].maximum);
          }
    }
  g_assert_cmpint (derate_backoff_get_delay (&backoffs[0], 10000, 1), ==, 30 * G_TIME_SPAN_SECOND);
  g_assert_cmpint (derate_backoff_get_delay (&backoffs[2], 10000, 1), ==, 0);
}

/* 65, T24: what makes no sense is an error, and changes nothing. */
static void
test_refused_settings (void)
{
  static const struct
  {
    GTimeSpan initial;
    double multiplier;
    GTimeSpan maximum;
    double jitter;
  } rows[] = {
    { -1, 2, 10, 0 },        { 10, 2, 9, 0 },    { 10, .99, 20, 0 }, { 10, NAN, 20, 0 },
    { 10, INFINITY, 20, 0 }, { 10, 2, 20, -.1 }, { 10, 2, 20, 1.1 }, { 10, 2, 20, NAN },
  };
  g_autoptr (DerateRetry) retry = derate_retry_new (NULL);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_assert_false (derate_retry_set_backoff (retry, rows[i].initial, rows[i].multiplier,
                                                rows[i].maximum, rows[i].jitter, &error));
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
    }
  g_assert_false (derate_retry_set_budget (retry, -1, 0, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_false (derate_retry_set_budget (retry, NAN, 0, NULL));
  g_assert_cmpint (derate_retry_get_longest_delay (retry, 1), ==, 500 * MS);
  g_assert_cmpint (derate_retry_get_longest_delay (retry, 2), ==, 1000 * MS);
  g_assert_cmpint (derate_retry_get_longest_delay (retry, 99), ==, 30 * G_TIME_SPAN_SECOND);
}

/* Attempt 0 is an error. */
static void
test_retry_zero (void)
{
  g_autoptr (DerateRetry) retry = derate_retry_new (NULL);

  g_test_expect_message ("Derate", G_LOG_LEVEL_CRITICAL, "*n > 0*");
  derate_retry_get_longest_delay (retry, 0);
  g_test_assert_expected_messages ();
}

/* Full jitter: anything from nothing to all of it. */
static void
test_full_jitter (void)
{
  g_autoptr (DerateClock) clock = leap_clock_new ();
  g_autoptr (DerateRetry) retry = derate_retry_new (clock);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);
  guint below = 0;
  GTimeSpan sum = 0;

  g_assert_true (derate_retry_set_budget (retry, INFINITY, 0, NULL));
  for (guint i = 0; i < 1000; i++)
    {
      g_auto (LeapScript) script;
      GTimeSpan delay;

      leap_script_init (&script, clock, "FS");
      leap_script_call (&script, retry, FALSE, request, NULL);
      delay = script.at[1] - script.at[0];
      g_assert_cmpint (delay, >=, 0);
      g_assert_cmpint (delay, <=, 500 * MS);
      below += delay < 50 * MS;
      sum += delay;
    }
  /* Expected 100 ± 9.5 and 250 ± 4.6: eight times that. */
  g_assert_cmpuint (below, >, 24);
  g_assert_cmpuint (below, <, 176);
  g_assert_cmpint (sum / 1000, >, 213 * MS);
  g_assert_cmpint (sum / 1000, <, 287 * MS);
}

/* Ten seconds' calls, all of them failing: a fifth is tried again, and no storm forms. */
static void
test_budget (gconstpointer async)
{
  g_autoptr (DerateClock) clock = leap_clock_new ();
  g_autoptr (DerateRetry) retry = make_retry (clock);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);
  DerateRetryStats stats;

  g_assert_true (derate_retry_set_backoff (retry, 0, 1, 0, 0, NULL));
  for (guint i = 0; i < 1000; i++)
    {
      g_auto (LeapScript) script;

      leap_script_init (&script, clock, "F");
      leap_script_call (&script, retry, async != NULL, request, NULL);
      leap_script_assert_end (&script, "F");
      leap_clock_advance (clock, MS);
    }
  derate_retry_get_stats (retry, &stats);
  g_assert_cmpuint (stats.calls, ==, 1000);
  g_assert_cmpuint (stats.retries, ==, 200);
  g_assert_cmpuint (stats.over_budget, >, 900);

  /* What was spent comes back when its second has left the window. */
  leap_clock_advance (clock, 11 * G_TIME_SPAN_SECOND);
  for (guint i = 0; i < 5; i++)
    {
      g_auto (LeapScript) script;

      leap_script_init (&script, clock, "F");
      leap_script_call (&script, retry, async != NULL, request, NULL);
    }
  derate_retry_get_stats (retry, &stats);
  g_assert_cmpuint (stats.retries, ==, 203);
}

/* The window of a budget: what came before the last 10 s is taken to have come evenly. */
static void
test_budget_window (void)
{
  DerateShardSlot cell = derate_shard_alloc (1);
  DerateBudget budget;
  gint64 now = 1000 * G_TIME_SPAN_SECOND;
  guint granted = 0;

  derate_budget_init (&budget, cell, now);
  derate_shard_add (cell, 100000); /* in 1000 s */
  now += 1000 * G_TIME_SPAN_SECOND;
  for (guint i = 0; i < 1000; i++)
    granted += derate_budget_take (&budget, now);
  g_assert_cmpuint (granted, ==, 200);
  g_assert_false (derate_budget_take (&budget, now + 9 * G_TIME_SPAN_SECOND));
  g_assert_true (derate_budget_take (&budget, now + 10 * G_TIME_SPAN_SECOND));
  /* A clock that stood still, or a year. */
  g_assert_true (derate_budget_take (&budget, now + G_TIME_SPAN_DAY * 366));
  g_assert_true (derate_budget_take (&budget, now));
  derate_budget_clear (&budget);
  derate_shard_free (cell, 1);
}

/* A day of less than a call a second is no burst of calls in its last second. */
static void
test_budget_quiet_day (void)
{
  DerateShardSlot cell = derate_shard_alloc (1);
  DerateBudget budget;
  gint64 now = 1000 * G_TIME_SPAN_SECOND;
  guint granted = 0;

  derate_budget_init (&budget, cell, now);
  derate_shard_add (cell, 80000);
  for (guint i = 0; i < 1000; i++)
    granted += derate_budget_take (&budget, now + G_TIME_SPAN_DAY);
  g_assert_cmpuint (granted, ==, DERATE_BUDGET_RESERVE);
  derate_budget_clear (&budget);
  derate_shard_free (cell, 1);
}

/* No limit is none, also when the one call began before the window. */
static void
test_budget_no_limit (void)
{
  DerateShardSlot cell = derate_shard_alloc (1);
  DerateBudget budget;
  gint64 now = 1000 * G_TIME_SPAN_SECOND;

  derate_budget_init (&budget, cell, now);
  g_assert_true (derate_budget_set (&budget, INFINITY, 0, NULL));
  derate_shard_add (cell, 1);
  for (guint i = 0; i < 3; i++)
    {
      now += G_TIME_SPAN_MINUTE;
      g_assert_true (derate_budget_take (&budget, now));
    }
  derate_budget_clear (&budget);
  derate_shard_free (cell, 1);
}

/* Cancelled by the operation or while it waits: no more attempts. */
static void
test_cancelled (gconstpointer async)
{
  g_autoptr (DerateClock) clock = leap_clock_new ();
  g_autoptr (DerateRetry) retry = make_retry (clock);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (LeapScript) script;

  leap_script_init (&script, clock, "F");
  script.cancel_at = cancellable;
  script.cancel_on = 2;
  leap_script_call (&script, retry, async != NULL, request, cancellable);
  g_assert_cmpuint (script.made, ==, 2);
  leap_script_assert_end (&script, "F");

  script.made = 0;
  leap_script_call (&script, retry, async != NULL, request, cancellable);
  g_assert_cmpuint (script.made, ==, 0);
  leap_script_assert_end (&script, "C");
}

static void
test_cancelled_waiting (gconstpointer async)
{
  g_autoptr (DerateClock) clock = leap_clock_new ();
  g_autoptr (DerateRetry) retry = make_retry (clock);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (LeapScript) script;

  leap_script_init (&script, clock, "F");
  leap_clock_cancel_next (clock, cancellable);
  leap_script_call (&script, retry, async != NULL, request, cancellable);
  g_assert_cmpuint (script.made, ==, 1);
  leap_script_assert_end (&script, "C");
  g_assert_cmpint (leap_clock_get_leapt (clock), ==, 0);
}

/* T20: nothing stays connected to a cancellable that is used again and again. */
static void
test_no_handlers (gconstpointer async)
{
  g_autoptr (DerateClock) clock = leap_clock_new ();
  g_autoptr (DerateRetry) retry = make_retry (clock);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  g_assert_true (derate_retry_set_budget (retry, INFINITY, 0, NULL));
  for (guint i = 0; i < 10000; i++)
    {
      g_auto (LeapScript) script;

      leap_script_init (&script, clock, "FS");
      leap_script_call (&script, retry, async != NULL, request, cancellable);
      leap_script_assert_end (&script, "2");
    }
  g_assert_cmpuint (g_signal_handler_find (cancellable, G_SIGNAL_MATCH_ID,
                                           g_signal_lookup ("cancelled", G_TYPE_CANCELLABLE), 0,
                                           NULL, NULL, NULL),
                    ==, 0);
  g_assert_cmpuint (G_OBJECT (cancellable)->ref_count, ==, 1);
}

static DerateRetryVerdict
judge_answer (GVariant *answer, gpointer data)
{
  return g_variant_get_uint32 (answer) == 0 ? GPOINTER_TO_INT (data) : DERATE_RETRY_VERDICT_UNKNOWN;
}

static void
check_answers (gboolean async,
               DerateRetryVerdict verdict,
               DerateRequestFlags flags,
               const char *letters,
               guint made,
               const char *end)
{
  g_autoptr (DerateClock) clock = leap_clock_new ();
  g_autoptr (DerateRetry) retry = make_retry (clock);
  g_autoptr (DerateRequest) request = derate_request_new (flags, NULL);
  g_auto (LeapScript) script;

  derate_retry_set_answer_func (retry, judge_answer, GINT_TO_POINTER (verdict), NULL);
  leap_script_init (&script, clock, letters);
  leap_script_call (&script, retry, async, request, NULL);
  g_assert_cmpuint (script.made, ==, made);
  leap_script_assert_end (&script, end);
}

static void
test_answers (gconstpointer data)
{
  gboolean async = data != NULL;

  check_answers (async, DERATE_RETRY_VERDICT_IDEMPOTENT, DERATE_REQUEST_READ, "0S", 2, "2");
  check_answers (async, DERATE_RETRY_VERDICT_IDEMPOTENT, DERATE_REQUEST_READ, "0", 4, "0");
  check_answers (async, DERATE_RETRY_VERDICT_IDEMPOTENT, DERATE_REQUEST_NONE, "0S", 1, "0");
  check_answers (async, DERATE_RETRY_VERDICT_ALWAYS, DERATE_REQUEST_NONE, "0RS", 3, "3");
  check_answers (async, DERATE_RETRY_VERDICT_NEVER, DERATE_REQUEST_READ, "0S", 1, "0");
  check_answers (async, DERATE_RETRY_VERDICT_UNKNOWN, DERATE_REQUEST_READ, "0S", 1, "0");
}

static DerateRetryVerdict
judge_error (const GError *error, gpointer data)
{
  *(guint *)data += 1;
  return error->domain == leap_sql_quark () ? DERATE_RETRY_VERDICT_NEVER
                                            : DERATE_RETRY_VERDICT_UNKNOWN;
}

/* The function before the list, the list before the rest; a refusal is nobody's to judge. */
static void
test_verdicts (void)
{
  static const struct
  {
    const char *letters;
    guint made;
    guint asked;
  } rows[] = { { "4S", 1, 1 }, { "RS", 2, 1 }, { "FS", 1, 1 }, { "TS", 2, 1 }, { "OS", 1, 0 } };
  g_autoptr (DerateClock) clock = leap_clock_new ();
  g_autoptr (DerateRetry) retry = make_retry (clock);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);
  guint asked;

  derate_retry_set_error_func (retry, judge_error, &asked, NULL);
  derate_retry_add_error (retry, G_IO_ERROR, -1, DERATE_RETRY_VERDICT_NEVER);
  derate_retry_add_error (retry, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED,
                          DERATE_RETRY_VERDICT_ALWAYS);
  derate_retry_add_error (retry, DERATE_ERROR, -1, DERATE_RETRY_VERDICT_ALWAYS);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_auto (LeapScript) script;

      asked = 0;
      leap_script_init (&script, clock, rows[i].letters);
      leap_script_call (&script, retry, FALSE, request, NULL);
      g_assert_cmpuint (script.made, ==, rows[i].made);
      g_assert_cmpuint (asked, ==, rows[i].asked);
    }
}

/* T12: a function that gives nonsense loses no call and no count. */
static DerateRetryVerdict
judge_badly (const GError *error, gpointer data)
{
  return GPOINTER_TO_INT (data);
}

static GTimeSpan
read_badly (const GError *error, gpointer data)
{
  return *(GTimeSpan *)data;
}

static void
test_bad_functions (void)
{
  static const GTimeSpan spans[] = { G_MININT64, -2, 0, G_MAXINT64 };
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (spans); i++)
    for (int verdict = -1; verdict < 6; verdict++)
      {
        g_autoptr (DerateClock) clock = leap_clock_new ();
        g_autoptr (DerateRetry) retry = make_retry (clock);
        g_auto (LeapScript) script;
        gboolean again = verdict == DERATE_RETRY_VERDICT_UNKNOWN ||
                         verdict == DERATE_RETRY_VERDICT_IDEMPOTENT ||
                         verdict == DERATE_RETRY_VERDICT_ALWAYS;
        DerateRetryStats stats;

        derate_retry_set_error_func (retry, judge_badly, GINT_TO_POINTER (verdict), NULL);
        derate_retry_set_after_func (retry, read_badly, (gpointer)&spans[i], NULL);
        leap_script_init (&script, clock, "FS");
        leap_script_call (&script, retry, FALSE, request, NULL);
        g_assert_cmpuint (script.made, ==, again && spans[i] < G_MAXINT64 ? 2 : 1);
        derate_retry_get_stats (retry, &stats);
        g_assert_cmpuint (stats.calls, ==, 1);
        g_assert_cmpuint (stats.retries, ==, script.made - 1);
      }
}

/* A retry that would begin past the deadline is not waited for. */
static void
test_deadline (void)
{
  static const struct
  {
    GTimeSpan span;
    guint made;
  } rows[] = { { 500 * MS, 1 }, { 500 * MS + 1, 2 }, { 1500 * MS, 2 }, { 1500 * MS + 1, 3 } };
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (DerateClock) clock = leap_clock_new ();
      g_autoptr (DeratePipeline) pipeline = derate_pipeline_new ();
      g_autoptr (DerateTimeout) timeout = derate_timeout_new (clock, rows[i].span);
      g_autoptr (DerateRetry) retry = make_retry (clock);
      g_auto (LeapScript) script;

      derate_pipeline_append (pipeline, DERATE_POLICY (timeout));
      derate_pipeline_append (pipeline, DERATE_POLICY (retry));
      leap_script_init (&script, clock, "F");
      leap_script_call (&script, pipeline, FALSE, request, NULL);
      g_assert_cmpuint (script.made, ==, rows[i].made);
      leap_script_assert_end (&script, "F");
    }
}

/* T26: however often, the text is as long. */
static void
test_text (void)
{
  g_autoptr (DerateClock) clock = leap_clock_new ();
  g_autoptr (DerateRetry) retry = make_retry (clock);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);

  g_assert_true (derate_retry_set_budget (retry, INFINITY, 0, NULL));
  for (guint i = 0; i < 100; i++)
    {
      g_auto (LeapScript) script;

      leap_script_init (&script, clock, "F");
      leap_script_call (&script, retry, FALSE, request, NULL);
      g_assert_error (script.error, G_IO_ERROR, G_IO_ERROR_FAILED);
      g_assert_cmpstr (script.error->message, ==, "after 4 attempts: F");
    }
}

static void
test_environment (void)
{
  static const struct
  {
    const char *retries;
    const char *enabled;
    int expected; /* -1: an error */
  } rows[] = { { NULL, NULL, 3 },  { "0", NULL, 0 },     { "7", "true", 7 },  { "7", "no", 0 },
               { "-1", NULL, -1 }, { "many", NULL, -1 }, { "3", "maybe", -1 } };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (DerateRetry) retry = NULL;
      g_autoptr (GError) error = NULL;

      if (rows[i].retries != NULL)
        g_setenv ("DEFAULT_MAX_RETRIES", rows[i].retries, TRUE);
      if (rows[i].enabled != NULL)
        g_setenv ("ENABLE_RESILIENCE", rows[i].enabled, TRUE);
      retry = derate_retry_new_from_environment (NULL, &error);
      g_unsetenv ("DEFAULT_MAX_RETRIES");
      g_unsetenv ("ENABLE_RESILIENCE");
      if (rows[i].expected >= 0)
        g_assert_cmpuint (derate_retry_get_max_retries (retry), ==, rows[i].expected);
      else
        g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
    }
}

int
main (int argc, char **argv)
{
  /* One by one, so that the name is kept. */
  static const struct
  {
    const char *name;
    GTestDataFunc func;
  } both[] = {
    { "none-is-straight-through", test_none },
    { "budget", test_budget },
    { "cancelled-by-the-operation", test_cancelled },
    { "cancelled-while-waiting", test_cancelled_waiting },
    { "no-handlers-stay", test_no_handlers },
    { "answers", test_answers },
  };

  g_setenv ("ENABLE_RESILIENCE_LOGGING", "false", TRUE);
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *sync = g_strdup_printf ("/retry/sync/%s", cases[i].name);
      g_autofree char *async = g_strdup_printf ("/retry/async/%s", cases[i].name);

      g_test_add_data_func (sync, &cases[i], test_sync);
      g_test_add_data_func (async, &cases[i], test_async);
    }
  for (guint i = 0; i < G_N_ELEMENTS (both); i++)
    {
      g_autofree char *sync = g_strdup_printf ("/retry/sync/%s", both[i].name);
      g_autofree char *async = g_strdup_printf ("/retry/async/%s", both[i].name);

      g_test_add_data_func (sync, NULL, both[i].func);
      g_test_add_data_func (async, "", both[i].func);
    }
  g_test_add_func ("/retry/no-request-is-a-write", test_no_request);
  g_test_add_func ("/policy/behaviour/51-retry-around-a-breaker", test_around_breaker);
  g_test_add_func ("/policy/trap/27-retry-inside-a-breaker", test_inside_breaker);
  g_test_add_func ("/policy/behaviour/65-backoff", test_backoff);
  g_test_add_func ("/policy/behaviour/65-refused-settings", test_refused_settings);
  g_test_add_func ("/policy/behaviour/65-attempt-0", test_retry_zero);
  g_test_add_func ("/policy/trap/25-backoff-overflow", test_backoff_overflow);
  g_test_add_func ("/retry/full-jitter", test_full_jitter);
  g_test_add_func ("/retry/budget-window", test_budget_window);
  g_test_add_func ("/retry/budget-quiet-day", test_budget_quiet_day);
  g_test_add_func ("/retry/budget-no-limit", test_budget_no_limit);
  g_test_add_func ("/retry/verdicts", test_verdicts);
  g_test_add_func ("/retry/text-does-not-grow", test_text);
  g_test_add_func ("/policy/trap/12-functions-that-give-nonsense", test_bad_functions);
  g_test_add_func ("/retry/deadline", test_deadline);
  g_test_add_func ("/retry/environment", test_environment);
  return g_test_run ();
}
