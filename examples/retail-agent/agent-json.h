/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>
#include <libsoup/soup.h>

G_BEGIN_DECLS

/* Reads what comes from outside. NULL where it is not JSON, or says another thing than the parser
 * reads of it. */
JsonNode *agent_json_parse (const char *text);

/* The body of @message, NULL where it is no JSON object. */
JsonNode *agent_json_read_object (SoupServerMessage *message);

/* The text of that name, NULL where there is none, or it is no text. */
const char *agent_json_get_text (JsonObject *object,
                                 const char *name);

/* FALSE where @node (nullable) is no number, or none that is finite. */
gboolean agent_json_get_number (JsonNode *node,
                                double   *number);

G_END_DECLS
