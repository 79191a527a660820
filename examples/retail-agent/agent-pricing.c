/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-json.h"
#include "agent-reply.h"

/* POST /ai/pricing {item, price}: the model's price; where there is none, what the configuration
 * names for it: the rule's. */

typedef struct
{
  Agent *agent;
  SoupServerMessage *message;
  char *item;
  double price;
} Pricing;

static void
pricing_free (Pricing *pricing)
{
  soup_server_message_unpause (pricing->message);
  g_object_unref (pricing->message);
  g_free (pricing->item);
  g_free (pricing);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Pricing, pricing_free)

static void
on_priced (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Pricing) pricing = data;
  g_autoptr (DerateFallbackResult) fallback = NULL;
  g_autoptr (GVariant) price =
      derate_policy_call_finish (DERATE_POLICY (source), result, &fallback, NULL);
  GVariantBuilder body;

  if (price == NULL)
    {
      agent_refuse (pricing->message, "AI enhancement temporarily unavailable",
                    "There is no baseline for this price", "Try again later");
      return;
    }
  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "item", g_variant_new_string (pricing->item));
  g_variant_builder_add (&body, "{sv}", "price", price);
  agent_reply (pricing->agent, pricing->message, &body, AGENT_REPLY_SOURCE, "openai", fallback);
}

static gboolean
read_request (SoupServerMessage *message, Pricing *pricing)
{
  g_autoptr (JsonNode) node = agent_json_read_object (message);
  JsonObject *object = node != NULL ? json_node_get_object (node) : NULL;
  const char *item = object != NULL ? agent_json_get_text (object, "item") : NULL;

  if (item == NULL ||
      !agent_json_get_number (json_object_get_member (object, "price"), &pricing->price))
    return FALSE;
  pricing->item = g_strdup (item);
  return pricing->price >= 0 && pricing->price <= AGENT_PRICE_MAX;
}

static void
handle (SoupServer *server,
        SoupServerMessage *message,
        const char *path,
        GHashTable *query,
        gpointer user_data)
{
  Agent *agent = user_data;
  g_autoptr (Pricing) pricing = NULL;
  g_autoptr (DerateRequest) request = NULL;
  g_autofree char *key = NULL;

  if (!agent_check_message (message, path, "/ai/pricing", SOUP_METHOD_POST))
    return;
  pricing = g_new0 (Pricing, 1);
  pricing->agent = agent;
  pricing->message = g_object_ref (message);
  soup_server_message_pause (message);
  if (!read_request (message, pricing))
    {
      agent_reply_bad (message, SOUP_STATUS_BAD_REQUEST,
                       "the body is not {\"item\": TEXT, \"price\": NUMBER}");
      return;
    }
  if (agent_refuse_in_emergency (agent, message))
    return;
  key = g_strdup_printf ("%.17g %s", pricing->price, pricing->item);
  request = agent_make_request (message, DERATE_REQUEST_READ, key);
  derate_request_set_body (request, g_variant_new_double (pricing->price));
  agent_ai_price (agent->ai_client, agent->ai, request, pricing->item, pricing->price, on_priced,
                  pricing);
  pricing = NULL;
}

void
agent_pricing_add (Agent *agent)
{
  soup_server_add_handler (agent->server, "/ai/pricing", handle, agent, NULL);
}
