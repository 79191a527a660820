/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-delay-policy-private.h"

#include "derate-error.h"
#include "derate-policy-private.h"
#include "derate-wait-private.h"

/* Threads: `delay` is atomic. A call that is answered later belongs to its context, but a cancel
 * may come from any thread, also when nobody runs that context any more: so the mutex of each wait
 * decides who ends it, and what the cancel ends is told as an operation's answer would be. */

struct _DerateDelayPolicy
{
  DeratePolicy parent_instance;

  DerateClock *clock;
  GTimeSpan delay;
};

struct _DerateDelayPolicyClass
{
  DeratePolicyClass parent_class;
};

/* A call that has not begun yet. Held by its timer and by the handler of the cancellable. */
typedef struct
{
  gatomicrefcount refs;
  DerateAsyncCall *call;
  guint next;
  GCancellable *cancellable; /* (nullable) */
  gpointer data;
  GSource *timer;

  GMutex mutex;
  DerateStageDone done; /* NULL once it is over; guarded, and so is this */
  gulong cancelled_handler;
} Wait;

G_DEFINE_FINAL_TYPE (DerateDelayPolicy, derate_delay_policy, DERATE_TYPE_POLICY)

static GError *
make_cancelled (void)
{
  return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the call was cancelled");
}

/* In the calling thread */

/* FALSE when the call was cancelled, or its deadline came first. */
static gboolean
wait_here (DerateDelayPolicy *self, GTimeSpan delay, DerateCallContext *context, GError **error)
{
  gboolean too_long = derate_call_context_get_time_left (context) <= delay;
  gboolean waited;

  if (too_long)
    waited = derate_wait_until (context->clock, context->deadline, context->cancellable);
  else
    waited = derate_wait_until (self->clock, derate_clock_get_time (self->clock) + delay,
                                context->cancellable);
  if (!waited)
    g_propagate_error (error, make_cancelled ());
  else if (too_long)
    g_set_error_literal (error, DERATE_ERROR, DERATE_ERROR_TIMED_OUT,
                         "no answer before the deadline");
  return waited && !too_long;
}

G_NO_INLINE static GVariant *
call_later (DerateDelayPolicy *self,
            GTimeSpan delay,
            DerateCallContext *context,
            guint next,
            GError **error)
{
  if (!wait_here (self, delay, context, error))
    return NULL;
  return derate_stage_call (context, next, error);
}

static GVariant *
derate_delay_policy_call (DeratePolicy *policy,
                          DerateCallContext *context,
                          guint next,
                          GError **error)
{
  GTimeSpan delay = derate_delay_policy_get ((DerateDelayPolicy *)policy);

  if (G_LIKELY (delay == 0))
    return derate_stage_call (context, next, error);
  return call_later ((DerateDelayPolicy *)policy, delay, context, next, error);
}

/* Answered later */

static void
wait_unref (gpointer data)
{
  Wait *wait = data;

  if (!g_atomic_ref_count_dec (&wait->refs))
    return;
  g_source_unref (wait->timer);
  g_clear_object (&wait->cancellable);
  derate_async_call_unref (wait->call);
  g_mutex_clear (&wait->mutex);
  g_free (wait);
}

/* Ends the wait; NULL when another has. */
static DerateStageDone
take_done (Wait *wait)
{
  DerateStageDone done;
  gulong handler;

  g_mutex_lock (&wait->mutex);
  done = g_steal_pointer (&wait->done);
  handler = wait->cancelled_handler;
  wait->cancelled_handler = 0;
  g_mutex_unlock (&wait->mutex);
  if (handler != 0)
    g_signal_handler_disconnect (wait->cancellable, handler);
  g_source_destroy (wait->timer);
  return done;
}

static gboolean
on_time (gpointer data)
{
  Wait *wait = data;
  DerateStageDone done = take_done (wait);

  if (done != NULL)
    derate_stage_start (wait->call, wait->next, wait->cancellable, done, wait->data);
  return G_SOURCE_REMOVE;
}

