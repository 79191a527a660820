/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "manager-fixture.h"

#define HEALTHY DERATE_HEALTH_STATUS_HEALTHY
#define DEGRADED DERATE_HEALTH_STATUS_DEGRADED
#define DOWN DERATE_HEALTH_STATUS_DOWN

static void
test_first_level (Fixture *f, gconstpointer unused)
{
  fixture_set_status (f, REDIS, DOWN);
  fixture_advance (f, 31);
  fixture_assert_level (f, "unknown");
  fixture_assert_told (f, "");
  g_assert_false (derate_degradation_manager_is_ready (f->manager));
  g_assert_cmpint (derate_degradation_manager_get_enforced_level (f->manager), ==,
                   DERATE_LEVEL_OPTIMAL);

  derate_degradation_manager_first_sweep_done (f->manager);
  fixture_assert_level (f, "degraded");
  fixture_assert_rule (f, "dependency-down");
  fixture_assert_told (f, "0>2:dependency-down ");
  g_assert_true (derate_degradation_manager_is_ready (f->manager));
}

static void
test_worsens_at_once_improves_at_tick (Fixture *f, gconstpointer unused)
{
  fixture_begin (f);
  fixture_advance (f, 10);
  fixture_set_status (f, DATABASE, DOWN);
  fixture_assert_level (f, "minimal");
  fixture_set_status (f, DATABASE, HEALTHY);
  fixture_assert_level (f, "minimal");
  fixture_assert_rule (f, "database-limited");
  g_assert_cmpint (derate_degradation_manager_get_computed_level (f->manager), ==,
                   DERATE_LEVEL_OPTIMAL);
  fixture_advance (f, 20); /* the tick at 30 s comes 20 s after the worsening */
  fixture_assert_level (f, "minimal");
  fixture_advance (f, 29);
  fixture_assert_level (f, "minimal");
  fixture_advance (f, 1);
  fixture_assert_level (f, "optimal");
  fixture_assert_rule (f, "all-well");
  fixture_assert_told (f, "1>4:database-limited 4>1:all-well ");
}

/* A tick reads the services itself: an event that got lost costs one interval. */
static void
test_tick_reads (Fixture *f, gconstpointer unused)
{
  fixture_begin (f);
  fixture_set_status_silently (f, OPENAI, DOWN);
  fixture_advance (f, 29);
  fixture_assert_level (f, "optimal");
  fixture_advance (f, 1);
  fixture_assert_level (f, "degraded");
}

/* A part heals: at the tick the level is what is left, not the best. */
static void
test_partial_recovery (Fixture *f, gconstpointer unused)
{
  fixture_begin (f);
  fixture_set_status (f, DATABASE, DOWN);
  fixture_set_status (f, REDIS, DOWN);
  fixture_assert_level (f, "emergency");
  fixture_advance (f, 1);
  fixture_set_status (f, DATABASE, HEALTHY);
  fixture_advance (f, 29);
  fixture_assert_level (f, "degraded");
  fixture_assert_rule (f, "dependency-down");
  fixture_assert_told (f, "1>4:database-limited 4>5:reads-impossible 5>2:dependency-down ");
}

static void
test_stepwise (Fixture *f, gconstpointer unused)
{
  derate_degradation_manager_set_recovery (f->manager, DERATE_RECOVERY_MODE_STEPWISE,
                                           30 * G_TIME_SPAN_SECOND, 30 * G_TIME_SPAN_SECOND, TRUE);
  fixture_begin (f);
  fixture_set_status (f, DATABASE, DOWN);
  fixture_set_status (f, REDIS, DOWN);
  fixture_set_status (f, DATABASE, HEALTHY);
  fixture_set_status (f, REDIS, HEALTHY);
  fixture_advance (f, 30);
  fixture_assert_level (f, "minimal");
  fixture_advance (f, 30);
  fixture_assert_level (f, "limited");
  fixture_assert_rule (f, "reads-impossible"); /* why it is not better yet */
  fixture_advance (f, 10);
  fixture_set_status (f, DATABASE, DOWN); /* a worsening during the climb */
  fixture_assert_level (f, "minimal");
  fixture_assert_rule (f, "database-limited");
  fixture_set_status (f, DATABASE, HEALTHY);
  fixture_advance (f, 50); /* the hold is 60 s now: it came soon after an improvement */
  fixture_assert_level (f, "minimal");
  fixture_advance (f, 30);
  fixture_assert_level (f, "limited");
  fixture_advance (f, 60);
  fixture_assert_level (f, "optimal");
  fixture_assert_rule (f, "all-well");
  fixture_assert_told (f, "1>4:database-limited 4>5:reads-impossible 5>4:reads-impossible "
                          "4>3:reads-impossible 3>4:database-limited 4>3:database-limited "
                          "3>2:database-limited 2>1:all-well ");
}

