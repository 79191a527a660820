/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-config.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "derate-config-private.h"
#include "derate-debug-private.h"
#include "derate-error.h"
#include "derate-time-span.h"

/* More than any configuration, less than what a device file would give. */
#define FILE_MAX (1024 * 1024)

/**
 * DerateConfig:
 *
 * What a configuration file says, checked, with the place of every value. It touches no object:
 * something else makes them from it. Immutable, so it may be used in any thread.
 *
 * A file has groups and keys: `[service database]`, `check-interval=10s`; `#` begins a comment
 * line. Values are raw, but for `${NAME}` and `${NAME:-default}`, which take variables of the
 * environment, and `$$`, a dollar. Files `*.conf` in the folder `FILE.d` are read after `FILE`, in
 * the order of their names; a later one overrides key by key, and an empty value unsets. A group is
 * named here by the text between its brackets.
 *
 * Since: 1.0
 */
G_DEFINE_BOXED_TYPE (DerateConfig, derate_config, derate_config_ref, derate_config_unref)

static void
config_clear (gpointer data)
{
  g_clear_pointer (&((DerateConfig *)data)->groups, g_ptr_array_unref);
}

/**
 * derate_config_ref:
 * @config: a configuration
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @config
 *
 * Since: 1.0
 */
DerateConfig *
derate_config_ref (DerateConfig *config)
{
  return g_atomic_rc_box_acquire (config);
}

/**
 * derate_config_unref:
 * @config: (transfer full): a configuration
 *
 * Drops a reference.
 *
 * Since: 1.0
 */
void
derate_config_unref (DerateConfig *config)
{
  g_atomic_rc_box_release_full (config, config_clear);
}

static gboolean
read_file (DerateConfig *config, const char *path, GError **error)
{
  g_autofree char *shown = g_filename_display_name (path);
  g_autofree char *text = NULL;
  g_autoptr (GError) local_error = NULL;
  GStatBuf info;
  gsize length;

  /* A pipe would block, a device might never end. */
  if (g_stat (path, &info) == 0 && (!S_ISREG (info.st_mode) || info.st_size > FILE_MAX))
    {
      derate_config_set_error (error, shown, 0, NULL, NULL,
                               "it is not a regular file of at most %d bytes", FILE_MAX);
      return FALSE;
    }
  if (!g_file_get_contents (path, &text, &length, &local_error))
    {
      derate_config_set_error (error, shown, 0, NULL, NULL, "%s", local_error->message);
      return FALSE;
    }
  if (strlen (text) != length)
    {
      derate_config_set_error (error, shown, 0, NULL, NULL, "it has a byte 0 in it");
      return FALSE;
    }
  return derate_config_read (config, text, shown, error);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/* `*.conf` of @folder in the order of their bytes, which no locale changes. No folder, no files. */
static GPtrArray *
list_folder (const char *folder)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (name, ".conf") && name[0] != '.')
      g_ptr_array_add (names, g_build_filename (folder, name, NULL));
  g_ptr_array_sort (names, compare_names);
  return g_steal_pointer (&names);
}

static DerateConfig *
config_new (void)
{
  DerateConfig *config = g_atomic_rc_box_new0 (DerateConfig);

  config->groups = derate_config_groups_new ();
  return config;
}

/* Which of the files each key is from. Values may be secrets. */
static void
note_origins (DerateConfig *config)
{
  for (guint i = 0; i < config->groups->len; i++)
    {
      DerateConfigGroup *group = g_ptr_array_index (config->groups, i);

      for (guint j = 0; j < group->entries->len; j++)
        {
          DerateConfigEntry *entry = g_ptr_array_index (group->entries, j);

          derate_debug_note (DERATE_DEBUG_CONFIG, "[%s] %s: %s, line %u", group->name, entry->key,
                             entry->file, entry->line);
        }
    }
}

