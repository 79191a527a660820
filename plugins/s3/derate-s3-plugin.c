/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-s3-check.h"

static gboolean
register_s3 (DeratePluginRegistrar *registrar, GError **error)
{
  derate_plugin_registrar_add_health_check (registrar, "storage", derate_s3_check_new, NULL, NULL);
  return TRUE;
}

DERATE_PLUGIN_DEFINE ("s3",
                      "1.0.0",
                      "LGPL-2.1-or-later",
                      "Asks an S3-compatible store whether its bucket can be used",
                      register_s3)
