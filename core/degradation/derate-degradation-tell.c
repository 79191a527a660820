/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-degradation-state-private.h"

/* Telling what happened: one thread at a time, in the order of what happened, without the mutex. */

typedef struct
{
  guint id;
  DerateDegradationListener func;
  gpointer data;
  GDestroyNotify destroy;
} Listener;

static void
listener_clear (gpointer data)
{
  Listener *listener = data;

  if (listener->destroy != NULL)
    listener->destroy (listener->data);
}

static void
listener_unref (gpointer data)
{
  g_atomic_rc_box_release_full (data, listener_clear);
}

GPtrArray *
derate_degradation_manager_make_listeners (void)
{
  return g_ptr_array_new_with_free_func (listener_unref);
}

/* Takes @event. */
static void
tell_one (DerateDegradationManager *self, DerateDegradationEvent *event, GPtrArray *listeners)
{
  derate_degradation_event_log (event);
  for (guint i = 0; i < listeners->len; i++)
    {
      Listener *listener = g_ptr_array_index (listeners, i);

      listener->func (self, event, listener->data);
    }
  if (event->hold == NULL)
    derate_event_queue_push (self->events, G_OBJECT (self), derate_degradation_manager_emit, event,
                             (GDestroyNotify)derate_degradation_event_free);
  else
    derate_degradation_event_free (event);
}

static gpointer
listener_copy (gconstpointer listener, gpointer unused)
{
  return g_atomic_rc_box_acquire ((gpointer)listener);
}

static gpointer
hold_copy (gconstpointer hold, gpointer unused)
{
  return derate_hold_copy (hold);
}

/* Called locked. */
static GPtrArray *
copy_holds (DerateDegradationManager *self)
{
  GPtrArray *holds = g_ptr_array_copy (self->decider.holds.holds, hold_copy, NULL);

  g_ptr_array_set_free_func (holds, (GDestroyNotify)derate_hold_free);
  return holds;
}

GPtrArray *
derate_degradation_manager_copy_holds (DerateDegradationManager *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->mutex);

  return copy_holds (self);
}

static GPtrArray *
copy_changed_holds (DerateDegradationManager *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->mutex);

  if (!self->holds_changed)
    return NULL;
  self->holds_changed = FALSE;
  return copy_holds (self);
}

/* What is not on disk is tried again with the next hold or recovery tick: a disk that is full need
 * not stay so. */
void
derate_degradation_manager_store_holds (DerateDegradationManager *self)
{
  g_autoptr (GPtrArray) holds = NULL;
  g_autoptr (GError) error = NULL;

  if (self->store == NULL)
    return;
  g_mutex_lock (&self->store_mutex);
  holds = copy_changed_holds (self);
  if (holds != NULL)
    derate_hold_store_save (self->store, holds, &error);
  g_mutex_unlock (&self->store_mutex);
  if (error == NULL)
    return;
  g_warning ("holds will not survive a restart: %s", error->message);
  g_mutex_lock (&self->mutex);
  self->holds_changed = TRUE;
  g_mutex_unlock (&self->mutex);
}

/* What is to be done next, taken under the mutex. */
typedef struct
{
  GMainContext *context; /* of `expiry`: another thread may stop the manager meanwhile */
  GSource *expiry; /* to be set to `deadline` */
  gint64 deadline;
  DerateDegradationEvent *event; /* to be told to `listeners` */
  GPtrArray *listeners;
} Task;

/* FALSE ends this thread's turn of telling. The timer comes before any event. */
static gboolean
take_task (DerateDegradationManager *self, Task *task)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->mutex);

  *task = (Task){ 0 };
  if (self->deadline_moved && self->expiry_source != NULL)
    {
      self->deadline_moved = FALSE;
      task->context = g_main_context_ref (self->timer_context);
      task->expiry = g_source_ref (self->expiry_source);
      task->deadline = derate_hold_set_get_deadline (&self->decider.holds);
      return TRUE;
    }
  task->event = g_queue_pop_head (&self->pending);
  if (task->event == NULL)
    {
      self->telling = FALSE;
      return FALSE;
    }
  task->listeners = g_ptr_array_copy (self->listeners, listener_copy, NULL);
  return TRUE;
}

static gboolean
begin_telling (DerateDegradationManager *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->mutex);

  if (self->telling)
    return FALSE;
  self->telling = TRUE;
  return TRUE;
}

void
derate_degradation_manager_tell (DerateDegradationManager *self)
{
  g_autoptr (DerateDegradationManager) keep = g_object_ref (self);
  Task task;

  if (!begin_telling (self))
    return;
  while (take_task (self, &task))
    {
      if (task.expiry != NULL)
        derate_clock_source_set_deadline (self->clock, task.expiry, task.deadline);
      if (task.event != NULL)
        tell_one (self, task.event, task.listeners);
      g_clear_pointer (&task.expiry, g_source_unref);
      g_clear_pointer (&task.context, g_main_context_unref);
      g_clear_pointer (&task.listeners, g_ptr_array_unref);
    }
}

guint
derate_degradation_manager_add_listener (DerateDegradationManager *self,
                                         DerateDegradationListener func,
                                         gpointer data,
                                         GDestroyNotify destroy)
{
  Listener *listener = g_atomic_rc_box_new0 (Listener);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->mutex);

  listener->id = ++self->last_listener;
  listener->func = func;
  listener->data = data;
  listener->destroy = destroy;
  g_ptr_array_add (self->listeners, listener);
  return listener->id;
}

void
derate_degradation_manager_remove_listener (DerateDegradationManager *self, guint id)
{
  gpointer removed = NULL;

  g_mutex_lock (&self->mutex);
  for (guint i = 0; i < self->listeners->len && removed == NULL; i++)
    if (((Listener *)g_ptr_array_index (self->listeners, i))->id == id)
      removed = g_ptr_array_steal_index (self->listeners, i);
  g_mutex_unlock (&self->mutex);
  g_clear_pointer (&removed, listener_unref);
}
