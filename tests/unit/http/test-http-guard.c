/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "http-world.h"

#include <string.h>

/* Clients that send too much, or nothing. */

#define BODY_MAX 1000u
#define SOON (50 * G_TIME_SPAN_MILLISECOND)
#define NEVER G_TIME_SPAN_HOUR

typedef struct
{
  GSocketConnection *connection;
  GString *text;
  gboolean is_over;
  gboolean is_reading;
  char buffer[1024];
} Client;

static void read_on (Client *client);

static void
on_read (GObject *source, GAsyncResult *result, gpointer data)
{
  Client *client = data;
  gssize length = g_input_stream_read_finish (G_INPUT_STREAM (source), result, NULL);

  client->is_reading = FALSE;
  client->is_over = length <= 0;
  if (length > 0)
    {
      g_string_append_len (client->text, client->buffer, length);
      read_on (client);
    }
}

static void
read_on (Client *client)
{
  client->is_reading = TRUE;
  g_input_stream_read_async (g_io_stream_get_input_stream (G_IO_STREAM (client->connection)),
                             client->buffer, sizeof client->buffer, G_PRIORITY_DEFAULT, NULL,
                             on_read, client);
}

static void
client_say (Client *client, const char *text)
{
  g_autoptr (GError) error = NULL;

  g_output_stream_write_all (g_io_stream_get_output_stream (G_IO_STREAM (client->connection)), text,
                             strlen (text), NULL, NULL, &error);
  g_assert_no_error (error);
}

static Client *
client_new (World *world)
{
  g_autoptr (GSocketClient) socket = g_socket_client_new ();
  g_autoptr (GError) error = NULL;
  Client *client = g_new0 (Client, 1);

  g_socket_client_set_enable_proxy (socket, FALSE);
  client->connection =
      g_socket_client_connect_to_host (socket, strstr (world->base, "127"), 0, NULL, &error);
  g_assert_no_error (error);
  client->text = g_string_new (NULL);
  read_on (client);
  return client;
}

static void
client_free (Client *client)
{
  g_socket_shutdown (g_socket_connection_get_socket (client->connection), TRUE, TRUE, NULL);
  while (client->is_reading)
    g_main_context_iteration (NULL, TRUE);
  g_object_unref (client->connection);
  g_string_free (client->text, TRUE);
  g_free (client);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Client, client_free)

/* All that the server says until it closes. */
static const char *
client_hear (Client *client)
{
  while (!client->is_over)
    g_main_context_iteration (NULL, TRUE);
  return client->text->str;
}

static void
answer (SoupServer *server,
        SoupServerMessage *message,
        const char *path,
        GHashTable *query,
        gpointer data)
{
  SoupMessageBody *body = soup_server_message_get_request_body (message);
  g_autoptr (GBytes) got = soup_message_body_flatten (body);
  g_autofree char *text = g_strdup_printf ("%zu", g_bytes_get_size (got));

  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Connection",
                                "close");
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_server_message_set_response (message, "text/plain", SOUP_MEMORY_COPY, text, strlen (text));
}

static void
guard (World *world, GTimeSpan header_timeout)
{
  soup_server_add_handler (world->server, "/", answer, NULL, NULL);
  derate_http_guard (world->server, BODY_MAX, header_timeout);
}

static void
assert_refused (const char *text, const char *status, const char *error)
{
  g_assert_true (g_str_has_prefix (text, status));
  g_assert_nonnull (strstr (text, "\r\nConnection: close\r\n"));
  g_assert_nonnull (strstr (text, "\r\nContent-Type: application/json\r\n"));
  g_assert_nonnull (strstr (text, error));
}

