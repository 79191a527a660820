/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-redis-check.h"

static gboolean
register_redis (DeratePluginRegistrar *registrar, GError **error)
{
  derate_plugin_registrar_add_health_check (registrar, "cache", derate_redis_check_new, NULL, NULL);
  return TRUE;
}

DERATE_PLUGIN_DEFINE ("redis",
                      "1.0.0",
                      "LGPL-2.1-or-later",
                      "Asks a Redis server whether it works and takes writes",
                      register_redis)
