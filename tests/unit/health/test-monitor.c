/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "derate-health-collector-private.h"
#include "derate-monitor-private.h"
#include "derate-service-room-private.h"
#include "fake-check.h"

#define SECOND G_TIME_SPAN_SECOND
#define MANY 20

typedef struct
{
  DerateClock *clock;
  DerateMonitor *monitor;
  FakeCheck *checks[MANY];
  DerateService *services[MANY];
  guint n;
  guint n_hooks;
} Fixture;

static GLogWriterOutput
drop_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  if (level & (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR))
    return g_log_writer_default (level, fields, n_fields, data);
  return G_LOG_WRITER_HANDLED;
}

static void
on_hook (DerateMonitor *monitor, gpointer data)
{
  ((Fixture *)data)->n_hooks++;
}

static void
advance (Fixture *f, GTimeSpan span)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (f->clock), span);
}

static void
set_up_monitor (Fixture *f, GMainContext *check_context, GMainContext *owner_context)
{
  f->monitor = derate_monitor_new (f->clock, check_context, owner_context);
  derate_monitor_set_seed (f->monitor, 1);
  derate_monitor_set_hook (f->monitor, on_hook, f);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  f->clock = derate_manual_clock_new ();
  set_up_monitor (f, NULL, NULL);
}

/* Services that answer well and at once, on the second. */
static void
add_services (Fixture *f, guint n)
{
  g_autoptr (DerateHealthCheckConfig) config = derate_health_check_config_new ();

  derate_health_check_config_set_jitter (config, 0);
  for (; n > 0; n--, f->n++)
    {
      g_autofree char *name = g_strdup_printf ("s%u", f->n);

      f->checks[f->n] = fake_check_new (f->clock);
      f->services[f->n] = derate_service_new (name, DERATE_SERVICE_ROLE_NONE, f->clock);
      derate_service_set_health_check (f->services[f->n], DERATE_HEALTH_CHECK (f->checks[f->n]));
      derate_service_set_check_config (f->services[f->n], config);
      derate_monitor_add_service (f->monitor, f->services[f->n]);
    }
}

static void
start (Fixture *f)
{
  derate_monitor_start (f->monitor);
  advance (f, 0);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  derate_monitor_stop (f->monitor);
  if (DERATE_IS_MANUAL_CLOCK (f->clock))
    advance (f, 5 * SECOND); /* checks that only wait for the time end */
  while (g_main_context_iteration (NULL, FALSE))
    ;
  derate_monitor_unref (f->monitor);
  for (guint i = 0; i < f->n; i++)
    {
      if (f->checks[i]->kept != NULL)
        fake_check_let_go (f->checks[i]);
      while (g_main_context_iteration (NULL, FALSE))
        ;
      g_assert_finalize_object (f->services[i]);
      g_assert_finalize_object (f->checks[i]);
    }
  g_object_unref (f->clock);
}

static void
assert_status (DerateService *service, DerateHealthStatus status, DerateHealthCause cause)
{
  g_assert_cmpstr (derate_health_status_get_nick (derate_service_get_status (service)), ==,
                   derate_health_status_get_nick (status));
  g_assert_cmpstr (derate_health_cause_get_nick (derate_service_get_cause (service)), ==,
                   derate_health_cause_get_nick (cause));
}

static gboolean
is_down (DerateService *service)
{
  return derate_service_get_status (service) == DERATE_HEALTH_STATUS_DOWN;
}

/* The start */

static void
test_first_sweep (Fixture *f, gconstpointer data)
{
  add_services (f, 3);
  f->checks[1]->delay = SECOND / 2;
  g_assert_cmpuint (f->checks[0]->n_started, ==, 0);
  start (f);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (f->checks[i]->n_started, ==, 1);
  g_assert_false (derate_monitor_is_ready (f->monitor));
  g_assert_cmpuint (f->n_hooks, ==, 0);
  advance (f, SECOND / 2);
  g_assert_true (derate_monitor_is_ready (f->monitor));
  g_assert_cmpuint (f->n_hooks, ==, 1);
}

static void
test_ready_without_services (Fixture *f, gconstpointer data)
{
  start (f);
  g_assert_true (derate_monitor_is_ready (f->monitor));
  g_assert_cmpuint (f->n_hooks, ==, 1);
}

