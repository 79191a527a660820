/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl.h"

/* Says of a configuration what a program would say at its start, without starting anything: the
 * plugins are opened and make their checks, which then never run. */

static gboolean as_json;

static const GOptionEntry entries[] = {
  { "json", 0, 0, G_OPTION_ARG_NONE, &as_json, "Print services, rules and table as JSON", NULL },
  { NULL },
};

typedef struct
{
  DerateConfig *config;
  DeratePluginLoader *loader;
  GPtrArray *inputs; /* (element-type DerateRuleInput) */
  GPtrArray *rules; /* (element-type DerateRule) the program's own */
  DerateRuleSet *set;
} Check;

static void
check_clear (Check *check)
{
  g_clear_pointer (&check->config, derate_config_unref);
  g_clear_object (&check->loader);
  g_clear_pointer (&check->inputs, g_ptr_array_unref);
  g_clear_pointer (&check->rules, g_ptr_array_unref);
  g_clear_pointer (&check->set, derate_rule_set_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Check, check_clear)

static gboolean
check_plugin (Check *check, const char *group, const char *name, const char *plugin, GError **error)
{
  g_autofree char *origin = derate_config_dup_origin (check->config, group, "plugin");
  g_autoptr (GVariant) options = derate_config_dup_check_options (check->config, name);
  g_autoptr (DerateHealthCheck) made = NULL;

  if (derate_plugin_loader_load (check->loader, plugin, error) != NULL)
    made = derate_plugin_loader_create_check (check->loader, plugin, name, options, error);
  if (made == NULL)
    g_prefix_error (error, "%s: ", origin);
  return made != NULL;
}

static gboolean
check_service (Check *check, const char *name, GError **error)
{
  g_autofree char *group = g_strconcat ("service ", name, NULL);
  const char *plugin = derate_config_get_text (check->config, group, "plugin", NULL);
  g_autoptr (DerateBreakerConfig) breaker = NULL;
  const char *default_role = NULL;
  DerateServiceRole role = DERATE_SERVICE_ROLE_NONE;
  DerateCriticality criticality;

  if (plugin != NULL && !check_plugin (check, group, name, plugin, error))
    return FALSE;
  if (plugin != NULL)
    default_role = derate_plugin_loader_get_default_role (check->loader, plugin);
  if (default_role != NULL && !derate_service_role_from_nick (default_role, &role, error))
    return FALSE;
  role = (DerateServiceRole)derate_config_get_enum (check->config, group, "role",
                                                    DERATE_TYPE_SERVICE_ROLE, (int)role);
  criticality =
      (DerateCriticality)derate_config_get_enum (check->config, group, "criticality",
                                                 DERATE_TYPE_CRITICALITY,
                                                 (int)derate_service_role_get_criticality (role));
  breaker = derate_config_dup_breaker_config (check->config, name, role, error);
  if (breaker == NULL)
    return FALSE;
  g_ptr_array_add (check->inputs, derate_rule_input_new (name, role, criticality));
  return TRUE;
}

static gboolean
check_rules (Check *check, const char *path, GError **error)
{
  g_auto (GStrv) names = derate_config_list_names (check->config, "rule");
  int mode = derate_config_get_enum (check->config, "derate", "rules", DERATE_TYPE_RULE_SET_MODE,
                                     DERATE_RULE_SET_MODE_EXTEND);

  for (guint i = 0; names[i] != NULL; i++)
    {
      g_autofree char *group = g_strconcat ("rule ", names[i], NULL);
      DerateRule *rule =
          derate_rule_parse (names[i], derate_config_get_text (check->config, group, "when", NULL),
                             derate_config_get_text (check->config, group, "level", NULL), error);

      if (rule == NULL)
        return FALSE;
      g_ptr_array_add (check->rules, rule);
    }
  check->set = derate_rule_set_new (check->inputs, check->rules, (DerateRuleSetMode)mode, error);
  if (check->set == NULL)
    g_prefix_error (error, "file %s: ", path);
  return check->set != NULL;
}

/* Features, alternates, and all else that only a core looks at, which wants a name. */
static gboolean
check_core (Check *check, GError **error)
{
  g_autoptr (DerateCore) core = NULL;

  if (derate_config_get_text (check->config, "derate", "name", NULL) == NULL)
    return TRUE;
  core = derate_core_new_from_config (check->config, NULL, error);
  return core != NULL;
}

static gboolean
check_all (Check *check, const char *path, GError **error)
{
  g_auto (GStrv) services = NULL;

  check->config = derate_config_new_from_file (path, error);
  if (check->config == NULL)
    return FALSE;
  check->loader = derate_plugin_loader_new ();
  check->inputs = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_input_unref);
  check->rules = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_unref);
  services = derate_config_list_names (check->config, "service");
  for (guint i = 0; services[i] != NULL; i++)
    if (!check_service (check, services[i], error))
      return FALSE;
  return check_rules (check, path, error) && check_core (check, error);
}

