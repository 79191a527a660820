/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "monitor-fixture.h"

/* What a drill makes of a service, and what is left when it is over. */

#define U DERATE_HEALTH_STATUS_UNKNOWN
#define H DERATE_HEALTH_STATUS_HEALTHY
#define D DERATE_HEALTH_STATUS_DEGRADED
#define X DERATE_HEALTH_STATUS_DOWN
#define CAUSE(x) DERATE_HEALTH_CAUSE_##x
#define MS G_TIME_SPAN_MILLISECOND

static const DerateFault down = { DERATE_FAULT_KIND_DOWN };
static const DerateFault none = { DERATE_FAULT_KIND_UNKNOWN };

static DerateFault
rate (double share)
{
  return (DerateFault){ DERATE_FAULT_KIND_ERROR_RATE, .rate = share };
}

static DerateFault
latency (GTimeSpan span)
{
  return (DerateFault){ DERATE_FAULT_KIND_LATENCY, .latency = span };
}

/* The word */

static guint
rank (DerateHealthStatus status)
{
  return status == H ? 0 : status == D ? 1 : status == U ? 2 : 3;
}

typedef struct
{
  const char *name;
  DerateFault fault;
  DerateHealthStatus makes;
} Drill;

static const Drill drills[] = {
  { "none", { DERATE_FAULT_KIND_UNKNOWN }, H },
  { "down", { DERATE_FAULT_KIND_DOWN }, X },
  { "few-errors", { DERATE_FAULT_KIND_ERROR_RATE, .rate = 0.24 }, H },
  { "errors", { DERATE_FAULT_KIND_ERROR_RATE, .rate = 0.25 }, D },
  { "more-errors", { DERATE_FAULT_KIND_ERROR_RATE, .rate = 0.49 }, D },
  { "many-errors", { DERATE_FAULT_KIND_ERROR_RATE, .rate = 0.5 }, X },
  { "all-errors", { DERATE_FAULT_KIND_ERROR_RATE, .rate = 1 }, X },
  { "slow", { DERATE_FAULT_KIND_LATENCY, .latency = G_TIME_SPAN_MINUTE }, H },
};

static void
assert_worst (guint plain, guint word, DerateHealthStatus drilled)
{
  DerateHealthStatus status = derate_service_word_get_status (plain);
  gboolean worse = rank (drilled) > rank (status);

  g_assert_cmpint (derate_service_word_get_status (word), ==, worse ? drilled : status);
  g_assert_cmpint (derate_service_word_get_cause (word), ==,
                   worse ? CAUSE (DRILL) : derate_service_word_get_cause (plain));
  for (guint in_grace = 0; in_grace < 2; in_grace++)
    {
      DerateHealthStatus without = derate_service_word_get_effective (plain, TRUE, in_grace);
      DerateHealthStatus with = derate_service_word_get_effective (word, TRUE, in_grace);

      g_assert_cmpint (with, !=, U);
      g_assert_cmpint (with, ==, rank (drilled) > rank (without) ? drilled : without);
      g_assert_cmpint (derate_service_word_get_effective (plain, FALSE, in_grace), ==, without);
      g_assert_cmpint (derate_service_word_get_effective (word, FALSE, in_grace), ==, without);
    }
}

/* Whatever check and breaker say, in and after the grace: the worst of the three, and what it would
 * be otherwise. */
static void
test_word (gconstpointer data)
{
  const Drill *drill = data;

  for (guint i = 0; i < 4 * 4 * 2 * 2 * 2; i++)
    {
      DerateHealthStreak streak = { .status = i % 4, .cause = CAUSE (AUTH) };
      DerateBreakerView view = {
        .present = TRUE,
        .state = MAX (i / 4 % 4, 1),
        .failure_rate = i / 4 % 4 == 0 ? 0.3 : NAN,
        .degraded_rate = 0.25,
        .down_rate = 0.5,
        .recent_success = i / 16 % 2,
      };
      gboolean stale = i / 32 % 2;
      gboolean in_grace = i / 64 % 2;

      assert_worst (derate_service_word_compute (&streak, stale, in_grace, &view, NULL, &none),
                    derate_service_word_compute (&streak, stale, in_grace, &view, NULL,
                                                 &drill->fault),
                    drill->makes);
      assert_worst (derate_service_word_compute (NULL, FALSE, in_grace, &view, NULL, &none),
                    derate_service_word_compute (NULL, FALSE, in_grace, &view, NULL, &drill->fault),
                    drill->makes);
    }
}

/* A fault */

