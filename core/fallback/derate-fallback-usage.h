/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-clock.h>
#include <derate-fallback-request.h>
#include <derate-metrics-collector.h>
#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

#define DERATE_TYPE_FALLBACK_USAGE (derate_fallback_usage_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateFallbackUsage,
                      derate_fallback_usage,
                      DERATE,
                      FALLBACK_USAGE,
                      GObject)

DERATE_AVAILABLE_IN_1_0
DerateFallbackUsage *derate_fallback_usage_new (DerateClock *clock);

DERATE_AVAILABLE_IN_1_0
void derate_fallback_usage_add (DerateFallbackUsage *usage,
                                const char          *name,
                                const char          *strategy);

DERATE_AVAILABLE_IN_1_0
void derate_fallback_usage_set_aliases (DerateFallbackUsage *usage,
                                        gboolean             aliases);

DERATE_AVAILABLE_IN_1_0
void derate_fallback_usage_note (DerateFallbackUsage *usage,
                                 const char          *name,
                                 const char          *strategy,
                                 DerateFallbackReason reason,
                                 GTimeSpan            duration,
                                 gboolean             answered);

DERATE_AVAILABLE_IN_1_0
guint64 derate_fallback_usage_get_count (DerateFallbackUsage *usage,
                                         const char          *name);

G_END_DECLS