static void
test_grace_ends (Fixture *f, gconstpointer data)
{
  /* Three rounds of four that do not answer take six seconds. */
  add_services (f, 12);
  for (guint i = 0; i < 12; i++)
    f->checks[i]->behaviour = FAKE_IGNORE;
  start (f);
  advance (f, 5 * SECOND - 1);
  g_assert_false (derate_monitor_is_ready (f->monitor));
  g_assert_cmpint (derate_service_get_effective_status (f->services[11], TRUE), ==,
                   DERATE_HEALTH_STATUS_DEGRADED);
  advance (f, 1);
  g_assert_true (derate_monitor_is_ready (f->monitor));
  g_assert_cmpint (derate_service_get_effective_status (f->services[11], FALSE), ==,
                   DERATE_HEALTH_STATUS_DOWN);
}

static void
test_sweep_ends_by_timeout (Fixture *f, gconstpointer data)
{
  add_services (f, 2);
  f->checks[0]->behaviour = FAKE_IGNORE;
  start (f);
  advance (f, 2 * SECOND - 1);
  g_assert_false (derate_monitor_is_ready (f->monitor));
  advance (f, 1);
  g_assert_true (derate_monitor_is_ready (f->monitor));
  assert_status (f->services[0], DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_TIMEOUT);
}

/* The schedule */

static void
test_anchored (Fixture *f, gconstpointer data)
{
  add_services (f, 1);
  f->checks[0]->delay = 700 * G_TIME_SPAN_MILLISECOND;
  start (f);
  advance (f, 100 * SECOND);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 11);
  for (gint i = 1; i < 11; i++)
    g_assert_cmpint (fake_check_get_start (f->checks[0], i) -
                         fake_check_get_start (f->checks[0], i - 1),
                     ==, 10 * SECOND);
}

static void
test_jitter (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateHealthCheckConfig) config = derate_health_check_config_new ();
  gint64 least = G_MAXINT64;
  gint64 most = 0;

  add_services (f, 1);
  derate_service_set_check_config (f->services[0], config);
  start (f);
  advance (f, 1000 * SECOND);
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
test_fast_while_undecided (Fixture *f, gconstpointer data)
{
  static const gint64 spans[] = { 10, 2, 2, 10, 10, 2, 10 };

  add_services (f, 1);
  start (f);
  advance (f, 5 * SECOND);
  fake_check_set (f->checks[0], DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED, "refused");
  advance (f, 9 * SECOND - 1); /* failures at 10, 12 */
  assert_status (f->services[0], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE);
  advance (f, 1); /* and 14 */
  assert_status (f->services[0], DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED);
  advance (f, 15 * SECOND); /* 24 */
  fake_check_set (f->checks[0], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL);
  advance (f, 6 * SECOND); /* good at 34 */
  assert_status (f->services[0], DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED);
  advance (f, 1 * SECOND); /* and 36 */
  assert_status (f->services[0], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE);
  advance (f, 10 * SECOND); /* 46 */
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
      Fixture f = { 0 };
      g_autoptr (DerateHealthCheckConfig) config = derate_health_check_config_new ();
      gint64 from;

      set_up (&f, NULL);
      derate_monitor_set_seed (f.monitor, seed);
      add_services (&f, 1);
      derate_service_set_check_config (f.services[0], config);
      start (&f);
      while (f.checks[0]->n_started < 3)
        advance (&f, SECOND / 4);
      from = fake_check_get_start (f.checks[0], -1);
      fake_check_set (f.checks[0], DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED, NULL);
      f.checks[0]->behaviour = behaviour;

      advance (&f, from + bound - SECOND * 4 - derate_clock_get_time (f.clock));
      g_assert_false (is_down (f.services[0])); /* it takes three, however they fall */
      advance (&f, SECOND * 4);
      g_assert_true (is_down (f.services[0]));
      tear_down (&f, NULL);
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
test_four_at_once (Fixture *f, gconstpointer data)
{
  guint n_all = 0;
  guint most_all = 0;

  add_services (f, MANY);
  for (guint i = 0; i < MANY; i++)
    {
      f->checks[i]->delay = 900 * G_TIME_SPAN_MILLISECOND;
      f->checks[i]->n_all = &n_all;
      f->checks[i]->most_all = &most_all;
    }
  start (f);
  advance (f, 99 * SECOND);
  g_assert_cmpuint (most_all, ==, 4);
  for (guint i = 0; i < MANY; i++)
    {
      g_assert_cmpuint (f->checks[i]->n_started, >=, 9);
      g_assert_cmpuint (f->checks[i]->most_inside, ==, 1);
    }
}

static void
test_none_starves (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateHealthCheckConfig) config = derate_health_check_config_new ();

  /* Twice as much to do as there is time: everybody gets the same. */
  derate_health_check_config_set_interval (config, 5 * SECOND);
  add_services (f, MANY);
  for (guint i = 0; i < MANY; i++)
    {
      f->checks[i]->behaviour = FAKE_HANG;
      derate_service_set_check_config (f->services[i], config);
    }
  start (f);
  advance (f, 200 * SECOND); /* at most 400 runs of two seconds */
  for (guint i = 0; i < MANY; i++)
    {
      g_assert_cmpuint (f->checks[i]->n_started, >=, 18);
      g_assert_cmpuint (f->checks[i]->n_started, <=, 22);
    }
}

