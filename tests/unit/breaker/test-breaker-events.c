/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "breaker-script.h"

#include <math.h>

#include "derate-breaker-private.h"

/* Who hears of a transition, when, in which order, and what the log says. */

static GPtrArray *logged; /* of the values of EVENT, in their order */
static GPtrArray *levels;

static GLogWriterOutput
keep_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data)
{
  for (gsize i = 0; i < n_fields; i++)
    if (g_str_equal (fields[i].key, "EVENT"))
      {
        g_ptr_array_add (logged, g_strdup (fields[i].value));
        g_ptr_array_add (levels, GINT_TO_POINTER (level & G_LOG_LEVEL_MASK));
      }
  return G_LOG_WRITER_HANDLED;
}

static char *
take_log (void)
{
  char *text;

  g_ptr_array_add (logged, NULL);
  text = g_strjoinv (" ", (char **)logged->pdata);
  g_ptr_array_set_size (logged, 0);
  g_ptr_array_set_size (levels, 0);
  return text;
}

typedef struct
{
  DerateClock *clock;
  DerateBreaker *breaker;
  GString *heard;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer words)
{
  g_autoptr (DerateBreakerConfig) config = breaker_config_from_words (words);

  fixture->clock = derate_manual_clock_new ();
  fixture->breaker = derate_breaker_new_with_clock ("b", config, fixture->clock);
  fixture->heard = g_string_new (NULL);
}

static void
tear_down (Fixture *fixture, gconstpointer words)
{
  g_autofree char *rest = take_log ();

  g_clear_object (&fixture->breaker);
  g_clear_object (&fixture->clock);
  g_string_free (fixture->heard, TRUE);
}

static void
advance (Fixture *fixture, GTimeSpan span)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (fixture->clock), span);
}

static void
finish_call (Fixture *fixture, gboolean good)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

  if (!derate_breaker_acquire (fixture->breaker, &permit, NULL))
    return;
  if (good)
    derate_permit_succeed (&permit);
  else
    derate_permit_fail (&permit, NULL);
}

static void
assert_heard (Fixture *fixture, const char *expected)
{
  g_assert_cmpstr (fixture->heard->str, ==, expected);
  g_string_truncate (fixture->heard, 0);
}

static void
hear (GString *heard, const char *who, DerateBreakerState old_state, DerateBreakerState new_state)
{
  g_string_append_printf (heard, "%s%s:%s>%s", heard->len > 0 ? " " : "", who,
                          derate_breaker_state_to_nick (old_state),
                          derate_breaker_state_to_nick (new_state));
}

static void
on_transition (DerateBreaker *breaker,
               DerateBreakerState old_state,
               DerateBreakerState new_state,
               const DerateBreakerCounters *counters,
               gpointer user_data)
{
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, new_state);
  hear (user_data, "listener", old_state, new_state);
}

static void
on_hook (DerateBreaker *breaker,
         DerateBreakerState old_state,
         DerateBreakerState new_state,
         gpointer owner)
{
  hear (g_object_get_data (owner, "heard"), "hook", old_state, new_state);
}

static void
on_signal (DerateBreaker *breaker, DerateBreakerState old_state, gpointer user_data)
{
  hear (user_data, "signal", old_state, DERATE_BREAKER_STATE_UNKNOWN);
}

