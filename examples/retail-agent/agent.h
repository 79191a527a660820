/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>
#include <libsoup/soup.h>

#include "agent-ai.h"
#include "agent-database.h"
#include "agent-statement.h"

G_BEGIN_DECLS

/* Everything an endpoint needs. One thread: the program's main loop. */
typedef struct
{
  DerateCore *core;
  DerateDegradationManager *manager;
  SoupServer *server;

  DeratePgPool *database;
  AgentAi *ai_client;
  GHashTable *statements; /* of AgentStatement by name: what the outside may ask the database */
  DeratePolicy *reads; /* what calls to each pass, and what answers in its place */
  DeratePolicy *writes;
  DeratePolicy *ai;
} Agent;

/* Takes @statements, which is agent_catalogue_load ()'s. */
Agent *agent_new (DerateCore *core,
                  SoupServer *server,
                  GHashTable *statements,
                  GError    **error);
void agent_free (Agent *agent);

/* Makes the fallback strategy `redis-copy` known to @core. */
gboolean agent_copy_register (DerateCore *core,
                              GError    **error);

/* The endpoints; each adds its handlers to the agent's server. */
void agent_prices_add (Agent *agent);
void agent_pricing_add (Agent *agent);
void agent_read_add (Agent *agent);
void agent_write_add (Agent *agent);

/* What the catalogue has under @name, if it reads or @writes; else G_IO_ERROR_NOT_FOUND. */
const AgentStatement *agent_find_statement (Agent      *agent,
                                            const char *name,
                                            gboolean    writes,
                                            GError    **error);

G_END_DECLS
