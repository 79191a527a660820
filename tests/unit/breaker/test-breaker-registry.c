/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-script.h"

#include <malloc.h>
#include <string.h>

#include "derate-breaker-private.h"
#include "derate-breaker-registry-private.h"

static DerateBreaker *
get (DerateBreakerRegistry *registry, const char *name)
{
  return derate_breaker_registry_get_or_create (registry, name, NULL, NULL);
}

static char *
list_names (DerateBreakerRegistry *registry)
{
  g_autoptr (GPtrArray) list = derate_breaker_registry_list (registry);
  GString *names = g_string_new (NULL);

  for (guint i = 0; i < list->len; i++)
    g_string_append_printf (names, "%s%s", i > 0 ? " " : "",
                            derate_breaker_get_name (list->pdata[i]));
  return g_string_free (names, FALSE);
}

static void
assert_names (DerateBreakerRegistry *registry, const char *expected)
{
  g_autofree char *names = list_names (registry);

  g_assert_cmpstr (names, ==, expected);
}

static void
test_get_or_create (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreakerRegistry) registry = derate_breaker_registry_new (clock);
  g_autoptr (DerateBreakerConfig) config = breaker_config_from_words ("failure-threshold=9");
  g_autoptr (DerateBreaker) first = NULL;
  g_autoptr (DerateBreaker) again = NULL;
  g_autoptr (DerateBreaker) other = NULL;
  g_autoptr (DerateBreakerConfig) kept = NULL;
  gboolean created = FALSE;

  g_assert_null (derate_breaker_registry_lookup (registry, "b"));
  first = derate_breaker_registry_get_or_create (registry, "b", config, &created);
  g_assert_true (created);
  again = derate_breaker_registry_get_or_create (registry, "b", NULL, &created);
  g_assert_false (created);
  g_assert_true (first == again);
  g_assert_true (derate_breaker_get_clock (first) == clock);
  kept = derate_breaker_dup_config (again);
  g_assert_true (derate_breaker_config_equal (kept, config));

  other = get (registry, "a");
  assert_names (registry, "a b");
  g_assert_true (derate_breaker_registry_remove (registry, "b"));
  g_assert_false (derate_breaker_registry_remove (registry, "b"));
  assert_names (registry, "a");
}

