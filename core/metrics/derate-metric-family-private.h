/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-counter.h"
#include "derate-exemplar-private.h"
#include "derate-gauge.h"
#include "derate-histogram.h"
#include "derate-metrics-writer.h"
#include "derate-shard-private.h"

G_BEGIN_DECLS

/* More label values than this in one family go to one series whose labels are all `_other`. */
#define DERATE_METRIC_SERIES_MAX 1000
#define DERATE_METRIC_OTHER "_other"

typedef struct _DerateMetricFamily DerateMetricFamily;
typedef struct _DerateMetricSeries DerateMetricSeries;

/* One series: what a DerateCounter, DerateGauge or DerateHistogram is. It lives as long as its
 * family, whose references the handles share. */
struct _DerateMetricSeries
{
  DerateMetricFamily *family;
  DerateShardSlot slot; /* counter, histogram; 0 in the handle of a family with labels */
  guint16 n_bounds;     /* histogram: its family's, at hand */
  guint8 is_series;     /* FALSE in that handle */
  guint8 counts_spans;  /* histogram: of derate_histogram_new_for_spans () */
  union
  {
    guint64 bits;         /* gauge: a double */
    const double *bounds; /* histogram: its family's, at hand */
    const GTimeSpan *spans; /* the same if it counts spans */
  };
  guint64 hash;
  DerateMetricSeries *next; /* in the order of making; read without the lock */
  const char *values;       /* the label values, each ended by NUL */
  const char *labels;       /* `a="b",c="d"`, escaped */
  DerateExemplars *exemplars; /* NULL before the first; atomic */
};

struct _DerateCounter
{
  DerateMetricSeries series;
};

struct _DerateGauge
{
  DerateMetricSeries series;
};

struct _DerateHistogram
{
  DerateMetricSeries series;
};

/* Immutable but for its series, which are only ever added; atomically reference counted. */
struct _DerateMetricFamily
{
  DerateMetricSeries root; /* the handle of the family; without labels, its only series */
  char *name;
  char *help;
  DerateMetricType type;
  char **label_names;
  guint n_labels;
  const double *bounds; /* and infinity behind them */
  guint n_bounds;

  GMutex mutex;
  gpointer table; /* look-up by label values, read without the lock */
  GPtrArray *old_tables;
  DerateMetricSeries *first;
  DerateMetricSeries *last;
  DerateMetricSeries *other;
  guint n_series;
  guint64 n_dropped;
};

/* A family; @name is NULL for a metric that stands alone, outside a registry. */
DerateMetricFamily *derate_metric_family_new (const char        *name,
                                              const char        *help,
                                              DerateMetricType   type,
                                              const char *const *label_names,
                                              const double      *bounds,
                                              guint              n_bounds);

gboolean derate_metric_family_equal (const DerateMetricFamily *a,
                                     const DerateMetricFamily *b);

DerateMetricFamily *derate_metric_family_ref (DerateMetricFamily *family);
void derate_metric_family_unref (DerateMetricFamily *family);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateMetricFamily, derate_metric_family_unref)

/* The series with these label values, made where it is new; borrowed from the family. */
DerateMetricSeries *derate_metric_family_with (DerateMetricFamily *family,
                                               const char *const  *values);

/* The first series; the rest by derate_metric_series_next (). */
DerateMetricSeries *derate_metric_family_first (DerateMetricFamily *family);
DerateMetricSeries *derate_metric_series_next (DerateMetricSeries *series);

/* Of a histogram, in seconds. */
double derate_metric_series_get_sum (const DerateMetricSeries *series);

guint64 derate_metric_family_get_dropped (DerateMetricFamily *family);

/* Bounds that rise and are finite; @bounds NULL is the default. */
const double *derate_metric_default_bounds (guint *n_bounds);
const GTimeSpan *derate_metric_default_spans (void); /* the same in microseconds */
gboolean derate_metric_bounds_are_valid (const double *bounds,
                                         guint         n_bounds);

/* What Prometheus allows; OpenMetrics knows a counter by its `_total`. */
gboolean derate_metric_name_is_valid (const char *name);
gboolean derate_metric_name_suits (const char      *name,
                                   DerateMetricType type);
gboolean derate_metric_label_is_valid (const char *label);

G_END_DECLS
