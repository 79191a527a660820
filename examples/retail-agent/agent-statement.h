/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>

G_BEGIN_DECLS

/* What may be asked of the database. */
typedef struct
{
  char *name;
  char *sql;
  gboolean writes;
  GPtrArray *parameters; /* (element-type AgentParameter) those of $1, $2, … */
} AgentStatement;

AgentStatement *agent_statement_new (const char *name);
void agent_statement_free (AgentStatement *statement);

/* @words is a list of `NAME:TYPE`. */
gboolean agent_statement_set_parameters (AgentStatement *statement,
                                         const char     *words,
                                         GError        **error);

/* Whether the SQL uses its parameters, and no others. */
gboolean agent_statement_check_sql (AgentStatement *statement,
                                    GError        **error);

/* The tuple of what its parameters are in @values, which must hold nothing else. The error is for
 * who sent them. */
GVariant *agent_statement_bind (const AgentStatement *statement,
                                JsonObject           *values,
                                GError              **error);

/* The same from texts by name, as an address has them. */
GVariant *agent_statement_bind_texts (const AgentStatement *statement,
                                      GHashTable           *texts,
                                      GError              **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AgentStatement, agent_statement_free)

G_END_DECLS
