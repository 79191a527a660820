/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-pg-batch.h"
#include "derate-pg-connection-private.h"

G_BEGIN_DECLS

/* derate_pg_connection_run_async () without a task. @func is given no result, and no error where
 * the batch was run, whatever became of its statements; one that is atomic was run where it was
 * committed. */
void derate_pg_connection_start_batch (DeratePgConnection *connection,
                                       DeratePgBatch      *batch,
                                       DeratePgBatchFlags  flags,
                                       DeratePgOperation   operation,
                                       GCancellable       *cancellable,
                                       DeratePgDoneFunc    func,
                                       gpointer            data);

G_END_DECLS