static void
test_stuck_hold_no_place (Fixture *f, gconstpointer data)
{
  add_services (f, 5);
  for (guint i = 0; i < 4; i++)
    f->checks[i]->behaviour = FAKE_IGNORE;
  start (f);
  advance (f, 50 * SECOND);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpuint (f->checks[i]->n_started, ==, 1);
  g_assert_cmpuint (f->checks[4]->n_started, >=, 5);
  assert_status (f->services[4], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE);
}

static void
test_never_overlaps (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateHealthCheckConfig) config = derate_health_check_config_new ();

  add_services (f, 1);
  start (f);
  f->checks[0]->behaviour = FAKE_IGNORE;
  advance (f, 12 * SECOND);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 2);
  g_assert_cmpuint (f->checks[0]->n_cancelled, ==, 1);

  /* One timeout is not enough to be down, and there is no second: after three of the intervals it
   * was found in it is not known, whenever else we look. */
  derate_health_check_config_set_interval (config, 7 * SECOND);
  derate_service_set_check_config (f->services[0], config);
  advance (f, 30 * SECOND - 1);
  assert_status (f->services[0], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE);
  advance (f, 1);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 2);
  assert_status (f->services[0], DERATE_HEALTH_STATUS_UNKNOWN, DERATE_HEALTH_CAUSE_STALE);

  fake_check_set (f->checks[0], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL);
  fake_check_let_go (f->checks[0]);
  advance (f, 0);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 3);
  g_assert_cmpuint (f->checks[0]->most_inside, ==, 1);
  assert_status (f->services[0], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE);
}

/* Results that are none */

static void
test_own_failure (Fixture *f, gconstpointer data)
{
  add_services (f, 1);
  start (f);
  f->checks[0]->behaviour = FAKE_FAIL;
  advance (f, 30 * SECOND - 1);
  assert_status (f->services[0], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE);
  g_assert_cmpuint (derate_service_get_check_errors (f->services[0]), ==, 2);
  advance (f, 1);
  assert_status (f->services[0], DERATE_HEALTH_STATUS_UNKNOWN, DERATE_HEALTH_CAUSE_STALE);
  g_assert_cmpuint (derate_service_get_check_errors (f->services[0]), ==, 3);

  /* From unknown one result decides. */
  fake_check_set (f->checks[0], DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_READ_ONLY, NULL);
  advance (f, 10 * SECOND);
  assert_status (f->services[0], DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_READ_ONLY);
}

static void
test_overloaded_and_refused (Fixture *f, gconstpointer data)
{
  add_services (f, 2);
  fake_check_set (f->checks[0], DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED,
                  "too many connections");
  fake_check_set (f->checks[1], DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED, NULL);
  start (f);
  assert_status (f->services[0], DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED);
  assert_status (f->services[1], DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED);
}

static void
test_local_suspect (Fixture *f, gconstpointer data)
{
  add_services (f, 3);
  derate_service_set_remote (f->services[2], FALSE);
  start (f);
  g_assert_false (derate_monitor_get_local_suspect (f->monitor));

  f->checks[0]->behaviour = FAKE_HANG;
  advance (f, 20 * SECOND);
  g_assert_true (is_down (f->services[0]));
  g_assert_false (derate_monitor_get_local_suspect (f->monitor));

  f->n_hooks = 0;
  fake_check_set (f->checks[1], DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED, NULL);
  advance (f, 10 * SECOND);
  g_assert_true (derate_monitor_get_local_suspect (f->monitor));
  g_assert_cmpuint (f->n_hooks, ==, 1);

  fake_check_set (f->checks[0], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL);
  advance (f, 12 * SECOND);
  g_assert_false (derate_monitor_get_local_suspect (f->monitor));
  g_assert_cmpuint (f->n_hooks, ==, 2);
}

