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

/* What the inline functions below need to see. */
typedef struct
{
  gsize n_pages;
  guint64 *pages[];
} DerateShardDirectory;

/* This thread's directory, NULL before its first count. The one thread-local pointer of the
 * library; `initial-exec`, because the default model costs twice as much in a library that is
 * dlopened. */
extern __thread DerateShardDirectory *derate_shard_directory
    __attribute__ ((tls_model ("initial-exec"), visibility ("hidden")));

void derate_shard_add_slowly (DerateShardSlot slot,
                              guint64         n);
void derate_shard_add_double_slowly (DerateShardSlot slot,
                                     double          value);

/* This thread's own cell, or NULL where it takes the slow way. */
static inline guint64 *
derate_shard_peek_cell (DerateShardSlot slot)
{
  DerateShardDirectory *directory = derate_shard_directory;
  gsize page = slot / DERATE_SHARD_PAGE_CELLS;

  if (G_UNLIKELY (directory == NULL || page >= directory->n_pages ||
                  directory->pages[page] == NULL))
    return NULL;
  return directory->pages[page] + slot % DERATE_SHARD_PAGE_CELLS;
}

/* Only this thread writes the cell: a load, an add and a store, without a locked instruction. */
static inline void
derate_shard_add (DerateShardSlot slot,
                  guint64         n)
{
  guint64 *cell = derate_shard_peek_cell (slot);

  if (G_UNLIKELY (cell == NULL))
    derate_shard_add_slowly (slot, n);
  else
    __atomic_store_n (cell, __atomic_load_n (cell, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

/* The same for doubles; a cell is used as one or the other, never as both. */
static inline void
derate_shard_add_double (DerateShardSlot slot,
                         double          value)
{
  guint64 *cell = derate_shard_peek_cell (slot);
  guint64 bits;
  double sum;

  if (G_UNLIKELY (cell == NULL))
    {
      derate_shard_add_double_slowly (slot, value);
      return;
    }
  bits = __atomic_load_n (cell, __ATOMIC_RELAXED);
  memcpy (&sum, &bits, sizeof sum);
  sum += value;
  memcpy (&bits, &sum, sizeof bits);
  __atomic_store_n (cell, bits, __ATOMIC_RELAXED);
}

G_END_DECLS
