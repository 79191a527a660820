/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-event-queue-private.h"

/* Threads: `pending` and `scheduled` are guarded by the mutex. One idle source at most is attached;
 * it runs the events there were when it began, but no more than AT_ONCE, so that neither a flood of
 * them nor a call that pushes again keeps the loop from its other sources, and takes them one by
 * one, so that a call that runs the context itself gets the older ones first. */

#define AT_ONCE 64

struct _DerateEventQueue
{
  GMainContext *context;
  GMutex mutex;
  GQueue pending;
  gboolean scheduled;
};

typedef struct
{
  GObject *owner;
  DerateEventFunc func;
  gpointer data;
  GDestroyNotify destroy;
} Event;

static void
event_free (Event *event)
{
  if (event->destroy != NULL)
    event->destroy (event->data);
  g_clear_object (&event->owner);
  g_free (event);
}

static void
queue_clear (gpointer data)
{
  DerateEventQueue *queue = data;

  g_queue_clear_full (&queue->pending, (GDestroyNotify)event_free);
  g_mutex_clear (&queue->mutex);
  g_main_context_unref (queue->context);
}

DerateEventQueue *
derate_event_queue_new (GMainContext *context)
{
  DerateEventQueue *queue = g_atomic_rc_box_new0 (DerateEventQueue);

  queue->context = g_main_context_ref (context);
  g_mutex_init (&queue->mutex);
  g_queue_init (&queue->pending);
  return queue;
}

static gboolean run_pending (gpointer data);

static void
schedule (DerateEventQueue *queue)
{
  g_autoptr (GSource) source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (source, "[derate] events");
  g_source_set_callback (source, run_pending, derate_event_queue_ref (queue),
                         (GDestroyNotify)derate_event_queue_unref);
  g_source_attach (source, queue->context);
}

static gboolean
run_pending (gpointer data)
{
  DerateEventQueue *queue = data;
  gboolean more;
  guint n;

  g_mutex_lock (&queue->mutex);
  n = MIN (queue->pending.length, AT_ONCE);
  queue->scheduled = FALSE;
  g_mutex_unlock (&queue->mutex);

  for (; n > 0; n--)
    {
      Event *event;

      g_mutex_lock (&queue->mutex);
      event = g_queue_pop_head (&queue->pending);
      g_mutex_unlock (&queue->mutex);
      if (event == NULL)
        break;
      event->func (event->owner, event->data);
      event_free (event);
    }

  g_mutex_lock (&queue->mutex);
  more = !queue->scheduled && queue->pending.length > 0;
  queue->scheduled = queue->scheduled || more;
  g_mutex_unlock (&queue->mutex);
  if (more)
    schedule (queue);
  return G_SOURCE_REMOVE;
}

void
derate_event_queue_push (DerateEventQueue *queue,
                         GObject *owner,
                         DerateEventFunc func,
                         gpointer data,
                         GDestroyNotify destroy)
{
  Event *event = g_new0 (Event, 1);
  gboolean first;

  event->owner = owner != NULL ? g_object_ref (owner) : NULL;
  event->func = func;
  event->data = data;
  event->destroy = destroy;

  g_mutex_lock (&queue->mutex);
  g_queue_push_tail (&queue->pending, event);
  first = !queue->scheduled;
  queue->scheduled = TRUE;
  g_mutex_unlock (&queue->mutex);
  if (first)
    schedule (queue);
}

GMainContext *
derate_event_queue_get_context (DerateEventQueue *queue)
{
  return queue->context;
}

DerateEventQueue *
derate_event_queue_ref (DerateEventQueue *queue)
{
  return g_atomic_rc_box_acquire (queue);
}

void
derate_event_queue_unref (DerateEventQueue *queue)
{
  g_atomic_rc_box_release_full (queue, queue_clear);
}
