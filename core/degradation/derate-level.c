/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-level.h"

#include <string.h>

#include "derate-error.h"

static const struct
{
  DerateLevel level;
  const char *nick;
  guint number;
  guint functionality_percent;
  const char *text;
} levels[] = {
  { DERATE_LEVEL_OPTIMAL, "optimal", 1, 100, "everything works" },
  { DERATE_LEVEL_DEGRADED, "degraded", 2, 85, "complete, but slower or simpler" },
  { DERATE_LEVEL_LIMITED, "limited", 3, 60, "no AI" },
  { DERATE_LEVEL_MINIMAL, "minimal", 4, 30, "read only" },
  { DERATE_LEVEL_EMERGENCY, "emergency", 5, 10, "system under maintenance" },
};

static gint
find_level (DerateLevel level)
{
  for (guint i = 0; i < G_N_ELEMENTS (levels); i++)
    if (levels[i].level == level)
      return i;
  return -1;
}

/**
 * derate_level_get_nick:
 * @level: a level
 *
 * The name users see everywhere.
 *
 * Returns: the nick, such as `limited`; `unknown` for anything else
 *
 * Since: 1.0
 */
const char *
derate_level_get_nick (DerateLevel level)
{
  gint i = find_level (level);

  return i >= 0 ? levels[i].nick : "unknown";
}

/**
 * derate_level_from_nick:
 * @nick: a name
 * @level: (out): where to put the level
 * @error: where to put the error
 *
 * Reads the name of a level.
 *
 * Returns: %FALSE with %DERATE_ERROR_UNKNOWN_LEVEL where there is none of that name
 *
 * Since: 1.0
 */
gboolean
derate_level_from_nick (const char *nick, DerateLevel *level, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (levels); i++)
    if (g_strcmp0 (levels[i].nick, nick) == 0)
      {
        *level = levels[i].level;
        return TRUE;
      }
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_UNKNOWN_LEVEL,
               "no level “%s”: optimal, degraded, limited, minimal or emergency", nick);
  return FALSE;
}

/**
 * derate_level_get_number:
 * @level: a level
 *
 * The number of the gauge `degradation_level`.
 *
 * Returns: 1 for optimal to 5 for emergency, 0 while unknown
 *
 * Since: 1.0
 */
guint
derate_level_get_number (DerateLevel level)
{
  gint i = find_level (level);

  return i >= 0 ? levels[i].number : 0;
}

/**
 * derate_level_get_functionality_percent:
 * @level: a level
 *
 * How much of the program works, as a description for people; not a share of requests.
 *
 * Returns: percent; 0 while unknown
 *
 * Since: 1.0
 */
guint
derate_level_get_functionality_percent (DerateLevel level)
{
  gint i = find_level (level);

  return i >= 0 ? levels[i].functionality_percent : 0;
}

/**
 * derate_level_get_text:
 * @level: a level
 *
 * What the level means, in a few words.
 *
 * Returns: the text
 *
 * Since: 1.0
 */
const char *
derate_level_get_text (DerateLevel level)
{
  gint i = find_level (level);

  return i >= 0 ? levels[i].text : "starting";
}
