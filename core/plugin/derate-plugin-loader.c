/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE /* secure_getenv () */
#include "derate-plugin-loader.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <gmodule.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "derate-error.h"
#include "derate-debug-private.h"
#include "derate-log-private.h"
#include "derate-names-private.h"
#include "derate-plugin-private.h"

/**
 * DeratePluginLoader:
 *
 * Finds plugins, checks them and keeps a list of them, as a [iface@Gio.ListModel] of
 * [class@Plugin]; those that were refused are in it too, with their error.
 *
 * A plugin NAME is the module `libderate-plugin-NAME.so`, looked for in the folders given to
 * [method@PluginLoader.add_path], then those of the environment variable `DERATE_PLUGIN_PATH`
 * (separated by colons; ignored in a setuid program), then the installed folder; in each also in a
 * folder NAME, as a build tree has it. The first file found is the one that counts.
 *
 * Its descriptor is checked before anything of it is called. What the dynamic linker runs when a
 * module is opened (constructors) comes before any check: `deratectl check-plugin` opens one in a
 * process of its own. A module stays in memory for good. Each loader calls `register_func` of a
 * module once, so two of them in a program share the code and nothing else.
 *
 * Load in the thread that made the loader, where `items-changed` is emitted; looking up and making
 * checks may be done in any thread.
 *
 * Since: 1.0
 */
struct _DeratePluginLoader
{
  GObject parent_instance;

  GPtrArray *folders; /* (element-type filename); those given in code come first */
  guint n_given;

  GMutex mutex; /* the array below; never held while anything of a plugin runs */
  GPtrArray *plugins;
};

static void list_model_init (GListModelInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DeratePluginLoader,
                               derate_plugin_loader,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (G_TYPE_LIST_MODEL, list_model_init))

static GType
list_model_get_item_type (GListModel *model)
{
  return DERATE_TYPE_PLUGIN;
}

static guint
list_model_get_n_items (GListModel *model)
{
  DeratePluginLoader *self = DERATE_PLUGIN_LOADER (model);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->mutex);

  return self->plugins->len;
}

static gpointer
list_model_get_item (GListModel *model, guint position)
{
  DeratePluginLoader *self = DERATE_PLUGIN_LOADER (model);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->mutex);

  if (position >= self->plugins->len)
    return NULL;
  return g_object_ref (g_ptr_array_index (self->plugins, position));
}

static void
list_model_init (GListModelInterface *iface)
{
  iface->get_item_type = list_model_get_item_type;
  iface->get_n_items = list_model_get_n_items;
  iface->get_item = list_model_get_item;
}

static void
derate_plugin_loader_finalize (GObject *object)
{
  DeratePluginLoader *self = DERATE_PLUGIN_LOADER (object);

  g_ptr_array_unref (self->folders);
  g_ptr_array_unref (self->plugins);
  g_mutex_clear (&self->mutex);
  G_OBJECT_CLASS (derate_plugin_loader_parent_class)->finalize (object);
}

static void
derate_plugin_loader_class_init (DeratePluginLoaderClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_plugin_loader_finalize;
}

static void
derate_plugin_loader_init (DeratePluginLoader *self)
{
  const char *path = secure_getenv (DERATE_ENV_PLUGIN_PATH);
  g_auto (GStrv) folders = g_strsplit (path != NULL ? path : "", G_SEARCHPATH_SEPARATOR_S, -1);

  g_mutex_init (&self->mutex);
  self->plugins = g_ptr_array_new_with_free_func (g_object_unref);
  self->folders = g_ptr_array_new_with_free_func (g_free);
  /* An empty element is not the current folder. */
  for (guint i = 0; folders[i] != NULL; i++)
    if (folders[i][0] != '\0')
      g_ptr_array_add (self->folders, g_strdup (folders[i]));
  g_ptr_array_add (self->folders, g_strdup (DERATE_PLUGIN_DIR));
}

/**
 * derate_plugin_loader_new:
 *
 * Makes a loader with an empty list.
 *
 * Returns: (transfer full): the loader
 *
 * Since: 1.0
 */