/* Hook, then listener, before the call returns; then, in the owner's context, the signal. */
static void
test_order (Fixture *fixture, gconstpointer words)
{
  g_autoptr (GObject) service = g_object_new (G_TYPE_OBJECT, NULL);

  g_object_set_data (service, "heard", fixture->heard);
  g_signal_connect (fixture->breaker, "opened", G_CALLBACK (on_signal), fixture->heard);
  g_signal_connect (fixture->breaker, "half-opened", G_CALLBACK (on_signal), fixture->heard);
  g_signal_connect (fixture->breaker, "closed", G_CALLBACK (on_signal), fixture->heard);
  derate_breaker_add_listener (fixture->breaker, on_transition, fixture->heard, NULL);
  derate_breaker_bind (fixture->breaker, on_hook, service);

  finish_call (fixture, FALSE);
  assert_heard (fixture, "hook:closed>open listener:closed>open");
  while (g_main_context_iteration (NULL, FALSE))
    ;
  assert_heard (fixture, "signal:closed>unknown");

  derate_breaker_close (fixture->breaker);
  derate_breaker_trip (fixture->breaker, NULL);
  assert_heard (fixture, "hook:open>closed listener:open>closed "
                         "hook:closed>open listener:closed>open");
  while (g_main_context_iteration (NULL, FALSE))
    ;
  assert_heard (fixture, "signal:open>unknown signal:closed>unknown");

  advance (fixture, G_TIME_SPAN_SECOND);
  finish_call (fixture, TRUE);
  assert_heard (fixture, "hook:open>half-open listener:open>half-open "
                         "hook:half-open>closed listener:half-open>closed");
  while (g_main_context_iteration (NULL, FALSE))
    ;
  assert_heard (fixture, "signal:open>unknown signal:half-open>unknown");
}

/* Several services share a breaker; one that is gone, or unbound, is not called. */
static void
test_hooks (Fixture *fixture, gconstpointer words)
{
  g_autoptr (GObject) first = g_object_new (G_TYPE_OBJECT, NULL);
  g_autoptr (GObject) second = g_object_new (G_TYPE_OBJECT, NULL);
  GObject *third = g_object_new (G_TYPE_OBJECT, NULL);

  g_object_set_data (first, "heard", fixture->heard);
  g_object_set_data (second, "heard", fixture->heard);
  derate_breaker_bind (fixture->breaker, on_hook, first);
  derate_breaker_bind (fixture->breaker, on_hook, second);
  derate_breaker_bind (fixture->breaker, on_hook, third);
  g_object_unref (third);

  derate_breaker_trip (fixture->breaker, NULL);
  assert_heard (fixture, "hook:closed>open hook:closed>open");
  derate_breaker_unbind (fixture->breaker, on_hook, first);
  derate_breaker_close (fixture->breaker);
  assert_heard (fixture, "hook:open>closed");
}

/* No transition, no event: what changes nothing is not heard of. */
static void
test_silence (Fixture *fixture, gconstpointer words)
{
  derate_breaker_add_listener (fixture->breaker, on_transition, fixture->heard, NULL);
  finish_call (fixture, TRUE);
  derate_breaker_close (fixture->breaker);
  derate_breaker_reset (fixture->breaker);
  derate_breaker_poll (fixture->breaker);
  assert_heard (fixture, "");
  derate_breaker_trip (fixture->breaker, NULL);
  derate_breaker_trip (fixture->breaker, NULL);
  assert_heard (fixture, "listener:closed>open");
}

static DerateBreakerCounters last_counters;

static void
keep_counters (DerateBreaker *breaker,
               DerateBreakerState old_state,
               DerateBreakerState new_state,
               const DerateBreakerCounters *counters,
               gpointer user_data)
{
  last_counters = *counters;
}

/* A listener is told what was counted in the state that ended. */
static void
test_counters (Fixture *fixture, gconstpointer words)
{
  derate_breaker_add_listener (fixture->breaker, keep_counters, NULL, NULL);
  finish_call (fixture, FALSE);
  finish_call (fixture, FALSE);
  finish_call (fixture, FALSE);
  finish_call (fixture, TRUE);
  advance (fixture, 2 * G_TIME_SPAN_SECOND);
  finish_call (fixture, TRUE);
  g_assert_cmpint (derate_breaker_get_state (fixture->breaker), ==, DERATE_BREAKER_STATE_OPEN);
  g_assert_cmpint (last_counters.duration, ==, 2 * G_TIME_SPAN_SECOND);
  g_assert_cmpuint (last_counters.calls, ==, 5);
  g_assert_cmpuint (last_counters.failures, ==, 3);
  g_assert_cmpuint (last_counters.successes, ==, 2);
  g_assert_cmpuint (last_counters.blocked, ==, 0);
  g_assert_cmpfloat_with_epsilon (last_counters.failure_rate, 0.6, 1e-9);

  finish_call (fixture, TRUE);
  finish_call (fixture, TRUE);
  advance (fixture, 60 * G_TIME_SPAN_SECOND);
  finish_call (fixture, TRUE);
  g_assert_cmpuint (last_counters.blocked, ==, 2);
  g_assert_cmpuint (last_counters.calls, ==, 0);
  finish_call (fixture, TRUE);
  g_assert_cmpint (derate_breaker_get_state (fixture->breaker), ==, DERATE_BREAKER_STATE_CLOSED);
  g_assert_cmpuint (last_counters.calls, ==, 2);
  g_assert_cmpuint (last_counters.successes, ==, 2);
}

