/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-core-apply-private.h"

#include <string.h>

#include "derate-breaker-config-private.h"
#include "derate-breaker-registry-private.h"
#include "derate-core-pipeline-private.h"
#include "derate-core-plan-private.h"
#include "derate-core-run-private.h"
#include "derate-debug-private.h"
#include "derate-degradation-manager-private.h"
#include "derate-enum-types.h"
#include "derate-env.h"
#include "derate-error.h"
#include "derate-log-private.h"
#include "derate-names-private.h"
#include "derate-service-private.h"

static const char *const switches[] = { DERATE_ENV_ENABLE, DERATE_ENV_METRICS, DERATE_ENV_LOGGING,
                                        DERATE_ENV_QUERY_LOGGING };

static const struct
{
  const char *name;
  double fallback;
  double minimum;
  double maximum;
} numbers[] = {
  { DERATE_ENV_MAX_RETRIES, 3, 0, G_MAXINT32 },        { DERATE_ENV_TIMEOUT, 30, 0, 365 * 86400.0 },
  { DERATE_ENV_MONITORING_INTERVAL, 10, 0.01, 86400 }, { DERATE_ENV_ALERT_THRESHOLD, 0.8, 0, 1 },
  { DERATE_ENV_SLOW_QUERY, 100, 0, 86400e3 },
};

/* Also what is read later, where nobody could be told, or not at all yet. */
static gboolean
check_environment (gboolean *values, GError **error)
{
  g_autoptr (DerateBreakerConfig) breaker = NULL;
  double number;

  for (guint i = 0; i < G_N_ELEMENTS (switches); i++)
    if (!derate_env_get_boolean (switches[i], TRUE, &values[i], error))
      return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    if (!derate_env_get_number (numbers[i].name, numbers[i].fallback, numbers[i].minimum,
                                numbers[i].maximum, &number, error))
      return FALSE;
  breaker = derate_breaker_config_new_from_environment (error);
  return breaker != NULL && derate_debug_check_environment (error);
}

gboolean
derate_core_apply_environment (DerateCore *core, GError **error)
{
  gboolean values[G_N_ELEMENTS (switches)];

  if (!check_environment (values, error))
    return FALSE;
  core->disabled = !values[0];
  derate_metrics_registry_set_enabled (core->metrics, values[1]);
  if (core->disabled)
    {
      derate_breaker_registry_disable (core->breakers);
      derate_degradation_manager_set_enforced (core->manager, FALSE);
    }
  return TRUE;
}

static GTimeSpan
get_grace (DerateConfig *config)
{
  const GTimeSpan fallback = 5 * G_TIME_SPAN_SECOND;

  return config != NULL ? derate_config_get_duration (config, "derate", "grace", fallback)
                        : fallback;
}

static void
note_group (GPtrArray *changes, const char *group, const char *what)
{
  if (changes != NULL)
    g_ptr_array_add (changes, g_strdup_printf ("%s %s", group, what));
}

static void
note (GPtrArray *changes, const char *name, const char *what)
{
  g_autofree char *group = g_strconcat ("service ", name, NULL);

  note_group (changes, group, what);
}

/* @service is not part of the first sweep, which is over. */
void
derate_core_begin_grace (DerateCore *core, DerateService *service)
{
  if (derate_degradation_manager_is_ready (core->manager))
    derate_service_begin_grace (service, get_grace (core->config));
}

/* All that a service takes from [derate]. */
static gboolean
has_same_preset (DerateConfig *old, DerateConfig *config)
{
  return g_strcmp0 (derate_config_get_text (old, "derate", "preset", NULL),
                    derate_config_get_text (config, "derate", "preset", NULL)) == 0;
}

static DerateBreakerMode
get_breaker_mode (DerateConfig *config, const char *group)
{
  return derate_config_get_enum (config, group, "breaker-mode", DERATE_TYPE_BREAKER_MODE,
                                 DERATE_BREAKER_MODE_NORMAL);
}

/* A file cannot say how errors are judged, so what the program said stays. Checked in the plan, so
 * it cannot fail; an equal configuration changes nothing. */
static void
reconfigure (DerateBreaker *breaker, DerateBreakerConfig *config)
{
  g_autoptr (DerateBreakerConfig) old = derate_breaker_dup_config (breaker);

  derate_breaker_config_judge_as (config, old);
  derate_breaker_reconfigure (breaker, config, NULL);
}

