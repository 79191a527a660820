/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

/**
 * DerateGateMode:
 * @DERATE_GATE_MODE_OFF: the feature is not to be used
 * @DERATE_GATE_MODE_QUEUED: what the feature would do is put in a queue
 * @DERATE_GATE_MODE_ON: the feature works
 *
 * What is to become of a feature.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_GATE_MODE_OFF = 0,
  DERATE_GATE_MODE_QUEUED,
  DERATE_GATE_MODE_ON,
} DerateGateMode;

/**
 * DerateGateReason:
 * @DERATE_GATE_REASON_NONE: it is on
 * @DERATE_GATE_REASON_LEVEL: the level is worse than the feature allows
 * @DERATE_GATE_REASON_DEPENDENCY: a service it needs is not well enough
 *
 * Why a feature is not on.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_GATE_REASON_NONE = 0,
  DERATE_GATE_REASON_LEVEL,
  DERATE_GATE_REASON_DEPENDENCY,
} DerateGateReason;

#define DERATE_TYPE_GATE (derate_gate_get_type ())

typedef struct _DerateGate DerateGate;

DERATE_AVAILABLE_IN_1_0
GType derate_gate_get_type (void);

DERATE_AVAILABLE_IN_1_0
DerateGate *derate_gate_ref (DerateGate *gate);

DERATE_AVAILABLE_IN_1_0
void derate_gate_unref (DerateGate *gate);

DERATE_AVAILABLE_IN_1_0
const char *derate_gate_get_name (DerateGate *gate);

DERATE_AVAILABLE_IN_1_0
gboolean derate_gate_is_open (DerateGate *gate);

DERATE_AVAILABLE_IN_1_0
DerateGateMode derate_gate_get_mode (DerateGate       *gate,
                                     DerateGateReason *reason);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateGate, derate_gate_unref)

G_END_DECLS
