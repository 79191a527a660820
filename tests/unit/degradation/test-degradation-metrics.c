/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "derate-degradation-collector-private.h"
#include "manager-fixture.h"

/* What the numbers and the log say of the level. */

#define HEALTHY DERATE_HEALTH_STATUS_HEALTHY
#define DOWN DERATE_HEALTH_STATUS_DOWN

static GPtrArray *log_lines;

static GLogWriterOutput
keep_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  static const char *const wanted[] = { "EVENT", "COMPONENT", "PREVIOUS_STATE", "STATE", "RULE",
                                        "CAUSE", "WHO",       "REASON" };
  GString *line;

  if (level & (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR))
    return g_log_writer_default (level, fields, n_fields, data);
  line = g_string_new (level & G_LOG_LEVEL_WARNING ? "warning" : "info");
  for (gsize k = 0; k < G_N_ELEMENTS (wanted); k++)
    for (gsize i = 0; i < n_fields; i++)
      if (g_str_equal (fields[i].key, wanted[k]))
        g_string_append_printf (line, " %s", (const char *)fields[i].value);
  g_ptr_array_add (log_lines, g_string_free (line, FALSE));
  return G_LOG_WRITER_HANDLED;
}

static char *
render (Fixture *f)
{
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateMetricsCollector) collector = derate_degradation_collector_new (f->manager);

  derate_metrics_registry_add_collector (registry, collector);
  return derate_metrics_registry_render (registry);
}

static void
assert_lines (const char *text, const char *const *lines)
{
  for (guint i = 0; lines[i] != NULL; i++)
    {
      g_autofree char *line = g_strconcat ("\n", lines[i], "\n", NULL);

      if (strstr (text, line) == NULL)
        g_error ("no line “%s” in:\n%s", lines[i], text);
    }
}

static guint
count (const char *text, const char *what)
{
  guint n = 0;

  for (const char *p = strstr (text, what); p != NULL; p = strstr (p + 1, what))
    n++;
  return n;
}

/* Every series is there before anything has happened. */
static void
test_created_at_0 (Fixture *f, gconstpointer unused)
{
  static const char *const lines[] = {
    "degradation_level 0",
    "degradation_computed_level 0",
    "degradation_functionality_ratio 0",
    "degradation_last_evaluation_timestamp_seconds 0",
    "degradation_level_transitions_total{from=\"optimal\",to=\"emergency\"} 0",
    "degradation_rule_decisions_total{rule=\"reads-impossible\"} 0",
    "degradation_rule_decisions_total{rule=\"all-well\"} 0",
    "degradation_rule_decisions_total{rule=\"hold\"} 0",
    "degradation_rule_decisions_total{rule=\"set-level\"} 0",
    "degradation_level_seconds_total{level=\"limited\"} 0",
    "degradation_answers_total{level=\"minimal\",source=\"refused\"} 0",
    "degradation_hold_active{mode=\"at-least\"} 0",
    "degradation_hold_active{mode=\"exact\"} 0",
    "degradation_hold_masks_outage 0",
    "degradation_feature_enabled{feature=\"uploads\"} 1",
    NULL,
  };
  g_autofree char *text = render (f);

  assert_lines (text, lines);
  g_assert_cmpuint (count (text, "\ndegradation_level_transitions_total{"), ==, 20);
  g_assert_cmpuint (count (text, "\ndegradation_rule_decisions_total{"), ==, 9);
  g_assert_cmpuint (count (text, "\ndegradation_answers_total{"), ==, 15);
  g_assert_cmpuint (count (text, "\ndegradation_feature_enabled{"), ==, 6);
}

