/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-plugin.h"

#include "derate-plugin-private.h"

/**
 * derate_plugin_registrar_add_health_check:
 * @registrar: what `register_func` was given
 * @default_role: (nullable): the role of a service that names this plugin and no role: `database`,
 *   `cache`, `ai`, `storage`, or none
 * @factory: (scope notified) (closure user_data) (destroy destroy): makes a check for one service
 * @user_data: data for @factory
 * @destroy: (nullable): frees @user_data when the loader goes, or at once if the plugin is refused
 *
 * Registers the health check of a plugin. A plugin has one: registering a second makes it fail. To be
 * called inside `register_func` alone.
 *
 * Since: 1.0
 */
void
derate_plugin_registrar_add_health_check (DeratePluginRegistrar *registrar,
                                          const char *default_role,
                                          DerateHealthCheckFactory factory,
                                          gpointer user_data,
                                          GDestroyNotify destroy)
{
  g_return_if_fail (registrar != NULL);
  g_return_if_fail (factory != NULL);

  registrar->n_checks++;
  if (registrar->n_checks > 1)
    {
      if (destroy != NULL)
        destroy (user_data);
      return;
    }

  registrar->default_role = g_strdup (default_role);
  registrar->factory = factory;
  registrar->user_data = user_data;
  registrar->destroy = destroy;
}

void
derate_plugin_registrar_clear (DeratePluginRegistrar *registrar)
{
  GDestroyNotify destroy = g_steal_pointer (&registrar->destroy);
  gpointer user_data = g_steal_pointer (&registrar->user_data);

  g_clear_pointer (&registrar->default_role, g_free);
  registrar->factory = NULL;
  if (destroy != NULL)
    destroy (user_data);
}
