/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-dbus-path-private.h"

char *
derate_dbus_path_new (const char *prefix, const char *name)
{
  GString *path = g_string_new (prefix);

  if (*name == '\0')
    g_string_append_c (path, '_');
  for (const char *p = name; *p != '\0'; p++)
    {
      if (g_ascii_isalnum (*p))
        g_string_append_c (path, *p);
      else
        g_string_append_printf (path, "_%02x", (guchar)*p);
    }
  return g_string_free (path, FALSE);
}
