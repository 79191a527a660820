/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-parameter.h"

#include <derate.h>
#include <string.h>

#include "agent-json.h"

typedef struct
{
  const char *name; /* PostgreSQL's */
  const char *what; /* to who sent something else */
  const GVariantType *type;
  GVariant *(*read) (JsonNode *node); /* NULL where it is something else */
} Type;

struct _AgentParameter
{
  char *name;
  const Type *type;
  gboolean optional;
};

static GVariant *
read_boolean (JsonNode *node)
{
  return json_node_get_value_type (node) == G_TYPE_BOOLEAN
             ? g_variant_new_boolean (json_node_get_boolean (node))
             : NULL;
}

static GVariant *
read_integer (JsonNode *node)
{
  gint64 number =
      json_node_get_value_type (node) == G_TYPE_INT64 ? json_node_get_int (node) : G_MAXINT64;

  return number >= G_MININT32 && number <= G_MAXINT32 ? g_variant_new_int32 ((gint32)number) : NULL;
}

static GVariant *
read_bigint (JsonNode *node)
{
  return json_node_get_value_type (node) == G_TYPE_INT64
             ? g_variant_new_int64 (json_node_get_int (node))
             : NULL;
}

static GVariant *
read_double (JsonNode *node)
{
  double number;

  return agent_json_get_number (node, &number) ? g_variant_new_double (number) : NULL;
}

/* See agent_json_get_text (). */
static GVariant *
read_text (JsonNode *node)
{
  return json_node_get_value_type (node) == G_TYPE_STRING &&
                 g_utf8_validate (json_node_get_string (node), -1, NULL)
             ? g_variant_new_string (json_node_get_string (node))
             : NULL;
}

static const Type types[] = {
  { "boolean", "true or false", G_VARIANT_TYPE_BOOLEAN, read_boolean },
  { "integer", "a whole number of 32 bits", G_VARIANT_TYPE_INT32, read_integer },
  { "bigint", "a whole number of 64 bits", G_VARIANT_TYPE_INT64, read_bigint },
  { "double", "a number", G_VARIANT_TYPE_DOUBLE, read_double },
  { "text", "a text", G_VARIANT_TYPE_STRING, read_text },
};

static const Type *
find_type (const char *name, gsize length)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (strlen (types[i].name) == length && strncmp (types[i].name, name, length) == 0)
      return &types[i];
  return NULL;
}

AgentParameter *
agent_parameter_new (const char *word, GError **error)
{
  gsize length = strspn (word, "abcdefghijklmnopqrstuvwxyz0123456789_");
  gboolean optional = g_str_has_suffix (word, "?");
  const Type *type = NULL;
  AgentParameter *parameter;

  if (g_ascii_islower (word[0]) && word[length] == ':')
    type = find_type (word + length + 1, strlen (word) - length - 1 - optional);
  if (type == NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG,
                   "“%s” is not NAME:TYPE, where a type is boolean, integer, bigint, double or "
                   "text, with a “?” behind where there may be none",
                   word);
      return NULL;
    }
  parameter = g_new0 (AgentParameter, 1);
  parameter->name = g_strndup (word, length);
  parameter->type = type;
  parameter->optional = optional;
  return parameter;
}

void
agent_parameter_free (AgentParameter *parameter)
{
  g_free (parameter->name);
  g_free (parameter);
}

const char *
agent_parameter_get_name (const AgentParameter *parameter)
{
  return parameter->name;
}

JsonNode *
agent_parameter_parse (const AgentParameter *parameter, const char *text)
{
  JsonNode *node = NULL;

  if (parameter->type->read != read_text && strpbrk (text, " \t\r\n") == NULL)
    node = agent_json_parse (text);
  return node != NULL ? node : json_node_init_string (json_node_alloc (), text);
}

GVariant *
agent_parameter_read (const AgentParameter *parameter, JsonNode *node, GError **error)
{
  gboolean none = node == NULL || JSON_NODE_HOLDS_NULL (node);
  GVariant *value = none ? NULL : parameter->type->read (node);

  if (value == NULL && !(none && parameter->optional))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                   node == NULL ? "parameter “%s” is missing: %s" : "parameter “%s” is not %s",
                   parameter->name, parameter->type->what);
      return NULL;
    }
  return parameter->optional ? g_variant_new_maybe (parameter->type->type, value) : value;
}