static void
on_cancelled (GCancellable *cancellable, gpointer data)
{
  Wait *wait = data;
  DerateStageDone done = take_done (wait);

  if (done != NULL)
    derate_async_call_end_anywhere (wait->call, done, wait->data, NULL, make_cancelled ());
}

static void
watch_cancellable (Wait *wait)
{
  gulong handler;

  g_atomic_ref_count_inc (&wait->refs);
  handler = g_signal_connect_data (wait->cancellable, "cancelled", G_CALLBACK (on_cancelled), wait,
                                   (GClosureNotify)(GCallback)wait_unref, 0);
  g_mutex_lock (&wait->mutex);
  if (wait->done != NULL)
    {
      wait->cancelled_handler = handler;
      handler = 0;
    }
  g_mutex_unlock (&wait->mutex);
  /* It was cancelled, and heard of it, before the handler had a number; or before it was there. */
  if (handler != 0)
    g_signal_handler_disconnect (wait->cancellable, handler);
  else if (g_cancellable_is_cancelled (wait->cancellable))
    on_cancelled (wait->cancellable, wait);
}

static void
start_later (DerateDelayPolicy *self,
             GTimeSpan delay,
             DerateAsyncCall *call,
             guint next,
             GCancellable *cancellable,
             DerateStageDone done,
             gpointer data)
{
  Wait *wait = g_new0 (Wait, 1);

  g_atomic_ref_count_init (&wait->refs);
  g_atomic_ref_count_inc (&wait->refs);
  wait->call = derate_async_call_ref (call);
  wait->next = next;
  g_set_object (&wait->cancellable, cancellable);
  wait->done = done;
  wait->data = data;
  g_mutex_init (&wait->mutex);
  derate_async_call_note_attempt (call);
  wait->timer = derate_clock_source_new (self->clock, derate_clock_get_time (self->clock) + delay);
  g_source_set_callback (wait->timer, on_time, wait, wait_unref);
  g_source_attach (wait->timer, derate_async_call_get_context (call));
  if (cancellable != NULL)
    watch_cancellable (wait);
  wait_unref (wait);
}

static void
derate_delay_policy_start (DeratePolicy *policy,
                           DerateAsyncCall *call,
                           guint next,
                           GCancellable *cancellable,
                           DerateStageDone done,
                           gpointer data)
{
  GTimeSpan delay = derate_delay_policy_get ((DerateDelayPolicy *)policy);

  if (delay == 0)
    derate_stage_start (call, next, cancellable, done, data);
  else
    start_later ((DerateDelayPolicy *)policy, delay, call, next, cancellable, done, data);
}

static void
derate_delay_policy_finalize (GObject *object)
{
  g_object_unref (((DerateDelayPolicy *)object)->clock);
  G_OBJECT_CLASS (derate_delay_policy_parent_class)->finalize (object);
}

static void
derate_delay_policy_class_init (DerateDelayPolicyClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_delay_policy_finalize;
  klass->parent_class.call = derate_delay_policy_call;
  klass->parent_class.start = derate_delay_policy_start;
}

static void
derate_delay_policy_init (DerateDelayPolicy *self)
{
}

DerateDelayPolicy *
derate_delay_policy_new (DerateClock *clock)
{
  DerateDelayPolicy *self = g_object_new (DERATE_TYPE_DELAY_POLICY, NULL);

  self->clock = g_object_ref (clock);
  return self;
}

void
derate_delay_policy_set (DerateDelayPolicy *self, GTimeSpan delay)
{
  g_return_if_fail (delay >= 0);

  __atomic_store_n (&self->delay, delay, __ATOMIC_RELAXED);
}

GTimeSpan
derate_delay_policy_get (DerateDelayPolicy *self)
{
  return __atomic_load_n (&self->delay, __ATOMIC_RELAXED);
}
