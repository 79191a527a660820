/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-ai.h"

#include <math.h>

#include "agent-json.h"

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

typedef struct
{
  AgentAi *ai;
  GBytes *text;
} Question;

/* A question on its way. */
typedef struct
{
  DerateCall *call;
  GCancellable *cancellable;
  guint n_interim;
  char *body; /* (nullable) */
} Errand;

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

static void
question_free (gpointer data)
{
  Question *question = data;

  g_bytes_unref (question->text);
  g_free (question);
}

static void
errand_free (Errand *errand)
{
  g_object_unref (errand->cancellable);
  g_free (errand->body);
  derate_call_unref (errand->call);
  g_free (errand);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Errand, errand_free)

static GBytes *
make_question (const char *item, double price)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *content = NULL;
  char *text;

  content = g_strdup_printf ("Answer with one JSON object {\"price\": NUMBER}: the retail price of "
                             "“%s”, bought at %.2f.",
                             item, price);
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

/* The price in `choices[0].message.content`, which is JSON in JSON; NAN for anything else: a server
 * may answer anything at all. */
static double
price_from_answer (const char *text)
{
  g_autoptr (JsonNode) answer = agent_json_parse (text);
  g_autoptr (JsonNode) contents = NULL;
  g_autoptr (JsonNode) price = NULL;
  JsonArray *found;
  JsonNode *member;
  double number;

  if (answer == NULL)
    return NAN;
  contents = json_path_query ("$.choices[0].message.content", answer, NULL);
  found = contents != NULL ? json_node_get_array (contents) : NULL;
  if (found == NULL || json_array_get_length (found) != 1 ||
      json_node_get_value_type (json_array_get_element (found, 0)) != G_TYPE_STRING)
    return NAN;
  price = agent_json_parse (json_array_get_string_element (found, 0));
  if (price == NULL || !JSON_NODE_HOLDS_OBJECT (price))
    return NAN;
  member = json_object_get_member (json_node_get_object (price), "price");
  return agent_json_get_number (member, &number) ? number : NAN;
}

static void
fail (Errand *errand, GIOErrorEnum code, const char *text)
{
  g_autoptr (GError) error = g_error_new_literal (G_IO_ERROR, (int)code, text);

  derate_call_fail (errand->call, error);
}

static void
on_body (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Errand) errand = data;
  g_autoptr (GError) error = NULL;
  gsize length = 0;
  double price;

  if (!g_input_stream_read_all_finish (G_INPUT_STREAM (source), result, &length, &error))
    {
      derate_call_fail (errand->call, error);
      return;
    }
  errand->body[length] = '\0';
  price = price_from_answer (errand->body);
  if (!isfinite (price) || price < 0 || price > AGENT_PRICE_MAX)
    fail (errand, G_IO_ERROR_INVALID_DATA, "the answer holds no price");
  else
    derate_call_succeed (errand->call, g_variant_new_double (price));
}

static void
on_interim (SoupMessage *message, gpointer data)
{
  Errand *errand = data;

  if (++errand->n_interim > MAX_INTERIM)
    g_cancellable_cancel (errand->cancellable);
}

static void
on_sent (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Errand) errand = data;
  g_autoptr (GError) error = NULL;
  SoupSession *session = SOUP_SESSION (source);
  SoupMessage *message = soup_session_get_async_result_message (session, result);
  g_autoptr (GInputStream) stream = soup_session_send_finish (session, result, &error);
  g_autofree char *status = NULL;

  g_signal_handlers_disconnect_by_data (message, errand);
  if (stream == NULL)
    {
      if (errand->n_interim > MAX_INTERIM)
        fail (errand, G_IO_ERROR_INVALID_DATA, "interim answers and no real one");
      else
        derate_call_fail (errand->call, error);
      return;
    }
  if (soup_message_get_status (message) != SOUP_STATUS_OK)
    {
      status = g_strdup_printf ("HTTP status %d", soup_message_get_status (message));
      fail (errand, G_IO_ERROR_FAILED, status);
      return;
    }
  errand->body = g_malloc (MAX_ANSWER + 1);
  g_input_stream_read_all_async (stream, errand->body, MAX_ANSWER, G_PRIORITY_DEFAULT,
                                 errand->cancellable, on_body, errand);
  errand = NULL;
}

static void
start (DerateCall *call, GCancellable *cancellable, gpointer data)
{
  Question *question = data;
  AgentAi *ai = question->ai;
  g_autoptr (SoupMessage) message = soup_message_new (SOUP_METHOD_POST, ai->completions);
  Errand *errand = g_new0 (Errand, 1);

  errand->call = call;
  errand->cancellable = cancellable != NULL ? g_object_ref (cancellable) : g_cancellable_new ();
  soup_message_set_request_body_from_bytes (message, "application/json", question->text);
  if (ai->key != NULL)
    {
      g_autofree char *bearer = g_strdup_printf ("Bearer %s", ai->key);

      soup_message_headers_replace (soup_message_get_request_headers (message), "Authorization",
                                    bearer);
    }
  g_signal_connect (message, "got-informational", G_CALLBACK (on_interim), errand);
  soup_session_send_async (ai->session, message, G_PRIORITY_DEFAULT, errand->cancellable, on_sent,
                           errand);
}

void
agent_ai_price (AgentAi *ai,
                DeratePolicy *policy,
                DerateRequest *request,
                const char *item,
                double price,
                GAsyncReadyCallback callback,
                gpointer data)
{
  Question *question = g_new0 (Question, 1);

  question->ai = ai;
  question->text = make_question (item, price);
  derate_policy_call_async (policy, request, start, question, question_free, NULL, callback, data);
}
