/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-monitor-thread-private.h"

struct _DerateMonitorThread
{
  GThread *thread;
  GMainContext *context;
  GMainLoop *loop;
  gboolean left_alone; /* nobody joins it: it frees itself */
};

static void
thread_free (DerateMonitorThread *thread)
{
  g_main_loop_unref (thread->loop);
  g_main_context_unref (thread->context);
  g_free (thread);
}

static gpointer
run (gpointer data)
{
  DerateMonitorThread *thread = data;

  g_main_context_push_thread_default (thread->context);
  g_main_loop_run (thread->loop);
  while (g_main_context_iteration (thread->context, FALSE))
    ;
  g_main_context_pop_thread_default (thread->context);
  if (thread->left_alone)
    thread_free (thread);
  return NULL;
}

DerateMonitorThread *
derate_monitor_thread_start (GMainContext *context)
{
  DerateMonitorThread *thread = g_new0 (DerateMonitorThread, 1);

  thread->context = g_main_context_ref (context);
  thread->loop = g_main_loop_new (context, FALSE);
  thread->thread = g_thread_new ("derate-monitor", run, thread);
  return thread;
}

static gboolean
quit (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_REMOVE;
}

void
derate_monitor_thread_stop (DerateMonitorThread *thread)
{
  g_autoptr (GSource) source = g_idle_source_new ();

  /* As a source, so that a loop which has not begun to run yet is ended too. */
  g_source_set_callback (source, quit, g_main_loop_ref (thread->loop),
                         (GDestroyNotify)g_main_loop_unref);
  g_source_attach (source, thread->context);
  if (thread->thread == g_thread_self ())
    {
      thread->left_alone = TRUE;
      g_thread_unref (thread->thread);
      return;
    }
  g_thread_join (thread->thread);
  thread_free (thread);
}
