/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-clock.h>

G_BEGIN_DECLS

/* Waits in a context, without blocking it, until it is woken, a time has come or it is cancelled.
 * All but derate_wait_wake () happens in the thread that runs the context. */
typedef struct _DerateWait DerateWait;

typedef enum
{
  DERATE_WAIT_WOKEN = 1,
  DERATE_WAIT_TIMED_OUT,
  DERATE_WAIT_CANCELLED,
} DerateWaitEvent;

/* Whether the wait is over. Called in the context, without a lock, until it says so once. */
typedef gboolean (*DerateWaitFunc) (DerateWait     *wait,
                                    DerateWaitEvent event,
                                    gpointer        data);

DerateWait *derate_wait_new (DerateClock   *clock,
                             GMainContext  *context,
                             DerateWaitFunc func,
                             gpointer       data);
DerateWait *derate_wait_ref (DerateWait *wait);
void derate_wait_unref (DerateWait *wait);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateWait, derate_wait_unref)

/* @cancellable (nullable) may be cancelled already; what happens is heard when the context runs. */
void derate_wait_start (DerateWait   *wait,
                        gint64        deadline,
                        GCancellable *cancellable);
void derate_wait_stop (DerateWait *wait);

/* From any thread; heard in the context unless the wait is over by then. */
void derate_wait_wake (DerateWait *wait);

/* From any thread, while the wait is not over. */
void derate_wait_set_deadline (DerateWait *wait,
                               gint64      deadline);

/* A context of this thread's own to wait in, where there is no loop to go back to. */
GMainContext *derate_wait_context_new (void);
void derate_wait_context_free (GMainContext *context);

/* Runs the context until the wait is over. */
void derate_wait_run (DerateWait *wait);

/* Blocks this thread; FALSE when cancelled before @deadline. */
gboolean derate_wait_until (DerateClock  *clock,
                            gint64        deadline,
                            GCancellable *cancellable);

G_END_DECLS
