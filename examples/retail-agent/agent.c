/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent.h"

#include <derate-fallbacks.h>

/* The baseline of the seeds: what it cost, and 30 % on top. */
static GVariant *
price_by_rule (DerateFallbackRequest *request, gpointer user_data, GError **error)
{
  double price = g_variant_get_double (derate_fallback_request_get_request (request));

  return g_variant_new_double (price * 1.3);
}

static gboolean
register_fallbacks (DerateCore *core, GError **error)
{
  derate_fallbacks_add_function (derate_core_get_fallbacks (core), "price-plus-30", price_by_rule,
                                 NULL, NULL);
  return derate_fallbacks_register (derate_core_get_fallbacks (core), error) &&
         agent_copy_register (core, error);
}

/* No answer has time for retries. */
static DeratePolicy *
make_pipeline (Agent *agent,
               const char *service,
               const char *feature,
               DerateCorePipelineFlags flags,
               GError **error)
{
  return (DeratePolicy *)derate_core_create_gated_pipeline (agent->core, service, feature,
                                                            flags | DERATE_CORE_PIPELINE_NO_RETRY,
                                                            error);
}

/* Nothing stands in for a write. */
static gboolean
make_pipelines (Agent *agent, GError **error)
{
  return (agent->reads = make_pipeline (agent, "database", "reads", 0, error)) != NULL &&
         (agent->writes = make_pipeline (agent, "database", "writes", DERATE_CORE_PIPELINE_BARE,
                                         error)) != NULL &&
         (agent->ai = make_pipeline (agent, "openai", "ai", 0, error)) != NULL;
}

static gboolean
make_clients (Agent *agent, GError **error)
{
  DerateConfig *config = derate_core_get_config (agent->core);
  const char *uri = derate_config_get_text (config, "service openai", "uri", "");

  agent->database = agent_database_new (agent->core, error);
  if (agent->database == NULL)
    return FALSE;
  agent->ai_client = agent_ai_new (uri, g_getenv ("OPENAI_API_KEY"), error);
  return agent->ai_client != NULL;
}

Agent *
agent_new (DerateCore *core, SoupServer *server, GHashTable *statements, GError **error)
{
  Agent *agent = g_new0 (Agent, 1);

  agent->core = g_object_ref (core);
  agent->manager = derate_core_get_degradation_manager (core);
  agent->server = g_object_ref (server);
  agent->statements = statements;
  if (!make_clients (agent, error) || !register_fallbacks (core, error) ||
      !make_pipelines (agent, error))
    {
      agent_free (agent);
      return NULL;
    }
  agent_prices_add (agent);
  agent_pricing_add (agent);
  agent_read_add (agent);
  agent_write_add (agent);
  return agent;
}

void
agent_free (Agent *agent)
{
  g_clear_object (&agent->database);
  g_clear_pointer (&agent->ai_client, agent_ai_free);
  g_clear_object (&agent->reads);
  g_clear_object (&agent->writes);
  g_clear_object (&agent->ai);
  g_hash_table_unref (agent->statements);
  g_clear_object (&agent->server);
  g_clear_object (&agent->core);
  g_free (agent);
}

const AgentStatement *
agent_find_statement (Agent *agent, const char *name, gboolean writes, GError **error)
{
  const AgentStatement *statement = g_hash_table_lookup (agent->statements, name);

  if (statement != NULL && statement->writes == writes)
    return statement;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "no %s “%s”",
               writes ? "statement" : "query", name);
  return NULL;
}
