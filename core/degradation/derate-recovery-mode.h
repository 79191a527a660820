/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

/**
 * DerateRecoveryMode:
 * @DERATE_RECOVERY_MODE_DIRECT: straight to the level that the services allow
 * @DERATE_RECOVERY_MODE_STEPWISE: one level at each recovery tick
 *
 * How the level gets better.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_RECOVERY_MODE_DIRECT,
  DERATE_RECOVERY_MODE_STEPWISE,
} DerateRecoveryMode;

G_END_DECLS
