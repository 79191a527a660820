/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-json.h"

#include <string.h>

#include "derate-number-private.h"

static void append_value (GString *out, GVariant *value);

static void
append_string (GString *out, const char *text)
{
  static const char escaped[] = "\"\\\b\f\n\r\t";
  static const char letters[] = "\"\\bfnrt";

  g_string_append_c (out, '"');
  for (const char *p = text; *p != '\0'; p++)
    {
      const char *found = strchr (escaped, *p);

      if (found != NULL)
        {
          g_string_append_c (out, '\\');
          g_string_append_c (out, letters[found - escaped]);
        }
      else if ((guchar)*p < 0x20 || *p == 0x7f)
        g_string_append_printf (out, "\\u%04x", (guint)*p);
      else
        g_string_append_c (out, *p);
    }
  g_string_append_c (out, '"');
}

/* A member's name is text; a key of another type is written as GVariant prints it. */
static void
append_member (GString *out, GVariant *entry)
{
  g_autoptr (GVariant) key = g_variant_get_child_value (entry, 0);
  g_autoptr (GVariant) value = g_variant_get_child_value (entry, 1);

  if (g_variant_type_is_subtype_of (g_variant_get_type (key), G_VARIANT_TYPE_STRING))
    append_string (out, g_variant_get_string (key, NULL));
  else
    {
      g_autofree char *text = g_variant_print (key, FALSE);
      append_string (out, text);
    }
  g_string_append_c (out, ':');
  append_value (out, value);
}

static void
append_object (GString *out, GVariant *dictionary)
{
  gsize n = g_variant_n_children (dictionary);

  g_string_append_c (out, '{');
  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) entry = g_variant_get_child_value (dictionary, i);

      if (i > 0)
        g_string_append_c (out, ',');
      append_member (out, entry);
    }
  g_string_append_c (out, '}');
}

static void
append_array (GString *out, GVariant *array)
{
  gsize n = g_variant_n_children (array);

  g_string_append_c (out, '[');
  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (array, i);

      if (i > 0)
        g_string_append_c (out, ',');
      append_value (out, child);
    }
  g_string_append_c (out, ']');
}

static void
append_inner (GString *out, GVariant *inner)
{
  if (inner == NULL)
    g_string_append (out, "null");
  else
    append_value (out, inner);
}

static void
append_whole_number (GString *out, GVariant *value)
{
  g_autofree char *text = g_variant_is_of_type (value, G_VARIANT_TYPE_BYTE)
                              ? g_strdup_printf ("%u", g_variant_get_byte (value))
                              : g_variant_print (value, FALSE);

  g_string_append (out, text);
}

static void
append_value (GString *out, GVariant *value)
{
  g_autoptr (GVariant) inner = NULL;

  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BOOLEAN:
      g_string_append (out, g_variant_get_boolean (value) ? "true" : "false");
      break;
    case G_VARIANT_CLASS_DOUBLE:
      derate_number_append_json (out, g_variant_get_double (value));
      break;
    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
      append_string (out, g_variant_get_string (value, NULL));
      break;
    case G_VARIANT_CLASS_VARIANT:
      inner = g_variant_get_variant (value);
      append_inner (out, inner);
      break;
    case G_VARIANT_CLASS_MAYBE:
      inner = g_variant_get_maybe (value);
      append_inner (out, inner);
      break;
    case G_VARIANT_CLASS_ARRAY:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_DICTIONARY))
        append_object (out, value);
      else
        append_array (out, value);
      break;
    case G_VARIANT_CLASS_TUPLE:
      append_array (out, value);
      break;
    case G_VARIANT_CLASS_DICT_ENTRY:
      g_string_append_c (out, '{');
      append_member (out, value);
      g_string_append_c (out, '}');
      break;
    default:
      append_whole_number (out, value);
      break;
    }
}

/**
 * derate_json_from_variant:
 * @value: (nullable): a value; a floating reference is taken
 *
 * Writes a value as JSON, on one line. A dictionary is an object, its keys in the order in which
 * they stand; a maybe that is nothing, a number that is not finite and %NULL are `null`; a variant
 * is what is in it; tuples and arrays are arrays; numbers have the shortest digits that read back.
 * May be called from any thread.
 *
 * Returns: (transfer full): the text
 *
 * Since: 1.0
 */
char *
derate_json_from_variant (GVariant *value)
{
  g_autoptr (GVariant) owned = value != NULL ? g_variant_ref_sink (value) : NULL;
  g_autoptr (GString) out = g_string_new (NULL);

  append_inner (out, owned);
  return g_string_free (g_steal_pointer (&out), FALSE);
}

#define SHALLOW 64

/**
 * derate_json_is_shallow:
 * @text: a text that may be JSON
 *
 * Whether no more than 64 arrays and objects stand in one another in @text. Ask this of what comes
 * from outside before a parser reads it: most descend once for each bracket, and some, such as
 * json-glib before 1.10, until the stack is at its end. A text with a comment is not JSON and never
 * shallow; of other mistakes nothing is said. May be called from any thread.
 *
 * Returns: %TRUE if it may be parsed
 *
 * Since: 1.0
 */
gboolean
derate_json_is_shallow (const char *text)
{
  gboolean quoted = FALSE;
  guint depth = 0;

  g_return_val_if_fail (text != NULL, FALSE);

  for (const char *p = text; *p != '\0'; p++)
    {
      if (quoted && *p == '\\' && p[1] != '\0')
        p++;
      else if (*p == '"')
        quoted = !quoted;
      else if (!quoted && (*p == '/' || *p == '#' || *p == '\''))
        return FALSE; /* parsers that know comments would read other strings than these */
      else if (!quoted && (*p == '[' || *p == '{') && ++depth > SHALLOW)
        return FALSE;
      else if (!quoted && (*p == ']' || *p == '}') && depth > 0)
        depth--;
    }
  return TRUE;
}
