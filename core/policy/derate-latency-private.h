/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-shard-private.h"

G_BEGIN_DECLS

/* Eight buckets an octave from 64 µs to 18 minutes, one for what is less. */
#define DERATE_LATENCY_BUCKETS (1 + 24 * 8)

/* A quantile of how long calls took in the last 30 to 60 s, an eighth of an octave too high at
 * most. A call is counted in the thread's own shard; once a second whoever asks adds the shards up.
 * All functions may be called from any thread. */
typedef struct
{
  DerateShardSlot cells;
  double quantile;
  gint64 estimate; /* atomic; 0 while there are less than 20 */
  gint64 next;     /* atomic: when to look again */

  GMutex mutex; /* guards what follows */
  gint64 rotation;
  guint64 old[DERATE_LATENCY_BUCKETS]; /* what was counted when the window began */
  guint64 middle[DERATE_LATENCY_BUCKETS];
} DerateLatency;

#define DERATE_LATENCY_MINIMUM 20

DerateLatency *derate_latency_new (double quantile);
void derate_latency_free (DerateLatency *latency);

void derate_latency_add (DerateLatency *latency,
                         GTimeSpan      span);

/* In microseconds; 0 while too little is known. */
GTimeSpan derate_latency_get (DerateLatency *latency,
                              gint64         now);

G_END_DECLS
