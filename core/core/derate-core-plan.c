/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-core-plan-private.h"

#include <string.h>

#include "derate-enum-types.h"
#include "derate-error.h"
#include "derate-fallback-cycle.h"
#include "derate-feature.h"

static void
planned_service_free (gpointer data)
{
  DeratePlannedService *service = data;

  g_free (service->name);
  g_clear_object (&service->check);
  g_clear_pointer (&service->check_config, derate_health_check_config_free);
  g_free (service->breaker_name);
  g_clear_pointer (&service->breaker_config, derate_breaker_config_free);
  g_free (service);
}

void
derate_core_plan_free (DerateCorePlan *plan)
{
  derate_config_unref (plan->config);
  g_ptr_array_unref (plan->services);
  g_ptr_array_unref (plan->rules);
  g_ptr_array_unref (plan->features);
  g_free (plan);
}

static char *
group_name (const char *kind, const char *name)
{
  return g_strconcat (kind, " ", name, NULL);
}

/* Puts “file, [group], key: ” in front of @error, and gives it the code of a bad configuration. */
static gboolean
refuse (DerateConfig *config, const char *group, const char *key, GError *reason, GError **error)
{
  g_autofree char *origin = derate_config_dup_origin (config, group, key);

  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, "%s: %s", origin, reason->message);
  g_error_free (reason);
  return FALSE;
}

static gboolean
plan_role (DerateCorePlan *plan,
           DeratePlannedService *service,
           const char *group,
           DeratePluginLoader *loader,
           GError **error)
{
  const char *nick = derate_config_get_text (plan->config, group, "role", NULL);
  const char *criticality = derate_config_get_text (plan->config, group, "criticality", NULL);
  GError *reason = NULL;

  if (nick == NULL && service->plugin != NULL)
    nick = derate_plugin_loader_get_default_role (loader, service->plugin);
  if (nick != NULL && !derate_service_role_from_nick (nick, &service->role, &reason))
    return refuse (plan->config, group, "role", reason, error);

  service->criticality = derate_service_role_get_criticality (service->role);
  if (criticality != NULL &&
      !derate_criticality_from_nick (criticality, &service->criticality, &reason))
    return refuse (plan->config, group, "criticality", reason, error);
  return TRUE;
}

static gboolean
plan_check (DerateCorePlan *plan,
            DeratePlannedService *service,
            const char *group,
            DeratePluginLoader *loader,
            GError **error)
{
  g_autoptr (GVariant) options = NULL;
  GError *reason = NULL;

  service->check_config = derate_config_dup_check_config (plan->config, service->name, error);
  if (service->check_config == NULL)
    return FALSE;
  if (service->plugin == NULL)
    return TRUE;
  options = g_variant_take_ref (derate_config_dup_check_options (plan->config, service->name));
  service->check =
      derate_plugin_loader_create_check (loader, service->plugin, service->name, options, &reason);
  return service->check != NULL || refuse (plan->config, group, "plugin", reason, error);
}

static gboolean
plan_service (DerateCorePlan *plan, const char *name, DeratePluginLoader *loader, GError **error)
{
  g_autofree char *group = group_name ("service", name);
  DeratePlannedService *service = g_new0 (DeratePlannedService, 1);
  g_autoptr (DeratePlugin) plugin = NULL;
  GError *reason = NULL;

  g_ptr_array_add (plan->services, service);
  service->name = g_strdup (name);
  service->plugin = derate_config_get_text (plan->config, group, "plugin", NULL);
  service->breaker_name = g_strdup (derate_config_get_text (plan->config, group, "breaker", name));

  if (service->plugin != NULL)
    {
      plugin = derate_plugin_loader_load (loader, service->plugin, &reason);
      if (plugin == NULL)
        return refuse (plan->config, group, "plugin", reason, error);
    }
  if (!plan_role (plan, service, group, loader, error) ||
      !plan_check (plan, service, group, loader, error))
    return FALSE;
  service->breaker_config =
      derate_config_dup_breaker_config (plan->config, name, service->role, error);
  return service->breaker_config != NULL;
}

static gboolean
plan_services (DerateCorePlan *plan, DeratePluginLoader *loader, GError **error)
{
  g_auto (GStrv) names = derate_config_list_names (plan->config, "service");

  for (guint i = 0; names[i] != NULL; i++)
    if (!plan_service (plan, names[i], loader, error))
      return FALSE;
  return TRUE;
}

