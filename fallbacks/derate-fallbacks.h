/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The strategies of the library: the only include a program needs for them. */

#include <derate-cached-fallback.h>
#include <derate-default-fallback.h>
#include <derate-degraded-fallback.h>
#include <derate-error-fallback.h>
#include <derate.h>

G_BEGIN_DECLS

DERATE_AVAILABLE_IN_1_0
gboolean derate_fallbacks_register (DerateFallbackFactory *factory,
                                    GError               **error);

DERATE_AVAILABLE_IN_1_0
void derate_fallbacks_add_function (DerateFallbackFactory *factory,
                                    const char            *name,
                                    DerateDegradedFunc     func,
                                    gpointer               user_data,
                                    GDestroyNotify         destroy);

G_END_DECLS
