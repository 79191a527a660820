/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What users of a service find, beside what its checks and its breaker say. */
#include "fake-check.h"

#define H DERATE_HEALTH_STATUS_HEALTHY
#define D DERATE_HEALTH_STATUS_DEGRADED
#define X DERATE_HEALTH_STATUS_DOWN

typedef struct
{
  DerateClock *clock;
  FakeCheck *check;
  DerateService *service;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->clock = derate_manual_clock_new ();
  f->check = fake_check_new (f->clock);
  f->service = derate_service_new ("database", DERATE_SERVICE_ROLE_DATABASE, f->clock);
  derate_service_set_health_check (f->service, DERATE_HEALTH_CHECK (f->check));
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (f->clock), 0);
  g_assert_finalize_object (f->service);
  g_assert_finalize_object (f->check);
  g_object_unref (f->clock);
}

static void
assert_status (Fixture *f, DerateHealthStatus status, DerateHealthCause cause)
{
  g_assert_cmpstr (derate_health_status_get_nick (derate_service_get_status (f->service)), ==,
                   derate_health_status_get_nick (status));
  g_assert_cmpstr (derate_health_cause_get_nick (derate_service_get_cause (f->service)), ==,
                   derate_health_cause_get_nick (cause));
}

static void
find (Fixture *f, const char *source, DerateHealthStatus status, DerateHealthCause cause)
{
  g_autoptr (DerateHealthReport) report = derate_health_report_new (status, cause, source);

  derate_service_set_finding (f->service, source, report);
}

static void
check (Fixture *f, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      derate_service_check_async (f->service, NULL, NULL, NULL);
      derate_manual_clock_advance (DERATE_MANUAL_CLOCK (f->clock), 0);
    }
}

static void
test_worst (Fixture *f, gconstpointer data)
{
  g_autofree char *error = NULL;
  g_autofree char *none = NULL;

  check (f, 1);
  assert_status (f, H, DERATE_HEALTH_CAUSE_NONE);
  find (f, "pool a", D, DERATE_HEALTH_CAUSE_OVERLOADED);
  assert_status (f, D, DERATE_HEALTH_CAUSE_OVERLOADED);
  find (f, "pool b", X, DERATE_HEALTH_CAUSE_REFUSED);
  assert_status (f, X, DERATE_HEALTH_CAUSE_REFUSED);
  error = derate_service_dup_error (f->service);
  g_assert_cmpstr (error, ==, "pool b");
  find (f, "pool b", H, DERATE_HEALTH_CAUSE_NONE);
  assert_status (f, D, DERATE_HEALTH_CAUSE_OVERLOADED);
  derate_service_set_finding (f->service, "pool a", NULL);
  assert_status (f, H, DERATE_HEALTH_CAUSE_NONE);
  derate_service_set_finding (f->service, "pool a", NULL);
  derate_service_set_finding (f->service, "pool b", NULL);
  none = derate_service_dup_error (f->service);
  g_assert_null (none);
}

/* A worse check is not made better, and one that says the same keeps its cause. */
static void
test_check (Fixture *f, gconstpointer data)
{
  fake_check_set (f->check, D, DERATE_HEALTH_CAUSE_SLOW, "slow");
  check (f, 3);
  find (f, "pool", D, DERATE_HEALTH_CAUSE_READ_ONLY);
  assert_status (f, D, DERATE_HEALTH_CAUSE_SLOW);
  fake_check_set (f->check, X, DERATE_HEALTH_CAUSE_REFUSED, "refused");
  check (f, 3);
  assert_status (f, X, DERATE_HEALTH_CAUSE_REFUSED);
  fake_check_set (f->check, H, DERATE_HEALTH_CAUSE_NONE, NULL);
  check (f, 2);
  assert_status (f, D, DERATE_HEALTH_CAUSE_READ_ONLY);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK |
                          G_LOG_LEVEL_CRITICAL); /* a worse status is a warning */
#define ADD(name, func) \
  g_test_add ("/health/service/finding/" name, Fixture, NULL, set_up, func, tear_down)
  ADD ("worst", test_worst);
  ADD ("check", test_check);
  return g_test_run ();
}
