/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-log-writer.h"

#include <string.h>

#include "derate-log-private.h"
#include "derate-names-private.h"

#define AT_TIME 1738011600 /* 2025-01-27T21:00:00Z */
#define TIME "\"timestamp\":\"2025-01-27T21:00:00Z\"}"

typedef struct
{
  const char *name;
  GLogField fields[8];
  gsize n_fields;
  const char *line;
} Case;

static const Case cases[] = {
  { "event",
    { { "PRIORITY", "6", -1 },
      { "EVENT", "circuit_breaker_open", -1 },
      { "COMPONENT", "ai_providers_cb", -1 },
      { "PREVIOUS_STATE", "closed", -1 },
      { "FAILURE_COUNT", "5", -1 },
      { "FAILURE_THRESHOLD", "5", -1 },
      { "REQUEST_ID", "r-1", -1 } },
    7,
    "{\"event\":\"circuit_breaker_open\",\"component\":\"ai_providers_cb\",\"priority\":6,"
    "\"previous_state\":\"closed\",\"failure_count\":5,\"failure_threshold\":5,"
    "\"request_id\":\"r-1\"," TIME },
  { "duration",
    { { "EVENT", "slow_query", -1 },
      { "COMPONENT", "database", -1 },
      { "MESSAGE", "Slow query (245.3ms): SELECT 1", -1 },
      { "DURATION_MS", "245.3", -1 } },
    4,
    "{\"event\":\"slow_query\",\"component\":\"database\","
    "\"message\":\"Slow query (245.3ms): SELECT 1\",\"duration_ms\":245.3," TIME },
  { "no-event",
    { { "MESSAGE", "holds will not survive a restart", -1 } },
    1,
    "{\"event\":null,\"component\":null,\"message\":\"holds will not survive a restart\"," TIME },
  { "escaped",
    { { "MESSAGE", "a \"b\" \\ c\r\nd\te\x01\x7f", -1 } },
    1,
    "{\"event\":null,\"component\":null,"
    "\"message\":\"a \\\"b\\\" \\\\ c\\r\\nd\\te\\u0001\\u007f\"," TIME },
  { "not-utf-8",
    { { "MESSAGE", "caf\xe9 \xc3\xa9", -1 }, { "EV\xff", "x", -1 } },
    2,
    "{\"event\":null,\"component\":null,\"message\":\"caf\xef\xbf\xbd \xc3\xa9\","
    "\"ev\xef\xbf\xbd\":\"x\"," TIME },
  { "length",
    { { "COMPONENT", "redis, and more", 5 }, { "REASON", "a\0b", 3 }, { "WHO", "ana", 0 } },
    3,
    "{\"event\":null,\"component\":\"redis\",\"reason\":\"a\xef\xbf\xbd"
    "b\",\"who\":\"\"," TIME },
  { "no-number",
    { { "COUNT", "nan", -1 },
      { "FAILURE_COUNT", "inf", -1 },
      { "FAILURE_THRESHOLD", "many", -1 },
      { "PRIORITY", "0.1", -1 } },
    4,
    "{\"event\":null,\"component\":null,\"count\":null,\"failure_count\":null,"
    "\"failure_threshold\":null,\"priority\":0.1," TIME },
  { "twice",
    { { "REASON", "first", -1 }, { "REASON", "second", -1 } },
    2,
    "{\"event\":null,\"component\":null,\"reason\":\"first\"," TIME },
  { "secret",
    { { "MESSAGE", "no way to postgresql://u:Planted-Pa55@h/db", -1 },
      { "REASON", "Authorization: Bearer Planted-Pa55", -1 } },
    2,
    "{\"event\":null,\"component\":null,\"message\":\"no way to postgresql://u:***@h/db\","
    "\"reason\":\"Authorization: Bearer ***\"," TIME },
};

