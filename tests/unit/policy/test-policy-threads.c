/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>

/* Two threads on one pipeline, each with calls of both kinds, some cancelled from the other
 * side, which may be busy with its own. */
#define N_CALLS 2000

typedef struct
{
  DeratePipeline *pipeline;
  GCancellable *own;
  GCancellable *other; /* cancelled half-way */
  guint ended;
  guint answered;
  guint cancelled;
} Side;

static GVariant *
answer (GCancellable *cancellable, gpointer data, GError **error)
{
  g_autoptr (GCancellable) token = derate_call_dup_cancellable ();

  g_assert_nonnull (token);
  return g_variant_new_uint32 (1);
}

static gpointer
answer_elsewhere (gpointer data)
{
  DerateCall *call = data;

  derate_call_succeed (call, g_variant_new_uint32 (2));
  derate_call_unref (call);
  return NULL;
}

/* Now here, now there. */
static void
start (DerateCall *call, GCancellable *cancellable, gpointer data)
{
  static gint n = 0;

  if (g_atomic_int_add (&n, 1) % 50 == 0)
    g_thread_unref (g_thread_new ("operation", answer_elsewhere, call));
  else
    answer_elsewhere (call);
}

static void
on_done (GObject *source, GAsyncResult *result, gpointer data)
{
  Side *side = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) found =
      derate_policy_call_finish (DERATE_POLICY (source), result, NULL, &error);

  side->ended++;
  if (found != NULL)
    side->answered++;
  else
    {
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      side->cancelled++;
    }
}

static gpointer
work (gpointer data)
{
  Side *side = data;
  DeratePolicy *policy = DERATE_POLICY (side->pipeline);
  g_autoptr (GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  for (guint i = 0; i < N_CALLS; i++)
    {
      g_autoptr (GVariant) found =
          derate_policy_call (policy, NULL, answer, NULL, NULL, NULL, NULL);

      g_assert_nonnull (found);
      derate_policy_call_async (policy, NULL, start, NULL, NULL, side->own, on_done, side);
      if (i == N_CALLS / 2)
        g_cancellable_cancel (side->other);
      /* The last calls are made when that has happened. */
      while (i == N_CALLS - 2 && !g_cancellable_is_cancelled (side->own))
        g_thread_yield ();
      g_main_context_iteration (context, FALSE);
    }
  while (side->ended < N_CALLS)
    g_main_context_iteration (context, TRUE);
  g_main_context_pop_thread_default (context);
  return NULL;
}

static DeratePipeline *
make_pipeline (void)
{
  DeratePipeline *pipeline = derate_pipeline_new ();
  g_autoptr (DerateBreaker) breaker = derate_breaker_new ("b", NULL);
  g_autoptr (DerateBreakerPolicy) stage = derate_breaker_policy_new (breaker);
  g_autoptr (DerateTimeout) timeout = derate_timeout_new (NULL, G_TIME_SPAN_HOUR);

  derate_pipeline_append (pipeline, DERATE_POLICY (stage));
  derate_pipeline_append (pipeline, DERATE_POLICY (timeout));
  return pipeline;
}

static void
test_two_threads (void)
{
  g_autoptr (DeratePipeline) pipeline = make_pipeline ();
  g_autoptr (GCancellable) first = g_cancellable_new ();
  g_autoptr (GCancellable) second = g_cancellable_new ();
  Side sides[] = { { pipeline, first, second }, { pipeline, second, first } };
  GThread *threads[G_N_ELEMENTS (sides)];

  for (guint i = 0; i < G_N_ELEMENTS (sides); i++)
    threads[i] = g_thread_new ("side", work, &sides[i]);
  for (guint i = 0; i < G_N_ELEMENTS (sides); i++)
    {
      g_thread_join (threads[i]);
      g_assert_cmpuint (sides[i].answered + sides[i].cancelled, ==, N_CALLS);
      g_assert_cmpuint (sides[i].cancelled, >, 0);
    }
  g_assert_false (g_signal_has_handler_pending (first,
                                                g_signal_lookup ("cancelled", G_TYPE_CANCELLABLE),
                                                0, TRUE));
}

/* A thread without a context of its own calls, and this thread runs the default one: all of the
 * call happens here. */
typedef struct
{
  GThread *main;
  DeratePipeline *pipeline;
  guint ended;
} Guest;

static void
start_here (DerateCall *call, GCancellable *cancellable, gpointer data)
{
  Guest *guest = data;

  g_assert_true (g_thread_self () == guest->main);
  answer_elsewhere (call);
}

static void
on_guest_done (GObject *source, GAsyncResult *result, gpointer data)
{
  Guest *guest = data;
  g_autoptr (GVariant) found =
      derate_policy_call_finish (DERATE_POLICY (source), result, NULL, NULL);

  g_assert_nonnull (found);
  g_assert_true (g_thread_self () == guest->main);
  guest->ended++;
}

static gpointer
call_from_outside (gpointer data)
{
  Guest *guest = data;

  for (guint i = 0; i < 100; i++)
    derate_policy_call_async (DERATE_POLICY (guest->pipeline), NULL, start_here, guest, NULL, NULL,
                              on_guest_done, guest);
  return NULL;
}

static void
test_foreign_context (void)
{
  Guest guest = { g_thread_self (), make_pipeline (), 0 };
  GThread *thread;

  g_assert_true (g_main_context_acquire (NULL));
  thread = g_thread_new ("guest", call_from_outside, &guest);
  while (guest.ended < 100)
    g_main_context_iteration (NULL, TRUE);
  g_thread_join (thread);
  g_main_context_release (NULL);
  g_object_unref (guest.pipeline);
}

/* The end of a call crosses its answers, and its context goes at once: each call is freed, and
 * gives its places back, in whatever thread comes last. */
typedef struct
{
  GThreadPool *pool;
  gint freed; /* atomic */
  gboolean ended;
} Crossing;

static void
answer_in_pool (gpointer call, gpointer data)
{
  answer_elsewhere (call);
}

static void
start_in_pool (DerateCall *call, GCancellable *cancellable, gpointer data)
{
  g_thread_pool_push (((Crossing *)data)->pool, call, NULL);
}

static void
on_crossing_freed (gpointer data)
{
  g_atomic_int_inc (&((Crossing *)data)->freed);
}

static void
on_crossing_done (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) found =
      derate_policy_call_finish (DERATE_POLICY (source), result, NULL, &error);

  if (found == NULL)
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  ((Crossing *)data)->ended = TRUE;
}