static void
test_flapping (Fixture *f, gconstpointer unused)
{
  guint n_notified = 0;

  fixture_begin (f);
  g_signal_connect_swapped (f->manager, "notify::flapping", G_CALLBACK (g_atomic_int_inc),
                            &n_notified);
  fixture_set_status (f, REDIS, DOWN);
  fixture_set_status (f, REDIS, HEALTHY);
  fixture_advance (f, 30);
  fixture_assert_level (f, "optimal");
  g_assert_false (derate_degradation_manager_get_flapping (f->manager));

  fixture_set_status (f, REDIS, DOWN);
  g_assert_true (derate_degradation_manager_get_flapping (f->manager));
  fixture_set_status (f, REDIS, HEALTHY);
  fixture_advance (f, 30);
  fixture_assert_level (f, "degraded");
  fixture_advance (f, 30);
  fixture_assert_level (f, "optimal");
  fixture_advance (f, 15 * 60 - 30);
  g_assert_true (derate_degradation_manager_get_flapping (f->manager));
  fixture_advance (f, 30);
  g_assert_false (derate_degradation_manager_get_flapping (f->manager));
  g_assert_cmpuint (n_notified, ==, 2);
}

static void
test_damping_off (Fixture *f, gconstpointer unused)
{
  derate_degradation_manager_set_recovery (f->manager, DERATE_RECOVERY_MODE_DIRECT,
                                           2 * G_TIME_SPAN_SECOND, 2 * G_TIME_SPAN_SECOND, FALSE);
  fixture_begin (f);
  for (guint i = 0; i < 5; i++)
    {
      fixture_set_status (f, REDIS, DOWN);
      fixture_set_status (f, REDIS, HEALTHY);
      fixture_advance (f, 2);
      fixture_assert_level (f, "optimal");
    }
  g_assert_false (derate_degradation_manager_get_flapping (f->manager));
}

static void
test_next_tick (Fixture *f, gconstpointer unused)
{
  fixture_begin (f);
  fixture_advance (f, 12);
  g_assert_cmpint (derate_degradation_manager_get_next_tick (f->manager), ==,
                   18 * G_TIME_SPAN_SECOND);
  fixture_advance (f, 18);
  g_assert_cmpint (derate_degradation_manager_get_next_tick (f->manager), ==,
                   30 * G_TIME_SPAN_SECOND);
  /* Whatever happens, the schedule stays. */
  fixture_set_status (f, REDIS, DOWN);
  fixture_set_status (f, REDIS, HEALTHY);
  fixture_advance (f, 605);
  fixture_assert_level (f, "optimal");
  g_assert_cmpint (derate_degradation_manager_get_next_tick (f->manager), ==,
                   25 * G_TIME_SPAN_SECOND);
}

static void
test_stopped (Fixture *f, gconstpointer unused)
{
  fixture_begin (f);
  fixture_set_status (f, REDIS, DOWN);
  fixture_set_status (f, REDIS, HEALTHY);
  derate_degradation_manager_stop (f->manager);
  fixture_advance (f, 300);
  fixture_assert_level (f, "degraded");
  derate_degradation_manager_start (f->manager, f->context);
  fixture_advance (f, 30);
  fixture_assert_level (f, "optimal");
}