/**
 * derate_config_new_from_file:
 * @path: (type filename): a file
 * @error: where to put the error
 *
 * Reads a file and the `*.conf` in the folder `PATH.d` beside it, if there is one. Blocks while it
 * reads.
 *
 * Errors: %DERATE_ERROR_INVALID_CONFIG, with the file, the group, the key, the line and what is
 * wrong; never with a secret.
 *
 * Returns: (transfer full): the configuration, or %NULL with @error set
 *
 * Since: 1.0
 */
DerateConfig *
derate_config_new_from_file (const char *path, GError **error)
{
  g_autoptr (DerateConfig) config = NULL;
  g_autofree char *folder = NULL;
  g_autoptr (GPtrArray) more = NULL;

  g_return_val_if_fail (path != NULL, NULL);

  config = config_new ();
  folder = g_strconcat (path, ".d", NULL);
  more = list_folder (folder);
  if (!read_file (config, path, error))
    return NULL;
  for (guint i = 0; i < more->len; i++)
    if (!read_file (config, g_ptr_array_index (more, i), error))
      return NULL;
  if (!derate_config_check (config, error))
    return NULL;
  if (derate_debug_is_on (DERATE_DEBUG_CONFIG))
    note_origins (config);
  return g_steal_pointer (&config);
}

/**
 * derate_config_new_from_data:
 * @text: what a file would have
 * @name: what errors call it
 * @error: where to put the error
 *
 * Reads a configuration out of memory.
 *
 * Errors: as derate_config_new_from_file().
 *
 * Returns: (transfer full): the configuration, or %NULL with @error set
 *
 * Since: 1.0
 */
DerateConfig *
derate_config_new_from_data (const char *text, const char *name, GError **error)
{
  g_autoptr (DerateConfig) config = NULL;

  g_return_val_if_fail (text != NULL, NULL);
  g_return_val_if_fail (name != NULL, NULL);

  config = config_new ();
  if (!derate_config_read (config, text, name, error) || !derate_config_check (config, error))
    return NULL;
  return g_steal_pointer (&config);
}

DerateConfigGroup *
derate_config_find_group (DerateConfig *config, const char *name)
{
  for (guint i = 0; i < config->groups->len; i++)
    {
      DerateConfigGroup *group = g_ptr_array_index (config->groups, i);

      if (strcmp (group->name, name) == 0)
        return group;
    }
  return NULL;
}

DerateConfigEntry *
derate_config_group_find (DerateConfigGroup *group, const char *key)
{
  for (guint i = 0; i < group->entries->len; i++)
    {
      DerateConfigEntry *entry = g_ptr_array_index (group->entries, i);

      if (strcmp (entry->key, key) == 0)
        return entry;
    }
  return NULL;
}

static gboolean
entry_is_set (const DerateConfigEntry *entry)
{
  return entry->value != NULL && entry->value[0] != '\0';
}

/**
 * derate_config_list_names:
 * @config: a configuration
 * @kind: `service`, `breaker`, `rule`, `feature`, `fallback` or `queue`
 *
 * The names in the groups of one kind.
 *
 * Returns: (transfer full): the names, in the order of the files
 *
 * Since: 1.0
 */
char **
derate_config_list_names (DerateConfig *config, const char *kind)
{
  g_autoptr (GStrvBuilder) names = g_strv_builder_new ();
  const DerateConfigKind *wanted = derate_config_kind_find (kind);

  for (guint i = 0; i < config->groups->len; i++)
    {
      DerateConfigGroup *group = g_ptr_array_index (config->groups, i);

      if (group->kind == wanted && group->object != NULL)
        g_strv_builder_add (names, group->object);
    }
  return g_strv_builder_end (names);
}

/**
 * derate_config_list_keys:
 * @config: a configuration
 * @group: a group, such as `fallback prices`
 *
 * The keys that are set in a group.
 *
 * Returns: (transfer full): the keys, in the order of the files
 *
 * Since: 1.0
 */