DeratePluginLoader *
derate_plugin_loader_new (void)
{
  return g_object_new (DERATE_TYPE_PLUGIN_LOADER, NULL);
}

/**
 * derate_plugin_loader_add_path:
 * @loader: a loader
 * @folder: (type filename): a folder
 *
 * Looks in @folder too: before the environment's and the installed folder, after those added
 * before.
 *
 * Since: 1.0
 */
void
derate_plugin_loader_add_path (DeratePluginLoader *loader, const char *folder)
{
  g_return_if_fail (DERATE_IS_PLUGIN_LOADER (loader));
  g_return_if_fail (folder != NULL);

  g_ptr_array_insert (loader->folders, (int)loader->n_given++, g_strdup (folder));
}

/**
 * derate_plugin_loader_lookup:
 * @loader: a loader
 * @name: a name
 *
 * A plugin of the list. May be called in any thread.
 *
 * Returns: (transfer full) (nullable): the plugin, loaded or failed, or %NULL
 *
 * Since: 1.0
 */
DeratePlugin *
derate_plugin_loader_lookup (DeratePluginLoader *loader, const char *name)
{
  g_autoptr (GMutexLocker) locker = NULL;

  g_return_val_if_fail (DERATE_IS_PLUGIN_LOADER (loader), NULL);
  g_return_val_if_fail (name != NULL, NULL);

  locker = g_mutex_locker_new (&loader->mutex);
  for (guint i = 0; i < loader->plugins->len; i++)
    {
      DeratePlugin *plugin = g_ptr_array_index (loader->plugins, i);

      if (strcmp (derate_plugin_get_name (plugin), name) == 0)
        return g_object_ref (plugin);
    }
  return NULL;
}

/* Puts @plugin where the one was that it replaces, or at the end. */
static void
list_plugin (DeratePluginLoader *self, DeratePlugin *plugin)
{
  g_autoptr (DeratePlugin) old = NULL;
  guint position;

  g_mutex_lock (&self->mutex);
  for (position = 0; position < self->plugins->len; position++)
    {
      DeratePlugin *other = g_ptr_array_index (self->plugins, position);

      if (strcmp (derate_plugin_get_name (other), derate_plugin_get_name (plugin)) == 0)
        break;
    }
  if (position == self->plugins->len)
    g_ptr_array_add (self->plugins, g_object_ref (plugin));
  else
    {
      old = g_ptr_array_index (self->plugins, position);
      g_ptr_array_index (self->plugins, position) = g_object_ref (plugin);
    }
  g_mutex_unlock (&self->mutex);

  g_list_model_items_changed (G_LIST_MODEL (self), position, old != NULL ? 1 : 0, 1);
}

static DeratePlugin *
finish_loaded (DeratePluginLoader *self, DeratePlugin *plugin)
{
  g_autoptr (DeratePlugin) held = plugin; /* the list has its own */
  const char *path = derate_plugin_get_path (plugin);
  g_autofree char *message =
      g_strdup_printf ("Plugin %s %s loaded from %s", derate_plugin_get_name (plugin),
                       derate_plugin_get_version (plugin),
                       path != NULL ? path : "the program itself");

  list_plugin (self, plugin);
  derate_log_event (G_LOG_LEVEL_INFO, DERATE_EVENT_PLUGIN_LOADED, derate_plugin_get_name (plugin),
                    message, NULL);
  return plugin;
}

static DeratePlugin *
finish_failed (DeratePluginLoader *self, DeratePlugin *plugin, GError *cause, GError **error)
{
  g_autoptr (DeratePlugin) held = plugin;
  g_autofree char *message =
      g_strdup_printf ("Plugin %s refused: %s", derate_plugin_get_name (plugin), cause->message);

  list_plugin (self, plugin);
  derate_log_event (G_LOG_LEVEL_WARNING, DERATE_EVENT_PLUGIN_FAILED,
                    derate_plugin_get_name (plugin), message, DERATE_FIELD_REASON, cause->message,
                    NULL);
  g_propagate_error (error, cause);
  return NULL;
}

/* The descriptor of a module that from here on stays, or NULL with an error that says what, not
 * where. */
