/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-machine-private.h"

#include <math.h>

#include "derate-enum-types.h"
#include "derate-log-private.h"
#include "derate-names-private.h"
#include "derate-time-span.h"

/* Who hears of a transition, and in which order: hooks (the services), the log, listeners in C, and
 * then signals in the owner context. Events queue under the mutex; one thread at a time tells them,
 * in their order, with nothing held. A thread whose event is told by another, or which is itself in
 * the middle of telling, still calls the hooks before it goes on: bad news does not wait. */

typedef struct
{
  DerateBreakerHook func;
  gconstpointer address; /* of the owner, to find it again */
  GWeakRef owner;
} Hook;

typedef struct
{
  guint id;
  gint removed; /* atomic */
  DerateBreakerListener func;
  gpointer data;
  GDestroyNotify destroy;
} Listener;

enum
{
  SIGNAL_OPENED,
  SIGNAL_HALF_OPENED,
  SIGNAL_CLOSED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

void
derate_breaker_notify_class_init (GObjectClass *klass)
{
  GType type = G_OBJECT_CLASS_TYPE (klass);

  /**
   * DerateBreaker::opened:
   * @breaker: the breaker
   * @old_state: the state that ended
   *
   * The breaker has opened. Emitted in the context that was the thread's default when the breaker
   * was made, later than the transition and in the order of transitions: derate_breaker_get_state()
   * gives the newest state.
   *
   * Since: 1.0
   */
  signals[SIGNAL_OPENED] = g_signal_new ("opened", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                         G_TYPE_NONE, 1, DERATE_TYPE_BREAKER_STATE);

  /**
   * DerateBreaker::half-opened:
   * @breaker: the breaker
   * @old_state: the state that ended
   *
   * The breaker is half-open. Emitted as [signal@Breaker::opened] is.
   *
   * Since: 1.0
   */
  signals[SIGNAL_HALF_OPENED] = g_signal_new ("half-opened", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                              NULL, G_TYPE_NONE, 1, DERATE_TYPE_BREAKER_STATE);

  /**
   * DerateBreaker::closed:
   * @breaker: the breaker
   * @old_state: the state that ended
   *
   * The breaker has closed. Emitted as [signal@Breaker::opened] is.
   *
   * Since: 1.0
   */
  signals[SIGNAL_CLOSED] = g_signal_new ("closed", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                         G_TYPE_NONE, 1, DERATE_TYPE_BREAKER_STATE);
}

DerateBreakerEvent *
derate_breaker_push_event_locked (DerateBreaker *self, gint64 now)
{
  DerateBreakerEvent *event = g_new0 (DerateBreakerEvent, 1);

  derate_breaker_observe_locked (self, now);
  event->old_state = self->state;
  event->failure_threshold = self->settings->failure_threshold;
  derate_breaker_count_state_locked (self, now, &event->counters);
  *self->events_tail = event;
  self->events_tail = &event->next;
  self->fresh = TRUE;
  return event;
}

static void
hook_clear (gpointer data)
{
  g_weak_ref_clear (&((Hook *)data)->owner);
}

static void
hook_release (gpointer data)
{
  g_atomic_rc_box_release_full (data, hook_clear);
}

static void
listener_clear (gpointer data)
{
  Listener *listener = data;

  if (listener->destroy != NULL)
    listener->destroy (listener->data);
}

static void
listener_release (gpointer data)
{
  g_atomic_rc_box_release_full (data, listener_clear);
}

/* A list that readers may go through without the mutex: it is replaced, never changed. */
static GPtrArray *
copy_list (GPtrArray *list, GDestroyNotify release)
{
  GPtrArray *copy = g_ptr_array_new_with_free_func (release);

  for (guint i = 0; list != NULL && i < list->len; i++)
    g_ptr_array_add (copy, g_atomic_rc_box_acquire (g_ptr_array_index (list, i)));
  return copy;
}

void
derate_breaker_bind (DerateBreaker *breaker, DerateBreakerHook func, gpointer owner)
{
  g_autoptr (GPtrArray) old = NULL;
  GPtrArray *list;
  Hook *hook;

  g_return_if_fail (DERATE_IS_BREAKER (breaker));
  g_return_if_fail (G_IS_OBJECT (owner));

  hook = g_atomic_rc_box_new0 (Hook);
  hook->func = func;
  hook->address = owner;
  g_weak_ref_init (&hook->owner, owner);

  g_mutex_lock (&breaker->mutex);
  list = copy_list (breaker->hooks, hook_release);
  g_ptr_array_add (list, hook);
  old = g_steal_pointer (&breaker->hooks);
  breaker->hooks = list;
  g_mutex_unlock (&breaker->mutex);
}

void
derate_breaker_unbind (DerateBreaker *breaker, DerateBreakerHook func, gpointer owner)
{
  g_autoptr (GPtrArray) old = NULL;
  GPtrArray *list;

  g_return_if_fail (DERATE_IS_BREAKER (breaker));

  g_mutex_lock (&breaker->mutex);
  list = copy_list (breaker->hooks, hook_release);
  old = g_steal_pointer (&breaker->hooks);
  breaker->hooks = list;
  for (guint i = 0; i < list->len; i++)
    {
      Hook *hook = g_ptr_array_index (list, i);

      if (hook->func == func && hook->address == owner)
        {
          g_ptr_array_remove_index (list, i);
          break;
        }
    }
  g_mutex_unlock (&breaker->mutex);
}

/**
 * derate_breaker_add_listener: (skip)
 * @breaker: a breaker
 * @func: called for each transition
 * @user_data: given to @func
 * @destroy: (nullable): frees @user_data after the listener is removed and no call is running
 *
 * Adds a function that hears of each transition, in the order of transitions, in the thread that
 * caused it and before the call that caused it returns, or, when two threads cause transitions at
 * once, in one of the two. No lock is held: it may call anything, also on @breaker. Language
 * bindings use the signals. May be called from any thread.
 *
 * Returns: an id for derate_breaker_remove_listener()
 *
 * Since: 1.0
 */
guint
derate_breaker_add_listener (DerateBreaker *breaker,
                             DerateBreakerListener func,
                             gpointer user_data,
                             GDestroyNotify destroy)
{
  g_autoptr (GPtrArray) old = NULL;
  Listener *listener;
  GPtrArray *list;
  guint id;

  g_return_val_if_fail (DERATE_IS_BREAKER (breaker), 0);
  g_return_val_if_fail (func != NULL, 0);

  listener = g_atomic_rc_box_new0 (Listener);
  listener->func = func;
  listener->data = user_data;
  listener->destroy = destroy;

  g_mutex_lock (&breaker->mutex);
  id = listener->id = ++breaker->last_listener;
  list = copy_list (breaker->listeners, listener_release);
  g_ptr_array_add (list, listener);
  old = g_steal_pointer (&breaker->listeners);
  breaker->listeners = list;
  g_mutex_unlock (&breaker->mutex);
  return id;
}

/**
 * derate_breaker_remove_listener: (skip)
 * @breaker: a breaker
 * @id: what derate_breaker_add_listener() returned
 *
 * Removes a listener. It is not called any more, except that a call that has begun in another
 * thread may still be running. May be called from any thread, also by a listener.
 *
 * Since: 1.0
 */
void
derate_breaker_remove_listener (DerateBreaker *breaker, guint id)
{
  g_autoptr (GPtrArray) old = NULL;
  GPtrArray *list;

  g_return_if_fail (DERATE_IS_BREAKER (breaker));

  g_mutex_lock (&breaker->mutex);
  old = g_steal_pointer (&breaker->listeners);
  list = g_ptr_array_new_with_free_func (listener_release);
  for (guint i = 0; old != NULL && i < old->len; i++)
    {
      Listener *listener = g_ptr_array_index (old, i);

      if (listener->id == id)
        g_atomic_int_set (&listener->removed, TRUE);
      else
        g_ptr_array_add (list, g_atomic_rc_box_acquire (listener));
    }
  breaker->listeners = list;
  g_mutex_unlock (&breaker->mutex);
}

/* Only when nobody can use the breaker any more. */
void
derate_breaker_clear_listeners (DerateBreaker *self)
{
  g_clear_pointer (&self->hooks, g_ptr_array_unref);
  g_clear_pointer (&self->listeners, g_ptr_array_unref);
  g_clear_pointer (&self->queue, derate_event_queue_unref);
}

static void
call_hooks (DerateBreaker *self,
            GPtrArray *hooks,
            DerateBreakerState old_state,
            DerateBreakerState new_state)
{
  for (guint i = 0; hooks != NULL && i < hooks->len; i++)
    {
      Hook *hook = g_ptr_array_index (hooks, i);
      g_autoptr (GObject) owner = g_weak_ref_get (&hook->owner);

      if (owner != NULL)
        hook->func (self, old_state, new_state, owner);
    }
}

static void
call_listeners (DerateBreaker *self, GPtrArray *listeners, const DerateBreakerEvent *event)
{
  for (guint i = 0; listeners != NULL && i < listeners->len; i++)
    {
      Listener *listener = g_ptr_array_index (listeners, i);

      if (!g_atomic_int_get (&listener->removed))
        listener->func (self, event->old_state, event->new_state, &event->counters, listener->data);
    }
}

static void
emit_signal (gpointer owner, gpointer data)
{
  const DerateBreakerEvent *event = data;
  guint id = signals[SIGNAL_CLOSED];

  if (event->new_state == DERATE_BREAKER_STATE_OPEN)
    id = signals[SIGNAL_OPENED];
  else if (event->new_state == DERATE_BREAKER_STATE_HALF_OPEN)
    id = signals[SIGNAL_HALF_OPENED];
  g_signal_emit (owner, id, 0, event->old_state);
}

/* Nobody connected: no event is left in a context that perhaps nobody runs. */
static gboolean
has_handlers (DerateBreaker *self)
{
  for (guint i = 0; i < N_SIGNALS; i++)
    if (g_signal_has_handler_pending (self, signals[i], 0, FALSE))
      return TRUE;
  return FALSE;
}

static void
queue_signal (DerateBreaker *self, const DerateBreakerEvent *event)
{
  if (!has_handlers (self))
    return;
  if (self->queue == NULL)
    self->queue = derate_event_queue_new (self->context);
  derate_event_queue_push (self->queue, G_OBJECT (self), emit_signal,
                           g_memdup2 (event, sizeof *event), g_free);
}

static const char *
event_name (const DerateBreakerEvent *event)
{
  switch (event->new_state)
    {
    case DERATE_BREAKER_STATE_OPEN:
      return DERATE_EVENT_BREAKER_OPEN;
    case DERATE_BREAKER_STATE_HALF_OPEN:
      return DERATE_EVENT_BREAKER_HALF_OPEN;
    default:
      return DERATE_EVENT_BREAKER_CLOSED;
    }
}

static void
log_as (DerateBreaker *self,
        const DerateBreakerEvent *event,
        GLogLevelFlags level,
        const char *name,
        const char *message)
{
  g_autofree char *failures = g_strdup_printf ("%" G_GUINT64_FORMAT, event->counters.failure_count);
  g_autofree char *threshold = g_strdup_printf ("%u", event->failure_threshold);

  derate_log_event (level, name, self->name, message, DERATE_FIELD_PREVIOUS_STATE,
                    derate_breaker_state_to_nick (event->old_state), DERATE_FIELD_STATE,
                    derate_breaker_state_to_nick (event->new_state), DERATE_FIELD_FAILURE_COUNT,
                    failures, DERATE_FIELD_FAILURE_THRESHOLD, threshold, NULL);
}

static char *
describe_rate (double rate)
{
  return isnan (rate) ? g_strdup ("unknown") : g_strdup_printf ("%d%%", (int)(100 * rate));
}

static void
log_event (DerateBreaker *self, const DerateBreakerEvent *event)
{
  g_autofree char *rate = describe_rate (event->counters.failure_rate);
  g_autofree char *span = derate_time_span_to_string (event->span);

  if (event->new_state != event->old_state)
    {
      g_autofree char *text = g_strdup_printf ("circuit breaker '%s' is %s", self->name,
                                               derate_breaker_state_to_nick (event->new_state));

      log_as (self, event, G_LOG_LEVEL_INFO, event_name (event), text);
    }
  if (event->alert)
    {
      g_autofree char *text =
          g_strdup_printf ("circuit breaker '%s' %s: %" G_GUINT64_FORMAT
                           " failures in a row, failure rate %s",
                           self->name,
                           event->new_state == event->old_state ? "sees failures" : "opened",
                           event->counters.failure_count, rate);

      log_as (self, event, G_LOG_LEVEL_WARNING, DERATE_EVENT_BREAKER_ALERT, text);
    }
  if (event->recovered)
    {
      g_autofree char *text =
          g_strdup_printf ("circuit breaker '%s' recovered after %s", self->name, span);

      log_as (self, event, G_LOG_LEVEL_INFO, DERATE_EVENT_BREAKER_RECOVERED, text);
    }
  if (event->reset)
    {
      g_autofree char *text = g_strdup_printf ("circuit breaker '%s' was reset", self->name);

      log_as (self, event, G_LOG_LEVEL_INFO, DERATE_EVENT_BREAKER_RESET, text);
    }
}

void
derate_breaker_log_init (DerateBreaker *self)
{
  g_autofree char *threshold = g_strdup_printf ("%u", self->settings->failure_threshold);
  g_autofree char *text = g_strdup_printf ("circuit breaker '%s' is ready", self->name);

  derate_log_event (G_LOG_LEVEL_INFO, DERATE_EVENT_BREAKER_INIT, self->name, text,
                    DERATE_FIELD_STATE, derate_breaker_state_to_nick (self->state),
                    DERATE_FIELD_FAILURE_THRESHOLD, threshold, NULL);
}

/* Takes the next event; NULL ends the telling. */
static DerateBreakerEvent *
take_event (DerateBreaker *self, GPtrArray **hooks, GPtrArray **listeners)
{
  DerateBreakerEvent *event;

  g_mutex_lock (&self->mutex);
  event = self->events;
  if (event != NULL)
    {
      self->events = event->next;
      if (self->events == NULL)
        self->events_tail = &self->events;
      *hooks = self->hooks != NULL ? g_ptr_array_ref (self->hooks) : NULL;
      *listeners = self->listeners != NULL ? g_ptr_array_ref (self->listeners) : NULL;
    }
  else
    self->delivering = FALSE;
  g_mutex_unlock (&self->mutex);
  return event;
}

static void
tell_all (DerateBreaker *self)
{
  while (TRUE)
    {
      g_autoptr (GPtrArray) hooks = NULL;
      g_autoptr (GPtrArray) listeners = NULL;
      g_autofree DerateBreakerEvent *event = take_event (self, &hooks, &listeners);

      if (event == NULL)
        return;
      if (event->new_state != event->old_state)
        call_hooks (self, hooks, event->old_state, event->new_state);
      log_event (self, event);
      if (event->new_state == event->old_state)
        continue;
      call_listeners (self, listeners, event);
      queue_signal (self, event);
    }
}

/* Of a service that looks at the failure rate, which may have risen without a transition. */
static GPtrArray *
take_readers_of_rate_locked (DerateBreaker *self)
{
  gboolean rose = self->rate_rose;

  self->rate_rose = FALSE;
  return rose && self->hooks != NULL ? g_ptr_array_ref (self->hooks) : NULL;
}

/* Gives the mutex back, and tells of what happened under it. */
G_NO_INLINE static void
unlock_and_tell (DerateBreaker *self)
{
  g_autoptr (DerateBreaker) alive = NULL;
  g_autoptr (GPtrArray) readers = take_readers_of_rate_locked (self);
  g_autoptr (GPtrArray) hooks = NULL;
  DerateBreakerState old_state = DERATE_BREAKER_STATE_UNKNOWN;
  DerateBreakerState new_state = self->state;
  gboolean fresh = self->fresh;
  gboolean tells = fresh && !self->delivering;

  self->fresh = FALSE;
  if (readers != NULL || fresh)
    alive = g_object_ref (self);
  if (tells)
    self->delivering = TRUE;
  else if (fresh && self->hooks != NULL)
    hooks = g_ptr_array_ref (self->hooks);
  for (const DerateBreakerEvent *event = self->events; event != NULL; event = event->next)
    old_state = event->old_state;
  g_mutex_unlock (&self->mutex);

  call_hooks (self, readers, new_state, new_state);
  call_hooks (self, hooks, old_state, new_state);
  if (tells)
    tell_all (self);
}

void
derate_breaker_unlock (DerateBreaker *self)
{
  if (self->hooks == NULL)
    self->rate_rose = FALSE;
  if (self->fresh || self->rate_rose)
    unlock_and_tell (self);
  else
    g_mutex_unlock (&self->mutex);
}
