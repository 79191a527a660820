/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-service.h"

G_BEGIN_DECLS

/* Checks services on time. It owns no thread: the core runs @check_context in one, and on a manual
 * clock it is the caller's. Reference counted atomically; while it is started it keeps itself.
 * Every function may be called from any thread. */
typedef struct _DerateMonitor DerateMonitor;

/* Called in the check context, without a lock, when one of the flags below has changed: re-read. */
typedef void (*DerateMonitorHook) (DerateMonitor *monitor,
                                   gpointer       data);

/* @check_context: deadlines and checks of any thread; @owner_context: the other checks. NULL is the
 * default context. */
DerateMonitor *derate_monitor_new (DerateClock  *clock,
                                   GMainContext *check_context,
                                   GMainContext *owner_context);

/* How long the first sweep is waited for, 5 s unless said. */
void derate_monitor_set_grace (DerateMonitor *monitor,
                               GTimeSpan      grace);

/* For tests: the same jitter each time. */
void derate_monitor_set_seed (DerateMonitor *monitor,
                              guint32        seed);

/* Before start (). */
void derate_monitor_set_hook (DerateMonitor    *monitor,
                              DerateMonitorHook hook,
                              gpointer          data);

/* Also while started; a service is added once, to one monitor. */
void derate_monitor_add_service (DerateMonitor *monitor,
                                 DerateService *service);
void derate_monitor_remove_service (DerateMonitor *monitor,
                                    DerateService *service);

/* (element-type DerateService) (transfer full), in the order of adding. */
GPtrArray *derate_monitor_dup_services (DerateMonitor *monitor);

/* The first sweep begins at once. */
void derate_monitor_start (DerateMonitor *monitor);

/* Cancels the checks that run and waits for none. May be started again. */
void derate_monitor_stop (DerateMonitor *monitor);

/* FALSE during the grace of the start: until every service with a check has been answered for, or
 * for five seconds. The first level is published when it becomes TRUE. */
gboolean derate_monitor_is_ready (DerateMonitor *monitor);

/* Whether the newest check of every remote service (two of them at least) found it down: the
 * network of this machine is the first suspect. */
gboolean derate_monitor_get_local_suspect (DerateMonitor *monitor);

DerateMonitor *derate_monitor_ref (DerateMonitor *monitor);
void derate_monitor_unref (DerateMonitor *monitor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateMonitor, derate_monitor_unref)

G_END_DECLS
