/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

/**
 * DerateFallbackReason:
 * @DERATE_FALLBACK_REASON_UNKNOWN: none
 * @DERATE_FALLBACK_REASON_OPEN: the breaker refused: open, forced, or half-open and full
 * @DERATE_FALLBACK_REASON_TIMEOUT: no answer in time
 * @DERATE_FALLBACK_REASON_ERROR: the call failed
 * @DERATE_FALLBACK_REASON_OVERLOAD: no room: bulkhead, rate limiter, full queue
 * @DERATE_FALLBACK_REASON_LEVEL: the level does not allow it
 * @DERATE_FALLBACK_REASON_HOLD: an operator's hold does not allow it
 * @DERATE_FALLBACK_REASON_DRILL: a drill pretends that the service is down
 *
 * Why a fallback is asked. The nick is what users see.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_FALLBACK_REASON_UNKNOWN = 0,
  DERATE_FALLBACK_REASON_OPEN,
  DERATE_FALLBACK_REASON_TIMEOUT,
  DERATE_FALLBACK_REASON_ERROR,
  DERATE_FALLBACK_REASON_OVERLOAD,
  DERATE_FALLBACK_REASON_LEVEL,
  DERATE_FALLBACK_REASON_HOLD,
  DERATE_FALLBACK_REASON_DRILL,
} DerateFallbackReason;

DERATE_AVAILABLE_IN_1_0
DerateFallbackReason derate_fallback_reason_from_error (const GError *error);

DERATE_AVAILABLE_IN_1_0
const char *derate_fallback_reason_get_nick (DerateFallbackReason reason);

#define DERATE_TYPE_FALLBACK_REQUEST (derate_fallback_request_get_type ())

typedef struct _DerateFallbackRequest DerateFallbackRequest;

DERATE_AVAILABLE_IN_1_0
GType derate_fallback_request_get_type (void);

DERATE_AVAILABLE_IN_1_0
DerateFallbackRequest *derate_fallback_request_new (const char          *service,
                                                    DerateFallbackReason reason,
                                                    const GError        *cause,
                                                    const char          *key,
                                                    GVariant            *request);

DERATE_AVAILABLE_IN_1_0
void derate_fallback_request_set_write (DerateFallbackRequest *request,
                                        gboolean               write);

DERATE_AVAILABLE_IN_1_0
void derate_fallback_request_set_id (DerateFallbackRequest *request,
                                     const char            *id);

DERATE_AVAILABLE_IN_1_0
const char *derate_fallback_request_get_service (DerateFallbackRequest *request);

DERATE_AVAILABLE_IN_1_0
DerateFallbackReason derate_fallback_request_get_reason (DerateFallbackRequest *request);

DERATE_AVAILABLE_IN_1_0
const GError *derate_fallback_request_get_cause (DerateFallbackRequest *request);

DERATE_AVAILABLE_IN_1_0
const char *derate_fallback_request_get_key (DerateFallbackRequest *request);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_fallback_request_get_request (DerateFallbackRequest *request);

DERATE_AVAILABLE_IN_1_0
gboolean derate_fallback_request_is_write (DerateFallbackRequest *request);

DERATE_AVAILABLE_IN_1_0
const char *derate_fallback_request_get_id (DerateFallbackRequest *request);

DERATE_AVAILABLE_IN_1_0
DerateFallbackRequest *derate_fallback_request_ref (DerateFallbackRequest *request);

DERATE_AVAILABLE_IN_1_0
void derate_fallback_request_unref (DerateFallbackRequest *request);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateFallbackRequest, derate_fallback_request_unref)

G_END_DECLS
