/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-shard-private.h"

#include <sys/mman.h>

/* Threads: a table has near cells, in one block, and a directory of pages for the far ones. Each of
 * the first 64 threads at one time has a table of its own, which it alone counts in; all others
 * share one and count with locked instructions. When a thread ends, its table with what stands in
 * it waits for the next thread that begins: the base into which ended threads are folded is the
 * table itself, and no count moves.
 *
 * Adding to one's own cell and summing take no lock: a block, a directory and a page, once
 * published with release, are never freed; a directory that grew leaves the old one behind
 * (together they are smaller than the new one). The mutex guards the making of tables, blocks,
 * directories and pages, and the allocation of slots. All memory stays reachable, and there is
 * nothing to be freed at exit.
 */

#define MAX_TABLES 64
#define FIRST_PAGES 8
#define CACHE_LINE 64

/* Whole pages, so that no alloc () has cells on both sides: 256 KiB of addresses a thread, of which
 * the kernel gives memory for what is used. */
#define NEAR_CELLS (64 * DERATE_SHARD_PAGE_CELLS)

typedef struct
{
  gsize n_pages;
  guint64 *pages[]; /* by slot, counted from the first far one */
} Directory;

typedef struct _Table Table;
struct _Table
{
  guint64 *near;
  Directory *directory;
  Table *next_idle;
};

typedef struct _Retired Retired;
struct _Retired
{
  Directory *directory;
  Retired *next;
};

/* Those of a thread without a table of its own. */
static guint64 no_cells[1] = { 0 };

__thread guint64 *derate_shard_cells = no_cells;

static void give_back_table (gpointer data);

static GMutex mutex;
static GPrivate own_table = G_PRIVATE_INIT (give_back_table);
static Table tables[MAX_TABLES];
static guint n_tables = 0; /* read without the mutex */
static Table *idle_tables = NULL;
static Table shared_table;
static Retired *retired = NULL;

static DerateShardSlot next_slot = 1;
static GArray *free_slots[DERATE_SHARD_PAGE_CELLS + 1]; /* by number of cells */

static Directory *
load_directory (const Table *table)
{
  return __atomic_load_n (&table->directory, __ATOMIC_ACQUIRE);
}

static guint64 *
find_near_cell (const Table *table, DerateShardSlot slot)
{
  guint64 *near = __atomic_load_n (&table->near, __ATOMIC_ACQUIRE);

  return near != NULL ? near + slot : NULL;
}

/* The cell if there is memory for it, from any thread. */
static guint64 *
find_cell (const Table *table, DerateShardSlot slot)
{
  Directory *directory;
  guint64 *cells;
  gsize page;

  if (slot < NEAR_CELLS)
    return find_near_cell (table, slot);
  directory = load_directory (table);
  page = (slot - NEAR_CELLS) / DERATE_SHARD_PAGE_CELLS;
  if (directory == NULL || page >= directory->n_pages)
    return NULL;
  cells = __atomic_load_n (&directory->pages[page], __ATOMIC_ACQUIRE);
  return cells != NULL ? cells + slot % DERATE_SHARD_PAGE_CELLS : NULL;
}

/* Called locked. */
static void
grow_directory (Table *table, gsize page)
{
  Directory *old = load_directory (table);
  Directory *directory;
  gsize n = old != NULL ? old->n_pages : FIRST_PAGES;
  Retired *link;

  while (n <= page)
    n *= 2;
  directory = g_malloc0 (sizeof *directory + n * sizeof directory->pages[0]);
  directory->n_pages = n;
  for (gsize i = 0; old != NULL && i < old->n_pages; i++)
    directory->pages[i] = old->pages[i];
  __atomic_store_n (&table->directory, directory, __ATOMIC_RELEASE);

  if (old == NULL)
    return;
  link = g_new (Retired, 1);
  link->directory = old;
  link->next = retired;
  retired = link;
}

/* Called locked. From the kernel, because malloc () would zero it by writing all of it. */
static void
make_near_cells (Table *table)
{
  gsize size = NEAR_CELLS * sizeof (guint64);
  guint64 *cells = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  if (cells == MAP_FAILED)
    cells = g_aligned_alloc0 (NEAR_CELLS, sizeof (guint64), CACHE_LINE);
  cells[0] = NEAR_CELLS;
  __atomic_store_n (&table->near, cells, __ATOMIC_RELEASE);
}

/* Called locked. A page begins on a cache line of its own, so that no two threads share one. */
static void
make_far_cells (Table *table, gsize page)
{
  Directory *directory = load_directory (table);

  if (directory == NULL || page >= directory->n_pages)
    {
      grow_directory (table, page);
      directory = load_directory (table);
    }
  if (directory->pages[page] == NULL)
    {
      guint64 *cells = g_aligned_alloc0 (DERATE_SHARD_PAGE_CELLS, sizeof (guint64), CACHE_LINE);

      __atomic_store_n (&directory->pages[page], cells, __ATOMIC_RELEASE);
    }
}

/* Called locked. */
static guint64 *
ensure_cell (Table *table, DerateShardSlot slot)
{
  if (table->near == NULL)
    make_near_cells (table);
  if (slot >= NEAR_CELLS)
    make_far_cells (table, (slot - NEAR_CELLS) / DERATE_SHARD_PAGE_CELLS);
  return find_cell (table, slot);
}

