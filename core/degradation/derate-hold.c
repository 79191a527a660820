/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-hold-private.h"

#include <string.h>

#include "derate-clock.h"
#include "derate-error.h"

static const char *const mode_nicks[] = {
  [DERATE_HOLD_MODE_AT_LEAST] = "at-least",
  [DERATE_HOLD_MODE_EXACT] = "exact",
};

/**
 * derate_hold_mode_get_nick:
 * @mode: a mode
 *
 * The name users see everywhere.
 *
 * Returns: `at-least` or `exact`; `unknown` for anything else
 *
 * Since: 1.0
 */
const char *
derate_hold_mode_get_nick (DerateHoldMode mode)
{
  return (guint)mode < G_N_ELEMENTS (mode_nicks) ? mode_nicks[mode] : "unknown";
}

/**
 * derate_hold_mode_from_nick:
 * @nick: a name
 * @mode: (out): where to put the mode
 * @error: where to put the error
 *
 * Reads the name of a mode.
 *
 * Returns: %FALSE with %DERATE_ERROR_UNKNOWN_MODE where there is none of that name
 *
 * Since: 1.0
 */
gboolean
derate_hold_mode_from_nick (const char *nick, DerateHoldMode *mode, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (mode_nicks); i++)
    if (g_strcmp0 (mode_nicks[i], nick) == 0)
      {
        *mode = i;
        return TRUE;
      }
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_UNKNOWN_MODE,
               "no hold mode “%s”: at-least or exact", nick != NULL ? nick : "");
  return FALSE;
}

gboolean
derate_hold_check_text (const char *kind, const char *what, const char *text, GError **error)
{
  const char *problem = NULL;

  if (text == NULL || text[0] == '\0')
    problem = "is required";
  else if (strlen (text) > DERATE_HOLD_TEXT_MAX)
    problem = "is longer than 256 bytes";
  else if (!g_utf8_validate (text, -1, NULL))
    problem = "is not UTF-8";
  else if (strspn (text, " \t\r\n") == strlen (text))
    problem = "is blank";
  if (problem == NULL)
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_REASON, "%s: %s %s", kind, what, problem);
  return FALSE;
}

gboolean
derate_hold_compute_deadline (gboolean bound,
                              GTimeSpan ttl,
                              gint64 now,
                              gint64 *deadline,
                              GError **error)
{
  if (bound && ttl == 0)
    {
      *deadline = DERATE_CLOCK_NEVER;
      return TRUE;
    }
  if (ttl < DERATE_HOLD_TTL_MIN || ttl > DERATE_HOLD_TTL_MAX)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_TTL,
                   "hold: a time to live of %" G_GINT64_FORMAT
                   " µs: it must be 1s to 24h, or 0 when bound to the caller",
                   ttl);
      return FALSE;
    }
  *deadline = now + ttl;
  return TRUE;
}

DerateHold *
derate_hold_new (const DerateHoldRequest *request, gint64 now, gint64 real_now, GError **error)
{
  g_autoptr (DerateHold) hold = g_new0 (DerateHold, 1);

  if (derate_level_get_number (request->level) == 0)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_UNKNOWN_LEVEL, "hold: no level %d",
                   (int)request->level);
      return NULL;
    }
  if ((guint)request->mode >= G_N_ELEMENTS (mode_nicks))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_UNKNOWN_MODE, "hold: no mode %d",
                   (int)request->mode);
      return NULL;
    }
  if (!derate_hold_check_text ("hold", "who", request->who, error) ||
      !derate_hold_check_text ("hold", "reason", request->reason, error) ||
      !derate_hold_compute_deadline (request->bound, request->ttl, now, &hold->deadline, error))
    return NULL;
  hold->level = request->level;
  hold->mode = request->mode;
  hold->who = g_strdup (request->who);
  hold->reason = g_strdup (request->reason);
  hold->owner = g_strdup (request->owner);
  hold->uid = request->uid;
  hold->bound = request->bound;
  hold->may_mask = request->may_mask;
  hold->ttl = request->ttl;
  hold->since = real_now;
  return g_steal_pointer (&hold);
}

DerateHold *
derate_hold_copy (const DerateHold *hold)
{
  DerateHold *copy = g_memdup2 (hold, sizeof *hold);

  copy->id = g_strdup (hold->id);
  copy->who = g_strdup (hold->who);
  copy->reason = g_strdup (hold->reason);
  copy->owner = g_strdup (hold->owner);
  return copy;
}

void
derate_hold_free (DerateHold *hold)
{
  g_free (hold->id);
  g_free (hold->who);
  g_free (hold->reason);
  g_free (hold->owner);
  g_free (hold);
}
