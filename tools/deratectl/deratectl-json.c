/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deratectl-json.h"

static JsonNode *
get_node (JsonObject *object, const char *member, JsonNodeType type)
{
  JsonNode *node = object != NULL ? json_object_get_member (object, member) : NULL;

  return node != NULL && json_node_get_node_type (node) == type ? node : NULL;
}

const char *
deratectl_json_string (JsonObject *object, const char *member)
{
  JsonNode *node = get_node (object, member, JSON_NODE_VALUE);
  const char *text = node != NULL ? json_node_get_string (node) : NULL;

  return text != NULL ? text : "";
}

double
deratectl_json_number (JsonObject *object, const char *member, double fallback)
{
  JsonNode *node = get_node (object, member, JSON_NODE_VALUE);

  return node != NULL ? json_node_get_double (node) : fallback;
}

gboolean
deratectl_json_boolean (JsonObject *object, const char *member)
{
  JsonNode *node = get_node (object, member, JSON_NODE_VALUE);

  return node != NULL && json_node_get_boolean (node);
}

JsonObject *
deratectl_json_object (JsonObject *object, const char *member)
{
  JsonNode *node = get_node (object, member, JSON_NODE_OBJECT);

  return node != NULL ? json_node_get_object (node) : NULL;
}

JsonArray *
deratectl_json_array (JsonObject *object, const char *member)
{
  JsonNode *node = get_node (object, member, JSON_NODE_ARRAY);

  return node != NULL ? json_node_get_array (node) : NULL;
}

JsonObject *
deratectl_json_element (JsonArray *array, guint i)
{
  JsonNode *node = json_array_get_element (array, i);

  return JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

JsonParser *
deratectl_json_parse (const char *json, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new ();

  if (!json_parser_load_from_data (parser, json, -1, error))
    return NULL;
  if (json_parser_get_root (parser) != NULL &&
      JSON_NODE_HOLDS_OBJECT (json_parser_get_root (parser)))
    return g_steal_pointer (&parser);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "the program's JSON is not an object");
  return NULL;
}
