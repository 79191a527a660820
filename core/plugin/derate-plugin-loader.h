/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-plugin.h>

G_BEGIN_DECLS

#define DERATE_TYPE_PLUGIN_LOADER (derate_plugin_loader_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DeratePluginLoader, derate_plugin_loader, DERATE, PLUGIN_LOADER, GObject)

DERATE_AVAILABLE_IN_1_0
DeratePluginLoader *derate_plugin_loader_new (void);

DERATE_AVAILABLE_IN_1_0
void derate_plugin_loader_add_path (DeratePluginLoader *loader,
                                    const char         *folder);

DERATE_AVAILABLE_IN_1_0
DeratePlugin *
derate_plugin_loader_load (DeratePluginLoader *loader, const char *name, GError **error);

DERATE_AVAILABLE_IN_1_0
DeratePlugin *
derate_plugin_loader_load_file (DeratePluginLoader *loader, const char *path, GError **error);

DERATE_AVAILABLE_IN_1_0
DeratePlugin *derate_plugin_loader_add_static (DeratePluginLoader           *loader,
                                               const DeratePluginDescriptor *descriptor,
                                               GError                      **error);

DERATE_AVAILABLE_IN_1_0
DeratePlugin *derate_plugin_loader_lookup (DeratePluginLoader *loader,
                                           const char         *name);

DERATE_AVAILABLE_IN_1_0
const char *derate_plugin_loader_get_default_role (DeratePluginLoader *loader,
                                                   const char         *plugin);

DERATE_AVAILABLE_IN_1_0
DerateHealthCheck *derate_plugin_loader_create_check (DeratePluginLoader *loader,
                                                      const char         *plugin,
                                                      const char         *service,
                                                      GVariant           *options,
                                                      GError            **error);

G_END_DECLS
