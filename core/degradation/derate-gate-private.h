/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-gate.h"

G_BEGIN_DECLS

DerateGate *derate_gate_new (const char *name);

/* What readers see from here on; @enforced FALSE leaves the gate open whatever the mode. */
void derate_gate_publish (DerateGate      *gate,
                          DerateGateMode   mode,
                          DerateGateReason reason,
                          gboolean         enforced);

const char *derate_gate_mode_get_nick (DerateGateMode mode);

/* %NULL for none. */
const char *derate_gate_reason_get_nick (DerateGateReason reason);

G_END_DECLS
