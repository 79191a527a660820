/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-metrics-writer.h"

#include <string.h>

#include "derate-exemplar-private.h"
#include "derate-metrics-text-private.h"
#include "derate-metrics-writer-private.h"

#define PROCESS_PREFIX "process_"
#define BREAKER_PREFIX "circuit_breaker_"
#define BREAKER_LABEL "name"

/* Threads: a writer belongs to one thread at a time. */

typedef struct
{
  char *name; /* as it is shown */
  char *base; /* the same in OpenMetrics */
  DerateMetricType type;
  char *help;
  char **label_names; /* as they are shown */
  guint n_labels;
  DerateMetricFamily *own; /* (nullable) of the registry: its series come first */
  GString *samples;
} FamilyText;

/**
 * DerateMetricsWriter:
 *
 * Where a [iface@MetricsCollector] writes. It is good for the length of one call of `collect` and
 * belongs to the thread of that call.
 *
 * Since: 1.0
 */
struct _DerateMetricsWriter
{
  DerateMetricsSettings settings;
  GPtrArray *families; /* (element-type FamilyText) */
  GHashTable *by_base; /* base → FamilyText */
  FamilyText *current; /* NULL where samples are not wanted */
  GString *labels; /* of the sample that is being written */
  GString *exemplars; /* the same; NULL before the first */
  DerateMetricsBounds bounds;
  char *failure; /* NULL: none */
};

G_DEFINE_BOXED_TYPE (DerateMetricsWriter,
                     derate_metrics_writer,
                     derate_metrics_writer_ref,
                     derate_metrics_writer_unref)

static void
family_text_free (FamilyText *family)
{
  g_free (family->name);
  g_free (family->base);
  g_free (family->help);
  g_strfreev (family->label_names);
  g_string_free (family->samples, TRUE);
  g_free (family);
}

DerateMetricsWriter *
derate_metrics_writer_new (const DerateMetricsSettings *settings)
{
  DerateMetricsWriter *writer = g_atomic_rc_box_new0 (DerateMetricsWriter);

  writer->settings = *settings;
  writer->settings.prefix = g_strdup (settings->prefix != NULL ? settings->prefix : "");
  writer->settings.breaker_label = g_strdup (settings->breaker_label);
  writer->families = g_ptr_array_new_with_free_func ((GDestroyNotify)family_text_free);
  writer->by_base = g_hash_table_new (g_str_hash, g_str_equal);
  writer->labels = g_string_new (NULL);
  return writer;
}

DerateMetricsWriter *
derate_metrics_writer_new_part (DerateMetricsWriter *writer)
{
  return derate_metrics_writer_new (&writer->settings);
}

static void
writer_clear (gpointer data)
{
  DerateMetricsWriter *writer = data;

  g_free (writer->settings.prefix);
  g_free (writer->settings.breaker_label);
  g_ptr_array_unref (writer->families);
  g_hash_table_unref (writer->by_base);
  g_string_free (writer->labels, TRUE);
  if (writer->exemplars != NULL)
    g_string_free (writer->exemplars, TRUE);
  derate_metrics_bounds_clear (&writer->bounds);
  g_free (writer->failure);
}

/**
 * derate_metrics_writer_ref:
 * @writer: a writer
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @writer
 *
 * Since: 1.0
 */
DerateMetricsWriter *
derate_metrics_writer_ref (DerateMetricsWriter *writer)
{
  return g_atomic_rc_box_acquire (writer);
}

/**
 * derate_metrics_writer_unref:
 * @writer: (transfer full): a writer
 *
 * Drops a reference.
 *
 * Since: 1.0
 */
void
derate_metrics_writer_unref (DerateMetricsWriter *writer)
{
  g_atomic_rc_box_release_full (writer, writer_clear);
}

/**
 * derate_metrics_writer_fail:
 * @writer: a writer
 * @reason: what went wrong, for the log
 *
 * Says that the collector could not find out its numbers. Nothing of what it has written in this
 * call is shown, `derate_metrics_collector_errors_total` counts one more, and all others are shown
 * as ever.
 *
 * Since: 1.0
 */
void
derate_metrics_writer_fail (DerateMetricsWriter *writer, const char *reason)
{
  g_return_if_fail (writer != NULL && reason != NULL);

  if (writer->failure == NULL)
    writer->failure = g_strdup (reason);
}

const char *
derate_metrics_writer_get_failure (DerateMetricsWriter *writer)
{
  return writer->failure;
}

static gboolean
renames_label (DerateMetricsWriter *writer, const char *family, const char *label)
{
  return writer->settings.breaker_label != NULL && strcmp (label, BREAKER_LABEL) == 0 &&
         g_str_has_prefix (family, BREAKER_PREFIX);
}

