/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>

#include "derate-adaptive-limit-private.h"

#define SECOND G_TIME_SPAN_SECOND
#define MS G_TIME_SPAN_MILLISECOND

/* A service that does so many calls at once as fast as one; more of them share its time. Callers
 * use what the limit allows, as far as there are any. */
typedef struct
{
  DerateAdaptiveLimit *limit;
  gint64 now;
  guint capacity;
  guint callers;
  GTimeSpan alone; /* what one call takes */
} Server;

/* One second of calls, each a tenth more or less. */
static void
serve (Server *server)
{
  guint in_flight = MIN (derate_adaptive_limit_get (server->limit), server->callers);
  double share = MAX (1.0, (double)in_flight / server->capacity);

  for (guint i = 0; i < 20; i++)
    {
      server->now += SECOND / 20;
      derate_adaptive_limit_tell (server->limit, DERATE_SAMPLE_SUCCESS, server->now,
                                  (GTimeSpan)(server->alone * share *
                                              g_test_rand_double_range (.9, 1.1)),
                                  in_flight);
    }
}

/* Serves and says within which bounds the limit was in the last @watched seconds. */
static void
serve_for (Server *server, guint seconds, guint watched, guint *lowest, guint *highest)
{
  *lowest = G_MAXUINT;
  *highest = 0;
  for (guint i = 0; i < seconds; i++)
    {
      serve (server);
      if (i + watched < seconds)
        continue;
      *lowest = MIN (*lowest, derate_adaptive_limit_get (server->limit));
      *highest = MAX (*highest, derate_adaptive_limit_get (server->limit));
    }
}

static void
server_init (Server *server, guint capacity, guint initial, guint min, guint max)
{
  *server = (Server){
    .limit = derate_adaptive_limit_new (initial, min, max),
    .now = SECOND,
    .capacity = capacity,
    .callers = 1000,
    .alone = 50 * MS,
  };
}

/* Between the capacity and twice that and the queue, from the fifth minute to the fifteenth. */
static void
test_converges (void)
{
  static const guint capacities[] = { 15, 40, 80 };

  for (guint i = 0; i < G_N_ELEMENTS (capacities); i++)
    {
      Server server;
      guint lowest;
      guint highest;

      server_init (&server, capacities[i], 10, 1, 1000);
      serve_for (&server, 900, 600, &lowest, &highest);
      g_test_message ("capacity %u: limit %u to %u", capacities[i], lowest, highest);
      g_assert_cmpuint (lowest, >=, capacities[i]);
      g_assert_cmpuint (highest, <=, 2 * capacities[i] + 4);
      derate_adaptive_limit_free (server.limit);
    }
}

/* Calls take four times as long: it falls within seconds, not to the floor, and comes back. */
static void
test_falls (void)
{
  Server server;
  guint lowest;
  guint highest;
  guint before;

  server_init (&server, 40, 20, 1, 200);
  serve_for (&server, 300, 60, &before, &highest);
  server.alone *= 4;
  serve_for (&server, 15, 1, &lowest, &highest);
  g_assert_cmpuint (highest, <, before / 2);
  serve_for (&server, 285, 285, &lowest, &highest);
  g_assert_cmpuint (lowest, >=, 5);
  server.alone /= 4;
  serve_for (&server, 120, 60, &lowest, &highest);
  g_assert_cmpuint (lowest, >=, 40);
  g_assert_cmpuint (highest, <=, 100);
  derate_adaptive_limit_free (server.limit);
}

/* A program that makes few calls neither raises the limit nor lowers it. */
static void
test_idle (void)
{
  Server server;
  guint lowest;
  guint highest;

  server_init (&server, 40, 20, 1, 200);
  server.callers = 9;
  serve_for (&server, 300, 300, &lowest, &highest);
  g_assert_cmpuint (lowest, ==, 20);
  g_assert_cmpuint (highest, ==, 20);
  derate_adaptive_limit_free (server.limit);
}

