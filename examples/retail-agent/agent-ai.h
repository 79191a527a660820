/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent-guard.h"

G_BEGIN_DECLS

/* More is no price, and could not be had 30 % higher. */
#define AGENT_PRICE_MAX 1e12

/* A client of an OpenAI-compatible server: just enough to ask for a price. */
typedef struct _AgentAi AgentAi;

typedef struct
{
  char *item;
  double price;
} AgentPricing;

/* @uri is the base, such as http://127.0.0.1:8080/v1; @key may be NULL. */
AgentAi *agent_ai_new (const char *uri,
                       const char *key,
                       GError    **error);
void agent_ai_free (AgentAi *ai);

void agent_pricing_free (gpointer pricing);

/* Its request is an AgentPricing, its answer the better AgentPricing. */
extern const AgentOperation agent_ai_price;

G_END_DECLS
