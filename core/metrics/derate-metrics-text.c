/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-metrics-text-private.h"

#include <string.h>

#include "derate-number-private.h"

#define TOTAL "_total"

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
  if (labels->len > 0 && labels->str[labels->len - 1] == '"')
    g_string_append_c (labels, ',');
  g_string_append (labels, name);
  g_string_append (labels, "=\"");
  append_escaped (labels, value, TRUE);
  g_string_append_c (labels, '"');
}

/* The family of a counter is named without what its samples end in. */
gsize
derate_metrics_base_length (const char *name, DerateMetricType type)
{
  gsize length = strlen (name);

  if (type == DERATE_METRIC_TYPE_COUNTER && g_str_has_suffix (name, TOTAL))
    length -= strlen (TOTAL);
  return length;
}

/* A unit is what the name ends in; those that Prometheus names, as far as they are used. */
static const char *
find_unit (const char *name, gsize length)
{
  static const char *const units[] = { "seconds", "bytes", "ratio" };

  for (guint i = 0; i < G_N_ELEMENTS (units); i++)
    {
      gsize n = strlen (units[i]);

      if (length > n + 1 && name[length - n - 1] == '_' &&
          strncmp (name + length - n, units[i], n) == 0)
        return units[i];
    }
  return NULL;
}

/* A line, or its beginning without @text. */
static void
append_comment (GString *out, const char *start, const char *name, gsize length, const char *text)
{
  g_string_append (out, start);
  g_string_append_len (out, name, (gssize)length);
  g_string_append_c (out, ' ');
  if (text == NULL)
    return;
  g_string_append (out, text);
  g_string_append_c (out, '\n');
}

void
derate_metrics_append_header (GString *out,
                              DerateMetricsFormat format,
                              const char *name,
                              DerateMetricType type,
                              const char *help)
{
  static const char *const words[] = {
    [DERATE_METRIC_TYPE_COUNTER] = "counter",
    [DERATE_METRIC_TYPE_GAUGE] = "gauge",
    [DERATE_METRIC_TYPE_HISTOGRAM] = "histogram",
  };
  gboolean open = format == DERATE_METRICS_FORMAT_OPENMETRICS;
  gsize length = open ? derate_metrics_base_length (name, type) : strlen (name);
  const char *unit = open ? find_unit (name, length) : NULL;

  /* OpenMetrics asks for TYPE first. */
  if (open)
    append_comment (out, "# TYPE ", name, length, words[type]);
  if (unit != NULL)
    append_comment (out, "# UNIT ", name, length, unit);
  append_comment (out, "# HELP ", name, length, NULL);
  append_escaped (out, help, open);
  g_string_append_c (out, '\n');
  if (!open)
    append_comment (out, "# TYPE ", name, length, words[type]);
}

/* Room for @n more bytes, asked for once a line. */
static inline char *
reserve (GString *out, gsize n)
{
  gsize length = out->len;

  if (G_UNLIKELY (length + n >= out->allocated_len))
    {
      g_string_set_size (out, length + n);
      out->len = length;
    }
  return out->str + length;
}

static inline char *
put (char *end, const char *text, gsize n)
{
  memcpy (end, text, n);
  return end + n;
}

/* `name`, `_suffix`, `{labels,le="…"}` and a space. */
static void
append_start (GString *out,
              const char *name,
              const char *suffix,
              const char *labels,
              const char *le)
{
  gsize n_name = strlen (name);
  gsize n_suffix = strlen (suffix);
  gsize n_labels = strlen (labels);
  gsize n_le = le != NULL ? strlen (le) : 0;
  char *end = reserve (out, n_name + n_suffix + n_labels + n_le + 16);

  end = put (put (end, name, n_name), suffix, n_suffix);
  if (n_labels > 0 || le != NULL)
    {
      *end++ = '{';
      end = put (end, labels, n_labels);
      if (le != NULL)
        {
          if (n_labels > 0)
            *end++ = ',';
          end = put (put (put (end, "le=\"", 4), le, n_le), "\"", 1);
        }
      *end++ = '}';
    }
  *end++ = ' ';
  *end = '\0';
  out->len = (gsize)(end - out->str);
}

static void
append_end (GString *out, const char *exemplar)
{
  if (exemplar != NULL)
    g_string_append (out, exemplar);
  g_string_append_c (out, '\n');
}