static gboolean
open_module (const char *path, const DeratePluginDescriptor **descriptor, GError **error)
{
  const DeratePluginDescriptor *(*get_descriptor) (void) = NULL;
  g_autoptr (GError) local_error = NULL;
  GModule *module;

  /* Bound now, so that a missing function shows here and not in the middle of a check. */
  module = g_module_open_full (path, G_MODULE_BIND_LOCAL, &local_error);
  if (module == NULL)
    {
      g_autofree char *front = g_strconcat (path, ": ", NULL);
      gsize skip = g_str_has_prefix (local_error->message, front) ? strlen (front) : 0;

      /* The path is said once, by who calls this. */
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN, "it cannot be opened: %s",
                   local_error->message + skip);
      return FALSE;
    }
  g_module_make_resident (module);
  if (!g_module_symbol (module, DERATE_PLUGIN_SYMBOL, (gpointer *)&get_descriptor) ||
      get_descriptor == NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN, "it has no symbol %s",
                   DERATE_PLUGIN_SYMBOL);
      return FALSE;
    }
  *descriptor = get_descriptor ();
  return TRUE;
}

static DeratePlugin *
load_path (DeratePluginLoader *self, const char *name, const char *path, GError **error)
{
  g_autofree char *shown = g_filename_display_name (path);
  const DeratePluginDescriptor *descriptor = NULL;
  g_autoptr (DeratePlugin) plugin = NULL;
  gboolean checked;
  GError *local_error = NULL;

  checked = derate_plugin_file_check (path, &local_error) &&
            open_module (path, &descriptor, &local_error) &&
            derate_plugin_descriptor_check (descriptor, name, &local_error);
  if (checked)
    plugin = derate_plugin_new_registered (path, descriptor, &local_error);
  if (plugin != NULL)
    return finish_loaded (self, g_steal_pointer (&plugin));

  g_prefix_error (&local_error, "plugin %s: ", shown);
  plugin = derate_plugin_new_failed (name, path, checked ? descriptor : NULL, local_error);
  return finish_failed (self, g_steal_pointer (&plugin), local_error, error);
}

/* The NAME in `libderate-plugin-NAME.so`. */
static char *
dup_name_of_file (const char *path, GError **error)
{
  g_autofree char *base = g_path_get_basename (path);
  g_autofree char *shown = g_filename_display_name (path);
  g_autofree char *name = NULL;

  if (g_str_has_prefix (base, DERATE_PLUGIN_FILE_PREFIX) &&
      g_str_has_suffix (base, DERATE_PLUGIN_FILE_SUFFIX) &&
      strlen (base) > strlen (DERATE_PLUGIN_FILE_PREFIX) + strlen (DERATE_PLUGIN_FILE_SUFFIX))
    name = g_strndup (base + strlen (DERATE_PLUGIN_FILE_PREFIX),
                      strlen (base) - strlen (DERATE_PLUGIN_FILE_PREFIX) -
                          strlen (DERATE_PLUGIN_FILE_SUFFIX));
  if (name != NULL && derate_plugin_name_is_valid (name))
    return g_steal_pointer (&name);

  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN,
               "plugin %s: its file is not called %sNAME%s", shown, DERATE_PLUGIN_FILE_PREFIX,
               DERATE_PLUGIN_FILE_SUFFIX);
  return NULL;
}

/**
 * derate_plugin_loader_load_file:
 * @loader: a loader
 * @path: (type filename): a file `libderate-plugin-NAME.so`
 * @error: where to put the error
 *
 * Loads one file. If it was loaded before, the same object is returned; a file that was refused
 * before is tried again.
 *
 * Errors: %DERATE_ERROR_NO_SUCH_PLUGIN if there is no such file; %DERATE_ERROR_INVALID_PLUGIN if it
 * is refused, and then it is in the list; %DERATE_ERROR_EXISTS if another file of that name is
 * loaded.
 *
 * Returns: (transfer none): the plugin, or %NULL with @error set
 *
 * Since: 1.0
 */
