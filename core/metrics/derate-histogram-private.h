/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-metric-family-private.h"

G_BEGIN_DECLS

/* A histogram with the default bounds that stands in no registry and counts spans alone. It sums up
 * microseconds: to make doubles of them would take as long as all else in a measured call. */
DerateHistogram *derate_histogram_new_for_spans (void);

void derate_histogram_count_span_slowly (DerateHistogram *histogram,
                                         guint            bucket,
                                         GTimeSpan        span);

/* Remembers whose a value was that has been counted. */
void derate_histogram_keep_exemplar (DerateHistogram *histogram,
                                     double           seconds,
                                     const char      *label,
                                     const char      *value);

/* How many values fell in each bucket alone, the last above all bounds: one more than there are
 * bounds. */
void derate_histogram_get_buckets (DerateHistogram *histogram,
                                   guint64         *buckets);

static inline void
derate_histogram_count_span (DerateHistogram *histogram,
                             GTimeSpan        span)
{
  const DerateMetricSeries *series = &histogram->series;
  guint64 *cells = derate_shard_peek_cells (series->slot);
  guint bucket = 0;

  while (series->spans[bucket] < span)
    bucket++;
  if (G_UNLIKELY (cells == NULL))
    {
      derate_histogram_count_span_slowly (histogram, bucket, span);
      return;
    }
  derate_shard_bump (cells + bucket, 1);
  derate_shard_bump (cells + series->n_bounds + 1, (guint64)span);
}

G_END_DECLS