/* A file that is read again sets the mode only if it says another one than before: what an
 * operator did by hand stays. */
static DerateBreaker *
apply_breaker (DerateCore *core,
               DeratePlannedService *planned,
               DerateConfig *old,
               const char *group)
{
  gboolean created = FALSE;
  DerateBreaker *breaker =
      derate_breaker_registry_get_or_create (core->breakers, planned->breaker_name,
                                             planned->breaker_config, &created);
  DerateBreakerMode mode = get_breaker_mode (core->config, group);
  DerateBreakerMode old_mode =
      created || old == NULL ? DERATE_BREAKER_MODE_NORMAL : get_breaker_mode (old, group);

  if (!created)
    reconfigure (breaker, planned->breaker_config);
  if (!core->disabled && mode != old_mode)
    derate_breaker_set_mode (breaker, mode);
  return breaker;
}

/* Also on a service that runs: its setters may be called then. */
static void
configure_service (DerateCore *core,
                   DerateService *service,
                   DeratePlannedService *planned,
                   DerateConfig *old)
{
  g_autofree char *group = g_strconcat ("service ", planned->name, NULL);
  g_autoptr (DerateBreaker) breaker = apply_breaker (core, planned, old, group);
  gboolean new_check = planned->check != NULL && derate_service_get_health_check (service) == NULL;

  derate_service_set_criticality (service, planned->criticality);
  derate_service_set_plugin (service, planned->plugin);
  derate_service_set_remote (service,
                             derate_core_is_remote (
                                 derate_config_get_text (core->config, group, "uri", NULL)));
  derate_service_set_check_config (service, planned->check_config);
  if (new_check)
    derate_core_begin_grace (core, service);
  derate_service_set_health_check (service, planned->check);
  derate_service_set_breaker (service, breaker);
  derate_service_set_breaker_degraded_rate (service,
                                            derate_config_get_double (core->config, group,
                                                                      "breaker-degraded-rate",
                                                                      DERATE_SERVICE_RATE_DEFAULT));
}

static void
apply_service (DerateCore *core,
               DeratePlannedService *planned,
               DerateConfig *old,
               GPtrArray *changes)
{
  g_autoptr (DerateService) service = derate_core_lookup_service (core, planned->name);
  g_autofree char *group = g_strconcat ("service ", planned->name, NULL);
  g_autofree char *breaker_group = g_strconcat ("breaker ", planned->breaker_name, NULL);

  if (service != NULL && derate_service_get_role (service) == planned->role)
    {
      if (old != NULL && derate_config_group_equal (old, core->config, group) &&
          derate_config_group_equal (old, core->config, breaker_group) &&
          has_same_preset (old, core->config))
        return;
      configure_service (core, service, planned, old);
      note (changes, planned->name, "changed");
      return;
    }
  if (service != NULL)
    derate_core_withdraw_service (core, service);
  g_clear_object (&service);
  service = derate_service_new (planned->name, planned->role, core->clock);
  configure_service (core, service, planned, old);
  derate_core_insert_service (core, service);
  note (changes, planned->name, "added");
}

static gboolean
is_planned (DerateCorePlan *plan, const char *name)
{
  for (guint i = 0; i < plan->services->len; i++)
    if (strcmp (((DeratePlannedService *)g_ptr_array_index (plan->services, i))->name, name) == 0)
      return TRUE;
  return FALSE;
}

/* Services that the old configuration had and the new one has not; those the program added by hand
 * stay. */
static void
withdraw_missing (DerateCore *core, DerateCorePlan *plan, DerateConfig *old, GPtrArray *changes)
{
  g_autoptr (GPtrArray) services = derate_core_snapshot_services (core);

  for (guint i = 0; i < services->len; i++)
    {
      DerateService *service = g_ptr_array_index (services, i);
      const char *name = derate_service_get_name (service);
      g_autofree char *group = g_strconcat ("service ", name, NULL);

      if (is_planned (plan, name) || !derate_config_has_group (old, group))
        continue;
      derate_core_withdraw_service (core, service);
      note (changes, name, "removed");
    }
}

static gboolean
is_breaker_used (DerateCore *core, const char *name)
{
  g_autoptr (GPtrArray) services = derate_core_snapshot_services (core);

  for (guint i = 0; i < services->len; i++)
    {
      DerateBreaker *breaker = derate_service_get_breaker (g_ptr_array_index (services, i));

      if (breaker != NULL && strcmp (derate_breaker_get_name (breaker), name) == 0)
        return TRUE;
    }
  return FALSE;
}