static void
test_add (void)
{
  g_autoptr (DerateBreakerRegistry) registry = derate_breaker_registry_new (NULL);
  g_autoptr (DerateBreaker) made = derate_breaker_new ("b", NULL);
  g_autoptr (DerateBreaker) namesake = derate_breaker_new ("b", NULL);
  g_autoptr (DerateBreaker) found = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (derate_breaker_registry_add (registry, made, &error));
  g_assert_true (derate_breaker_registry_add (registry, made, &error));
  g_assert_no_error (error);
  g_assert_false (derate_breaker_registry_add (registry, namesake, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_EXISTS);
  found = derate_breaker_registry_lookup (registry, "b");
  g_assert_true (found == made);
}

static void
test_reset_all (void)
{
  g_autoptr (DerateBreakerRegistry) registry = derate_breaker_registry_new (NULL);
  g_autoptr (DerateBreaker) a = get (registry, "a");
  g_autoptr (DerateBreaker) b = get (registry, "b");

  derate_breaker_trip (a, NULL);
  derate_breaker_set_mode (b, DERATE_BREAKER_MODE_FORCED_OPEN);
  g_assert_cmpuint (derate_breaker_registry_reset_all (registry), ==, 2);
  g_assert_cmpint (derate_breaker_get_state (a), ==, DERATE_BREAKER_STATE_CLOSED);
  g_assert_cmpint (derate_breaker_get_mode (b), ==, DERATE_BREAKER_MODE_NORMAL);
}

/* Only what is idle and closed goes, the one not asked for longest first. */
static void
test_bound (void)
{
  g_autoptr (DerateBreakerRegistry) registry = derate_breaker_registry_new (NULL);
  g_autoptr (DerateBreaker) open = get (registry, "open");
  g_autoptr (DerateBreaker) forced = get (registry, "forced");
  g_autoptr (DerateBreaker) busy = get (registry, "busy");
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  derate_breaker_trip (open, NULL);
  derate_breaker_set_mode (forced, DERATE_BREAKER_MODE_FORCED_OPEN);
  g_assert_true (derate_breaker_acquire (busy, &permit, NULL));
  g_object_unref (get (registry, "idle-1"));
  g_object_unref (get (registry, "idle-2"));
  g_object_unref (get (registry, "idle-1"));

  derate_breaker_registry_set_max_breakers (registry, 4);
  assert_names (registry, "busy forced idle-1 open");
  g_object_unref (get (registry, "new"));
  assert_names (registry, "busy forced new open");
  derate_breaker_registry_set_max_breakers (registry, 1);
  assert_names (registry, "busy forced open");
  g_object_unref (get (registry, "one-more"));
  assert_names (registry, "busy forced one-more open");

  derate_permit_succeed (&permit);
  g_object_unref (get (registry, "last"));
  assert_names (registry, "forced last open");
}

/* One that is made anew would not ramp. */
static void
test_bound_and_ramp (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreakerRegistry) registry = derate_breaker_registry_new (clock);
  g_autoptr (DerateBreakerConfig) config =
      breaker_config_from_words ("ramp-duration=10s success-threshold=1");
  g_autoptr (DerateBreaker) ramping =
      derate_breaker_registry_get_or_create (registry, "ramping", config, NULL);

  derate_breaker_move (ramping, DERATE_BREAKER_STATE_OPEN, NULL);
  derate_breaker_move (ramping, DERATE_BREAKER_STATE_HALF_OPEN, NULL);
  derate_breaker_note_good_check (ramping, 1, 1);
  g_assert_cmpint (derate_breaker_get_state (ramping), ==, DERATE_BREAKER_STATE_CLOSED);
  derate_breaker_registry_set_max_breakers (registry, 1);
  g_object_unref (get (registry, "other"));
  assert_names (registry, "other ramping");
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 10 * G_TIME_SPAN_SECOND);
  g_object_unref (get (registry, "last"));
  assert_names (registry, "last");
}

/* A hundred thousand names do not fill the memory. */
static void
test_many_names (void)
{
  g_autoptr (DerateBreakerRegistry) registry = derate_breaker_registry_new (NULL);
  g_autoptr (GPtrArray) list = NULL;

  derate_breaker_registry_set_max_breakers (registry, 100);
  for (guint i = 0; i < 100000; i++)
    {
      g_autofree char *name = g_strdup_printf ("key-%u", i);

      g_object_unref (get (registry, name));
    }
  list = derate_breaker_registry_list (registry);
  g_assert_cmpuint (list->len, ==, 100);
}

typedef struct
{
  DerateBreakerRegistry *registry;
  int stop; /* atomic */
} Crowd;

static gpointer
create_many (gpointer data)
{
  Crowd *crowd = data;

  for (guint i = 0; !g_atomic_int_get (&crowd->stop); i++)
    g_object_unref (get (crowd->registry, i % 2 == 0 ? "even" : "odd"));
  return NULL;
}

