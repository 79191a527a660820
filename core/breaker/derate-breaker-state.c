/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-breaker-state.h"

#include "derate-error.h"

static const char *const state_nicks[] = { "unknown", "closed", "open", "half-open" };

static const char *const mode_nicks[] = { "unknown", "normal", "disabled", "metrics-only",
                                          "forced-open" };

/* Whether @text is @nick, in any case and with `_` for `-`. */
static gboolean
matches (const char *nick, const char *text)
{
  while (*nick != '\0')
    {
      char c = *text == '_' ? '-' : g_ascii_tolower (*text);

      if (c != *nick)
        return FALSE;
      nick++;
      text++;
    }
  return *text == '\0';
}

/* The index of @text in @nicks, or 0. */
static guint
find_nick (const char *const *nicks, guint n_nicks, const char *text)
{
  for (guint i = 1; i < n_nicks; i++)
    if (matches (nicks[i], text))
      return i;
  return 0;
}

/**
 * derate_breaker_state_to_nick:
 * @state: a state
 *
 * The name that users see: `closed`, `open` or `half-open`. May be called from any thread.
 *
 * Returns: (transfer none): the nick
 *
 * Since: 1.0
 */
const char *
derate_breaker_state_to_nick (DerateBreakerState state)
{
  return (guint)state < G_N_ELEMENTS (state_nicks) ? state_nicks[state] : state_nicks[0];
}

/**
 * derate_breaker_state_from_nick:
 * @nick: (nullable): a name of a state
 *
 * Reads the name of a state. Also understands upper-case letters and `half_open`, which are never
 * written. May be called from any thread.
 *
 * Returns: the state, or %DERATE_BREAKER_STATE_UNKNOWN
 *
 * Since: 1.0
 */
DerateBreakerState
derate_breaker_state_from_nick (const char *nick)
{
  if (nick == NULL)
    return DERATE_BREAKER_STATE_UNKNOWN;
  return (DerateBreakerState)find_nick (state_nicks, G_N_ELEMENTS (state_nicks), nick);
}

/**
 * derate_breaker_mode_to_nick:
 * @mode: a mode
 *
 * The name that users see: `normal`, `disabled`, `metrics-only` or `forced-open`. May be called
 * from any thread.
 *
 * Returns: (transfer none): the nick
 *
 * Since: 1.0
 */
const char *
derate_breaker_mode_to_nick (DerateBreakerMode mode)
{
  return (guint)mode < G_N_ELEMENTS (mode_nicks) ? mode_nicks[mode] : mode_nicks[0];
}

/**
 * derate_breaker_mode_from_nick:
 * @nick: the name of a mode
 * @mode: (out): the mode
 * @error: return location for a %DERATE_ERROR_UNKNOWN_MODE
 *
 * Reads the name of a mode, as leniently as derate_breaker_state_from_nick(). May be called from
 * any thread.
 *
 * Returns: %TRUE when there is a mode of that name
 *
 * Since: 1.0
 */
gboolean
derate_breaker_mode_from_nick (const char *nick, DerateBreakerMode *mode, GError **error)
{
  guint found;

  g_return_val_if_fail (nick != NULL, FALSE);
  g_return_val_if_fail (mode != NULL, FALSE);

  found = find_nick (mode_nicks, G_N_ELEMENTS (mode_nicks), nick);
  *mode = (DerateBreakerMode)found;
  if (found != 0)
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_UNKNOWN_MODE, "no circuit breaker mode '%s'",
               nick);
  return FALSE;
}
