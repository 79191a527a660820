/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

/**
 * DerateBreakerState:
 * @DERATE_BREAKER_STATE_UNKNOWN: no such state
 * @DERATE_BREAKER_STATE_CLOSED: calls are let through and their outcomes are watched
 * @DERATE_BREAKER_STATE_OPEN: calls are refused
 * @DERATE_BREAKER_STATE_HALF_OPEN: a few calls are let through, to see whether the service is back
 *
 * Where a circuit breaker stands.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_BREAKER_STATE_UNKNOWN = 0,
  DERATE_BREAKER_STATE_CLOSED,
  DERATE_BREAKER_STATE_OPEN,
  DERATE_BREAKER_STATE_HALF_OPEN,
} DerateBreakerState;

/**
 * DerateBreakerMode:
 * @DERATE_BREAKER_MODE_UNKNOWN: no such mode
 * @DERATE_BREAKER_MODE_NORMAL: works as configured
 * @DERATE_BREAKER_MODE_DISABLED: lets every call through and counts nothing
 * @DERATE_BREAKER_MODE_METRICS_ONLY: lets every call through and counts, but never opens
 * @DERATE_BREAKER_MODE_FORCED_OPEN: refuses every call until the mode is changed
 *
 * What an operator or the configuration made of a circuit breaker. A mode outranks every timer.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_BREAKER_MODE_UNKNOWN = 0,
  DERATE_BREAKER_MODE_NORMAL,
  DERATE_BREAKER_MODE_DISABLED,
  DERATE_BREAKER_MODE_METRICS_ONLY,
  DERATE_BREAKER_MODE_FORCED_OPEN,
} DerateBreakerMode;

DERATE_AVAILABLE_IN_1_0
const char *derate_breaker_state_to_nick (DerateBreakerState state);

DERATE_AVAILABLE_IN_1_0
DerateBreakerState derate_breaker_state_from_nick (const char *nick);

DERATE_AVAILABLE_IN_1_0
const char *derate_breaker_mode_to_nick (DerateBreakerMode mode);

DERATE_AVAILABLE_IN_1_0
gboolean derate_breaker_mode_from_nick (const char        *nick,
                                        DerateBreakerMode *mode,
                                        GError           **error);

G_END_DECLS
