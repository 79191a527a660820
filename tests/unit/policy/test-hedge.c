/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-world.h"

#include <math.h>
#include <string.h>

#include "derate-latency-private.h"

#define SECOND G_TIME_SPAN_SECOND
#define MS G_TIME_SPAN_MILLISECOND
#define DELAY (100 * MS)

/* Asynchronous calls, as a script of words:
 *   +100ms     time passes           0:S 1:F …  operation 0, 1 ends so
 *   cancel     the caller cancels    made=2     operations that were begun
 *   end=…      how the call ended    gone=1     operation 1 was cancelled   there=1 it was not */
typedef struct
{
  const char *name;
  DerateRequestFlags flags;
  const char *script;
  guint hedges;
  guint won;
} Case;

static const Case cases[] = {
  { "fast", DERATE_REQUEST_READ, "made=1 +99ms made=1 0:S end=1 +1s made=1", 0, 0 },
  { "second-wins", DERATE_REQUEST_READ,
    "+99999us made=1 +1us made=2 end=… 1:S end=2 gone=0 there=1 0:S end=2", 1, 1 },
  { "first-wins", DERATE_REQUEST_READ, "+100ms made=2 0:S end=1 gone=1 there=0 1:S end=1", 1, 0 },
  { "one-more-at-most", DERATE_REQUEST_READ, "+100ms made=2 +1h made=2 0:S end=1", 1, 0 },
  { "fails-before-the-delay", DERATE_REQUEST_READ, "+50ms 0:F end=io:39 +1s made=1", 0, 0 },
  { "first-fails-second-answers", DERATE_REQUEST_READ, "+100ms 0:F end=… 1:S end=2", 1, 1 },
  { "second-fails-first-answers", DERATE_REQUEST_READ, "+100ms 1:F end=… there=0 0:S end=1", 1, 0 },
  { "both-fail-first-error", DERATE_REQUEST_READ, "+100ms 1:F end=… 0:N end=io:1", 1, 0 },
  { "both-fail-first-error-first", DERATE_REQUEST_READ, "+100ms 0:N end=… 1:F end=io:1", 1, 0 },
  { "idempotent", DERATE_REQUEST_IDEMPOTENT, "+100ms made=2 1:S end=2", 1, 1 },
  { "write-goes-straight-through", DERATE_REQUEST_NONE, "+1h made=1 0:S end=1", 0, 0 },
  { "cancelled-before-the-delay", DERATE_REQUEST_READ, "cancel end=cancelled gone=0 +1s made=1 0:C",
    0, 0 },
  { "cancelled-both", DERATE_REQUEST_READ,
    "+100ms made=2 cancel end=cancelled gone=0 gone=1 1:C 0:C", 1, 0 },
};

static void
play_word (PolicyWorld *world, GCancellable *cancellable, const char *word)
{
  const char *value = strpbrk (word, ":=");
  guint i = value != NULL ? g_ascii_digit_value (value[1]) : 0;
  GTimeSpan span;

  if (word[0] == '+')
    {
      g_assert_true (derate_time_span_parse (word + 1, &span, NULL));
      policy_world_advance (world, span);
    }
  else if (g_str_equal (word, "cancel"))
    g_cancellable_cancel (cancellable);
  else if (g_str_has_prefix (word, "made="))
    g_assert_cmpuint (world->made, ==, i);
  else if (g_str_has_prefix (word, "gone="))
    g_assert_true (g_cancellable_is_cancelled (policy_world_get_cancellable (world, i)));
  else if (g_str_has_prefix (word, "there="))
    g_assert_false (g_cancellable_is_cancelled (policy_world_get_cancellable (world, i)));
  else if (g_str_has_prefix (word, "end="))
    policy_world_assert_end (world, word + 4);
  else
    policy_world_end (world, g_ascii_digit_value (word[0]), value + 1);
  policy_world_run (world);
}

static void
check_stats (DerateHedge *hedge, guint calls, guint hedges, guint won)
{
  DerateHedgeStats stats;

  derate_hedge_get_stats (hedge, &stats);
  g_assert_cmpuint (stats.calls, ==, calls);
  g_assert_cmpuint (stats.hedges, ==, hedges);
  g_assert_cmpuint (stats.won, ==, won);
}

