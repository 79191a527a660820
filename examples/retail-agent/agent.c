/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent.h"

#include <derate-fallbacks.h>

static const char *
get_uri (Agent *agent, const char *group)
{
  return derate_config_get_text (derate_core_get_config (agent->core), group, "uri", "");
}

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
static gboolean
make_pipelines (Agent *agent, GError **error)
{
  agent->database =
      (DeratePolicy *)derate_core_create_pipeline (agent->core, "database",
                                                   DERATE_CORE_PIPELINE_NO_RETRY, error);
  if (agent->database == NULL)
    return FALSE;
  agent->ai =
      (DeratePolicy *)derate_core_create_gated_pipeline (agent->core, "openai", "ai",
                                                         DERATE_CORE_PIPELINE_NO_RETRY, error);
  return agent->ai != NULL;
}

Agent *
agent_new (DerateCore *core, SoupServer *server, GError **error)
{
  Agent *agent = g_new0 (Agent, 1);

  agent->core = g_object_ref (core);
  agent->manager = derate_core_get_degradation_manager (core);
  agent->server = g_object_ref (server);
  agent->database_client = agent_database_new (get_uri (agent, "service database"));
  agent->ai_client =
      agent_ai_new (get_uri (agent, "service openai"), g_getenv ("OPENAI_API_KEY"), error);
  if (agent->ai_client == NULL || !register_fallbacks (core, error) ||
      !make_pipelines (agent, error))
    {
      agent_free (agent);
      return NULL;
    }
  agent_prices_add (agent);
  agent_pricing_add (agent);
  return agent;
}

void
agent_free (Agent *agent)
{
  g_clear_pointer (&agent->database_client, agent_database_free);
  g_clear_pointer (&agent->ai_client, agent_ai_free);
  g_clear_object (&agent->database);
  g_clear_object (&agent->ai);
  g_clear_object (&agent->server);
  g_clear_object (&agent->core);
  g_free (agent);
}
