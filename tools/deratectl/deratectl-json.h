/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>

G_BEGIN_DECLS

/* Members of the JSON a program dumps. A newer or older program may have other members: what is not
 * there, or null, is the default, never a failure. */
const char *deratectl_json_string (JsonObject *object,
                                   const char *member);
double deratectl_json_number (JsonObject *object,
                              const char *member,
                              double      fallback);
gboolean deratectl_json_boolean (JsonObject *object,
                                 const char *member);
JsonObject *deratectl_json_object (JsonObject *object,
                                   const char *member);
JsonArray *deratectl_json_array (JsonObject *object,
                                 const char *member);
JsonObject *deratectl_json_element (JsonArray *array,
                                    guint      i);
JsonParser *deratectl_json_parse (const char *json,
                                  GError    **error);

G_END_DECLS
