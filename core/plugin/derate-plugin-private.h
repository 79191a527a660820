/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-plugin.h>

G_BEGIN_DECLS

/* What one plugin registered with one loader. A second registration is counted, released at once
 * and refused by the loader. */
struct _DeratePluginRegistrar
{
  guint n_checks;
  char *default_role;
  DerateHealthCheckFactory factory;
  gpointer user_data;
  GDestroyNotify destroy;
};

/* NAME of the contract: `[a-z][a-z0-9_-]{0,62}`. */
gboolean derate_plugin_name_is_valid (const char *name);

/* Everything that can be seen wrong without calling what it points to. @name is what the file name
 * says, or NULL. The error says what, not where. */
gboolean derate_plugin_descriptor_check (const DeratePluginDescriptor *descriptor,
                                         const char                   *name,
                                         GError                      **error);

/* Whether the file may be opened as a module without harm. The error says what, not where. */
gboolean derate_plugin_file_check (const char *path,
                                   GError    **error);

/* Calls register_func of a checked descriptor; an error is made up for one that gives none. */
DeratePlugin *derate_plugin_new_registered (const char                   *path,
                                            const DeratePluginDescriptor *descriptor,
                                            GError                      **error);

DeratePlugin *derate_plugin_new_failed (const char                   *name,
                                        const char                   *path,
                                        const DeratePluginDescriptor *descriptor,
                                        const GError                 *error);

/* Immutable after loading: for any thread. */
DerateHealthCheck *derate_plugin_create_check (DeratePlugin *plugin,
                                               const char   *service,
                                               GVariant     *options,
                                               GError      **error);

G_END_DECLS
