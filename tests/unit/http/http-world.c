/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "http-world.h"

#include <stdlib.h>
#include <string.h>

static const char CONFIG[] = "[derate]\n"
                             "name=%s\n"
                             "[service database]\n"
                             "role=database\n"
                             "[service redis]\n"
                             "role=cache\n"
                             "[service openai]\n"
                             "role=ai\n";

DerateCore *
world_new_core (World *world, const char *name)
{
  g_autofree char *text = g_strdup_printf (CONFIG, name);
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateConfig) config = derate_config_new_from_data (text, "world.conf", &error);
  DerateCore *core;

  g_assert_no_error (error);
  core = derate_core_new_from_config (config, world->clock, &error);
  g_assert_no_error (error);
  return core;
}

void
world_set_up (World *world, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  GSList *uris;

  world->clock = derate_manual_clock_new ();
  world->core = world_new_core (world, "shop");
  world->server = soup_server_new (NULL, NULL);
  world->session = soup_session_new_with_options ("proxy-resolver", NULL, NULL);
  /* Asks for no compression, and shows what came. */
  soup_session_remove_feature_by_type (world->session, SOUP_TYPE_CONTENT_DECODER);
  soup_server_listen_local (world->server, 0, SOUP_SERVER_LISTEN_IPV4_ONLY, &error);
  g_assert_no_error (error);
  uris = soup_server_get_uris (world->server);
  world->base = g_strdup_printf ("http://127.0.0.1:%d", g_uri_get_port (uris->data));
  g_slist_free_full (uris, (GDestroyNotify)g_uri_unref);
}

void
world_tear_down (World *world, gconstpointer data)
{
  soup_session_abort (world->session);
  soup_server_disconnect (world->server);
  g_object_unref (world->session);
  g_object_unref (world->server);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  /* The server held it, and holds it no more. */
  g_assert_finalize_object (world->core);
  g_object_unref (world->clock);
  g_free (world->base);
}

static void
on_started (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;

  derate_core_start_finish (DERATE_CORE (source), result, &error);
  g_assert_no_error (error);
  *(gboolean *)data = TRUE;
}

void
world_start (DerateCore *core)
{
  gboolean started = FALSE;

  derate_core_start_async (core, NULL, on_started, &started);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (derate_core_get_clock (core)), 0);
  g_assert_true (started);
}

void
world_stop (DerateCore *core)
{
  derate_core_stop_async (core, NULL, NULL, NULL);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (derate_core_get_clock (core)), 0);
}

void
world_fail_calls (DerateCore *core, const char *name, guint calls)
{
  g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (core, name);

  g_assert_nonnull (breaker);
  for (guint i = 0; i < calls; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      g_assert_true (derate_breaker_acquire (breaker, &permit, NULL));
      derate_permit_fail (&permit, NULL);
    }
}

static void
on_answered (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

Answer *
world_ask (World *world, const char *method, const char *path)
{
  static const char *const none[] = { NULL };

  return world_ask_with (world, method, path, none);
}

Answer *
world_ask_with (World *world, const char *method, const char *path, const char *const *wanted)
{
  g_autofree char *uri = g_strconcat (world->base, path, NULL);
  g_autoptr (SoupMessage) message = soup_message_new (method, uri);

  g_assert_nonnull (message);
  for (guint i = 0; wanted[i] != NULL; i += 2)
    soup_message_headers_append (soup_message_get_request_headers (message), wanted[i],
                                 wanted[i + 1]);
  return world_send (world, message);
}

Answer *
world_send (World *world, SoupMessage *message)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  SoupMessageHeaders *headers;
  Answer *answer = g_new0 (Answer, 1);

  soup_session_send_and_read_async (world->session, message, G_PRIORITY_DEFAULT, NULL, on_answered,
                                    &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  bytes = soup_session_send_and_read_finish (world->session, result, &error);
  g_assert_no_error (error);

  headers = soup_message_get_response_headers (message);
  answer->status = soup_message_get_status (message);
  answer->type = g_strdup (soup_message_headers_get_one (headers, "Content-Type"));
  answer->connection = g_strdup (soup_message_headers_get_one (headers, "Connection"));
  answer->encoding = g_strdup (soup_message_headers_get_one (headers, "Content-Encoding"));
  answer->vary = g_strdup (soup_message_headers_get_one (headers, "Vary"));
  answer->allow = g_strdup (soup_message_headers_get_one (headers, "Allow"));
  answer->length = soup_message_headers_get_content_length (headers);
  answer->body_size = g_bytes_get_size (bytes);
  answer->body = g_malloc0 (answer->body_size + 1);
  if (answer->body_size > 0)
    memcpy (answer->body, g_bytes_get_data (bytes, NULL), answer->body_size);
  if (answer->body[0] == '{')
    answer->json = json_from_string (answer->body, NULL);
  return answer;
}

Answer *
world_get (World *world, const char *path)
{
  return world_ask (world, SOUP_METHOD_GET, path);
}

void
answer_free (Answer *answer)
{
  g_free (answer->type);
  g_free (answer->allow);
  g_free (answer->connection);
  g_free (answer->encoding);
  g_free (answer->vary);
  g_free (answer->body);
  g_clear_pointer (&answer->json, json_node_unref);
  g_free (answer);
}

static JsonNode *
find (Answer *answer, const char *path)
{
  g_auto (GStrv) steps = g_strsplit (path, ".", -1);
  JsonNode *node = answer->json;

  if (node == NULL)
    g_error ("not JSON: %s", answer->body);
  for (guint i = 0; steps[i] != NULL; i++)
    {
      JsonNode *inner;

      if (JSON_NODE_HOLDS_ARRAY (node))
        inner = json_array_get_element (json_node_get_array (node), (guint)atoi (steps[i]));
      else
        inner = json_object_get_member (json_node_get_object (node), steps[i]);
      if (inner == NULL)
        g_error ("no %s of %s in %s", steps[i], path, answer->body);
      node = inner;
    }
  return node;
}

char *
answer_list_keys (Answer *answer, const char *path)
{
  g_autoptr (GList) keys = json_object_get_members (json_node_get_object (find (answer, path)));
  GString *text = g_string_new (NULL);

  for (GList *l = keys; l != NULL; l = l->next)
    g_string_append_printf (text, "%s%s", text->len > 0 ? " " : "", (char *)l->data);
  return g_string_free (text, FALSE);
}

char *
answer_get (Answer *answer, const char *path)
{
  return json_to_string (find (answer, path), FALSE);
}
