/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager-fixture.h"

/* A service is an object with a status that the test sets. */
#define TEST_TYPE_SERVICE (test_service_get_type ())
G_DECLARE_FINAL_TYPE (TestService, test_service, TEST, SERVICE, GObject)

struct _TestService
{
  GObject parent_instance;
  guint status;
  guint pretended; /* by a drill */
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

DerateHealthStatus
fixture_read (gpointer service, gboolean in_grace, gboolean with_drills)
{
  TestService *object = TEST_SERVICE (service);
  guint status = __atomic_load_n (&object->status, __ATOMIC_ACQUIRE);

  return with_drills ? MAX (status, __atomic_load_n (&object->pretended, __ATOMIC_ACQUIRE))
                     : status;
}

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

DerateRuleSet *
fixture_make_rules (void)
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

void
fixture_set_up (Fixture *f, gconstpointer unused)
{
  g_autoptr (DerateRuleSet) rules = fixture_make_rules ();
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
                                                        fixture_read, NULL, &error));
  g_assert_no_error (error);
  derate_degradation_manager_start (f->manager, f->context);
}

void
fixture_tear_down (Fixture *f, gconstpointer unused)
{
  derate_degradation_manager_stop (f->manager);
  derate_manual_clock_advance (f->clock, 0);
  g_assert_finalize_object (f->manager);
  g_ptr_array_unref (f->services);
  g_string_free (f->told, TRUE);
  g_main_context_unref (f->context);
  g_assert_finalize_object (f->clock);
}

void
fixture_begin (Fixture *f)
{
  derate_degradation_manager_first_sweep_done (f->manager);
  fixture_assert_level (f, "optimal");
  fixture_assert_told (f, "0>1:all-well ");
}

void
fixture_set_status_silently (Fixture *f, guint service, DerateHealthStatus status)
{
  TestService *object = g_ptr_array_index (f->services, service);

  __atomic_store_n (&object->status, status, __ATOMIC_RELEASE);
}

void
fixture_set_status (Fixture *f, guint service, DerateHealthStatus status)
{
  fixture_set_status_silently (f, service, status);
  derate_degradation_manager_service_changed (f->manager);
}

void
fixture_drill (Fixture *f, guint service, DerateHealthStatus status)
{
  TestService *object = g_ptr_array_index (f->services, service);
  gboolean begins = status != DERATE_HEALTH_STATUS_UNKNOWN;

  if (begins)
    derate_degradation_manager_add_drill_limit (f->manager, DERATE_LEVEL_EMERGENCY);
  __atomic_store_n (&object->pretended, status, __ATOMIC_RELEASE);
  derate_degradation_manager_service_changed (f->manager);
  if (!begins)
    derate_degradation_manager_remove_drill_limit (f->manager, DERATE_LEVEL_EMERGENCY);
}

void
fixture_advance (Fixture *f, guint seconds)
{
  derate_manual_clock_advance (f->clock, seconds * G_TIME_SPAN_SECOND);
}

void
fixture_assert_rule (Fixture *f, const char *expected)
{
  g_autofree char *rule = derate_degradation_manager_dup_rule (f->manager);

  g_assert_cmpstr (rule, ==, expected);
}
