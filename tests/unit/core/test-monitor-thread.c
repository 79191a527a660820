/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-monitor-thread-private.h"

typedef struct
{
  DerateMonitorThread *thread;
  GThread *ran_in;
  int queued; /* atomic */
  GMutex mutex;
  GCond cond;
  gboolean freed; /* the context, by the mutex */
} Fixture;

static gboolean
note_thread (gpointer data)
{
  Fixture *fixture = data;

  fixture->ran_in = g_thread_self ();
  g_atomic_int_inc (&fixture->queued);
  return G_SOURCE_REMOVE;
}

static void
test_stop_runs_what_is_queued (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Fixture fixture = { 0 };

  fixture.thread = derate_monitor_thread_start (context);
  g_main_context_invoke (context, note_thread, &fixture);
  derate_monitor_thread_stop (fixture.thread);
  g_assert_cmpint (g_atomic_int_get (&fixture.queued), ==, 1);
  g_assert_true (fixture.ran_in != g_thread_self ());
}

static gboolean
stop_here (gpointer data)
{
  Fixture *fixture = data;

  derate_monitor_thread_stop (fixture->thread);
  return G_SOURCE_REMOVE;
}

static void
note_freed (gpointer data)
{
  Fixture *fixture = data;

  g_mutex_lock (&fixture->mutex);
  fixture->freed = TRUE;
  g_cond_signal (&fixture->cond);
  g_mutex_unlock (&fixture->mutex);
}

/* Where the last reference of a core is dropped in its own thread: the thread does not wait for
 * itself, ends, and lets go of its context. */
static void
test_stop_in_the_thread_itself (void)
{
  GMainContext *context = g_main_context_new ();
  g_autoptr (GSource) never = g_timeout_source_new_seconds (3600);
  gint64 late = g_get_monotonic_time () + 30 * G_TIME_SPAN_SECOND;
  Fixture fixture = { 0 };
  gboolean in_time = TRUE;

  g_source_set_callback (never, note_thread, &fixture, note_freed);
  g_source_attach (never, context);
  fixture.thread = derate_monitor_thread_start (context);
  g_main_context_invoke (context, stop_here, &fixture);
  g_main_context_unref (context);

  g_mutex_lock (&fixture.mutex);
  while (!fixture.freed && in_time)
    in_time = g_cond_wait_until (&fixture.cond, &fixture.mutex, late);
  g_mutex_unlock (&fixture.mutex);
  g_assert_true (in_time);
  g_assert_cmpint (g_atomic_int_get (&fixture.queued), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/monitor-thread/stop-runs-what-is-queued", test_stop_runs_what_is_queued);
  g_test_add_func ("/monitor-thread/stop-in-the-thread-itself", test_stop_in_the_thread_itself);
  return g_test_run ();
}
