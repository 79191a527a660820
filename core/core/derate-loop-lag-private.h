/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-clock.h>

#include "derate-event-queue-private.h"

G_BEGIN_DECLS

/* How late the program's own loop is: once a second the monitor asks it to answer. */
typedef struct _DerateLoopLag DerateLoopLag;

DerateLoopLag *derate_loop_lag_new (DerateClock      *clock,
                                    GMainContext     *monitor_context,
                                    DerateEventQueue *owner_queue);

/* Microseconds the last answer took, or that the one under way has been waited for, whichever is
 * more. From any thread. */
GTimeSpan derate_loop_lag_get (DerateLoopLag *lag);

void derate_loop_lag_free (DerateLoopLag *lag);

G_END_DECLS