/* The names of the labels as they are shown. */
static char **
show_labels (DerateMetricsWriter *writer, const char *family, const char *const *label_names)
{
  char **shown = g_strdupv ((char **)label_names);

  for (guint i = 0; shown != NULL && shown[i] != NULL; i++)
    if (renames_label (writer, family, shown[i]))
      {
        g_free (shown[i]);
        shown[i] = g_strdup (writer->settings.breaker_label);
      }
  return shown != NULL ? shown : g_new0 (char *, 1);
}

static gboolean
labels_are_valid (const char *const *label_names)
{
  for (guint i = 0; label_names != NULL && label_names[i] != NULL; i++)
    if (!derate_metric_label_is_valid (label_names[i]))
      return FALSE;
  return TRUE;
}

static gboolean
families_match (const FamilyText *family, DerateMetricType type, char **label_names)
{
  return family->type == type &&
         g_strv_equal ((const char *const *)family->label_names, (const char *const *)label_names);
}

static void
enter_family (DerateMetricsWriter *writer, FamilyText *family)
{
  g_ptr_array_add (writer->families, family);
  g_hash_table_insert (writer->by_base, family->base, family);
}

/* FALSE and a failure where a name is none. */
static gboolean
check_names (DerateMetricsWriter *writer,
             const char *name,
             DerateMetricType type,
             const char *const *label_names)
{
  g_autofree char *failure = NULL;

  if (derate_metric_name_is_valid (name) && derate_metric_name_suits (name, type) &&
      labels_are_valid (label_names))
    return TRUE;
  failure = g_strdup_printf ("“%s” or one of its labels is no name", name);
  derate_metrics_writer_fail (writer, failure);
  return FALSE;
}

/**
 * derate_metrics_writer_begin_family:
 * @writer: a writer
 * @name: the name, without the registry's prefix; that of a counter ends in `_total`
 * @type: the type
 * @help: what it counts, one line
 * @label_names: (array zero-terminated=1) (nullable): the names of its labels
 *
 * Begins a family: the samples that follow are its. A family that was begun before, by this
 * collector or another, goes on, if type and labels are the same.
 *
 * Returns: %FALSE where the family is not written, because metrics are off, a name breaks the rules
 *   of Prometheus or this collector began it otherwise; its samples are then left out. The last two
 *   are a failure of the collector
 *
 * Since: 1.0
 */
gboolean
derate_metrics_writer_begin_family (DerateMetricsWriter *writer,
                                    const char *name,
                                    DerateMetricType type,
                                    const char *help,
                                    const char *const *label_names)
{
  gboolean is_process;
  g_autofree char *shown_name = NULL;
  g_autofree char *base = NULL;
  g_auto (GStrv) shown_labels = NULL;
  FamilyText *family;

  g_return_val_if_fail (writer != NULL && name != NULL, FALSE);
  writer->current = NULL;
  g_return_val_if_fail (type != DERATE_METRIC_TYPE_UNKNOWN, FALSE);
  if (!check_names (writer, name, type, label_names))
    return FALSE;

  is_process = g_str_has_prefix (name, PROCESS_PREFIX);
  if (writer->settings.process_only && !is_process)
    return FALSE;
  shown_name = g_strconcat (is_process ? "" : writer->settings.prefix, name, NULL);
  shown_labels = show_labels (writer, name, label_names);

  base = g_strndup (shown_name, derate_metrics_base_length (shown_name, type));
  family = g_hash_table_lookup (writer->by_base, base);
  if (family == NULL)
    {
      family = g_new0 (FamilyText, 1);
      family->name = g_steal_pointer (&shown_name);
      family->base = g_steal_pointer (&base);
      family->type = type;
      family->help = g_strdup (help != NULL ? help : "");
      family->n_labels = g_strv_length (shown_labels);
      family->label_names = g_steal_pointer (&shown_labels);
      family->samples = g_string_sized_new (256);
      enter_family (writer, family);
    }
  else if (!families_match (family, type, shown_labels))
    {
      derate_metrics_writer_fail (writer, "a family was begun with another type or other labels");
      return FALSE;
    }

  writer->current = family;
  return TRUE;
}

/* The text of the labels of the current family with @values; NULL where nothing is to be written.
 */
static const char *
make_labels (DerateMetricsWriter *writer, const char *const *values)
{
  FamilyText *family = writer->current;
  guint n = values != NULL ? g_strv_length ((char **)values) : 0;

  if (family == NULL)
    return NULL;
  g_return_val_if_fail (n == family->n_labels, NULL);

  g_string_truncate (writer->labels, 0);
  for (guint i = 0; i < n; i++)
    derate_metrics_append_label (writer->labels, family->label_names[i], values[i]);
  return writer->labels->str;
}