char **
derate_config_list_keys (DerateConfig *config, const char *group)
{
  g_autoptr (GStrvBuilder) keys = g_strv_builder_new ();
  DerateConfigGroup *found = derate_config_find_group (config, group);

  for (guint i = 0; found != NULL && i < found->entries->len; i++)
    {
      DerateConfigEntry *entry = g_ptr_array_index (found->entries, i);

      if (entry_is_set (entry))
        g_strv_builder_add (keys, entry->key);
    }
  return g_strv_builder_end (keys);
}

/**
 * derate_config_has_group:
 * @config: a configuration
 * @group: a group, such as `breaker shared`
 *
 * Whether a group was given.
 *
 * Returns: whether it was, even without a key
 *
 * Since: 1.0
 */
gboolean
derate_config_has_group (DerateConfig *config, const char *group)
{
  return derate_config_find_group (config, group) != NULL;
}

static gboolean
contains_values (DerateConfig *config, const char *group, DerateConfig *of)
{
  g_auto (GStrv) keys = derate_config_list_keys (of, group);

  for (guint i = 0; keys[i] != NULL; i++)
    if (g_strcmp0 (derate_config_get_text (config, group, keys[i], NULL),
                   derate_config_get_text (of, group, keys[i], NULL)) != 0)
      return FALSE;
  return TRUE;
}

/**
 * derate_config_group_equal:
 * @config: a configuration
 * @other: another
 * @group: a group, such as `service database`
 *
 * Compares a group of two configurations: what a reload need not touch.
 *
 * Returns: whether both have it with the same keys and values, in any order, or neither has it
 *
 * Since: 1.0
 */
gboolean
derate_config_group_equal (DerateConfig *config, DerateConfig *other, const char *group)
{
  return derate_config_has_group (config, group) == derate_config_has_group (other, group) &&
         contains_values (config, group, other) && contains_values (other, group, config);
}

/**
 * derate_config_get_text:
 * @config: a configuration
 * @group: a group, such as `service database`
 * @key: a key
 * @fallback: (nullable): what stands if it is not set
 *
 * A value, with variables expanded.
 *
 * Returns: (nullable): the value, valid as long as @config, or @fallback
 *
 * Since: 1.0
 */
const char *
derate_config_get_text (DerateConfig *config,
                        const char *group,
                        const char *key,
                        const char *fallback)
{
  DerateConfigGroup *found = derate_config_find_group (config, group);
  DerateConfigEntry *entry = found != NULL ? derate_config_group_find (found, key) : NULL;

  return entry != NULL && entry_is_set (entry) ? entry->value : fallback;
}

/**
 * derate_config_get_duration:
 * @config: a configuration
 * @group: a group, such as `derate`
 * @key: a key that takes a duration
 * @fallback: what stands if it is not set, in microseconds
 *
 * A duration.
 *
 * Returns: the value in microseconds, or @fallback
 *
 * Since: 1.0
 */
GTimeSpan
derate_config_get_duration (DerateConfig *config,
                            const char *group,
                            const char *key,
                            GTimeSpan fallback)
{
  const char *text = derate_config_get_text (config, group, key, NULL);
  GTimeSpan value;

  return text != NULL && derate_time_span_parse (text, &value, NULL) ? value : fallback;
}

/**
 * derate_config_get_uint:
 * @config: a configuration
 * @group: a group, such as `service database`
 * @key: a key that takes a whole number
 * @fallback: what stands if it is not set
 *
 * A whole number.
 *
 * Returns: the value, or @fallback
 *
 * Since: 1.0
 */
guint
derate_config_get_uint (DerateConfig *config, const char *group, const char *key, guint fallback)
{
  const char *text = derate_config_get_text (config, group, key, NULL);
  guint64 value;

  return text != NULL && g_ascii_string_to_unsigned (text, 10, 0, G_MAXUINT, &value, NULL)
             ? (guint)value
             : fallback;
}

