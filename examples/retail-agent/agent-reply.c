/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-reply.h"

#include <string.h>

/* When a refused caller should come again: about when the recovery loop has looked. */
#define RETRY_AFTER_SECONDS "30"

/* How much of a mistake is told: what a caller sent may be in it. */
#define TEXT_MAX 200

AgentExchange *
agent_exchange_new (Agent *agent, SoupServerMessage *message)
{
  AgentExchange *exchange = g_new0 (AgentExchange, 1);

  exchange->agent = agent;
  exchange->message = g_object_ref (message);
  soup_server_message_pause (message);
  return exchange;
}

void
agent_exchange_free (AgentExchange *exchange)
{
  soup_server_message_unpause (exchange->message);
  g_object_unref (exchange->message);
  g_free (exchange);
}

/* The caller's own id, or a new one, so that an answer can be found again in logs. */
static const char *
ensure_request_id (SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  const char *given =
      soup_message_headers_get_one (soup_server_message_get_request_headers (message),
                                    "X-Request-Id");
  g_autoptr (DerateRequest) judge = derate_request_new (DERATE_REQUEST_NONE, NULL);
  g_autofree char *made = NULL;

  if (soup_message_headers_get_one (headers, "X-Request-Id") == NULL)
    {
      if (given == NULL || !derate_request_set_id (judge, given, NULL))
        given = made = g_uuid_string_random ();
      soup_message_headers_replace (headers, "X-Request-Id", given);
    }
  return soup_message_headers_get_one (headers, "X-Request-Id");
}

DerateRequest *
agent_make_request (SoupServerMessage *message, DerateRequestFlags flags, const char *key)
{
  DerateRequest *request = derate_request_new (flags, key);

  derate_request_set_id (request, ensure_request_id (message), NULL);
  return request;
}

static void
send_json (SoupServerMessage *message, guint status, GVariant *body)
{
  g_autoptr (GVariant) owned = g_variant_take_ref (body);
  char *text = derate_json_from_variant (owned);

  ensure_request_id (message);
  soup_server_message_set_status (message, status, NULL);
  soup_server_message_set_response (message, "application/json", SOUP_MEMORY_TAKE, text,
                                    strlen (text));
}

/* At minimal an answer is marked though it is the real one. */
static const char *
get_reason (Agent *agent, DerateFallbackResult *fallback)
{
  g_autofree char *rule = NULL;

  if (fallback != NULL)
    return derate_fallback_reason_get_nick (derate_fallback_result_get_reason (fallback));
  if (derate_degradation_manager_get_enforced_level (agent->manager) < DERATE_LEVEL_MINIMAL)
    return NULL;
  rule = derate_degradation_manager_dup_rule (agent->manager);
  return g_strcmp0 (rule, "hold") == 0 ? "hold" : "level";
}

void
agent_reply (Agent *agent,
             SoupServerMessage *message,
             GVariantBuilder *body,
             AgentReplyFlags flags,
             const char *source,
             DerateFallbackResult *fallback)
{
  const char *reason = get_reason (agent, fallback);
  GTimeSpan age = 0;

  if (fallback != NULL)
    {
      source = derate_fallback_result_get_source (fallback);
      age = derate_fallback_result_get_age (fallback);
    }
  g_variant_builder_add (body, "{sv}", "degraded", g_variant_new_boolean (reason != NULL));
  if (reason != NULL || (flags & AGENT_REPLY_SOURCE))
    g_variant_builder_add (body, "{sv}", "source", g_variant_new_string (source));
  if (reason != NULL)
    {
      g_variant_builder_add (body, "{sv}", "reason", g_variant_new_string (reason));
      g_variant_builder_add (body, "{sv}", "age_seconds",
                             g_variant_new_double ((double)age / G_TIME_SPAN_SECOND));
    }
  send_json (message, SOUP_STATUS_OK, g_variant_builder_end (body));
}

void
agent_reply_done (SoupServerMessage *message, GVariantBuilder *body)
{
  send_json (message, SOUP_STATUS_OK, g_variant_builder_end (body));
}

void
agent_reply_bad (SoupServerMessage *message, guint status, const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  g_autofree char *start = g_utf8_substring (valid, 0, MIN (g_utf8_strlen (valid, -1), TEXT_MAX));
  GVariantBuilder body;

  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "error", g_variant_new_string (start));
  send_json (message, status, g_variant_builder_end (&body));
}

void
agent_reply_mistake (SoupServerMessage *message, const GError *error)
{
  agent_reply_bad (message,
                   g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)
                       ? SOUP_STATUS_NOT_FOUND
                       : SOUP_STATUS_BAD_REQUEST,
                   error->message);
}

gboolean
agent_check_message (SoupServerMessage *message,
                     const char *path,
                     const char *wanted,
                     const char *method)
{
  g_autofree char *usage = g_strdup_printf ("%s %s", method, wanted);

  if (!g_str_equal (path, wanted))
    agent_reply_bad (message, SOUP_STATUS_NOT_FOUND, "no such page");
  else if (soup_server_message_get_method (message) != method)
    agent_reply_bad (message, SOUP_STATUS_METHOD_NOT_ALLOWED, usage);
  else
    return TRUE;
  return FALSE;
}

static void
set_retry_after (SoupServerMessage *message)
{
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Retry-After",
                                RETRY_AFTER_SECONDS);
}

void
agent_refuse (SoupServerMessage *message, const char *error, const char *text, const char *action)
{
  GVariantBuilder body;

  set_retry_after (message);
  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "error", g_variant_new_string (error));
  g_variant_builder_add (&body, "{sv}", "message", g_variant_new_string (text));
  g_variant_builder_add (&body, "{sv}", "action", g_variant_new_string (action));
  send_json (message, SOUP_STATUS_SERVICE_UNAVAILABLE, g_variant_builder_end (&body));
}

gboolean
agent_refuse_in_emergency (Agent *agent, SoupServerMessage *message)
{
  GVariantBuilder body;

  if (derate_degradation_manager_get_enforced_level (agent->manager) < DERATE_LEVEL_EMERGENCY)
    return FALSE;
  set_retry_after (message);
  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "status", g_variant_new_string ("system_degraded"));
  derate_degradation_manager_note_answer (agent->manager, DERATE_ANSWER_SOURCE_REFUSED);
  send_json (message, SOUP_STATUS_SERVICE_UNAVAILABLE, g_variant_builder_end (&body));
  return TRUE;
}
