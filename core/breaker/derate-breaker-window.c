/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-window-private.h"

#include <string.h>

/* A stamp counts 2^16 microseconds: 32 bits last for eight years of uptime. */
#define STAMP_SHIFT 16

static guint
n_words (guint size)
{
  return (size + 31) / 32;
}

static guint32 *
slow_bits (const DerateBreakerCounts *counts)
{
  return (guint32 *)counts->data + n_words (counts->size);
}

static guint32 *
stamps (const DerateBreakerCounts *counts)
{
  return (guint32 *)counts->data + 2 * n_words (counts->size);
}

static gboolean
get_bit (const guint32 *bits, guint i)
{
  return (bits[i / 32] >> (i % 32)) & 1;
}

static void
set_bit (guint32 *bits, guint i, gboolean value)
{
  guint32 mask = (guint32)1 << (i % 32);

  bits[i / 32] = value ? bits[i / 32] | mask : bits[i / 32] & ~mask;
}

static gsize
data_size (guint size)
{
  return (2 * n_words (size) + size) * sizeof (guint32);
}

DerateBreakerCounts *
derate_breaker_counts_new (guint size)
{
  DerateBreakerCounts *counts = g_malloc0 (sizeof *counts + data_size (size));

  counts->size = size;
  return counts;
}

void
derate_breaker_counts_clear (DerateBreakerCounts *counts)
{
  counts->fill = 0;
  counts->head = 0;
  counts->failures = 0;
  counts->slow = 0;
  memset (counts->data, 0, data_size (counts->size));
}

static void
add_stamped (DerateBreakerCounts *counts, gboolean failed, gboolean slow, guint32 stamp)
{
  guint i = counts->head;

  if (counts->fill == counts->size)
    {
      counts->failures -= get_bit (counts->data, i);
      counts->slow -= get_bit (slow_bits (counts), i);
    }
  else
    counts->fill++;
  set_bit (counts->data, i, failed);
  set_bit (slow_bits (counts), i, slow);
  stamps (counts)[i] = stamp;
  counts->failures += failed ? 1 : 0;
  counts->slow += slow ? 1 : 0;
  counts->head = i + 1 == counts->size ? 0 : i + 1;
}

void
derate_breaker_counts_add (DerateBreakerCounts *counts, gboolean failed, gboolean slow, gint64 now)
{
  add_stamped (counts, failed, slow, (guint32)(now >> STAMP_SHIFT));
}

void
derate_breaker_counts_get (const DerateBreakerCounts *counts,
                           guint i,
                           gboolean *failed,
                           gboolean *slow,
                           gint64 *time)
{
  guint place = (counts->head + counts->size - counts->fill + i) % counts->size;

  *failed = get_bit (counts->data, place);
  *slow = get_bit (slow_bits (counts), place);
  *time = (gint64)stamps (counts)[place] << STAMP_SHIFT;
}

DerateBreakerCounts *
derate_breaker_counts_resize (DerateBreakerCounts *counts, guint size)
{
  DerateBreakerCounts *resized = derate_breaker_counts_new (size);
  guint n = MIN (counts->fill, size);

  for (guint k = 0; k < n; k++)
    {
      guint i = (counts->head + counts->size - n + k) % counts->size;

      add_stamped (resized, get_bit (counts->data, i), get_bit (slow_bits (counts), i),
                   stamps (counts)[i]);
    }
  g_free (counts);
  return resized;
}

gboolean
derate_breaker_counts_is_quiet (const DerateBreakerCounts *counts)
{
  return counts->fill == counts->size && counts->failures == 0 && counts->slow == 0;
}

void
derate_breaker_counts_restamp (DerateBreakerCounts *counts, guint64 n, gint64 time)
{
  guint last = (guint)MIN (n, counts->fill);

  for (guint k = 1; k <= last; k++)
    stamps (counts)[(counts->head + counts->size - k) % counts->size] =
        (guint32)(time >> STAMP_SHIFT);
}

guint
derate_breaker_counts_since (const DerateBreakerCounts *counts, gint64 time)
{
  guint32 stamp = (guint32)(MAX (time, 0) >> STAMP_SHIFT);
  guint n = 0;

  for (guint k = 1; k <= counts->fill; k++)
    n += stamps (counts)[(counts->head + counts->size - k) % counts->size] >= stamp ? 1 : 0;
  return n;
}