static void
cross (Crossing *crossing, DeratePolicy *policy, guint i)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (DerateRequest) request = derate_request_new (DERATE_REQUEST_IDEMPOTENT, NULL);

  crossing->ended = FALSE;
  g_main_context_push_thread_default (context);
  derate_policy_call_async (policy, request, start_in_pool, crossing, on_crossing_freed,
                            cancellable, on_crossing_done, crossing);
  for (guint turns = i % 4; turns > 0; turns--)
    g_main_context_iteration (context, FALSE);
  g_cancellable_cancel (cancellable);
  while (!crossing->ended)
    g_main_context_iteration (context, TRUE);
  g_main_context_pop_thread_default (context);
}

static void
test_crossing (void)
{
  g_autoptr (DeratePipeline) pipeline = make_pipeline ();
  g_autoptr (DerateHedge) hedge = derate_hedge_new (NULL, 0);
  g_autoptr (DerateTimeout) inner = derate_timeout_new (NULL, G_TIME_SPAN_HOUR);
  g_autoptr (DerateBulkhead) bulkhead = derate_bulkhead_new (NULL, 2 * N_CALLS);
  Crossing crossing = { g_thread_pool_new (answer_in_pool, NULL, 3, FALSE, NULL), 0, FALSE };

  g_assert_true (derate_hedge_set_budget (hedge, 1, N_CALLS, NULL));
  derate_pipeline_append (pipeline, DERATE_POLICY (hedge));
  derate_pipeline_append (pipeline, DERATE_POLICY (inner));
  derate_pipeline_append (pipeline, DERATE_POLICY (bulkhead));
  for (guint i = 0; i < N_CALLS; i++)
    cross (&crossing, DERATE_POLICY (pipeline), i);
  g_thread_pool_free (crossing.pool, FALSE, TRUE);
  g_assert_cmpuint (derate_bulkhead_get_in_use (bulkhead), ==, 0);
  g_assert_cmpint (g_atomic_int_get (&crossing.freed), ==, N_CALLS);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/policy-threads/two-threads", test_two_threads);
  g_test_add_func ("/policy-threads/foreign-context", test_foreign_context);
  g_test_add_func ("/policy-threads/crossing", test_crossing);
  return g_test_run ();
}