/**
 * derate_config_get_double:
 * @config: a configuration
 * @group: a group, such as `service database`
 * @key: a key that takes a number
 * @fallback: what stands if it is not set
 *
 * A number, with a dot whatever the locale.
 *
 * Returns: the value, or @fallback
 *
 * Since: 1.0
 */
double
derate_config_get_double (DerateConfig *config, const char *group, const char *key, double fallback)
{
  const char *text = derate_config_get_text (config, group, key, NULL);
  char *end = NULL;
  double value = text != NULL ? g_ascii_strtod (text, &end) : fallback;

  return text == NULL || (end != text && *end == '\0') ? value : fallback;
}

/**
 * derate_config_get_boolean:
 * @config: a configuration
 * @group: a group, such as `derate`
 * @key: a key that takes `on` or `off`
 * @fallback: what stands if it is not set
 *
 * Whether something is on. `true`, `yes`, `1` and their contraries are understood too.
 *
 * Returns: the value, or @fallback
 *
 * Since: 1.0
 */
gboolean
derate_config_get_boolean (DerateConfig *config,
                           const char *group,
                           const char *key,
                           gboolean fallback)
{
  const char *text = derate_config_get_text (config, group, key, NULL);
  gboolean value;

  return text != NULL && derate_config_parse_boolean (text, &value) ? value : fallback;
}

/**
 * derate_config_get_enum:
 * @config: a configuration
 * @group: a group, such as `service database`
 * @key: a key that takes one word of several
 * @type: the type of the enumeration
 * @fallback: what stands if it is not set
 *
 * A value of an enumeration, by its nick.
 *
 * Returns: the value, or @fallback
 *
 * Since: 1.0
 */
int
derate_config_get_enum (DerateConfig *config,
                        const char *group,
                        const char *key,
                        GType type,
                        int fallback)
{
  const char *text = derate_config_get_text (config, group, key, NULL);
  g_autoptr (GEnumClass) klass = g_type_class_ref (type);
  GEnumValue *value = text != NULL ? g_enum_get_value_by_nick (klass, text) : NULL;

  return value != NULL ? value->value : fallback;
}

/**
 * derate_config_list_words:
 * @config: a configuration
 * @group: a group, such as `service database`
 * @key: a key that takes several words
 *
 * The words of a value, which spaces separate.
 *
 * Returns: (transfer full): the words; none if it is not set
 *
 * Since: 1.0
 */
char **
derate_config_list_words (DerateConfig *config, const char *group, const char *key)
{
  g_autoptr (GStrvBuilder) words = g_strv_builder_new ();
  g_auto (GStrv) parts = g_strsplit (derate_config_get_text (config, group, key, ""), " ", -1);

  for (guint i = 0; parts[i] != NULL; i++)
    if (parts[i][0] != '\0')
      g_strv_builder_add (words, parts[i]);
  return g_strv_builder_end (words);
}

/**
 * derate_config_dup_origin:
 * @config: a configuration
 * @group: a group, such as `service database`
 * @key: (nullable): a key, or %NULL for the group
 *
 * Where something was said, for an error that shows only later. Without the value.
 *
 * Returns: (transfer full): such as `file a.conf, [service database], plugin`
 *
 * Since: 1.0
 */
char *
derate_config_dup_origin (DerateConfig *config, const char *group, const char *key)
{
  DerateConfigGroup *found = derate_config_find_group (config, group);
  DerateConfigEntry *entry =
      found != NULL && key != NULL ? derate_config_group_find (found, key) : NULL;
  g_autoptr (GString) text = g_string_new (NULL);

  if (found != NULL)
    g_string_append_printf (text, "file %s, ", entry != NULL ? entry->file : found->file);
  g_string_append_printf (text, "[%s]", group);
  if (key != NULL)
    g_string_append_printf (text, ", %s", key);
  return g_strdup (text->str);
}
