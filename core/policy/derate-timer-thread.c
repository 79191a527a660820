/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-timer-thread-private.h"

/* Handed out when the thread owns it: a manual clock runs the context of a timer that nobody does.
 */
static GMutex mutex;
static GCond owned;
static GMainContext *context = NULL;

static gpointer
run (gpointer data)
{
  GMainContext *own = g_main_context_new ();

  g_main_context_push_thread_default (own);
  g_mutex_lock (&mutex);
  context = own;
  g_cond_signal (&owned);
  g_mutex_unlock (&mutex);
  while (TRUE)
    g_main_context_iteration (own, TRUE);
  return NULL;
}

GMainContext *
derate_timer_thread_get_context (void)
{
  static gsize once = 0;

  if (g_once_init_enter (&once))
    {
      g_mutex_lock (&mutex);
      g_thread_unref (g_thread_new ("derate-timers", run, NULL));
      while (context == NULL)
        g_cond_wait (&owned, &mutex);
      g_mutex_unlock (&mutex);
      g_once_init_leave (&once, TRUE);
    }
  return context;
}
