/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-glib/json-glib.h>

#include "agent.h"

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
                    "There is no baseline for this price");
      return;
    }
  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "item", g_variant_new_string (pricing->item));
  g_variant_builder_add (&body, "{sv}", "price", price);
  agent_reply (pricing->agent, pricing->message, &body, "openai", fallback);
}

static gboolean
read_request (SoupServerMessage *message, Pricing *pricing)
{
  SoupMessageBody *body = soup_server_message_get_request_body (message);
  g_autoptr (GBytes) bytes = soup_message_body_flatten (body);
  g_autofree char *text = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  g_autoptr (JsonNode) node = derate_json_is_shallow (text) ? json_from_string (text, NULL) : NULL;
  JsonNode *item;
  JsonNode *price;

  if (node == NULL || !JSON_NODE_HOLDS_OBJECT (node))
    return FALSE;
  item = json_object_get_member (json_node_get_object (node), "item");
  price = json_object_get_member (json_node_get_object (node), "price");
  if (item == NULL || json_node_get_value_type (item) != G_TYPE_STRING || price == NULL ||
      !JSON_NODE_HOLDS_VALUE (price) ||
      (json_node_get_value_type (price) != G_TYPE_INT64 &&
       json_node_get_value_type (price) != G_TYPE_DOUBLE))
    return FALSE;
  pricing->item = json_node_dup_string (item);
  pricing->price = json_node_get_double (price);
  /* An escape such as \ud800 alone is no text, whatever the parser says. */
  return g_utf8_validate (pricing->item, -1, NULL) && pricing->price >= 0 &&
         pricing->price <= AGENT_PRICE_MAX;
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

  if (soup_server_message_get_method (message) != SOUP_METHOD_POST)
    {
      agent_reply_bad (message, SOUP_STATUS_METHOD_NOT_ALLOWED, "POST {item, price}");
      return;
    }
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
