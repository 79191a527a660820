/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-plugin.h"

#include "derate-enum-types.h"
#include "derate-error.h"
#include "derate-plugin-private.h"
#include "derate-redact.h"

/**
 * DeratePlugin:
 *
 * A plugin that a [class@PluginLoader] loaded or refused. A refused one stays in the list, with its
 * error. Immutable, so it may be used in any thread.
 *
 * Since: 1.0
 */
struct _DeratePlugin
{
  GObject parent_instance;

  DeratePluginState state;
  GError *error;
  char *name;
  char *path;
  char *version;
  char *license;
  char *description;
  DeratePluginRegistrar registrar;
};

G_DEFINE_FINAL_TYPE (DeratePlugin, derate_plugin, G_TYPE_OBJECT)

enum
{
  PROP_0,
  PROP_STATE,
  PROP_ERROR,
  PROP_NAME,
  PROP_PATH,
  PROP_VERSION,
  PROP_LICENSE,
  PROP_DESCRIPTION,
  PROP_DEFAULT_ROLE,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

static void
derate_plugin_finalize (GObject *object)
{
  DeratePlugin *self = DERATE_PLUGIN (object);

  g_clear_error (&self->error);
  g_free (self->name);
  g_free (self->path);
  g_free (self->version);
  g_free (self->license);
  g_free (self->description);
  g_free (self->registrar.default_role);
  if (self->registrar.destroy != NULL)
    self->registrar.destroy (self->registrar.user_data);
  G_OBJECT_CLASS (derate_plugin_parent_class)->finalize (object);
}

static void
derate_plugin_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  DeratePlugin *self = DERATE_PLUGIN (object);

  switch (id)
    {
    case PROP_STATE:
      g_value_set_enum (value, self->state);
      break;
    case PROP_ERROR:
      g_value_set_boxed (value, self->error);
      break;
    case PROP_NAME:
      g_value_set_string (value, self->name);
      break;
    case PROP_PATH:
      g_value_set_string (value, self->path);
      break;
    case PROP_VERSION:
      g_value_set_string (value, self->version);
      break;
    case PROP_LICENSE:
      g_value_set_string (value, self->license);
      break;
    case PROP_DESCRIPTION:
      g_value_set_string (value, self->description);
      break;
    case PROP_DEFAULT_ROLE:
      g_value_set_string (value, self->registrar.default_role);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
derate_plugin_class_init (DeratePluginClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->finalize = derate_plugin_finalize;
  object_class->get_property = derate_plugin_get_property;

  /**
   * DeratePlugin:state: (getter get_state)
   *
   * What became of it.
   *
   * Since: 1.0
   */
  properties[PROP_STATE] = g_param_spec_enum ("state", NULL, NULL, DERATE_TYPE_PLUGIN_STATE,
                                              DERATE_PLUGIN_STATE_UNKNOWN, flags);
  /**
   * DeratePlugin:error: (getter get_error)
   *
   * Why it was refused, or %NULL.
   *
   * Since: 1.0
   */
  properties[PROP_ERROR] = g_param_spec_boxed ("error", NULL, NULL, G_TYPE_ERROR, flags);
  /**
   * DeratePlugin:name: (getter get_name)
   *
   * Its name.
   *
   * Since: 1.0
   */
  properties[PROP_NAME] = g_param_spec_string ("name", NULL, NULL, NULL, flags);
  /**
   * DeratePlugin:path: (getter get_path)
   *
   * Its file, or %NULL for a static one.
   *
   * Since: 1.0
   */
  properties[PROP_PATH] = g_param_spec_string ("path", NULL, NULL, NULL, flags);
  /**
   * DeratePlugin:version: (getter get_version)
   *
   * Its version, if known.
   *
   * Since: 1.0
   */
  properties[PROP_VERSION] = g_param_spec_string ("version", NULL, NULL, NULL, flags);
  /**
   * DeratePlugin:license: (getter get_license)
   *
   * Its license as an SPDX expression, if known.
   *
   * Since: 1.0
   */
  properties[PROP_LICENSE] = g_param_spec_string ("license", NULL, NULL, NULL, flags);
  /**
   * DeratePlugin:description: (getter get_description)
   *
   * What it is for, in a line, if known.
   *
   * Since: 1.0
   */
  properties[PROP_DESCRIPTION] = g_param_spec_string ("description", NULL, NULL, NULL, flags);
  /**
   * DeratePlugin:default-role: (getter get_default_role)
   *
   * The role of a service that names this plugin and no role, if any.
   *
   * Since: 1.0
   */
  properties[PROP_DEFAULT_ROLE] = g_param_spec_string ("default-role", NULL, NULL, NULL, flags);
  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
derate_plugin_init (DeratePlugin *self)
{
}

static DeratePlugin *
plugin_new (const char *name, const char *path, const DeratePluginDescriptor *descriptor)
{
  DeratePlugin *self = g_object_new (DERATE_TYPE_PLUGIN, NULL);

  self->name = g_strdup (name);
  self->path = g_strdup (path);
  if (descriptor != NULL)
    {
      self->version = g_strdup (descriptor->version);
      self->license = g_strdup (descriptor->license);
      self->description = g_strdup (descriptor->description);
    }
  return self;
}

DeratePlugin *
derate_plugin_new_failed (const char *name,
                          const char *path,
                          const DeratePluginDescriptor *descriptor,
                          const GError *error)
{
  DeratePlugin *self = plugin_new (name, path, descriptor);

  self->state = DERATE_PLUGIN_STATE_FAILED;
  self->error = g_error_copy (error);
  return self;
}

static gboolean
plugin_register (DeratePlugin *self, const DeratePluginDescriptor *descriptor, GError **error)
{
  g_autoptr (GError) local_error = NULL;

  if (!descriptor->register_func (&self->registrar, &local_error))
    {
      g_autofree char *text = NULL;

      if (local_error == NULL)
        {
          g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN,
                       "its register function failed without an error");
          return FALSE;
        }
      text = derate_redact (local_error->message);
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN,
                   "its register function failed: %s", text);
      return FALSE;
    }

  if (self->registrar.n_checks == 1)
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN,
               "it registered %u health checks instead of one", self->registrar.n_checks);
  return FALSE;
}

