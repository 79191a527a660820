/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-latency-private.h"

#include <math.h>

#define LOWEST_BIT 6
#define HALF_WINDOW (30 * G_USEC_PER_SEC)
#define REFRESH G_USEC_PER_SEC

DerateLatency *
derate_latency_new (double quantile)
{
  DerateLatency *latency = g_new0 (DerateLatency, 1);

  latency->cells = derate_shard_alloc (DERATE_LATENCY_BUCKETS);
  latency->quantile = quantile;
  latency->rotation = G_MININT64;
  latency->next = G_MININT64;
  g_mutex_init (&latency->mutex);
  return latency;
}

void
derate_latency_free (DerateLatency *latency)
{
  derate_shard_free (latency->cells, DERATE_LATENCY_BUCKETS);
  g_mutex_clear (&latency->mutex);
  g_free (latency);
}

void
derate_latency_add (DerateLatency *latency, GTimeSpan span)
{
  guint bucket = 0;
  guint bit;

  if (span >= 1 << LOWEST_BIT)
    {
      bit = 63 - __builtin_clzll ((guint64)span);
      bucket = 1 + (bit - LOWEST_BIT) * 8 + ((span >> (bit - 3)) & 7);
    }
  derate_shard_add (latency->cells + MIN (bucket, DERATE_LATENCY_BUCKETS - 1), 1);
}

static GTimeSpan
get_upper_edge (guint bucket)
{
  guint bit = LOWEST_BIT + (bucket - 1) / 8;

  if (bucket == 0)
    return 1 << LOWEST_BIT;
  return (GTimeSpan)(8 + (bucket - 1) % 8 + 1) << (bit - 3);
}

static GTimeSpan
estimate_from (const guint64 *counts, guint64 n, double quantile)
{
  guint64 rank = MAX ((guint64)ceil (quantile * n), 1);
  guint64 sum = 0;
  guint bucket = 0;

  if (n < DERATE_LATENCY_MINIMUM)
    return 0;
  while ((sum += counts[bucket]) < rank)
    bucket++;
  return get_upper_edge (bucket);
}

/* Moves the window on, so that it began 30 to 60 s ago. When nobody looked for so long that it
 * would have begun earlier, all that was counted is old but for the ends of calls that took as
 * long. */
static void
rotate_locked (DerateLatency *latency, const guint64 *all, gint64 now)
{
  if (latency->rotation == G_MININT64)
    latency->rotation = now + HALF_WINDOW;
  if (now < latency->rotation)
    return;
  memcpy (latency->old, now - latency->rotation < HALF_WINDOW ? latency->middle : all,
          sizeof latency->old);
  memcpy (latency->middle, all, sizeof latency->middle);
  latency->rotation = now + HALF_WINDOW;
}

static void
refresh_locked (DerateLatency *latency, gint64 now)
{
  guint64 all[DERATE_LATENCY_BUCKETS];
  guint64 counts[DERATE_LATENCY_BUCKETS];
  guint64 n = 0;

  for (guint i = 0; i < DERATE_LATENCY_BUCKETS; i++)
    all[i] = derate_shard_sum (latency->cells + i);
  rotate_locked (latency, all, now);
  for (guint i = 0; i < DERATE_LATENCY_BUCKETS; i++)
    {
      counts[i] = all[i] - latency->old[i];
      n += counts[i];
    }
  __atomic_store_n (&latency->estimate, estimate_from (counts, n, latency->quantile),
                    __ATOMIC_RELAXED);
}

GTimeSpan
derate_latency_get (DerateLatency *latency, gint64 now)
{
  if (now >= __atomic_load_n (&latency->next, __ATOMIC_RELAXED) &&
      g_mutex_trylock (&latency->mutex))
    {
      __atomic_store_n (&latency->next, now + REFRESH, __ATOMIC_RELAXED);
      refresh_locked (latency, now);
      g_mutex_unlock (&latency->mutex);
    }
  return __atomic_load_n (&latency->estimate, __ATOMIC_RELAXED);
}
