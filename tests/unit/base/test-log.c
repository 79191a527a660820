/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-log.h"

#include <string.h>

#include "derate-names-private.h"

static GHashTable *last = NULL;
static guint n_events = 0;

static GLogWriterOutput
keep_event (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  g_autoptr (GHashTable) found = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);

  for (gsize i = 0; i < n_fields; i++)
    g_hash_table_insert (found, g_strdup (fields[i].key), g_strdup (fields[i].value));
  if (!g_hash_table_contains (found, "EVENT"))
    return g_log_writer_default (level, fields, n_fields, data);
  g_clear_pointer (&last, g_hash_table_unref);
  last = g_steal_pointer (&found);
  n_events++;
  return G_LOG_WRITER_HANDLED;
}

static const char *
get (const char *key)
{
  return g_hash_table_lookup (last, key);
}

static void
test_fields (void)
{
  derate_log_event (G_LOG_LEVEL_WARNING, DERATE_EVENT_BREAKER_OPEN, "database",
                    "breaker database opened: postgresql://u:pw@h/db", DERATE_FIELD_PREVIOUS_STATE,
                    "closed", DERATE_FIELD_REASON, NULL, DERATE_FIELD_FAILURE_COUNT, "3", NULL);
  g_assert_cmpuint (n_events, ==, 1);
  g_assert_cmpstr (get ("PRIORITY"), ==, "4");
  g_assert_cmpstr (get ("GLIB_DOMAIN"), ==, "Derate");
  g_assert_cmpstr (get ("EVENT"), ==, "circuit_breaker_open");
  g_assert_cmpstr (get ("COMPONENT"), ==, "database");
  g_assert_cmpstr (get ("MESSAGE"), ==, "breaker database opened: postgresql://u:***@h/db");
  g_assert_cmpstr (get ("PREVIOUS_STATE"), ==, "closed");
  g_assert_cmpstr (get ("FAILURE_COUNT"), ==, "3");
  g_assert_false (g_hash_table_contains (last, "REASON"));

  derate_log_event (G_LOG_LEVEL_INFO, DERATE_EVENT_LEVEL_CHANGED, NULL, "level changed", NULL);
  g_assert_cmpstr (get ("PRIORITY"), ==, "6");
  g_assert_false (g_hash_table_contains (last, "COMPONENT"));
}

static void
test_message_ids (void)
{
  static const char *const events[] = {
    DERATE_EVENT_BREAKER_INIT,     DERATE_EVENT_BREAKER_OPEN,   DERATE_EVENT_BREAKER_HALF_OPEN,
    DERATE_EVENT_BREAKER_CLOSED,   DERATE_EVENT_BREAKER_ALERT,  DERATE_EVENT_BREAKER_RECOVERED,
    DERATE_EVENT_BREAKER_OPERATED, DERATE_EVENT_BREAKER_RESET,  DERATE_EVENT_LEVEL_CHANGED,
    DERATE_EVENT_HOLD_TAKEN,       DERATE_EVENT_HOLD_RELEASED,  DERATE_EVENT_SERVICE_STATUS,
    DERATE_EVENT_FALLBACK_USED,    DERATE_EVENT_PLUGIN_LOADED,  DERATE_EVENT_PLUGIN_FAILED,
    DERATE_EVENT_CONFIG_REFUSED,   DERATE_EVENT_HOLDS_RELEASED, DERATE_EVENT_DRILL_STARTED,
    DERATE_EVENT_DRILL_ENDED,      DERATE_EVENT_SLOW_QUERY,     DERATE_EVENT_QUERY,
  };
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (events); i++)
    {
      const char *id;

      derate_log_event (G_LOG_LEVEL_INFO, events[i], NULL, "x", NULL);
      id = get ("MESSAGE_ID");
      g_assert_nonnull (id);
      g_assert_cmpuint (strlen (id), ==, 32);
      g_assert_cmpuint (strspn (id, "0123456789abcdef"), ==, 32);
      g_assert_true (g_hash_table_add (seen, g_strdup (id)));
    }
}

/* What a plugin logs: an event that this library has no id for, with as many fields as it likes. */
static void
test_foreign (void)
{
  derate_log_event (G_LOG_LEVEL_MESSAGE, "printer_jammed", "printer", "paper", "F1", "1", "F2", "2",
                    "F3", "3", "F4", NULL, "F5", "5", "F6", "6", "F7", "7", "F8", "8", "F9", "9",
                    "F10", "10", "F11", "11", "F12", "12", "F13", "13", "F14", "14", "F15", "15",
                    "F16", "16", "F17", "17", "F18", "18", "F19", "19", "F20", "20", "F21",
                    "http://u:pw@h/", "MESSAGE_ID", "0123456789abcdef0123456789abcdef", NULL);
  g_assert_cmpstr (get ("PRIORITY"), ==, "5");
  g_assert_cmpstr (get ("GLIB_DOMAIN"), ==, "Derate");
  g_assert_cmpstr (get ("EVENT"), ==, "printer_jammed");
  g_assert_cmpstr (get ("MESSAGE_ID"), ==, "0123456789abcdef0123456789abcdef");
  g_assert_cmpstr (get ("F1"), ==, "1");
  g_assert_false (g_hash_table_contains (last, "F4"));
  g_assert_cmpstr (get ("F5"), ==, "5");
  g_assert_cmpstr (get ("F20"), ==, "20");
  g_assert_cmpstr (get ("F21"), ==, "http://u:***@h/");

  derate_log_event (G_LOG_LEVEL_MESSAGE, "printer_jammed", "printer", "paper", NULL);
  g_assert_false (g_hash_table_contains (last, "MESSAGE_ID"));
}

/* The variable is read once, so a process of its own shows it. */
static void
test_disabled (void)
{
  if (g_test_subprocess ())
    {
      g_setenv ("ENABLE_RESILIENCE_LOGGING", "off", TRUE);
      derate_log_event (G_LOG_LEVEL_WARNING, DERATE_EVENT_BREAKER_OPEN, "x", "x", NULL);
      g_assert_cmpuint (n_events, ==, 0);
      return;
    }
  g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
  g_test_trap_assert_passed ();
}

int
main (int argc, char **argv)
{
  gint result;

  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (keep_event, NULL, NULL);
  g_test_add_func ("/log/fields", test_fields);
  g_test_add_func ("/log/message-ids", test_message_ids);
  g_test_add_func ("/log/foreign", test_foreign);
  g_test_add_func ("/log/disabled", test_disabled);
  result = g_test_run ();
  g_clear_pointer (&last, g_hash_table_unref);
  return result;
}
