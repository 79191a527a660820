/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent.h"

G_BEGIN_DECLS

/* The request that this message makes of services; it has the id that the answer says too. */
DerateRequest *agent_make_request (SoupServerMessage *message,
                                   DerateRequestFlags flags,
                                   const char        *key);

/* A request that waits for an answer, for as long as this lives. */
typedef struct
{
  Agent *agent;
  SoupServerMessage *message;
} AgentExchange;

AgentExchange *agent_exchange_new (Agent             *agent,
                                   SoupServerMessage *message);
void agent_exchange_free (AgentExchange *exchange);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (AgentExchange, agent_exchange_free)

/* The answer of a pipeline: @body, and whether it is the real thing. Where it is not, or the
 * flag says so, also where it is from: @source, or what @fallback (nullable) says. */
typedef enum
{
  AGENT_REPLY_PLAIN,
  AGENT_REPLY_SOURCE,
} AgentReplyFlags;

void agent_reply (Agent                *agent,
                  SoupServerMessage    *message,
                  GVariantBuilder      *body,
                  AgentReplyFlags       flags,
                  const char           *source,
                  DerateFallbackResult *fallback);

/* What was asked for is done: @body and nothing else. */
void agent_reply_done (SoupServerMessage *message,
                       GVariantBuilder   *body);

/* The caller's mistake: {"error": @text}. */
void agent_reply_bad (SoupServerMessage *message,
                      guint              status,
                      const char        *text);

/* The same; G_IO_ERROR_NOT_FOUND is 404, others 400. */
void agent_reply_mistake (SoupServerMessage *message,
                          const GError      *error);

/* FALSE where the address or the method is another; the answer is given then. */
gboolean agent_check_message (SoupServerMessage *message,
                              const char        *path,
                              const char        *wanted,
                              const char        *method);

/* A pipeline had no answer: 503 with Retry-After and what to do. */
void agent_refuse (SoupServerMessage *message,
                   const char        *error,
                   const char        *text,
                   const char        *action);

/* TRUE where the level serves nobody; the answer is given then. */
gboolean agent_refuse_in_emergency (Agent             *agent,
                                    SoupServerMessage *message);

G_END_DECLS
