/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "derate-config-private.h"
#include "derate-enum-types.h"
#include "derate-env.h"
#include "derate-error.h"
#include "derate-names-private.h"

/* What a service's breaker and check are set to, from all the places that have a say: the weakest
 * is applied first. Within a breaker: built-in, environment, role, preset of [derate], preset of
 * the service, key in the file. */

/* A name that is none was refused when the file was read. */
static void
apply_preset (DerateBreakerConfig *breaker, const char *name)
{
  if (name != NULL)
    derate_breaker_config_apply_preset (breaker, name, NULL);
}

/* Without a role the built-in stands, and gives way to presets and environment. */
static void
apply_role (DerateBreakerConfig *breaker, DerateServiceRole role)
{
  if (role == DERATE_SERVICE_ROLE_NONE)
    return;
  derate_breaker_config_set_failure_threshold (breaker,
                                               derate_service_role_get_failure_threshold (role));
  derate_breaker_config_set_open_duration (breaker, derate_service_role_get_open_duration (role));
}

static gboolean
apply_keys (DerateConfig *config,
            const char *group,
            const char *prefix,
            DerateBreakerConfig *breaker,
            GError **error)
{
  g_auto (GStrv) keys = derate_config_list_keys (config, group);

  for (guint i = 0; keys[i] != NULL; i++)
    {
      const char *property = keys[i] + strlen (prefix);
      g_autoptr (GError) local_error = NULL;
      g_autofree char *origin = NULL;

      if (!g_str_has_prefix (keys[i], prefix) || !derate_breaker_config_has_key (property))
        continue;
      if (derate_breaker_config_set_from_string (breaker, property,
                                                 derate_config_get_text (config, group, keys[i],
                                                                         ""),
                                                 &local_error))
        continue;
      origin = derate_config_dup_origin (config, group, keys[i]);
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, "%s: %s", origin,
                   local_error->message);
      return FALSE;
    }
  return TRUE;
}

DerateBreakerConfig *
derate_config_resolve_breaker (DerateConfig *config,
                               const char *service_group,
                               const char *breaker_group,
                               DerateServiceRole role,
                               GError **error)
{
  g_autoptr (DerateBreakerConfig) breaker = derate_breaker_config_new_from_environment (error);
  g_autoptr (GError) local_error = NULL;
  g_autofree char *origin = NULL;

  if (breaker == NULL)
    return NULL;
  apply_role (breaker, role);
  apply_preset (breaker, derate_config_get_text (config, "derate", "preset", NULL));
  apply_preset (breaker, derate_config_get_text (config, service_group, "preset", NULL));
  apply_preset (breaker, derate_config_get_text (config, breaker_group, "preset", NULL));
  if (!apply_keys (config, breaker_group, "", breaker, error) ||
      !apply_keys (config, service_group, "breaker-", breaker, error))
    return NULL;
  if (derate_breaker_config_validate (breaker, &local_error))
    return g_steal_pointer (&breaker);

  origin =
      derate_config_dup_origin (config,
                                derate_config_has_group (config, breaker_group) ? breaker_group
                                                                                : service_group,
                                NULL);
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, "%s: breaker: %s", origin,
               local_error->message);
  return NULL;
}

/**
 * derate_config_dup_breaker_config:
 * @config: a configuration
 * @service: the name of a service
 * @default_role: the role it has if its group names none: its plugin's
 * @error: where to put the error
 *
 * What the breaker of a service is set to. For each property the first that says something counts:
 * a `breaker-` key of the service or a key of the `[breaker]` that it names or that has its name,
 * the preset there, the preset of `[derate]`, the default of the role, the environment, the
 * built-in.
 *
 * Errors: %DERATE_ERROR_INVALID_CONFIG, for a variable of the environment that does not parse and
 * for values that do not go together.
 *
 * Returns: (transfer full): the settings, or %NULL with @error set
 *
 * Since: 1.0
 */
DerateBreakerConfig *
derate_config_dup_breaker_config (DerateConfig *config,
                                  const char *service,
                                  DerateServiceRole default_role,
                                  GError **error)
{
  g_autofree char *group = g_strconcat ("service ", service, NULL);
  g_autofree char *breaker_group =
      g_strconcat ("breaker ", derate_config_get_text (config, group, "breaker", service), NULL);
  int role =
      derate_config_get_enum (config, group, "role", DERATE_TYPE_SERVICE_ROLE, (int)default_role);

  return derate_config_resolve_breaker (config, group, breaker_group, (DerateServiceRole)role,
                                        error);
}

/**
 * derate_config_dup_check_config:
 * @config: a configuration
 * @service: the name of a service
 * @error: where to put the error
 *
 * How a service is to be checked: its `check-` keys over `RESILIENCE_MONITORING_INTERVAL` of the
 * environment over the built-in.
 *
 * Errors: %DERATE_ERROR_INVALID_CONFIG, for a variable that does not parse and for values that do
 * not go together.
 *
 * Returns: (transfer full): the settings, or %NULL with @error set
 *
 * Since: 1.0
 */
DerateHealthCheckConfig *
derate_config_dup_check_config (DerateConfig *config, const char *service, GError **error)
{
  g_autoptr (DerateHealthCheckConfig) check = derate_health_check_config_new ();
  g_autofree char *group = g_strconcat ("service ", service, NULL);
  g_auto (GStrv) keys = derate_config_list_keys (config, group);
  g_autofree char *origin = NULL;
  double seconds;

  if (!derate_env_get_number (DERATE_ENV_MONITORING_INTERVAL,
                              (double)derate_health_check_config_get_interval (check) /
                                  G_TIME_SPAN_SECOND,
                              0.01, 86400, &seconds, error))
    return NULL;
  derate_health_check_config_set_interval (check, (GTimeSpan)(seconds * G_TIME_SPAN_SECOND));

  for (guint i = 0; keys[i] != NULL; i++)
    if (derate_health_check_config_has_key (keys[i]) &&
        !derate_health_check_config_set_from_string (check, keys[i],
                                                     derate_config_get_text (config, group, keys[i],
                                                                             ""),
                                                     error))
      {
        origin = derate_config_dup_origin (config, group, keys[i]);
        g_prefix_error (error, "%s: ", origin);
        return NULL;
      }
  if (derate_health_check_config_validate (check, error))
    return g_steal_pointer (&check);
  origin = derate_config_dup_origin (config, group, NULL);
  g_prefix_error (error, "%s: ", origin);
  return NULL;
}

/**
 * derate_config_dup_check_options:
 * @config: a configuration
 * @service: the name of a service
 *
 * What the plugin of a service is told: `uri`, `password-file`, and the `check-` keys that the
 * library does not use itself. There may be a secret in it.
 *
 * Returns: (transfer full): an `a{ss}`
 *
 * Since: 1.0
 */
GVariant *
derate_config_dup_check_options (DerateConfig *config, const char *service)
{
  g_autofree char *group = g_strconcat ("service ", service, NULL);
  g_auto (GStrv) keys = derate_config_list_keys (config, group);
  g_auto (GVariantBuilder) options = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a{ss}"));

  for (guint i = 0; keys[i] != NULL; i++)
    if (strcmp (keys[i], "uri") == 0 || strcmp (keys[i], "password-file") == 0 ||
        (g_str_has_prefix (keys[i], "check-") && !derate_health_check_config_has_key (keys[i])))
      g_variant_builder_add (&options, "{ss}", keys[i],
                             derate_config_get_text (config, group, keys[i], ""));
  return g_variant_ref_sink (g_variant_builder_end (&options));
}