DeratePlugin *
derate_plugin_new_registered (const char *path,
                              const DeratePluginDescriptor *descriptor,
                              GError **error)
{
  g_autoptr (DeratePlugin) self = plugin_new (descriptor->name, path, descriptor);

  if (!plugin_register (self, descriptor, error))
    return NULL;
  self->state = DERATE_PLUGIN_STATE_LOADED;
  return g_steal_pointer (&self);
}

/* A plugin's own words are not trusted to keep a secret. */
static void
set_factory_error (DeratePlugin *self, const char *service, GError *cause, GError **error)
{
  g_autofree char *text =
      derate_redact (cause != NULL ? cause->message : "failed without an error");

  g_set_error (error, cause != NULL ? cause->domain : DERATE_ERROR,
               cause != NULL ? cause->code : DERATE_ERROR_INVALID_PLUGIN,
               "service “%s”, plugin “%s”: %s", service, self->name, text);
}

DerateHealthCheck *
derate_plugin_create_check (DeratePlugin *self,
                            const char *service,
                            GVariant *options,
                            GError **error)
{
  g_autoptr (GError) local_error = NULL;
  g_autoptr (GVariant) held = NULL;
  DerateHealthCheck *check;

  if (self->state != DERATE_PLUGIN_STATE_LOADED)
    {
      g_propagate_error (error, g_error_copy (self->error));
      return NULL;
    }

  held = options != NULL ? g_variant_ref_sink (options)
                         : g_variant_ref_sink (g_variant_new ("a{ss}", NULL));
  check = self->registrar.factory (service, held, self->registrar.user_data, &local_error);
  if (check == NULL || local_error != NULL || !DERATE_IS_HEALTH_CHECK (check))
    {
      g_clear_object (&check);
      set_factory_error (self, service, local_error, error);
      return NULL;
    }
  return check;
}

/**
 * derate_plugin_registrar_add_health_check:
 * @registrar: what `register_func` was given
 * @default_role: (nullable): the role of a service that names this plugin and no role: `database`,
 *   `cache`, `ai`, `storage`, or none
 * @factory: (scope notified) (closure user_data) (destroy destroy): makes a check for one service
 * @user_data: data for @factory
 * @destroy: (nullable): frees @user_data when the loader goes, or at once if the plugin is refused
 *
 * Registers the health check of a plugin. A plugin has one: registering a second makes it fail. To
 * be called inside `register_func` alone.
 *
 * Since: 1.0
 */