static gboolean
plan_rules (DerateCorePlan *plan, GError **error)
{
  g_auto (GStrv) names = derate_config_list_names (plan->config, "rule");
  g_autoptr (GPtrArray) inputs = derate_core_plan_list_inputs (plan);
  g_autoptr (DerateRuleSet) set = NULL;
  GError *reason = NULL;

  plan->rules_mode =
      derate_config_get_enum (plan->config, "derate", "rules", DERATE_TYPE_RULE_SET_MODE,
                              DERATE_RULE_SET_MODE_EXTEND);
  for (guint i = 0; names[i] != NULL; i++)
    {
      g_autofree char *group = group_name ("rule", names[i]);
      DerateRule *rule =
          derate_rule_parse (names[i], derate_config_get_text (plan->config, group, "when", ""),
                             derate_config_get_text (plan->config, group, "level", ""), &reason);

      if (rule == NULL)
        return refuse (plan->config, group, NULL, reason, error);
      g_ptr_array_add (plan->rules, rule);
    }
  set = derate_rule_set_new (inputs, plan->rules, plan->rules_mode, &reason);
  return set != NULL || refuse (plan->config, "derate", "rules", reason, error);
}

static gboolean
plan_features (DerateCorePlan *plan, GError **error)
{
  g_auto (GStrv) names = derate_config_list_names (plan->config, "feature");
  GError *reason = NULL;

  for (guint i = 0; names[i] != NULL; i++)
    {
      g_autofree char *group = group_name ("feature", names[i]);
      DerateFeature *feature =
          derate_feature_parse (names[i], derate_config_get_text (plan->config, group, "needs", ""),
                                derate_config_get_text (plan->config, group, "until", "emergency"),
                                &reason);

      if (feature == NULL)
        return refuse (plan->config, group, NULL, reason, error);
      g_ptr_array_add (plan->features, feature);
    }
  return TRUE;
}

static gboolean
has_service (DerateCorePlan *plan, const char *name)
{
  for (guint i = 0; i < plan->services->len; i++)
    if (strcmp (((DeratePlannedService *)g_ptr_array_index (plan->services, i))->name, name) == 0)
      return TRUE;
  return FALSE;
}

/* An `alternate` answers with its own fallbacks behind it, so a ring of them would never end. */
static gboolean
check_alternates (DerateCorePlan *plan, GError **error)
{
  g_autoptr (GArray) edges = g_array_new (FALSE, FALSE, sizeof (DerateFallbackEdge));
  GError *reason = NULL;

  for (guint i = 0; i < plan->services->len; i++)
    {
      DeratePlannedService *service = g_ptr_array_index (plan->services, i);
      g_autofree char *group = group_name ("service", service->name);
      const char *alternate = derate_config_get_text (plan->config, group, "alternate", NULL);
      DerateFallbackEdge edge = { .from = service->name, .to = alternate, .runs_fallback = TRUE };

      if (alternate == NULL)
        continue;
      if (!has_service (plan, alternate))
        {
          reason = g_error_new (DERATE_ERROR, DERATE_ERROR_NO_SUCH_SERVICE, "no service “%s”",
                                alternate);
          return refuse (plan->config, group, "alternate", reason, error);
        }
      g_array_append_val (edges, edge);
      if (!derate_fallback_check_cycles ((const DerateFallbackEdge *)(gpointer)edges->data,
                                         edges->len, &reason))
        return refuse (plan->config, group, "alternate", reason, error);
    }
  return TRUE;
}

DerateCorePlan *
derate_core_plan_new (DerateConfig *config, DeratePluginLoader *loader, GError **error)
{
  g_autoptr (DerateCorePlan) plan = g_new0 (DerateCorePlan, 1);

  plan->config = derate_config_ref (config);
  plan->services = g_ptr_array_new_with_free_func (planned_service_free);
  plan->rules = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_unref);
  plan->features = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_feature_unref);

  if (!plan_services (plan, loader, error) || !plan_rules (plan, error) ||
      !plan_features (plan, error) || !check_alternates (plan, error))
    return NULL;
  return g_steal_pointer (&plan);
}

GPtrArray *
derate_core_plan_list_inputs (DerateCorePlan *plan)
{
  GPtrArray *inputs = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_input_unref);

  for (guint i = 0; i < plan->services->len; i++)
    {
      DeratePlannedService *service = g_ptr_array_index (plan->services, i);

      g_ptr_array_add (inputs,
                       derate_rule_input_new (service->name, service->role, service->criticality));
    }
  return inputs;
}
