/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "derate-counter.h"
#include "derate-metrics-collector.h"
#include "derate-metrics-writer-private.h"

G_BEGIN_DECLS

/* How long a rendering waits for one collector, and after which time another thread goes on with
 * the others. */
#define DERATE_METRICS_DEADLINE G_TIME_SPAN_SECOND
#define DERATE_METRICS_PATIENCE (50 * G_TIME_SPAN_MILLISECOND)

/* A collector of a registry; outlives its removal while it is asked. */
typedef struct
{
  DerateMetricsCollector *collector;
  DerateCounter *errors;
  gboolean is_stuck; /* by the renderer's mutex: a thread is still in it */
  gboolean failed; /* in the last rendering; belongs to the one that goes on */
} DerateMetricsEntry;

/* Takes @errors. */
DerateMetricsEntry *derate_metrics_entry_new (DerateMetricsCollector *collector,
                                              DerateCounter          *errors);
DerateMetricsEntry *derate_metrics_entry_ref (DerateMetricsEntry *entry);
void derate_metrics_entry_unref (DerateMetricsEntry *entry);

/* Begins a rendering: a writer with what is no collector's, and the collectors to ask. The owner
 * lives as long as somebody waits for the rendering. */
typedef DerateMetricsWriter *(*DerateMetricsBegin) (gpointer owner,
                                                    DerateMetricsFormat format,
                                                    GPtrArray *entries);

/* Renders for one registry, one rendering at a time, in threads of its own: there collectors are
 * asked, and the text is made. All who ask for the same format while another rendering goes on get
 * the next one together. */
typedef struct _DerateMetricsRenderer DerateMetricsRenderer;

DerateMetricsRenderer *derate_metrics_renderer_new (gpointer           owner,
                                                    DerateMetricsBegin begin);
void derate_metrics_renderer_unref (DerateMetricsRenderer *renderer);

/* For tests; call it before the first rendering. */
void derate_metrics_renderer_set_limits (DerateMetricsRenderer *renderer,
                                         GTimeSpan              deadline,
                                         GTimeSpan              patience);

/* Waits in this thread. */
GBytes *derate_metrics_renderer_render (DerateMetricsRenderer *renderer,
                                        DerateMetricsFormat    format);

/* Returns a GBytes through @task, which it takes and which keeps the owner. */
void derate_metrics_renderer_start (DerateMetricsRenderer *renderer,
                                    DerateMetricsFormat    format,
                                    GTask                 *task);

G_END_DECLS