static void
test_fits (World *world, gconstpointer data)
{
  g_autofree char *body = g_strnfill (BODY_MAX, 'x');
  g_autofree char *sized = g_strdup_printf ("Content-Length: %u\r\n\r\n%s", BODY_MAX, body);
  g_autofree char *chunked =
      g_strdup_printf ("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", BODY_MAX, body);
  const char *const bodies[] = { sized, chunked };

  guard (world, NEVER);
  for (guint i = 0; i < G_N_ELEMENTS (bodies); i++)
    {
      g_autoptr (Client) client = client_new (world);

      client_say (client, "POST / HTTP/1.1\r\nHost: localhost\r\n");
      client_say (client, bodies[i]);
      g_assert_true (g_str_has_suffix (client_hear (client), "\r\n\r\n1000"));
    }
}

/* Answered before the body, of which nothing ever comes. */
static void
test_too_long (World *world, gconstpointer data)
{
  static const char *const lengths[] = { "1001", "9000000000000000000" };

  guard (world, NEVER);
  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      g_autoptr (Client) client = client_new (world);

      client_say (client, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ");
      client_say (client, lengths[i]);
      client_say (client, "\r\n\r\n");
      assert_refused (client_hear (client), "HTTP/1.1 413 ",
                      "{\"error\":\"the body is over 1000 bytes\"}");
    }
}

/* It goes on sending, and hears the answer all the same. */
static void
test_goes_on (World *world, gconstpointer data)
{
  g_autoptr (Client) client = client_new (world);
  g_autofree char *much = g_strnfill (20000, 'x');

  guard (world, NEVER);
  client_say (client, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
  for (guint i = 0; i < 5; i++)
    {
      client_say (client, much);
      g_main_context_iteration (NULL, FALSE);
    }
  assert_refused (client_hear (client), "HTTP/1.1 413 ", "over 1000 bytes");
}

static void
test_chunks (World *world, gconstpointer data)
{
  g_autoptr (Client) client = client_new (world);
  g_autofree char *chunk = g_strnfill (600, 'x');
  g_autofree char *text = g_strdup_printf ("258\r\n%s\r\n", chunk);

  guard (world, NEVER);
  client_say (client, "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
  client_say (client, text);
  client_say (client, text);
  assert_refused (client_hear (client), "HTTP/1.1 413 ", "over 1000 bytes");
}

static void
test_says_too_little (World *world, gconstpointer data)
{
  static const char *const starts[] = { "", "GET", "GET / HTTP/1.1\r\nHost: localhost\r\nX-" };

  guard (world, SOON);
  for (guint i = 0; i < G_N_ELEMENTS (starts); i++)
    {
      g_autoptr (Client) client = client_new (world);

      client_say (client, starts[i]);
      assert_refused (client_hear (client), "HTTP/1.1 408 ", "\"error\":\"the head");
    }
}

/* The time is for the head alone. */
static void
test_slow_body (World *world, gconstpointer data)
{
  g_autoptr (Client) slow = client_new (world);
  g_autoptr (Client) silent = NULL;

  guard (world, SOON);
  client_say (slow, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n");
  g_main_context_iteration (NULL, FALSE);
  silent = client_new (world);
  client_hear (silent);
  client_say (slow, "ab");
  g_assert_true (g_str_has_suffix (client_hear (slow), "\r\n\r\n2"));
}

static void
test_gone (World *world, gconstpointer data)
{
  static const char *const starts[] = { "GET / HT",
                                        "POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n" };

  guard (world, SOON);
  for (guint i = 0; i < G_N_ELEMENTS (starts); i++)
    {
      g_autoptr (Client) silent = NULL;
      Client *client = client_new (world);

      client_say (client, starts[i]);
      client_free (client);
      silent = client_new (world);
      client_hear (silent);
    }
}

static void
add (const char *path, void (*func) (World *, gconstpointer))
{
  g_test_add (path, World, NULL, world_set_up, func, world_tear_down);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add ("/http/guard/fits", test_fits);
  add ("/http/guard/too-long", test_too_long);
  add ("/http/guard/goes-on", test_goes_on);
  add ("/http/guard/chunks", test_chunks);
  add ("/http/guard/says-too-little", test_says_too_little);
  add ("/http/guard/slow-body", test_slow_body);
  add ("/http/guard/gone", test_gone);
  return g_test_run ();
}
