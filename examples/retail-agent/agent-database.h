/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-postgresql.h>
#include <derate.h>

G_BEGIN_DECLS

/* A few connections to the shop, opened when they are needed. */
typedef struct _AgentDatabase AgentDatabase;

AgentDatabase *agent_database_new (const char *uri);
void agent_database_free (AgentDatabase *database);

/* Asks for a product through @policy. The answer is an `m(sd)`: name and price, or nothing where
 * there is no such product. */
void agent_database_get_product (AgentDatabase      *database,
                                 DeratePolicy       *policy,
                                 DerateRequest      *request,
                                 int                 id,
                                 GAsyncReadyCallback callback,
                                 gpointer            data);

G_END_DECLS