static GVariant *
rules_to_variant (Check *check)
{
  GPtrArray *rules = derate_rule_set_get_rules (check->set);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < rules->len; i++)
    {
      DerateRule *rule = g_ptr_array_index (rules, i);

      g_variant_builder_open (&builder, G_VARIANT_TYPE ("a{sv}"));
      g_variant_builder_add (&builder, "{sv}", "id",
                             g_variant_new_string (derate_rule_get_id (rule)));
      g_variant_builder_add (&builder, "{sv}", "when",
                             g_variant_new_string (derate_rule_get_when (rule)));
      g_variant_builder_add (&builder, "{sv}", "level",
                             g_variant_new_string (
                                 derate_level_get_nick (derate_rule_get_level (rule))));
      g_variant_builder_close (&builder);
    }
  return g_variant_builder_end (&builder);
}

static void
print_json (Check *check, const char *path)
{
  g_auto (GStrv) services = derate_config_list_names (check->config, "service");
  g_autoptr (GVariant) table = derate_rule_set_dup_table (check->set);
  g_autoptr (GVariant) all = NULL;
  g_autofree char *json = NULL;
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{sv}"));
  g_variant_builder_add (&builder, "{sv}", "file", g_variant_new_string (path));
  g_variant_builder_add (&builder, "{sv}", "services",
                         g_variant_new_strv ((const char *const *)services, -1));
  g_variant_builder_add (&builder, "{sv}", "rules", rules_to_variant (check));
  g_variant_builder_add (&builder, "{sv}", "table",
                         g_variant_new_maybe (G_VARIANT_TYPE ("aa{sv}"), table));
  all = g_variant_ref_sink (g_variant_builder_end (&builder));
  json = derate_json_from_variant (all);
  g_print ("%s\n", json);
}

static void
add (DeratectlTable *table, const char *text)
{
  deratectl_table_add (table, DERATECTL_COLOUR_NONE, text);
}

static void
print_services (Check *check)
{
  g_autoptr (DeratectlTable) table = deratectl_table_new ("");

  deratectl_table_add_header (table, "SERVICE", "ROLE", "CRITICALITY", "OPENS AT", "FOR", NULL);
  for (guint i = 0; i < check->inputs->len; i++)
    {
      DerateRuleInput *input = g_ptr_array_index (check->inputs, i);
      const char *name = derate_rule_input_get_service (input);
      DerateServiceRole role = derate_rule_input_get_role (input);
      g_autoptr (DerateBreakerConfig) breaker =
          derate_config_dup_breaker_config (check->config, name, role, NULL);
      g_autofree char *failures =
          g_strdup_printf ("%u failures", derate_breaker_config_get_failure_threshold (breaker));
      g_autofree char *open =
          derate_time_span_to_string (derate_breaker_config_get_open_duration (breaker));

      add (table, name);
      add (table, derate_service_role_get_nick (role));
      add (table, derate_criticality_get_nick (derate_rule_input_get_criticality (input)));
      add (table, failures);
      add (table, open);
      deratectl_table_end_row (table);
    }
  deratectl_table_print (table);
}

static void
print_rules (Check *check)
{
  g_autoptr (DeratectlTable) table = deratectl_table_new ("");
  GPtrArray *rules = derate_rule_set_get_rules (check->set);

  g_print ("\n");
  deratectl_table_add_header (table, "RULE", "LEVEL", "WHEN", NULL);
  for (guint i = 0; i < rules->len; i++)
    {
      DerateRule *rule = g_ptr_array_index (rules, i);
      const char *level = derate_level_get_nick (derate_rule_get_level (rule));

      add (table, derate_rule_get_id (rule));
      deratectl_table_add (table, deratectl_level_colour (level), level);
      add (table, derate_rule_get_when (rule));
      deratectl_table_end_row (table);
    }
  deratectl_table_print (table);
}

