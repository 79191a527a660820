/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-policy.h>

G_BEGIN_DECLS

#define DERATE_TYPE_BREAKER_POLICY (derate_breaker_policy_get_type ())

typedef struct _DerateBreakerPolicy DerateBreakerPolicy;
typedef struct _DerateBreakerPolicyClass DerateBreakerPolicyClass;

DERATE_AVAILABLE_IN_1_0
GType derate_breaker_policy_get_type (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateBreakerPolicy, g_object_unref)

/**
 * DERATE_BREAKER_POLICY: (skip)
 */
#define DERATE_BREAKER_POLICY(object) \
  (G_TYPE_CHECK_INSTANCE_CAST ((object), DERATE_TYPE_BREAKER_POLICY, DerateBreakerPolicy))

/**
 * DERATE_IS_BREAKER_POLICY: (skip)
 */
#define DERATE_IS_BREAKER_POLICY(object) \
  (G_TYPE_CHECK_INSTANCE_TYPE ((object), DERATE_TYPE_BREAKER_POLICY))

DERATE_AVAILABLE_IN_1_0
DerateBreakerPolicy *derate_breaker_policy_new (DerateBreaker *breaker);

DERATE_AVAILABLE_IN_1_0
DerateBreaker *derate_breaker_policy_get_breaker (DerateBreakerPolicy *policy);

G_END_DECLS
