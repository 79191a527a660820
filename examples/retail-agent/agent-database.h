/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-postgresql.h>

#include "agent-guard.h"

G_BEGIN_DECLS

/* A few connections to the shop, opened when they are needed. */
typedef struct _AgentDatabase AgentDatabase;

typedef struct
{
  int id;
  char *name;
  double price;
  gboolean found;
} AgentProduct;

AgentDatabase *agent_database_new (const char *uri);
void agent_database_free (AgentDatabase *database);

/* Its request is GINT_TO_POINTER of the product's id, its answer an AgentProduct. */
extern const AgentOperation agent_database_get_product;

void agent_product_free (gpointer product);

G_END_DECLS
