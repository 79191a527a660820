/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <string.h>

G_BEGIN_DECLS

/* Cells that each thread counts in on its own, so that a hot path writes nothing another thread
 * reads; a reader adds them up. Breakers and metrics share one table a thread. A cell belongs to
 * its owner from alloc () to free (); free () only when nobody adds any more. A cell begins at
 * zero. */
typedef guint32 DerateShardSlot; /* 0 is no slot */

/* At most this many cells in one alloc (); they stand side by side. */
#define DERATE_SHARD_PAGE_CELLS 512

DerateShardSlot derate_shard_alloc (guint n_cells);
void derate_shard_free (DerateShardSlot slot,
                        guint           n_cells);

guint64 derate_shard_sum (DerateShardSlot slot);
double derate_shard_sum_double (DerateShardSlot slot);

/* This thread's own cells, by slot; in place of cell 0, which is none, stands how many there are: 0
 * before its first count. What lies beyond them takes the slow way. The one thread-local pointer of
 * the library; `initial-exec`, because the default model costs twice as much in a library that is
 * dlopened. */
extern __thread guint64 *derate_shard_cells
    __attribute__ ((tls_model ("initial-exec"), visibility ("hidden")));

void derate_shard_add_slowly (DerateShardSlot slot,
                              guint64         n);
void derate_shard_add_double_slowly (DerateShardSlot slot,
                                     double          value);

/* This thread's own cell, with those that were allocated after it; NULL where it takes the slow
 * way, which is the same for all of one alloc (). */
static inline guint64 *
derate_shard_peek_cells (DerateShardSlot slot)
{
  guint64 *cells = derate_shard_cells;

  return G_LIKELY (slot < cells[0]) ? cells + slot : NULL;
}

/* Only this thread writes the cell: a load, an add and a store, without a locked instruction. */
static inline void
derate_shard_bump (guint64 *cell,
                   guint64  n)
{
  __atomic_store_n (cell, __atomic_load_n (cell, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void
derate_shard_bump_double (guint64 *cell,
                          double   value)
{
  guint64 bits = __atomic_load_n (cell, __ATOMIC_RELAXED);
  double sum;

  memcpy (&sum, &bits, sizeof sum);
  sum += value;
  memcpy (&bits, &sum, sizeof bits);
  __atomic_store_n (cell, bits, __ATOMIC_RELAXED);
}

static inline void
derate_shard_add (DerateShardSlot slot,
                  guint64         n)
{
  guint64 *cell = derate_shard_peek_cells (slot);

  if (G_UNLIKELY (cell == NULL))
    derate_shard_add_slowly (slot, n);
  else
    derate_shard_bump (cell, n);
}

/* The same for doubles; a cell is used as one or the other, never as both. */
static inline void
derate_shard_add_double (DerateShardSlot slot,
                         double          value)
{
  guint64 *cell = derate_shard_peek_cells (slot);

  if (G_UNLIKELY (cell == NULL))
    derate_shard_add_double_slowly (slot, value);
  else
    derate_shard_bump_double (cell, value);
}

G_END_DECLS