static void
meddle (DerateBreaker *breaker,
        DerateBreakerState old_state,
        DerateBreakerState new_state,
        const DerateBreakerCounters *counters,
        gpointer user_data)
{
  g_autoptr (DerateBreakerStats) stats = derate_breaker_dup_stats (breaker);
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
  guint *calls = user_data;

  derate_breaker_acquire (breaker, &permit, NULL);
  derate_breaker_get_retry_after (breaker);
  if (++*calls == 1)
    derate_breaker_close (breaker);
  else if (*calls == 2)
    derate_breaker_set_mode (breaker, DERATE_BREAKER_MODE_FORCED_OPEN);
  else if (*calls == 3)
    derate_breaker_reset (breaker);
}

/* A listener may do anything to the breaker; all hear of it in order. */
static void
test_reentry (Fixture *fixture, gconstpointer words)
{
  guint calls = 0;

  derate_breaker_add_listener (fixture->breaker, meddle, &calls, NULL);
  derate_breaker_add_listener (fixture->breaker, on_transition, fixture->heard, NULL);
  derate_breaker_remove_listener (fixture->breaker, 2);
  derate_breaker_add_listener (fixture->breaker, meddle, &calls, NULL);
  finish_call (fixture, FALSE);
  g_assert_cmpint (derate_breaker_get_state (fixture->breaker), ==, DERATE_BREAKER_STATE_CLOSED);
  g_assert_cmpuint (calls, ==, 8);
}

typedef struct
{
  DerateBreaker *breaker;
  guint id;
  guint calls;
  gboolean freed;
} Leaver;

static void
leave (DerateBreaker *breaker,
       DerateBreakerState old_state,
       DerateBreakerState new_state,
       const DerateBreakerCounters *counters,
       gpointer user_data)
{
  Leaver *leaver = user_data;

  leaver->calls++;
  derate_breaker_remove_listener (breaker, leaver->id);
  g_assert_false (leaver->freed);
}

static void
mark_freed (gpointer user_data)
{
  ((Leaver *)user_data)->freed = TRUE;
}

/* A listener that removes itself is freed after its call, and not called again. */
static void
test_removal (Fixture *fixture, gconstpointer words)
{
  Leaver leaver = { .breaker = fixture->breaker };
  Leaver other = { .breaker = fixture->breaker };

  leaver.id = derate_breaker_add_listener (fixture->breaker, leave, &leaver, mark_freed);
  derate_breaker_trip (fixture->breaker, NULL);
  g_assert_true (leaver.freed);
  derate_breaker_close (fixture->breaker);
  g_assert_cmpuint (leaver.calls, ==, 1);

  derate_breaker_add_listener (fixture->breaker, leave, &other, mark_freed);
  g_clear_object (&fixture->breaker);
  g_assert_true (other.freed);
  g_assert_cmpuint (other.calls, ==, 0);
}

/* Signals wait for the owner's context, from whichever thread the transition comes. */
static gpointer
trip_in_thread (gpointer data)
{
  derate_breaker_trip (data, NULL);
  return NULL;
}

static void
check_thread (DerateBreaker *breaker, DerateBreakerState old_state, gpointer user_data)
{
  g_assert_true (g_thread_self () == user_data);
  g_object_set_data (G_OBJECT (breaker), "signalled", breaker);
}