/* An open one never goes, also not in place of an idle one of its name that was there before. */
static void
test_bound_and_threads (void)
{
  g_autoptr (DerateBreakerRegistry) registry = derate_breaker_registry_new (NULL);
  g_autoptr (DerateBreaker) idle = derate_breaker_new ("a", NULL);
  g_autoptr (DerateBreaker) open = derate_breaker_new ("a", NULL);
  Crowd crowd = { registry, 0 };
  guint rounds = breaker_test_is_slow () ? 2000 : 50000;
  GThread *thread;

  derate_breaker_trip (open, NULL);
  derate_breaker_registry_set_max_breakers (registry, 1);
  thread = g_thread_new ("create", create_many, &crowd);
  for (guint i = 0; i < rounds; i++)
    {
      g_autoptr (DerateBreaker) found = NULL;

      derate_breaker_registry_add (registry, idle, NULL);
      derate_breaker_registry_remove (registry, "a");
      g_assert_true (derate_breaker_registry_add (registry, open, NULL));
      if (i % 16 == 0)
        g_thread_yield ();
      found = derate_breaker_registry_lookup (registry, "a");
      g_assert_true (found == open);
      derate_breaker_registry_remove (registry, "a");
    }
  g_atomic_int_set (&crowd.stop, 1);
  g_thread_join (thread);
}

/* Where every breaker is disabled, those of a bounded registry go all the same. */
static void
test_disabled (void)
{
  g_autoptr (DerateBreakerRegistry) registry = NULL;
  g_autoptr (DerateBreaker) breaker = NULL;

  g_setenv ("ENABLE_RESILIENCE", "false", TRUE);
  registry = derate_breaker_registry_new (NULL);
  g_unsetenv ("ENABLE_RESILIENCE");
  breaker = get (registry, "first");
  g_assert_cmpint (derate_breaker_get_mode (breaker), ==, DERATE_BREAKER_MODE_DISABLED);
  derate_breaker_registry_set_max_breakers (registry, 1);
  g_object_unref (get (registry, "second"));
  assert_names (registry, "second");
}

static gpointer
create_same (gpointer data)
{
  return get (data, "same");
}

static void
test_one_of_many_threads (void)
{
  for (guint round = 0; round < 100; round++)
    {
      g_autoptr (DerateBreakerRegistry) registry = derate_breaker_registry_new (NULL);
      GThread *threads[4];
      DerateBreaker *found[4];

      for (guint i = 0; i < 4; i++)
        threads[i] = g_thread_new ("create", create_same, registry);
      for (guint i = 0; i < 4; i++)
        found[i] = g_thread_join (threads[i]);
      for (guint i = 0; i < 4; i++)
        {
          g_assert_true (found[i] == found[0]);
          g_object_unref (found[i]);
        }
    }
}

static void
finish_call (DerateBreaker *breaker, gboolean good)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  if (!derate_breaker_acquire (breaker, &permit, NULL))
    return;
  if (good)
    derate_permit_succeed (&permit);
  else
    derate_permit_fail (&permit, NULL);
}

static void
assert_line (const char *text, const char *line)
{
  g_autofree char *whole = g_strdup_printf ("\n%s\n", line);

  if (strstr (text, whole) == NULL)
    g_error ("no line “%s” in\n%s", line, text);
}

static const char *const fresh_lines[] = {
  "circuit_breaker_state{name=\"b\"} 0",
  "circuit_breaker_requests_total{name=\"b\"} 0",
  "circuit_breaker_failures_total{name=\"b\"} 0",
  "circuit_breaker_successes_total{name=\"b\"} 0",
  "circuit_breaker_calls_blocked_total{name=\"b\"} 0",
  "circuit_breaker_failure_rate{name=\"b\"} NaN",
  "circuit_breaker_slow_call_rate{name=\"b\"} NaN",
  "circuit_breaker_calls_total{name=\"b\",outcome=\"success\"} 0",
  "circuit_breaker_calls_total{name=\"b\",outcome=\"failure\"} 0",
  "circuit_breaker_calls_total{name=\"b\",outcome=\"neutral\"} 0",
  "circuit_breaker_calls_total{name=\"b\",outcome=\"slow_success\"} 0",
  "circuit_breaker_calls_total{name=\"b\",outcome=\"slow_failure\"} 0",
  "circuit_breaker_state_transitions_total{name=\"b\",from=\"closed\",to=\"open\"} 0",
  "circuit_breaker_state_transitions_total{name=\"b\",from=\"open\",to=\"half-open\"} 0",
  "circuit_breaker_state_transitions_total{name=\"b\",from=\"open\",to=\"closed\"} 0",
  "circuit_breaker_state_transitions_total{name=\"b\",from=\"half-open\",to=\"open\"} 0",
  "circuit_breaker_state_transitions_total{name=\"b\",from=\"half-open\",to=\"closed\"} 0",
};

