/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

G_BEGIN_DECLS

#define DERATE_TYPE_CACHED_FALLBACK (derate_cached_fallback_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateCachedFallback,
                      derate_cached_fallback,
                      DERATE,
                      CACHED_FALLBACK,
                      GObject)

DERATE_AVAILABLE_IN_1_0
DerateFallback *derate_cached_fallback_new (DerateClock *clock,
                                            GTimeSpan    max_age,
                                            GTimeSpan    stale_if_error,
                                            gsize        max_entries,
                                            gsize        max_bytes);

DERATE_AVAILABLE_IN_1_0
void derate_cached_fallback_put (DerateCachedFallback *cache,
                                 const char           *key,
                                 GVariant             *value);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_cached_fallback_lookup (DerateCachedFallback *cache,
                                         const char           *key,
                                         GTimeSpan            *age);

DERATE_AVAILABLE_IN_1_0
void derate_cached_fallback_clear (DerateCachedFallback *cache);

DERATE_AVAILABLE_IN_1_0
gsize derate_cached_fallback_get_n_entries (DerateCachedFallback *cache);

DERATE_AVAILABLE_IN_1_0
gsize derate_cached_fallback_get_n_bytes (DerateCachedFallback *cache);

G_END_DECLS
