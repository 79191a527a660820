/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-core-plan-private.h"

#include <string.h>

#include "derate-enum-types.h"
#include "derate-error.h"
#include "derate-degradation-manager-private.h"
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
  GError *reason = NULL;

  g_ptr_array_add (plan->services, service);
  service->name = g_strdup (name);
  service->plugin = derate_config_get_text (plan->config, group, "plugin", NULL);
  service->breaker_name = g_strdup (derate_config_get_text (plan->config, group, "breaker", name));

  if (service->plugin != NULL &&
      derate_plugin_loader_load (loader, service->plugin, &reason) == NULL)
    return refuse (plan->config, group, "plugin", reason, error);
  if (!plan_role (plan, service, group, loader, error) ||
      !plan_check (plan, service, group, loader, error))
    return FALSE;
  service->breaker_config =
      derate_config_dup_breaker_config (plan->config, name, service->role, error);
  return service->breaker_config != NULL;
}

static gboolean
check_alternate (DerateCorePlan *plan, DeratePlannedService *service, GError **error)
{
  g_autofree char *group = group_name ("service", service->name);
  const char *alternate = derate_config_get_text (plan->config, group, "alternate", NULL);
  g_autofree char *alternate_group = group_name ("service", alternate != NULL ? alternate : "");
  GError *reason = NULL;

  if (alternate == NULL || derate_config_has_group (plan->config, alternate_group))
    return TRUE;
  reason = g_error_new (DERATE_ERROR, DERATE_ERROR_NO_SUCH_SERVICE, "no service “%s”", alternate);
  return refuse (plan->config, group, "alternate", reason, error);
}

static gboolean
plan_services (DerateCorePlan *plan, DeratePluginLoader *loader, GError **error)
{
  g_auto (GStrv) names = derate_config_list_names (plan->config, "service");

  for (guint i = 0; names[i] != NULL; i++)
    if (!plan_service (plan, names[i], loader, error) ||
        !check_alternate (plan, g_ptr_array_index (plan->services, i), error))
      return FALSE;
  return TRUE;
}

/* The group of the rule that is refused also when it is the only one; else that of all rules. */
static char *
find_culprit (DerateCorePlan *plan, GPtrArray *inputs)
{
  for (guint i = 0; i < plan->rules->len; i++)
    {
      DerateRule *rule = g_ptr_array_index (plan->rules, i);
      g_autoptr (GPtrArray) alone = g_ptr_array_new ();
      g_autoptr (DerateRuleSet) set = NULL;

      g_ptr_array_add (alone, rule);
      set = derate_rule_set_new (inputs, alone, plan->rules_mode, NULL);
      if (set == NULL)
        return group_name ("rule", derate_rule_get_id (rule));
    }
  return g_strdup ("derate");
}

static gboolean
plan_rules (DerateCorePlan *plan, GError **error)
{
  g_auto (GStrv) names = derate_config_list_names (plan->config, "rule");
  g_autoptr (GPtrArray) inputs = derate_core_plan_list_inputs (plan);
  g_autoptr (DerateRuleSet) set = NULL;
  g_autofree char *culprit = NULL;
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
  if (set != NULL)
    return TRUE;
  culprit = find_culprit (plan, inputs);
  return refuse (plan->config, culprit, NULL, reason, error);
}

static gboolean
add_feature (DerateCorePlan *plan, DerateRuleSet *rules, const char *name, GError **error)
{
  g_autofree char *group = group_name ("feature", name);
  GError *reason = NULL;
  DerateFeature *feature =
      derate_feature_parse (name, derate_config_get_text (plan->config, group, "needs", ""),
                            derate_config_get_text (plan->config, group, "until", "emergency"),
                            &reason);

  if (feature == NULL)
    return refuse (plan->config, group, NULL, reason, error);
  g_ptr_array_add (plan->features, feature);
  return derate_degradation_manager_check_features (rules, plan->features, &reason) ||
         refuse (plan->config, group, NULL, reason, error);
}

static gboolean
plan_features (DerateCorePlan *plan, GError **error)
{
  g_auto (GStrv) names = derate_config_list_names (plan->config, "feature");
  g_autoptr (GPtrArray) inputs = derate_core_plan_list_inputs (plan);
  g_autoptr (DerateRuleSet) rules =
      derate_rule_set_new (inputs, plan->rules, plan->rules_mode, error);

  if (rules == NULL)
    return FALSE;
  for (guint i = 0; names[i] != NULL; i++)
    if (!add_feature (plan, rules, names[i], error))
      return FALSE;
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
      !plan_features (plan, error))
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
