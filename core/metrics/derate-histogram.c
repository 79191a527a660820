/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-histogram.h"

#include <math.h>

#include "derate-histogram-private.h"

/**
 * DerateHistogram:
 *
 * How often values fell below each of some bounds, in seconds. Each thread counts in cells of its
 * own, and the whole count is the sum of the buckets, so that `+Inf` and `_count` are equal at any
 * time.
 *
 * Since: 1.0
 */
G_DEFINE_BOXED_TYPE (DerateHistogram,
                     derate_histogram,
                     derate_histogram_ref,
                     derate_histogram_unref)

/**
 * derate_histogram_new:
 * @bounds: (array length=n_bounds) (nullable): rising finite bounds, or %NULL for the default
 * @n_bounds: how many
 *
 * Makes a histogram that stands in no registry, for a collector that writes it with
 * derate_metrics_writer_add_histogram(). The default bounds are those of a call: 0.001 to 5
 * seconds.
 *
 * Returns: (transfer full): the histogram
 *
 * Since: 1.0
 */
DerateHistogram *
derate_histogram_new (const double *bounds, guint n_bounds)
{
  g_return_val_if_fail (bounds == NULL || derate_metric_bounds_are_valid (bounds, n_bounds), NULL);

  return (DerateHistogram *)&derate_metric_family_new (NULL, NULL, DERATE_METRIC_TYPE_HISTOGRAM,
                                                       NULL, bounds, n_bounds)
      ->root;
}

DerateHistogram *
derate_histogram_new_for_spans (void)
{
  DerateHistogram *histogram = derate_histogram_new (NULL, 0);

  histogram->series.spans = derate_metric_default_spans ();
  histogram->series.counts_spans = TRUE;
  return histogram;
}

void
derate_histogram_count_span_slowly (DerateHistogram *histogram, guint bucket, GTimeSpan span)
{
  DerateShardSlot slot = histogram->series.slot;

  derate_shard_add_slowly (slot + bucket, 1);
  derate_shard_add_slowly (slot + histogram->series.n_bounds + 1, (guint64)span);
}

/* The first bucket whose bound is not less than @value, by bounds that end in infinity. Few are
 * faster to walk than to halve. */
static inline guint
find_bucket (const double *bounds, guint n, double value)
{
  const double *low = bounds;

  while (G_UNLIKELY (n > 16))
    {
      guint half = n / 2;

      if (low[half - 1] < value)
        {
          low += half;
          n -= half;
        }
      else
        n = half;
    }
  while (*low < value)
    low++;
  return (guint)(low - bounds);
}

G_NO_INLINE static void
count_slowly (DerateHistogram *histogram, guint bucket, double seconds)
{
  DerateShardSlot slot = histogram->series.slot;

  derate_shard_add_slowly (slot + bucket, 1);
  derate_shard_add_double_slowly (slot + histogram->series.n_bounds + 1, seconds);
}

/**
 * derate_histogram_observe:
 * @histogram: a histogram without labels, or a series of derate_histogram_with()
 * @seconds: the value
 *
 * Counts a value. One that is not a number is left out, for it would spoil the sum for ever. May be
 * called from any thread.
 *
 * Since: 1.0
 */
void
derate_histogram_observe (DerateHistogram *histogram, double seconds)
{
  guint64 *cells;
  guint bucket;

  g_return_if_fail (histogram != NULL && histogram->series.slot != 0);

  if (G_UNLIKELY (isnan (seconds)))
    return;
  bucket = find_bucket (histogram->series.bounds, histogram->series.n_bounds, seconds);
  cells = derate_shard_peek_cells (histogram->series.slot);
  if (G_UNLIKELY (cells == NULL))
    {
      count_slowly (histogram, bucket, seconds);
      return;
    }
  derate_shard_bump (cells + bucket, 1);
  derate_shard_bump_double (cells + histogram->series.n_bounds + 1, seconds);
}

void
derate_histogram_keep_exemplar (DerateHistogram *histogram,
                                double seconds,
                                const char *label,
                                const char *value)
{
  DerateMetricSeries *series = &histogram->series;
  guint bucket = find_bucket (series->family->bounds, series->n_bounds, seconds);

  derate_exemplars_keep (&series->exemplars, series->n_bounds + 2, bucket, seconds, label, value);
}

