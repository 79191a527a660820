/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-breaker.h>
#include <derate-call.h>
#include <derate-fallback-result.h>
#include <derate-request.h>

G_BEGIN_DECLS

#define DERATE_TYPE_POLICY (derate_policy_get_type ())

typedef struct _DeratePolicy DeratePolicy;
typedef struct _DeratePolicyClass DeratePolicyClass;

DERATE_AVAILABLE_IN_1_0
GType derate_policy_get_type (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeratePolicy, g_object_unref)

/**
 * DERATE_POLICY: (skip)
 */
#define DERATE_POLICY(object) \
  (G_TYPE_CHECK_INSTANCE_CAST ((object), DERATE_TYPE_POLICY, DeratePolicy))

/**
 * DERATE_IS_POLICY: (skip)
 */
#define DERATE_IS_POLICY(object) (G_TYPE_CHECK_INSTANCE_TYPE ((object), DERATE_TYPE_POLICY))

DERATE_AVAILABLE_IN_1_0
GVariant *derate_policy_call (DeratePolicy          *policy,
                              DerateRequest         *request,
                              DerateCallFunc         func,
                              gpointer               func_data,
                              GCancellable          *cancellable,
                              DerateFallbackResult **fallback,
                              GError               **error);

DERATE_AVAILABLE_IN_1_0
void derate_policy_call_async (DeratePolicy       *policy,
                               DerateRequest      *request,
                               DerateCallStartFunc func,
                               gpointer            func_data,
                               GDestroyNotify      func_destroy,
                               GCancellable       *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer            user_data);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_policy_call_finish (DeratePolicy          *policy,
                                     GAsyncResult          *result,
                                     DerateFallbackResult **fallback,
                                     GError               **error);

DERATE_AVAILABLE_IN_1_0
gint64 derate_call_get_deadline (void);

DERATE_AVAILABLE_IN_1_0
GCancellable *derate_call_dup_cancellable (void);

G_END_DECLS