/**
 * derate_metrics_writer_sample:
 * @writer: a writer
 * @label_values: (array zero-terminated=1) (nullable): a value for each label of the family
 * @value: the number; for a gauge, NaN is written as such; a counter that is negative or no number
 *   is a failure of the collector
 *
 * Writes one series of the counter or gauge that was begun.
 *
 * Since: 1.0
 */
void
derate_metrics_writer_sample (DerateMetricsWriter *writer,
                              const char *const *label_values,
                              double value)
{
  const char *labels = make_labels (writer, label_values);
  FamilyText *family = writer->current;

  if (labels == NULL)
    return;
  g_return_if_fail (family->type != DERATE_METRIC_TYPE_HISTOGRAM);

  if (family->type == DERATE_METRIC_TYPE_COUNTER && !(value >= 0))
    derate_metrics_writer_fail (writer, "a counter is negative or no number");
  else
    derate_metrics_append_value (family->samples, family->name, labels, value);
}

/**
 * derate_metrics_writer_histogram:
 * @writer: a writer
 * @label_values: (array zero-terminated=1) (nullable): a value for each label of the family
 * @bounds: (array length=n_bounds): rising finite bounds
 * @cumulative: (array length=n_bounds): how many values are at or below each
 * @n_bounds: how many bounds
 * @sum: the sum of all values
 * @count: how many values; the bucket `+Inf` too
 *
 * Writes one series of the histogram that was begun.
 *
 * Since: 1.0
 */
void
derate_metrics_writer_histogram (DerateMetricsWriter *writer,
                                 const char *const *label_values,
                                 const double *bounds,
                                 const guint64 *cumulative,
                                 guint n_bounds,
                                 double sum,
                                 guint64 count)
{
  const DerateMetricsHistogram histogram = { bounds, cumulative, n_bounds, sum, count, NULL, NULL };
  const char *labels = make_labels (writer, label_values);

  if (labels == NULL)
    return;
  g_return_if_fail (writer->current->type == DERATE_METRIC_TYPE_HISTOGRAM);

  derate_metrics_append_histogram (writer->current->samples, writer->settings.format,
                                   &writer->bounds, writer->current->name, labels, &histogram);
}

static const char *
read_exemplars (DerateMetricsWriter *writer, DerateMetricSeries *series, guint n, gssize *starts)
{
  if (writer->exemplars == NULL)
    writer->exemplars = g_string_new (NULL);
  g_string_truncate (writer->exemplars, 0);
  derate_exemplars_append (&series->exemplars, n, writer->exemplars, starts);
  return writer->exemplars->str;
}

/* Reads the cells once, so that what is written agrees with itself while others go on counting, and
 * the exemplars before them. */
static void
append_histogram_series (DerateMetricsWriter *writer,
                         GString *out,
                         const char *name,
                         const char *labels,
                         DerateMetricSeries *series)
{
  guint n = series->family->n_bounds;
  gssize starts[DERATE_SHARD_PAGE_CELLS];
  guint64 cumulative[DERATE_SHARD_PAGE_CELLS];
  DerateMetricsHistogram histogram = { series->family->bounds, cumulative, n, 0, 0, NULL, starts };

  if (writer->settings.format == DERATE_METRICS_FORMAT_OPENMETRICS && series->exemplars != NULL)
    {
      histogram.exemplars = read_exemplars (writer, series, n + 1, starts);
    }
  histogram.sum = derate_metric_series_get_sum (series);
  for (guint i = 0; i <= n; i++)
    {
      histogram.count += derate_shard_sum (series->slot + i);
      cumulative[i] = histogram.count;
    }
  derate_metrics_append_histogram (out, writer->settings.format, &writer->bounds, name, labels,
                                   &histogram);
}

/**
 * derate_metrics_writer_add_histogram:
 * @writer: a writer
 * @label_values: (array zero-terminated=1) (nullable): a value for each label of the family
 * @histogram: a histogram of derate_histogram_new()
 *
 * Writes what a histogram has counted as one series of the histogram that was begun.
 *
 * Since: 1.0
 */
void
derate_metrics_writer_add_histogram (DerateMetricsWriter *writer,
                                     const char *const *label_values,
                                     DerateHistogram *histogram)
{
  const char *labels = make_labels (writer, label_values);

  if (labels == NULL)
    return;
  g_return_if_fail (writer->current->type == DERATE_METRIC_TYPE_HISTOGRAM);
  g_return_if_fail (histogram != NULL && histogram->series.slot != 0);

  append_histogram_series (writer, writer->current->samples, writer->current->name, labels,
                           &histogram->series);
}