static void
test_counted (Fixture *f, gconstpointer unused)
{
  static const char *const lines[] = {
    "degradation_level 1",
    "degradation_computed_level 4",
    "degradation_functionality_ratio 1",
    "degradation_last_evaluation_timestamp_seconds 1763720060",
    "degradation_level_transitions_total{from=\"optimal\",to=\"limited\"} 0",
    "degradation_level_transitions_total{from=\"optimal\",to=\"degraded\"} 1",
    "degradation_level_transitions_total{from=\"degraded\",to=\"minimal\"} 1",
    "degradation_level_transitions_total{from=\"minimal\",to=\"optimal\"} 1",
    "degradation_rule_decisions_total{rule=\"all-well\"} 1",
    "degradation_rule_decisions_total{rule=\"dependency-down\"} 1",
    "degradation_rule_decisions_total{rule=\"database-limited\"} 1",
    "degradation_rule_decisions_total{rule=\"hold\"} 1",
    "degradation_level_seconds_total{level=\"optimal\"} 15",
    "degradation_level_seconds_total{level=\"degraded\"} 20",
    "degradation_level_seconds_total{level=\"minimal\"} 30",
    "degradation_hold_active{mode=\"exact\"} 1",
    "degradation_hold_masks_outage 1",
    "degradation_feature_enabled{feature=\"writes\"} 0",
    "degradation_feature_enabled{feature=\"reads\"} 1",
    NULL,
  };
  g_autofree char *id = NULL;
  g_autofree char *text = NULL;

  fixture_begin (f);
  fixture_advance (f, 10);
  fixture_set_status (f, REDIS, DOWN);
  fixture_advance (f, 20);
  fixture_set_status (f, DATABASE, DERATE_HEALTH_STATUS_DEGRADED);
  fixture_set_status (f, REDIS, HEALTHY);
  fixture_advance (f, 30);
  id = derate_degradation_manager_hold (f->manager, DERATE_LEVEL_OPTIMAL, DERATE_HOLD_MODE_EXACT,
                                        "ana", "maintenance", G_TIME_SPAN_MINUTE, NULL);
  fixture_advance (f, 5);
  text = render (f);
  assert_lines (text, lines);
}

static void
test_answers (Fixture *f, gconstpointer unused)
{
  static const char *const lines[] = {
    "degradation_answers_total{level=\"optimal\",source=\"real\"} 3",
    "degradation_answers_total{level=\"optimal\",source=\"fallback\"} 0",
    "degradation_answers_total{level=\"minimal\",source=\"fallback\"} 1",
    "degradation_answers_total{level=\"minimal\",source=\"refused\"} 1",
    NULL,
  };
  g_autofree char *text = NULL;

  derate_degradation_manager_note_answer (f->manager, DERATE_ANSWER_SOURCE_REAL);
  fixture_begin (f);
  derate_degradation_manager_note_answer (f->manager, DERATE_ANSWER_SOURCE_REAL);
  derate_degradation_manager_note_answer (f->manager, DERATE_ANSWER_SOURCE_REAL);
  fixture_set_status (f, DATABASE, DOWN);
  derate_degradation_manager_note_answer (f->manager, DERATE_ANSWER_SOURCE_FALLBACK);
  derate_degradation_manager_note_answer (f->manager, DERATE_ANSWER_SOURCE_REFUSED);
  text = render (f);
  assert_lines (text, lines);
}

static void
test_log (Fixture *f, gconstpointer unused)
{
  static const char *const expected[] = {
    "info degradation_level_changed degradation unknown optimal all-well",
    "warning degradation_level_changed degradation optimal minimal database-limited",
    "info hold_taken degradation emergency ana maintenance",
    "warning degradation_level_changed degradation minimal emergency hold",
    "info hold_released degradation released ana",
    "info degradation_level_changed degradation emergency minimal database-limited",
  };
  g_autofree char *id = NULL;

  g_ptr_array_set_size (log_lines, 0);
  fixture_begin (f);
  fixture_set_status (f, DATABASE, DOWN);
  id = derate_degradation_manager_hold (f->manager, DERATE_LEVEL_EMERGENCY,
                                        DERATE_HOLD_MODE_AT_LEAST, "ana", "maintenance",
                                        G_TIME_SPAN_MINUTE, NULL);
  derate_degradation_manager_release (f->manager, id, NULL);
  fixture_advance (f, 30);
  g_assert_cmpuint (log_lines->len, ==, G_N_ELEMENTS (expected));
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    g_assert_cmpstr (g_ptr_array_index (log_lines, i), ==, expected[i]);
}

#define ADD(name, func) \
  g_test_add ("/degradation/metrics/" name, Fixture, NULL, fixture_set_up, func, fixture_tear_down)

int
main (int argc, char *argv[])
{
  int result;

  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  log_lines = g_ptr_array_new_with_free_func (g_free);
  g_log_set_writer_func (keep_log, NULL, NULL);
  ADD ("created-at-0", test_created_at_0);
  ADD ("counted", test_counted);
  ADD ("answers", test_answers);
  ADD ("log", test_log);
  result = g_test_run ();
  g_ptr_array_unref (log_lines);
  return result;
}