void
derate_plugin_registrar_add_health_check (DeratePluginRegistrar *registrar,
                                          const char *default_role,
                                          DerateHealthCheckFactory factory,
                                          gpointer user_data,
                                          GDestroyNotify destroy)
{
  g_return_if_fail (registrar != NULL);
  g_return_if_fail (factory != NULL);

  registrar->n_checks++;
  if (registrar->n_checks > 1)
    {
      if (destroy != NULL)
        destroy (user_data);
      return;
    }

  registrar->default_role = g_strdup (default_role);
  registrar->factory = factory;
  registrar->user_data = user_data;
  registrar->destroy = destroy;
}

/**
 * derate_plugin_get_state: (get-property state)
 * @plugin: a plugin
 *
 * What became of it.
 *
 * Returns: the state
 *
 * Since: 1.0
 */
DeratePluginState
derate_plugin_get_state (DeratePlugin *plugin)
{
  g_return_val_if_fail (DERATE_IS_PLUGIN (plugin), DERATE_PLUGIN_STATE_UNKNOWN);

  return plugin->state;
}

/**
 * derate_plugin_get_error: (get-property error)
 * @plugin: a plugin
 *
 * Why it was refused.
 *
 * Returns: (transfer none) (nullable): the error, %NULL unless it failed
 *
 * Since: 1.0
 */
const GError *
derate_plugin_get_error (DeratePlugin *plugin)
{
  g_return_val_if_fail (DERATE_IS_PLUGIN (plugin), NULL);

  return plugin->error;
}

/**
 * derate_plugin_get_name: (get-property name)
 * @plugin: a plugin
 *
 * Its name. Of a file that could not be opened: what the file name says.
 *
 * Returns: the name
 *
 * Since: 1.0
 */
const char *
derate_plugin_get_name (DeratePlugin *plugin)
{
  g_return_val_if_fail (DERATE_IS_PLUGIN (plugin), NULL);

  return plugin->name;
}

/**
 * derate_plugin_get_path: (get-property path)
 * @plugin: a plugin
 *
 * Its file.
 *
 * Returns: (nullable) (type filename): the path, %NULL for a static plugin
 *
 * Since: 1.0
 */
const char *
derate_plugin_get_path (DeratePlugin *plugin)
{
  g_return_val_if_fail (DERATE_IS_PLUGIN (plugin), NULL);

  return plugin->path;
}

/**
 * derate_plugin_get_version: (get-property version)
 * @plugin: a plugin
 *
 * Its version, for people.
 *
 * Returns: (nullable): the version, %NULL where the descriptor was refused
 *
 * Since: 1.0
 */
const char *
derate_plugin_get_version (DeratePlugin *plugin)
{
  g_return_val_if_fail (DERATE_IS_PLUGIN (plugin), NULL);

  return plugin->version;
}

/**
 * derate_plugin_get_license: (get-property license)
 * @plugin: a plugin
 *
 * Its license as an SPDX expression.
 *
 * Returns: (nullable): the license, %NULL where the descriptor was refused
 *
 * Since: 1.0
 */
const char *
derate_plugin_get_license (DeratePlugin *plugin)
{
  g_return_val_if_fail (DERATE_IS_PLUGIN (plugin), NULL);

  return plugin->license;
}

/**
 * derate_plugin_get_description: (get-property description)
 * @plugin: a plugin
 *
 * What it is for, in a line.
 *
 * Returns: (nullable): the description, %NULL where the descriptor was refused
 *
 * Since: 1.0
 */
const char *
derate_plugin_get_description (DeratePlugin *plugin)
{
  g_return_val_if_fail (DERATE_IS_PLUGIN (plugin), NULL);

  return plugin->description;
}

/**
 * derate_plugin_get_default_role: (get-property default-role)
 * @plugin: a plugin
 *
 * The role of a service that names this plugin and no role.
 *
 * Returns: (nullable): the role
 *
 * Since: 1.0
 */
const char *
derate_plugin_get_default_role (DeratePlugin *plugin)
{
  g_return_val_if_fail (DERATE_IS_PLUGIN (plugin), NULL);

  return plugin->registrar.default_role;
}