void
derate_metrics_append_count (GString *out,
                             const char *name,
                             const char *labels,
                             guint64 count,
                             const char *exemplar)
{
  append_start (out, name, "", labels, NULL);
  derate_number_append_uint64 (out, count);
  append_end (out, exemplar);
}

void
derate_metrics_append_value (GString *out, const char *name, const char *labels, double value)
{
  append_start (out, name, "", labels, NULL);
  derate_number_append_sample (out, value);
  g_string_append_c (out, '\n');
}

void
derate_metrics_bounds_clear (DerateMetricsBounds *bounds)
{
  if (bounds->texts == NULL)
    return;
  g_array_unref (bounds->bounds);
  g_string_free (bounds->texts, TRUE);
}

/* The texts of @n bounds and of +Inf. */
static const char *
show_bounds (DerateMetricsBounds *kept, const double *bounds, guint n)
{
  if (kept->texts == NULL)
    {
      kept->bounds = g_array_new (FALSE, FALSE, sizeof (double));
      kept->texts = g_string_new (NULL);
    }
  else if (kept->bounds->len == n &&
           (n == 0 || memcmp (kept->bounds->data, bounds, n * sizeof *bounds) == 0))
    return kept->texts->str;

  g_array_set_size (kept->bounds, 0);
  g_string_truncate (kept->texts, 0);
  if (n > 0)
    g_array_append_vals (kept->bounds, bounds, n);
  for (guint i = 0; i < n; i++)
    {
      derate_number_append_le (kept->texts, bounds[i]);
      g_string_append_c (kept->texts, '\0');
    }
  g_string_append (kept->texts, "+Inf");
  return kept->texts->str;
}

static const char *
find_exemplar (const DerateMetricsHistogram *histogram, guint bucket)
{
  if (histogram->exemplars == NULL || histogram->exemplar_starts[bucket] < 0)
    return NULL;
  return histogram->exemplars + histogram->exemplar_starts[bucket];
}

void
derate_metrics_append_histogram (GString *out,
                                 DerateMetricsFormat format,
                                 DerateMetricsBounds *les,
                                 const char *name,
                                 const char *labels,
                                 const DerateMetricsHistogram *histogram)
{
  guint n = histogram->n_bounds;
  const char *le = show_bounds (les, histogram->bounds, n);

  for (guint i = 0; i <= n; i++, le += strlen (le) + 1)
    {
      append_start (out, name, "_bucket", labels, le);
      derate_number_append_uint64 (out, i < n ? histogram->cumulative[i] : histogram->count);
      append_end (out, find_exemplar (histogram, i));
    }
  /* Where values are negative the sum is no counter; NaN is none either. */
  if (format == DERATE_METRICS_FORMAT_OPENMETRICS &&
      ((n > 0 && histogram->bounds[0] < 0) || !(histogram->sum >= 0)))
    return;
  append_start (out, name, "_sum", labels, NULL);
  derate_number_append_sample (out, histogram->sum);
  g_string_append_c (out, '\n');
  append_start (out, name, "_count", labels, NULL);
  derate_number_append_uint64 (out, histogram->count);
  g_string_append_c (out, '\n');
}

static const char *const suffixes[] = { TOTAL, "_created", "_bucket", "_sum", "_count" };

/* Whether the samples of a type have this suffix. */
static gboolean
has_suffix (DerateMetricType type, guint suffix)
{
  switch (type)
    {
    case DERATE_METRIC_TYPE_COUNTER:
      return suffix <= 1;
    case DERATE_METRIC_TYPE_HISTOGRAM:
      return suffix >= 1;
    default:
      return FALSE;
    }
}

gboolean
derate_metrics_clashes (const char *name,
                        DerateMetricType type,
                        DerateMetricsLookup lookup,
                        gpointer data,
                        GString *scratch)
{
  gsize length = derate_metrics_base_length (name, type);

  for (guint i = 0; i < G_N_ELEMENTS (suffixes); i++)
    {
      gsize n = strlen (suffixes[i]);

      g_string_truncate (scratch, 0);
      g_string_append_len (scratch, name, (gssize)length);
      if (length > n && strcmp (scratch->str + length - n, suffixes[i]) == 0)
        {
          g_string_truncate (scratch, length - n);
          if (has_suffix (lookup (data, scratch->str), i))
            return TRUE;
          g_string_append (scratch, suffixes[i]);
        }
      g_string_append (scratch, suffixes[i]);
      if (has_suffix (type, i) && lookup (data, scratch->str) != DERATE_METRIC_TYPE_UNKNOWN)
        return TRUE;
    }
  return FALSE;
}