static void
test_async (gconstpointer data)
{
  const Case *row = data;
  g_autoptr (PolicyWorld) world = policy_world_new ("hold");
  g_autoptr (DerateHedge) hedge = derate_hedge_new (world->clock, DELAY);
  g_autoptr (DerateRequest) request = derate_request_new (row->flags, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (GStrv) words = g_strsplit (row->script, " ", -1);

  policy_world_call_async (world, hedge, request, cancellable);
  for (guint i = 0; words[i] != NULL; i++)
    {
      g_test_message ("%s", words[i]);
      play_word (world, cancellable, words[i]);
    }
  check_stats (hedge, row->flags != DERATE_REQUEST_NONE, row->hedges, row->won);
  g_assert_cmpuint (g_signal_handler_find (cancellable, G_SIGNAL_MATCH_ID,
                                           g_signal_lookup ("cancelled", G_TYPE_CANCELLABLE), 0,
                                           NULL, NULL, NULL),
                    ==, 0);
}

/* An operation that ends inside its start is not hedged, and leaves no timer. */
static void
test_ends_at_once (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("S F");
  g_autoptr (DerateHedge) hedge = derate_hedge_new (world->clock, 0);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);

  policy_world_call_async (world, hedge, request, NULL);
  policy_world_finish (world);
  policy_world_assert_end (world, "1");
  policy_world_call_async (world, hedge, request, NULL);
  policy_world_finish (world);
  policy_world_advance (world, SECOND);
  g_assert_cmpuint (world->made, ==, 2);
  check_stats (hedge, 2, 0, 0);
}

/* Cancelled by the other's answer, an operation that answers in that very moment is dropped. */
static void
test_loser_answers_when_cancelled (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("cancel");
  g_autoptr (DerateHedge) hedge = derate_hedge_new (world->clock, DELAY);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);

  policy_world_call_async (world, hedge, request, NULL);
  policy_world_advance (world, DELAY);
  policy_world_end (world, 1, "S");
  policy_world_run (world);
  policy_world_assert_end (world, "2");
  g_assert_cmpuint (world->live, ==, 0);
}

/* Every call is slow: a fifth of them is hedged. */
static void
test_budget (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("hold");
  g_autoptr (DerateHedge) hedge = derate_hedge_new (world->clock, MS);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);
  DerateHedgeStats stats;
  guint next = 0;

  for (guint i = 0; i < 100; i++)
    {
      policy_world_call_async (world, hedge, request, NULL);
      policy_world_advance (world, MS);
      for (; next < world->made; next++)
        policy_world_end (world, next, "S");
      policy_world_run (world);
    }
  derate_hedge_get_stats (hedge, &stats);
  g_assert_cmpuint (stats.calls, ==, 100);
  g_assert_cmpuint (stats.hedges, ==, 20);
  g_assert_cmpuint (stats.over_budget, ==, 80);
}

/* Synchronous calls: what the first and the second attempt do.
 *   S F      answers, fails at once
 *   dS dF    lets the delay pass and the second begin first
 *   eS eF    lets it end, too
 *   dC C     waits to be cancelled
 *   x        cancels the caller's, and waits to be cancelled */
typedef struct
{
  const char *name;
  const char *words[2];
  DerateRequestFlags flags;
  const char *end;
  gint made;
  guint won;
} SyncCase;

static const SyncCase sync_cases[] = {
  { "fast", { "S", "S" }, DERATE_REQUEST_READ, "1", 1, 0 },
  { "fails-before-the-delay", { "F", "S" }, DERATE_REQUEST_READ, "F1", 1, 0 },
  { "second-wins", { "dC", "S" }, DERATE_REQUEST_READ, "2", 2, 1 },
  { "first-wins", { "dS", "C" }, DERATE_REQUEST_READ, "1", 2, 0 },
  { "first-fails-second-answers", { "dF", "S" }, DERATE_REQUEST_READ, "2", 2, 1 },
  { "second-fails-first-answers", { "eS", "F" }, DERATE_REQUEST_READ, "1", 2, 0 },
  { "both-fail-first-error", { "eF", "F" }, DERATE_REQUEST_READ, "F1", 2, 0 },
  { "both-fail-first-error-first", { "dF", "F" }, DERATE_REQUEST_READ, "F1", 2, 0 },
  { "write-goes-straight-through", { "S", "S" }, DERATE_REQUEST_NONE, "1", 1, 0 },
  { "cancelled-both", { "dC", "x" }, DERATE_REQUEST_READ, "C", 2, 0 },
};