static const char *const used_lines[] = {
  "circuit_breaker_state{name=\"b\"} 1",
  "circuit_breaker_requests_total{name=\"b\"} 5",
  "circuit_breaker_failures_total{name=\"b\"} 2",
  "circuit_breaker_successes_total{name=\"b\"} 2",
  "circuit_breaker_calls_blocked_total{name=\"b\"} 1",
  "circuit_breaker_failure_rate{name=\"b\"} 0.5",
  "circuit_breaker_slow_call_rate{name=\"b\"} 0.25",
  "circuit_breaker_calls_total{name=\"b\",outcome=\"success\"} 1",
  "circuit_breaker_calls_total{name=\"b\",outcome=\"slow_success\"} 1",
  "circuit_breaker_calls_total{name=\"b\",outcome=\"failure\"} 2",
  "circuit_breaker_state_transitions_total{name=\"b\",from=\"closed\",to=\"open\"} 1",
  "circuit_breaker_call_duration_seconds_count{name=\"b\"} 4",
  "circuit_breaker_call_duration_seconds_bucket{name=\"b\",le=\"1.0\"} 3",
  "circuit_breaker_call_duration_seconds_sum{name=\"b\"} 2",
};

/* Every series is there from the start, follows the breaker, never falls, and goes with it. */
static void
test_metrics (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreakerRegistry) registry = derate_breaker_registry_new (clock);
  g_autoptr (DerateMetricsCollector) collector = derate_breaker_collector_new (registry);
  g_autoptr (DerateMetricsRegistry) metrics = derate_metrics_registry_new ();
  g_autoptr (DerateBreakerConfig) config =
      breaker_config_from_words ("window-size=4 slow-call-duration=2s");
  g_autoptr (DerateBreaker) breaker =
      derate_breaker_registry_get_or_create (registry, "b", config, NULL);
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
  g_autofree char *fresh = NULL;
  g_autofree char *used = NULL;
  g_autofree char *reset = NULL;
  g_autofree char *gone = NULL;

  derate_metrics_registry_add_collector (metrics, collector);
  fresh = derate_metrics_registry_render (metrics);
  for (gsize i = 0; i < G_N_ELEMENTS (fresh_lines); i++)
    assert_line (fresh, fresh_lines[i]);

  g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 2 * G_TIME_SPAN_SECOND);
  derate_permit_succeed (&permit);
  finish_call (breaker, TRUE);
  finish_call (breaker, FALSE);
  finish_call (breaker, FALSE);
  finish_call (breaker, FALSE);
  used = derate_metrics_registry_render (metrics);
  for (gsize i = 0; i < G_N_ELEMENTS (used_lines); i++)
    assert_line (used, used_lines[i]);

  derate_breaker_reset (breaker);
  reset = derate_metrics_registry_render (metrics);
  assert_line (reset, "circuit_breaker_state{name=\"b\"} 0");
  assert_line (reset, "circuit_breaker_requests_total{name=\"b\"} 5");
  assert_line (reset, "circuit_breaker_failures_total{name=\"b\"} 2");

  derate_breaker_registry_remove (registry, "b");
  gone = derate_metrics_registry_render (metrics);
  g_assert_null (strstr (gone, "name=\"b\""));
}

static void
assert_series (DerateMetricsRegistry *metrics, const char *const *lines)
{
  g_autofree char *text = derate_metrics_registry_render (metrics);

  for (guint i = 0; lines[i] != NULL; i++)
    assert_line (text, lines[i]);
}