/**
 * derate_histogram_observe_with_exemplar:
 * @histogram: a histogram without labels, or a series of derate_histogram_with()
 * @seconds: the value
 * @label: the name of a label, such as `trace_id`
 * @value: its value, UTF-8
 *
 * Counts a value and remembers whose it was, for OpenMetrics to show beside its bucket until the
 * next that is remembered there. Takes longer than derate_histogram_observe(), and never waits; an
 * exemplar whose label has over 128 characters, name and value together, is not kept. May be called
 * from any thread.
 *
 * Since: 1.0
 */
void
derate_histogram_observe_with_exemplar (DerateHistogram *histogram,
                                        double seconds,
                                        const char *label,
                                        const char *value)
{
  g_return_if_fail (histogram != NULL && histogram->series.slot != 0);
  g_return_if_fail (derate_metric_label_is_valid (label) && value != NULL);

  if (isnan (seconds))
    return;
  derate_histogram_observe (histogram, seconds);
  derate_histogram_keep_exemplar (histogram, seconds, label, value);
}

void
derate_histogram_get_buckets (DerateHistogram *histogram, guint64 *buckets)
{
  for (guint i = 0; i <= histogram->series.family->n_bounds; i++)
    buckets[i] = derate_shard_sum (histogram->series.slot + i);
}

/**
 * derate_histogram_get_count:
 * @histogram: a histogram without labels, or a series of derate_histogram_with()
 *
 * How many values were counted. May be called from any thread.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint64
derate_histogram_get_count (DerateHistogram *histogram)
{
  guint64 count = 0;

  g_return_val_if_fail (histogram != NULL && histogram->series.slot != 0, 0);

  for (guint i = 0; i <= histogram->series.family->n_bounds; i++)
    count += derate_shard_sum (histogram->series.slot + i);
  return count;
}

/**
 * derate_histogram_get_sum:
 * @histogram: a histogram without labels, or a series of derate_histogram_with()
 *
 * The sum of the values that were counted. May be called from any thread.
 *
 * Returns: the sum
 *
 * Since: 1.0
 */
double
derate_histogram_get_sum (DerateHistogram *histogram)
{
  g_return_val_if_fail (histogram != NULL && histogram->series.slot != 0, 0);

  return derate_metric_series_get_sum (&histogram->series);
}

/**
 * derate_histogram_with:
 * @histogram: a histogram with labels
 * @label_values: (array zero-terminated=1): a value for each of its labels, in their order
 *
 * Finds the series with these label values, and makes it at 0 where it is new: ask once for those
 * you know beforehand. A family holds 1000 of them; what comes after that shares one series, all of
 * whose labels are `_other`. May be called from any thread; a series that exists is found without a
 * lock.
 *
 * Returns: (transfer none): the series, which lives as long as @histogram
 *
 * Since: 1.0
 */
DerateHistogram *
derate_histogram_with (DerateHistogram *histogram, const char *const *label_values)
{
  DerateMetricFamily *family;

  g_return_val_if_fail (histogram != NULL && label_values != NULL, NULL);

  family = histogram->series.family;
  g_return_val_if_fail (!histogram->series.is_series, NULL);
  for (guint i = 0; i < family->n_labels; i++)
    g_return_val_if_fail (label_values[i] != NULL, NULL);
  g_return_val_if_fail (label_values[family->n_labels] == NULL, NULL);

  return (DerateHistogram *)derate_metric_family_with (family, label_values);
}

/**
 * derate_histogram_ref:
 * @histogram: a histogram
 *
 * Takes a reference, which keeps the whole family.
 *
 * Returns: (transfer full): @histogram
 *
 * Since: 1.0
 */
DerateHistogram *
derate_histogram_ref (DerateHistogram *histogram)
{
  derate_metric_family_ref (histogram->series.family);
  return histogram;
}

/**
 * derate_histogram_unref:
 * @histogram: (transfer full): a histogram
 *
 * Drops a reference.
 *
 * Since: 1.0
 */
void
derate_histogram_unref (DerateHistogram *histogram)
{
  derate_metric_family_unref (histogram->series.family);
}