typedef struct
{
  const SyncCase *row;
  DerateClock *clock;
  GCancellable *cancellable;
  gint made; /* atomic */
  gint second_ended; /* atomic */
  gint64 deadlines[2];
} SyncWorld;

static void
wait_to_be_cancelled (GCancellable *cancellable)
{
  while (!g_cancellable_is_cancelled (cancellable))
    g_thread_yield ();
}

static void
let_second_begin (SyncWorld *world, gboolean end)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (world->clock), DELAY);
  while (g_atomic_int_get (&world->made) < 2)
    g_thread_yield ();
  while (end && !g_atomic_int_get (&world->second_ended))
    g_thread_yield ();
}

static GVariant *
operate (GCancellable *cancellable, gpointer data, GError **error)
{
  SyncWorld *world = data;
  guint n = g_atomic_int_add (&world->made, 1);
  const char *word = world->row->words[n];
  char last = word[strlen (word) - 1];

  world->deadlines[n] = derate_call_get_deadline ();
  if (word[0] == 'd' || word[0] == 'e')
    let_second_begin (world, word[0] == 'e');
  if (last == 'x')
    g_cancellable_cancel (world->cancellable);
  if (last == 'C' || last == 'x')
    wait_to_be_cancelled (cancellable);
  if (n == 1)
    g_atomic_int_set (&world->second_ended, TRUE);
  if (last == 'S')
    return g_variant_new_uint32 (n + 1);
  if (last == 'F')
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "F%u", n + 1);
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "C");
  return NULL;
}

static void
check_sync (const SyncCase *row, DerateClock *clock, DerateHedge *hedge, gpointer policy)
{
  g_autoptr (DerateRequest) request = derate_request_new (row->flags, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GVariant) answer = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *end = NULL;
  SyncWorld world = { row, clock, cancellable, 0, 0, { 0, 0 } };

  answer = derate_policy_call (policy, request, operate, &world, cancellable, NULL, &error);
  g_assert_true ((answer == NULL) != (error == NULL));
  end = answer != NULL ? g_strdup_printf ("%u", g_variant_get_uint32 (answer))
                       : g_strdup (error->message);
  g_assert_cmpstr (end, ==, row->end);
  g_assert_cmpint (world.made, ==, row->made);
  if (row->made == 2)
    g_assert_cmpint (world.deadlines[0], ==, world.deadlines[1]);
  check_stats (hedge, row->flags != DERATE_REQUEST_NONE, row->made - 1, row->won);
  g_assert_cmpuint (g_signal_handler_find (cancellable, G_SIGNAL_MATCH_ID,
                                           g_signal_lookup ("cancelled", G_TYPE_CANCELLABLE), 0,
                                           NULL, NULL, NULL),
                    ==, 0);
}

static void
test_sync (gconstpointer data)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateHedge) hedge = derate_hedge_new (clock, DELAY);

  check_sync (data, clock, hedge, hedge);
}

/* With a timeout around it, and stages inside, both attempts know the deadline. */
static void
test_sync_pipeline (gconstpointer data)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateTimeout) timeout = derate_timeout_new (clock, SECOND);
  g_autoptr (DerateHedge) hedge = derate_hedge_new (clock, DELAY);
  g_autoptr (DerateBulkhead) bulkhead = derate_bulkhead_new (clock, 2);
  g_autoptr (DeratePipeline) pipeline = derate_pipeline_new ();

  derate_pipeline_append (pipeline, DERATE_POLICY (timeout));
  derate_pipeline_append (pipeline, DERATE_POLICY (hedge));
  derate_pipeline_append (pipeline, DERATE_POLICY (bulkhead));
  check_sync (data, clock, hedge, pipeline);
  g_assert_cmpuint (derate_bulkhead_get_in_use (bulkhead), ==, 0);
}

#define N_THREADS 4
#define N_CALLS 1000

