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

/* The request that this message makes of services; it has the id that the answer says too. */
DerateRequest *agent_make_request (SoupServerMessage *message,
                                   DerateRequestFlags flags,
                                   const char        *key);

/* The answer of a pipeline: @body, and where it is from: @source, or what @fallback (nullable)
 * says. */
void agent_reply (Agent                *agent,
                  SoupServerMessage    *message,
                  GVariantBuilder      *body,
                  const char           *source,
                  DerateFallbackResult *fallback);

/* The caller's mistake: {"error": @text}. */
void agent_reply_bad (SoupServerMessage *message,
                      guint              status,
                      const char        *text);

/* A pipeline had no answer: 503 with Retry-After and what to do. */
void agent_refuse (SoupServerMessage *message,
                   const char        *error,
                   const char        *text);

/* TRUE where the level serves nobody; the answer is given then. */
gboolean agent_refuse_in_emergency (Agent             *agent,
                                    SoupServerMessage *message);

G_END_DECLS