static void
append_counter_series (DerateMetricsWriter *writer,
                       GString *out,
                       const char *name,
                       const char *labels,
                       DerateMetricSeries *series)
{
  const char *exemplar = NULL;
  gssize start;

  if (writer->settings.format == DERATE_METRICS_FORMAT_OPENMETRICS && series->exemplars != NULL)
    {
      exemplar = read_exemplars (writer, series, 1, &start);
      exemplar = start >= 0 ? exemplar : NULL;
    }
  derate_metrics_append_count (out, name, labels, derate_shard_sum (series->slot), exemplar);
}

/* The labels with their values once more, where one is shown under another name. */
static const char *
remake_labels (DerateMetricsWriter *writer, FamilyText *family, DerateMetricSeries *series)
{
  const char *value = series->values;

  g_string_truncate (writer->labels, 0);
  for (guint i = 0; i < family->n_labels; i++, value += strlen (value) + 1)
    derate_metrics_append_label (writer->labels, family->label_names[i], value);
  return writer->labels->str;
}

static void
append_own_series (DerateMetricsWriter *writer, FamilyText *family, GString *out)
{
  gboolean renamed = FALSE;

  for (guint i = 0; i < family->n_labels; i++)
    renamed = renamed || renames_label (writer, family->own->name, family->own->label_names[i]);
  for (DerateMetricSeries *series = derate_metric_family_first (family->own); series != NULL;
       series = derate_metric_series_next (series))
    {
      const char *labels = renamed ? remake_labels (writer, family, series) : series->labels;

      if (family->type == DERATE_METRIC_TYPE_HISTOGRAM)
        append_histogram_series (writer, out, family->name, labels, series);
      else if (family->type == DERATE_METRIC_TYPE_COUNTER)
        append_counter_series (writer, out, family->name, labels, series);
      else
        derate_metrics_append_value (out, family->name, labels,
                                     derate_gauge_get_value ((DerateGauge *)series));
    }
}

static DerateMetricType
look_up_type (gpointer data, const char *base)
{
  FamilyText *family = g_hash_table_lookup (((DerateMetricsWriter *)data)->by_base, base);

  return family != NULL ? family->type : DERATE_METRIC_TYPE_UNKNOWN;
}

void
derate_metrics_writer_add_family (DerateMetricsWriter *writer, DerateMetricFamily *family)
{
  if (!derate_metrics_writer_begin_family (writer, family->name, family->type, family->help,
                                           (const char *const *)family->label_names))
    return;
  writer->current->own = family;
}

gboolean
derate_metrics_writer_take (DerateMetricsWriter *writer, DerateMetricsWriter *part)
{
  gboolean whole = TRUE;

  if (part->failure != NULL)
    return FALSE;
  part->current = NULL;
  g_hash_table_remove_all (part->by_base);
  while (part->families->len > 0)
    {
      FamilyText *family = g_ptr_array_steal_index (part->families, 0);
      FamilyText *known = g_hash_table_lookup (writer->by_base, family->base);

      if (known == NULL && !derate_metrics_clashes (family->name, family->type, look_up_type,
                                                    writer, writer->labels))
        {
          enter_family (writer, family);
          continue;
        }
      if (known != NULL && families_match (known, family->type, family->label_names))
        g_string_append_len (known->samples, family->samples->str, (gssize)family->samples->len);
      else
        {
          g_autofree char *failure =
              g_strdup_printf ("%s is there already, as something else", family->name);

          derate_metrics_writer_fail (part, failure);
          whole = FALSE;
        }
      family_text_free (family);
    }
  return whole;
}

static gint
compare_families (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(FamilyText *const *)a)->name, (*(FamilyText *const *)b)->name);
}

static gboolean
is_empty (FamilyText *family)
{
  return family->samples->len == 0 &&
         (family->own == NULL || derate_metric_family_first (family->own) == NULL);
}

GString *
derate_metrics_writer_finish (DerateMetricsWriter *writer)
{
  GString *out = g_string_sized_new (16 * 1024);

  g_ptr_array_sort (writer->families, compare_families);
  for (guint i = 0; i < writer->families->len; i++)
    {
      FamilyText *family = g_ptr_array_index (writer->families, i);

      if (is_empty (family))
        continue;
      derate_metrics_append_header (out, writer->settings.format, family->name, family->type,
                                    family->help);
      if (family->own != NULL)
        append_own_series (writer, family, out);
      g_string_append_len (out, family->samples->str, (gssize)family->samples->len);
    }
  if (writer->settings.format == DERATE_METRICS_FORMAT_OPENMETRICS)
    g_string_append (out, "# EOF\n");
  return out;
}
