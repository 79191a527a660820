/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent-statement.h"

G_BEGIN_DECLS

/* Reads what may be asked of the database, by name: a table of AgentStatement. The error names
 * file, group, key and line. */
GHashTable *agent_catalogue_load (const char *path,
                                  GError    **error);

G_END_DECLS
