/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-json.h"
#include "agent-refusal.h"
#include "agent-statement.h"

/* POST /db/write {statement, parameters} and POST /db/transaction {operations: [{statement,
 * parameters}, …]}: writing statements of the catalogue, one or several that are done all or not at
 * all. */

/* More is a bulk load, which would hold a session too long. */
#define OPERATIONS_MAX 100

/* {"affected": …} */
static void
on_written (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (AgentExchange) exchange = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) affected =
      derate_policy_call_finish (DERATE_POLICY (source), result, NULL, &error);
  GVariantBuilder body;

  if (affected == NULL)
    {
      agent_refuse_write (exchange->message, error);
      return;
    }
  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "affected", affected);
  agent_reply_done (exchange->message, &body);
}

static JsonNode *
get_member (JsonNode *node, const char *name)
{
  return JSON_NODE_HOLDS_OBJECT (node) ? json_object_get_member (json_node_get_object (node), name)
                                       : NULL;
}

/* One {statement, parameters}. */
static const AgentStatement *
read_operation (Agent *agent, JsonNode *node, GVariant **bound, GError **error)
{
  g_autoptr (JsonObject) none = json_object_new ();
  JsonNode *parameters = get_member (node, "parameters");
  const AgentStatement *statement;
  const char *name = NULL;

  if (JSON_NODE_HOLDS_OBJECT (node))
    name = agent_json_get_text (json_node_get_object (node), "statement");
  if (name == NULL || (parameters != NULL && !JSON_NODE_HOLDS_OBJECT (parameters)))
    {
      g_set_error_literal (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                           "it is not {\"statement\": NAME, \"parameters\": {NAME: VALUE}}");
      return NULL;
    }
  statement = agent_find_statement (agent, name, TRUE, error);
  if (statement == NULL)
    return NULL;
  *bound =
      agent_statement_bind (statement,
                            parameters != NULL ? json_node_get_object (parameters) : none, error);
  return *bound != NULL ? statement : NULL;
}

static void
write_one (Agent *agent, SoupServerMessage *message, JsonNode *body, GError **error)
{
  g_autoptr (GVariant) parameters = NULL;
  g_autoptr (DerateRequest) request = NULL;
  const AgentStatement *statement = read_operation (agent, body, &parameters, error);

  if (statement == NULL || agent_refuse_in_emergency (agent, message))
    return;
  request = agent_make_request (message, DERATE_REQUEST_NONE, NULL);
  agent_database_ask (agent->database, DERATE_PG_ACCESS_WRITE, agent->writes, request,
                      statement->sql, parameters, on_written, agent_exchange_new (agent, message));
}

static DeratePgBatch *
read_operations (Agent *agent, JsonNode *body, GError **error)
{
  g_autoptr (DeratePgBatch) batch = derate_pg_batch_new ();
  JsonNode *node = get_member (body, "operations");
  JsonArray *operations =
      node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  guint n = operations != NULL ? json_array_get_length (operations) : 0;

  if (n < 1 || n > OPERATIONS_MAX)
    {
      g_set_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_ARGUMENT,
                   "the body is not {\"operations\": [{\"statement\": NAME, \"parameters\": "
                   "{NAME: VALUE}}, …]} with 1 to %d of them",
                   OPERATIONS_MAX);
      return NULL;
    }
  for (guint i = 0; i < n; i++)
    {
      g_autoptr (GVariant) parameters = NULL;
      const AgentStatement *statement =
          read_operation (agent, json_array_get_element (operations, i), &parameters, error);

      if (statement == NULL)
        {
          g_prefix_error (error, "operation %u: ", i + 1);
          return NULL;
        }
      derate_pg_batch_add (batch, statement->sql, parameters);
    }
  return g_steal_pointer (&batch);
}

static void
write_all (Agent *agent, SoupServerMessage *message, JsonNode *body, GError **error)
{
  g_autoptr (DeratePgBatch) batch = read_operations (agent, body, error);
  g_autoptr (DerateRequest) request = NULL;

  if (batch == NULL || agent_refuse_in_emergency (agent, message))
    return;
  request = agent_make_request (message, DERATE_REQUEST_NONE, NULL);
  agent_database_transact (agent->database, agent->writes, request, batch, on_written,
                           agent_exchange_new (agent, message));
}

static void
handle (SoupServer *server,
        SoupServerMessage *message,
        const char *path,
        GHashTable *query,
        gpointer user_data)
{
  gboolean is_transaction = g_str_equal (path, "/db/transaction");
  g_autoptr (JsonNode) body = NULL;
  g_autoptr (GError) error = NULL;

  if (!agent_check_message (message, path, is_transaction ? "/db/transaction" : "/db/write",
                            SOUP_METHOD_POST))
    return;
  body = agent_json_read_object (message);
  if (body == NULL)
    agent_reply_bad (message, SOUP_STATUS_BAD_REQUEST, "the body is not a JSON object");
  else if (is_transaction)
    write_all (user_data, message, body, &error);
  else
    write_one (user_data, message, body, &error);
  if (error != NULL)
    agent_reply_mistake (message, error);
}

void
agent_write_add (Agent *agent)
{
  soup_server_add_handler (agent->server, "/db/write", handle, agent, NULL);
  soup_server_add_handler (agent->server, "/db/transaction", handle, agent, NULL);
}