static const struct
{
  const char *name;
  DerateFault fault;
  const char *error; /* NULL: accepted */
} faults[] = {
  { "down", { DERATE_FAULT_KIND_DOWN }, NULL },
  { "rate", { DERATE_FAULT_KIND_ERROR_RATE, .rate = 0.001 }, NULL },
  { "rate-of-all", { DERATE_FAULT_KIND_ERROR_RATE, .rate = 1 }, NULL },
  { "rate-of-none",
    { DERATE_FAULT_KIND_ERROR_RATE, .rate = 0 },
    "error-rate 0 is not more than 0 and at most 1" },
  { "rate-too-high",
    { DERATE_FAULT_KIND_ERROR_RATE, .rate = 1.5 },
    "error-rate 1.5 is not more than 0 and at most 1" },
  { "rate-below",
    { DERATE_FAULT_KIND_ERROR_RATE, .rate = -0.5 },
    "error-rate -0.5 is not more than 0 and at most 1" },
  { "rate-unknown",
    { DERATE_FAULT_KIND_ERROR_RATE, .rate = NAN },
    "error-rate nan is not more than 0 and at most 1" },
  { "latency", { DERATE_FAULT_KIND_LATENCY, .latency = 1 }, NULL },
  { "latency-longest", { DERATE_FAULT_KIND_LATENCY, .latency = DERATE_FAULT_LATENCY_MAX }, NULL },
  { "latency-too-long",
    { DERATE_FAULT_KIND_LATENCY, .latency = DERATE_FAULT_LATENCY_MAX + SECOND },
    "latency 301s is not more than 0 and at most 5m" },
  { "latency-none",
    { DERATE_FAULT_KIND_LATENCY, .latency = 0 },
    "latency is not more than 0 and at most 5m" },
  { "unknown",
    { DERATE_FAULT_KIND_UNKNOWN },
    "fault: one of down, error-rate and latency is wanted" },
};

static void
test_fault (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (GError) error = NULL;
  gboolean accepted = derate_fault_check (&faults[i].fault, &error);

  g_assert_cmpint (accepted, ==, faults[i].error == NULL);
  if (accepted)
    {
      g_assert_no_error (error);
      return;
    }
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT);
  g_assert_cmpstr (error->message, ==, faults[i].error);
}

static void
test_comes_to (void)
{
  DerateFault half = rate (0.5);
  DerateFault late = latency (3 * SECOND);

  g_assert_cmpfloat (derate_fault_get_share (NULL), ==, 0);
  g_assert_cmpfloat (derate_fault_get_share (&none), ==, 0);
  g_assert_cmpfloat (derate_fault_get_share (&down), ==, 1);
  g_assert_cmpfloat (derate_fault_get_share (&half), ==, 0.5);
  g_assert_cmpfloat (derate_fault_get_share (&late), ==, 0);
  g_assert_cmpint (derate_fault_get_delay (NULL), ==, 0);
  g_assert_cmpint (derate_fault_get_delay (&down), ==, 0);
  g_assert_cmpint (derate_fault_get_delay (&late), ==, 3 * SECOND);
  g_assert_cmpstr (derate_fault_kind_get_nick (half.kind), ==, "error-rate");
  g_assert_cmpstr (derate_fault_kind_get_nick (99), ==, "unknown");
}

/* A service */

typedef struct
{
  DerateClock *clock;
  FakeCheck *check;
  DerateBreaker *breaker;
  DerateService *service;
  guint n_hooks;
  guint n_signals;
} Fixture;

static void
on_hook (DerateService *service, gpointer data)
{
  ((Fixture *)data)->n_hooks++;
}

static void
on_status_changed (DerateService *service,
                   DerateHealthStatus old_status,
                   DerateHealthStatus new_status,
                   DerateHealthCause cause,
                   gpointer data)
{
  ((Fixture *)data)->n_signals++;
}

/* @data is the role, NULL the cache's. */
static void
set_up (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();

  f->clock = derate_manual_clock_new ();
  f->check = fake_check_new (f->clock);
  derate_breaker_config_set_open_duration (config, SECOND);
  derate_breaker_config_set_open_duration_jitter (config, 0);
  f->breaker = derate_breaker_new_with_clock ("redis", config, f->clock);
  f->service =
      derate_service_new ("redis",
                          data != NULL ? GPOINTER_TO_INT (data) : DERATE_SERVICE_ROLE_CACHE,
                          f->clock);
  derate_service_set_health_check (f->service, DERATE_HEALTH_CHECK (f->check));
  derate_service_set_breaker (f->service, f->breaker);
  derate_service_set_hook (f->service, on_hook, f);
  g_signal_connect (f->service, "status-changed", G_CALLBACK (on_status_changed), f);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (f->clock), 0);
  g_assert_finalize_object (f->service);
  g_assert_finalize_object (f->check);
  g_assert_finalize_object (f->breaker);
  g_object_unref (f->clock);
}

