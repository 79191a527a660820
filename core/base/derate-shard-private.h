/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Cells that each thread counts in on its own, so that a hot path writes nothing another thread
 * reads; a reader adds them up. Breakers and metrics share one table a thread. A cell belongs to its
 * owner from alloc () to free (); free () only when nobody adds any more. */
typedef guint32 DerateShardSlot; /* 0 is no slot */

DerateShardSlot derate_shard_alloc (guint n_cells);
void derate_shard_free (DerateShardSlot slot,
                        guint           n_cells);

void derate_shard_add (DerateShardSlot slot,
                       guint64         n);
guint64 derate_shard_sum (DerateShardSlot slot);

/* The same for doubles; a cell is used as one or the other, never as both. */
void derate_shard_add_double (DerateShardSlot slot,
                              double          value);
double derate_shard_sum_double (DerateShardSlot slot);

G_END_DECLS
