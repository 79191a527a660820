/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-fallback.h>
#include <derate-policy.h>

G_BEGIN_DECLS

#define DERATE_TYPE_FALLBACK_POLICY (derate_fallback_policy_get_type ())

typedef struct _DerateFallbackPolicy DerateFallbackPolicy;
typedef struct _DerateFallbackPolicyClass DerateFallbackPolicyClass;

DERATE_AVAILABLE_IN_1_0
GType derate_fallback_policy_get_type (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateFallbackPolicy, g_object_unref)

/**
 * DERATE_FALLBACK_POLICY: (skip)
 */
#define DERATE_FALLBACK_POLICY(object) \
  (G_TYPE_CHECK_INSTANCE_CAST ((object), DERATE_TYPE_FALLBACK_POLICY, DerateFallbackPolicy))

/**
 * DERATE_IS_FALLBACK_POLICY: (skip)
 */
#define DERATE_IS_FALLBACK_POLICY(object) \
  (G_TYPE_CHECK_INSTANCE_TYPE ((object), DERATE_TYPE_FALLBACK_POLICY))

/**
 * DERATE_FALLBACK_POLICY_MAX_CONCURRENT:
 *
 * How many fallbacks of one policy run at once where nothing says it: 10, as Hystrix has it
 * (`fallback.isolation.semaphore.maxConcurrentRequests`).
 *
 * Since: 1.0
 */
#define DERATE_FALLBACK_POLICY_MAX_CONCURRENT 10

DERATE_AVAILABLE_IN_1_0
DerateFallbackPolicy *derate_fallback_policy_new (const char     *service,
                                                  DerateFallback *fallback);

DERATE_AVAILABLE_IN_1_0
void derate_fallback_policy_set_max_concurrent (DerateFallbackPolicy *policy,
                                                guint                 max_concurrent);

DERATE_AVAILABLE_IN_1_0
guint derate_fallback_policy_get_max_concurrent (DerateFallbackPolicy *policy);

G_END_DECLS
