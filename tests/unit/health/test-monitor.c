/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "derate-health-collector-private.h"
#include "monitor-fixture.h"

static gboolean
is_down (DerateService *service)
{
  return derate_service_get_status (service) == DERATE_HEALTH_STATUS_DOWN;
}

/* The start */

static void
test_first_sweep (MonitorFixture *f, gconstpointer data)
{
  monitor_fixture_add_services (f, 3);
  f->checks[1]->delay = SECOND / 2;
  g_assert_cmpuint (f->checks[0]->n_started, ==, 0);
  monitor_fixture_start (f);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (f->checks[i]->n_started, ==, 1);
  g_assert_false (derate_monitor_is_ready (f->monitor));
  g_assert_cmpuint (f->n_hooks, ==, 0);
  monitor_fixture_advance (f, SECOND / 2);
  g_assert_true (derate_monitor_is_ready (f->monitor));
  g_assert_cmpuint (f->n_hooks, ==, 1);
}

static void
test_ready_without_services (MonitorFixture *f, gconstpointer data)
{
  monitor_fixture_start (f);
  g_assert_true (derate_monitor_is_ready (f->monitor));
  g_assert_cmpuint (f->n_hooks, ==, 1);
}

static void
test_grace_ends (MonitorFixture *f, gconstpointer data)
{
  /* Three rounds of four that do not answer take six seconds. */
  monitor_fixture_add_services (f, 12);
  for (guint i = 0; i < 12; i++)
    f->checks[i]->behaviour = FAKE_IGNORE;
  monitor_fixture_start (f);
  monitor_fixture_advance (f, 5 * SECOND - 1);
  g_assert_false (derate_monitor_is_ready (f->monitor));
  g_assert_cmpint (derate_service_get_effective_status (f->services[11], TRUE), ==,
                   DERATE_HEALTH_STATUS_DEGRADED);
  monitor_fixture_advance (f, 1);
  g_assert_true (derate_monitor_is_ready (f->monitor));
  g_assert_cmpint (derate_service_get_effective_status (f->services[11], FALSE), ==,
                   DERATE_HEALTH_STATUS_DOWN);
}

static void
test_sweep_ends_by_timeout (MonitorFixture *f, gconstpointer data)
{
  monitor_fixture_add_services (f, 2);
  f->checks[0]->behaviour = FAKE_IGNORE;
  monitor_fixture_start (f);
  monitor_fixture_advance (f, 2 * SECOND - 1);
  g_assert_false (derate_monitor_is_ready (f->monitor));
  monitor_fixture_advance (f, 1);
  g_assert_true (derate_monitor_is_ready (f->monitor));
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_DOWN,
                                 DERATE_HEALTH_CAUSE_TIMEOUT);
}

/* The schedule */

static void
test_anchored (MonitorFixture *f, gconstpointer data)
{
  monitor_fixture_add_services (f, 1);
  f->checks[0]->delay = 700 * G_TIME_SPAN_MILLISECOND;
  monitor_fixture_start (f);
  monitor_fixture_advance (f, 100 * SECOND);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 11);
  for (gint i = 1; i < 11; i++)
    g_assert_cmpint (fake_check_get_start (f->checks[0], i) -
                         fake_check_get_start (f->checks[0], i - 1),
                     ==, 10 * SECOND);
}

static void
test_jitter (MonitorFixture *f, gconstpointer data)
{
  g_autoptr (DerateHealthCheckConfig) config = derate_health_check_config_new ();
  gint64 least = G_MAXINT64;
  gint64 most = 0;

  monitor_fixture_add_services (f, 1);
  derate_service_set_check_config (f->services[0], config);
  monitor_fixture_start (f);
  monitor_fixture_advance (f, 1000 * SECOND);
  g_assert_cmpuint (f->checks[0]->n_started, >=, 91);
  for (guint i = 1; i < f->checks[0]->n_started; i++)
    {
      gint64 span =
          fake_check_get_start (f->checks[0], i) - fake_check_get_start (f->checks[0], i - 1);

      least = MIN (least, span);
      most = MAX (most, span);
    }
  g_assert_cmpint (least, >=, 9 * SECOND);
  g_assert_cmpint (least, <, 19 * SECOND / 2);
  g_assert_cmpint (most, <=, 11 * SECOND);
  g_assert_cmpint (most, >, 21 * SECOND / 2);
}