/* measure=true counts the durations of calls of which none is slow; what was counted stays. */
static void
test_measured (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreakerRegistry) registry = derate_breaker_registry_new (clock);
  g_autoptr (DerateMetricsCollector) collector = derate_breaker_collector_new (registry);
  g_autoptr (DerateMetricsRegistry) metrics = derate_metrics_registry_new ();
  g_autoptr (DerateBreakerConfig) config = breaker_config_from_words ("measure=true window=none");
  g_autoptr (DerateBreakerConfig) plain = breaker_config_from_words ("window=none");
  g_autoptr (DerateBreaker) breaker =
      derate_breaker_registry_get_or_create (registry, "b", config, NULL);

  derate_metrics_registry_add_collector (metrics, collector);
  for (guint i = 0; i < 3; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      /* The second is not measured. */
      g_assert_true (derate_breaker_reconfigure (breaker, i == 1 ? plain : config, NULL));
      g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 4 * G_TIME_SPAN_SECOND);
      derate_permit_succeed (&permit);
    }
  assert_series (metrics,
                 (const char *const[]){
                     "circuit_breaker_call_duration_seconds_bucket{name=\"b\",le=\"2.5\"} 0",
                     "circuit_breaker_call_duration_seconds_bucket{name=\"b\",le=\"5.0\"} 2",
                     "circuit_breaker_call_duration_seconds_sum{name=\"b\"} 8",
                     "circuit_breaker_calls_total{name=\"b\",outcome=\"success\"} 3",
                     "circuit_breaker_calls_total{name=\"b\",outcome=\"slow_success\"} 0",
                     "circuit_breaker_slow_call_rate{name=\"b\"} NaN", NULL });
}

/* Other settings change the breaker that the name has: its series go on. A breaker made anew, after
 * the name was given up, is what the scrape shows from then on, from zero, as after a restart. */
static void
test_replaced (void)
{
  g_autoptr (DerateBreakerRegistry) registry = derate_breaker_registry_new (NULL);
  g_autoptr (DerateMetricsCollector) collector = derate_breaker_collector_new (registry);
  g_autoptr (DerateMetricsRegistry) metrics = derate_metrics_registry_new ();
  g_autoptr (DerateBreakerConfig) other = breaker_config_from_words ("failure-threshold=1");
  g_autoptr (DerateBreaker) breaker = get (registry, "b");
  g_autoptr (DerateBreaker) again = NULL;

  derate_metrics_registry_add_collector (metrics, collector);
  finish_call (breaker, TRUE);
  finish_call (breaker, FALSE);
  g_assert_true (derate_breaker_reconfigure (breaker, other, NULL));
  finish_call (breaker, FALSE);
  assert_series (metrics, (const char *const[]){ "circuit_breaker_requests_total{name=\"b\"} 3",
                                                 "circuit_breaker_failures_total{name=\"b\"} 2",
                                                 "circuit_breaker_state{name=\"b\"} 1", NULL });

  derate_breaker_registry_remove (registry, "b");
  again = get (registry, "b");
  finish_call (again, TRUE);
  finish_call (breaker, TRUE); /* refused, and nobody's any more */
  assert_series (metrics,
                 (const char *const[]){ "circuit_breaker_requests_total{name=\"b\"} 1",
                                        "circuit_breaker_calls_blocked_total{name=\"b\"} 0",
                                        "circuit_breaker_state{name=\"b\"} 0", NULL });
}

/* What is evicted leaves the scrape. */
static void
test_evicted (void)
{
  g_autoptr (DerateBreakerRegistry) registry = derate_breaker_registry_new (NULL);
  g_autoptr (DerateMetricsCollector) collector = derate_breaker_collector_new (registry);
  g_autoptr (DerateMetricsRegistry) metrics = derate_metrics_registry_new ();
  g_autofree char *text = NULL;

  derate_metrics_registry_add_collector (metrics, collector);
  derate_breaker_registry_set_max_breakers (registry, 1);
  g_object_unref (get (registry, "gone"));
  g_object_unref (get (registry, "there"));
  text = derate_metrics_registry_render (metrics);
  g_assert_null (strstr (text, "name=\"gone\""));
  g_assert_nonnull (strstr (text, "name=\"there\""));
}

