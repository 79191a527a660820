/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-metrics-writer.h"

#include <string.h>

#include "derate-metrics-writer-private.h"
#include "derate-number-private.h"

#define PROCESS_PREFIX "process_"
#define BREAKER_PREFIX "circuit_breaker_"
#define BREAKER_LABEL "name"

typedef struct
{
  char *name; /* as it is shown */
  DerateMetricType type;
  char *help;
  char **label_names; /* as they are shown */
  guint n_labels;
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
  char *prefix;
  char *breaker_label;
  gboolean process_only;
  GPtrArray *families; /* (element-type FamilyText) */
  GHashTable *by_name;
  FamilyText *current; /* NULL where samples are not wanted */
  GString *labels; /* of the sample that is being written */
};

G_DEFINE_BOXED_TYPE (DerateMetricsWriter,
                     derate_metrics_writer,
                     derate_metrics_writer_ref,
                     derate_metrics_writer_unref)

static void
family_text_free (FamilyText *family)
{
  g_free (family->name);
  g_free (family->help);
  g_strfreev (family->label_names);
  g_string_free (family->samples, TRUE);
  g_free (family);
}

DerateMetricsWriter *
derate_metrics_writer_new (const char *prefix, const char *breaker_label, gboolean process_only)
{
  DerateMetricsWriter *writer = g_atomic_rc_box_new0 (DerateMetricsWriter);

  writer->prefix = g_strdup (prefix != NULL ? prefix : "");
  writer->breaker_label = g_strdup (breaker_label);
  writer->process_only = process_only;
  writer->families = g_ptr_array_new_with_free_func ((GDestroyNotify)family_text_free);
  writer->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  writer->labels = g_string_new (NULL);
  return writer;
}