static void
test_one_is_no_suspect (Fixture *f, gconstpointer data)
{
  add_services (f, 1);
  f->checks[0]->behaviour = FAKE_HANG;
  start (f);
  advance (f, 60 * SECOND);
  g_assert_true (is_down (f->services[0]));
  g_assert_false (derate_monitor_get_local_suspect (f->monitor));
}

/* Breakers */

static DerateBreaker *
add_breaker (Fixture *f, DerateService *service, GTimeSpan open_duration)
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
test_open_until (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateBreaker) breaker = NULL;

  add_services (f, 1);
  derate_service_set_health_check (f->services[0], NULL);
  breaker = add_breaker (f, f->services[0], 2 * SECOND);
  start (f);
  advance (f, 3 * SECOND);
  fail_call (breaker);
  assert_status (f->services[0], DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_BREAKER_OPEN);
  advance (f, 2 * SECOND - 1); /* long before it would be looked at otherwise */
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_OPEN);
  advance (f, 1);
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_HALF_OPEN);
  assert_status (f->services[0], DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_BREAKER_OPEN);
}

static void
test_checks_close_breaker (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateBreaker) breaker = NULL;

  add_services (f, 1);
  breaker = add_breaker (f, f->services[0], 60 * SECOND);
  start (f);
  advance (f, 5 * SECOND);
  fail_call (breaker);
  assert_status (f->services[0], DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_BREAKER_OPEN);

  advance (f, 5 * SECOND); /* the first good one since */
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_OPEN);
  advance (f, 10 * SECOND); /* the second, long before sixty seconds */
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_HALF_OPEN);
  advance (f, 30 * SECOND); /* nobody calls */
  g_assert_cmpint (derate_breaker_get_state (breaker), ==, DERATE_BREAKER_STATE_CLOSED);
  assert_status (f->services[0], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE);
}

/* Control */

static void
keep_result (GObject *object, GAsyncResult *result, gpointer data)
{
  g_set_object ((GAsyncResult **)data, result);
}

static void
test_request (Fixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (DerateHealthReport) report = NULL;
  g_autoptr (GError) error = NULL;

  add_services (f, 1);
  start (f);
  advance (f, 3 * SECOND);
  derate_service_check_async (f->services[0], NULL, keep_result, &result);
  advance (f, 0);
  g_assert_nonnull (result);
  report = derate_service_check_finish (f->services[0], result, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 2);

  /* The interval begins anew. */
  advance (f, 10 * SECOND - 1);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 2);
  advance (f, 1);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 3);
}

static void
test_stop (Fixture *f, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (DerateHealthReport) report = NULL;
  g_autoptr (GError) error = NULL;

  add_services (f, 2);
  start (f);
  f->checks[0]->behaviour = FAKE_HANG;
  derate_service_check_async (f->services[0], NULL, keep_result, &result);
  advance (f, SECOND);
  g_assert_cmpuint (f->checks[0]->n_inside, ==, 1);
  derate_monitor_stop (f->monitor);
  advance (f, 0);
  g_assert_cmpuint (f->checks[0]->n_cancelled, ==, 1);
  g_assert_nonnull (result);
  report = derate_service_check_finish (f->services[0], result, &error);
  g_assert_null (report);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);

  /* Giving up is neither a result nor a failure of the check. */
  assert_status (f->services[0], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE);
  g_assert_cmpuint (derate_service_get_check_errors (f->services[0]), ==, 0);
  advance (f, 60 * SECOND);
  g_assert_cmpuint (f->checks[1]->n_started, ==, 1);

  fake_check_set (f->checks[0], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL);
  start (f);
  g_assert_true (derate_monitor_is_ready (f->monitor));
  g_assert_cmpuint (f->checks[1]->n_started, ==, 2);
}

