/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"

static guint64 n_allocations;

/* In place of the C library's own. */
extern void *__libc_malloc (size_t size);
extern void *__libc_calloc (size_t n, size_t size);
extern void *__libc_realloc (void *memory, size_t size);

static inline void
count (void)
{
  __atomic_fetch_add (&n_allocations, 1, __ATOMIC_RELAXED);
}

void *
malloc (size_t size)
{
  count ();
  return __libc_malloc (size);
}

void *
calloc (size_t n, size_t size)
{
  count ();
  return __libc_calloc (n, size);
}

void *
realloc (void *memory, size_t size)
{
  count ();
  return __libc_realloc (memory, size);
}

guint64
bench_count_allocations (void)
{
  return __atomic_load_n (&n_allocations, __ATOMIC_RELAXED);
}
