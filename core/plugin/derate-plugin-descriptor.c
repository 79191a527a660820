/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "derate-error.h"
#include "derate-plugin-private.h"

/* What must be there before the numbers in front can be read at all, and before the names can. */
#define SIZE_OF_NUMBERS G_STRUCT_OFFSET (DeratePluginDescriptor, name)
#define SIZE_NEEDED G_STRUCT_OFFSET (DeratePluginDescriptor, padding)

gboolean
derate_plugin_name_is_valid (const char *name)
{
  gsize length = strspn (name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

  return g_ascii_islower (name[0]) && name[length] == '\0' && length <= 63;
}

static gboolean
check_numbers (const DeratePluginDescriptor *descriptor, GError **error)
{
  if (descriptor->magic != DERATE_PLUGIN_MAGIC)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN,
                   "its descriptor has the magic 0x%08x instead of 0x%08x", descriptor->magic,
                   DERATE_PLUGIN_MAGIC);
      return FALSE;
    }
  if (descriptor->struct_size >= SIZE_OF_NUMBERS &&
      (descriptor->abi_major != DERATE_PLUGIN_ABI_MAJOR ||
       descriptor->abi_minor > DERATE_PLUGIN_ABI_MINOR))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN,
                   "it was built for the plugin ABI %u.%u, this library has %u.%u",
                   descriptor->abi_major, descriptor->abi_minor, DERATE_PLUGIN_ABI_MAJOR,
                   DERATE_PLUGIN_ABI_MINOR);
      return FALSE;
    }
  if (descriptor->struct_size < SIZE_NEEDED ||
      descriptor->struct_size > sizeof (DeratePluginDescriptor))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN,
                   "its descriptor has a size of %u bytes instead of %u to %u",
                   descriptor->struct_size, (guint)SIZE_NEEDED,
                   (guint)sizeof (DeratePluginDescriptor));
      return FALSE;
    }
  return TRUE;
}

static gboolean
check_text (const char *what, const char *text, GError **error)
{
  if (text != NULL && g_utf8_validate (text, -1, NULL))
    return TRUE;
  g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN,
               text == NULL ? "its descriptor has no %s" : "the %s of its descriptor is not UTF-8",
               what);
  return FALSE;
}

static gboolean
check_name (const char *own, const char *name, GError **error)
{
  if (!check_text ("name", own, error))
    return FALSE;
  if (!derate_plugin_name_is_valid (own))
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN,
                   "“%s” is not a name such as redis or my-service_2", own);
      return FALSE;
    }
  if (name != NULL && strcmp (own, name) != 0)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN,
                   "it calls itself “%s”, its file “%s”", own, name);
      return FALSE;
    }
  return TRUE;
}

gboolean
derate_plugin_descriptor_check (const DeratePluginDescriptor *descriptor,
                                const char *name,
                                GError **error)
{
  if (descriptor == NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN, "its descriptor is NULL");
      return FALSE;
    }
  if (!check_numbers (descriptor, error) || !check_name (descriptor->name, name, error) ||
      !check_text ("version", descriptor->version, error) ||
      !check_text ("license", descriptor->license, error) ||
      !check_text ("description", descriptor->description, error))
    return FALSE;
  if (descriptor->register_func == NULL)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_PLUGIN,
                   "its descriptor has no register function");
      return FALSE;
    }
  return TRUE;
}
