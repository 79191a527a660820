/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-stream-private.h"

#include <string.h>
#include <sys/socket.h>

/* Both ends of a connection whose kernel keeps little. */
typedef struct
{
  GIOStream *ours;
  GSocket *theirs;
  guint ends;
} Pair;

static GSocket *
wrap (int fd)
{
  g_autoptr (GError) error = NULL;
  GSocket *socket = g_socket_new_from_fd (fd, &error);

  g_assert_no_error (error);
  g_socket_set_option (socket, SOL_SOCKET, SO_SNDBUF, 1, NULL);
  g_socket_set_blocking (socket, FALSE);
  return socket;
}

static void
pair_set_up (Pair *pair, gconstpointer data)
{
  g_autoptr (GSocket) socket = NULL;
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
  socket = wrap (fds[0]);
  pair->ours = G_IO_STREAM (g_socket_connection_factory_create_connection (socket));
  pair->theirs = wrap (fds[1]);
}

static void
turn (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
pair_tear_down (Pair *pair, gconstpointer data)
{
  turn ();
  g_assert_finalize_object (pair->ours);
  g_object_unref (pair->theirs);
}

static void
on_ended (DerateHttpStream *stream, gpointer data)
{
  Pair *pair = data;

  pair->ends++;
}

static DerateHttpStream *
begin (Pair *pair, gsize size)
{
  g_autofree char *text = g_strnfill (size, 'h');
  g_autoptr (GBytes) head = g_bytes_new (text, size);

  return derate_http_stream_new (pair->ours, head, on_ended, pair);
}

static void
put (DerateHttpStream *stream, gsize size)
{
  g_autofree char *text = g_strnfill (size, 'x');
  g_autoptr (GBytes) bytes = g_bytes_new (text, size);

  derate_http_stream_send (stream, bytes);
}

/* What has come for the client. */
static gsize
take_all (Pair *pair)
{
  char buffer[4096];
  gsize sum = 0;
  gssize length;

  do
    {
      turn ();
      length = g_socket_receive (pair->theirs, buffer, sizeof buffer, NULL, NULL);
      sum += (gsize)MAX (length, 0);
    }
  while (length > 0);
  return sum;
}

/* The start may be as long as it likes; what follows waits for it. */
static void
test_all_arrives (Pair *pair, gconstpointer data)
{
  DerateHttpStream *stream = begin (pair, 300000);

  put (stream, DERATE_HTTP_STREAM_MAX - 10);
  put (stream, 10);
  g_assert_cmpuint (pair->ends, ==, 0);
  g_assert_cmpuint (take_all (pair), ==, 300000 + DERATE_HTTP_STREAM_MAX);
  /* And then there is room again. */
  put (stream, DERATE_HTTP_STREAM_MAX);
  g_assert_cmpuint (take_all (pair), ==, DERATE_HTTP_STREAM_MAX);
  derate_http_stream_free (stream);
  g_assert_cmpuint (pair->ends, ==, 0);
}

static void
test_slow (Pair *pair, gconstpointer data)
{
  DerateHttpStream *stream = begin (pair, 300000);

  turn ();
  put (stream, DERATE_HTTP_STREAM_MAX);
  g_assert_cmpuint (pair->ends, ==, 0);
  put (stream, 1);
  g_assert_cmpuint (pair->ends, ==, 1);
  /* Closed, although the client has not read. */
  turn ();
  g_assert_cmpuint (take_all (pair), <, 300000);
}

static void
test_slow_later (Pair *pair, gconstpointer data)
{
  DerateHttpStream *stream = begin (pair, 10);

  g_assert_cmpuint (take_all (pair), ==, 10);
  /* A part is under way, and counts. */
  put (stream, DERATE_HTTP_STREAM_MAX);
  turn ();
  put (stream, 1);
  g_assert_cmpuint (pair->ends, ==, 1);
}

static void
test_gone (Pair *pair, gconstpointer data)
{
  begin (pair, 10);
  turn ();
  g_socket_close (pair->theirs, NULL);
  turn ();
  g_assert_cmpuint (pair->ends, ==, 1);
}

/* It reads, and says things that nobody asked for. */
static void
test_talks (Pair *pair, gconstpointer data)
{
  DerateHttpStream *stream = begin (pair, 10);

  for (guint i = 0; i < 10; i++)
    {
      g_assert_cmpint (g_socket_send (pair->theirs, "GET / HTTP/1.1\r\n", 16, NULL, NULL), ==, 16);
      turn ();
    }
  put (stream, 5);
  g_assert_cmpuint (take_all (pair), ==, 15);
  g_assert_cmpuint (pair->ends, ==, 0);
  derate_http_stream_free (stream);
}

static void
test_keep_alive (Pair *pair, gconstpointer data)
{
  DerateHttpStream *stream = begin (pair, 10);

  for (guint i = 0; i < 5; i++)
    {
      derate_http_stream_keep_alive (stream);
      g_assert_cmpuint (take_all (pair), ==, i == 0 ? 13 : 3);
    }
  g_assert_cmpuint (pair->ends, ==, 0);
  /* A client that stands still is dropped long before its 64 KiB are full. */
  put (stream, 30000);
  turn ();
  derate_http_stream_keep_alive (stream);
  g_assert_cmpuint (pair->ends, ==, 0);
  derate_http_stream_keep_alive (stream);
  g_assert_cmpuint (pair->ends, ==, 1);
}

static void
add (const char *path, void (*func) (Pair *, gconstpointer))
{
  g_test_add (path, Pair, NULL, pair_set_up, func, pair_tear_down);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add ("/http/stream/all-arrives", test_all_arrives);
  add ("/http/stream/slow", test_slow);
  add ("/http/stream/slow-later", test_slow_later);
  add ("/http/stream/gone", test_gone);
  add ("/http/stream/talks", test_talks);
  add ("/http/stream/keep-alive", test_keep_alive);
  return g_test_run ();
}