static void
writer_clear (gpointer data)
{
  DerateMetricsWriter *writer = data;

  g_free (writer->prefix);
  g_free (writer->breaker_label);
  g_ptr_array_unref (writer->families);
  g_hash_table_unref (writer->by_name);
  g_string_free (writer->labels, TRUE);
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

/* HELP escapes the backslash and the line feed, a label's value also the quote. */
static void
append_escaped (GString *out, const char *text, gboolean quote)
{
  g_autofree char *valid = NULL;

  if (!g_utf8_validate (text, -1, NULL))
    text = valid = g_utf8_make_valid (text, -1);
  while (*text != '\0')
    {
      gsize plain = strcspn (text, quote ? "\\\n\"" : "\\\n");

      g_string_append_len (out, text, (gssize)plain);
      text += plain;
      if (*text == '\0')
        break;
      g_string_append_c (out, '\\');
      g_string_append_c (out, *text == '\n' ? 'n' : *text);
      text++;
    }
}

void
derate_metrics_append_label (GString *labels, const char *name, const char *value)
{
  if (labels->len > 0)
    g_string_append_c (labels, ',');
  g_string_append (labels, name);
  g_string_append (labels, "=\"");
  append_escaped (labels, value, TRUE);
  g_string_append_c (labels, '"');
}

static gboolean
renames_label (DerateMetricsWriter *writer, const char *family, const char *label)
{
  return writer->breaker_label != NULL && strcmp (label, BREAKER_LABEL) == 0 &&
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
        shown[i] = g_strdup (writer->breaker_label);
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

/**
 * derate_metrics_writer_begin_family:
 * @writer: a writer
 * @name: the name, without the registry's prefix
 * @type: the type
 * @help: what it counts, one line
 * @label_names: (array zero-terminated=1) (nullable): the names of its labels
 *
 * Begins a family: the samples that follow are its. A family that another collector has begun goes
 * on, if type and labels are the same.
 *
 * Returns: %FALSE where the family is not written, because it clashes with another of that name, or
 *   metrics are off; its samples are then left out
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
  g_auto (GStrv) shown_labels = NULL;
  FamilyText *family;

  g_return_val_if_fail (writer != NULL, FALSE);
  writer->current = NULL;
  g_return_val_if_fail (derate_metric_name_is_valid (name), FALSE);
  g_return_val_if_fail (type != DERATE_METRIC_TYPE_UNKNOWN, FALSE);
  g_return_val_if_fail (labels_are_valid (label_names), FALSE);

  is_process = g_str_has_prefix (name, PROCESS_PREFIX);
  if (writer->process_only && !is_process)
    return FALSE;
  shown_name = g_strconcat (is_process ? "" : writer->prefix, name, NULL);
  shown_labels = show_labels (writer, name, label_names);

  family = g_hash_table_lookup (writer->by_name, shown_name);
  if (family == NULL)
    {
      family = g_new0 (FamilyText, 1);
      family->name = g_steal_pointer (&shown_name);
      family->type = type;
      family->help = g_strdup (help != NULL ? help : "");
      family->n_labels = g_strv_length (shown_labels);
      family->label_names = g_steal_pointer (&shown_labels);
      family->samples = g_string_new (NULL);
      g_ptr_array_add (writer->families, family);
      g_hash_table_insert (writer->by_name, family->name, family);
    }
  else if (family->type != type || !g_strv_equal ((const char *const *)family->label_names,
                                                  (const char *const *)shown_labels))
    return FALSE;

  writer->current = family;
  return TRUE;
}

static void
append_count (GString *out, guint64 count)
{
  derate_number_append_uint64 (out, count);
  g_string_append_c (out, '\n');
}

/* `name`, `_suffix` and `{labels` up to where an `le` could follow. */
static void
append_start (FamilyText *family, const char *suffix, const char *labels, const char *le)
{
  GString *out = family->samples;

  g_string_append (out, family->name);
  g_string_append (out, suffix);
  if (*labels != '\0' || le != NULL)
    {
      g_string_append_c (out, '{');
      g_string_append (out, labels);
      if (le != NULL)
        {
          g_string_append (out, *labels != '\0' ? ",le=\"" : "le=\"");
          g_string_append (out, le);
          g_string_append_c (out, '"');
        }
      g_string_append_c (out, '}');
    }
  g_string_append_c (out, ' ');
}

static void
append_histogram (FamilyText *family,
                  const char *labels,
                  const double *bounds,
                  const guint64 *cumulative,
                  guint n_bounds,
                  double sum,
                  guint64 count)
{
  g_autoptr (GString) le = g_string_new (NULL);

  for (guint i = 0; i < n_bounds; i++)
    {
      g_string_truncate (le, 0);
      derate_number_append_le (le, bounds[i]);
      append_start (family, "_bucket", labels, le->str);
      append_count (family->samples, cumulative[i]);
    }
  append_start (family, "_bucket", labels, "+Inf");
  append_count (family->samples, count);
  append_start (family, "_sum", labels, NULL);
  derate_number_append_sample (family->samples, sum);
  g_string_append_c (family->samples, '\n');
  append_start (family, "_count", labels, NULL);
  append_count (family->samples, count);
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
 * @value: the number; NaN is written as such
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

  if (labels == NULL)
    return;
  g_return_if_fail (writer->current->type != DERATE_METRIC_TYPE_HISTOGRAM);

  append_start (writer->current, "", labels, NULL);
  derate_number_append_sample (writer->current->samples, value);
  g_string_append_c (writer->current->samples, '\n');
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
  const char *labels = make_labels (writer, label_values);

  if (labels == NULL)
    return;
  g_return_if_fail (writer->current->type == DERATE_METRIC_TYPE_HISTOGRAM);

  append_histogram (writer->current, labels, bounds, cumulative, n_bounds, sum, count);
}

/* Reads the cells once, so that what is written agrees with itself while others go on counting. */
static void
append_histogram_series (FamilyText *family, const char *labels, DerateMetricSeries *series)
{
  const DerateMetricFamily *own = series->family;
  g_autofree guint64 *cumulative = g_new (guint64, own->n_bounds + 1);
  double sum = derate_metric_series_get_sum (series);
  guint64 count = 0;

  for (guint i = 0; i <= own->n_bounds; i++)
    {
      count += derate_shard_sum (series->slot + i);
      cumulative[i] = count;
    }
  append_histogram (family, labels, own->bounds, cumulative, own->n_bounds, sum, count);
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

  append_histogram_series (writer->current, labels, &histogram->series);
}

/* The text kept with the series, or one made anew where a label is shown under another name. */
static const char *
labels_of_series (DerateMetricsWriter *writer, DerateMetricSeries *series, gboolean renamed)
{
  g_autofree const char **values = NULL;
  const char *value = series->values;
  guint n = series->family->n_labels;

  if (!renamed)
    return series->labels;
  values = g_new0 (const char *, n + 1);
  for (guint i = 0; i < n; i++, value += strlen (value) + 1)
    values[i] = value;
  return make_labels (writer, values);
}

static void
append_series (FamilyText *text, const char *labels, DerateMetricSeries *series)
{
  if (text->type == DERATE_METRIC_TYPE_HISTOGRAM)
    {
      append_histogram_series (text, labels, series);
      return;
    }
  append_start (text, "", labels, NULL);
  if (text->type == DERATE_METRIC_TYPE_COUNTER)
    append_count (text->samples, derate_shard_sum (series->slot));
  else
    {
      derate_number_append_sample (text->samples, derate_gauge_get_value ((DerateGauge *)series));
      g_string_append_c (text->samples, '\n');
    }
}

void
derate_metrics_writer_add_family (DerateMetricsWriter *writer, DerateMetricFamily *family)
{
  gboolean renamed = FALSE;

  if (!derate_metrics_writer_begin_family (writer, family->name, family->type, family->help,
                                           (const char *const *)family->label_names))
    return;

  for (guint i = 0; i < family->n_labels; i++)
    renamed = renamed || renames_label (writer, family->name, family->label_names[i]);
  for (DerateMetricSeries *series = derate_metric_family_first (family); series != NULL;
       series = derate_metric_series_next (series))
    append_series (writer->current, labels_of_series (writer, series, renamed), series);
}

static gint
compare_families (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(FamilyText *const *)a)->name, (*(FamilyText *const *)b)->name);
}

char *
derate_metrics_writer_finish (DerateMetricsWriter *writer)
{
  static const char *const words[] = {
    [DERATE_METRIC_TYPE_COUNTER] = "counter",
    [DERATE_METRIC_TYPE_GAUGE] = "gauge",
    [DERATE_METRIC_TYPE_HISTOGRAM] = "histogram",
  };
  g_autoptr (GString) out = NULL;
  gsize size = 0;

  g_ptr_array_sort (writer->families, compare_families);
  for (guint i = 0; i < writer->families->len; i++)
    size += ((FamilyText *)g_ptr_array_index (writer->families, i))->samples->len + 256;
  out = g_string_sized_new (size);

  for (guint i = 0; i < writer->families->len; i++)
    {
      FamilyText *family = g_ptr_array_index (writer->families, i);

      if (family->samples->len == 0)
        continue;
      g_string_append_printf (out, "# HELP %s ", family->name);
      append_escaped (out, family->help, FALSE);
      g_string_append_printf (out, "\n# TYPE %s %s\n", family->name, words[family->type]);
      g_string_append_len (out, family->samples->str, (gssize)family->samples->len);
    }
  return g_string_free (g_steal_pointer (&out), FALSE);
}
