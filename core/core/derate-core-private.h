/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-core.h>

#include "derate-drill-set-private.h"

G_BEGIN_DECLS

/* The context of the monitor thread (on a manual clock: of the thread that made the core), where
 * checks, ticks and the D-Bus exporter live. (transfer none) */
GMainContext *derate_core_get_monitor_context (DerateCore *core);

/* A drill of @request, whose service is looked up now; see derate_drill_set_begin (). The limit
 * UNKNOWN is the default. From any thread. */
char *derate_core_begin_drill (DerateCore               *core,
                               const DerateDrillRequest *request,
                               GError                  **error);

/* The drills of the core, for who ends them. (transfer none) */
DerateDrillSet *derate_core_get_drills (DerateCore *core);

/* Runs a check of @name now, in the monitor's context; answers in the caller's thread-default
 * context. */
void derate_core_check_service_async (DerateCore         *core,
                                      const char         *name,
                                      GCancellable       *cancellable,
                                      GAsyncReadyCallback callback,
                                      gpointer            user_data);
DerateHealthReport *derate_core_check_service_finish (DerateCore   *core,
                                                      GAsyncResult *result,
                                                      GError      **error);

G_END_DECLS