static void
test_stop_stuck (Fixture *f, gconstpointer data)
{
  add_services (f, 1);
  f->checks[0]->behaviour = FAKE_IGNORE;
  start (f);
  derate_monitor_stop (f->monitor);
  advance (f, 60 * SECOND);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 1);
  assert_status (f->services[0], DERATE_HEALTH_STATUS_UNKNOWN, DERATE_HEALTH_CAUSE_NONE);
}

static void
test_start_again (Fixture *f, gconstpointer data)
{
  add_services (f, 1);
  start (f);
  advance (f, 5 * SECOND);
  derate_monitor_stop (f->monitor);
  advance (f, 60 * SECOND);
  f->checks[0]->behaviour = FAKE_FAIL;
  start (f);

  /* To be stopped is not to stand still: what was found then is old. */
  assert_status (f->services[0], DERATE_HEALTH_STATUS_UNKNOWN, DERATE_HEALTH_CAUSE_STALE);
}

static gboolean
count_call (gpointer data)
{
  (*(guint *)data)++;
  return G_SOURCE_CONTINUE;
}

static void
test_waker (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateWaker) waker = derate_waker_new (f->clock);
  g_autoptr (GSource) source = derate_clock_source_new (f->clock, DERATE_CLOCK_NEVER);
  guint n_calls = 0;

  derate_waker_wake (waker); /* nobody there */
  g_source_set_callback (source, count_call, &n_calls, NULL);
  g_source_attach (source, NULL);
  derate_waker_set_source (waker, source);
  derate_waker_begin (waker);
  derate_waker_sleep_until (waker, derate_clock_get_time (f->clock) + SECOND);
  advance (f, 0);
  g_assert_cmpuint (n_calls, ==, 0);
  derate_waker_wake (waker);
  advance (f, 0);
  g_assert_cmpuint (n_calls, ==, 1);

  /* A wake between the look and the sleep. */
  derate_waker_begin (waker);
  derate_waker_wake (waker);
  derate_waker_sleep_until (waker, derate_clock_get_time (f->clock) + SECOND);
  advance (f, 0);
  g_assert_cmpuint (n_calls, ==, 2);
  g_source_destroy (source);
  derate_waker_wake (waker);
}

