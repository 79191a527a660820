/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-catalogue.h"

#include <derate.h>
#include <string.h>

/* Groups [statement NAME] of lines key=value; a line that begins with white space goes on with the
 * one before, one that begins with “#” says nothing. */

typedef struct
{
  const char *file;
  GHashTable *statements;
  AgentStatement *statement; /* the last */
  guint seen; /* which keys it has */
} Reader;

typedef struct
{
  const char *name;
  gboolean needed;
  gboolean (*set) (AgentStatement *statement, const char *value, GError **error);
} Key;

static gboolean
set_access (AgentStatement *statement, const char *value, GError **error)
{
  statement->writes = g_str_equal (value, "write");
  if (statement->writes || g_str_equal (value, "read"))
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, "“%s” is neither read nor write",
               value);
  return FALSE;
}

static gboolean
set_sql (AgentStatement *statement, const char *value, GError **error)
{
  statement->sql = g_strdup (value);
  return TRUE;
}

static const Key keys[] = {
  { "access", TRUE, set_access },
  { "parameters", FALSE, agent_statement_set_parameters },
  { "sql", TRUE, set_sql },
};

/* Always FALSE. */
static gboolean
refuse (Reader *reader, const char *key, const char *why, GError **error)
{
  g_autoptr (GString) place = g_string_new (reader->file);

  if (reader->statement != NULL)
    g_string_append_printf (place, ", [statement %s]", reader->statement->name);
  if (key != NULL)
    g_string_append_printf (place, ", %s", key);
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, "file %s: %s", place->str, why);
  return FALSE;
}

static gboolean
set_key (Reader *reader, const char *name, const char *value, GError **error)
{
  g_autoptr (GError) why = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    {
      if (!g_str_equal (keys[i].name, name))
        continue;
      if (reader->seen & (1u << i))
        return refuse (reader, name, "the key is given twice", error);
      if (value[0] == '\0')
        return refuse (reader, name, "there is nothing behind the “=”", error);
      reader->seen |= 1u << i;
      return keys[i].set (reader->statement, value, &why) ||
             refuse (reader, name, why->message, error);
    }
  return refuse (reader, name, "no such key", error);
}

static gboolean
end_statement (Reader *reader, GError **error)
{
  g_autoptr (GError) why = NULL;

  if (reader->statement == NULL)
    return TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    if (keys[i].needed && !(reader->seen & (1u << i)))
      return refuse (reader, keys[i].name, "the key is missing", error);
  return agent_statement_check_sql (reader->statement, &why) ||
         refuse (reader, "sql", why->message, error);
}

static gboolean
begin_statement (Reader *reader, const char *line, GError **error)
{
  static const char before[] = "[statement ";
  gsize length = strlen (line) - strlen (before) - 1;
  g_autofree char *name = NULL;

  if (!end_statement (reader, error))
    return FALSE;
  reader->statement = NULL;
  name = g_strndup (line + strlen (before), length);
  if (length == 0 || strspn (name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != length)
    return refuse (reader, name, "a statement's name has letters, digits, “-” and “_” only", error);
  if (g_hash_table_contains (reader->statements, name))
    return refuse (reader, name, "a statement of that name is there already", error);
  reader->statement = agent_statement_new (name);
  reader->seen = 0;
  g_hash_table_insert (reader->statements, reader->statement->name, reader->statement);
  return TRUE;
}

/* One with all that goes on with it. */
static gboolean
read_line (Reader *reader, char *line, GError **error)
{
  char *equals = strchr (line, '=');

  if (line[0] == '\0')
    return TRUE;
  if (g_str_has_prefix (line, "[statement ") && g_str_has_suffix (line, "]"))
    return begin_statement (reader, line, error);
  if (line[0] == '[' || equals == NULL || reader->statement == NULL)
    return refuse (reader, NULL, "a line is neither [statement NAME] nor key=value below one",
                   error);
  *equals = '\0';
  return set_key (reader, g_strchomp (line), g_strchug (equals + 1), error);
}

static gboolean
read_lines (Reader *reader, char **lines, GError **error)
{
  g_autoptr (GString) line = g_string_new (NULL);

  for (guint i = 0; lines[i] != NULL; i++)
    {
      gboolean goes_on = g_ascii_isspace (lines[i][0]);
      char *text = g_strstrip (lines[i]);

      if (goes_on && text[0] != '\0')
        {
          if (line->len == 0)
            return refuse (reader, NULL, "a line goes on with nothing", error);
          g_string_append_printf (line, " %s", text);
          continue;
        }
      if (!read_line (reader, line->str, error))
        return FALSE;
      g_string_assign (line, text[0] == '#' ? "" : text);
    }
  return read_line (reader, line->str, error) && end_statement (reader, error);
}

GHashTable *
agent_catalogue_load (const char *path, GError **error)
{
  g_autoptr (GHashTable) statements =
      g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)agent_statement_free);
  Reader reader = { .file = path, .statements = statements };
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  gsize length;

  if (!g_file_get_contents (path, &text, &length, error))
    return NULL;
  if (!g_utf8_validate (text, (gssize)length, NULL))
    {
      refuse (&reader, NULL, "it is not UTF-8", error);
      return NULL;
    }
  lines = g_strsplit (text, "\n", -1);
  return read_lines (&reader, lines, error) ? g_steal_pointer (&statements) : NULL;
}
