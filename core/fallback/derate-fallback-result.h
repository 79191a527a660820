/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-fallback-request.h>
#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

#define DERATE_TYPE_FALLBACK_RESULT (derate_fallback_result_get_type ())

typedef struct _DerateFallbackResult DerateFallbackResult;

DERATE_AVAILABLE_IN_1_0
GType derate_fallback_result_get_type (void);

DERATE_AVAILABLE_IN_1_0
DerateFallbackResult *derate_fallback_result_new (GVariant            *value,
                                                  const char          *strategy,
                                                  const char          *source,
                                                  DerateFallbackReason reason,
                                                  GTimeSpan            age);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_fallback_result_get_value (DerateFallbackResult *result);

DERATE_AVAILABLE_IN_1_0
const char *derate_fallback_result_get_strategy (DerateFallbackResult *result);

DERATE_AVAILABLE_IN_1_0
const char *derate_fallback_result_get_source (DerateFallbackResult *result);

DERATE_AVAILABLE_IN_1_0
DerateFallbackReason derate_fallback_result_get_reason (DerateFallbackResult *result);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_fallback_result_get_age (DerateFallbackResult *result);

DERATE_AVAILABLE_IN_1_0
const char *derate_fallback_result_get_request_id (DerateFallbackResult *result);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_fallback_result_dup_provenance (DerateFallbackResult *result);

DERATE_AVAILABLE_IN_1_0
DerateFallbackResult *derate_fallback_result_ref (DerateFallbackResult *result);

DERATE_AVAILABLE_IN_1_0
void derate_fallback_result_unref (DerateFallbackResult *result);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateFallbackResult, derate_fallback_result_unref)

G_END_DECLS