typedef struct
{
  DerateHedge *hedge;
  DerateRequest *request;
  gint begun; /* atomic */
  gint ended; /* atomic */
} Crowd;

/* Every eighth attempt waits to be cancelled, for a while. */
static GVariant *
answer_or_hang (GCancellable *cancellable, gpointer data, GError **error)
{
  Crowd *crowd = data;
  gint n = g_atomic_int_add (&crowd->begun, 1);

  for (guint i = 0; n % 8 == 0 && i < 20000 && !g_cancellable_is_cancelled (cancellable); i++)
    g_thread_yield ();
  g_atomic_int_inc (&crowd->ended);
  if (!g_cancellable_set_error_if_cancelled (cancellable, error))
    return g_variant_new_boolean (TRUE);
  return NULL;
}

static gpointer
call_often (gpointer data)
{
  Crowd *crowd = data;

  for (guint i = 0; i < N_CALLS; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GVariant) answer =
          derate_policy_call (DERATE_POLICY (crowd->hedge), crowd->request, answer_or_hang, crowd,
                              NULL, NULL, &error);

      g_assert_no_error (error);
      g_assert_nonnull (answer);
    }
  return NULL;
}

/* Real time and many at once: every call is answered, and every attempt has ended with it. */
static void
test_threads (void)
{
  g_autoptr (DerateHedge) hedge = derate_hedge_new (NULL, 20);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);
  Crowd crowd = { hedge, request, 0, 0 };
  GThread *threads[N_THREADS];
  DerateHedgeStats stats;

  g_assert_true (derate_hedge_set_budget (hedge, INFINITY, 0, NULL));
  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("call", call_often, &crowd);
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  derate_hedge_get_stats (hedge, &stats);
  g_assert_cmpuint (stats.calls, ==, N_THREADS * N_CALLS);
  g_assert_cmpint (crowd.begun, ==, crowd.ended);
  /* One cancelled before it began does not get as far as the operation. */
  g_assert_cmpuint (stats.hedges, >=, crowd.begun - N_THREADS * N_CALLS);
  g_assert_cmpuint (stats.won, <=, stats.hedges);
}

/* The quantile of what calls took, and how it follows. */
static void
test_latency (void)
{
  DerateLatency *latency = derate_latency_new (.95);
  gint64 now = SECOND;

  for (guint i = 1; i <= 19; i++)
    derate_latency_add (latency, 10 * MS);
  g_assert_cmpint (derate_latency_get (latency, now), ==, 0);
  for (guint i = 20; i <= 1000; i++)
    derate_latency_add (latency, i <= 940 ? 10 * MS : SECOND);
  g_assert_cmpint (derate_latency_get (latency, now), ==, 0);
  now += SECOND;
  g_assert_cmpint (derate_latency_get (latency, now), >=, SECOND);
  g_assert_cmpint (derate_latency_get (latency, now), <=, SECOND * 9 / 8);
  for (guint i = 0; i < 1000; i++)
    derate_latency_add (latency, 10 * MS);
  now += SECOND;
  g_assert_cmpint (derate_latency_get (latency, now), >=, 10 * MS);
  g_assert_cmpint (derate_latency_get (latency, now), <=, 10 * MS * 9 / 8);

  /* A minute later all of it is forgotten. */
  for (guint i = 0; i < 70; i++)
    derate_latency_get (latency, now += SECOND);
  g_assert_cmpint (derate_latency_get (latency, now), ==, 0);
  derate_latency_free (latency);
}

/* What was counted before nobody asked for a long time is old, also a little before that. */
static void
test_latency_idle (void)
{
  static const struct
  {
    GTimeSpan idle;
    gboolean forgotten;
  } rows[] = {
    { 29 * SECOND, FALSE }, { 59 * SECOND, FALSE }, { 60 * SECOND, TRUE }, { 3600 * SECOND, TRUE }
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      DerateLatency *latency = derate_latency_new (.95);
      gint64 now = SECOND;

      derate_latency_get (latency, now);
      for (guint k = 0; k < 100; k++)
        derate_latency_add (latency, SECOND);
      now += rows[i].idle;
      g_assert_cmpint (derate_latency_get (latency, now) == 0, ==, rows[i].forgotten);
      for (guint k = 0; k < 2000; k++)
        derate_latency_add (latency, 10 * MS);
      now += SECOND;
      g_assert_cmpint (derate_latency_get (latency, now), >=, 10 * MS);
      g_assert_cmpint (derate_latency_get (latency, now), <=, 10 * MS * 9 / 8);
      derate_latency_free (latency);
    }
}

