/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "event-client.h"

#include <string.h>

static void read_on (EventClient *client);

static void
on_read (GObject *source, GAsyncResult *result, gpointer data)
{
  EventClient *client = data;
  gssize length = g_input_stream_read_finish (G_INPUT_STREAM (source), result, NULL);

  client->is_reading = FALSE;
  if (length <= 0)
    {
      client->is_over = TRUE;
      return;
    }
  g_string_append_len (client->text, client->buffer, length);
  read_on (client);
}

static void
read_on (EventClient *client)
{
  client->is_reading = TRUE;
  g_input_stream_read_async (g_io_stream_get_input_stream (G_IO_STREAM (client->connection)),
                             client->buffer, sizeof client->buffer, G_PRIORITY_DEFAULT, NULL,
                             on_read, client);
}

EventClient *
event_client_new (World *world, const char *path)
{
  g_autoptr (GSocketClient) socket = g_socket_client_new ();
  g_autofree char *request = g_strdup_printf ("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
  g_autoptr (GError) error = NULL;
  EventClient *client = g_new0 (EventClient, 1);
  const char *host = strstr (world->base, "127");

  g_socket_client_set_enable_proxy (socket, FALSE);
  client->connection = g_socket_client_connect_to_host (socket, host, 0, NULL, &error);
  g_assert_no_error (error);
  client->text = g_string_new (NULL);
  g_output_stream_write_all (g_io_stream_get_output_stream (G_IO_STREAM (client->connection)),
                             request, strlen (request), NULL, NULL, &error);
  g_assert_no_error (error);
  read_on (client);
  return client;
}

void
event_client_expect (EventClient *client, const char *part)
{
  char *found;

  while ((found = strstr (client->text->str + client->seen, part)) == NULL)
    {
      if (client->is_over)
        g_error ("it ended without “%s”: %s", part, client->text->str + client->seen);
      g_main_context_iteration (NULL, TRUE);
    }
  client->seen = (gsize)(found - client->text->str) + strlen (part);
}

Answer *
event_client_next (EventClient *client, const char *event)
{
  g_autofree char *head = g_strdup_printf ("event: %s\ndata: ", event);
  Answer *answer = g_new0 (Answer, 1);
  gsize start;

  event_client_expect (client, head);
  start = client->seen;
  event_client_expect (client, "\n\n");
  answer->body = g_strndup (client->text->str + start, client->seen - start - 2);
  answer->json = json_from_string (answer->body, NULL);
  return answer;
}

void
event_client_expect_end (EventClient *client)
{
  while (!client->is_over)
    g_main_context_iteration (NULL, TRUE);
}

void
event_client_free (EventClient *client)
{
  g_socket_shutdown (g_socket_connection_get_socket (client->connection), TRUE, TRUE, NULL);
  while (client->is_reading)
    g_main_context_iteration (NULL, TRUE);
  g_object_unref (client->connection);
  g_string_free (client->text, TRUE);
  g_free (client);
}
