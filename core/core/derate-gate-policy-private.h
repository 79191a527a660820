/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-degradation-manager.h"
#include "derate-policy.h"
#include "derate-service.h"

G_BEGIN_DECLS

/* The gate of a feature as a stage: while it is closed nothing inside is called, and the error says
 * why in a word that a fallback's reason can be made of. It keeps its manager and @service, whose
 * drill is told from a failure. */
typedef struct _DerateGatePolicy DerateGatePolicy;

DeratePolicy *derate_gate_policy_new (DerateDegradationManager *manager,
                                      DerateGate               *gate,
                                      DerateService            *service);

G_END_DECLS
