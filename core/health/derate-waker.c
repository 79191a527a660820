/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-waker-private.h"

/* Threads: the mutex guards `source` and its context, which g_source_set_ready_time () reads
 * without holding it, so whoever moves the deadline does; `woken` is atomic. wake () sets the flag
 * before it moves the deadline and sleep_until () looks at it after, so one of the two always
 * leaves the source due. */
struct _DerateWaker
{
  DerateClock *clock;
  GMutex mutex;
  GSource *source;
  GMainContext *context;
  gint woken;
};

static void
waker_clear (gpointer data)
{
  DerateWaker *waker = data;

  g_clear_pointer (&waker->source, g_source_unref);
  g_clear_pointer (&waker->context, g_main_context_unref);
  g_object_unref (waker->clock);
  g_mutex_clear (&waker->mutex);
}

DerateWaker *
derate_waker_new (DerateClock *clock)
{
  DerateWaker *waker = g_atomic_rc_box_new0 (DerateWaker);

  waker->clock = g_object_ref (clock);
  g_mutex_init (&waker->mutex);
  return waker;
}

DerateWaker *
derate_waker_ref (DerateWaker *waker)
{
  return g_atomic_rc_box_acquire (waker);
}

void
derate_waker_unref (DerateWaker *waker)
{
  g_atomic_rc_box_release_full (waker, waker_clear);
}

void
derate_waker_set_source (DerateWaker *waker, GSource *source, GMainContext *context)
{
  g_autoptr (GMainContext) old_context = NULL;
  g_autoptr (GSource) old = NULL;

  g_mutex_lock (&waker->mutex);
  old = waker->source;
  old_context = waker->context;
  waker->source = source != NULL ? g_source_ref (source) : NULL;
  waker->context = context != NULL ? g_main_context_ref (context) : NULL;
  g_mutex_unlock (&waker->mutex);
}

static void
set_deadline (DerateWaker *waker, gint64 deadline)
{
  g_autoptr (GMainContext) context = NULL;
  g_autoptr (GSource) source = NULL;

  g_mutex_lock (&waker->mutex);
  if (waker->source != NULL)
    {
      context = g_main_context_ref (waker->context);
      source = g_source_ref (waker->source);
    }
  g_mutex_unlock (&waker->mutex);
  if (source != NULL && !g_source_is_destroyed (source))
    derate_clock_source_set_deadline (waker->clock, source, deadline);
}

void
derate_waker_wake (DerateWaker *waker)
{
  g_atomic_int_set (&waker->woken, TRUE);
  set_deadline (waker, derate_clock_get_time (waker->clock));
}

void
derate_waker_begin (DerateWaker *waker)
{
  g_atomic_int_set (&waker->woken, FALSE);
}

void
derate_waker_sleep_until (DerateWaker *waker, gint64 deadline)
{
  set_deadline (waker, deadline);
  if (g_atomic_int_get (&waker->woken))
    set_deadline (waker, derate_clock_get_time (waker->clock));
}
