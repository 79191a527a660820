/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "deratectl-drill-report.h"
#include "deratectl-monitor.h"

/* What the program shows as a list of things with an id and an end. */
typedef struct
{
  const char *property;
  const char *kind;
  const char *begun;
  char *(*describe) (GVariant *entry, const char *time);
  GVariant *(*detail) (GVariant *entry); /* a{sv} */
} List;

static guint
get_uid (GVariant *entry)
{
  guint uid = 0;

  g_variant_lookup (entry, "uid", "u", &uid);
  return uid;
}

/* "at least limited for 30m 0s, by ana (uid 0): maintenance" */
static char *
describe_hold (GVariant *hold, const char *time)
{
  gboolean exact = strcmp (deratectl_dict_text (hold, "mode"), "exact") == 0;

  return g_strdup_printf ("%s %s %s, by %s (uid %u): %s", exact ? "exactly" : "at least",
                          deratectl_dict_text (hold, "level"),
                          time != NULL ? time : "while its owner stays",
                          deratectl_dict_text (hold, "who"), get_uid (hold),
                          deratectl_dict_text (hold, "reason"));
}

static GVariant *
detail_hold (GVariant *hold)
{
  return g_variant_new_parsed ("{'level': <%s>, 'mode': <%s>}", deratectl_dict_text (hold, "level"),
                               deratectl_dict_text (hold, "mode"));
}

static double
get_rate (GVariant *drill)
{
  double rate = 0;

  g_variant_lookup (drill, "rate", "d", &rate);
  return rate;
}

/* "redis down for 1m 0s, at worst minimal, by ana (uid 0): rehearsal" */
static char *
describe_drill (GVariant *drill, const char *time)
{
  double latency = (double)deratectl_dict_count (drill, "latency") / G_TIME_SPAN_SECOND;
  g_autofree char *fault =
      deratectl_describe_fault (deratectl_dict_text (drill, "fault"), get_rate (drill), latency);

  return g_strdup_printf ("%s %s %s, at worst %s, by %s (uid %u): %s",
                          deratectl_dict_text (drill, "service"), fault, time != NULL ? time : "",
                          deratectl_dict_text (drill, "limit"), deratectl_dict_text (drill, "who"),
                          get_uid (drill), deratectl_dict_text (drill, "reason"));
}

static GVariant *
detail_drill (GVariant *drill)
{
  double latency = (double)deratectl_dict_count (drill, "latency") / G_TIME_SPAN_SECOND;

  return g_variant_new_parsed ("{'service': <%s>, 'fault': <%s>, 'rate': <%d>,"
                               " 'latency_seconds': <%d>, 'limit': <%s>}",
                               deratectl_dict_text (drill, "service"),
                               deratectl_dict_text (drill, "fault"), get_rate (drill), latency,
                               deratectl_dict_text (drill, "limit"));
}

static const List lists[] = {
  { "Holds", "hold", "taken", describe_hold, detail_hold },
  { "Drills", "drill", "begun", describe_drill, detail_drill },
};

struct _DeratectlLists
{
  GVariant *known[G_N_ELEMENTS (lists)];
};

DeratectlLists *
deratectl_lists_new (void)
{
  return g_new0 (DeratectlLists, 1);
}

void
deratectl_lists_free (DeratectlLists *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (lists); i++)
    g_clear_pointer (&self->known[i], g_variant_unref);
  g_free (self);
}

static GVariant *
find (GVariant *entries, const char *id)
{
  for (gsize i = 0; i < g_variant_n_children (entries); i++)
    {
      g_autoptr (GVariant) entry = g_variant_get_child_value (entries, i);

      if (strcmp (deratectl_dict_text (entry, "id"), id) == 0)
        return g_steal_pointer (&entry);
    }
  return NULL;
}

/* Below 0: without a limit. */
static double
get_remaining (GVariant *entry)
{
  double expires = (double)deratectl_dict_count (entry, "expires") / G_USEC_PER_SEC;

  return expires > 0 ? MAX (expires - deratectl_get_now (), 0) : -1;
}

static char *
describe (const List *list, GVariant *entry, const char *change)
{
  const char *id = deratectl_dict_text (entry, "id");
  double remaining = get_remaining (entry);
  g_autofree char *span = remaining < 0 ? NULL : deratectl_format_span (remaining + 0.5);
  g_autofree char *time = span != NULL ? g_strconcat ("for ", span, NULL) : NULL;
  g_autofree char *text = NULL;

  if (strcmp (change, "over") == 0)
    return g_strdup_printf ("%s over", id);
  if (strcmp (change, "renewed") == 0)
    return g_strdup_printf ("%s renewed %s", id, time != NULL ? time : "without a limit");
  text = list->describe (entry, time);
  return g_strdup_printf ("%s %s", id, text);
}

static void
tell (const List *list, GVariant *entry, const char *change)
{
  double remaining = get_remaining (entry);
  g_autofree char *text = describe (list, entry, change);
  g_autoptr (GVariant) detail = g_variant_ref_sink (list->detail (entry));
  GVariant *left = remaining < 0 ? NULL : g_variant_new_double (remaining);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add_parsed (&builder, "{'id', <%s>}", deratectl_dict_text (entry, "id"));
  g_variant_builder_add_parsed (&builder, "{'change', <%s>}", change);
  deratectl_append_members (&builder, detail);
  g_variant_builder_add_parsed (&builder, "{'who', <%s>}", deratectl_dict_text (entry, "who"));
  g_variant_builder_add_parsed (&builder, "{'reason', <%s>}",
                                deratectl_dict_text (entry, "reason"));
  g_variant_builder_add_parsed (&builder, "{'uid', <%u>}", get_uid (entry));
  g_variant_builder_add_parsed (&builder, "{'remaining_seconds', <%@md>}",
                                g_variant_new_maybe (G_VARIANT_TYPE_DOUBLE, left));
  deratectl_tell (list->kind, g_variant_builder_end (&builder), text);
}

static void
tell_changes (const List *list, GVariant *before, GVariant *now)
{
  for (gsize i = 0; i < g_variant_n_children (before); i++)
    {
      g_autoptr (GVariant) entry = g_variant_get_child_value (before, i);
      g_autoptr (GVariant) same = find (now, deratectl_dict_text (entry, "id"));

      if (same == NULL)
        tell (list, entry, "over");
      else if (deratectl_dict_count (same, "expires") != deratectl_dict_count (entry, "expires"))
        tell (list, same, "renewed");
    }
  for (gsize i = 0; i < g_variant_n_children (now); i++)
    {
      g_autoptr (GVariant) entry = g_variant_get_child_value (now, i);
      g_autoptr (GVariant) same = find (before, deratectl_dict_text (entry, "id"));

      if (same == NULL)
        tell (list, entry, list->begun);
    }
}

void
deratectl_lists_take (DeratectlLists *self, GVariant *properties)
{
  for (guint i = 0; i < G_N_ELEMENTS (lists); i++)
    {
      g_autoptr (GVariant) now =
          g_variant_lookup_value (properties, lists[i].property, G_VARIANT_TYPE ("aa{sv}"));

      if (now == NULL)
        continue;
      if (self->known[i] != NULL)
        tell_changes (&lists[i], self->known[i], now);
      g_clear_pointer (&self->known[i], g_variant_unref);
      self->known[i] = g_steal_pointer (&now);
    }
}