/* Breakers that the old configuration had and no service uses any more. */
static void
remove_unused_breakers (DerateCore *core, DerateConfig *old)
{
  g_auto (GStrv) names = derate_config_list_names (old, "service");

  for (guint i = 0; names[i] != NULL; i++)
    {
      g_autofree char *group = g_strconcat ("service ", names[i], NULL);
      const char *name = derate_config_get_text (old, group, "breaker", names[i]);

      if (!is_breaker_used (core, name))
        derate_breaker_registry_remove (core->breakers, name);
    }
}

static void
apply_recovery (DerateCore *core)
{
  DerateConfig *config = core->config;

  /* The defaults are those of semantics §4. */
  derate_degradation_manager_set_recovery (core->manager,
                                           derate_config_get_enum (config, "derate", "recovery",
                                                                   DERATE_TYPE_RECOVERY_MODE,
                                                                   DERATE_RECOVERY_MODE_DIRECT),
                                           derate_config_get_duration (config, "derate",
                                                                       "recovery-interval",
                                                                       30 * G_TIME_SPAN_SECOND),
                                           derate_config_get_duration (config, "derate",
                                                                       "recovery-hold",
                                                                       30 * G_TIME_SPAN_SECOND),
                                           derate_config_get_boolean (config, "derate",
                                                                      "recovery-damping", TRUE));
  derate_degradation_manager_set_enforced (core->manager,
                                           !core->disabled &&
                                               derate_config_get_boolean (config, "derate",
                                                                          "enforce", TRUE));
  derate_monitor_set_grace (core->monitor, get_grace (config));
}

static const struct
{
  const char *group;
  const char *key;
} fixed_keys[] = {
  { "derate", "name" },
  { "derate", "metrics-prefix" },
  { "derate", "metrics-breaker-label" },
  { "derate", "state-dir" },
  { "dbus", "bus" },
};

/* What cannot change while the program runs. */
static gboolean
check_fixed (DerateConfig *old, DerateConfig *config, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (fixed_keys); i++)
    {
      const char *group = fixed_keys[i].group;
      const char *key = fixed_keys[i].key;
      /* A group that is gone has no file any more. */
      DerateConfig *place = derate_config_has_group (config, group) ? config : old;
      g_autofree char *origin = derate_config_dup_origin (place, group, key);

      if (g_strcmp0 (derate_config_get_text (old, group, key, NULL),
                     derate_config_get_text (config, group, key, NULL)) == 0)
        continue;
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   "%s: cannot change while the program runs", origin);
      return FALSE;
    }
  return TRUE;
}

static gboolean
apply_metrics (DerateCore *core, DerateConfig *config, GError **error)
{
  const char *prefix = derate_config_get_text (config, "derate", "metrics-prefix", NULL);
  const char *label = derate_config_get_text (config, "derate", "metrics-breaker-label", NULL);

  return (prefix == NULL || derate_metrics_registry_set_prefix (core->metrics, prefix, error)) &&
         (label == NULL || derate_metrics_registry_set_breaker_label (core->metrics, label, error));
}

/* Holds that outlive the program, in `state-dir` or where systemd says. A store that cannot be read
 * is no reason not to start. */
static void
apply_state_dir (DerateCore *core)
{
  const char *given = g_getenv (DERATE_ENV_STATE_DIRECTORY);
  /* Of several that a unit asks for, “a:b”, the first. */
  g_autofree char *first = given != NULL ? g_strndup (given, strcspn (given, ":")) : NULL;
  const char *folder = derate_config_get_text (core->config, "derate", "state-dir", first);
  g_autoptr (GError) error = NULL;

  if (folder != NULL && !derate_degradation_manager_set_state_dir (core->manager, folder, &error))
    derate_log_event (G_LOG_LEVEL_WARNING, DERATE_EVENT_CONFIG_REFUSED, core->name, error->message,
                      NULL);
}

