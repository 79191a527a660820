/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "http-client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS 64
#define BUFFER_SIZE 65536

typedef struct
{
  int fd; /* -1: none */
  gboolean is_asked;
  gsize received; /* of the answer */
  gsize length; /* of the whole answer; 0 while its head is not there */
  gboolean closes;
  char head[2048];
} Connection;

typedef struct
{
  struct sockaddr_in address;
  const char *request;
  int epoll;
  Connection connections[MAX_CONNECTIONS];
  guint64 n_begun;
  guint64 n_ended;
  guint64 n;
} Client;

static void
watch (Client *client, Connection *connection, int operation, guint32 events)
{
  struct epoll_event event = { .events = events, .data.ptr = connection };

  if (epoll_ctl (client->epoll, operation, connection->fd, &event) != 0)
    g_error ("epoll_ctl: %s", g_strerror (errno));
}

/* One more answer is wanted. */
static void
begin (Client *client, Connection *connection)
{
  if (client->n_begun == client->n)
    return;
  client->n_begun++;
  connection->is_asked = FALSE;
  connection->received = 0;
  connection->length = 0;
  if (connection->fd >= 0)
    {
      watch (client, connection, EPOLL_CTL_MOD, EPOLLOUT);
      return;
    }
  connection->fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  /* Closed at once, and not kept in mind: else the kernel takes a new connection for an old one now
   * and then, and has it wait for a second. */
  setsockopt (connection->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 },
              sizeof (struct linger));
  if (connect (connection->fd, (struct sockaddr *)&client->address, sizeof client->address) != 0 &&
      errno != EINPROGRESS)
    g_error ("connect: %s", g_strerror (errno));
  watch (client, connection, EPOLL_CTL_ADD, EPOLLOUT);
}

static void
ask (Client *client, Connection *connection)
{
  gsize length = strlen (client->request);

  if (send (connection->fd, client->request, length, MSG_NOSIGNAL) != (gssize)length)
    g_error ("send: %s", g_strerror (errno));
  connection->is_asked = TRUE;
  watch (client, connection, EPOLL_CTL_MOD, EPOLLIN);
}

/* Reads the head, once all of it is there. */
static void
read_head (Connection *connection)
{
  const char *end = strstr (connection->head, "\r\n\r\n");
  const char *length = strcasestr (connection->head, "\r\nContent-Length: ");

  if (end == NULL)
    return;
  if (length == NULL || !g_str_has_prefix (connection->head, "HTTP/1.1 200"))
    g_error ("no good answer: %s", connection->head);
  connection->length = (gsize)(end + 4 - connection->head) +
                       strtoul (length + strlen ("\r\nContent-Length: "), NULL, 10);
  connection->closes = strcasestr (connection->head, "\r\nConnection: close") != NULL;
}

static void
end (Client *client, Connection *connection)
{
  client->n_ended++;
  if (connection->closes)
    {
      close (connection->fd);
      connection->fd = -1;
    }
  begin (client, connection);
}

static void
receive (Client *client, Connection *connection)
{
  static __thread char buffer[BUFFER_SIZE];
  gssize n = recv (connection->fd, buffer, sizeof buffer, 0);

  if (n <= 0)
    g_error ("recv: %s", n == 0 ? "closed" : g_strerror (errno));
  if (connection->length == 0)
    {
      gsize room =
          sizeof connection->head - 1 - MIN (connection->received, sizeof connection->head - 1);
      gsize copied = MIN (room, (gsize)n);

      memcpy (connection->head + connection->received, buffer, copied);
      connection->head[connection->received + copied] = '\0';
      read_head (connection);
    }
  connection->received += (gsize)n;
  if (connection->length > 0 && connection->received >= connection->length)
    end (client, connection);
}

static void
client_clear (Client *client)
{
  for (guint i = 0; i < MAX_CONNECTIONS; i++)
    if (client->connections[i].fd >= 0)
      close (client->connections[i].fd);
  close (client->epoll);
}

void
http_client_run (guint16 port, const char *path, guint n_connections, guint64 n)
{
  g_autofree char *request = g_strdup_printf ("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
  g_autofree Client *client = g_new0 (Client, 1);
  struct epoll_event events[MAX_CONNECTIONS];

  client->address.sin_family = AF_INET;
  client->address.sin_port = htons (port);
  client->address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  client->request = request;
  client->epoll = epoll_create1 (EPOLL_CLOEXEC);
  client->n = n;
  for (guint i = 0; i < MAX_CONNECTIONS; i++)
    client->connections[i].fd = -1;
  for (guint i = 0; i < MIN (n_connections, MAX_CONNECTIONS); i++)
    begin (client, &client->connections[i]);
  while (client->n_ended < n)
    {
      int n_events = epoll_wait (client->epoll, events, MAX_CONNECTIONS, -1);

      for (int i = 0; i < n_events; i++)
        {
          Connection *connection = events[i].data.ptr;

          if (connection->is_asked)
            receive (client, connection);
          else
            ask (client, connection);
        }
    }
  client_clear (client);
}
