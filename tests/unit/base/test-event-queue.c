/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-event-queue-private.h"

typedef struct
{
  DerateEventQueue *queue;
  GMainContext *context;
  GArray *seen;
  guint n_freed;
} Fixture;

static Fixture *current;

static void
on_event (gpointer owner, gpointer data)
{
  gint number = GPOINTER_TO_INT (data);

  g_array_append_val (current->seen, number);
  g_assert_true (owner == NULL || G_IS_OBJECT (owner));
}

static void
count_freed (gpointer data)
{
  current->n_freed++;
}

static void
push (Fixture *fixture, gint number)
{
  derate_event_queue_push (fixture->queue, NULL, on_event, GINT_TO_POINTER (number), count_freed);
}

static void
run (Fixture *fixture)
{
  while (g_main_context_iteration (fixture->context, FALSE))
    ;
}

static void
fixture_set_up (Fixture *fixture, gconstpointer data)
{
  current = fixture;
  fixture->context = g_main_context_new ();
  fixture->queue = derate_event_queue_new (fixture->context);
  fixture->seen = g_array_new (FALSE, FALSE, sizeof (gint));
}

static void
fixture_tear_down (Fixture *fixture, gconstpointer data)
{
  g_clear_pointer (&fixture->queue, derate_event_queue_unref);
  g_main_context_unref (fixture->context);
  g_array_unref (fixture->seen);
}

static void
assert_seen (Fixture *fixture, gint n)
{
  g_assert_cmpuint (fixture->seen->len, ==, n);
  for (gint i = 0; i < n; i++)
    g_assert_cmpint (g_array_index (fixture->seen, gint, i), ==, i);
}

static void
test_order (Fixture *fixture, gconstpointer data)
{
  g_assert_true (derate_event_queue_get_context (fixture->queue) == fixture->context);
  for (gint i = 0; i < 10; i++)
    push (fixture, i);
  assert_seen (fixture, 0);
  run (fixture);
  assert_seen (fixture, 10);
  g_assert_cmpuint (fixture->n_freed, ==, 10);
}

static void
push_again (gpointer owner, gpointer data)
{
  on_event (owner, GINT_TO_POINTER (0));
  push (data, 2);
}

/* A call that pushes does not overtake what is there. */
static void
test_reentrant (Fixture *fixture, gconstpointer data)
{
  derate_event_queue_push (fixture->queue, NULL, push_again, fixture, NULL);
  push (fixture, 1);
  run (fixture);
  assert_seen (fixture, 3);
}

static gboolean
count_turn (gpointer data)
{
  (*(guint *)data)++;
  return G_SOURCE_CONTINUE;
}

/* However many there are, the loop's other sources have their turns in between. */
static void
test_flood (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GSource) other = g_idle_source_new ();
  guint n_turns = 0;

  g_source_set_priority (other, G_PRIORITY_DEFAULT);
  g_source_set_callback (other, count_turn, &n_turns, NULL);
  g_source_attach (other, fixture->context);
  for (gint i = 0; i < 1000; i++)
    push (fixture, i);
  while (fixture->n_freed < 1000)
    g_main_context_iteration (fixture->context, FALSE);
  g_assert_cmpuint (n_turns, >=, 1000 / 64);
  assert_seen (fixture, 1000);
  g_source_destroy (other);
}

/* A handler that runs a loop of its own, as a dialog does, hears of nothing out of order. */
static void
push_and_run (gpointer owner, gpointer data)
{
  on_event (owner, data);
  push (current, 3);
  run (current);
}

static void
test_nested_loop (Fixture *fixture, gconstpointer data)
{
  derate_event_queue_push (fixture->queue, NULL, push_and_run, GINT_TO_POINTER (0), count_freed);
  push (fixture, 1);
  push (fixture, 2);
  run (fixture);
  assert_seen (fixture, 4);
  g_assert_cmpuint (fixture->n_freed, ==, 4);
}

static void
test_owner_is_kept (Fixture *fixture, gconstpointer data)
{
  GObject *owner = g_object_new (G_TYPE_OBJECT, NULL);
  gpointer weak = owner;

  g_object_add_weak_pointer (owner, &weak);
  derate_event_queue_push (fixture->queue, owner, on_event, GINT_TO_POINTER (0), NULL);
  g_object_unref (owner);
  g_assert_nonnull (weak);
  run (fixture);
  assert_seen (fixture, 1);
  g_assert_null (weak);
}

#define N_THREADS 4
#define N_PUSHES 500

static gpointer
push_many (gpointer data)
{
  for (gint i = 0; i < N_PUSHES; i++)
    derate_event_queue_push (current->queue, NULL, on_event,
                             GINT_TO_POINTER (GPOINTER_TO_INT (data) * N_PUSHES + i), NULL);
  return NULL;
}

/* From many threads: each thread's own come in its order, and none is lost. */
static void
test_threads (Fixture *fixture, gconstpointer data)
{
  GThread *threads[N_THREADS];
  gint next[N_THREADS] = { 0 };

  for (gint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("pusher", push_many, GINT_TO_POINTER (i));
  while (fixture->seen->len < N_THREADS * N_PUSHES)
    g_main_context_iteration (fixture->context, TRUE);
  for (gint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  for (guint i = 0; i < fixture->seen->len; i++)
    {
      gint number = g_array_index (fixture->seen, gint, i);

      g_assert_cmpint (number % N_PUSHES, ==, next[number / N_PUSHES]++);
    }
  run (fixture);
  g_assert_cmpuint (fixture->seen->len, ==, N_THREADS * N_PUSHES);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) \
  g_test_add ("/event-queue/" path, Fixture, NULL, fixture_set_up, func, fixture_tear_down)
  ADD ("order", test_order);
  ADD ("reentrant", test_reentrant);
  ADD ("flood", test_flood);
  ADD ("nested-loop", test_nested_loop);
  ADD ("owner-is-kept", test_owner_is_kept);
  ADD ("threads", test_threads);
#undef ADD
  return g_test_run ();
}
