/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-breaker-registry.h>
#include <derate-config.h>
#include <derate-degradation-manager.h>
#include <derate-fallback-chain.h>
#include <derate-fallback-factory.h>
#include <derate-fault.h>
#include <derate-metrics-registry.h>
#include <derate-pipeline.h>
#include <derate-plugin-loader.h>
#include <derate-service.h>

G_BEGIN_DECLS

/**
 * DerateCorePipelineFlags:
 * @DERATE_CORE_PIPELINE_FULL: nothing
 * @DERATE_CORE_PIPELINE_BARE: the fallbacks: for the fallback of another service, which asks this
 *   one and no further
 * @DERATE_CORE_PIPELINE_NO_RETRY: the retries: for calls that have no time for them
 * @DERATE_CORE_PIPELINE_UNCOUNTED: the counting: for calls that are a part of an answer which the
 *   program counts itself, by derate_degradation_manager_note_answer()
 *
 * What to leave out of the usual pipeline; see derate_core_create_pipeline().
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  DERATE_CORE_PIPELINE_FULL = 0,
  DERATE_CORE_PIPELINE_BARE = 1 << 0,
  DERATE_CORE_PIPELINE_NO_RETRY = 1 << 1,
  DERATE_CORE_PIPELINE_UNCOUNTED = 1 << 2,
} DerateCorePipelineFlags;

/**
 * DerateCoreWatchFunc: (skip)
 * @event: (nullable): `level`, `service`, `breaker`, `hold` or `drill`; %NULL when nothing more
 *   will come
 * @value: (nullable): an `a{sv}`: what it is now
 * @user_data: what was given with the function
 *
 * Hears of what happens in a core; see derate_core_add_watch().
 *
 * Since: 1.0
 */
typedef void (*DerateCoreWatchFunc) (const char *event,
                                     GVariant   *value,
                                     gpointer    user_data);

#define DERATE_TYPE_CORE (derate_core_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateCore, derate_core, DERATE, CORE, GObject)

DERATE_AVAILABLE_IN_1_0
DerateCore *derate_core_new (const char  *name,
                             DerateClock *clock,
                             GError     **error);

DERATE_AVAILABLE_IN_1_0
DerateCore *derate_core_new_from_file (const char  *path,
                                       DerateClock *clock,
                                       GError     **error);

DERATE_AVAILABLE_IN_1_0
DerateCore *derate_core_new_from_config (DerateConfig *config,
                                         DerateClock  *clock,
                                         GError      **error);

DERATE_AVAILABLE_IN_1_0
DerateCore *derate_core_get_default (void);

DERATE_AVAILABLE_IN_1_0
void derate_core_set_default (DerateCore *core);

DERATE_AVAILABLE_IN_1_0
const char *derate_core_get_name (DerateCore *core);

DERATE_AVAILABLE_IN_1_0
DerateClock *derate_core_get_clock (DerateCore *core);

DERATE_AVAILABLE_IN_1_0
DerateBreakerRegistry *derate_core_get_breakers (DerateCore *core);

DERATE_AVAILABLE_IN_1_0
GListModel *derate_core_get_services (DerateCore *core);

DERATE_AVAILABLE_IN_1_0
DerateDegradationManager *derate_core_get_degradation_manager (DerateCore *core);

DERATE_AVAILABLE_IN_1_0
DerateFallbackFactory *derate_core_get_fallbacks (DerateCore *core);

DERATE_AVAILABLE_IN_1_0
DerateFallbackUsage *derate_core_get_fallback_usage (DerateCore *core);

DERATE_AVAILABLE_IN_1_0
DerateFallback *derate_core_create_fallback (DerateCore *core,
                                             const char *service,
                                             GError    **error);

DERATE_AVAILABLE_IN_1_0
DeratePipeline *derate_core_create_pipeline (DerateCore             *core,
                                             const char             *service,
                                             DerateCorePipelineFlags flags,
                                             GError                **error);

DERATE_AVAILABLE_IN_1_0
DeratePipeline *derate_core_create_gated_pipeline (DerateCore             *core,
                                                   const char             *service,
                                                   const char             *feature,
                                                   DerateCorePipelineFlags flags,
                                                   GError                **error);

DERATE_AVAILABLE_IN_1_0
DerateMetricsRegistry *derate_core_get_metrics (DerateCore *core);

DERATE_AVAILABLE_IN_1_0
DeratePluginLoader *derate_core_get_plugins (DerateCore *core);

DERATE_AVAILABLE_IN_1_0
DerateConfig *derate_core_get_config (DerateCore *core);

DERATE_AVAILABLE_IN_1_0
gboolean derate_core_add_service (DerateCore    *core,
                                  DerateService *service,
                                  GError       **error);

DERATE_AVAILABLE_IN_1_0
DerateService *derate_core_lookup_service (DerateCore *core,
                                           const char *name);

DERATE_AVAILABLE_IN_1_0
DerateBreaker *derate_core_lookup_breaker (DerateCore *core,
                                           const char *name);

DERATE_AVAILABLE_IN_1_0
void derate_core_start_async (DerateCore         *core,
                              GCancellable       *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer            user_data);

DERATE_AVAILABLE_IN_1_0
gboolean derate_core_start_finish (DerateCore   *core,
                                   GAsyncResult *result,
                                   GError      **error);

DERATE_AVAILABLE_IN_1_0
void derate_core_stop_async (DerateCore         *core,
                             GCancellable       *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer            user_data);

DERATE_AVAILABLE_IN_1_0
gboolean derate_core_stop_finish (DerateCore   *core,
                                  GAsyncResult *result,
                                  GError      **error);

DERATE_AVAILABLE_IN_1_0
char **derate_core_reload (DerateCore *core,
                           GError    **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_core_notify_systemd (DerateCore *core,
                                     GError    **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_core_is_ready (DerateCore *core);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_core_get_loop_lag (DerateCore *core);

DERATE_AVAILABLE_IN_1_0
char *derate_core_start_drill (DerateCore     *core,
                               const char     *service,
                               DerateFaultKind fault,
                               double          value,
                               GTimeSpan       duration,
                               DerateLevel     limit,
                               const char     *reason,
                               GError        **error);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_core_stop_drill (DerateCore *core,
                                  const char *id,
                                  GError    **error);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_core_dup_drills (DerateCore *core,
                                  gboolean    details);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_core_dup_status (DerateCore *core,
                                  gboolean    details);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_core_dup_service (DerateCore    *core,
                                   DerateService *service,
                                   gboolean       details);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_core_dup_breakers (DerateCore *core);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_core_dup_health (DerateCore *core);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_core_dup_events (DerateCore *core,
                                  gboolean    details);

DERATE_AVAILABLE_IN_1_0
guint derate_core_add_watch (DerateCore         *core,
                             gboolean            details,
                             DerateCoreWatchFunc func,
                             gpointer            user_data,
                             GDestroyNotify      destroy);

DERATE_AVAILABLE_IN_1_0
void derate_core_remove_watch (DerateCore *core,
                               guint       id);

G_END_DECLS
