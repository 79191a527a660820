/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-policy.h"

G_BEGIN_DECLS

/* Makes a service look slow: what it stands around begins a time later. The time is part of the
 * attempt, so that timeouts, deadlines, hedges and whoever cancels the call act as on a slow
 * service; in the calling thread it is bounded by the call's deadline. A policy that delays nothing
 * costs a load. */
#define DERATE_TYPE_DELAY_POLICY (derate_delay_policy_get_type ())

typedef struct _DerateDelayPolicy DerateDelayPolicy;
typedef struct _DerateDelayPolicyClass DerateDelayPolicyClass;

GType derate_delay_policy_get_type (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateDelayPolicy, g_object_unref)

DerateDelayPolicy *derate_delay_policy_new (DerateClock *clock);

/* From any thread, at any time: the attempts that begin from now on are @delay late, 0 or more. */
void derate_delay_policy_set (DerateDelayPolicy *self,
                              GTimeSpan          delay);
GTimeSpan derate_delay_policy_get (DerateDelayPolicy *self);

G_END_DECLS