static void
advance (Fixture *f, GTimeSpan span)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (f->clock), span);
}

#define assert_status monitor_fixture_assert_status

static void
assert_effective (Fixture *f, DerateHealthStatus with, DerateHealthStatus without)
{
  g_assert_cmpint (derate_service_get_effective_status (f->service, FALSE), ==, with);
  g_assert_cmpint (derate_service_get_undrilled_status (f->service, FALSE), ==, without);
}

static void
keep_result (GObject *object, GAsyncResult *result, gpointer data)
{
  GAsyncResult **kept = data;

  g_assert_null (*kept);
  *kept = g_object_ref (result);
}

static void
assert_check (Fixture *f, GAsyncResult *result, DerateHealthStatus status, DerateHealthCause cause)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateHealthReport) report = NULL;

  g_assert_nonnull (result);
  report = derate_service_check_finish (f->service, result, &error);
  g_assert_no_error (error);
  g_assert_cmpint (derate_health_report_get_status (report), ==, status);
  g_assert_cmpint (derate_health_report_get_cause (report), ==, cause);
}

/* A check that is answered after exactly @span. */
static void
check_once (Fixture *f, GTimeSpan span, DerateHealthStatus status, DerateHealthCause cause)
{
  g_autoptr (GAsyncResult) result = NULL;

  derate_service_check_async (f->service, NULL, keep_result, &result);
  if (span > 0)
    {
      advance (f, span - 1);
      g_assert_null (result);
    }
  advance (f, span > 0 ? 1 : 0);
  assert_check (f, result, status, cause);
}

static void
test_plays_dead (Fixture *f, gconstpointer data)
{
  g_autofree char *error = NULL;
  gint64 since;

  check_once (f, 0, H, CAUSE (NONE));
  advance (f, SECOND);
  f->n_hooks = f->n_signals = 0;
  since = derate_service_get_since (f->service);

  derate_service_set_drill (f->service, &down);
  g_assert_cmpuint (f->n_hooks, ==, 1);
  assert_status (f->service, X, CAUSE (DRILL));
  assert_effective (f, X, H);
  g_assert_cmpint (derate_service_get_since (f->service), ==, since + SECOND);
  advance (f, SECOND);
  g_assert_cmpuint (f->n_signals, ==, 1);
  error = derate_service_dup_error (f->service);
  g_assert_null (error);

  /* The check, which is not drilled, changes nothing. */
  for (guint i = 0; i < 5; i++)
    check_once (f, 0, H, CAUSE (NONE));
  assert_status (f->service, X, CAUSE (DRILL));

  derate_service_set_drill (f->service, NULL);
  g_assert_cmpuint (f->n_hooks, ==, 2);
  assert_status (f->service, H, CAUSE (NONE));
  assert_effective (f, H, H);
  advance (f, 0);
  g_assert_cmpuint (f->n_signals, ==, 2);
}

static void
test_history (Fixture *f, gconstpointer data)
{
  g_autoptr (GVariant) history = NULL;
  g_autofree char *json = NULL;

  check_once (f, 0, H, CAUSE (NONE));
  derate_service_set_drill (f->service, &down);
  derate_service_set_drill (f->service, NULL);
  history = derate_service_dup_history (f->service);
  json = derate_json_from_variant (history);
  g_assert_cmpstr (json, ==,
                   "[{\"time\":1763720000,\"from\":\"unknown\",\"to\":\"healthy\",\"cause\":null},"
                   "{\"time\":1763720000,\"from\":\"healthy\",\"to\":\"down\",\"cause\":\"drill\"},"
                   "{\"time\":1763720000,\"from\":\"down\",\"to\":\"healthy\",\"cause\":null}]");
}

/* What goes wrong meanwhile is known at once, and shows when the drill is over, or where it is
 * worse. */
static void
test_real_failure (Fixture *f, gconstpointer data)
{
  DerateFault some = rate (0.3);

  check_once (f, 0, H, CAUSE (NONE));
  derate_service_set_drill (f->service, &down);
  fake_check_set (f->check, X, CAUSE (REFUSED), "connection refused");
  f->n_hooks = 0;
  for (guint i = 0; i < 3; i++)
    check_once (f, 0, X, CAUSE (REFUSED));
  g_assert_cmpuint (f->n_hooks, ==, 1);
  assert_status (f->service, X, CAUSE (REFUSED));
  assert_effective (f, X, X);
  derate_service_set_drill (f->service, NULL);
  assert_status (f->service, X, CAUSE (REFUSED));

  fake_check_set (f->check, H, CAUSE (NONE), NULL);
  derate_service_set_drill (f->service, &some);
  check_once (f, 0, H, CAUSE (NONE));
  assert_status (f->service, X, CAUSE (REFUSED));
  check_once (f, 0, H, CAUSE (NONE));
  assert_status (f->service, D, CAUSE (DRILL));
  assert_effective (f, D, H);
  g_assert_true (derate_breaker_trip (f->breaker, NULL));
  assert_status (f->service, X, CAUSE (BREAKER_OPEN));
  assert_effective (f, X, X);
}