static const struct
{
  DerateBreakerMode mode;
  const char *line;
} modes[] = {
  { DERATE_BREAKER_MODE_FORCED_OPEN, "circuit_breaker_state{name=\"b\"} 1" },
  { DERATE_BREAKER_MODE_DISABLED, "circuit_breaker_state{name=\"b\"} 0" },
  { DERATE_BREAKER_MODE_METRICS_ONLY, "circuit_breaker_state{name=\"b\"} 0" },
};

static void
test_modes_are_no_states (void)
{
  g_autoptr (DerateBreakerRegistry) registry = derate_breaker_registry_new (NULL);
  g_autoptr (DerateMetricsCollector) collector = derate_breaker_collector_new (registry);
  g_autoptr (DerateMetricsRegistry) metrics = derate_metrics_registry_new ();
  g_autoptr (DerateBreaker) breaker = get (registry, "b");

  derate_metrics_registry_add_collector (metrics, collector);
  for (gsize i = 0; i < G_N_ELEMENTS (modes); i++)
    {
      g_autofree char *text = NULL;

      derate_breaker_set_mode (breaker, modes[i].mode);
      text = derate_metrics_registry_render (metrics);
      assert_line (text, modes[i].line);
    }
}

/* The very text of surfaces.md, but for the times. */
static void
test_json (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreakerRegistry) registry = derate_breaker_registry_new (clock);
  g_autoptr (DerateBreakerConfig) config =
      breaker_config_from_words ("failure-threshold=3 open-duration=30s window-size=20");
  g_autoptr (DerateBreaker) breaker =
      derate_breaker_registry_get_or_create (registry, "database", config, NULL);
  g_autoptr (GVariant) variant = NULL;
  g_autofree char *json = NULL;

  for (guint i = 0; i < 15; i++)
    finish_call (breaker, TRUE);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 1500 * G_TIME_SPAN_MILLISECOND);
  variant = g_variant_ref_sink (derate_breaker_registry_to_variant (registry));
  json = derate_json_from_variant (variant);
  g_assert_cmpstr (
      json, ==,
      "{\"database\":{\"name\":\"database\",\"state\":\"closed\",\"mode\":\"normal\","
      "\"failure_count\":0,\"success_count\":15,\"failure_rate\":null,\"slow_call_rate\":null,"
      "\"failure_threshold\":3,\"recovery_timeout\":30,\"total_requests\":15,\"calls\":15,"
      "\"successful_requests\":15,\"failed_requests\":0,\"calls_blocked\":0,"
      "\"consecutive_failures\":0,\"consecutive_successes\":15,\"circuit_open_count\":0,"
      "\"circuit_half_open_count\":0,\"last_failure_time\":null,"
      "\"last_success_time\":1763720000,\"last_state_change\":1763720000,"
      "\"time_in_current_state\":1.5,\"retry_after_seconds\":0}}");
}

static void
test_stats_copy (void)
{
  g_autoptr (DerateBreaker) breaker = derate_breaker_new ("b", NULL);
  g_autoptr (DerateBreakerStats) stats = derate_breaker_dup_stats (breaker);
  g_autoptr (DerateBreakerStats) copy = g_boxed_copy (DERATE_TYPE_BREAKER_STATS, stats);

  finish_call (breaker, TRUE);
  g_assert_cmpuint (stats->calls, ==, 0);
  g_assert_cmpstr (copy->name, ==, "b");
  g_assert_true (copy->name != stats->name);
}