static void
test_add_and_remove (Fixture *f, gconstpointer data)
{
  add_services (f, 1);
  start (f);
  add_services (f, 1);
  advance (f, 0);
  g_assert_cmpuint (f->checks[1]->n_started, ==, 1);

  derate_monitor_remove_service (f->monitor, f->services[0]);
  advance (f, 60 * SECOND);
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
test_metrics (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateMetricsRegistry) registry = derate_metrics_registry_new ();
  g_autoptr (DerateHealthCollector) collector = derate_health_collector_new (f->monitor);
  g_autofree char *before = NULL;
  g_autofree char *after = NULL;

  derate_metrics_registry_add_collector (registry, DERATE_METRICS_COLLECTOR (collector));
  add_services (f, 2);

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
  start (f);
  advance (f, SECOND);
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

/* Contexts */

typedef struct
{
  GMainLoop *loop;
  GMutex mutex;
  GCond cond;
  gboolean owns; /* the context */
  gboolean flushed;
} Thread;

static gpointer
run_loop (gpointer data)
{
  Thread *thread = data;
  GMainContext *context = g_main_loop_get_context (thread->loop);

  g_main_context_push_thread_default (context);
  g_mutex_lock (&thread->mutex);
  thread->owns = TRUE;
  g_cond_signal (&thread->cond);
  g_mutex_unlock (&thread->mutex);
  g_main_loop_run (thread->loop);
  g_main_context_pop_thread_default (context);
  return NULL;
}

static GThread *
start_thread (Thread *thread, GMainContext *context)
{
  GThread *result;

  thread->loop = g_main_loop_new (context, FALSE);
  g_mutex_init (&thread->mutex);
  g_cond_init (&thread->cond);
  result = g_thread_new ("monitor", run_loop, thread);
  g_mutex_lock (&thread->mutex);
  while (!thread->owns)
    g_cond_wait (&thread->cond, &thread->mutex);
  g_mutex_unlock (&thread->mutex);
  return result;
}

static gboolean
on_flushed (gpointer data)
{
  Thread *thread = data;

  g_mutex_lock (&thread->mutex);
  thread->flushed = TRUE;
  g_cond_signal (&thread->cond);
  g_mutex_unlock (&thread->mutex);
  return G_SOURCE_REMOVE;
}

/* Until the other thread has run what it queued for itself: the clock only waits for its sources.
 */
static void
flush_thread (Thread *thread)
{
  thread->flushed = FALSE;
  g_main_context_invoke_full (g_main_loop_get_context (thread->loop), G_PRIORITY_LOW, on_flushed,
                              thread, NULL);
  g_mutex_lock (&thread->mutex);
  while (!thread->flushed)
    g_cond_wait (&thread->cond, &thread->mutex);
  g_mutex_unlock (&thread->mutex);
}

static gboolean
quit_loop (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_REMOVE;
}

static void
stop_thread (Thread *thread, GThread *self)
{
  g_main_context_invoke (g_main_loop_get_context (thread->loop), quit_loop, thread->loop);
  g_thread_join (self);
  g_main_loop_unref (thread->loop);
  g_mutex_clear (&thread->mutex);
  g_cond_clear (&thread->cond);
}

static void
test_threads (void)
{
  Fixture f = { .clock = derate_manual_clock_new () };
  g_autoptr (GMainContext) context = g_main_context_new ();
  Thread loop = { 0 };
  GThread *thread = start_thread (&loop, context);

  set_up_monitor (&f, context, NULL);
  add_services (&f, 2);
  f.checks[1]->threading = DERATE_HEALTH_CHECK_OWNER_CONTEXT;
  start (&f);
  flush_thread (&loop);
  for (guint i = 0; i < 40; i++)
    {
      advance (&f, SECOND);
      flush_thread (&loop);
    }
  advance (&f, 0);
  g_assert_cmpuint (f.checks[0]->n_started, >=, 4);
  g_assert_cmpuint (f.checks[1]->n_started, >=, 4);
  g_assert_true (derate_monitor_is_ready (f.monitor));
  g_assert_true (f.checks[0]->thread == thread);
  g_assert_true (f.checks[1]->thread == g_thread_self ());
  assert_status (f.services[0], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE);
  assert_status (f.services[1], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE);

  derate_monitor_stop (f.monitor);
  stop_thread (&loop, thread);
  while (g_main_context_iteration (context, FALSE))
    ;
  tear_down (&f, NULL);
}

static void
test_owner_is_stuck (void)
{
  Fixture f = { .clock = derate_manual_clock_new () };
  g_autoptr (GMainContext) owner = g_main_context_new ();

  set_up_monitor (&f, NULL, owner);
  add_services (&f, 2);
  f.checks[0]->threading = DERATE_HEALTH_CHECK_OWNER_CONTEXT;
  start (&f);
  advance (&f, 2 * SECOND);

  /* The program's own loop is not the service's fault. */
  assert_status (f.services[0], DERATE_HEALTH_STATUS_UNKNOWN, DERATE_HEALTH_CAUSE_NONE);
  g_assert_cmpuint (derate_service_get_check_errors (f.services[0]), ==, 1);
  g_assert_true (derate_monitor_is_ready (f.monitor));
  assert_status (f.services[1], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE);

  /* What was given up is not started late; the next one is on time. */
  while (g_main_context_iteration (owner, FALSE))
    ;
  g_assert_cmpuint (f.checks[0]->n_started, ==, 0);
  advance (&f, 8 * SECOND);
  while (g_main_context_iteration (owner, FALSE))
    ;
  g_assert_cmpuint (f.checks[0]->n_started, ==, 1);
  assert_status (f.services[0], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE);

  derate_monitor_stop (f.monitor);
  while (g_main_context_iteration (owner, FALSE))
    ;
  tear_down (&f, NULL);
}

/* A clock that jumps: as for a process that was stopped, nothing runs in between. */

#define JUMP_TYPE_CLOCK (jump_clock_get_type ())
G_DECLARE_FINAL_TYPE (JumpClock, jump_clock, JUMP, CLOCK, DerateClock)

struct _JumpClock
{
  DerateClock parent_instance;
  gint64 now;
};

G_DEFINE_FINAL_TYPE (JumpClock, jump_clock, DERATE_TYPE_CLOCK)

typedef struct
{
  GSource source;
  JumpClock *clock; /* outlives its sources */
  gint64 deadline;
} JumpSource;

static gboolean
jump_source_check (GSource *base)
{
  JumpSource *source = (JumpSource *)base;

  return source->deadline <= source->clock->now;
}

static gboolean
jump_source_prepare (GSource *base, gint *timeout)
{
  *timeout = -1;
  return jump_source_check (base);
}

static gboolean
jump_source_dispatch (GSource *base, GSourceFunc callback, gpointer data)
{
  ((JumpSource *)base)->deadline = DERATE_CLOCK_NEVER;
  return callback (data);
}

static GSourceFuncs jump_source_funcs = {
  .prepare = jump_source_prepare,
  .check = jump_source_check,
  .dispatch = jump_source_dispatch,
};

static GSource *
jump_clock_create_source (DerateClock *clock, gint64 deadline)
{
  GSource *source = g_source_new (&jump_source_funcs, sizeof (JumpSource));

  ((JumpSource *)source)->clock = JUMP_CLOCK (clock);
  ((JumpSource *)source)->deadline = deadline;
  return source;
}

static void
jump_clock_set_deadline (DerateClock *clock, GSource *source, gint64 deadline)
{
  ((JumpSource *)source)->deadline = deadline;
}

static gint64
jump_clock_get_time (DerateClock *clock)
{
  return JUMP_CLOCK (clock)->now;
}

static void
jump_clock_class_init (JumpClockClass *klass)
{
  DERATE_CLOCK_CLASS (klass)->get_time = jump_clock_get_time;
  DERATE_CLOCK_CLASS (klass)->get_real_time = jump_clock_get_time;
  DERATE_CLOCK_CLASS (klass)->create_source = jump_clock_create_source;
  DERATE_CLOCK_CLASS (klass)->set_deadline = jump_clock_set_deadline;
}

static void
jump_clock_init (JumpClock *clock)
{
  clock->now = SECOND;
}

static void
jump (Fixture *f, GTimeSpan span)
{
  JUMP_CLOCK (f->clock)->now += span;
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
count_change (DerateService *service, gpointer data)
{
  (*(guint *)data)++;
}

static void
test_stand_still (void)
{
  Fixture f = { .clock = g_object_new (JUMP_TYPE_CLOCK, NULL) };
  guint n_changes = 0;

  set_up_monitor (&f, NULL, NULL);
  add_services (&f, 6);
  derate_monitor_start (f.monitor);
  jump (&f, 0);
  for (guint i = 0; i < 10; i++)
    jump (&f, SECOND);
  for (guint i = 0; i < 6; i++)
    {
      g_assert_cmpuint (f.checks[i]->n_started, ==, 2); /* at 1, 11 */
      derate_service_set_hook (f.services[i], count_change, &n_changes);
    }

  jump (&f, 600 * SECOND + SECOND / 2);
  for (guint i = 0; i < 6; i++)
    {
      g_assert_cmpuint (f.checks[i]->n_started, ==, 3);
      assert_status (f.services[i], DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE);
    }
  g_assert_cmpuint (n_changes, ==, 0);

  /* And on it goes on the old schedule: 611 was done at 611.5, 621 is next. */
  for (guint i = 0; i < 19; i++)
    jump (&f, SECOND / 2);
  g_assert_cmpuint (f.checks[0]->n_started, ==, 4);

  for (guint i = 0; i < 6; i++)
    derate_service_set_hook (f.services[i], NULL, NULL);
  tear_down (&f, NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (drop_log, NULL, NULL);
#define ADD(name, func) g_test_add ("/health/monitor/" name, Fixture, NULL, set_up, func, tear_down)
  ADD ("start/first-sweep", test_first_sweep);
  ADD ("start/without-services", test_ready_without_services);
  ADD ("start/grace-ends", test_grace_ends);
  ADD ("start/sweep-ends-by-timeout", test_sweep_ends_by_timeout);
  ADD ("schedule/anchored", test_anchored);
  ADD ("schedule/jitter", test_jitter);
  ADD ("schedule/fast-while-undecided", test_fast_while_undecided);
  g_test_add_func ("/health/monitor/schedule/silent-peer-17s", test_silent_peer);
  g_test_add_func ("/health/monitor/schedule/refusing-peer-15s", test_refusing_peer);
  g_test_add_func ("/health/monitor/schedule/stand-still", test_stand_still);
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
  g_test_add_func ("/health/monitor/contexts/threads", test_threads);
  g_test_add_func ("/health/monitor/contexts/owner-is-stuck", test_owner_is_stuck);
  return g_test_run ();
}
