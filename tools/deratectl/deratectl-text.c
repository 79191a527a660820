/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

#include <string.h>
#include <unistd.h>

/* Colours go to terminals only; NO_COLOR takes them away there, too. */
static gboolean
may_paint (void)
{
  const char *no_color = g_getenv ("NO_COLOR");
  const char *term = g_getenv ("TERM");

  return isatty (STDOUT_FILENO) && (no_color == NULL || *no_color == '\0') &&
         g_strcmp0 (term, "dumb") != 0;
}

char *
deratectl_paint (DeratectlColour colour, const char *text)
{
  static const char *const codes[] = {
    [DERATECTL_COLOUR_GOOD] = "32",
    [DERATECTL_COLOUR_WARN] = "33",
    [DERATECTL_COLOUR_BAD] = "1;31",
    [DERATECTL_COLOUR_DIM] = "2",
  };

  if (colour == DERATECTL_COLOUR_NONE || *text == '\0' || !may_paint ())
    return g_strdup (text);
  return g_strdup_printf ("\033[%sm%s\033[0m", codes[colour], text);
}

/* What others wrote (reasons, names, errors) must not move the reader's cursor. */
char *
deratectl_clean (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *clean = g_string_new (NULL);

  for (const char *p = valid; *p != '\0'; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      if (g_unichar_iscntrl (c) || g_unichar_type (c) == G_UNICODE_FORMAT)
        g_string_append_c (clean, g_unichar_isspace (c) ? ' ' : '?');
      else
        g_string_append_unichar (clean, c);
    }
  return g_string_free (clean, FALSE);
}

static int
get_cells (gunichar c)
{
  return g_unichar_iszerowidth (c) ? 0 : g_unichar_iswide (c) ? 2 : 1;
}

/* How many cells of a terminal it takes. */
int
deratectl_get_width (const char *text)
{
  int width = 0;

  for (const char *p = text; *p != '\0'; p = g_utf8_next_char (p))
    width += get_cells (g_utf8_get_char (p));
  return width;
}

/* As much of it as takes @width cells, the last one for an ellipsis. */
char *
deratectl_cut (const char *text, int width)
{
  const char *end = text;
  int cells = 0;

  if (deratectl_get_width (text) <= width)
    return g_strdup (text);
  while (cells + get_cells (g_utf8_get_char (end)) <= width - 1)
    {
      cells += get_cells (g_utf8_get_char (end));
      end = g_utf8_next_char (end);
    }
  return g_strdup_printf ("%.*s…", (int)(end - text), text);
}

DeratectlColour
deratectl_level_colour (const char *level)
{
  if (g_strcmp0 (level, "optimal") == 0)
    return DERATECTL_COLOUR_GOOD;
  if (g_strcmp0 (level, "minimal") == 0 || g_strcmp0 (level, "emergency") == 0)
    return DERATECTL_COLOUR_BAD;
  return DERATECTL_COLOUR_WARN;
}

DeratectlColour
deratectl_status_colour (const char *status)
{
  static const char *const good[] = { "healthy", "closed", "on", "normal", NULL };
  static const char *const bad[] = { "down", "open", "off", "forced-open", NULL };

  if (status == NULL || g_strv_contains (good, status))
    return DERATECTL_COLOUR_GOOD;
  return g_strv_contains (bad, status) ? DERATECTL_COLOUR_BAD : DERATECTL_COLOUR_WARN;
}

/* The two largest units: "2d 3h", "5m 12s", "17s". */
char *
deratectl_format_span (double seconds)
{
  static const struct
  {
    gint64 seconds;
    char unit;
  } units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' } };
  gint64 whole = seconds < 1 ? 0 : seconds > 1e15 ? (gint64)1e15 : (gint64)seconds;

  for (guint i = 0; i < G_N_ELEMENTS (units); i++)
    {
      gint64 below = i + 1 < G_N_ELEMENTS (units) ? units[i + 1].seconds : 1;
      char unit_below = i + 1 < G_N_ELEMENTS (units) ? units[i + 1].unit : 's';

      if (whole >= units[i].seconds)
        return g_strdup_printf ("%" G_GINT64_FORMAT "%c %" G_GINT64_FORMAT "%c",
                                whole / units[i].seconds, units[i].unit,
                                whole % units[i].seconds / below, unit_below);
    }
  return g_strdup_printf ("%" G_GINT64_FORMAT "s", whole);
}

double
deratectl_get_now (void)
{
  return (double)g_get_real_time () / G_USEC_PER_SEC;
}

/* The time of day, and the date unless it was within the last twelve hours. */
char *
deratectl_format_instant (double unix_seconds)
{
  g_autoptr (GDateTime) instant = g_date_time_new_from_unix_local ((gint64)unix_seconds);
  gboolean near = deratectl_get_now () - unix_seconds < 12 * 3600;

  if (instant == NULL)
    return g_strdup ("?");
  return g_date_time_format (instant, near ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S");
}

char *
deratectl_format_since (double unix_seconds)
{
  return deratectl_format_span (deratectl_get_now () - unix_seconds);
}

const char *
deratectl_dict_text (GVariant *dict, const char *key)
{
  const char *text = "";

  g_variant_lookup (dict, key, "&s", &text);
  return text;
}

guint64
deratectl_dict_count (GVariant *dict, const char *key)
{
  guint64 count = 0;

  g_variant_lookup (dict, key, "t", &count);
  return count;
}
