/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>

G_BEGIN_DECLS

/* A value that a statement needs, by name and type. */
typedef struct _AgentParameter AgentParameter;

/* From `NAME:TYPE`, where a `?` behind says that there may be none. */
AgentParameter *agent_parameter_new (const char *word,
                                     GError    **error);
void agent_parameter_free (AgentParameter *parameter);

const char *agent_parameter_get_name (const AgentParameter *parameter);

/* What a text from an address stands for, of which agent_parameter_read () says whether it will
 * do. */
JsonNode *agent_parameter_parse (const AgentParameter *parameter,
                                 const char           *text);

/* The value that @node (nullable) gives, as PostgreSQL is sent it. */
GVariant *agent_parameter_read (const AgentParameter *parameter,
                                JsonNode             *node,
                                GError              **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AgentParameter, agent_parameter_free)

G_END_DECLS
