/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "deratectl-monitor.h"

static const char *
get_text (GVariant *hold, const char *key)
{
  const char *text = "";

  g_variant_lookup (hold, key, "&s", &text);
  return text;
}

static guint64
get_expiry (GVariant *hold)
{
  guint64 expires = 0;

  g_variant_lookup (hold, "expires", "t", &expires);
  return expires;
}

static GVariant *
find (GVariant *holds, const char *id)
{
  for (gsize i = 0; i < g_variant_n_children (holds); i++)
    {
      g_autoptr (GVariant) hold = g_variant_get_child_value (holds, i);

      if (strcmp (get_text (hold, "id"), id) == 0)
        return g_steal_pointer (&hold);
    }
  return NULL;
}

/* "8b57313b at least limited for 30m 0s, by ana (uid 0): maintenance" */
static char *
describe (GVariant *hold, const char *change, double remaining)
{
  const char *id = get_text (hold, "id");
  gboolean exact = strcmp (get_text (hold, "mode"), "exact") == 0;
  g_autofree char *span = remaining < 0 ? NULL : deratectl_format_span (remaining + 0.5);
  g_autofree char *time = span != NULL ? g_strconcat ("for ", span, NULL) : NULL;
  guint uid = 0;

  if (strcmp (change, "over") == 0)
    return g_strdup_printf ("%s over", id);
  if (strcmp (change, "renewed") == 0)
    return g_strdup_printf ("%s renewed %s", id, time != NULL ? time : "without a limit");
  g_variant_lookup (hold, "uid", "u", &uid);
  return g_strdup_printf ("%s %s %s %s, by %s (uid %u): %s", id, exact ? "exactly" : "at least",
                          get_text (hold, "level"), time != NULL ? time : "while its owner stays",
                          get_text (hold, "who"), uid, get_text (hold, "reason"));
}

static void
tell (GVariant *hold, const char *change)
{
  double now = (double)g_get_real_time () / G_USEC_PER_SEC;
  guint64 expires = get_expiry (hold);
  double remaining = expires == 0 ? -1 : MAX ((double)expires / G_USEC_PER_SEC - now, 0);
  g_autofree char *text = describe (hold, change, remaining);
  GVariant *left = remaining < 0 ? NULL : g_variant_new_double (remaining);
  guint uid = 0;

  g_variant_lookup (hold, "uid", "u", &uid);
  deratectl_tell ("hold",
                  g_variant_new_parsed ("{'id': <%s>, 'change': <%s>, 'level': <%s>, 'mode': <%s>,"
                                        " 'who': <%s>, 'reason': <%s>, 'uid': <%u>,"
                                        " 'remaining_seconds': <%@md>}",
                                        get_text (hold, "id"), change, get_text (hold, "level"),
                                        get_text (hold, "mode"), get_text (hold, "who"),
                                        get_text (hold, "reason"), uid,
                                        g_variant_new_maybe (G_VARIANT_TYPE_DOUBLE, left)),
                  text);
}

void
deratectl_tell_holds (GVariant *old_holds, GVariant *new_holds)
{
  for (gsize i = 0; i < g_variant_n_children (old_holds); i++)
    {
      g_autoptr (GVariant) hold = g_variant_get_child_value (old_holds, i);
      g_autoptr (GVariant) now = find (new_holds, get_text (hold, "id"));

      if (now == NULL)
        tell (hold, "over");
      else if (get_expiry (now) != get_expiry (hold))
        tell (now, "renewed");
    }
  for (gsize i = 0; i < g_variant_n_children (new_holds); i++)
    {
      g_autoptr (GVariant) hold = g_variant_get_child_value (new_holds, i);
      g_autoptr (GVariant) before = find (old_holds, get_text (hold, "id"));

      if (before == NULL)
        tell (hold, "taken");
    }
}
