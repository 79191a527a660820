/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-pg-result.h>

G_BEGIN_DECLS

/**
 * DeratePgBatchFlags:
 * @DERATE_PG_BATCH_NONE: each statement is a transaction of its own
 * @DERATE_PG_BATCH_ATOMIC: all of them are one: they are done together or not at all
 * @DERATE_PG_BATCH_READ_ONLY: that one may change nothing
 *
 * How the statements of a batch belong together.
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  DERATE_PG_BATCH_NONE = 0,
  DERATE_PG_BATCH_ATOMIC = 1 << 0,
  DERATE_PG_BATCH_READ_ONLY = 1 << 1,
} DeratePgBatchFlags;

#define DERATE_TYPE_PG_BATCH (derate_pg_batch_get_type ())

typedef struct _DeratePgBatch DeratePgBatch;

DERATE_AVAILABLE_IN_1_0
GType derate_pg_batch_get_type (void);

DERATE_AVAILABLE_IN_1_0
DeratePgBatch *derate_pg_batch_new (void);

DERATE_AVAILABLE_IN_1_0
guint derate_pg_batch_add (DeratePgBatch *batch,
                           const char    *sql,
                           GVariant      *parameters);

DERATE_AVAILABLE_IN_1_0
guint derate_pg_batch_get_size (DeratePgBatch *batch);

DERATE_AVAILABLE_IN_1_0
DeratePgResult *derate_pg_batch_get_result (DeratePgBatch *batch,
                                            guint          index,
                                            GError       **error);

DERATE_AVAILABLE_IN_1_0
DeratePgBatch *derate_pg_batch_ref (DeratePgBatch *batch);

DERATE_AVAILABLE_IN_1_0
void derate_pg_batch_unref (DeratePgBatch *batch);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeratePgBatch, derate_pg_batch_unref)

G_END_DECLS