static void
test_fast_while_undecided (MonitorFixture *f, gconstpointer data)
{
  static const gint64 spans[] = { 10, 2, 2, 10, 10, 2, 10 };

  monitor_fixture_add_services (f, 1);
  monitor_fixture_start (f);
  monitor_fixture_advance (f, 5 * SECOND);
  fake_check_set (f->checks[0], DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED, "refused");
  monitor_fixture_advance (f, 9 * SECOND - 1); /* failures at 10, 12 */
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_HEALTHY,
                                 DERATE_HEALTH_CAUSE_NONE);
  monitor_fixture_advance (f, 1); /* and 14 */
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_DOWN,
                                 DERATE_HEALTH_CAUSE_REFUSED);
  monitor_fixture_advance (f, 15 * SECOND); /* 24 */
  fake_check_set (f->checks[0], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL);
  monitor_fixture_advance (f, 6 * SECOND); /* good at 34 */
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_DOWN,
                                 DERATE_HEALTH_CAUSE_REFUSED);
  monitor_fixture_advance (f, 1 * SECOND); /* and 36 */
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_HEALTHY,
                                 DERATE_HEALTH_CAUSE_NONE);
  monitor_fixture_advance (f, 10 * SECOND); /* 46 */
  for (gsize i = 0; i < G_N_ELEMENTS (spans); i++)
    g_assert_cmpint (fake_check_get_start (f->checks[0], i + 1) -
                         fake_check_get_start (f->checks[0], i),
                     ==, spans[i] * SECOND);
}

/* However the jitter falls, from the moment just after a check began well. */
static void
find_worst (FakeBehaviour behaviour, GTimeSpan bound)
{
  for (guint32 seed = 1; seed <= 60; seed++)
    {
      MonitorFixture f = { 0 };
      g_autoptr (DerateHealthCheckConfig) config = derate_health_check_config_new ();
      gint64 from;

      monitor_fixture_set_up (&f, NULL);
      derate_monitor_set_seed (f.monitor, seed);
      monitor_fixture_add_services (&f, 1);
      derate_service_set_check_config (f.services[0], config);
      monitor_fixture_start (&f);
      while (f.checks[0]->n_started < 3)
        monitor_fixture_advance (&f, SECOND / 4);
      from = fake_check_get_start (f.checks[0], -1);
      fake_check_set (f.checks[0], DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED, NULL);
      f.checks[0]->behaviour = behaviour;

      monitor_fixture_advance (&f, from + bound - SECOND * 4 - derate_clock_get_time (f.clock));
      g_assert_false (is_down (f.services[0])); /* it takes three, however they fall */
      monitor_fixture_advance (&f, SECOND * 4);
      g_assert_true (is_down (f.services[0]));
      monitor_fixture_tear_down (&f, NULL);
    }
}

static void
test_silent_peer (void)
{
  find_worst (FAKE_HANG, 17 * SECOND);
}

static void
test_refusing_peer (void)
{
  find_worst (FAKE_ANSWER, 15 * SECOND);
}

/* Many at once */

static void
test_four_at_once (MonitorFixture *f, gconstpointer data)
{
  guint n_all = 0;
  guint most_all = 0;

  monitor_fixture_add_services (f, MANY);
  for (guint i = 0; i < MANY; i++)
    {
      f->checks[i]->delay = 900 * G_TIME_SPAN_MILLISECOND;
      f->checks[i]->n_all = &n_all;
      f->checks[i]->most_all = &most_all;
    }
  monitor_fixture_start (f);
  monitor_fixture_advance (f, 99 * SECOND);
  g_assert_cmpuint (most_all, ==, 4);
  for (guint i = 0; i < MANY; i++)
    {
      g_assert_cmpuint (f->checks[i]->n_started, >=, 9);
      g_assert_cmpuint (f->checks[i]->most_inside, ==, 1);
    }
}

static void
test_none_starves (MonitorFixture *f, gconstpointer data)
{
  g_autoptr (DerateHealthCheckConfig) config = derate_health_check_config_new ();

  /* Twice as much to do as there is time: everybody gets the same. */
  derate_health_check_config_set_interval (config, 5 * SECOND);
  monitor_fixture_add_services (f, MANY);
  for (guint i = 0; i < MANY; i++)
    {
      f->checks[i]->behaviour = FAKE_HANG;
      derate_service_set_check_config (f->services[i], config);
    }
  monitor_fixture_start (f);
  monitor_fixture_advance (f, 200 * SECOND); /* at most 400 runs of two seconds */
  for (guint i = 0; i < MANY; i++)
    {
      g_assert_cmpuint (f->checks[i]->n_started, >=, 18);
      g_assert_cmpuint (f->checks[i]->n_started, <=, 22);
    }
}

