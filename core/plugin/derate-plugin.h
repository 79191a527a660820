/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-health-check.h>

G_BEGIN_DECLS

/**
 * DERATE_PLUGIN_MAGIC:
 *
 * The first word of every [struct@PluginDescriptor]: "DRT1".
 *
 * Since: 1.0
 */
#define DERATE_PLUGIN_MAGIC (0x44525431u)

/**
 * DERATE_PLUGIN_ABI_MAJOR:
 *
 * A plugin is loaded only where this is the same as when it was built.
 *
 * Since: 1.0
 */
#define DERATE_PLUGIN_ABI_MAJOR (1)

/**
 * DERATE_PLUGIN_ABI_MINOR:
 *
 * A plugin is loaded only where this is the same or greater than when it was built.
 *
 * Since: 1.0
 */
#define DERATE_PLUGIN_ABI_MINOR (0)

/**
 * DeratePluginState:
 * @DERATE_PLUGIN_STATE_UNKNOWN: never shown
 * @DERATE_PLUGIN_STATE_LOADED: loaded, checked and registered
 * @DERATE_PLUGIN_STATE_FAILED: refused; [method@Plugin.get_error] says why
 *
 * What became of a plugin.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_PLUGIN_STATE_UNKNOWN = 0,
  DERATE_PLUGIN_STATE_LOADED,
  DERATE_PLUGIN_STATE_FAILED,
} DeratePluginState;

/**
 * DeratePluginRegistrar:
 *
 * Where a plugin registers what it has, while `register_func` runs.
 *
 * Since: 1.0
 */
typedef struct _DeratePluginRegistrar DeratePluginRegistrar;

#define DERATE_TYPE_PLUGIN (derate_plugin_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DeratePlugin, derate_plugin, DERATE, PLUGIN, GObject)

/**
 * DerateHealthCheckFactory:
 * @service: the name of the service
 * @options: an `a{ss}` of the configuration's keys for this plugin: `uri`, `password-file`, and
 *   every `check-` key that the library does not use itself
 * @user_data: what was registered along
 * @error: where to put the error
 *
 * Makes a health check for one service. May be called in any thread. An option it does not know or
 * cannot read is an error %DERATE_ERROR_INVALID_CONFIG that names the key and the value (never a
 * secret's).
 *
 * Returns: (transfer full): the check
 *
 * Since: 1.0
 */
typedef DerateHealthCheck *(*DerateHealthCheckFactory) (const char *service,
                                                        GVariant   *options,
                                                        gpointer    user_data,
                                                        GError    **error);

/**
 * DeratePluginDescriptor:
 * @magic: %DERATE_PLUGIN_MAGIC
 * @struct_size: the size of this structure when the plugin was built
 * @abi_major: %DERATE_PLUGIN_ABI_MAJOR when the plugin was built
 * @abi_minor: %DERATE_PLUGIN_ABI_MINOR when the plugin was built
 * @name: the name; the file is `libderate-plugin-NAME.so`
 * @version: its version, for people
 * @license: its license as an SPDX expression
 * @description: what it is for, in a line
 * @register_func: (scope call): called once for each loader, after everything above was
 *   checked; registers with derate_plugin_registrar_add_health_check(). An error makes the plugin
 *   fail, visibly
 *
 * What a plugin says about itself.
 *
 * Since: 1.0
 */
typedef struct
{
  guint32 magic;
  guint32 struct_size;
  guint16 abi_major;
  guint16 abi_minor;
  const char *name;
  const char *version;
  const char *license;
  const char *description;
  gboolean (*register_func) (DeratePluginRegistrar *registrar,
                             GError               **error);

  /*< private >*/
  gpointer padding[8];
} DeratePluginDescriptor;

/**
 * DERATE_PLUGIN_DEFINE: (skip)
 * @name_: the name, as a string
 * @version_: the version, as a string
 * @license_: the license, as a string
 * @description_: what it is for, as a string
 * @register_func_: the function that registers what it has
 *
 * Defines the one symbol that a plugin exports.
 *
 * Since: 1.0
 */
#define DERATE_PLUGIN_DEFINE(name_, version_, license_, description_, register_func_)              \
  __attribute__ ((visibility ("default"))) const DeratePluginDescriptor                            \
      *derate_plugin_get_descriptor (void);                                                        \
  const DeratePluginDescriptor *derate_plugin_get_descriptor (void)                                \
  {                                                                                                \
    static const DeratePluginDescriptor descriptor = {                                             \
      .magic = DERATE_PLUGIN_MAGIC,                                                                \
      .struct_size = sizeof (DeratePluginDescriptor),                                              \
      .abi_major = DERATE_PLUGIN_ABI_MAJOR,                                                        \
      .abi_minor = DERATE_PLUGIN_ABI_MINOR,                                                        \
      .name = (name_),                                                                             \
      .version = (version_),                                                                       \
      .license = (license_),                                                                       \
      .description = (description_),                                                               \
      .register_func = (register_func_),                                                           \
    };                                                                                             \
    return &descriptor;                                                                            \
  }

DERATE_AVAILABLE_IN_1_0
void derate_plugin_registrar_add_health_check (DeratePluginRegistrar   *registrar,
                                               const char              *default_role,
                                               DerateHealthCheckFactory factory,
                                               gpointer                 user_data,
                                               GDestroyNotify           destroy);

DERATE_AVAILABLE_IN_1_0
DeratePluginState derate_plugin_get_state (DeratePlugin *plugin);

DERATE_AVAILABLE_IN_1_0
const GError *derate_plugin_get_error (DeratePlugin *plugin);

DERATE_AVAILABLE_IN_1_0
const char *derate_plugin_get_name (DeratePlugin *plugin);

DERATE_AVAILABLE_IN_1_0
const char *derate_plugin_get_path (DeratePlugin *plugin);

DERATE_AVAILABLE_IN_1_0
const char *derate_plugin_get_version (DeratePlugin *plugin);

DERATE_AVAILABLE_IN_1_0
const char *derate_plugin_get_license (DeratePlugin *plugin);

DERATE_AVAILABLE_IN_1_0
const char *derate_plugin_get_description (DeratePlugin *plugin);

DERATE_AVAILABLE_IN_1_0
const char *derate_plugin_get_default_role (DeratePlugin *plugin);

G_END_DECLS