/* Ten thousand breakers, before the first call: bench.md allows 640 bytes each. */
static void
test_bytes (void)
{
  enum
  {
    N = 10000
  };
  g_autoptr (GPtrArray) breakers = g_ptr_array_new_full (N + 1, g_object_unref);
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
  gsize before;
  gsize after;

  g_ptr_array_add (breakers, derate_breaker_new ("the first", config));
  before = mallinfo2 ().uordblks;
  for (guint i = 0; i < N; i++)
    g_ptr_array_add (breakers, derate_breaker_new ("a-breaker-of-many", config));
  after = mallinfo2 ().uordblks;
  g_test_message ("%" G_GSIZE_FORMAT " bytes each", (after - before) / N);
  /* A sanitizer's allocator says nothing here, and valgrind's that nothing was ever allocated. */
  if (!breaker_test_is_slow () && before > 0)
    {
      g_assert_cmpuint (after, >, before);
      g_assert_cmpuint ((after - before) / N, <=, 640);
    }
}

static void
on_changed (gpointer data)
{
  ++*(guint *)data;
}

static void
on_unwatched (gpointer data)
{
  *(guint *)data += 100;
}

/* Who watches hears of each way in and out, and of nothing else. */
static void
test_watch (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreakerRegistry) registry = derate_breaker_registry_new (clock);
  g_autoptr (DerateBreaker) own = derate_breaker_new_with_clock ("own", NULL, clock);
  guint heard = 0;
  guint watch = derate_breaker_registry_add_watch (registry, on_changed, &heard, on_unwatched);

  g_object_unref (get (registry, "a"));
  g_assert_cmpuint (heard, ==, 1);
  g_object_unref (get (registry, "a"));
  g_assert_cmpuint (heard, ==, 1);
  g_assert_true (derate_breaker_registry_add (registry, own, NULL));
  g_assert_cmpuint (heard, ==, 2);
  g_assert_true (derate_breaker_registry_add (registry, own, NULL));
  g_assert_cmpuint (heard, ==, 2);
  derate_breaker_registry_set_max_breakers (registry, 1);
  g_assert_cmpuint (heard, ==, 3);
  g_assert_false (derate_breaker_registry_remove (registry, "none"));
  g_assert_cmpuint (heard, ==, 3);
  g_assert_true (derate_breaker_registry_remove (registry, "own"));
  g_assert_cmpuint (heard, ==, 4);
  derate_breaker_registry_remove_watch (registry, watch);
  g_assert_cmpuint (heard, ==, 104);
  g_object_unref (get (registry, "a"));
  g_assert_cmpuint (heard, ==, 104);
}

int
main (int argc, char **argv)
{
  breaker_test_init (&argc, &argv);

  g_test_add_func ("/breaker/registry/disabled", test_disabled);
  g_test_add_func ("/breaker/registry/get-or-create", test_get_or_create);
  g_test_add_func ("/breaker/registry/add", test_add);
  g_test_add_func ("/breaker/registry/watch", test_watch);
  g_test_add_func ("/breaker/registry/reset-all", test_reset_all);
  g_test_add_func ("/breaker/trap/18-bound", test_bound);
  g_test_add_func ("/breaker/registry/bound-and-ramp", test_bound_and_ramp);
  g_test_add_func ("/breaker/trap/18-many-names", test_many_names);
  g_test_add_func ("/breaker/registry/bound-and-threads", test_bound_and_threads);
  g_test_add_func ("/breaker/registry/threads", test_one_of_many_threads);
  g_test_add_func ("/breaker/metrics", test_metrics);
  g_test_add_func ("/breaker/metrics/measured", test_measured);
  g_test_add_func ("/breaker/trap/18-evicted-leave-the-scrape", test_evicted);
  g_test_add_func ("/breaker/trap/19-replaced", test_replaced);
  g_test_add_func ("/breaker/metrics/modes", test_modes_are_no_states);
  g_test_add_func ("/breaker/json", test_json);
  g_test_add_func ("/breaker/stats/copy", test_stats_copy);
  g_test_add_func ("/breaker/trap/14-bytes", test_bytes);
  return g_test_run ();
}
