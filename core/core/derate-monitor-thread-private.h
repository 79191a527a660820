/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* A thread that does nothing but run a context. */
typedef struct _DerateMonitorThread DerateMonitorThread;

DerateMonitorThread *derate_monitor_thread_start (GMainContext *context);

/* Runs what is queued, ends the thread and waits for it. Frees @thread. In the thread itself, where
 * the last reference of a core may be dropped, it does not wait. */
void derate_monitor_thread_stop (DerateMonitorThread *thread);

G_END_DECLS
