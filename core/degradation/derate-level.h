/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

/**
 * DerateLevel:
 * @DERATE_LEVEL_UNKNOWN: none published yet
 * @DERATE_LEVEL_OPTIMAL: everything works
 * @DERATE_LEVEL_DEGRADED: complete, but slower or simpler
 * @DERATE_LEVEL_LIMITED: no AI
 * @DERATE_LEVEL_MINIMAL: read only
 * @DERATE_LEVEL_EMERGENCY: system under maintenance
 *
 * How much of the program works. Greater is worse; compare them as ranges, because a later version
 * may add values in between.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_LEVEL_UNKNOWN = 0,
  DERATE_LEVEL_OPTIMAL = 10,
  DERATE_LEVEL_DEGRADED = 20,
  DERATE_LEVEL_LIMITED = 30,
  DERATE_LEVEL_MINIMAL = 40,
  DERATE_LEVEL_EMERGENCY = 50,
} DerateLevel;

DERATE_AVAILABLE_IN_1_0
const char *derate_level_get_nick (DerateLevel level);

DERATE_AVAILABLE_IN_1_0
gboolean derate_level_from_nick (const char  *nick,
                                 DerateLevel *level,
                                 GError     **error);

DERATE_AVAILABLE_IN_1_0
guint derate_level_get_number (DerateLevel level);

DERATE_AVAILABLE_IN_1_0
guint derate_level_get_functionality_percent (DerateLevel level);

DERATE_AVAILABLE_IN_1_0
const char *derate_level_get_text (DerateLevel level);

G_END_DECLS
