/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-ai.h"

#include <json-glib/json-glib.h>
#include <libsoup/soup.h>
#include <math.h>

/* A longer answer is none to a question about one price. */
#define MAX_ANSWER (64 * 1024)

/* “100 Continue” and its like: libsoup reads them for as long as they come, and nothing else of
 * this program would run. */
#define MAX_INTERIM 16

struct _AgentAi
{
  SoupSession *session;
  char *completions;
  char *key;
};

AgentAi *
agent_ai_new (const char *uri, const char *key, GError **error)
{
  g_autoptr (GUri) parsed = g_uri_parse (uri, SOUP_HTTP_URI_FLAGS, error);
  g_autoptr (GSocketConnectable) address = NULL;
  AgentAi *ai;

  if (parsed == NULL)
    return NULL;
  address = derate_network_address_new (g_uri_get_host (parsed), g_uri_get_port (parsed));
  ai = g_new0 (AgentAi, 1);
  ai->session = soup_session_new_with_options ("remote-connectable", address, "max-conns", 16,
                                               "max-conns-per-host", 16, NULL);
  /* A few bytes can unpack to gigabytes, or to nothing without end. */
  soup_session_remove_feature_by_type (ai->session, SOUP_TYPE_CONTENT_DECODER);
  ai->completions = g_strdup_printf ("%s/chat/completions", uri);
  ai->key = g_strdup (key);
  return ai;
}

void
agent_ai_free (AgentAi *ai)
{
  soup_session_abort (ai->session);
  g_object_unref (ai->session);
  g_free (ai->completions);
  g_free (ai->key);
  g_free (ai);
}

void
agent_pricing_free (gpointer data)
{
  AgentPricing *pricing = data;

  g_free (pricing->item);
  g_free (pricing);
}

static GBytes *
question (const AgentPricing *pricing)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *content = NULL;
  char *text;

  content = g_strdup_printf ("Answer with one JSON object {\"price\": NUMBER}: the retail price of "
                             "“%s”, bought at %.2f.",
                             pricing->item, pricing->price);
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "model");
  json_builder_add_string_value (builder, "gpt-4o-mini");
  json_builder_set_member_name (builder, "messages");
  json_builder_begin_array (builder);
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "role");
  json_builder_add_string_value (builder, "user");
  json_builder_set_member_name (builder, "content");
  json_builder_add_string_value (builder, content);
  json_builder_end_object (builder);
  json_builder_end_array (builder);
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  text = json_to_string (root, FALSE);
  return g_bytes_new_take (text, strlen (text));
}

/* A server may answer anything at all. */
static JsonNode *
parse (const char *text)
{
  return derate_json_is_shallow (text) ? json_from_string (text, NULL) : NULL;
}

/* The price in `choices[0].message.content`, which is JSON in JSON; NAN for anything else. */
static double
price_from_answer (const char *text)
{
  g_autoptr (JsonNode) answer = parse (text);
  g_autoptr (JsonNode) contents = NULL;
  g_autoptr (JsonNode) price = NULL;
  JsonArray *found;
  JsonNode *member;

  if (answer == NULL)
    return NAN;
  contents = json_path_query ("$.choices[0].message.content", answer, NULL);
  found = contents != NULL ? json_node_get_array (contents) : NULL;
  if (found == NULL || json_array_get_length (found) != 1 ||
      json_node_get_value_type (json_array_get_element (found, 0)) != G_TYPE_STRING)
    return NAN;
  price = parse (json_array_get_string_element (found, 0));
  if (price == NULL || !JSON_NODE_HOLDS_OBJECT (price))
    return NAN;
  member = json_object_get_member (json_node_get_object (price), "price");
  /* A text would read as 0. */
  if (member == NULL || !JSON_NODE_HOLDS_VALUE (member) ||
      (json_node_get_value_type (member) != G_TYPE_INT64 &&
       json_node_get_value_type (member) != G_TYPE_DOUBLE))
    return NAN;
  return json_node_get_double (member);
}

