/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-metric-family-private.h"
#include "derate-metrics-writer.h"

G_BEGIN_DECLS

/* A writer for one rendering; @prefix may be NULL, @breaker_label too. With @process_only, all but
 * `process_*` is left out. */
DerateMetricsWriter *derate_metrics_writer_new (const char *prefix,
                                                const char *breaker_label,
                                                gboolean    process_only);

/* All series of a family of the registry. */
void derate_metrics_writer_add_family (DerateMetricsWriter *writer,
                                       DerateMetricFamily  *family);

/* The text, families in the order of their names. */
char *derate_metrics_writer_finish (DerateMetricsWriter *writer);

/* Appends `name="value"`, escaped, after a comma where @labels is not empty. */
void derate_metrics_append_label (GString    *labels,
                                  const char *name,
                                  const char *value);

G_END_DECLS
