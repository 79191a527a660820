/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>

#include "derate-degradation-manager-private.h"

/* A service is an object with a status that the test sets. */
#define TEST_TYPE_SERVICE (test_service_get_type ())
G_DECLARE_FINAL_TYPE (TestService, test_service, TEST, SERVICE, GObject)

struct _TestService
{
  GObject parent_instance;
  guint status;
};

G_DEFINE_FINAL_TYPE (TestService, test_service, G_TYPE_OBJECT)

static void
test_service_class_init (TestServiceClass *klass)
{
}

static void
test_service_init (TestService *self)
{
  self->status = DERATE_HEALTH_STATUS_HEALTHY;
}

static DerateHealthStatus
test_service_read (gpointer service, gboolean in_grace)
{
  return __atomic_load_n (&TEST_SERVICE (service)->status, __ATOMIC_ACQUIRE);
}

enum
{
  DATABASE,
  REDIS,
  OPENAI,
  S3,
  N_SERVICES,
};

typedef struct
{
  DerateManualClock *clock;
  GMainContext *context;
  DerateDegradationManager *manager;
  GPtrArray *services;
  GString *told; /* what signals said */
} Fixture;

static void
on_level_changed (DerateDegradationManager *manager,
                  DerateLevel old_level,
                  DerateLevel new_level,
                  const char *rule,
                  Fixture *f)
{
  g_string_append_printf (f->told, "%u>%u:%s ", derate_level_get_number (old_level),
                          derate_level_get_number (new_level), rule);
}

static DerateRuleSet *
make_rules (void)
{
  static const struct
  {
    const char *name;
    DerateServiceRole role;
  } inputs[N_SERVICES] = {
    [DATABASE] = { "database", DERATE_SERVICE_ROLE_DATABASE },
    [REDIS] = { "redis", DERATE_SERVICE_ROLE_CACHE },
    [OPENAI] = { "openai", DERATE_SERVICE_ROLE_AI },
    [S3] = { "s3", DERATE_SERVICE_ROLE_STORAGE },
  };
  g_autoptr (GPtrArray) list =
      g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_input_unref);
  g_autoptr (GError) error = NULL;
  DerateRuleSet *rules;

  for (guint i = 0; i < N_SERVICES; i++)
    g_ptr_array_add (list, derate_rule_input_new (inputs[i].name, inputs[i].role,
                                                  DERATE_CRITICALITY_MEDIUM));
  rules = derate_rule_set_new (list, NULL, DERATE_RULE_SET_MODE_EXTEND, &error);
  g_assert_no_error (error);
  return rules;
}

static void
set_up (Fixture *f, gconstpointer unused)
{
  g_autoptr (DerateRuleSet) rules = make_rules ();
  g_autoptr (GError) error = NULL;

  f->clock = DERATE_MANUAL_CLOCK (derate_manual_clock_new ());
  f->context = g_main_context_ref_thread_default ();
  f->manager = derate_degradation_manager_new (DERATE_CLOCK (f->clock), NULL);
  f->services = g_ptr_array_new_with_free_func (g_object_unref);
  f->told = g_string_new (NULL);
  for (guint i = 0; i < N_SERVICES; i++)
    g_ptr_array_add (f->services, g_object_new (TEST_TYPE_SERVICE, NULL));
  g_signal_connect (f->manager, "level-changed", G_CALLBACK (on_level_changed), f);
  g_assert_true (derate_degradation_manager_set_inputs (f->manager, rules, f->services,
                                                        test_service_read, NULL, &error));
  g_assert_no_error (error);
  derate_degradation_manager_start (f->manager, f->context);
}

static void
tear_down (Fixture *f, gconstpointer unused)
{
  derate_degradation_manager_stop (f->manager);
  derate_manual_clock_advance (f->clock, 0);
  g_assert_finalize_object (f->manager);
  g_ptr_array_unref (f->services);
  g_string_free (f->told, TRUE);
  g_main_context_unref (f->context);
  g_assert_finalize_object (f->clock);
}

static void
set_status (Fixture *f, guint service, DerateHealthStatus status)
{
  TestService *object = g_ptr_array_index (f->services, service);

  __atomic_store_n (&object->status, status, __ATOMIC_RELEASE);
  derate_degradation_manager_service_changed (f->manager);
}

static void
advance (Fixture *f, guint seconds)
{
  derate_manual_clock_advance (f->clock, seconds * G_TIME_SPAN_SECOND);
}

#define assert_level(f, nick)                                                                   \
  g_assert_cmpstr (derate_level_get_nick (derate_degradation_manager_get_level ((f)->manager)), \
                   ==, nick)

static void
assert_rule (Fixture *f, const char *expected)
{
  g_autofree char *rule = derate_degradation_manager_dup_rule (f->manager);

  g_assert_cmpstr (rule, ==, expected);
}

static void
test_first_level (Fixture *f, gconstpointer unused)
{
  set_status (f, REDIS, DERATE_HEALTH_STATUS_DOWN);
  assert_level (f, "unknown");
  g_assert_false (derate_degradation_manager_is_ready (f->manager));
  derate_degradation_manager_first_sweep_done (f->manager);
  assert_level (f, "degraded");
  assert_rule (f, "dependency-down");
  advance (f, 0);
  g_assert_cmpstr (f->told->str, ==, "0>2:dependency-down ");
}

static void
test_worsens_at_once_improves_at_tick (Fixture *f, gconstpointer unused)
{
  derate_degradation_manager_first_sweep_done (f->manager);
  assert_level (f, "optimal");
  advance (f, 10);
  set_status (f, DATABASE, DERATE_HEALTH_STATUS_DOWN);
  assert_level (f, "minimal");
  set_status (f, DATABASE, DERATE_HEALTH_STATUS_HEALTHY);
  assert_level (f, "minimal");
  assert_rule (f, "database-limited");
  advance (f, 20); /* the tick at 30 s comes 20 s after the worsening */
  assert_level (f, "minimal");
  advance (f, 29);
  assert_level (f, "minimal");
  advance (f, 1);
  assert_level (f, "optimal");
  assert_rule (f, "all-well");
  g_assert_cmpstr (f->told->str, ==, "0>1:all-well 1>4:database-limited 4>1:all-well ");
}

#define ADD(name, func) \
  g_test_add ("/degradation/manager/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  /* A level that worsens is a warning in the log. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  ADD ("first-level", test_first_level);
  ADD ("worsens-at-once-improves-at-tick", test_worsens_at_once_improves_at_tick);
  return g_test_run ();
}
