/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-reply.h"

/* GET /prices/ID: the database, else a copy of what it said, else an honest no. */

#define SQL "SELECT id, name, price::float8 AS price FROM product WHERE id = $1"

static void
on_rows (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (AgentExchange) exchange = data;
  g_autoptr (DerateFallbackResult) fallback = NULL;
  g_autoptr (GVariant) rows =
      derate_policy_call_finish (DERATE_POLICY (source), result, &fallback, NULL);
  g_autoptr (GVariant) found = NULL;
  g_autoptr (GVariant) product = NULL;
  GVariantBuilder body;
  GVariantIter iter;
  GVariant *member;

  if (rows == NULL)
    {
      agent_refuse (exchange->message, "Product unavailable - database down",
                    "Neither the database nor a copy has this price", "Try again later");
      return;
    }
  found = g_variant_get_maybe (rows);
  if (found == NULL)
    {
      agent_reply_bad (exchange->message, SOUP_STATUS_NOT_FOUND, "no such product");
      return;
    }
  product = g_variant_get_child_value (found, 0);
  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_iter_init (&iter, product);
  while ((member = g_variant_iter_next_value (&iter)) != NULL)
    {
      g_variant_builder_add_value (&body, member);
      g_variant_unref (member);
    }
  agent_reply (exchange->agent, exchange->message, &body, AGENT_REPLY_SOURCE, "database", fallback);
}

static void
handle (SoupServer *server,
        SoupServerMessage *message,
        const char *path,
        GHashTable *query,
        gpointer user_data)
{
  Agent *agent = user_data;
  const char *id = path + strlen ("/prices");
  g_autoptr (DerateRequest) request = NULL;
  g_autoptr (GVariant) parameters = NULL;
  g_autofree char *key = NULL;
  guint64 number;

  if (soup_server_message_get_method (message) != SOUP_METHOD_GET)
    {
      agent_reply_bad (message, SOUP_STATUS_METHOD_NOT_ALLOWED, "GET /prices/ID");
      return;
    }
  if (id[0] != '/' || !g_ascii_string_to_unsigned (id + 1, 10, 0, G_MAXINT32, &number, NULL))
    {
      agent_reply_bad (message, SOUP_STATUS_BAD_REQUEST, "ID is not a number");
      return;
    }
  if (agent_refuse_in_emergency (agent, message))
    return;

  key = g_strdup_printf ("price:%d", (int)number);
  request = agent_make_request (message, DERATE_REQUEST_READ, key);
  parameters = g_variant_ref_sink (g_variant_new ("(i)", (int)number));
  agent_database_ask (agent->database, DERATE_PG_ACCESS_READ, agent->reads, request, SQL,
                      parameters, on_rows, agent_exchange_new (agent, message));
}

void
agent_prices_add (Agent *agent)
{
  soup_server_add_handler (agent->server, "/prices", handle, agent, NULL);
}
