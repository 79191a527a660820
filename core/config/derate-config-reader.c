/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "derate-config-private.h"
#include "derate-error.h"
#include "derate-redact.h"

/* Lines to groups and entries. White space around keys, values and headers is dropped; everything
 * else of a value is kept as it is. */

typedef struct
{
  DerateConfig *config;
  const char *file;
  guint line;
  DerateConfigGroup *group;
} Reader;

void
derate_config_set_error (GError **error,
                         const char *file,
                         guint line,
                         const char *group,
                         const char *key,
                         const char *format,
                         ...)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autofree char *message = NULL;
  g_autofree char *shown = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  shown = derate_redact (message);

  g_string_append_printf (text, "file %s", file);
  if (group != NULL)
    g_string_append_printf (text, ", [%s]", group);
  if (key != NULL)
    g_string_append_printf (text, ", %s", key);
  g_string_append_printf (text, ": %s", shown);
  if (line > 0)
    g_string_append_printf (text, " (line %u)", line);
  g_set_error_literal (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, text->str);
}

static void
entry_free (gpointer data)
{
  DerateConfigEntry *entry = data;

  g_free (entry->key);
  g_free (entry->raw);
  g_free (entry->value);
  g_clear_error (&entry->error);
  g_free (entry->file);
  g_free (entry);
}

/* Splits `kind` or `kind name`; the name is NULL or what stands after the one space. */
static const DerateConfigKind *
parse_header (Reader *reader, const char *text, const char **object, GError **error)
{
  const char *space = strchr (text, ' ');
  g_autofree char *word = space != NULL ? g_strndup (text, (gsize)(space - text)) : g_strdup (text);
  const DerateConfigKind *kind = derate_config_kind_find (word);

  *object = space != NULL ? space + 1 : NULL;
  if (kind == NULL || derate_config_kind_is_named (kind) != (*object != NULL))
    {
      derate_config_set_error (error, reader->file, reader->line, NULL, NULL,
                               kind == NULL    ? "no group [%s]"
                               : space == NULL ? "the group [%s] needs a name"
                                               : "the group [%s] takes no name",
                               kind == NULL ? text : word);
      return NULL;
    }
  if (*object != NULL && !derate_config_name_is_valid (*object))
    {
      derate_config_set_error (error, reader->file, reader->line, text, NULL,
                               "“%s” is not a name such as redis or my-service_2, or is reserved",
                               *object);
      return NULL;
    }
  return kind;
}

static void
group_free (gpointer data)
{
  DerateConfigGroup *group = data;

  g_free (group->name);
  g_ptr_array_unref (group->entries);
  g_free (group->file);
  g_free (group);
}

GPtrArray *
derate_config_groups_new (void)
{
  return g_ptr_array_new_with_free_func (group_free);
}

static DerateConfigGroup *
add_group (Reader *reader, const DerateConfigKind *kind, const char *text, const char *object)
{
  DerateConfigGroup *group = g_new0 (DerateConfigGroup, 1);

  group->kind = kind;
  group->name = g_strdup (text);
  group->object = object != NULL ? group->name + (object - text) : NULL;
  group->entries = g_ptr_array_new_with_free_func (entry_free);
  group->file = g_strdup (reader->file);
  group->line = reader->line;
  g_ptr_array_add (reader->config->groups, group);
  return group;
}

static gboolean
read_header (Reader *reader, char *line, GError **error)
{
  gsize length = strlen (line);
  const DerateConfigKind *kind;
  const char *object;
  char *text = line + 1;

  if (line[length - 1] != ']')
    {
      derate_config_set_error (error, reader->file, reader->line, NULL, NULL,
                               "a group does not end in “]”");
      return FALSE;
    }
  line[length - 1] = '\0';
  g_strstrip (text);
  kind = parse_header (reader, text, &object, error);
  if (kind == NULL)
    return FALSE;

  reader->group = derate_config_find_group (reader->config, text);
  if (reader->group == NULL)
    reader->group = add_group (reader, kind, text, object);
  else if (reader->group->pass == reader->config->n_passes)
    {
      derate_config_set_error (error, reader->file, reader->line, text, NULL,
                               "the group is given twice");
      return FALSE;
    }
  reader->group->pass = reader->config->n_passes;
  return TRUE;
}