static void
print_cell (Check *check, DeratectlTable *table, GVariant *row)
{
  g_autoptr (GVariant) inputs = g_variant_lookup_value (row, "inputs", G_VARIANT_TYPE ("a{ss}"));
  const char *level = "";
  const char *rule = "";

  for (guint i = 0; i < check->inputs->len; i++)
    {
      const char *status = "";

      g_variant_lookup (inputs, derate_rule_input_get_service (check->inputs->pdata[i]), "&s",
                        &status);
      deratectl_table_add (table, deratectl_status_colour (status), status);
    }
  g_variant_lookup (row, "level", "&s", &level);
  g_variant_lookup (row, "rule", "&s", &rule);
  deratectl_table_add (table, deratectl_level_colour (level), level);
  add (table, rule);
  deratectl_table_end_row (table);
}

static void
print_table (Check *check)
{
  g_autoptr (GVariant) rows = derate_rule_set_dup_table (check->set);
  g_autoptr (DeratectlTable) table = deratectl_table_new ("");

  g_print ("\n");
  if (rows == NULL)
    {
      g_print ("%u services: the table is too long to print\n", check->inputs->len);
      return;
    }
  for (guint i = 0; i < check->inputs->len; i++)
    deratectl_table_add (table, DERATECTL_COLOUR_DIM,
                         derate_rule_input_get_service (check->inputs->pdata[i]));
  deratectl_table_add (table, DERATECTL_COLOUR_DIM, "LEVEL");
  deratectl_table_add (table, DERATECTL_COLOUR_DIM, "RULE");
  deratectl_table_end_row (table);
  for (gsize i = 0; i < g_variant_n_children (rows); i++)
    {
      g_autoptr (GVariant) row = g_variant_get_child_value (rows, i);

      print_cell (check, table, row);
    }
  deratectl_table_print (table);
}

/* What the configuration cannot know by itself: a role that makes a service critical may be its
 * plugin's. */
static void
print_warnings (Check *check)
{
  g_auto (GStrv) warnings = derate_config_list_warnings (check->config);

  for (guint i = 0; warnings[i] != NULL; i++)
    g_printerr ("warning: %s\n", warnings[i]);
  for (guint i = 0; i < check->inputs->len; i++)
    {
      DerateRuleInput *input = g_ptr_array_index (check->inputs, i);
      g_autofree char *group =
          g_strconcat ("service ", derate_rule_input_get_service (input), NULL);
      g_autofree char *origin = derate_config_dup_origin (check->config, group, NULL);

      if (derate_rule_input_get_criticality (input) == DERATE_CRITICALITY_CRITICAL &&
          derate_config_get_text (check->config, group, "criticality", NULL) == NULL &&
          derate_config_get_text (check->config, group, "role", NULL) == NULL &&
          derate_config_get_text (check->config, group, "fallback", NULL) == NULL)
        g_printerr ("warning: %s: a critical service without a fallback\n", origin);
    }
}

static int
run (int argc, char **argv)
{
  g_auto (Check) check = { NULL };
  g_autoptr (GError) error = NULL;

  if (!deratectl_parse (&deratectl_verb_check_config, entries, &argc, &argv, 1, 1))
    return DERATECTL_USAGE;
  /* The verdict is printed; the log event would say it again. */
  g_setenv ("ENABLE_RESILIENCE_LOGGING", "false", TRUE);
  if (!check_all (&check, argv[1], &error))
    {
      deratectl_fail (error);
      return DERATECTL_FAILED;
    }

  print_warnings (&check);
  if (as_json)
    {
      print_json (&check, argv[1]);
      return DERATECTL_DONE;
    }
  print_services (&check);
  print_rules (&check);
  print_table (&check);
  return DERATECTL_DONE;
}

const DeratectlVerb deratectl_verb_check_config = {
  .name = "check-config",
  .arguments = "FILE [--json]",
  .summary = "Say what is wrong with a configuration, or what it amounts to",
  .run = run,
  .takes_file = TRUE,
};
