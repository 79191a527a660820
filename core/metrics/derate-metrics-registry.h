/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-counter.h>
#include <derate-gauge.h>
#include <derate-histogram.h>
#include <derate-metrics-collector.h>
#include <derate-visibility.h>
#include <gio/gio.h>

G_BEGIN_DECLS

#define DERATE_TYPE_METRICS_REGISTRY (derate_metrics_registry_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateMetricsRegistry,
                      derate_metrics_registry,
                      DERATE,
                      METRICS_REGISTRY,
                      GObject)

DERATE_AVAILABLE_IN_1_0
DerateMetricsRegistry *derate_metrics_registry_new (void);

DERATE_AVAILABLE_IN_1_0
gboolean derate_metrics_registry_set_prefix (DerateMetricsRegistry *registry,
                                             const char            *prefix,
                                             GError               **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_metrics_registry_set_breaker_label (DerateMetricsRegistry *registry,
                                                    const char            *label,
                                                    GError               **error);

DERATE_AVAILABLE_IN_1_0
void derate_metrics_registry_set_enabled (DerateMetricsRegistry *registry,
                                          gboolean               enabled);

DERATE_AVAILABLE_IN_1_0
DerateCounter *derate_metrics_registry_add_counter (DerateMetricsRegistry *registry,
                                                    const char            *name,
                                                    const char            *help,
                                                    const char *const     *label_names,
                                                    GError               **error);

DERATE_AVAILABLE_IN_1_0
DerateGauge *derate_metrics_registry_add_gauge (DerateMetricsRegistry *registry,
                                                const char            *name,
                                                const char            *help,
                                                const char *const     *label_names,
                                                GError               **error);

DERATE_AVAILABLE_IN_1_0
DerateHistogram *derate_metrics_registry_add_histogram (DerateMetricsRegistry *registry,
                                                        const char            *name,
                                                        const char            *help,
                                                        const char *const     *label_names,
                                                        const double          *bounds,
                                                        guint                  n_bounds,
                                                        GError               **error);

DERATE_AVAILABLE_IN_1_0
void derate_metrics_registry_add_collector (DerateMetricsRegistry  *registry,
                                            DerateMetricsCollector *collector);

DERATE_AVAILABLE_IN_1_0
void derate_metrics_registry_remove_collector (DerateMetricsRegistry  *registry,
                                               DerateMetricsCollector *collector);

DERATE_AVAILABLE_IN_1_0
char *derate_metrics_registry_render (DerateMetricsRegistry *registry);

DERATE_AVAILABLE_IN_1_0
GBytes *derate_metrics_registry_render_as (DerateMetricsRegistry *registry,
                                           DerateMetricsFormat    format);

DERATE_AVAILABLE_IN_1_0
void derate_metrics_registry_render_async (DerateMetricsRegistry *registry,
                                           DerateMetricsFormat    format,
                                           GCancellable          *cancellable,
                                           GAsyncReadyCallback    callback,
                                           gpointer               user_data);

DERATE_AVAILABLE_IN_1_0
GBytes *derate_metrics_registry_render_finish (DerateMetricsRegistry *registry,
                                               GAsyncResult          *result,
                                               GError               **error);

G_END_DECLS