/* The hook hears of what changes behind the drill, though nothing changes with it. */
static void
test_behind (Fixture *f, gconstpointer data)
{
  check_once (f, 0, H, CAUSE (NONE));
  derate_service_set_drill (f->service, &down);
  fake_check_set (f->check, D, CAUSE (READ_ONLY), NULL);
  advance (f, 0);
  f->n_hooks = 0;
  f->n_signals = 0;
  for (guint i = 0; i < 3; i++)
    check_once (f, 0, D, CAUSE (READ_ONLY));
  assert_status (f->service, X, CAUSE (DRILL));
  assert_effective (f, X, D);
  g_assert_cmpuint (f->n_hooks, ==, 1);
  advance (f, 0);
  g_assert_cmpuint (f->n_signals, ==, 0);
}

static void
test_unknown (Fixture *f, gconstpointer data)
{
  DerateFault some = rate (0.3);

  derate_service_set_drill (f->service, &some);
  assert_status (f->service, U, CAUSE (NONE));
  assert_effective (f, X, X);
  g_assert_cmpint (derate_service_get_effective_status (f->service, TRUE), ==, D);
  derate_service_set_drill (f->service, &down);
  assert_status (f->service, X, CAUSE (DRILL));
  g_assert_cmpint (derate_service_get_undrilled_status (f->service, TRUE), ==, D);

  /* What counts as healthy, for it is new, is what the drill makes of it. */
  derate_service_begin_grace (f->service, SECOND);
  derate_service_set_drill (f->service, &some);
  assert_effective (f, D, H);
}

/* Good checks do not open the way to a service that plays dead; after it the next one does. */
static void
test_open_breaker (Fixture *f, gconstpointer data)
{
  g_assert_true (derate_breaker_trip (f->breaker, NULL));
  derate_breaker_set_drill (f->breaker, 1);
  derate_service_set_drill (f->service, &down);
  for (guint i = 0; i < 5; i++)
    check_once (f, 0, H, CAUSE (NONE));
  g_assert_cmpint (derate_breaker_get_state (f->breaker), ==, DERATE_BREAKER_STATE_OPEN);
  derate_breaker_set_drill (f->breaker, 0);
  derate_service_set_drill (f->service, NULL);
  check_once (f, 0, H, CAUSE (NONE));
  g_assert_cmpint (derate_breaker_get_state (f->breaker), ==, DERATE_BREAKER_STATE_HALF_OPEN);
}

/* Each of those that share a breaker is told; the breaker knows nothing of them. */
static void
test_shared_breaker (Fixture *f, gconstpointer data)
{
  g_autoptr (DerateService) other =
      derate_service_new ("sessions", DERATE_SERVICE_ROLE_NONE, f->clock);

  derate_service_set_breaker (other, f->breaker);
  check_once (f, 0, H, CAUSE (NONE));
  derate_breaker_set_drill (f->breaker, 1);
  derate_service_set_drill (f->service, &down);
  assert_status (other, H, CAUSE (NONE));
  derate_service_set_drill (other, &down);
  assert_status (other, X, CAUSE (DRILL));
  assert_status (f->service, X, CAUSE (DRILL));
  derate_service_set_drill (f->service, NULL);
  assert_status (f->service, H, CAUSE (NONE));
  assert_status (other, X, CAUSE (DRILL));
  derate_service_set_drill (other, NULL);
  assert_status (other, H, CAUSE (NONE));
  g_assert_cmpint (derate_breaker_get_state (f->breaker), ==, DERATE_BREAKER_STATE_CLOSED);
  advance (f, 0);
}

/* What is judged is what then is: of calls at once, of checks when they have been made. */
static void
judge (Fixture *f, DerateFault fault, DerateHealthStatus expected)
{
  g_assert_cmpint (derate_service_judge_fault (f->service, &fault), ==, expected);
  derate_service_set_drill (f->service, &fault);
  if (fault.kind == DERATE_FAULT_KIND_LATENCY)
    for (guint i = 0; i < 3; i++)
      {
        derate_service_check_async (f->service, NULL, NULL, NULL);
        advance (f, 3 * SECOND);
      }
  assert_effective (f, expected, fault.kind == DERATE_FAULT_KIND_LATENCY ? expected : H);
  derate_service_set_drill (f->service, NULL);
  for (guint i = 0; i < 2; i++)
    check_once (f, 0, H, CAUSE (NONE));
}

