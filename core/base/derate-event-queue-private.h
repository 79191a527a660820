/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* Calls in another context, in the order they were pushed: how a transition in any thread becomes a
 * signal in the owner's. Atomically reference counted; push from any thread. A call runs with the
 * queue's context as the thread-default of whoever dispatches it, never inside push (). */
typedef struct _DerateEventQueue DerateEventQueue;

typedef void (*DerateEventFunc) (gpointer owner,
                                 gpointer data);

DerateEventQueue *derate_event_queue_new (GMainContext *context);

void derate_event_queue_push (DerateEventQueue *queue,
                              GObject          *owner, /* kept alive until the call has run */
                              DerateEventFunc   func,
                              gpointer          data,
                              GDestroyNotify    destroy);

GMainContext *derate_event_queue_get_context (DerateEventQueue *queue);

DerateEventQueue *derate_event_queue_ref (DerateEventQueue *queue);
void derate_event_queue_unref (DerateEventQueue *queue);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateEventQueue, derate_event_queue_unref)

G_END_DECLS
