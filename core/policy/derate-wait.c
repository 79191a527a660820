/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-wait-private.h"

/* Threads: wake (), set_deadline () and a cancel come from others. What they put into the context
 * holds a reference to the wait, and through it to the context: so the mutex sees to it that
 * nothing is put there once the wait is over, when nobody may run the context any more. (A source
 * of g_cancellable_source_new () touches its context without holding it.) */
struct _DerateWait
{
  DerateClock *clock;
  GMainContext *context;
  DerateWaitFunc func;
  gpointer data;
  GSource *timer;
  GCancellable *cancellable; /* (nullable) */
  gulong cancelled_handler;

  GMutex mutex;
  gboolean is_over; /* written in the context, with the mutex */
};

DerateWait *
derate_wait_new (DerateClock *clock, GMainContext *context, DerateWaitFunc func, gpointer data)
{
  DerateWait *wait = g_atomic_rc_box_new0 (DerateWait);

  wait->clock = g_object_ref (clock);
  wait->context = g_main_context_ref (context);
  wait->func = func;
  wait->data = data;
  g_mutex_init (&wait->mutex);
  return wait;
}

DerateWait *
derate_wait_ref (DerateWait *wait)
{
  return g_atomic_rc_box_acquire (wait);
}

static void
wait_clear (gpointer data)
{
  DerateWait *wait = data;

  g_clear_pointer (&wait->timer, g_source_unref);
  g_clear_object (&wait->cancellable);
  g_main_context_unref (wait->context);
  g_object_unref (wait->clock);
  g_mutex_clear (&wait->mutex);
}

void
derate_wait_unref (DerateWait *wait)
{
  g_atomic_rc_box_release_full (wait, wait_clear);
}

static void
tell (DerateWait *wait, DerateWaitEvent event)
{
  if (wait->is_over)
    return;
  derate_wait_ref (wait);
  if (wait->func (wait, event, wait->data))
    derate_wait_stop (wait);
  derate_wait_unref (wait);
}

static gboolean
on_time (gpointer data)
{
  tell (data, DERATE_WAIT_TIMED_OUT);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_cancelled (gpointer data)
{
  tell (data, DERATE_WAIT_CANCELLED);
  return G_SOURCE_REMOVE;
}

static gboolean
on_woken (gpointer data)
{
  tell (data, DERATE_WAIT_WOKEN);
  return G_SOURCE_REMOVE;
}

/* The waiter may be gone with its context before attach () has returned. */
static void
post (DerateWait *wait, GSourceFunc func)
{
  g_autoptr (GMainContext) context = g_main_context_ref (wait->context);
  g_autoptr (GSource) source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (source, "[derate] wake");
  g_source_set_callback (source, func, derate_wait_ref (wait), (GDestroyNotify)derate_wait_unref);
  g_mutex_lock (&wait->mutex);
  if (!wait->is_over)
    g_source_attach (source, context);
  g_mutex_unlock (&wait->mutex);
}

void
derate_wait_wake (DerateWait *wait)
{
  post (wait, on_woken);
}

static void
note_cancelled (GCancellable *cancellable, gpointer wait)
{
  post (wait, on_cancelled);
}

/* The timer holds no reference: it is destroyed before the last one goes, by stop (). */
void
derate_wait_start (DerateWait *wait, gint64 deadline, GCancellable *cancellable)
{
  if (g_set_object (&wait->cancellable, cancellable))
    {
      wait->cancelled_handler =
          g_signal_connect_data (cancellable, "cancelled", G_CALLBACK (note_cancelled),
                                 derate_wait_ref (wait),
                                 (GClosureNotify)(GCallback)derate_wait_unref, 0);
      /* Perhaps it was cancelled before the handler was there. */
      if (g_cancellable_is_cancelled (cancellable))
        post (wait, on_cancelled);
    }
  wait->timer = derate_clock_source_new (wait->clock, deadline);
  g_source_set_callback (wait->timer, on_time, wait, NULL);
  g_source_attach (wait->timer, wait->context);
}

void
derate_wait_stop (DerateWait *wait)
{
  g_mutex_lock (&wait->mutex);
  wait->is_over = TRUE;
  g_mutex_unlock (&wait->mutex);
  if (wait->cancelled_handler != 0)
    g_clear_signal_handler (&wait->cancelled_handler, wait->cancellable);
  if (wait->timer == NULL)
    return;
  derate_clock_source_set_deadline (wait->clock, wait->timer, DERATE_CLOCK_NEVER);
  g_source_destroy (wait->timer);
}

void
derate_wait_set_deadline (DerateWait *wait, gint64 deadline)
{
  derate_clock_source_set_deadline (wait->clock, wait->timer, deadline);
}

/* Owned from the beginning, so that a manual clock does not run it in the thread that advances. */
GMainContext *
derate_wait_context_new (void)
{
  GMainContext *context = g_main_context_new ();

  g_main_context_acquire (context);
  return context;
}

/* What was put there before the wait was over, and is late, goes first. */
void
derate_wait_context_free (GMainContext *context)
{
  while (g_main_context_iteration (context, FALSE))
    ;
  g_main_context_release (context);
  g_main_context_unref (context);
}

void
derate_wait_run (DerateWait *wait)
{
  while (!wait->is_over)
    g_main_context_iteration (wait->context, TRUE);
}

static gboolean
note_event (DerateWait *wait, DerateWaitEvent event, gpointer data)
{
  *(DerateWaitEvent *)data = event;
  return TRUE;
}

gboolean
derate_wait_until (DerateClock *clock, gint64 deadline, GCancellable *cancellable)
{
  DerateWaitEvent event = DERATE_WAIT_TIMED_OUT;
  GMainContext *context;
  g_autoptr (DerateWait) wait = NULL;

  if (g_cancellable_is_cancelled (cancellable))
    return FALSE;
  if (derate_clock_get_time (clock) >= deadline)
    return TRUE;
  context = derate_wait_context_new ();
  wait = derate_wait_new (clock, context, note_event, &event);
  derate_wait_start (wait, deadline, cancellable);
  derate_wait_run (wait);
  derate_wait_context_free (context);
  return event == DERATE_WAIT_TIMED_OUT;
}
