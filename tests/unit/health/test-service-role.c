/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>

/* semantics §1, defaults by role */
static const struct
{
  DerateServiceRole role;
  const char *nick;
  guint failures;
  guint seconds;
  const char *criticality;
} roles[] = {
  { DERATE_SERVICE_ROLE_NONE, "none", 5, 60, "medium" },
  { DERATE_SERVICE_ROLE_DATABASE, "database", 3, 30, "critical" },
  { DERATE_SERVICE_ROLE_AI, "ai", 5, 60, "high" },
  { DERATE_SERVICE_ROLE_CACHE, "cache", 5, 20, "medium" },
  { DERATE_SERVICE_ROLE_STORAGE, "storage", 5, 30, "low" },
};

static void
test_roles (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (roles); i++)
    {
      g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();
      g_autoptr (GError) error = NULL;
      DerateServiceRole role = DERATE_SERVICE_ROLE_NONE;
      DerateCriticality criticality = derate_service_role_get_criticality (roles[i].role);
      DerateCriticality read = DERATE_CRITICALITY_LOW;

      g_assert_cmpstr (derate_service_role_get_nick (roles[i].role), ==, roles[i].nick);
      g_assert_true (derate_service_role_from_nick (roles[i].nick, &role, &error));
      g_assert_no_error (error);
      g_assert_cmpint (role, ==, roles[i].role);

      g_assert_cmpstr (derate_criticality_get_nick (criticality), ==, roles[i].criticality);
      g_assert_true (derate_criticality_from_nick (roles[i].criticality, &read, &error));
      g_assert_no_error (error);
      g_assert_cmpint (read, ==, criticality);

      derate_breaker_config_set_failure_threshold (config, 99);
      derate_service_role_apply_defaults (roles[i].role, config);
      if (roles[i].role == DERATE_SERVICE_ROLE_NONE)
        {
          /* The built-in: it gives way to what was there. */
          g_assert_cmpuint (derate_breaker_config_get_failure_threshold (config), ==, 99);
          continue;
        }
      g_assert_cmpuint (derate_breaker_config_get_failure_threshold (config), ==,
                        roles[i].failures);
      g_assert_cmpint (derate_breaker_config_get_open_duration (config), ==,
                       roles[i].seconds * G_TIME_SPAN_SECOND);
    }
}

static void
test_unknown (void)
{
  g_autoptr (GError) error = NULL;
  DerateServiceRole role;
  DerateCriticality criticality;

  g_assert_false (derate_service_role_from_nick ("db", &role, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "“db”"));
  g_clear_error (&error);
  g_assert_false (derate_criticality_from_nick ("HIGH", &criticality, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "“HIGH”"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/health/service-role/defaults", test_roles);
  g_test_add_func ("/health/service-role/unknown", test_unknown);
  return g_test_run ();
}
