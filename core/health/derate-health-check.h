/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-health-report.h>
#include <gio/gio.h>

G_BEGIN_DECLS

/**
 * DerateHealthCheckThreading:
 * @DERATE_HEALTH_CHECK_OWNER_CONTEXT: only in the context where the core was made; the default, and
 *   what a class written in Python or JavaScript needs
 * @DERATE_HEALTH_CHECK_ANY_THREAD: in any thread that runs a context
 *
 * Where a check may be started.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_HEALTH_CHECK_OWNER_CONTEXT = 0,
  DERATE_HEALTH_CHECK_ANY_THREAD,
} DerateHealthCheckThreading;

#define DERATE_TYPE_HEALTH_CHECK (derate_health_check_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_INTERFACE (DerateHealthCheck, derate_health_check, DERATE, HEALTH_CHECK, GObject)

/**
 * DerateHealthCheckInterface:
 * @g_iface: the parent interface
 * @run_async: starts a check and returns at once; must never block. Work goes on in the
 *   thread-default context of the caller, where @callback is called, once
 * @run_finish: ends it. A service that is down is a report; an error is the check's own failure (no
 *   descriptor left, an unreadable file), which says nothing about the service
 * @get_threading: where @run_async may be called; without it, in the owner context
 *
 * What a health check must be able to do. It keeps its connection between runs. Deadlines, rise and
 * fall, jitter and the number of checks at once are not its concern: whoever runs it cancels it.
 *
 * Since: 1.0
 */
struct _DerateHealthCheckInterface
{
  GTypeInterface g_iface;

  void (*run_async) (DerateHealthCheck  *check,
                     GCancellable       *cancellable,
                     GAsyncReadyCallback callback,
                     gpointer            user_data);
  DerateHealthReport *(*run_finish) (DerateHealthCheck *check,
                                     GAsyncResult      *result,
                                     GError           **error);
  DerateHealthCheckThreading (*get_threading) (DerateHealthCheck *check);

  /*< private >*/
  gpointer padding[8];
};

DERATE_AVAILABLE_IN_1_0
void derate_health_check_run_async (DerateHealthCheck  *check,
                                    GCancellable       *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer            user_data);

DERATE_AVAILABLE_IN_1_0
DerateHealthReport *derate_health_check_run_finish (DerateHealthCheck *check,
                                                    GAsyncResult      *result,
                                                    GError           **error);

DERATE_AVAILABLE_IN_1_0
DerateHealthCheckThreading derate_health_check_get_threading (DerateHealthCheck *check);

G_END_DECLS
