/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-level.h>

G_BEGIN_DECLS

/**
 * DerateHoldMode:
 * @DERATE_HOLD_MODE_AT_LEAST: a floor: never better than this; of several the worst counts
 * @DERATE_HOLD_MODE_EXACT: exactly this, unless a floor is worse; of several the latest counts
 *
 * How a hold acts on the level.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_HOLD_MODE_AT_LEAST,
  DERATE_HOLD_MODE_EXACT,
} DerateHoldMode;

DERATE_AVAILABLE_IN_1_0
const char *derate_hold_mode_get_nick (DerateHoldMode mode);

DERATE_AVAILABLE_IN_1_0
gboolean derate_hold_mode_from_nick (const char     *nick,
                                     DerateHoldMode *mode,
                                     GError        **error);

G_END_DECLS
