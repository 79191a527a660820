/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-breaker.h>

G_BEGIN_DECLS

#define DERATE_TYPE_CALL (derate_call_get_type ())

typedef struct _DerateCall DerateCall;

/**
 * DerateCallStartFunc:
 * @call: (transfer full): the call, to be answered and then dropped
 * @cancellable: (nullable): ends the call early
 * @user_data: what was given with the function
 *
 * Starts a call to a service and returns without waiting. The call ends by derate_call_succeed() or
 * derate_call_fail(), then or later, in any thread.
 *
 * Since: 1.0
 */
typedef void (*DerateCallStartFunc) (DerateCall   *call,
                                     GCancellable *cancellable,
                                     gpointer      user_data);

DERATE_AVAILABLE_IN_1_0
GType derate_call_get_type (void);

DERATE_AVAILABLE_IN_1_0
DerateCall *derate_call_ref (DerateCall *call);

DERATE_AVAILABLE_IN_1_0
void derate_call_unref (DerateCall *call);

DERATE_AVAILABLE_IN_1_0
void derate_call_succeed (DerateCall *call,
                          GVariant   *answer);

DERATE_AVAILABLE_IN_1_0
void derate_call_fail (DerateCall   *call,
                       const GError *error);

DERATE_AVAILABLE_IN_1_0
void derate_breaker_call_async (DerateBreaker      *breaker,
                                DerateCallStartFunc func,
                                gpointer            func_data,
                                GDestroyNotify      func_destroy,
                                GCancellable       *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer            user_data);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_breaker_call_finish (DerateBreaker *breaker,
                                      GAsyncResult  *result,
                                      GError       **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateCall, derate_call_unref)

G_END_DECLS
