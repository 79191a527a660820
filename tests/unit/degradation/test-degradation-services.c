/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>

#include "derate-degradation-manager-private.h"
#include "derate-service-private.h"

/* From a failed call to the level: breaker, service and manager together, without a check. */

typedef struct
{
  DerateManualClock *clock;
  DerateDegradationManager *manager;
  DerateBreaker *breaker;
  GPtrArray *services;
} Fixture;

static void
on_service_changed (DerateService *service, gpointer manager)
{
  derate_degradation_manager_service_changed (manager);
}

static void
set_up (Fixture *f, gconstpointer unused)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
  g_autoptr (GError) error = NULL;
  DerateService *service;

  f->clock = DERATE_MANUAL_CLOCK (derate_manual_clock_new ());
  derate_breaker_config_set_failure_threshold (config, 3);
  f->breaker = derate_breaker_new_with_clock ("openai", config, DERATE_CLOCK (f->clock));
  f->manager = derate_degradation_manager_new (DERATE_CLOCK (f->clock), NULL);
  f->services = g_ptr_array_new_with_free_func (g_object_unref);
  service = derate_service_new ("openai", DERATE_SERVICE_ROLE_AI, DERATE_CLOCK (f->clock));
  g_ptr_array_add (f->services, service);
  derate_service_set_breaker (service, f->breaker);
  derate_service_set_hook (service, on_service_changed, f->manager);
  g_assert_true (derate_degradation_manager_set_services (f->manager, f->services, NULL,
                                                          DERATE_RULE_SET_MODE_EXTEND, NULL,
                                                          &error));
  g_assert_no_error (error);
  derate_degradation_manager_first_sweep_done (f->manager);
}

static void
tear_down (Fixture *f, gconstpointer unused)
{
  derate_service_set_hook (g_ptr_array_index (f->services, 0), NULL, NULL);
  derate_manual_clock_advance (f->clock, 0);
  g_assert_finalize_object (f->manager);
  g_ptr_array_unref (f->services);
  g_object_unref (f->breaker);
  g_object_unref (f->clock);
}

static gpointer
fail_three_times (gpointer data)
{
  Fixture *f = data;

  for (guint i = 0; i < 3; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
      g_autoptr (GError) error = g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "no answer");

      g_assert_true (derate_breaker_acquire (f->breaker, &permit, NULL));
      derate_permit_fail (&permit, error);
    }
  return GINT_TO_POINTER (derate_degradation_manager_get_level (f->manager));
}

static void
test_fail_worsens (Fixture *f, gconstpointer unused)
{
  g_autoptr (DerateGate) ai = derate_degradation_manager_get_gate (f->manager, "ai");
  GThread *thread;

  g_assert_cmpint (derate_degradation_manager_get_level (f->manager), ==, DERATE_LEVEL_OPTIMAL);
  g_assert_true (derate_gate_is_open (ai));
  thread = g_thread_new ("caller", fail_three_times, f);
  g_assert_cmpint (GPOINTER_TO_INT (g_thread_join (thread)), ==, DERATE_LEVEL_DEGRADED);
  g_assert_false (derate_gate_is_open (ai));
}

static void
test_refused_rules (Fixture *f, gconstpointer unused)
{
  g_autoptr (GPtrArray) rules = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_unref);
  g_autoptr (GError) error = NULL;

  g_ptr_array_add (rules, derate_rule_parse ("odd", "openai=healthy", "emergency", NULL));
  g_assert_false (derate_degradation_manager_set_services (f->manager, f->services, rules,
                                                           DERATE_RULE_SET_MODE_EXTEND, NULL,
                                                           &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
}

/* Though the services are as they were. */
static void
test_new_rules (Fixture *f, gconstpointer unused)
{
  g_autoptr (GPtrArray) rules = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_unref);
  g_autoptr (GError) error = NULL;
  g_autofree char *rule = NULL;

  g_assert_cmpint (derate_degradation_manager_get_level (f->manager), ==, DERATE_LEVEL_OPTIMAL);
  g_ptr_array_add (rules, derate_rule_parse ("always", "openai>=healthy", "limited", NULL));
  g_assert_true (derate_degradation_manager_set_services (f->manager, f->services, rules,
                                                          DERATE_RULE_SET_MODE_EXTEND, NULL,
                                                          &error));
  g_assert_no_error (error);
  g_assert_cmpint (derate_degradation_manager_get_level (f->manager), ==, DERATE_LEVEL_LIMITED);
  rule = derate_degradation_manager_dup_rule (f->manager);
  g_assert_cmpstr (rule, ==, "always");
}

#define ADD(name, func) \
  g_test_add ("/degradation/services/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  /* A level that worsens is a warning in the log. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  ADD ("fail-worsens", test_fail_worsens);
  ADD ("refused-rules", test_refused_rules);
  ADD ("new-rules", test_new_rules);
  return g_test_run ();
}
