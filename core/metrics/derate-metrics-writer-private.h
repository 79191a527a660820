/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-metric-family-private.h"
#include "derate-metrics-writer.h"

G_BEGIN_DECLS

typedef struct
{
  char *prefix; /* nullable */
  char *breaker_label; /* nullable */
  gboolean process_only; /* all else is left out */
  DerateMetricsFormat format;
} DerateMetricsSettings;

/* A writer for one rendering, and those of its collectors' parts. */
DerateMetricsWriter *derate_metrics_writer_new (const DerateMetricsSettings *settings);
DerateMetricsWriter *derate_metrics_writer_new_part (DerateMetricsWriter *writer);

/* All series of a family of the registry, read when the text is made. */
void derate_metrics_writer_add_family (DerateMetricsWriter *writer,
                                       DerateMetricFamily  *family);

/* Takes over what a collector has written into @part. FALSE where some of it was left out: it
 * failed, or clashes with what is there. */
gboolean derate_metrics_writer_take (DerateMetricsWriter *writer,
                                     DerateMetricsWriter *part);

/* What the collector itself said went wrong; NULL if nothing did. */
const char *derate_metrics_writer_get_failure (DerateMetricsWriter *writer);

/* The text, families in the order of their names. */
GString *derate_metrics_writer_finish (DerateMetricsWriter *writer);

G_END_DECLS
