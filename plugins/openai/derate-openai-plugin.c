/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-openai-check.h"

static gboolean
register_openai (DeratePluginRegistrar *registrar, GError **error)
{
  derate_plugin_registrar_add_health_check (registrar, "ai", derate_openai_check_new, NULL, NULL);
  return TRUE;
}

DERATE_PLUGIN_DEFINE ("openai",
                      "1.0.0",
                      "LGPL-2.1-or-later",
                      "Asks a server that speaks OpenAI's API whether it works",
                      register_openai)