/* An unknown key is shown only if it looks like one. */
static gboolean
check_key (Reader *reader, const char *key, GError **error)
{
  DerateConfigGroup *group = reader->group;
  DerateConfigEntry *entry;

  if (!g_ascii_islower (key[0]) ||
      key[strspn (key, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0')
    {
      derate_config_set_error (error, reader->file, reader->line, group->name, NULL,
                               "what stands before “=” is not a key");
      return FALSE;
    }
  if (!derate_config_kind_has_key (group->kind, key))
    {
      derate_config_set_error (error, reader->file, reader->line, group->name, key, "no such key");
      return FALSE;
    }
  entry = derate_config_group_find (group, key);
  if (entry != NULL && entry->pass == reader->config->n_passes)
    {
      derate_config_set_error (error, reader->file, reader->line, group->name, key,
                               "the key is given twice");
      return FALSE;
    }
  return TRUE;
}

/* What an error may say of a value that came from the environment: the text in the file. */
static char *
hide_expansion (const char *message, const char *raw, const char *value)
{
  g_autofree char *quoted = g_strdup_printf ("“%s”", value);
  g_autofree char *quoted_raw = g_strdup_printf ("“%s”", raw);
  g_auto (GStrv) parts = g_strsplit (message, quoted, -1);

  if (g_strv_length (parts) < 2)
    return g_strdup_printf ("what “%s” expands to is refused", raw);
  return g_strjoinv (quoted_raw, parts);
}

static gboolean
check_value (Reader *reader, DerateConfigEntry *entry, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  g_autofree char *message = NULL;

  if (derate_config_kind_check (reader->group->kind, entry->key, entry->value, &local_error))
    return TRUE;
  if (strchr (entry->raw, '$') != NULL)
    message = hide_expansion (local_error->message, entry->raw, entry->value);
  derate_config_set_error (error, reader->file, reader->line, reader->group->name, entry->key, "%s",
                           message != NULL ? message : local_error->message);
  return FALSE;
}

static gboolean
read_entry (Reader *reader, char *line, GError **error)
{
  char *equals = strchr (line, '=');
  DerateConfigEntry *entry;

  if (equals == NULL || reader->group == NULL)
    {
      derate_config_set_error (error, reader->file, reader->line,
                               reader->group != NULL ? reader->group->name : NULL, NULL,
                               equals == NULL
                                   ? "a line is neither [group] nor key=value nor # comment"
                                   : "a key stands before the first [group]");
      return FALSE;
    }
  *equals = '\0';
  g_strstrip (line);
  if (!check_key (reader, line, error))
    return FALSE;

  entry = derate_config_group_find (reader->group, line);
  if (entry == NULL)
    {
      entry = g_new0 (DerateConfigEntry, 1);
      entry->key = g_strdup (line);
      g_ptr_array_add (reader->group->entries, entry);
    }
  g_clear_error (&entry->error);
  g_free (entry->raw);
  g_free (entry->value);
  g_free (entry->file);
  entry->raw = g_strdup (g_strstrip (equals + 1));
  entry->file = g_strdup (reader->file);
  entry->line = reader->line;
  entry->pass = reader->config->n_passes;
  entry->value = derate_config_expand (entry->raw, &entry->error);
  if (entry->value == NULL || entry->value[0] == '\0')
    return TRUE;
  return check_value (reader, entry, error);
}

gboolean
derate_config_read (DerateConfig *config, const char *text, const char *file, GError **error)
{
  Reader reader = { .config = config, .file = file };
  g_auto (GStrv) lines = NULL;

  config->n_passes++;
  if (!g_utf8_validate (text, -1, NULL))
    {
      derate_config_set_error (error, file, 0, NULL, NULL, "it is not UTF-8");
      return FALSE;
    }

  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    {
      char *line = g_strstrip (lines[i]);
      gboolean ok = TRUE;

      reader.line = i + 1;
      if (line[0] == '[')
        ok = read_header (&reader, line, error);
      else if (line[0] != '\0' && line[0] != '#')
        ok = read_entry (&reader, line, error);
      if (!ok)
        return FALSE;
    }
  return TRUE;
}