static void
test_judge (Fixture *f, gconstpointer data)
{
  check_once (f, 0, H, CAUSE (NONE));
  judge (f, down, X);
  judge (f, rate (0.2499), H);
  judge (f, rate (0.25), D);
  judge (f, rate (0.4999), D);
  judge (f, rate (0.5), X);
  judge (f, rate (1), X);
  judge (f, latency (SECOND - 1), H);
  judge (f, latency (SECOND), D);
  judge (f, latency (2 * SECOND - 1), D);
  judge (f, latency (2 * SECOND), X);
  judge (f, latency (3 * SECOND), X);

  derate_service_set_breaker_degraded_rate (f->service, 0.1);
  judge (f, rate (0.1), D);
  derate_service_set_breaker_degraded_rate (f->service, 0);
  judge (f, rate (0.4), H);
}

/* A database that errs now and then is not read-only: there is no rate that degrades it. */
static void
test_judge_database (Fixture *f, gconstpointer data)
{
  check_once (f, 0, H, CAUSE (NONE));
  judge (f, rate (0.4), H);
  judge (f, rate (0.5), X);
}

/* Nobody refuses calls where there is no breaker, and nobody is late where there is no check. */
static void
test_judge_bare (Fixture *f, gconstpointer data)
{
  DerateFault all = rate (1);
  DerateFault late = latency (9 * SECOND);

  derate_service_set_breaker (f->service, NULL);
  g_assert_cmpint (derate_service_judge_fault (f->service, &all), ==, H);
  g_assert_cmpint (derate_service_judge_fault (f->service, &down), ==, X);
  derate_service_set_health_check (f->service, NULL);
  g_assert_cmpint (derate_service_judge_fault (f->service, &late), ==, H);
}

/* Checks */

/* The status is the checks' own, by their usual thresholds. */
static void
test_slow (Fixture *f, gconstpointer data)
{
  DerateFault late = latency (SECOND);

  check_once (f, 0, H, CAUSE (NONE));
  derate_service_set_drill (f->service, &late);
  assert_status (f->service, H, CAUSE (NONE));
  check_once (f, SECOND, D, CAUSE (SLOW));
  check_once (f, SECOND, D, CAUSE (SLOW));
  assert_status (f->service, H, CAUSE (NONE));
  check_once (f, SECOND, D, CAUSE (SLOW));
  assert_status (f->service, D, CAUSE (SLOW));
  assert_effective (f, D, D);
  derate_service_set_drill (f->service, NULL);
  check_once (f, 0, H, CAUSE (NONE));
  check_once (f, 0, H, CAUSE (NONE));
  assert_status (f->service, H, CAUSE (NONE));
}

static void
test_just_in_time (Fixture *f, gconstpointer data)
{
  DerateFault late = latency (SECOND - 1);
  DerateServiceCheckStats stats;

  derate_service_set_drill (f->service, &late);
  check_once (f, SECOND - 1, H, CAUSE (NONE));
  derate_service_get_check_stats (f->service, &stats);
  g_assert_cmpfloat_with_epsilon (stats.sum, 0.999999, 1e-9);

  /* What the check itself takes comes on top. */
  f->check->delay = 1;
  check_once (f, SECOND, D, CAUSE (SLOW));
}

/* A delay that is no shorter than the timeout: the check is never begun. */
static void
check_too_late (Fixture *f, GTimeSpan span)
{
  DerateFault late = latency (span);

  derate_service_set_drill (f->service, &late);
  check_once (f, 2 * SECOND, X, CAUSE (TIMEOUT));
  advance (f, 2 * late.latency);
  g_assert_cmpuint (f->check->n_started, ==, 0);

  /* It can be run again at once. */
  derate_service_set_drill (f->service, NULL);
  check_once (f, 0, H, CAUSE (NONE));
  g_assert_cmpuint (f->check->n_started, ==, 1);
}

static void
test_at_the_timeout (Fixture *f, gconstpointer data)
{
  check_too_late (f, 2 * SECOND);
}

static void
test_too_late (Fixture *f, gconstpointer data)
{
  check_too_late (f, DERATE_FAULT_LATENCY_MAX);
}

/* The deadline comes while the check runs: as ever. */
static void
test_times_out_running (Fixture *f, gconstpointer data)
{
  DerateFault late = latency (1500 * MS);

  derate_service_set_drill (f->service, &late);
  f->check->behaviour = FAKE_HANG;
  check_once (f, 2 * SECOND, X, CAUSE (TIMEOUT));
  g_assert_cmpuint (f->check->n_started, ==, 1);
  g_assert_cmpuint (f->check->n_cancelled, ==, 1);
}

