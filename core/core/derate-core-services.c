/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "derate-core-apply-private.h"
#include "derate-core-run-private.h"
#include "derate-degradation-manager-private.h"
#include "derate-error.h"
#include "derate-service-private.h"

GPtrArray *
derate_core_snapshot_services (DerateCore *core)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&core->mutex);

  return g_ptr_array_copy (core->services, (GCopyFunc)(void (*) (void))g_object_ref, NULL);
}

/**
 * derate_core_lookup_service:
 * @core: a core
 * @name: a name
 *
 * Finds a service. May be called from any thread.
 *
 * Returns: (transfer full) (nullable): the service
 *
 * Since: 1.0
 */
DerateService *
derate_core_lookup_service (DerateCore *core, const char *name)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_CORE (core), NULL);
  g_return_val_if_fail (name != NULL, NULL);

  locker = g_mutex_locker_new (&core->mutex);
  for (guint i = 0; i < core->services->len; i++)
    {
      DerateService *service = g_ptr_array_index (core->services, i);

      if (strcmp (derate_service_get_name (service), name) == 0)
        return g_object_ref (service);
    }
  return NULL;
}

/**
 * derate_core_lookup_breaker:
 * @core: a core
 * @name: a name; a service's breaker has the service's, unless the configuration says otherwise
 *
 * Finds a breaker. May be called from any thread.
 *
 * Returns: (transfer full) (nullable): the breaker
 *
 * Since: 1.0
 */
DerateBreaker *
derate_core_lookup_breaker (DerateCore *core, const char *name)
{
  g_return_val_if_fail (DERATE_IS_CORE (core), NULL);

  return derate_breaker_registry_lookup (core->breakers, name);
}

static void
on_service_changed (DerateService *service, gpointer data)
{
  derate_degradation_manager_service_changed (data);
}

void
derate_core_insert_service (DerateCore *core, DerateService *service)
{
  derate_service_set_event_queue (service, core->owner_queue);
  derate_service_set_hook_owner (service, on_service_changed, G_OBJECT (core->manager));

  g_mutex_lock (&core->mutex);
  g_ptr_array_add (core->services, g_object_ref (service));
  g_mutex_unlock (&core->mutex);
  g_list_store_append (core->model, service);
  derate_monitor_add_service (core->monitor, service);
}

void
derate_core_withdraw_service (DerateCore *core, DerateService *service)
{
  g_autoptr (DerateService) kept = g_object_ref (service);
  guint position;

  derate_service_set_hook (service, NULL, NULL);
  derate_monitor_remove_service (core->monitor, service);
  g_mutex_lock (&core->mutex);
  g_ptr_array_remove (core->services, service);
  g_mutex_unlock (&core->mutex);
  if (g_list_store_find (core->model, service, &position))
    g_list_store_remove (core->model, position);
}

static DerateHealthStatus
read_status (gpointer service, gboolean in_grace, gboolean with_drills)
{
  return with_drills ? derate_service_get_effective_status (service, in_grace)
                     : derate_service_get_undrilled_status (service, in_grace);
}

gboolean
derate_core_update_inputs (DerateCore *core, GError **error)
{
  g_autoptr (GPtrArray) services = derate_core_snapshot_services (core);
  g_autoptr (GPtrArray) inputs =
      g_ptr_array_new_with_free_func ((GDestroyNotify)derate_rule_input_unref);
  g_autoptr (DerateRuleSet) rules = NULL;

  for (guint i = 0; i < services->len; i++)
    {
      DerateService *service = g_ptr_array_index (services, i);

      g_ptr_array_add (inputs, derate_rule_input_new (derate_service_get_name (service),
                                                      derate_service_get_role (service),
                                                      derate_service_get_criticality (service)));
    }
  rules = derate_rule_set_new (inputs, core->rules, core->rules_mode, error);
  return rules != NULL &&
         derate_degradation_manager_set_inputs (core->manager, rules, services, read_status,
                                                core->features, error);
}

/**
 * derate_core_add_service:
 * @core: a core
 * @service: a service of the same clock
 * @error: where to put the error
 *
 * Adds a service: its checks are run, and its status decides the level. Its breaker, if it has one,
 * joins the core's, so that tools find it. In the owner's thread.
 *
 * Returns: %FALSE with %DERATE_ERROR_EXISTS where the name of the service or of its breaker is
 * taken
 *
 * Since: 1.0
 */
gboolean
derate_core_add_service (DerateCore *core, DerateService *service, GError **error)
{
  g_autoptr (DerateService) other = NULL;
  DerateBreaker *breaker;

  g_return_val_if_fail (DERATE_IS_CORE (core), FALSE);
  g_return_val_if_fail (DERATE_IS_SERVICE (service), FALSE);

  other = derate_core_lookup_service (core, derate_service_get_name (service));
  if (other != NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_EXISTS, "there is a service “%s” already",
                   derate_service_get_name (service));
      return FALSE;
    }
  breaker = derate_service_get_breaker (service);
  if (breaker != NULL && !derate_breaker_registry_add (core->breakers, breaker, error))
    return FALSE;
  if (derate_service_get_health_check (service) != NULL)
    derate_core_begin_grace (core, service);
  derate_core_insert_service (core, service);
  if (derate_core_get_state (core) == DERATE_CORE_IDLE || derate_core_update_inputs (core, error))
    return TRUE;
  derate_core_withdraw_service (core, service);
  return FALSE;
}
