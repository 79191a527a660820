/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-reply.h"

/* GET /prices/ID: the database, else a copy of what it said, else an honest no. */

typedef struct
{
  Agent *agent;
  SoupServerMessage *message;
  int id;
} Price;

static void
price_free (Price *price)
{
  soup_server_message_unpause (price->message);
  g_object_unref (price->message);
  g_free (price);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Price, price_free)

static void
on_product (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Price) price = data;
  g_autoptr (DerateFallbackResult) fallback = NULL;
  g_autoptr (GVariant) product =
      derate_policy_call_finish (DERATE_POLICY (source), result, &fallback, NULL);
  GVariantBuilder body;
  gboolean found;
  const char *name;
  double amount;

  if (product == NULL)
    {
      agent_refuse (price->message, "Product unavailable - database down",
                    "Neither the database nor a copy has this price");
      return;
    }
  g_variant_get (product, "m(&sd)", &found, &name, &amount);
  if (!found)
    {
      agent_reply_bad (price->message, SOUP_STATUS_NOT_FOUND, "no such product");
      return;
    }
  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "id", g_variant_new_int32 (price->id));
  g_variant_builder_add (&body, "{sv}", "name", g_variant_new_string (name));
  g_variant_builder_add (&body, "{sv}", "price", g_variant_new_double (amount));
  agent_reply (price->agent, price->message, &body, "database", fallback);
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
  g_autofree char *key = NULL;
  guint64 number;
  Price *price;

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

  price = g_new0 (Price, 1);
  price->agent = agent;
  price->message = g_object_ref (message);
  price->id = (int)number;
  key = g_strdup_printf ("price:%d", price->id);
  request = agent_make_request (message, DERATE_REQUEST_READ, key);
  soup_server_message_pause (message);
  agent_database_get_product (agent->database_client, agent->database, request, price->id,
                              on_product, price);
}

void
agent_prices_add (Agent *agent)
{
  soup_server_add_handler (agent->server, "/prices", handle, agent, NULL);
}