DeratePlugin *
derate_plugin_loader_load_file (DeratePluginLoader *loader, const char *path, GError **error)
{
  g_autofree char *name = NULL;
  g_autofree char *full_path = NULL;
  g_autoptr (DeratePlugin) known = NULL;

  g_return_val_if_fail (DERATE_IS_PLUGIN_LOADER (loader), NULL);
  g_return_val_if_fail (path != NULL, NULL);

  name = dup_name_of_file (path, error);
  if (name == NULL)
    return NULL;

  full_path = g_canonicalize_filename (path, NULL);
  known = derate_plugin_loader_lookup (loader, name);
  if (known == NULL || derate_plugin_get_state (known) != DERATE_PLUGIN_STATE_LOADED)
    return load_path (loader, name, full_path, error);
  if (g_strcmp0 (derate_plugin_get_path (known), full_path) == 0)
    return known;

  g_set_error (error, DERATE_ERROR, DERATE_ERROR_EXISTS,
               "plugin %s: “%s” is already loaded from %s", full_path, name,
               derate_plugin_get_path (known) != NULL ? derate_plugin_get_path (known)
                                                      : "the program itself");
  return NULL;
}

static char *
find_file (DeratePluginLoader *self, const char *name)
{
  g_autofree char *base =
      g_strconcat (DERATE_PLUGIN_FILE_PREFIX, name, DERATE_PLUGIN_FILE_SUFFIX, NULL);

  for (guint i = 0; i < self->folders->len; i++)
    {
      const char *folder = g_ptr_array_index (self->folders, i);
      g_autofree char *flat = g_build_filename (folder, base, NULL);
      g_autofree char *nested = g_build_filename (folder, name, base, NULL);

      if (g_file_test (flat, G_FILE_TEST_EXISTS))
        return g_steal_pointer (&flat);
      if (g_file_test (nested, G_FILE_TEST_EXISTS))
        return g_steal_pointer (&nested);
      DERATE_NOTE (PLUGIN, "no %s in %s", base, folder);
    }
  return NULL;
}

/**
 * derate_plugin_loader_load:
 * @loader: a loader
 * @name: the name of a plugin
 * @error: where to put the error
 *
 * Finds a plugin and loads it. If it was loaded before, the same object is returned; one that was
 * refused before is tried again.
 *
 * Errors: %DERATE_ERROR_NO_SUCH_PLUGIN if there is no file for it, with the folders;
 * %DERATE_ERROR_INVALID_PLUGIN if it is refused, and then it is in the list.
 *
 * Returns: (transfer none): the plugin, or %NULL with @error set
 *
 * Since: 1.0
 */
DeratePlugin *
derate_plugin_loader_load (DeratePluginLoader *loader, const char *name, GError **error)
{
  g_autoptr (DeratePlugin) known = NULL;
  g_autofree char *path = NULL;
  g_autofree char *folders = NULL;

  g_return_val_if_fail (DERATE_IS_PLUGIN_LOADER (loader), NULL);
  g_return_val_if_fail (name != NULL, NULL);

  known = derate_plugin_loader_lookup (loader, name);
  if (known != NULL && derate_plugin_get_state (known) == DERATE_PLUGIN_STATE_LOADED)
    return known;
  if (derate_plugin_name_is_valid (name))
    path = find_file (loader, name);
  if (path != NULL)
    {
      DERATE_NOTE (PLUGIN, "%s is %s", name, path);
      return derate_plugin_loader_load_file (loader, path, error);
    }

  g_ptr_array_add (loader->folders, NULL);
  folders = g_strjoinv (", ", (char **)loader->folders->pdata);
  g_ptr_array_remove_index (loader->folders, loader->folders->len - 1);
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_NO_SUCH_PLUGIN, "no plugin “%s”: no %s%s%s in %s",
               name, DERATE_PLUGIN_FILE_PREFIX, name, DERATE_PLUGIN_FILE_SUFFIX, folders);
  return NULL;
}