/* Every span is in a bucket that is not an eighth too high. */
static void
test_latency_edges (void)
{
  for (GTimeSpan span = 1; span < 1 << 29; span += 1 + span / 5)
    {
      DerateLatency *latency = derate_latency_new (.5);

      for (guint i = 0; i < 20; i++)
        derate_latency_add (latency, span);
      g_assert_cmpint (derate_latency_get (latency, 0), >=, span);
      g_assert_cmpint (derate_latency_get (latency, 0), <=, MAX (span * 9 / 8 + 1, 64));
      derate_latency_free (latency);
    }
}

static void
test_extreme_latency (void)
{
  static const GTimeSpan spans[] = { G_MININT64, -1, 0, 1, G_MAXINT64 };
  DerateLatency *latency = derate_latency_new (.999);

  for (guint i = 0; i < 100; i++)
    derate_latency_add (latency, spans[i % G_N_ELEMENTS (spans)]);
  g_assert_cmpint (derate_latency_get (latency, G_MAXINT64 - 100 * SECOND), ==, 1 << 30);
  derate_latency_free (latency);
}

/* The delay is the given one until there are twenty calls, then what 95 % of them take. */
static void
test_quantile (void)
{
  g_autoptr (PolicyWorld) world = policy_world_new ("+20ms:S");
  g_autoptr (DerateHedge) hedge = derate_hedge_new (world->clock, SECOND);
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_READ, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_false (derate_hedge_set_quantile (hedge, 0, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT);
  g_assert_false (derate_hedge_set_quantile (hedge, 1, NULL));
  g_assert_false (derate_hedge_set_quantile (hedge, NAN, NULL));
  g_assert_false (derate_hedge_set_budget (hedge, -1, 0, NULL));
  g_assert_true (derate_hedge_set_quantile (hedge, .95, NULL));
  g_assert_cmpint (derate_hedge_get_delay (hedge), ==, SECOND);
  for (guint i = 0; i < 100; i++)
    {
      policy_world_call (world, hedge, request, NULL);
      g_assert_no_error (world->error);
    }
  g_assert_cmpint (derate_hedge_get_delay (hedge), >=, 20 * MS);
  g_assert_cmpint (derate_hedge_get_delay (hedge), <=, 20 * MS * 9 / 8);

  policy_world_set_script (world, "hold");
  policy_world_call_async (world, hedge, request, NULL);
  policy_world_advance (world, 23 * MS);
  g_assert_cmpuint (world->made, ==, 2);
}

int
main (int argc, char **argv)
{
  policy_test_init (&argc, &argv);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *name = g_strdup_printf ("/hedge/async/%s", cases[i].name);

      g_test_add_data_func (name, &cases[i], test_async);
    }
  for (guint i = 0; i < G_N_ELEMENTS (sync_cases); i++)
    {
      g_autofree char *name = g_strdup_printf ("/hedge/sync/%s", sync_cases[i].name);
      g_autofree char *pipeline = g_strdup_printf ("/hedge/pipeline/%s", sync_cases[i].name);

      g_test_add_data_func (name, &sync_cases[i], test_sync);
      g_test_add_data_func (pipeline, &sync_cases[i], test_sync_pipeline);
    }
  g_test_add_func ("/hedge/async/ends-at-once", test_ends_at_once);
  g_test_add_func ("/hedge/async/loser-answers-when-cancelled", test_loser_answers_when_cancelled);
  g_test_add_func ("/hedge/async/budget", test_budget);
  g_test_add_func ("/hedge/sync/threads", test_threads);
  g_test_add_func ("/hedge/latency", test_latency);
  g_test_add_func ("/hedge/latency-idle", test_latency_idle);
  g_test_add_func ("/hedge/latency-edges", test_latency_edges);
  g_test_add_func ("/hedge/latency-extremes", test_extreme_latency);
  g_test_add_func ("/hedge/quantile", test_quantile);
  return g_test_run ();
}
