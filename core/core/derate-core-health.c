/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-core-object-private.h"
#include "derate-degradation-manager-private.h"
#include "derate-version.h"

/* `/health` in the shape of application/health+json (the IETF draft "Health Check Response Format
 * for HTTP APIs", revision 06): pass, warn, fail. */

static const char *
status_of_level (DerateLevel level)
{
  if (level >= DERATE_LEVEL_EMERGENCY)
    return "fail";
  return level == DERATE_LEVEL_OPTIMAL ? "pass" : "warn";
}

static const char *
status_of_service (DerateHealthStatus status)
{
  if (status == DERATE_HEALTH_STATUS_DOWN)
    return "fail";
  return status == DERATE_HEALTH_STATUS_HEALTHY ? "pass" : "warn";
}

static const char *
component_type (DerateServiceRole role)
{
  switch (role)
    {
    case DERATE_SERVICE_ROLE_DATABASE:
    case DERATE_SERVICE_ROLE_CACHE:
    case DERATE_SERVICE_ROLE_STORAGE:
      return "datastore";
    default:
      return "component";
    }
}

/* RFC 3339 in UTC, whole seconds. */
static char *
format_time (gint64 real_time)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (real_time / G_TIME_SPAN_SECOND);

  return g_date_time_format (time, "%Y-%m-%dT%H:%M:%SZ");
}

static GVariant *
check_to_variant (DerateCore *core, DerateService *service)
{
  DerateHealthStatus status = derate_service_get_status (service);
  DerateHealthCause cause = derate_service_get_cause (service);
  gint64 checked = derate_service_get_last_check (service);
  g_autofree char *time =
      format_time (checked > 0 ? checked : derate_clock_get_real_time (core->clock));
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  g_variant_builder_open (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&builder, "{sv}", "componentId",
                         g_variant_new_string (derate_service_get_name (service)));
  g_variant_builder_add (&builder, "{sv}", "componentType",
                         g_variant_new_string (component_type (derate_service_get_role (service))));
  g_variant_builder_add (&builder, "{sv}", "status",
                         g_variant_new_string (status_of_service (status)));
  g_variant_builder_add (&builder, "{sv}", "output",
                         g_variant_new_string (cause == DERATE_HEALTH_CAUSE_NONE
                                                   ? ""
                                                   : derate_health_cause_get_nick (cause)));
  g_variant_builder_add (&builder, "{sv}", "time", g_variant_new_string (time));
  g_variant_builder_close (&builder);
  return g_variant_builder_end (&builder);
}

/* “ai-and-cache: openai down, redis down” */
static char *
describe_reason (DerateCore *core)
{
  g_autofree char *rule = derate_degradation_manager_dup_rule (core->manager);
  g_autoptr (GVariant) inputs = derate_degradation_manager_dup_inputs (core->manager);
  GString *text = g_string_new (rule);
  GVariantIter iter;
  const char *name;
  const char *status;
  const char *separator = ": ";

  g_variant_iter_init (&iter, inputs);
  while (g_variant_iter_next (&iter, "{&s&s}", &name, &status))
    {
      g_string_append_printf (text, "%s%s %s", separator, name, status);
      separator = ", ";
    }
  return g_string_free (text, FALSE);
}

/**
 * derate_core_dup_health:
 * @core: a core
 *
 * The health of the program and its services, as `/health` has it. May be called from any thread.
 *
 * Returns: (transfer full): an `a{sv}`
 *
 * Since: 1.0
 */
GVariant *
derate_core_dup_health (DerateCore *core)
{
  g_autoptr (GPtrArray) services = NULL;
  g_autofree char *reason = NULL;
  GVariantBuilder checks;
  GVariantBuilder builder;
  DerateLevel level;

  g_return_val_if_fail (DERATE_IS_CORE (core), NULL);

  level = derate_degradation_manager_get_level (core->manager);
  reason = describe_reason (core);
  services = derate_core_snapshot_services (core);
  g_variant_builder_init (&checks, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; i < services->len; i++)
    {
      DerateService *service = g_ptr_array_index (services, i);

      g_variant_builder_add (&checks, "{sv}", derate_service_get_name (service),
                             check_to_variant (core, service));
    }

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&builder, "{sv}", "status",
                         g_variant_new_string (status_of_level (level)));
  g_variant_builder_add (&builder, "{sv}", "version", g_variant_new_string ("1"));
  g_variant_builder_add (&builder, "{sv}", "releaseId", g_variant_new_string (DERATE_VERSION));
  g_variant_builder_add (&builder, "{sv}", "level",
                         g_variant_new_string (derate_level_get_nick (level)));
  g_variant_builder_add (&builder, "{sv}", "output", g_variant_new_string (reason));
  g_variant_builder_add (&builder, "{sv}", "checks", g_variant_builder_end (&checks));
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}