/* set_level (): at once in both directions, until the next tick. */
static void
test_set_level (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;

  fixture_begin (f);
  g_assert_true (derate_degradation_manager_set_level (f->manager, DERATE_LEVEL_MINIMAL, &error));
  fixture_assert_level (f, "minimal");
  fixture_assert_rule (f, "set-level");
  fixture_advance (f, 29);
  fixture_assert_level (f, "minimal");
  fixture_advance (f, 1);
  fixture_assert_level (f, "optimal");

  fixture_set_status (f, DATABASE, DOWN);
  derate_degradation_manager_set_level (f->manager, DERATE_LEVEL_OPTIMAL, NULL);
  fixture_assert_level (f, "optimal");
  fixture_advance (f, 30);
  fixture_assert_level (f, "minimal");
  fixture_assert_rule (f, "database-limited");

  g_assert_false (derate_degradation_manager_set_level (f->manager, 17, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_UNKNOWN_LEVEL);
  /* Nor does it count as flapping. */
  g_assert_false (derate_degradation_manager_get_flapping (f->manager));
}

typedef struct
{
  Fixture *fixture;
  guint n;
} Reentry;

/* Calls back into the manager from the signal, in the middle of what others still have to hear. */
static void
on_level_reenter (DerateDegradationManager *manager,
                  DerateLevel old_level,
                  DerateLevel new_level,
                  const char *rule,
                  Reentry *reentry)
{
  g_autoptr (GVariant) status = derate_degradation_manager_to_variant (manager, TRUE);

  g_assert_nonnull (status);
  if (reentry->n++ == 0)
    {
      fixture_set_status (reentry->fixture, DATABASE, DOWN);
      g_assert_cmpint (derate_degradation_manager_get_level (manager), ==, DERATE_LEVEL_EMERGENCY);
    }
}

static void
test_reentry_from_signal (Fixture *f, gconstpointer unused)
{
  Reentry reentry = { f, 0 };

  fixture_begin (f);
  g_signal_connect (f->manager, "level-changed", G_CALLBACK (on_level_reenter), &reentry);
  fixture_set_status (f, REDIS, DOWN);
  fixture_assert_told (f, "1>2:dependency-down 2>5:reads-impossible ");
  g_assert_cmpuint (reentry.n, ==, 2);
}

static void
listen_and_reenter (DerateDegradationManager *manager,
                    const DerateDegradationEvent *event,
                    gpointer data)
{
  Reentry *reentry = data;

  if (event->type != DERATE_DEGRADATION_EVENT_LEVEL)
    return;
  g_string_append_printf (reentry->fixture->told, "[%u ",
                          derate_level_get_number (event->new_level));
  if (reentry->n++ == 0)
    {
      g_autofree char *id = derate_degradation_manager_hold (manager, DERATE_LEVEL_EMERGENCY,
                                                             DERATE_HOLD_MODE_AT_LEAST, "test",
                                                             "re-entry", G_TIME_SPAN_MINUTE, NULL);

      g_assert_cmpint (derate_degradation_manager_get_level (manager), ==, DERATE_LEVEL_EMERGENCY);
      g_assert_true (derate_degradation_manager_release (manager, id, NULL));
    }
  g_string_append (reentry->fixture->told, "] ");
}

/* A listener hears of what it caused itself after it has returned, in order. */
static void
test_reentry_from_listener (Fixture *f, gconstpointer unused)
{
  Reentry reentry = { f, 0 };
  guint id;

  fixture_begin (f);
  id = derate_degradation_manager_add_listener (f->manager, listen_and_reenter, &reentry, NULL);
  fixture_set_status (f, REDIS, DOWN);
  g_assert_cmpstr (f->told->str, ==, "[2 ] [5 ] ");
  derate_degradation_manager_remove_listener (f->manager, id);
  fixture_set_status (f, DATABASE, DOWN);
  fixture_assert_told (f, "[2 ] [5 ] 1>2:dependency-down 2>5:hold ");
}

static gpointer
fail_in_thread (gpointer data)
{
  Fixture *f = data;

  fixture_set_status (f, DATABASE, DOWN);
  /* Before this call has returned the level is there, although no main loop has run. */
  return GINT_TO_POINTER (derate_degradation_manager_get_level (f->manager));
}

static void
test_visible_at_once (Fixture *f, gconstpointer unused)
{
  GThread *thread;

  fixture_begin (f);
  thread = g_thread_new ("caller", fail_in_thread, f);
  g_assert_cmpint (GPOINTER_TO_INT (g_thread_join (thread)), ==, DERATE_LEVEL_MINIMAL);
  fixture_assert_level (f, "minimal");
  g_assert_cmpstr (f->told->str, ==, ""); /* signals wait for the owner's context */
  fixture_assert_told (f, "1>4:database-limited ");
}

#define N_THREADS 4
#define N_ROUNDS 100

typedef struct
{
  Fixture *fixture;
  guint service;
} Hammer;

static gpointer
hammer (gpointer data)
{
  Hammer *self = data;

  for (guint i = 0; i < N_ROUNDS; i++)
    {
      fixture_set_status (self->fixture, self->service, i % 2 == 0 ? DOWN : HEALTHY);
      derate_degradation_manager_set_level (self->fixture->manager,
                                            (i + self->service) % 2 == 0 ? DERATE_LEVEL_LIMITED
                                                                         : DERATE_LEVEL_OPTIMAL,
                                            NULL);
    }
  fixture_set_status (self->fixture, self->service, DOWN);
  return NULL;
}

static void
check_chain (DerateDegradationManager *manager, const DerateDegradationEvent *event, gpointer data)
{
  DerateLevel *last = data;

  if (event->type != DERATE_DEGRADATION_EVENT_LEVEL)
    return;
  g_assert_cmpint (event->old_level, ==, *last);
  *last = event->new_level;
}

/* Many threads at once: nothing is lost, and everybody hears one unbroken chain. */
static void
test_threads (Fixture *f, gconstpointer unused)
{
  GThread *threads[N_THREADS];
  Hammer hammers[N_THREADS];
  DerateLevel last = DERATE_LEVEL_OPTIMAL;

  fixture_begin (f);
  derate_degradation_manager_add_listener (f->manager, check_chain, &last, NULL);
  for (guint i = 0; i < N_THREADS; i++)
    {
      hammers[i] = (Hammer){ f, i };
      threads[i] = g_thread_new ("hammer", hammer, &hammers[i]);
    }
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  g_assert_cmpint (last, ==, derate_degradation_manager_get_level (f->manager));
  g_assert_cmpint (derate_degradation_manager_get_computed_level (f->manager), ==,
                   DERATE_LEVEL_EMERGENCY);
  fixture_advance (f, 30); /* the end of set_level () */
  fixture_assert_level (f, "emergency");
  g_assert_cmpint (last, ==, DERATE_LEVEL_EMERGENCY);
}

static void
test_new_rules (Fixture *f, gconstpointer unused)
{
  g_autoptr (DerateRuleSet) defaults = fixture_make_rules ();
  g_autoptr (GPtrArray) own = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_unref);
  g_autoptr (GPtrArray) features =
      g_ptr_array_new_with_free_func ((GDestroyNotify)derate_feature_unref);
  g_autoptr (DerateRuleSet) rules = NULL;
  g_autoptr (GError) error = NULL;

  fixture_begin (f);
  fixture_set_status (f, S3, DEGRADED);
  fixture_assert_level (f, "optimal");

  /* A feature that needs what is not there: refused, and the old goes on. */
  g_ptr_array_add (features, derate_feature_parse ("search", "elastic", "limited", NULL));
  g_ptr_array_add (own, derate_rule_parse ("files-slow", "s3>=degraded", "limited", NULL));
  rules = derate_rule_set_new (derate_rule_set_get_inputs (defaults), own,
                               DERATE_RULE_SET_MODE_EXTEND, NULL);
  g_assert_false (derate_degradation_manager_set_inputs (f->manager, rules, f->services,
                                                         fixture_read, features, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  fixture_assert_level (f, "optimal");
  g_assert_null (derate_degradation_manager_get_gate (f->manager, "search"));

  g_clear_error (&error);
  g_assert_true (derate_degradation_manager_set_inputs (f->manager, rules, f->services,
                                                        fixture_read, NULL, &error));
  fixture_assert_level (f, "limited");
  fixture_assert_rule (f, "files-slow");
}

static void
test_gates (Fixture *f, gconstpointer unused)
{
  g_autoptr (DerateGate) ai = derate_degradation_manager_get_gate (f->manager, "ai");
  g_autoptr (DerateGate) cache = derate_degradation_manager_get_gate (f->manager, "cache");
  g_autoptr (DerateGate) writes = derate_degradation_manager_get_gate (f->manager, "writes");

  g_assert_null (derate_degradation_manager_get_gate (f->manager, "none"));
  fixture_set_status (f, OPENAI, DOWN);
  g_assert_true (derate_gate_is_open (ai)); /* before the first level nothing is refused */
  fixture_set_status (f, OPENAI, HEALTHY);
  fixture_begin (f);

  /* OpenAI alone down: AI is off, the cache is not. */
  fixture_set_status (f, OPENAI, DOWN);
  fixture_assert_level (f, "degraded");
  g_assert_false (derate_gate_is_open (ai));
  g_assert_true (derate_gate_is_open (cache));
  g_assert_true (derate_gate_is_open (writes));
  /* While the level waits, a dependency that is back is used if the level allows it. */
  fixture_set_status (f, OPENAI, HEALTHY);
  fixture_assert_level (f, "degraded");
  g_assert_true (derate_gate_is_open (ai));
  fixture_set_status (f, DATABASE, DEGRADED);
  g_assert_false (derate_gate_is_open (writes));
  g_assert_false (derate_gate_is_open (ai));
}

static void
test_not_enforced (Fixture *f, gconstpointer unused)
{
  g_autoptr (DerateGate) ai = derate_degradation_manager_get_gate (f->manager, "ai");

  fixture_begin (f);
  derate_degradation_manager_set_enforced (f->manager, FALSE);
  fixture_set_status (f, OPENAI, DOWN);
  fixture_set_status (f, DATABASE, DOWN);
  fixture_assert_level (f, "minimal");
  g_assert_cmpint (derate_degradation_manager_get_enforced_level (f->manager), ==,
                   DERATE_LEVEL_OPTIMAL);
  g_assert_true (derate_gate_is_open (ai));
  g_assert_cmpint (derate_gate_get_mode (ai, NULL), ==, DERATE_GATE_MODE_OFF);

  derate_degradation_manager_set_enforced (f->manager, TRUE);
  g_assert_cmpint (derate_degradation_manager_get_enforced_level (f->manager), ==,
                   DERATE_LEVEL_MINIMAL);
  g_assert_false (derate_gate_is_open (ai));
}

static void
test_status (Fixture *f, gconstpointer unused)
{
  g_autoptr (GVariant) status = NULL;
  g_autoptr (GVariant) before = derate_degradation_manager_to_variant (f->manager, TRUE);
  g_autofree char *json = NULL;
  g_autofree char *json_before = derate_json_from_variant (before);

  g_assert_true (
      g_str_has_prefix (json_before,
                        "{\"level\":\"unknown\",\"level_value\":0,\"functionality_percent\":0,"
                        "\"text\":\"starting\",\"computed_level\":\"unknown\",\"rule\":null,"
                        "\"since\":null,\"inputs\":{},"));
  fixture_begin (f);
  fixture_advance (f, 10);
  fixture_set_status (f, OPENAI, DOWN);
  fixture_set_status (f, REDIS, DOWN);
  fixture_advance (f, 2);
  status = derate_degradation_manager_to_variant (f->manager, TRUE);
  json = derate_json_from_variant (status);
  g_assert_cmpstr (
      json, ==,
      "{\"level\":\"limited\",\"level_value\":3,\"functionality_percent\":60,\"text\":\"no AI\","
      "\"computed_level\":\"limited\",\"rule\":\"ai-and-cache\",\"since\":1763720010,"
      "\"inputs\":{\"openai\":\"down\",\"redis\":\"down\"},\"flapping\":false,"
      "\"local_suspect\":false,\"next_tick_seconds\":18,"
      "\"features\":{\"ai\":{\"mode\":\"off\",\"because\":\"level\"},"
      "\"cache\":{\"mode\":\"off\",\"because\":\"dependency\"},"
      "\"uploads\":{\"mode\":\"queued\",\"because\":\"level\"},"
      "\"writes\":{\"mode\":\"on\",\"because\":null},\"reads\":{\"mode\":\"on\",\"because\":null},"
      "\"status\":{\"mode\":\"on\",\"because\":null}},\"drills\":[],\"services\":{},\"holds\":[],"
      "\"history\":[{\"time\":1763720010,\"from\":\"optimal\",\"to\":\"degraded\","
      "\"rule\":\"dependency-down\"},{\"time\":1763720010,\"from\":\"degraded\",\"to\":\"limited\","
      "\"rule\":\"ai-and-cache\"}]}");
}

static void
test_explanation (Fixture *f, gconstpointer unused)
{
  g_autofree char *bad = NULL;
  g_autofree char *waiting = NULL;

  fixture_begin (f);
  fixture_set_status (f, OPENAI, DOWN);
  bad = derate_degradation_manager_dup_explanation (f->manager);
  g_assert_cmpstr (bad, ==,
                   "degraded: complete, but slower or simpler; rule dependency-down, openai down");
  fixture_set_status (f, OPENAI, HEALTHY);
  waiting = derate_degradation_manager_dup_explanation (f->manager);
  g_assert_cmpstr (waiting, ==,
                   "degraded: complete, but slower or simpler; rule dependency-down, openai down; "
                   "computed optimal by all-well, recovery tick in 30 s");
}

static void
test_explanation_of_a_hold (Fixture *f, gconstpointer unused)
{
  g_autofree char *id = NULL;
  g_autofree char *held = NULL;
  g_autofree char *ended = NULL;
  g_autofree char *expected = NULL;

  fixture_begin (f);
  id = derate_degradation_manager_hold (f->manager, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST,
                                        "ana", "disks", G_TIME_SPAN_MINUTE, NULL);
  held = derate_degradation_manager_dup_explanation (f->manager);
  expected = g_strdup_printf ("minimal: read only; held by %s; computed optimal by all-well", id);
  g_assert_cmpstr (held, ==, expected);

  /* A better level waits for the recovery loop; nobody is to look for a hold that is gone. */
  g_assert_true (derate_degradation_manager_release (f->manager, id, NULL));
  ended = derate_degradation_manager_dup_explanation (f->manager);
  g_clear_pointer (&expected, g_free);
  expected =
      g_strdup_printf ("minimal: read only; held by %s, which has ended; computed optimal by "
                       "all-well, recovery tick in 30 s",
                       id);
  g_assert_cmpstr (ended, ==, expected);
}

static void
test_history_is_bounded (Fixture *f, gconstpointer unused)
{
  g_autoptr (GVariant) all = NULL;
  g_autoptr (GVariant) some = NULL;
  g_autoptr (GVariant) last = NULL;
  const char *to = NULL;

  fixture_begin (f);
  for (guint i = 0; i < 130; i++)
    derate_degradation_manager_set_level (f->manager,
                                          i % 2 == 0 ? DERATE_LEVEL_LIMITED
                                                     : DERATE_LEVEL_EMERGENCY,
                                          NULL);
  all = derate_degradation_manager_dup_history (f->manager, 0);
  some = derate_degradation_manager_dup_history (f->manager, 3);
  g_assert_cmpuint (g_variant_n_children (all), ==, 100);
  g_assert_cmpuint (g_variant_n_children (some), ==, 3);
  last = g_variant_get_child_value (some, 2);
  g_assert_true (g_variant_lookup (last, "to", "&s", &to));
  g_assert_cmpstr (to, ==, "emergency");
}

#define ADD(name, func) \
  g_test_add ("/degradation/manager/" name, Fixture, NULL, fixture_set_up, func, fixture_tear_down)

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  /* A level that worsens is a warning in the log. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  ADD ("first-level", test_first_level);
  ADD ("worsens-at-once-improves-at-tick", test_worsens_at_once_improves_at_tick);
  ADD ("tick-reads", test_tick_reads);
  ADD ("partial-recovery", test_partial_recovery);
  ADD ("stepwise", test_stepwise);
  ADD ("flapping", test_flapping);
  ADD ("damping-off", test_damping_off);
  ADD ("next-tick", test_next_tick);
  ADD ("stopped", test_stopped);
  ADD ("set-level", test_set_level);
  ADD ("reentry-from-signal", test_reentry_from_signal);
  ADD ("reentry-from-listener", test_reentry_from_listener);
  ADD ("visible-at-once", test_visible_at_once);
  ADD ("threads", test_threads);
  ADD ("new-rules", test_new_rules);
  ADD ("gates", test_gates);
  ADD ("not-enforced", test_not_enforced);
  ADD ("status", test_status);
  g_test_add ("/degradation/ahead/02-explanation", Fixture, NULL, fixture_set_up, test_explanation,
              fixture_tear_down);
  ADD ("explanation-of-a-hold", test_explanation_of_a_hold);
  ADD ("history-is-bounded", test_history_is_bounded);
  return g_test_run ();
}