static void
test_stuck_hold_no_place (MonitorFixture *f, gconstpointer data)
{
  monitor_fixture_add_services (f, 5);
  for (guint i = 0; i < 4; i++)
    f->checks[i]->behaviour = FAKE_IGNORE;
  monitor_fixture_start (f);
  monitor_fixture_advance (f, 50 * SECOND);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpuint (f->checks[i]->n_started, ==, 1);
  g_assert_cmpuint (f->checks[4]->n_started, >=, 5);
  monitor_fixture_assert_status (f->services[4], DERATE_HEALTH_STATUS_HEALTHY,
                                 DERATE_HEALTH_CAUSE_NONE);
}

static void
test_never_overlaps (MonitorFixture *f, gconstpointer data)
{
  g_autoptr (DerateHealthCheckConfig) config = derate_health_check_config_new ();

  monitor_fixture_add_services (f, 1);
  monitor_fixture_start (f);
  f->checks[0]->behaviour = FAKE_IGNORE;
  monitor_fixture_advance (f, 12 * SECOND);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 2);
  g_assert_cmpuint (f->checks[0]->n_cancelled, ==, 1);

  /* One timeout is not enough to be down, and there is no second: after three of the intervals it
   * was found in it is not known, whenever else we look. */
  derate_health_check_config_set_interval (config, 7 * SECOND);
  derate_service_set_check_config (f->services[0], config);
  monitor_fixture_advance (f, 30 * SECOND - 1);
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_HEALTHY,
                                 DERATE_HEALTH_CAUSE_NONE);
  monitor_fixture_advance (f, 1);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 2);
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_UNKNOWN,
                                 DERATE_HEALTH_CAUSE_STALE);

  fake_check_set (f->checks[0], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL);
  fake_check_let_go (f->checks[0]);
  monitor_fixture_advance (f, 0);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 3);
  g_assert_cmpuint (f->checks[0]->most_inside, ==, 1);
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_HEALTHY,
                                 DERATE_HEALTH_CAUSE_NONE);
}

/* Results that are none */

static void
test_own_failure (MonitorFixture *f, gconstpointer data)
{
  monitor_fixture_add_services (f, 1);
  monitor_fixture_start (f);
  f->checks[0]->behaviour = FAKE_FAIL;
  monitor_fixture_advance (f, 30 * SECOND - 1);
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_HEALTHY,
                                 DERATE_HEALTH_CAUSE_NONE);
  g_assert_cmpuint (derate_service_get_check_errors (f->services[0]), ==, 2);
  monitor_fixture_advance (f, 1);
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_UNKNOWN,
                                 DERATE_HEALTH_CAUSE_STALE);
  g_assert_cmpuint (derate_service_get_check_errors (f->services[0]), ==, 3);

  /* From unknown one result decides. */
  fake_check_set (f->checks[0], DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_READ_ONLY, NULL);
  monitor_fixture_advance (f, 10 * SECOND);
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_DEGRADED,
                                 DERATE_HEALTH_CAUSE_READ_ONLY);
}

static void
test_overloaded_and_refused (MonitorFixture *f, gconstpointer data)
{
  monitor_fixture_add_services (f, 2);
  fake_check_set (f->checks[0], DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED,
                  "too many connections");
  fake_check_set (f->checks[1], DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED, NULL);
  monitor_fixture_start (f);
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_DEGRADED,
                                 DERATE_HEALTH_CAUSE_OVERLOADED);
  monitor_fixture_assert_status (f->services[1], DERATE_HEALTH_STATUS_DOWN,
                                 DERATE_HEALTH_CAUSE_REFUSED);
}

