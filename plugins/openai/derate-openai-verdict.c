/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-openai-verdict.h"

#include "derate-check-report.h"

#include <json-glib/json-glib.h>
#include <string.h>

#define SHOWN_MAX 200

/* clang-format off */
static const struct
{
  guint from;
  guint to;
  DerateHealthStatus status;
  DerateHealthCause cause;
} verdicts[] = {
  { 200, 299, DERATE_HEALTH_STATUS_HEALTHY,  DERATE_HEALTH_CAUSE_NONE },
  { 300, 399, DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_CONFIG }, /* never followed */
  { 408, 408, DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_TIMEOUT },
  { 429, 429, DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_THROTTLED },
  { 400, 499, DERATE_HEALTH_STATUS_DOWN,     DERATE_HEALTH_CAUSE_CONFIG },
};
/* clang-format on */

/* A member that may be a text, a number or null: llama.cpp's code is a number. */
static char *
member_text (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  if (node == NULL || json_node_get_node_type (node) != JSON_NODE_VALUE)
    return NULL;
  if (json_node_get_value_type (node) == G_TYPE_STRING)
    return json_node_dup_string (node);
  if (json_node_get_value_type (node) == G_TYPE_INT64)
    return g_strdup_printf ("%" G_GINT64_FORMAT, json_node_get_int (node));
  return NULL;
}

/* The member "error" of the body, be it an object or, as some servers have it, a text; NULL when
 * the body is no such JSON. */
static JsonNode *
parse_error (const char *body)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonNode *root;
  JsonNode *found;

  if (!derate_json_is_shallow (body) || !json_parser_load_from_data (parser, body, -1, NULL))
    return NULL;
  root = json_parser_get_root (parser);
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return NULL;
  found = json_object_get_member (json_node_get_object (root), "error");
  return found != NULL ? json_node_copy (found) : NULL;
}

static char *
describe (const char *body)
{
  g_autoptr (JsonNode) error = parse_error (body);
  g_autofree char *message = NULL;
  g_autofree char *code = NULL;

  if (error == NULL)
    return NULL;
  if (JSON_NODE_HOLDS_VALUE (error))
    return json_node_get_value_type (error) == G_TYPE_STRING ? json_node_dup_string (error) : NULL;
  if (!JSON_NODE_HOLDS_OBJECT (error))
    return NULL;
  message = member_text (json_node_get_object (error), "message");
  code = member_text (json_node_get_object (error), "code");
  if (code == NULL)
    return g_steal_pointer (&message);
  return g_strdup_printf ("%s (%s)", message != NULL ? message : "no message", code);
}

/* Servers like to quote the key that they refuse. */
static char *
without_key (const char *text, const char *key)
{
  g_autoptr (GString) shown = g_string_new (text);

  if (key != NULL && *key != '\0')
    g_string_replace (shown, key, "***", 0);
  return g_utf8_substring (shown->str, 0, MIN (g_utf8_strlen (shown->str, -1), SHOWN_MAX));
}

static gboolean
is_loading (const DerateSoupAnswer *answer, const char *message)
{
  g_autofree char *low = message != NULL ? g_ascii_strdown (message, -1) : NULL;

  return answer->status == 503 && low != NULL && strstr (low, "loading") != NULL;
}

static void
find_verdict (guint status, DerateHealthStatus *health, DerateHealthCause *cause)
{
  *health = DERATE_HEALTH_STATUS_DOWN;
  *cause = DERATE_HEALTH_CAUSE_PROTOCOL;
  for (guint i = 0; i < G_N_ELEMENTS (verdicts); i++)
    {
      if (status >= verdicts[i].from && status <= verdicts[i].to)
        {
          *health = verdicts[i].status;
          *cause = verdicts[i].cause;
          return;
        }
    }
}

DerateHealthReport *
derate_openai_judge (const DerateSoupAnswer *answer, const char *key)
{
  g_autofree char *message = describe (answer->body);
  g_autofree char *shown = without_key (message != NULL ? message : "no message", key);
  GTimeSpan wait = derate_soup_answer_get_retry_after (answer);
  DerateHealthStatus health;
  DerateHealthCause cause;

  if (is_loading (answer, message))
    return derate_check_report_new (DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_OVERLOADED,
                                    "the model is loading: %s", shown);
  find_verdict (answer->status, &health, &cause);
  if (health == DERATE_HEALTH_STATUS_HEALTHY)
    return derate_health_report_new (health, cause, NULL);
  if (wait >= 0)
    return derate_check_report_new (health, cause, "status %u, asks for %.1f s: %s", answer->status,
                                    (double)wait / G_TIME_SPAN_SECOND, shown);
  return derate_check_report_new (health, cause, "status %u: %s", answer->status, shown);
}