typedef struct
{
  const char *name;
  DerateSample sample;
  GTimeSpan rtt;
  guint n; /* in a window */
  guint limit; /* after three windows, from 100 */
} Case;

static const Case cases[] = {
  { "grows-by-a-fifth-of-the-queue", DERATE_SAMPLE_SUCCESS, 100, 10, 102 },
  { "under-100us-says-nothing", DERATE_SAMPLE_SUCCESS, 99, 100, 100 },
  { "under-10-samples-says-nothing", DERATE_SAMPLE_SUCCESS, 100, 9, 100 },
  { "ignored-says-nothing", DERATE_SAMPLE_IGNORED, 100, 100, 100 },
  { "dropped-takes-a-tenth", DERATE_SAMPLE_DROPPED, 10, 10, 72 },
};

static void
test_case (gconstpointer data)
{
  const Case *row = data;
  g_autoptr (DerateAdaptiveLimit) limit = derate_adaptive_limit_new (100, 1, 1000);
  gint64 now = SECOND;

  for (guint window = 0; window < 3; window++)
    {
      for (guint i = 0; i < row->n - 1; i++)
        g_assert_false (derate_adaptive_limit_tell (limit, row->sample, now, row->rtt, 100));
      now += SECOND;
      derate_adaptive_limit_tell (limit, row->sample, now, row->rtt, 100);
    }
  g_assert_cmpuint (derate_adaptive_limit_get (limit), ==, row->limit);
}

/* Whatever it is told, it keeps its bounds. */
static void
test_bounds (void)
{
  for (guint round = 0; round < 100; round++)
    {
      guint min = g_test_rand_int_range (1, 30);
      guint max = min + g_test_rand_int_range (0, 100);
      g_autoptr (DerateAdaptiveLimit) limit =
          derate_adaptive_limit_new (g_test_rand_int_range (1, 200), min, max);
      gint64 now = SECOND;

      for (guint i = 0; i < 3000; i++)
        {
          guint before = derate_adaptive_limit_get (limit);
          gboolean changed;

          now += g_test_rand_int_range (0, 300) * MS;
          changed = derate_adaptive_limit_tell (limit, g_test_rand_int_range (1, 4), now,
                                                g_test_rand_int_range (0, 1 << 30),
                                                g_test_rand_int_range (0, 300));
          g_assert_cmpuint (derate_adaptive_limit_get (limit), >=, min);
          g_assert_cmpuint (derate_adaptive_limit_get (limit), <=, max);
          g_assert_true (changed == (before != derate_adaptive_limit_get (limit)));
        }
    }
}

/* A bulkhead that learns: as many calls as it lets run, each second. */
typedef struct
{
  DerateClock *clock;
  DerateBulkhead *bulkhead;
  GPtrArray *running; /* (element-type DerateCall) */
  guint answered;
  guint refused;
} Learner;

static void
start (DerateCall *call, GCancellable *cancellable, gpointer data)
{
  g_ptr_array_add (((Learner *)data)->running, call);
}

static void
on_done (GObject *source, GAsyncResult *result, gpointer data)
{
  Learner *learner = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer =
      derate_policy_call_finish (DERATE_POLICY (source), result, NULL, &error);

  learner->answered += answer != NULL;
  learner->refused += g_error_matches (error, DERATE_ERROR, DERATE_ERROR_QUEUE_FULL);
}

static void
learner_call (Learner *learner, guint n)
{
  for (guint i = 0; i < n; i++)
    derate_policy_call_async (DERATE_POLICY (learner->bulkhead), NULL, start, learner, NULL, NULL,
                              on_done, learner);
}

/* Ends what runs, and what runs then. */
static void
learner_end (Learner *learner, const GError *error)
{
  while (learner->running->len > 0)
    {
      DerateCall *call = g_ptr_array_steal_index (learner->running, 0);

      if (error != NULL)
        derate_call_fail (call, error);
      else
        derate_call_succeed (call, g_variant_new_boolean (TRUE));
      derate_call_unref (call);
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (learner->clock), 0);
    }
}