static void
test_owner_context (Fixture *fixture, gconstpointer words)
{
  g_signal_connect (fixture->breaker, "opened", G_CALLBACK (check_thread), g_thread_self ());
  g_thread_join (g_thread_new ("trip", trip_in_thread, fixture->breaker));
  g_assert_null (g_object_get_data (G_OBJECT (fixture->breaker), "signalled"));
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_nonnull (g_object_get_data (G_OBJECT (fixture->breaker), "signalled"));
}

/* While nobody listens nothing is left in a context that perhaps nobody runs. */
static void
test_no_handlers (Fixture *fixture, gconstpointer words)
{
  GObject *weak = G_OBJECT (fixture->breaker);

  derate_breaker_trip (fixture->breaker, NULL);
  g_object_add_weak_pointer (weak, (gpointer *)&weak);
  g_clear_object (&fixture->breaker);
  g_assert_null (weak);
}

static void
assert_logged (const char *expected)
{
  g_autofree char *text = take_log ();

  g_assert_cmpstr (text, ==, expected);
}

static void
test_log (Fixture *fixture, gconstpointer words)
{
  assert_logged ("circuit_breaker_init");
  finish_call (fixture, FALSE);
  g_assert_cmpint (GPOINTER_TO_INT (levels->pdata[0]), ==, G_LOG_LEVEL_INFO);
  g_assert_cmpint (GPOINTER_TO_INT (levels->pdata[1]), ==, G_LOG_LEVEL_WARNING);
  assert_logged ("circuit_breaker_open circuit_breaker_alert");

  /* The alert is not repeated when it opens again before it has recovered. */
  advance (fixture, G_TIME_SPAN_SECOND);
  finish_call (fixture, FALSE);
  assert_logged ("circuit_breaker_half_open circuit_breaker_open");
  advance (fixture, G_TIME_SPAN_SECOND);
  finish_call (fixture, TRUE);
  assert_logged ("circuit_breaker_half_open circuit_breaker_closed circuit_breaker_recovered");
  derate_breaker_reset (fixture->breaker);
  assert_logged ("circuit_breaker_reset");
  derate_breaker_trip (fixture->breaker, NULL);
  assert_logged ("circuit_breaker_open circuit_breaker_alert");
}

/* A bad failure rate that opens nothing is told once. */
static void
test_rate_alert (Fixture *fixture, gconstpointer words)
{
  derate_breaker_set_mode (fixture->breaker, DERATE_BREAKER_MODE_METRICS_ONLY);
  assert_logged ("circuit_breaker_init");
  finish_call (fixture, TRUE);
  finish_call (fixture, FALSE);
  finish_call (fixture, FALSE);
  finish_call (fixture, FALSE);
  finish_call (fixture, FALSE);
  assert_logged ("circuit_breaker_alert");
  finish_call (fixture, FALSE);
  finish_call (fixture, FALSE);
  assert_logged ("");
  for (guint i = 0; i < 5; i++)
    finish_call (fixture, TRUE);
  for (guint i = 0; i < 5; i++)
    finish_call (fixture, FALSE);
  assert_logged ("circuit_breaker_alert");
}

int
main (int argc, char **argv)
{
  static const char plain[] = "failure-threshold=1 success-threshold=1 open-duration=1s";
#define ADD(path, words, func) \
  g_test_add ("/breaker/events/" path, Fixture, words, set_up, func, tear_down)

  g_test_init (&argc, &argv, NULL);
  logged = g_ptr_array_new_with_free_func (g_free);
  levels = g_ptr_array_new ();
  g_log_set_writer_func (keep_log, NULL, NULL);

  ADD ("order", plain, test_order);
  ADD ("hooks", plain, test_hooks);
  ADD ("silence", plain, test_silence);
  ADD ("counters", "failure-threshold=4 minimum-calls=5", test_counters);
  ADD ("reentry", plain, test_reentry);
  ADD ("removal", plain, test_removal);
  ADD ("owner-context", plain, test_owner_context);
  ADD ("no-handlers", plain, test_no_handlers);
  ADD ("log", plain, test_log);
  g_test_add ("/breaker/behaviour/17-told-once", Fixture, "window-size=5 failure-rate-threshold=1",
              set_up, test_rate_alert, tear_down);
  return g_test_run ();
}
