/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-refusal.h"
#include "agent-statement.h"

/* GET /db/read?query=NAME&PARAMETER=VALUE: a reading statement of the catalogue. */

static void
on_rows (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (AgentExchange) exchange = data;
  g_autoptr (DerateFallbackResult) fallback = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer =
      derate_policy_call_finish (DERATE_POLICY (source), result, &fallback, &error);
  g_autoptr (GVariant) rows = NULL;
  GVariantBuilder body;

  if (answer == NULL)
    {
      agent_refuse_read (exchange->message, error);
      return;
    }
  rows = g_variant_get_maybe (answer);
  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "rows",
                         rows != NULL ? rows : g_variant_new ("aa{sv}", NULL));
  agent_reply (exchange->agent, exchange->message, &body, AGENT_REPLY_PLAIN, "database", fallback);
}

/* What the address says, by name; NULL where it says something twice, or not in UTF-8. */
static GHashTable *
read_address (SoupServerMessage *message)
{
  const char *query = g_uri_get_query (soup_server_message_get_uri (message));
  g_autoptr (GHashTable) values = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr (GError) error = NULL;
  GUriParamsIter iter;
  char *name;
  char *value;
  gboolean valid = TRUE;

  g_uri_params_iter_init (&iter, query != NULL ? query : "", -1, "&", G_URI_PARAMS_WWW_FORM);
  while (g_uri_params_iter_next (&iter, &name, &value, &error))
    {
      valid &= g_utf8_validate (name, -1, NULL) && g_utf8_validate (value, -1, NULL);
      valid &= g_hash_table_insert (values, name, value);
    }
  return valid && error == NULL ? g_steal_pointer (&values) : NULL;
}

/* Says what is wrong with the request, or what it asks for. */
static const AgentStatement *
read_request (Agent *agent, SoupServerMessage *message, GVariant **parameters, GError **error)
{
  g_autoptr (GHashTable) values = read_address (message);
  const AgentStatement *statement;
  const char *name;

  if (values == NULL || g_hash_table_lookup (values, "query") == NULL)
    {
      g_set_error_literal (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                           "the address is not ?query=NAME&PARAMETER=VALUE");
      return NULL;
    }
  name = g_hash_table_lookup (values, "query");
  statement = agent_find_statement (agent, name, FALSE, error);
  if (statement == NULL)
    return NULL;
  g_hash_table_remove (values, "query");
  *parameters = agent_statement_bind_texts (statement, values, error);
  return *parameters != NULL ? statement : NULL;
}

static void
handle (SoupServer *server,
        SoupServerMessage *message,
        const char *path,
        GHashTable *query,
        gpointer user_data)
{
  Agent *agent = user_data;
  g_autoptr (GVariant) parameters = NULL;
  g_autoptr (DerateRequest) request = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *key = NULL;
  g_autofree char *values = NULL;
  const AgentStatement *statement;

  if (!agent_check_message (message, path, "/db/read", SOUP_METHOD_GET))
    return;
  statement = read_request (agent, message, &parameters, &error);
  if (statement == NULL)
    {
      agent_reply_mistake (message, error);
      return;
    }
  if (agent_refuse_in_emergency (agent, message))
    return;
  values = g_variant_print (parameters, FALSE);
  key = g_strdup_printf ("read:%s%s", statement->name, values);
  request = agent_make_request (message, DERATE_REQUEST_READ, key);
  agent_database_ask (agent->database, DERATE_PG_ACCESS_READ, agent->reads, request, statement->sql,
                      parameters, on_rows, agent_exchange_new (agent, message));
}

void
agent_read_add (Agent *agent)
{
  soup_server_add_handler (agent->server, "/db/read", handle, agent, NULL);
}
