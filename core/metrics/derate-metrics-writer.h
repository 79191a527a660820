/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-histogram.h>
#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

/**
 * DerateMetricType:
 * @DERATE_METRIC_TYPE_UNKNOWN: none
 * @DERATE_METRIC_TYPE_COUNTER: a number that only rises
 * @DERATE_METRIC_TYPE_GAUGE: a number that rises and falls
 * @DERATE_METRIC_TYPE_HISTOGRAM: counts below bounds, and a sum
 *
 * What a family of metrics is. The nick is the word in the exposition.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_METRIC_TYPE_UNKNOWN = 0,
  DERATE_METRIC_TYPE_COUNTER,
  DERATE_METRIC_TYPE_GAUGE,
  DERATE_METRIC_TYPE_HISTOGRAM,
} DerateMetricType;

/**
 * DerateMetricsFormat:
 * @DERATE_METRICS_FORMAT_TEXT: the text format of Prometheus, version 0.0.4
 * @DERATE_METRICS_FORMAT_OPENMETRICS: OpenMetrics, version 1.0.0, with exemplars
 *
 * How an exposition is written.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_METRICS_FORMAT_TEXT = 0,
  DERATE_METRICS_FORMAT_OPENMETRICS,
} DerateMetricsFormat;

#define DERATE_TYPE_METRICS_WRITER (derate_metrics_writer_get_type ())

typedef struct _DerateMetricsWriter DerateMetricsWriter;

DERATE_AVAILABLE_IN_1_0
GType derate_metrics_writer_get_type (void);

DERATE_AVAILABLE_IN_1_0
gboolean derate_metrics_writer_begin_family (DerateMetricsWriter *writer,
                                             const char          *name,
                                             DerateMetricType     type,
                                             const char          *help,
                                             const char *const   *label_names);

DERATE_AVAILABLE_IN_1_0
void derate_metrics_writer_sample (DerateMetricsWriter *writer,
                                   const char *const   *label_values,
                                   double               value);

DERATE_AVAILABLE_IN_1_0
void derate_metrics_writer_histogram (DerateMetricsWriter *writer,
                                      const char *const   *label_values,
                                      const double        *bounds,
                                      const guint64       *cumulative,
                                      guint                n_bounds,
                                      double               sum,
                                      guint64              count);

DERATE_AVAILABLE_IN_1_0
void derate_metrics_writer_add_histogram (DerateMetricsWriter *writer,
                                          const char *const   *label_values,
                                          DerateHistogram     *histogram);

DERATE_AVAILABLE_IN_1_0
void derate_metrics_writer_fail (DerateMetricsWriter *writer,
                                 const char          *reason);

DERATE_AVAILABLE_IN_1_0
DerateMetricsWriter *derate_metrics_writer_ref (DerateMetricsWriter *writer);

DERATE_AVAILABLE_IN_1_0
void derate_metrics_writer_unref (DerateMetricsWriter *writer);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateMetricsWriter, derate_metrics_writer_unref)

G_END_DECLS