static void
test_format (gconstpointer data)
{
  const Case *c = data;
  g_autofree char *line = derate_log_format_json (c->fields, c->n_fields, AT_TIME);

  g_assert_cmpstr (line, ==, c->line);
}

/* Every field there is, from an event as the library makes it. */
static void
test_every_field (void)
{
  static const char *const keys[] = {
    DERATE_FIELD_PREVIOUS_STATE, DERATE_FIELD_STATE,
    DERATE_FIELD_FAILURE_COUNT,  DERATE_FIELD_FAILURE_THRESHOLD,
    DERATE_FIELD_RULE,           DERATE_FIELD_CAUSE,
    DERATE_FIELD_REASON,         DERATE_FIELD_HOLD,
    DERATE_FIELD_DRILL,          DERATE_FIELD_WHO,
    DERATE_FIELD_STRATEGY,       DERATE_FIELD_COUNT,
    DERATE_FIELD_REQUEST_ID,
  };
  GLogField fields[G_N_ELEMENTS (keys)];
  g_autofree char *line = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (keys); i++)
    fields[i] = (GLogField){ keys[i], "7", -1 };
  line = derate_log_format_json (fields, G_N_ELEMENTS (keys), AT_TIME);
  for (gsize i = 0; i < G_N_ELEMENTS (keys); i++)
    {
      gboolean number = strstr (keys[i], "COUNT") != NULL || strstr (keys[i], "THRESHOLD") != NULL;
      g_autofree char *lower = g_ascii_strdown (keys[i], -1);
      g_autofree char *member = g_strdup_printf (number ? "\"%s\":7," : "\"%s\":\"7\",", lower);

      g_assert_nonnull (strstr (line, member));
    }
}

static void
run_alone (const char *path)
{
  g_test_trap_subprocess (path, 0, G_TEST_SUBPROCESS_DEFAULT);
  g_test_trap_assert_passed ();
}

static void
tell (void)
{
  g_log_set_writer_func (derate_log_writer_json, NULL, NULL);
  derate_log_event (G_LOG_LEVEL_INFO, DERATE_EVENT_BREAKER_CLOSED, "redis", "of\nours", NULL);
  g_log_structured ("Derate-Http", G_LOG_LEVEL_MESSAGE, "MESSAGE", "of http");
  g_log_structured ("Derate", G_LOG_LEVEL_DEBUG, "MESSAGE", "too much");
  g_log_structured ("Derated", G_LOG_LEVEL_MESSAGE, "MESSAGE", "of others");
}

static void
test_lines (void)
{
  run_alone ("/log-writer/subprocess/tell");
  g_test_trap_assert_stderr (
      "*{\"event\":\"circuit_breaker_closed\",\"component\":\"redis\",\"priority\":6,"
      "\"glib_domain\":\"Derate\",\"message\":\"of\\nours\",\"message_id\":\"*\","
      "\"timestamp\":\"20*Z\"}\n"
      "{\"event\":null,\"component\":null,\"message\":\"of http\",*}\n*of others*");
  g_test_trap_assert_stderr_unmatched ("*{*of others*}*");
  g_test_trap_assert_stderr_unmatched ("*too much*");
}

static void
tell_all (void)
{
  g_setenv ("G_MESSAGES_DEBUG", "Derate", TRUE);
  tell ();
}

static void
test_debug (void)
{
  run_alone ("/log-writer/subprocess/tell-all");
  g_test_trap_assert_stderr ("*\"message\":\"too much\",\"priority\":7,*");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/log-writer/format/", cases[i].name, NULL);
      g_test_add_data_func (path, &cases[i], test_format);
    }
  g_test_add_func ("/log-writer/every-field", test_every_field);
  g_test_add_func ("/log-writer/lines", test_lines);
  g_test_add_func ("/log-writer/debug", test_debug);
  g_test_add_func ("/log-writer/subprocess/tell", tell);
  g_test_add_func ("/log-writer/subprocess/tell-all", tell_all);
  return g_test_run ();
}
