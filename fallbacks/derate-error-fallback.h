/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

G_BEGIN_DECLS

#define DERATE_TYPE_ERROR_FALLBACK (derate_error_fallback_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateErrorFallback,
                      derate_error_fallback,
                      DERATE,
                      ERROR_FALLBACK,
                      GObject)

DERATE_AVAILABLE_IN_1_0
DerateFallback *derate_error_fallback_new (const char *message,
                                           GTimeSpan   retry_after);

DERATE_AVAILABLE_IN_1_0
const char *derate_error_fallback_get_message (DerateErrorFallback *fallback);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_error_fallback_get_retry_after (DerateErrorFallback *fallback);

G_END_DECLS
