/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

G_BEGIN_DECLS

#define DERATE_TYPE_DEFAULT_FALLBACK (derate_default_fallback_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateDefaultFallback,
                      derate_default_fallback,
                      DERATE,
                      DEFAULT_FALLBACK,
                      GObject)

DERATE_AVAILABLE_IN_1_0
DerateFallback *derate_default_fallback_new (GVariant *value);

G_END_DECLS