static void
test_no_overlap (Fixture *f, gconstpointer data)
{
  DerateFault late = latency (1500 * MS);
  g_autoptr (GAsyncResult) first = NULL;
  g_autoptr (GAsyncResult) second = NULL;
  g_autoptr (GAsyncResult) third = NULL;
  g_autoptr (GError) error = NULL;

  derate_service_set_drill (f->service, &late);
  f->check->behaviour = FAKE_IGNORE;
  derate_service_check_async (f->service, NULL, keep_result, &first);
  advance (f, SECOND);
  derate_service_check_async (f->service, NULL, keep_result, &second);
  g_assert_cmpuint (f->check->n_started, ==, 0);
  advance (f, SECOND);
  assert_check (f, first, X, CAUSE (TIMEOUT));
  assert_check (f, second, X, CAUSE (TIMEOUT));
  g_assert_cmpuint (f->check->n_started, ==, 1);

  /* It was begun, ignores its cancel and has to end. */
  derate_service_check_async (f->service, NULL, keep_result, &third);
  advance (f, 0);
  g_assert_null (derate_service_check_finish (f->service, third, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE);
  fake_check_let_go (f->check);
  advance (f, 0);
  g_assert_cmpuint (f->check->most_inside, ==, 1);
}

/* A drill that ends lets a check begin that waits, and one that begins does not delay one that
 * runs.
 */
static void
test_toggled_meanwhile (Fixture *f, gconstpointer data)
{
  DerateFault late = latency (900 * MS);
  g_autoptr (GAsyncResult) first = NULL;
  g_autoptr (GAsyncResult) second = NULL;

  derate_service_set_drill (f->service, &late);
  derate_service_check_async (f->service, NULL, keep_result, &first);
  advance (f, 500 * MS);
  g_assert_null (first);
  derate_service_set_drill (f->service, NULL);
  advance (f, 0);
  assert_check (f, first, H, CAUSE (NONE));

  f->check->delay = 100 * MS;
  derate_service_check_async (f->service, NULL, keep_result, &second);
  advance (f, 50 * MS);
  derate_service_set_drill (f->service, &late);
  advance (f, 50 * MS);
  assert_check (f, second, H, CAUSE (NONE));
}

/* What a drill makes of a check is not said after it: one that would have timed out for it alone
 * begins when it is over, once, and with all of its time. */
static void
test_hurried (Fixture *f, gconstpointer data)
{
  static const GTimeSpan spans[] = { 1900 * MS, 2 * SECOND, DERATE_FAULT_LATENCY_MAX };

  for (guint i = 0; i < G_N_ELEMENTS (spans); i++)
    {
      DerateFault late = latency (spans[i]);
      g_autoptr (GAsyncResult) answered = NULL;
      g_autoptr (GAsyncResult) silent = NULL;

      derate_service_set_drill (f->service, &late);
      derate_service_check_async (f->service, NULL, keep_result, &answered);
      advance (f, 1899 * MS);
      derate_service_set_drill (f->service, NULL);
      f->check->delay = 900 * MS;
      advance (f, 899 * MS);
      g_assert_null (answered);
      advance (f, MS);
      assert_check (f, answered, H, CAUSE (NONE));

      f->check->behaviour = FAKE_HANG;
      derate_service_set_drill (f->service, &late);
      derate_service_check_async (f->service, NULL, keep_result, &silent);
      advance (f, 1899 * MS);
      derate_service_set_drill (f->service, NULL);
      advance (f, 2 * SECOND - 1);
      g_assert_null (silent);
      advance (f, 1);
      assert_check (f, silent, X, CAUSE (TIMEOUT));
      g_assert_cmpuint (f->check->n_started, ==, 2 * (i + 1));
      f->check->behaviour = FAKE_ANSWER;
    }
  g_assert_cmpuint (f->check->most_inside, ==, 1);
}

/* In a monitor */

static void
test_given_up (MonitorFixture *f, gconstpointer span)
{
  DerateFault late = latency (GPOINTER_TO_INT (span));
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  monitor_fixture_add_services (f, 2);
  derate_service_set_drill (f->services[0], &late);
  monitor_fixture_start (f);
  derate_service_check_async (f->services[0], NULL, keep_result, &result);
  monitor_fixture_advance (f, 100 * MS);
  derate_monitor_stop (f->monitor);
  monitor_fixture_advance (f, 0);
  g_assert_null (derate_service_check_finish (f->services[0], result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  monitor_fixture_advance (f, 10 * SECOND);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 0);
  g_assert_cmpuint (f->checks[1]->n_started, ==, 1);
}

/* A minute of checks that time out before they begin, and of others that do not: none overlaps, and
 * the service is down by its checks alone, then well again. */
static void
test_checks_go_on (MonitorFixture *f, gconstpointer data)
{
  DerateFault late = latency (5 * SECOND);

  monitor_fixture_add_services (f, 2);
  monitor_fixture_start (f);
  assert_status (f->services[0], H, CAUSE (NONE));
  derate_service_set_drill (f->services[0], &late);
  for (guint i = 0; i < 17; i++)
    monitor_fixture_advance (f, SECOND);
  assert_status (f->services[0], X, CAUSE (TIMEOUT));
  assert_status (f->services[1], H, CAUSE (NONE));
  for (guint i = 0; i < 43; i++)
    monitor_fixture_advance (f, SECOND);
  g_assert_cmpuint (f->checks[0]->n_started, ==, 1);
  derate_service_set_drill (f->services[0], NULL);
  for (guint i = 0; i < 15; i++)
    monitor_fixture_advance (f, SECOND);
  assert_status (f->services[0], H, CAUSE (NONE));
  g_assert_cmpuint (f->checks[0]->most_inside, ==, 1);
}

/* Threads */

typedef struct
{
  gint n_answers; /* atomic */
  gint n_ended; /* atomic */
} Ends;

static Ends ends;

static void
on_answer (DerateCheckRun *run,
           DerateHealthReport *report,
           const GError *error,
           GTimeSpan span,
           gpointer data)
{
  g_atomic_int_inc (&ends.n_answers);
}

static void
on_ended (DerateCheckRun *run, gpointer data)
{
  g_assert_cmpint (g_atomic_int_get (&ends.n_answers), ==, g_atomic_int_get (&ends.n_ended) + 1);
  g_atomic_int_inc (&ends.n_ended);
}

static void
iterate (GMainContext *context)
{
  while (g_main_context_iteration (context, FALSE))
    ;
}

/* The time of a check that its loop begins late, and the delay in it, run from then. */
static void
test_begun_late (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (GMainContext) owner_context = g_main_context_new ();
  g_autoptr (FakeCheck) check = fake_check_new (clock);
  g_autoptr (DerateCheckRun) run = NULL;
  DerateCheckRunArgs args = {
    .clock = clock,
    .timeout = 2 * SECOND,
    .delay = 1500 * MS,
    .check_context = g_main_context_default (),
    .owner_context = owner_context,
    .answer = on_answer,
    .ended = on_ended,
    .data = G_OBJECT (check),
  };
  gint before = g_atomic_int_get (&ends.n_answers);

  check->threading = DERATE_HEALTH_CHECK_OWNER_CONTEXT;
  check->behaviour = FAKE_HANG;
  run = derate_check_run_new (DERATE_HEALTH_CHECK (check), &args);
  derate_check_run_begin (run);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 1900 * MS);
  iterate (owner_context);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 1499 * MS);
  iterate (owner_context);
  g_assert_cmpuint (check->n_started, ==, 0);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), MS);
  iterate (owner_context);
  g_assert_cmpuint (check->n_started, ==, 1);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 499 * MS);
  g_assert_cmpint (g_atomic_int_get (&ends.n_answers), ==, before);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), MS);
  g_assert_cmpint (g_atomic_int_get (&ends.n_answers), ==, before + 1);
  iterate (owner_context);
  g_assert_cmpuint (check->n_cancelled, ==, 1);
  g_assert_cmpint (g_atomic_int_get (&ends.n_ended), ==, before + 1);
}

