/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-statement.h"

#include <derate.h>
#include <string.h>

#include "agent-parameter.h"

AgentStatement *
agent_statement_new (const char *name)
{
  AgentStatement *statement = g_new0 (AgentStatement, 1);

  statement->name = g_strdup (name);
  statement->parameters = g_ptr_array_new_with_free_func ((GDestroyNotify)agent_parameter_free);
  return statement;
}

void
agent_statement_free (AgentStatement *statement)
{
  g_free (statement->name);
  g_free (statement->sql);
  g_ptr_array_unref (statement->parameters);
  g_free (statement);
}

static const AgentParameter *
find (const AgentStatement *statement, const char *name)
{
  for (guint i = 0; i < statement->parameters->len; i++)
    {
      const AgentParameter *parameter = g_ptr_array_index (statement->parameters, i);

      if (g_str_equal (agent_parameter_get_name (parameter), name))
        return parameter;
    }
  return NULL;
}

static gboolean
add_parameter (AgentStatement *statement, const char *word, GError **error)
{
  g_autoptr (AgentParameter) parameter = agent_parameter_new (word, error);

  if (parameter == NULL)
    return FALSE;
  /* `query` is what an address has for the statement's own name. */
  if (g_str_equal (agent_parameter_get_name (parameter), "query") ||
      find (statement, agent_parameter_get_name (parameter)) != NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG, "the name of “%s” is taken",
                   word);
      return FALSE;
    }
  g_ptr_array_add (statement->parameters, g_steal_pointer (&parameter));
  return TRUE;
}

gboolean
agent_statement_set_parameters (AgentStatement *statement, const char *words, GError **error)
{
  g_auto (GStrv) split = g_strsplit_set (words, " \t\n", -1);

  for (guint i = 0; split[i] != NULL; i++)
    if (split[i][0] != '\0' && !add_parameter (statement, split[i], error))
      return FALSE;
  return TRUE;
}

gboolean
agent_statement_check_sql (AgentStatement *statement, GError **error)
{
  guint n = statement->parameters->len;
  guint wrong = 0;
  g_autofree gboolean *used = g_new0 (gboolean, n + 1);

  for (const char *p = strchr (statement->sql, '$'); p != NULL; p = strchr (p + 1, '$'))
    {
      guint64 number = g_ascii_strtoull (p + 1, NULL, 10);

      if (number > n)
        wrong = (guint)MIN (number, G_MAXUINT);
      else
        used[number] = TRUE;
    }
  for (guint number = 1; number <= n && wrong == 0; number++)
    if (!used[number])
      wrong = number;
  if (wrong > 0)
    g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                 wrong > n ? "it uses $%u and has %u parameters"
                           : "it does not use $%u and has %u parameters",
                 wrong, n);
  return wrong == 0;
}

static gboolean
check_no_more (const AgentStatement *statement, JsonObject *values, GError **error)
{
  JsonObjectIter iter;
  const char *name;

  json_object_iter_init (&iter, values);
  while (json_object_iter_next (&iter, &name, NULL))
    if (find (statement, name) == NULL)
      {
        g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                     "“%s” has no parameter “%s”", statement->name, name);
        return FALSE;
      }
  return TRUE;
}

GVariant *
agent_statement_bind (const AgentStatement *statement, JsonObject *values, GError **error)
{
  g_autoptr (GVariantBuilder) builder = g_variant_builder_new (G_VARIANT_TYPE_TUPLE);

  if (!check_no_more (statement, values, error))
    return NULL;
  for (guint i = 0; i < statement->parameters->len; i++)
    {
      const AgentParameter *parameter = g_ptr_array_index (statement->parameters, i);
      JsonNode *node = json_object_get_member (values, agent_parameter_get_name (parameter));
      GVariant *value = agent_parameter_read (parameter, node, error);

      if (value == NULL)
        return NULL;
      g_variant_builder_add_value (builder, value);
    }
  return g_variant_ref_sink (g_variant_builder_end (builder));
}

GVariant *
agent_statement_bind_texts (const AgentStatement *statement, GHashTable *texts, GError **error)
{
  g_autoptr (JsonObject) values = json_object_new ();
  GHashTableIter iter;
  const char *name;
  const char *text;

  g_hash_table_iter_init (&iter, texts);
  while (g_hash_table_iter_next (&iter, (gpointer *)&name, (gpointer *)&text))
    {
      const AgentParameter *parameter = find (statement, name);

      if (parameter != NULL)
        json_object_set_member (values, name, agent_parameter_parse (parameter, text));
      else
        json_object_set_string_member (values, name, text);
    }
  return agent_statement_bind (statement, values, error);
}
