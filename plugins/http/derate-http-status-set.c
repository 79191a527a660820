/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-status-set.h"

#define DIGITS 3

/* Three digits at *@p, which moves behind them. */
static gboolean
parse_status (const char **p, guint *status)
{
  *status = 0;
  for (guint i = 0; i < DIGITS; i++, (*p)++)
    {
      if (!g_ascii_isdigit (**p))
        return FALSE;
      *status = *status * 10 + (guint)(**p - '0');
    }
  return *status >= DERATE_HTTP_STATUS_MIN && *status <= DERATE_HTTP_STATUS_MAX;
}

static gboolean
parse_range (const char **p, guint *first, guint *last)
{
  if (!parse_status (p, first))
    return FALSE;
  *last = *first;
  if (**p != '-')
    return TRUE;
  (*p)++;
  return parse_status (p, last) && *first <= *last;
}

gboolean
derate_http_status_set_parse (DerateHttpStatusSet *set, const char *text)
{
  *set = (DerateHttpStatusSet){ 0 };
  for (const char *p = text;; p++)
    {
      guint first;
      guint last;

      if (!parse_range (&p, &first, &last))
        return FALSE;
      for (guint i = first; i <= last; i++)
        set->good[i] = TRUE;
      if (*p == '\0')
        return TRUE;
      if (*p != ',')
        return FALSE;
    }
}

gboolean
derate_http_status_set_has (const DerateHttpStatusSet *set, guint status)
{
  return status <= DERATE_HTTP_STATUS_MAX && set->good[status];
}
