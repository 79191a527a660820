/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>
#include <libsoup/soup.h>

#include "agent-ai.h"
#include "agent-cache.h"
#include "agent-database.h"

G_BEGIN_DECLS

/* Everything an endpoint needs. One thread: the program's main loop. */
typedef struct
{
  DerateCore *core;
  DerateDegradationManager *manager;
  SoupServer *server;

  AgentDatabase *database_client;
  AgentCache *cache_client;
  AgentAi *ai_client;
  DeratePolicy *database; /* what calls to each pass; within its share of the answer budget */
  DeratePolicy *cache;
  DeratePolicy *ai;

  DerateGate *reads_gate;
  DerateGate *cache_gate;
  DerateGate *ai_gate;
  DerateFallback *price_fallback;   /* of the database, as the configuration says */
  DerateFallback *pricing_fallback; /* the rule: 30 % on top */
} Agent;

Agent *agent_new (DerateCore *core,
                  SoupServer *server,
                  GError    **error);
void agent_free (Agent *agent);

/* The endpoints; each adds its handlers to the agent's server. */
void agent_prices_add (Agent *agent);
void agent_pricing_add (Agent *agent);

/* The request that this message makes of services; it has the id that the answer says too. */
DerateRequest *agent_make_request (SoupServerMessage *message,
                                   DerateRequestFlags flags,
                                   const char        *key);

/* One answer, counted by where it came from. Takes @body, floating or not. */
void agent_reply (Agent             *agent,
                  SoupServerMessage *message,
                  DerateAnswerSource source,
                  guint              status,
                  GVariant          *body);

/* The caller's mistake: {"error": @text}. */
void agent_reply_bad (SoupServerMessage *message,
                      guint              status,
                      const char        *text);

/* 503 with Retry-After and what to do. */
void agent_refuse (Agent             *agent,
                   SoupServerMessage *message,
                   const char        *error,
                   const char        *text);

/* TRUE where the level serves nobody; the answer is given then. */
gboolean agent_refuse_in_emergency (Agent             *agent,
                                    SoupServerMessage *message);

/* Why the level is not better, in the words of an answer's `reason`. */
DerateFallbackReason agent_level_reason (Agent *agent);

/* Why a closed gate is closed, in the words of an answer's `reason`. */
DerateFallbackReason agent_gate_reason (Agent      *agent,
                                        DerateGate *gate);

G_END_DECLS