static void
test_local_suspect (MonitorFixture *f, gconstpointer data)
{
  monitor_fixture_add_services (f, 3);
  derate_service_set_remote (f->services[2], FALSE);
  monitor_fixture_start (f);
  g_assert_false (derate_monitor_get_local_suspect (f->monitor));

  f->checks[0]->behaviour = FAKE_HANG;
  monitor_fixture_advance (f, 20 * SECOND);
  g_assert_true (is_down (f->services[0]));
  g_assert_false (derate_monitor_get_local_suspect (f->monitor));

  f->n_hooks = 0;
  fake_check_set (f->checks[1], DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED, NULL);
  monitor_fixture_advance (f, 10 * SECOND);
  g_assert_true (derate_monitor_get_local_suspect (f->monitor));
  g_assert_cmpuint (f->n_hooks, ==, 1);

  fake_check_set (f->checks[0], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL);
  monitor_fixture_advance (f, 12 * SECOND);
  g_assert_false (derate_monitor_get_local_suspect (f->monitor));
  g_assert_cmpuint (f->n_hooks, ==, 2);
}

static void
test_one_is_no_suspect (MonitorFixture *f, gconstpointer data)
{
  monitor_fixture_add_services (f, 1);
  f->checks[0]->behaviour = FAKE_HANG;
  monitor_fixture_start (f);
  monitor_fixture_advance (f, 60 * SECOND);
  g_assert_true (is_down (f->services[0]));
  g_assert_false (derate_monitor_get_local_suspect (f->monitor));
}

/* Breakers */

static DerateBreaker *
add_breaker (MonitorFixture *f, DerateService *service, GTimeSpan open_duration)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
  g_autoptr (DerateBreaker) breaker = NULL;

  derate_breaker_config_set_failure_threshold (config, 1);
  derate_breaker_config_set_open_duration (config, open_duration);
  derate_breaker_config_set_open_duration_jitter (config, 0);
  breaker = derate_breaker_new_with_clock ("b", config, f->clock);
  derate_service_set_breaker (service, breaker);
  return g_steal_pointer (&breaker);
}

static void
fail_call (DerateBreaker *breaker)
{
  g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
  g_autoptr (GError) error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "no");

  g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
  derate_permit_fail (&permit, error);
}

static void
test_open_until (MonitorFixture *f, gconstpointer data)
{
  g_autoptr (DerateBreaker) breaker = NULL;

  monitor_fixture_add_services (f, 1);
  derate_service_set_health_check (f->services[0], NULL);
  breaker = add_breaker (f, f->services[0], 2 * SECOND);
  monitor_fixture_start (f);
  monitor_fixture_advance (f, 3 * SECOND);
  fail_call (breaker);
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_DOWN,
                                 DERATE_HEALTH_CAUSE_BREAKER_OPEN);
  monitor_fixture_advance (f, 2 * SECOND - 1); /* long before it would be looked at otherwise */
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_OPEN);
  monitor_fixture_advance (f, 1);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_HALF_OPEN);
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_DEGRADED,
                                 DERATE_HEALTH_CAUSE_BREAKER_OPEN);
}

static void
test_checks_close_breaker (MonitorFixture *f, gconstpointer data)
{
  g_autoptr (DerateBreaker) breaker = NULL;

  monitor_fixture_add_services (f, 1);
  breaker = add_breaker (f, f->services[0], 60 * SECOND);
  monitor_fixture_start (f);
  monitor_fixture_advance (f, 5 * SECOND);
  fail_call (breaker);
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_DOWN,
                                 DERATE_HEALTH_CAUSE_BREAKER_OPEN);

  monitor_fixture_advance (f, 5 * SECOND); /* the first good one since */
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_OPEN);
  monitor_fixture_advance (f, 10 * SECOND); /* the second, long before sixty seconds */
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_HALF_OPEN);
  monitor_fixture_advance (f, 30 * SECOND); /* nobody calls */
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_CLOSED);
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_HEALTHY,
                                 DERATE_HEALTH_CAUSE_NONE);
}

/* Control */

static void
keep_result (GObject *object, GAsyncResult *result, gpointer data)
{
  g_set_object ((GAsyncResult **)data, result);
}

static void
test_request (MonitorFixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (DerateHealthReport) report = NULL;
  g_autoptr (GError) error = NULL;

  monitor_fixture_add_services (f, 1);
  monitor_fixture_start (f);
  monitor_fixture_advance (f, 3 * SECOND);
  derate_service_check_async (f->services[0], NULL, keep_result, &result);
  monitor_fixture_advance (f, 0);
  g_assert_nonnull (result);
  report = derate_service_check_finish (f->services[0], result, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 2);

  /* The interval begins anew. */
  monitor_fixture_advance (f, 10 * SECOND - 1);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 2);
  monitor_fixture_advance (f, 1);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 3);
}

