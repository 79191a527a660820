/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

G_BEGIN_DECLS

/* More is no price, and could not be had 30 % higher. */
#define AGENT_PRICE_MAX 1e12

/* A client of an OpenAI-compatible server: just enough to ask for a price. */
typedef struct _AgentAi AgentAi;

/* @uri is the base, such as http://127.0.0.1:8080/v1; @key may be NULL. */
AgentAi *agent_ai_new (const char *uri,
                       const char *key,
                       GError    **error);
void agent_ai_free (AgentAi *ai);

/* Asks for a better price of @item through @policy. The answer is a `d`. */
void agent_ai_price (AgentAi            *ai,
                     DeratePolicy       *policy,
                     DerateRequest      *request,
                     const char         *item,
                     double              price,
                     GAsyncReadyCallback callback,
                     gpointer            data);

G_END_DECLS