/* A thread ends: called by GLib in that thread. What is counted after this takes a table anew. */
static void
give_back_table (gpointer data)
{
  Table *table = data;

  derate_shard_cells = no_cells;
  if (table == &shared_table)
    return;
  g_mutex_lock (&mutex);
  table->next_idle = idle_tables;
  idle_tables = table;
  g_mutex_unlock (&mutex);
}

/* Called locked: one that an ended thread left, else a new one, else the shared one. */
static Table *
take_table (void)
{
  Table *table = idle_tables;

  if (table != NULL)
    {
      idle_tables = table->next_idle;
      return table;
    }
  if (n_tables == MAX_TABLES)
    return &shared_table;
  table = &tables[n_tables];
  __atomic_store_n (&n_tables, n_tables + 1, __ATOMIC_RELEASE);
  return table;
}

/* This thread's table, and the cell in it. */
static Table *
get_cell_slowly (DerateShardSlot slot, guint64 **cell)
{
  Table *table = g_private_get (&own_table);
  gboolean is_new = table == NULL;

  *cell = is_new ? NULL : find_cell (table, slot);
  if (*cell != NULL)
    return table;

  g_mutex_lock (&mutex);
  if (is_new)
    table = take_table ();
  *cell = ensure_cell (table, slot);
  g_mutex_unlock (&mutex);

  if (table != &shared_table)
    derate_shard_cells = table->near;
  if (is_new)
    g_private_set (&own_table, table);
  return table;
}

static double
double_of (guint64 bits)
{
  double value;

  memcpy (&value, &bits, sizeof value);
  return value;
}

static guint64
bits_of (double value)
{
  guint64 bits;

  memcpy (&bits, &value, sizeof bits);
  return bits;
}

static void
add_double_shared (guint64 *cell, double value)
{
  guint64 old = __atomic_load_n (cell, __ATOMIC_RELAXED);

  while (!__atomic_compare_exchange_n (cell, &old, bits_of (double_of (old) + value), FALSE,
                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    ;
}

void
derate_shard_add_slowly (DerateShardSlot slot, guint64 n)
{
  guint64 *cell;

  if (get_cell_slowly (slot, &cell) == &shared_table)
    __atomic_fetch_add (cell, n, __ATOMIC_RELAXED);
  else
    derate_shard_bump (cell, n);
}

void
derate_shard_add_double_slowly (DerateShardSlot slot, double value)
{
  guint64 *cell;

  if (get_cell_slowly (slot, &cell) == &shared_table)
    add_double_shared (cell, value);
  else
    derate_shard_bump_double (cell, value);
}

static guint64
load_cell (const Table *table, DerateShardSlot slot)
{
  guint64 *cell = find_cell (table, slot);

  return cell != NULL ? __atomic_load_n (cell, __ATOMIC_RELAXED) : 0;
}

guint64
derate_shard_sum (DerateShardSlot slot)
{
  guint n = __atomic_load_n (&n_tables, __ATOMIC_ACQUIRE);
  guint64 sum = load_cell (&shared_table, slot);

  for (guint i = 0; i < n; i++)
    sum += load_cell (&tables[i], slot);
  return sum;
}

double
derate_shard_sum_double (DerateShardSlot slot)
{
  guint n = __atomic_load_n (&n_tables, __ATOMIC_ACQUIRE);
  double sum = double_of (load_cell (&shared_table, slot));

  for (guint i = 0; i < n; i++)
    sum += double_of (load_cell (&tables[i], slot));
  return sum;
}

/* Called locked. Side by side means within one page; what is left of a page goes to the free list.
 */
static DerateShardSlot
carve_slots (guint n_cells)
{
  guint left = DERATE_SHARD_PAGE_CELLS - next_slot % DERATE_SHARD_PAGE_CELLS;
  DerateShardSlot slot;

  if (left < n_cells)
    {
      if (free_slots[left] == NULL)
        free_slots[left] = g_array_new (FALSE, FALSE, sizeof (DerateShardSlot));
      g_array_append_val (free_slots[left], next_slot);
      next_slot += left;
    }
  slot = next_slot;
  next_slot += n_cells;
  return slot;
}

DerateShardSlot
derate_shard_alloc (guint n_cells)
{
  g_autoptr (GMutexLocker) locker = NULL;
  GArray *free_list;

  g_return_val_if_fail (n_cells > 0 && n_cells < DERATE_SHARD_PAGE_CELLS, 0);

  locker = g_mutex_locker_new (&mutex);
  free_list = free_slots[n_cells];
  if (free_list != NULL && free_list->len > 0)
    {
      DerateShardSlot slot = g_array_index (free_list, DerateShardSlot, free_list->len - 1);

      g_array_set_size (free_list, free_list->len - 1);
      return slot;
    }
  return carve_slots (n_cells);
}

static void
zero_cells (const Table *table, DerateShardSlot slot, guint n_cells)
{
  guint64 *cells = find_cell (table, slot);

  for (guint i = 0; cells != NULL && i < n_cells; i++)
    __atomic_store_n (&cells[i], 0, __ATOMIC_RELAXED);
}

void
derate_shard_free (DerateShardSlot slot, guint n_cells)
{
  g_autoptr (GMutexLocker) locker = NULL;

  if (slot == 0)
    return;

  locker = g_mutex_locker_new (&mutex);
  zero_cells (&shared_table, slot, n_cells);
  for (guint i = 0; i < n_tables; i++)
    zero_cells (&tables[i], slot, n_cells);
  if (free_slots[n_cells] == NULL)
    free_slots[n_cells] = g_array_new (FALSE, FALSE, sizeof (DerateShardSlot));
  g_array_append_val (free_slots[n_cells], slot);
}