static void
test_stop (MonitorFixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (DerateHealthReport) report = NULL;
  g_autoptr (GError) error = NULL;

  monitor_fixture_add_services (f, 2);
  monitor_fixture_start (f);
  f->checks[0]->behaviour = FAKE_HANG;
  derate_service_check_async (f->services[0], NULL, keep_result, &result);
  monitor_fixture_advance (f, SECOND);
  g_assert_cmpuint (f->checks[0]->n_inside, ==, 1);
  derate_monitor_stop (f->monitor);
  monitor_fixture_advance (f, 0);
  g_assert_cmpuint (f->checks[0]->n_cancelled, ==, 1);
  g_assert_nonnull (result);
  report = derate_service_check_finish (f->services[0], result, &error);
  g_assert_null (report);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);

  /* Giving up is neither a result nor a failure of the check. */
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_HEALTHY,
                                 DERATE_HEALTH_CAUSE_NONE);
  g_assert_cmpuint (derate_service_get_check_errors (f->services[0]), ==, 0);
  monitor_fixture_advance (f, 60 * SECOND);
  g_assert_cmpuint (f->checks[1]->n_started, ==, 1);

  fake_check_set (f->checks[0], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL);
  monitor_fixture_start (f);
  g_assert_true (derate_monitor_is_ready (f->monitor));
  g_assert_cmpuint (f->checks[1]->n_started, ==, 2);
}

static void
test_stop_stuck (MonitorFixture *f, gconstpointer data)
{
  monitor_fixture_add_services (f, 1);
  f->checks[0]->behaviour = FAKE_IGNORE;
  monitor_fixture_start (f);
  derate_monitor_stop (f->monitor);
  monitor_fixture_advance (f, 60 * SECOND);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 1);
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_UNKNOWN,
                                 DERATE_HEALTH_CAUSE_NONE);
}

static void
test_start_again (MonitorFixture *f, gconstpointer data)
{
  monitor_fixture_add_services (f, 1);
  monitor_fixture_start (f);
  monitor_fixture_advance (f, 5 * SECOND);
  derate_monitor_stop (f->monitor);
  monitor_fixture_advance (f, 60 * SECOND);
  f->checks[0]->behaviour = FAKE_FAIL;
  monitor_fixture_start (f);

  /* To be stopped is not to stand still: what was found then is old. */
  monitor_fixture_assert_status (f->services[0], DERATE_HEALTH_STATUS_UNKNOWN,
                                 DERATE_HEALTH_CAUSE_STALE);
}

static gboolean
count_call (gpointer data)
{
  (*(guint *)data)++;
  return G_SOURCE_CONTINUE;
}

static void
test_waker (MonitorFixture *f, gconstpointer data)
{
  g_autoptr (DerateWaker) waker = derate_waker_new (f->clock);
  g_autoptr (GSource) source = derate_clock_source_new (f->clock, DERATE_CLOCK_NEVER);
  guint n_calls = 0;

  derate_waker_wake (waker); /* nobody there */
  g_source_set_callback (source, count_call, &n_calls, NULL);
  g_source_attach (source, NULL);
  derate_waker_set_source (waker, source, g_source_get_context (source));
  derate_waker_begin (waker);
  derate_waker_sleep_until (waker, derate_clock_get_time (f->clock) + SECOND);
  monitor_fixture_advance (f, 0);
  g_assert_cmpuint (n_calls, ==, 0);
  derate_waker_wake (waker);
  monitor_fixture_advance (f, 0);
  g_assert_cmpuint (n_calls, ==, 1);

  /* A wake between the look and the sleep. */
  derate_waker_begin (waker);
  derate_waker_wake (waker);
  derate_waker_sleep_until (waker, derate_clock_get_time (f->clock) + SECOND);
  monitor_fixture_advance (f, 0);
  g_assert_cmpuint (n_calls, ==, 2);
  g_source_destroy (source);
  derate_waker_wake (waker);
}

static void
test_add_and_remove (MonitorFixture *f, gconstpointer data)
{
  monitor_fixture_add_services (f, 1);
  monitor_fixture_start (f);
  monitor_fixture_add_services (f, 1);
  monitor_fixture_advance (f, 0);
  g_assert_cmpuint (f->checks[1]->n_started, ==, 1);

  derate_monitor_remove_service (f->monitor, f->services[0]);
  monitor_fixture_advance (f, 60 * SECOND);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 1);
  g_assert_cmpuint (f->checks[1]->n_started, ==, 7);
}