static void
on_body (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  g_autoptr (GError) error = NULL;
  AgentPricing *request = g_task_get_task_data (task);
  AgentPricing *pricing;
  gsize length = 0;
  gboolean read;
  double price;
  char *text = g_object_get_data (G_OBJECT (task), "body");

  read = g_input_stream_read_all_finish (G_INPUT_STREAM (source), result, &length, &error);
  if (!read)
    {
      g_task_return_error (task, g_steal_pointer (&error));
      return;
    }
  text[length] = '\0';
  price = price_from_answer (text);
  if (!isfinite (price) || price < 0 || price > AGENT_PRICE_MAX)
    {
      g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                               "the answer holds no price");
      return;
    }
  pricing = g_new0 (AgentPricing, 1);
  pricing->item = g_strdup (request->item);
  pricing->price = price;
  g_task_return_pointer (task, pricing, agent_pricing_free);
}

static guint
count_interim (SoupMessage *message)
{
  return GPOINTER_TO_UINT (g_object_get_data (G_OBJECT (message), "interim"));
}

static void
on_interim (SoupMessage *message, gpointer data)
{
  guint n = count_interim (message) + 1;

  g_object_set_data (G_OBJECT (message), "interim", GUINT_TO_POINTER (n));
  if (n > MAX_INTERIM)
    g_cancellable_cancel (data);
}

static void
on_sent (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  g_autoptr (GError) error = NULL;
  SoupSession *session = SOUP_SESSION (source);
  SoupMessage *message = soup_session_get_async_result_message (session, result);
  g_autoptr (GInputStream) stream = soup_session_send_finish (session, result, &error);
  GCancellable *cancellable = g_task_get_cancellable (task);
  char *body;

  if (stream == NULL)
    {
      if (count_interim (message) > MAX_INTERIM)
        g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                                 "interim answers and no real one");
      else
        g_task_return_error (task, g_steal_pointer (&error));
      return;
    }
  if (soup_message_get_status (message) != SOUP_STATUS_OK)
    {
      g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_FAILED, "HTTP status %d",
                               soup_message_get_status (message));
      return;
    }
  body = g_malloc (MAX_ANSWER + 1);
  g_object_set_data_full (G_OBJECT (task), "body", body, g_free);
  g_input_stream_read_all_async (stream, body, MAX_ANSWER, G_PRIORITY_DEFAULT, cancellable, on_body,
                                 g_steal_pointer (&task));
}

static gpointer
copy_pricing (const AgentPricing *pricing)
{
  AgentPricing *copy = g_new0 (AgentPricing, 1);

  copy->item = g_strdup (pricing->item);
  copy->price = pricing->price;
  return copy;
}

static void
price_start (gpointer client,
             gpointer request,
             GCancellable *cancellable,
             GAsyncReadyCallback callback,
             gpointer user_data)
{
  AgentAi *ai = client;
  GTask *task = g_task_new (NULL, cancellable, callback, user_data);
  g_autoptr (SoupMessage) message = soup_message_new (SOUP_METHOD_POST, ai->completions);
  g_autoptr (GBytes) body = question (request);

  g_task_set_source_tag (task, price_start);
  g_task_set_check_cancellable (task, FALSE); /* every end comes with an error of its own */
  g_task_set_task_data (task, copy_pricing (request), agent_pricing_free);
  soup_message_set_request_body_from_bytes (message, "application/json", body);
  if (ai->key != NULL)
    {
      g_autofree char *bearer = g_strdup_printf ("Bearer %s", ai->key);

      soup_message_headers_replace (soup_message_get_request_headers (message), "Authorization",
                                    bearer);
    }
  g_signal_connect_object (message, "got-informational", G_CALLBACK (on_interim), cancellable,
                           (GConnectFlags)0);
  soup_session_send_async (ai->session, message, G_PRIORITY_DEFAULT, cancellable, on_sent, task);
}

static gpointer
price_finish (gpointer client, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

const AgentOperation agent_ai_price = {
  .start = price_start,
  .finish = price_finish,
  .free_answer = agent_pricing_free,
};
