/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

G_BEGIN_DECLS

#define DERATE_TYPE_DEGRADED_FALLBACK (derate_degraded_fallback_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateDegradedFallback,
                      derate_degraded_fallback,
                      DERATE,
                      DEGRADED_FALLBACK,
                      GObject)

/**
 * DerateDegradedFunc:
 * @request: what is asked
 * @user_data: what was given with the function
 * @error: where to put the error
 *
 * Computes a poorer answer. It must not block, and may be called from any thread.
 *
 * Returns: (transfer full): the answer, which may be floating; %NULL with an error where there is
 * none
 *
 * Since: 1.0
 */
typedef GVariant *(*DerateDegradedFunc)(DerateFallbackRequest *request,
                                        gpointer               user_data,
                                        GError               **error);

DERATE_AVAILABLE_IN_1_0
DerateFallback *derate_degraded_fallback_new (const char        *source,
                                              DerateDegradedFunc func,
                                              gpointer           user_data,
                                              GDestroyNotify     destroy);

G_END_DECLS