static gpointer
run_loop (gpointer data)
{
  GMainContext *context = g_main_loop_get_context (data);

  g_main_context_push_thread_default (context);
  g_main_loop_run (data);
  g_main_context_pop_thread_default (context);
  return NULL;
}

static gboolean
quit_loop (gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

static void
race_once (FakeCheck *check, GMainContext *context, guint i)
{
  g_autoptr (DerateCheckRun) run = NULL;
  DerateCheckRunArgs args = {
    .clock = check->clock,
    .timeout = 1 + i % 7 * 40,
    .delay = 1 + i % 5 * 40,
    .check_context = context,
    .owner_context = g_main_context_default (),
    .answer = on_answer,
    .ended = on_ended,
    .data = G_OBJECT (check),
  };
  gint before = g_atomic_int_get (&ends.n_ended);

  check->threading =
      i % 2 == 0 ? DERATE_HEALTH_CHECK_ANY_THREAD : DERATE_HEALTH_CHECK_OWNER_CONTEXT;
  run = derate_check_run_new (DERATE_HEALTH_CHECK (check), &args);
  derate_check_run_begin (run);
  if (i % 3 == 0)
    g_thread_yield ();
  if (i % 4 > 1)
    derate_check_run_hurry (run);
  if (i % 3 != 1)
    derate_check_run_cancel (run);
  while (g_atomic_int_get (&ends.n_ended) == before)
    g_main_context_iteration (NULL, FALSE);
}

/* A delay, its end, a deadline and a cancel at about the same time, in three contexts: each run is
 * answered once, then ends once. */
static void
test_race (void)
{
  g_autoptr (FakeCheck) check = fake_check_new (derate_clock_get_system ());
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GMainLoop) loop = g_main_loop_new (context, FALSE);
  GThread *thread = g_thread_new ("checks", run_loop, loop);

  ends = (Ends){ 0 };
  for (guint i = 0; i < 600; i++)
    race_once (check, context, i);
  g_main_context_invoke (context, quit_loop, loop);
  g_thread_join (thread);
  while (g_main_context_iteration (context, FALSE) || g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpint (ends.n_answers, ==, 600);
  g_assert_cmpint (ends.n_ended, ==, 600);
}

static gpointer
read_status (gpointer data)
{
  Fixture *f = data;

  while (derate_service_get_effective_status (f->service, FALSE) != D)
    g_assert_cmpint (derate_service_get_undrilled_status (f->service, FALSE), ==, H);
  return NULL;
}

/* Drills begin and end, and the breaker opens not once, while others read. */
static void
test_toggled (Fixture *f, gconstpointer data)
{
  DerateFault some = rate (0.3);
  DerateFault late = latency (SECOND);
  GThread *reader;

  check_once (f, 0, H, CAUSE (NONE));
  reader = g_thread_new ("reader", read_status, f);
  for (guint i = 0; i < 200; i++)
    {
      derate_service_set_drill (f->service, &down);
      assert_effective (f, X, H);
      derate_service_set_drill (f->service, &late);
      assert_effective (f, H, H);
      derate_service_set_drill (f->service, NULL);
    }
  derate_service_set_drill (f->service, &some);
  g_thread_join (reader);
}

#define ADD(path, func) g_test_add ("/health/drill/" path, Fixture, NULL, set_up, func, tear_down)
#define ADD_MONITOR(path, data, func)                                                    \
  g_test_add ("/health/drill/" path, MonitorFixture, data, monitor_fixture_set_up, func, \
              monitor_fixture_tear_down)

static void
add_services (void)
{
  ADD ("plays-dead", test_plays_dead);
  ADD ("history", test_history);
  ADD ("real-failure", test_real_failure);
  ADD ("behind", test_behind);
  ADD ("unknown", test_unknown);
  ADD ("open-breaker", test_open_breaker);
  ADD ("shared-breaker", test_shared_breaker);
  ADD ("judge/cache", test_judge);
  g_test_add ("/health/drill/judge/database", Fixture,
              GINT_TO_POINTER (DERATE_SERVICE_ROLE_DATABASE), set_up, test_judge_database,
              tear_down);
  ADD ("judge/bare", test_judge_bare);
  ADD ("64-toggled", test_toggled);
}

static void
add_checks (void)
{
  ADD ("check/slow", test_slow);
  ADD ("check/just-in-time", test_just_in_time);
  ADD ("check/at-the-timeout", test_at_the_timeout);
  ADD ("check/too-late", test_too_late);
  ADD ("check/times-out-running", test_times_out_running);
  ADD ("check/no-overlap", test_no_overlap);
  ADD ("check/toggled-meanwhile", test_toggled_meanwhile);
  ADD ("check/hurried", test_hurried);
  ADD_MONITOR ("check/given-up", GINT_TO_POINTER (SECOND), test_given_up);
  ADD_MONITOR ("check/given-up-before-it-times-out", GINT_TO_POINTER (9 * SECOND), test_given_up);
  ADD_MONITOR ("check/go-on", NULL, test_checks_go_on);
  g_test_add_func ("/health/drill/check/begun-late", test_begun_late);
  g_test_add_func ("/health/drill/check/64-race", test_race);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (monitor_fixture_drop_log, NULL, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (drills); i++)
    {
      g_autofree char *path = g_strconcat ("/health/drill/word/", drills[i].name, NULL);

      g_test_add_data_func (path, &drills[i], test_word);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (faults); i++)
    {
      g_autofree char *path = g_strconcat ("/health/drill/fault/", faults[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_fault);
    }
  g_test_add_func ("/health/drill/fault/comes-to", test_comes_to);
  add_services ();
  add_checks ();
  return g_test_run ();
}