static void
test_bulkhead (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBulkhead) bulkhead = derate_bulkhead_new (clock, 20);
  g_autoptr (GPtrArray) running = g_ptr_array_new ();
  g_autoptr (GError) error = g_error_new_literal (DERATE_ERROR, DERATE_ERROR_TIMED_OUT, "late");
  Learner learner = { clock, bulkhead, running, 0, 0 };
  guint limit;

  g_assert_true (derate_bulkhead_set_adaptive (bulkhead, 10, 30, NULL));
  g_assert_true (derate_bulkhead_set_queue (bulkhead, 100, DERATE_CLOCK_NEVER, NULL));
  g_assert_cmpuint (derate_bulkhead_get_limit (bulkhead), ==, 20);
  for (guint i = 0; i < 30; i++)
    {
      limit = derate_bulkhead_get_limit (bulkhead);
      learner_call (&learner, limit + 5);
      g_assert_cmpuint (derate_bulkhead_get_in_use (bulkhead), ==, limit);
      g_assert_cmpuint (derate_bulkhead_get_waiting (bulkhead), ==, 5);
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), SECOND);
      learner_end (&learner, NULL);
      g_assert_cmpuint (derate_bulkhead_get_in_use (bulkhead), ==, 0);
    }
  g_assert_cmpuint (derate_bulkhead_get_limit (bulkhead), >, 25);

  for (guint i = 0; i < 30; i++)
    {
      learner_call (&learner, derate_bulkhead_get_limit (bulkhead));
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), SECOND);
      learner_end (&learner, error);
    }
  g_assert_cmpuint (derate_bulkhead_get_limit (bulkhead), ==, 10);
  g_assert_cmpuint (learner.refused, ==, 0);
}

/* A limit that grows lets those in who wait. */
static void
test_growing_admits (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBulkhead) bulkhead = derate_bulkhead_new (clock, 20);
  g_autoptr (GPtrArray) running = g_ptr_array_new ();
  Learner learner = { clock, bulkhead, running, 0, 0 };

  g_assert_true (derate_bulkhead_set_adaptive (bulkhead, 10, 30, NULL));
  g_assert_true (derate_bulkhead_set_queue (bulkhead, 100, DERATE_CLOCK_NEVER, NULL));
  for (guint i = 0; i < 3; i++)
    {
      learner_call (&learner, 90 - running->len - derate_bulkhead_get_waiting (bulkhead));
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), SECOND);
      for (guint j = 0; j < 20; j++)
        {
          g_autoptr (DerateCall) call = g_ptr_array_steal_index (running, 0);

          derate_call_succeed (call, g_variant_new_boolean (TRUE));
          derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 0);
          g_assert_cmpuint (running->len, ==, derate_bulkhead_get_limit (bulkhead));
          g_assert_cmpuint (derate_bulkhead_get_in_use (bulkhead), ==, running->len);
        }
    }
  g_assert_cmpuint (running->len, >, 20);
  learner_end (&learner, NULL);
  g_assert_cmpuint (derate_bulkhead_get_in_use (bulkhead), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/adaptive-limit/converges", test_converges);
  g_test_add_func ("/adaptive-limit/falls-and-comes-back", test_falls);
  g_test_add_func ("/adaptive-limit/idle", test_idle);
  g_test_add_func ("/adaptive-limit/bounds", test_bounds);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *name = g_strdup_printf ("/adaptive-limit/%s", cases[i].name);

      g_test_add_data_func (name, &cases[i], test_case);
    }
  g_test_add_func ("/adaptive-limit/bulkhead", test_bulkhead);
  g_test_add_func ("/adaptive-limit/growing-admits", test_growing_admits);
  return g_test_run ();
}