/* Metrics */

static void
assert_line (const char *text, const char *line)
{
  g_autofree char *with_newline = g_strdup_printf ("\n%s\n", line);

  if (strstr (text, with_newline) == NULL)
    g_test_message ("no line “%s” in:%s", line, text);
  g_assert_nonnull (strstr (text, with_newline));
}

static void
test_metrics (MonitorFixture *f, gconstpointer data)
{
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateHealthCollector) collector = derate_health_collector_new (f->monitor);
  g_autofree char *before = NULL;
  g_autofree char *after = NULL;

  derate_metrics_registry_add_collector (registry, DERATE_METRICS_COLLECTOR (collector));
  monitor_fixture_add_services (f, 2);

  /* Every series is there before its first event. */
  before = derate_metrics_registry_render (registry);
  assert_line (before, "# TYPE service_health_status gauge");
  assert_line (before, "service_health_status{service=\"s0\"} 0");
  assert_line (before, "# TYPE service_health_check_duration_seconds histogram");
  assert_line (before, "service_health_check_duration_seconds_count{service=\"s0\"} 0");
  assert_line (before, "# TYPE service_health_check_errors_total counter");
  assert_line (before, "service_health_check_errors_total{service=\"s1\"} 0");

  f->checks[0]->delay = 30 * G_TIME_SPAN_MILLISECOND;
  f->checks[1]->behaviour = FAKE_FAIL;
  monitor_fixture_start (f);
  monitor_fixture_advance (f, SECOND);
  after = derate_metrics_registry_render (registry);
  assert_line (after, "service_health_status{service=\"s0\"} 1");
  assert_line (after, "service_health_status{service=\"s1\"} 0");
  assert_line (after,
               "service_health_check_duration_seconds_bucket{service=\"s0\",le=\"0.025\"} 0");
  assert_line (after, "service_health_check_duration_seconds_bucket{service=\"s0\",le=\"0.05\"} 1");
  assert_line (after, "service_health_check_duration_seconds_bucket{service=\"s0\",le=\"+Inf\"} 1");
  assert_line (after, "service_health_check_duration_seconds_sum{service=\"s0\"} 0.03");
  assert_line (after, "service_health_check_duration_seconds_count{service=\"s1\"} 0");
  assert_line (after, "service_health_check_errors_total{service=\"s1\"} 1");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (monitor_fixture_drop_log, NULL, NULL);
#define ADD(name, func)                                                                    \
  g_test_add ("/health/monitor/" name, MonitorFixture, NULL, monitor_fixture_set_up, func, \
              monitor_fixture_tear_down)
  ADD ("start/first-sweep", test_first_sweep);
  ADD ("start/without-services", test_ready_without_services);
  ADD ("start/grace-ends", test_grace_ends);
  ADD ("start/sweep-ends-by-timeout", test_sweep_ends_by_timeout);
  ADD ("schedule/anchored", test_anchored);
  ADD ("schedule/jitter", test_jitter);
  ADD ("schedule/fast-while-undecided", test_fast_while_undecided);
  g_test_add_func ("/health/monitor/schedule/silent-peer-17s", test_silent_peer);
  g_test_add_func ("/health/monitor/schedule/refusing-peer-15s", test_refusing_peer);
  ADD ("many/four-at-once", test_four_at_once);
  ADD ("many/none-starves", test_none_starves);
  ADD ("many/stuck-hold-no-place", test_stuck_hold_no_place);
  ADD ("many/never-overlaps", test_never_overlaps);
  ADD ("results/own-failure", test_own_failure);
  ADD ("results/overloaded-and-refused", test_overloaded_and_refused);
  ADD ("results/local-suspect", test_local_suspect);
  ADD ("results/one-is-no-suspect", test_one_is_no_suspect);
  ADD ("breaker/open-until", test_open_until);
  ADD ("breaker/checks-close-it", test_checks_close_breaker);
  ADD ("control/request", test_request);
  ADD ("control/stop", test_stop);
  ADD ("control/stop-stuck", test_stop_stuck);
  ADD ("control/start-again", test_start_again);
  ADD ("control/waker", test_waker);
  ADD ("control/add-and-remove", test_add_and_remove);
  ADD ("metrics", test_metrics);
  return g_test_run ();
}
