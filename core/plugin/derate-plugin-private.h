/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-plugin.h>

G_BEGIN_DECLS

/* What one plugin registered with one loader; lives on the stack of the loader while register_func
 * runs. A second registration is counted and refused by the loader, and released here at once. */
struct _DeratePluginRegistrar
{
  guint n_checks;
  char *default_role;
  DerateHealthCheckFactory factory;
  gpointer user_data;
  GDestroyNotify destroy;
};

void derate_plugin_registrar_clear (DeratePluginRegistrar *registrar);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (DeratePluginRegistrar, derate_plugin_registrar_clear)

G_END_DECLS
