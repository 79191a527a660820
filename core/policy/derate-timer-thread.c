/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-timer-thread-private.h"

static gpointer
run (gpointer data)
{
  GMainContext *context = data;

  g_main_context_push_thread_default (context);
  while (TRUE)
    g_main_context_iteration (context, TRUE);
  return NULL;
}

GMainContext *
derate_timer_thread_get_context (void)
{
  static GMainContext *context = NULL;
  static gsize once = 0;

  if (g_once_init_enter (&once))
    {
      context = g_main_context_new ();
      g_thread_unref (g_thread_new ("derate-timers", run, context));
      g_once_init_leave (&once, TRUE);
    }
  return context;
}
