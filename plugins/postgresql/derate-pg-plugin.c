/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-pg-check.h"

static gboolean
register_postgresql (DeratePluginRegistrar *registrar, GError **error)
{
  derate_plugin_registrar_add_health_check (registrar, "database", derate_pg_check_new, NULL, NULL);
  return TRUE;
}

DERATE_PLUGIN_DEFINE ("postgresql",
                      "1.0.0",
                      "LGPL-2.1-or-later",
                      "Asks a PostgreSQL server whether it works and takes writes",
                      register_postgresql)