/**
 * derate_plugin_loader_add_static: (skip)
 * @loader: a loader
 * @descriptor: a descriptor
 * @error: where to put the error
 *
 * Takes a plugin that is linked into the program, after the same checks. @descriptor need not
 * outlive the call; the functions in it must outlive @loader.
 *
 * Errors: %DERATE_ERROR_INVALID_PLUGIN if it is refused, and it is in the list if it has a name;
 * %DERATE_ERROR_EXISTS if the name is taken.
 *
 * Returns: (transfer none): the plugin, or %NULL with @error set
 *
 * Since: 1.0
 */
DeratePlugin *
derate_plugin_loader_add_static (DeratePluginLoader *loader,
                                 const DeratePluginDescriptor *descriptor,
                                 GError **error)
{
  g_autoptr (DeratePlugin) known = NULL;
  g_autoptr (DeratePlugin) plugin = NULL;
  GError *local_error = NULL;

  g_return_val_if_fail (DERATE_IS_PLUGIN_LOADER (loader), NULL);

  if (!derate_plugin_descriptor_check (descriptor, NULL, error))
    {
      g_prefix_error (error, "static plugin: ");
      return NULL;
    }
  known = derate_plugin_loader_lookup (loader, descriptor->name);
  if (known != NULL && derate_plugin_get_state (known) == DERATE_PLUGIN_STATE_LOADED)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_EXISTS,
                   "static plugin “%s”: the name is taken", descriptor->name);
      return NULL;
    }

  plugin = derate_plugin_new_registered (NULL, descriptor, &local_error);
  if (plugin != NULL)
    return finish_loaded (loader, g_steal_pointer (&plugin));
  g_prefix_error (&local_error, "static plugin “%s”: ", descriptor->name);
  plugin = derate_plugin_new_failed (descriptor->name, NULL, descriptor, local_error);
  return finish_failed (loader, g_steal_pointer (&plugin), local_error, error);
}

/**
 * derate_plugin_loader_get_default_role:
 * @loader: a loader
 * @plugin: the name of a loaded plugin
 *
 * The role of a service that names @plugin and no role. May be called in any thread.
 *
 * Returns: (nullable): the role; %NULL if it has none or @plugin is not loaded. Valid as long as
 *   @loader
 *
 * Since: 1.0
 */
const char *
derate_plugin_loader_get_default_role (DeratePluginLoader *loader, const char *plugin)
{
  g_autoptr (DeratePlugin) found = derate_plugin_loader_lookup (loader, plugin);

  if (found == NULL || derate_plugin_get_state (found) != DERATE_PLUGIN_STATE_LOADED)
    return NULL;
  return derate_plugin_get_default_role (found);
}

/**
 * derate_plugin_loader_create_check:
 * @loader: a loader
 * @plugin: the name of a loaded plugin
 * @service: the name of a service
 * @options: (nullable): an `a{ss}` of the keys of the configuration that are for the plugin
 * @error: where to put the error
 *
 * Has a plugin make the health check of a service. May be called in any thread.
 *
 * Errors: %DERATE_ERROR_NO_SUCH_PLUGIN if @plugin is not in the list, the plugin's own error if it
 * failed, and what the plugin says of @options, which names service and plugin and has secrets
 * removed.
 *
 * Returns: (transfer full): the check, or %NULL with @error set
 *
 * Since: 1.0
 */
DerateHealthCheck *
derate_plugin_loader_create_check (DeratePluginLoader *loader,
                                   const char *plugin,
                                   const char *service,
                                   GVariant *options,
                                   GError **error)
{
  g_autoptr (DeratePlugin) found = NULL;
  g_autoptr (GVariant) held = options != NULL ? g_variant_ref_sink (options) : NULL;

  g_return_val_if_fail (DERATE_IS_PLUGIN_LOADER (loader), NULL);
  g_return_val_if_fail (service != NULL, NULL);
  g_return_val_if_fail (held == NULL || g_variant_is_of_type (held, G_VARIANT_TYPE ("a{ss}")),
                        NULL);

  found = derate_plugin_loader_lookup (loader, plugin);
  if (found != NULL)
    return derate_plugin_create_check (found, service, held, error);
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_NO_SUCH_PLUGIN,
               "service “%s”: no plugin “%s” is loaded", service, plugin);
  return NULL;
}
