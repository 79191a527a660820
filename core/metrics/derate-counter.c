/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-counter.h"

#include "derate-metric-family-private.h"

/**
 * DerateCounter:
 *
 * A number that only rises. Each thread counts in cells of its own, so that counting costs about
 * one addition; a reader adds them up.
 *
 * Since: 1.0
 */
G_DEFINE_BOXED_TYPE (DerateCounter, derate_counter, derate_counter_ref, derate_counter_unref)

/**
 * derate_counter_new:
 *
 * Makes a counter that stands in no registry, for a collector that writes it by itself.
 *
 * Returns: (transfer full): the counter
 *
 * Since: 1.0
 */
DerateCounter *
derate_counter_new (void)
{
  return (DerateCounter *)&derate_metric_family_new (NULL, NULL, DERATE_METRIC_TYPE_COUNTER, NULL,
                                                     NULL, 0)
      ->root;
}

/**
 * derate_counter_inc:
 * @counter: a counter without labels, or a series of derate_counter_with()
 *
 * Counts one. May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_counter_inc (DerateCounter *counter)
{
  g_return_if_fail (counter != NULL && counter->series.slot != 0);

  derate_shard_add (counter->series.slot, 1);
}

/**
 * derate_counter_add:
 * @counter: a counter without labels, or a series of derate_counter_with()
 * @n: how many
 *
 * Counts @n. May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_counter_add (DerateCounter *counter, guint64 n)
{
  g_return_if_fail (counter != NULL && counter->series.slot != 0);

  derate_shard_add (counter->series.slot, n);
}

/**
 * derate_counter_add_with_exemplar:
 * @counter: a counter without labels, or a series of derate_counter_with()
 * @n: how many
 * @label: the name of a label, such as `trace_id`
 * @value: its value, UTF-8
 *
 * Counts @n and remembers whose they were, for OpenMetrics to show beside the number until the next
 * that is remembered. Takes longer than derate_counter_add(), and never waits; an exemplar whose
 * label has over 128 characters, name and value together, is not kept. May be called from any
 * thread.
 *
 * Since: 1.0
 */
void
derate_counter_add_with_exemplar (DerateCounter *counter,
                                  guint64 n,
                                  const char *label,
                                  const char *value)
{
  g_return_if_fail (counter != NULL && counter->series.slot != 0);
  g_return_if_fail (derate_metric_label_is_valid (label) && value != NULL);

  derate_shard_add (counter->series.slot, n);
  derate_exemplars_keep (&counter->series.exemplars, 1, 0, (double)n, label, value);
}

/**
 * derate_counter_get_value:
 * @counter: a counter without labels, or a series of derate_counter_with()
 *
 * Adds up what all threads have counted. May be called from any thread.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint64
derate_counter_get_value (DerateCounter *counter)
{
  g_return_val_if_fail (counter != NULL && counter->series.slot != 0, 0);

  return derate_shard_sum (counter->series.slot);
}

/**
 * derate_counter_with:
 * @counter: a counter with labels
 * @label_values: (array zero-terminated=1): a value for each of its labels, in their order
 *
 * Finds the series with these label values, and makes it at 0 where it is new: ask once for those
 * you know beforehand. A family holds 1000 of them; what comes after that shares one series, all of
 * whose labels are `_other`. May be called from any thread; a series that exists is found without a
 * lock.
 *
 * Returns: (transfer none): the series, which lives as long as @counter
 *
 * Since: 1.0
 */
DerateCounter *
derate_counter_with (DerateCounter *counter, const char *const *label_values)
{
  DerateMetricFamily *family;

  g_return_val_if_fail (counter != NULL && label_values != NULL, NULL);

  family = counter->series.family;
  g_return_val_if_fail (!counter->series.is_series, NULL);
  for (guint i = 0; i < family->n_labels; i++)
    g_return_val_if_fail (label_values[i] != NULL, NULL);
  g_return_val_if_fail (label_values[family->n_labels] == NULL, NULL);

  return (DerateCounter *)derate_metric_family_with (family, label_values);
}

/**
 * derate_counter_ref:
 * @counter: a counter
 *
 * Takes a reference, which keeps the whole family.
 *
 * Returns: (transfer full): @counter
 *
 * Since: 1.0
 */
DerateCounter *
derate_counter_ref (DerateCounter *counter)
{
  derate_metric_family_ref (counter->series.family);
  return counter;
}

/**
 * derate_counter_unref:
 * @counter: (transfer full): a counter
 *
 * Drops a reference.
 *
 * Since: 1.0
 */
void
derate_counter_unref (DerateCounter *counter)
{
  derate_metric_family_unref (counter->series.family);
}
