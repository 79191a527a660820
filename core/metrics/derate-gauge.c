/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-gauge.h"

#include <string.h>

#include "derate-metric-family-private.h"

/**
 * DerateGauge:
 *
 * A number that rises and falls.
 *
 * Since: 1.0
 */
G_DEFINE_BOXED_TYPE (DerateGauge, derate_gauge, derate_gauge_ref, derate_gauge_unref)

/**
 * derate_gauge_set:
 * @gauge: a gauge without labels, or a series of derate_gauge_with()
 * @value: the number
 *
 * Sets it. May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_gauge_set (DerateGauge *gauge, double value)
{
  guint64 bits;

  g_return_if_fail (gauge != NULL && gauge->series.is_series);

  memcpy (&bits, &value, sizeof bits);
  __atomic_store_n (&gauge->series.bits, bits, __ATOMIC_RELAXED);
}

/**
 * derate_gauge_add:
 * @gauge: a gauge without labels, or a series of derate_gauge_with()
 * @value: what to add, may be negative
 *
 * Changes it. May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_gauge_add (DerateGauge *gauge, double value)
{
  guint64 old;
  guint64 bits;

  g_return_if_fail (gauge != NULL && gauge->series.is_series);

  old = __atomic_load_n (&gauge->series.bits, __ATOMIC_RELAXED);
  do
    {
      double sum;

      memcpy (&sum, &old, sizeof sum);
      sum += value;
      memcpy (&bits, &sum, sizeof bits);
    }
  while (!__atomic_compare_exchange_n (&gauge->series.bits, &old, bits, FALSE, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED));
}

/**
 * derate_gauge_get_value:
 * @gauge: a gauge without labels, or a series of derate_gauge_with()
 *
 * Reads it. May be called from any thread.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
double
derate_gauge_get_value (DerateGauge *gauge)
{
  guint64 bits;
  double value;

  g_return_val_if_fail (gauge != NULL && gauge->series.is_series, 0);

  bits = __atomic_load_n (&gauge->series.bits, __ATOMIC_RELAXED);
  memcpy (&value, &bits, sizeof value);
  return value;
}

/**
 * derate_gauge_with:
 * @gauge: a gauge with labels
 * @label_values: (array zero-terminated=1): a value for each of its labels, in their order
 *
 * Finds the series with these label values, and makes it at 0 where it is new: ask once for those
 * you know beforehand. A family holds 1000 of them; what comes after that shares one series, all of
 * whose labels are `_other`. May be called from any thread; a series that exists is found without a
 * lock.
 *
 * Returns: (transfer none): the series, which lives as long as @gauge
 *
 * Since: 1.0
 */
DerateGauge *
derate_gauge_with (DerateGauge *gauge, const char *const *label_values)
{
  DerateMetricFamily *family;

  g_return_val_if_fail (gauge != NULL && label_values != NULL, NULL);

  family = gauge->series.family;
  g_return_val_if_fail (!gauge->series.is_series, NULL);
  for (guint i = 0; i < family->n_labels; i++)
    g_return_val_if_fail (label_values[i] != NULL, NULL);
  g_return_val_if_fail (label_values[family->n_labels] == NULL, NULL);

  return (DerateGauge *)derate_metric_family_with (family, label_values);
}

/**
 * derate_gauge_ref:
 * @gauge: a gauge
 *
 * Takes a reference, which keeps the whole family.
 *
 * Returns: (transfer full): @gauge
 *
 * Since: 1.0
 */
DerateGauge *
derate_gauge_ref (DerateGauge *gauge)
{
  derate_metric_family_ref (gauge->series.family);
  return gauge;
}

/**
 * derate_gauge_unref:
 * @gauge: (transfer full): a gauge
 *
 * Drops a reference.
 *
 * Since: 1.0
 */
void
derate_gauge_unref (DerateGauge *gauge)
{
  derate_metric_family_unref (gauge->series.family);
}
