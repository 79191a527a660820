/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-feature-private.h"
#include "derate-gate-private.h"
#include "derate-health-report.h"

G_BEGIN_DECLS

/* The features of a program and the gate of each. Without a lock: whoever has the set guards it;
 * the gates themselves are read by anybody. */
typedef struct _DerateGateSet DerateGateSet;

DerateGateSet *derate_gate_set_new (void);
void derate_gate_set_free (DerateGateSet *set);

/* Whether all services that @own (nullable) needs are in @inputs, and no feature is there twice. */
gboolean derate_gate_set_check (GPtrArray *inputs,
                                GPtrArray *own,
                                GError   **error);

/* The default features for @inputs, with @own (nullable, checked) in place of those of the same
 * name and behind them. A gate that was there stays the same; one whose feature is gone stands
 * open. */
void derate_gate_set_define (DerateGateSet *set,
                             GPtrArray     *inputs,
                             GPtrArray     *own);

/* TRUE where a gate changed. */
gboolean derate_gate_set_update (DerateGateSet            *set,
                                 const DerateHealthStatus *statuses,
                                 DerateLevel               level,
                                 gboolean                  enforced);

/* (transfer none) (nullable) */
DerateGate *derate_gate_set_lookup (DerateGateSet *set,
                                    const char    *name);

guint derate_gate_set_get_n (DerateGateSet *set);
DerateGate *derate_gate_set_get (DerateGateSet *set,
                                 guint          index);

/* {name: {mode, because}}, a{sv}, floating. */
GVariant *derate_gate_set_to_variant (DerateGateSet *set);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateGateSet, derate_gate_set_free)

G_END_DECLS
