/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>
#include <libsoup/soup.h>

#include "agent-ai.h"
#include "agent-database.h"

G_BEGIN_DECLS

/* Everything an endpoint needs. One thread: the program's main loop. */
typedef struct
{
  DerateCore *core;
  DerateDegradationManager *manager;
  SoupServer *server;

  AgentDatabase *database_client;
  AgentAi *ai_client;
  DeratePolicy *database; /* what calls to each pass, and what answers in its place */
  DeratePolicy *ai;
} Agent;

Agent *agent_new (DerateCore *core,
                  SoupServer *server,
                  GError    **error);
void agent_free (Agent *agent);

/* Makes the fallback strategy `redis-copy` known to @core. */
gboolean agent_copy_register (DerateCore *core,
                              GError    **error);

/* The endpoints; each adds its handlers to the agent's server. */
void agent_prices_add (Agent *agent);
void agent_pricing_add (Agent *agent);

G_END_DECLS
