/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-json.h"

#include <derate.h>
#include <math.h>
#include <string.h>

/* json-glib is generous: it reads 010 as 8, 2^64 - 1 as -1, and a text up to its first \u0000. Who
 * sends such a thing would have something else written than they said, so it is refused. */

static const char *
skip_digits (const char *p)
{
  while (g_ascii_isdigit (*p))
    p++;
  return p;
}

/* Where the number that begins here ends; NULL where JSON has no such number, or no integer can
 * hold it. */
static const char *
skip_number (const char *number)
{
  const char *digits = number[0] == '-' ? number + 1 : number;
  const char *end = skip_digits (digits);
  const char *whole = end;
  g_autofree char *text = NULL;

  if (end == digits || (digits[0] == '0' && end > digits + 1))
    return NULL;
  if (*end == '.' && (end = skip_digits (whole + 1)) == whole + 1)
    return NULL;
  if (*end == 'e' || *end == 'E')
    {
      const char *exponent = end[1] == '+' || end[1] == '-' ? end + 2 : end + 1;

      end = skip_digits (exponent);
      if (end == exponent)
        return NULL;
    }
  text = g_strndup (number, (gsize)(end - number));
  if (end == whole && !g_ascii_string_to_signed (text, 10, G_MININT64, G_MAXINT64, NULL, NULL))
    return NULL;
  return strchr (" \t\r\n,]}", *end) != NULL ? end : NULL;
}

/* Where the text that begins here ends; NULL where it has an escape that JSON has not, or that
 * ends it too early. */
static const char *
skip_text (const char *text)
{
  const char *p = text + 1;

  for (; *p != '"' && *p != '\0'; p++)
    if (*p == '\\')
      {
        p++;
        if (*p == '\0' || strchr ("\"\\/bfnrtu", *p) == NULL || g_str_has_prefix (p, "u0000"))
          return NULL;
      }
  return *p == '"' ? p + 1 : NULL;
}

static gboolean
says_what_is_read (const char *text)
{
  const char *p = text;

  while (p != NULL && *p != '\0')
    {
      if (*p == '"')
        p = skip_text (p);
      else if (g_ascii_isdigit (*p) || *p == '-' || *p == '.')
        p = skip_number (p);
      else
        p++;
    }
  return p != NULL;
}

JsonNode *
agent_json_parse (const char *text)
{
  if (!g_utf8_validate (text, -1, NULL) || !derate_json_is_shallow (text) ||
      !says_what_is_read (text))
    return NULL;
  return json_from_string (text, NULL);
}

JsonNode *
agent_json_read_object (SoupServerMessage *message)
{
  SoupMessageBody *body = soup_server_message_get_request_body (message);
  g_autoptr (GBytes) bytes = soup_message_body_flatten (body);
  gsize size = g_bytes_get_size (bytes);
  g_autofree char *text = g_strndup (g_bytes_get_data (bytes, NULL), size);
  g_autoptr (JsonNode) node = NULL;

  if (strlen (text) == size)
    node = agent_json_parse (text);
  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? g_steal_pointer (&node) : NULL;
}

const char *
agent_json_get_text (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  /* An escape such as \ud800 alone is no text, whatever the parser says. */
  if (node == NULL || json_node_get_value_type (node) != G_TYPE_STRING ||
      !g_utf8_validate (json_node_get_string (node), -1, NULL))
    return NULL;
  return json_node_get_string (node);
}

gboolean
agent_json_get_number (JsonNode *node, double *number)
{
  if (node == NULL || !JSON_NODE_HOLDS_VALUE (node) ||
      (json_node_get_value_type (node) != G_TYPE_INT64 &&
       json_node_get_value_type (node) != G_TYPE_DOUBLE))
    return FALSE;
  *number = json_node_get_double (node);
  return isfinite (*number);
}
