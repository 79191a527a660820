/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-glib/json-glib.h>

#include "agent.h"

/* GET /prices/ID: the database, else the copy in Redis, else the copy in memory, else an honest no.
 */

/* How long Redis keeps a copy. */
#define CACHE_SECONDS "3600"

typedef struct
{
  Agent *agent;
  SoupServerMessage *message;
  int id;
  DerateRequest *request;
  GError *why; /* what kept the database from answering */
} Price;

static void
price_free (Price *price)
{
  soup_server_message_unpause (price->message);
  g_object_unref (price->message);
  derate_request_unref (price->request);
  g_clear_error (&price->why);
  g_free (price);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Price, price_free)

static char *
cache_key (int id)
{
  return g_strdup_printf ("price:%d", id);
}

static void
answer (Price *price,
        DerateAnswerSource source,
        const char *name,
        double amount,
        const char *source_name,
        const char *reason,
        double age_seconds)
{
  GVariantBuilder body;

  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "id", g_variant_new_int32 (price->id));
  g_variant_builder_add (&body, "{sv}", "name", g_variant_new_string (name));
  g_variant_builder_add (&body, "{sv}", "price", g_variant_new_double (amount));
  g_variant_builder_add (&body, "{sv}", "degraded", g_variant_new_boolean (reason != NULL));
  g_variant_builder_add (&body, "{sv}", "source", g_variant_new_string (source_name));
  if (reason != NULL)
    {
      g_variant_builder_add (&body, "{sv}", "reason", g_variant_new_string (reason));
      g_variant_builder_add (&body, "{sv}", "age_seconds", g_variant_new_double (age_seconds));
    }
  agent_reply (price->agent, price->message, source, SOUP_STATUS_OK, g_variant_builder_end (&body));
}

/* The last one in the row: what the configuration's fallbacks for the database have. */
static void
answer_from_fallback (Price *price)
{
  Agent *agent = price->agent;
  g_autofree char *key = cache_key (price->id);
  DerateFallbackReason reason = derate_fallback_reason_from_error (price->why);
  g_autoptr (DerateFallbackRequest) request =
      derate_fallback_request_new ("database", reason, price->why, key, NULL);
  g_autoptr (DerateFallbackResult) result = NULL;
  const char *name;
  double amount;

  derate_fallback_request_set_id (request, derate_request_get_id (price->request));
  result = derate_fallback_answer (agent->price_fallback, request, NULL);
  if (result == NULL)
    {
      agent_refuse (agent, price->message, "Product unavailable - database down",
                    "Neither the database nor a copy has this price");
      return;
    }
  g_variant_get (derate_fallback_result_get_value (result), "(&sd)", &name, &amount);
  answer (price, DERATE_ANSWER_SOURCE_FALLBACK, name, amount, "stale",
          derate_fallback_reason_get_nick (reason),
          (double)derate_fallback_result_get_age (result) / G_TIME_SPAN_SECOND);
}

/* FALSE where the copy is not one of ours. */
static gboolean
answer_from_copy (Price *price, const char *text)
{
  g_autoptr (JsonNode) node = json_from_string (text, NULL);
  double now = (double)derate_clock_get_real_time (derate_core_get_clock (price->agent->core)) /
               G_TIME_SPAN_SECOND;
  DerateFallbackReason reason = derate_fallback_reason_from_error (price->why);
  JsonObject *copy;
  double at;

  if (node == NULL || !JSON_NODE_HOLDS_OBJECT (node))
    return FALSE;
  copy = json_node_get_object (node);
  if (!json_object_has_member (copy, "name") || !json_object_has_member (copy, "price"))
    return FALSE;
  at = json_object_get_double_member_with_default (copy, "at", now);
  answer (price, DERATE_ANSWER_SOURCE_FALLBACK, json_object_get_string_member (copy, "name"),
          json_object_get_double_member (copy, "price"), "cache",
          derate_fallback_reason_get_nick (reason), MAX (now - at, 0));
  return TRUE;
}

static void
on_copy (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Price) price = data;
  g_autoptr (GVariant) reply =
      derate_policy_call_finish (DERATE_POLICY (source), result, NULL, NULL);
  const char *text = NULL;

  if (reply != NULL)
    g_variant_get (reply, "m&s", &text);
  if (text == NULL || !answer_from_copy (price, text))
    answer_from_fallback (price);
}

static void
on_stored (GObject *source, GAsyncResult *result, gpointer data)
{
  /* A copy that could not be stored is the breaker's concern, not the caller's. */
  g_autoptr (GVariant) reply =
      derate_policy_call_finish (DERATE_POLICY (source), result, NULL, NULL);
}

/* Leaves copies for the time when the database is gone. */
static void
store_copies (Price *price, const char *name, double amount)
{
  Agent *agent = price->agent;
  g_autofree char *key = cache_key (price->id);
  g_autoptr (GVariant) value = g_variant_ref_sink (g_variant_new ("(sd)", name, amount));
  g_autoptr (GVariant) copy = NULL;
  g_autofree char *text = NULL;
  GVariantBuilder builder;

  derate_fallback_note_answer (agent->price_fallback, key, value);
  if (!derate_gate_is_open (agent->cache_gate))
    return;
  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&builder, "{sv}", "name", g_variant_new_string (name));
  g_variant_builder_add (&builder, "{sv}", "price", g_variant_new_double (amount));
  g_variant_builder_add (&builder, "{sv}", "at",
                         g_variant_new_double ((double)derate_clock_get_real_time (
                                                   derate_core_get_clock (agent->core)) /
                                               G_TIME_SPAN_SECOND));
  copy = g_variant_ref_sink (g_variant_builder_end (&builder));
  text = derate_json_from_variant (copy);
  agent_cache_command (agent->cache_client, agent->cache, price->request,
                       (const char *const[]){ "SET", key, text, "EX", CACHE_SECONDS, NULL },
                       on_stored, NULL);
}

static void
on_product (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Price) price = data;
  Agent *agent = price->agent;
  g_autoptr (GVariant) product =
      derate_policy_call_finish (DERATE_POLICY (source), result, NULL, &price->why);
  gboolean minimal =
      derate_degradation_manager_get_enforced_level (agent->manager) >= DERATE_LEVEL_MINIMAL;
  g_autofree char *key = cache_key (price->id);
  gboolean found;
  const char *name;
  double amount;

  if (product == NULL)
    {
      agent_cache_command (agent->cache_client, agent->cache, price->request,
                           (const char *const[]){ "GET", key, NULL }, on_copy, price);
      price = NULL;
      return;
    }
  g_variant_get (product, "m(&sd)", &found, &name, &amount);
  if (!found)
    {
      agent_reply_bad (price->message, SOUP_STATUS_NOT_FOUND, "no such product");
      return;
    }
  store_copies (price, name, amount);
  answer (price, DERATE_ANSWER_SOURCE_REAL, name, amount, "database",
          minimal ? derate_fallback_reason_get_nick (agent_level_reason (agent)) : NULL, 0);
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
  price->request = agent_make_request (message, DERATE_REQUEST_READ, id + 1);
  soup_server_message_pause (message);
  agent_database_get_product (agent->database_client, agent->database, price->request, price->id,
                              on_product, price);
}

void
agent_prices_add (Agent *agent)
{
  soup_server_add_handler (agent->server, "/prices", handle, agent, NULL);
}
