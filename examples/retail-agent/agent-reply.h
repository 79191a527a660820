/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent.h"

G_BEGIN_DECLS

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
