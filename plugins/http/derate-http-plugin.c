/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-check.h"

static gboolean
register_http (DeratePluginRegistrar *registrar, GError **error)
{
  derate_plugin_registrar_add_health_check (registrar, NULL, derate_http_check_new, NULL, NULL);
  return TRUE;
}

DERATE_PLUGIN_DEFINE ("http",
                      "1.0.0",
                      "LGPL-2.1-or-later",
                      "Asks an HTTP server for a page",
                      register_http)
