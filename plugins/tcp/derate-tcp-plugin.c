/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-tcp-check.h"

static gboolean
register_tcp (DeratePluginRegistrar *registrar, GError **error)
{
  derate_plugin_registrar_add_health_check (registrar, NULL, derate_tcp_check_new, NULL, NULL);
  return TRUE;
}

DERATE_PLUGIN_DEFINE ("tcp",
                      "1.0.0",
                      "LGPL-2.1-or-later",
                      "Looks whether a server accepts connections, and what it says",
                      register_tcp)
