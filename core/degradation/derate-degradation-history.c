/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-degradation-history-private.h"

typedef struct
{
  gint64 time; /* wall clock, µs */
  DerateLevel from;
  DerateLevel to;
  char *rule;
} Entry;

static void
entry_free (gpointer data)
{
  g_free (((Entry *)data)->rule);
  g_free (data);
}

void
derate_degradation_history_init (DerateDegradationHistory *history)
{
  *history = (DerateDegradationHistory){ 0 };
  g_queue_init (&history->entries);
  history->decisions = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
}

void
derate_degradation_history_clear (DerateDegradationHistory *history)
{
  g_queue_clear_full (&history->entries, entry_free);
  g_clear_pointer (&history->decisions, g_hash_table_unref);
}

void
derate_degradation_history_know_rule (DerateDegradationHistory *history, const char *rule)
{
  if (!g_hash_table_contains (history->decisions, rule))
    g_hash_table_insert (history->decisions, g_strdup (rule), g_new0 (guint64, 1));
}

void
derate_degradation_history_count_rule (DerateDegradationHistory *history, const char *rule)
{
  derate_degradation_history_know_rule (history, rule);
  (*(guint64 *)g_hash_table_lookup (history->decisions, rule))++;
}

static void
remember (DerateDegradationHistory *history, DerateLevel to, const char *rule, gint64 real_now)
{
  Entry *entry = g_new0 (Entry, 1);

  entry->time = real_now;
  entry->from = history->level;
  entry->to = to;
  entry->rule = g_strdup (rule);
  g_queue_push_tail (&history->entries, entry);
  if (history->entries.length > DERATE_DEGRADATION_HISTORY_MAX)
    entry_free (g_queue_pop_head (&history->entries));
}

void
derate_degradation_history_enter (DerateDegradationHistory *history,
                                  DerateLevel level,
                                  const char *rule,
                                  gint64 now,
                                  gint64 real_now)
{
  guint from = derate_level_get_number (history->level);
  guint to = derate_level_get_number (level);

  if (from > 0 && to > 0)
    {
      history->spent[from - 1] += now - history->entered;
      history->transitions[from - 1][to - 1]++;
      remember (history, level, rule, real_now);
    }
  history->level = level;
  history->entered = now;
}

double
derate_degradation_history_get_seconds (const DerateDegradationHistory *history,
                                        DerateLevel level,
                                        gint64 now)
{
  guint number = derate_level_get_number (level);
  gint64 spent;

  if (number == 0)
    return 0;
  spent = history->spent[number - 1];
  if (level == history->level)
    spent += MAX (now - history->entered, 0);
  return (double)spent / G_TIME_SPAN_SECOND;
}

static void
add_entry (GVariantBuilder *rows, const Entry *entry)
{
  g_variant_builder_open (rows, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (rows, "{sv}", "time",
                         g_variant_new_double ((double)entry->time / G_TIME_SPAN_SECOND));
  g_variant_builder_add (rows, "{sv}", "from",
                         g_variant_new_string (derate_level_get_nick (entry->from)));
  g_variant_builder_add (rows, "{sv}", "to",
                         g_variant_new_string (derate_level_get_nick (entry->to)));
  g_variant_builder_add (rows, "{sv}", "rule", g_variant_new_string (entry->rule));
  g_variant_builder_close (rows);
}

GVariant *
derate_degradation_history_to_variant (const DerateDegradationHistory *history, guint max)
{
  guint skip = max > 0 && history->entries.length > max ? history->entries.length - max : 0;
  GVariantBuilder rows;

  g_variant_builder_init (&rows, G_VARIANT_TYPE ("aa{sv}"));
  for (GList *link = history->entries.head; link != NULL; link = link->next)
    if (skip > 0)
      skip--;
    else
      add_entry (&rows, link->data);
  return g_variant_builder_end (&rows);
}
