/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-metrics-writer.h"

G_BEGIN_DECLS

/* The syntax: lines of text 0.0.4 and OpenMetrics 1.0, appended to a string. */

/* Appends `name="value"`, escaped, after a comma where @labels is not empty. */
void derate_metrics_append_label (GString    *labels,
                                  const char *name,
                                  const char *value);

/* The lines HELP, TYPE and, in OpenMetrics, UNIT. */
void derate_metrics_append_header (GString            *out,
                                   DerateMetricsFormat format,
                                   const char         *name,
                                   DerateMetricType    type,
                                   const char         *help);

/* The line of one counter or gauge, labels escaped. @exemplar may be NULL. */
void derate_metrics_append_count (GString    *out,
                                  const char *name,
                                  const char *labels,
                                  guint64     count,
                                  const char *exemplar);
void derate_metrics_append_value (GString    *out,
                                  const char *name,
                                  const char *labels,
                                  double      value);

/* The bounds as `le` shows them, kept from one series to the next while they are the same. Begins
 * as zeroes. */
typedef struct
{
  GArray *bounds; /* (element-type double) */
  GString *texts; /* each ended by NUL, +Inf last */
} DerateMetricsBounds;

void derate_metrics_bounds_clear (DerateMetricsBounds *bounds);

typedef struct
{
  const double *bounds;
  const guint64 *cumulative; /* of each bound */
  guint n_bounds;
  double sum;
  guint64 count;
  const char *exemplars; /* (nullable) of derate_exemplars_append () */
  const gssize *exemplar_starts;
} DerateMetricsHistogram;

/* The lines of one histogram. OpenMetrics has neither sum nor count where the sum could fall. */
void derate_metrics_append_histogram (GString                      *out,
                                      DerateMetricsFormat           format,
                                      DerateMetricsBounds          *les,
                                      const char                   *name,
                                      const char                   *labels,
                                      const DerateMetricsHistogram *histogram);

/* The name that OpenMetrics knows the family by, which no two of a rendering share. */
gsize derate_metrics_base_length (const char      *name,
                                  DerateMetricType type);

/* Looks up a family by that name; gives its type, or UNKNOWN. */
typedef DerateMetricType (*DerateMetricsLookup) (gpointer    data,
                                                 const char *base);

/* Whether another family has a name that a sample of this one has in either format, or a sample of
 * that name. @scratch takes part of a name. Those of its own base are not looked for. */
gboolean derate_metrics_clashes (const char         *name,
                                 DerateMetricType    type,
                                 DerateMetricsLookup lookup,
                                 gpointer            data,
                                 GString            *scratch);

G_END_DECLS