gboolean
derate_core_apply_config (DerateCore *core,
                          DerateConfig *config,
                          GPtrArray *changes,
                          GError **error)
{
  g_autoptr (DerateCorePlan) plan = NULL;
  g_autoptr (DerateConfig) old = NULL;

  if (core->config != NULL && !check_fixed (core->config, config, error))
    return FALSE;
  plan = derate_core_plan_new (config, core->plugins, error);
  if (plan == NULL || (core->config == NULL && !apply_metrics (core, config, error)))
    return FALSE;

  old = g_steal_pointer (&core->config);
  core->config = derate_config_ref (config);
  for (guint i = 0; i < plan->services->len; i++)
    apply_service (core, g_ptr_array_index (plan->services, i), old, changes);
  if (old != NULL)
    {
      withdraw_missing (core, plan, old, changes);
      remove_unused_breakers (core, old);
      derate_core_pipelines_forget_changed (core, old);
    }
  g_clear_pointer (&core->rules, g_ptr_array_unref);
  g_clear_pointer (&core->features, g_ptr_array_unref);
  core->rules = g_ptr_array_ref (plan->rules);
  core->rules_mode = plan->rules_mode;
  core->features = g_ptr_array_ref (plan->features);
  apply_recovery (core);
  derate_fallback_usage_set_aliases (core->fallback_usage,
                                     derate_config_get_boolean (config, "derate", "metrics-aliases",
                                                                FALSE));
  if (old == NULL)
    apply_state_dir (core);
  else
    derate_core_check_drills (core);
  return derate_core_update_inputs (core, error);
}

static void
note_kind (DerateConfig *old, DerateConfig *config, const char *kind, GPtrArray *changes)
{
  g_auto (GStrv) before = derate_config_list_names (old, kind);
  g_auto (GStrv) names = derate_config_list_names (config, kind);

  for (guint i = 0; names[i] != NULL; i++)
    {
      g_autofree char *group = g_strjoin (" ", kind, names[i], NULL);

      if (!derate_config_has_group (old, group))
        note_group (changes, group, "added");
      else if (!derate_config_group_equal (old, config, group))
        note_group (changes, group, "changed");
    }
  for (guint i = 0; before[i] != NULL; i++)
    {
      g_autofree char *group = g_strjoin (" ", kind, before[i], NULL);

      if (!derate_config_has_group (config, group))
        note_group (changes, group, "removed");
    }
}

/* What else than services is another now. A [breaker] shows in its services. */
static void
note_the_rest (DerateConfig *old, DerateConfig *config, GPtrArray *changes)
{
  static const char *const kinds[] = { "rule", "feature", "fallback", "queue" };
  static const char *const groups[] = { "derate", "http", "dbus" };

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    note_kind (old, config, kinds[i], changes);
  for (guint i = 0; i < G_N_ELEMENTS (groups); i++)
    if (!derate_config_group_equal (old, config, groups[i]))
      note_group (changes, groups[i], "changed");
}

static gboolean
read_again (DerateCore *core, GPtrArray *changes, GError **error)
{
  g_autoptr (DerateConfig) old = derate_config_ref (core->config);
  g_autoptr (DerateConfig) config = derate_config_new_from_file (core->config_path, error);

  if (config == NULL || !derate_core_apply_config (core, config, changes, error))
    return FALSE;
  note_the_rest (old, config, changes);
  return TRUE;
}

/**
 * derate_core_reload:
 * @core: a core made from a file
 * @error: where to put the error
 *
 * Reads the file again and makes the core be what it says: all is checked first, and on an error
 * the old configuration goes on. An unchanged breaker keeps its statistics. In the owner's thread.
 *
 * Returns: (transfer full): what changed, in words, or %NULL with %DERATE_ERROR_INVALID_CONFIG, or
 *   %DERATE_ERROR_INVALID_STATE where there is no file
 *
 * Since: 1.0
 */
char **
derate_core_reload (DerateCore *core, GError **error)
{
  g_autoptr (GPtrArray) changes = g_ptr_array_new_with_free_func (g_free);
  gboolean done;

  g_return_val_if_fail (DERATE_IS_CORE (core), NULL);

  if (core->config_path == NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE,
                   "core “%s” was not made from a file", core->name);
      return NULL;
    }
  derate_core_systemd_reloading (core->systemd);
  done = read_again (core, changes, error);
  if (done)
    g_signal_emit_by_name (core, "reloaded");
  derate_core_systemd_reloaded (core->systemd, !done);
  if (!done)
    return NULL;
  g_ptr_array_set_free_func (changes, NULL);
  g_ptr_array_add (changes, NULL);
  return (char **)g_ptr_array_steal (changes, NULL);
}
