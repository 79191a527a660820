/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derated-pages.h"

#include <string.h>

/* Clients that may wait to be let in; GIO's ten are few when many come at once. */
#define BACKLOG 128

/* What the pages are asked for is a line or two. */
#define BODY_MAX (64 * 1024)
#define HEAD_TIMEOUT (10 * G_TIME_SPAN_SECOND)

/* Where, and what. */
typedef struct
{
  char *host; /* NULL: nowhere */
  guint16 port;
  char *prefix;
  DerateHttpFlags flags;
} Wish;

struct _DeratedPages
{
  DerateCore *core;
  const DeratedOptions *options;
  Wish wish; /* what is served */
  SoupServer *server; /* NULL: nothing is */
};

static void
wish_clear (Wish *wish)
{
  g_clear_pointer (&wish->host, g_free);
  g_clear_pointer (&wish->prefix, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Wish, wish_clear)

/* Who holds and why is only for those who are let in: details=true. */
static DerateHttpFlags
read_flags (DerateConfig *config)
{
  DerateHttpFlags flags = DERATE_HTTP_STATUS;

  if (derate_config_get_boolean (config, "http", "metrics", TRUE))
    flags |= DERATE_HTTP_METRICS;
  if (derate_config_get_boolean (config, "http", "health", TRUE))
    flags |= DERATE_HTTP_HEALTH;
  if (derate_config_get_boolean (config, "http", "page", TRUE))
    flags |= DERATE_HTTP_PAGE;
  if (derate_config_get_boolean (config, "http", "details", FALSE))
    flags |= DERATE_HTTP_DETAILS;
  return flags;
}

/* Without a port there are no pages. */
static void
read_wish (DeratedPages *pages, Wish *wish)
{
  DerateConfig *config = derate_core_get_config (pages->core);

  wish->prefix = g_strdup (derate_config_get_text (config, "http", "prefix", NULL));
  wish->flags = read_flags (config);
  if (pages->options->http_host != NULL)
    {
      wish->host = g_strdup (pages->options->http_host);
      wish->port = pages->options->http_port;
    }
  else if (derate_config_get_text (config, "http", "port", NULL) != NULL)
    {
      wish->host = g_strdup (derate_config_get_text (config, "http", "address", "127.0.0.1"));
      wish->port = (guint16)derate_config_get_uint (config, "http", "port", 0);
    }
}

/* Before 3.3, libsoup keeps each connection that a client has closed, and its descriptor. */
static void
on_request (SoupServer *server, SoupServerMessage *message, gpointer data)
{
  if (!soup_check_version (3, 3, 0))
    soup_message_headers_replace (soup_server_message_get_response_headers (message), "Connection",
                                  "close");
}

static void
tell_where (GSocket *socket)
{
  g_autoptr (GSocketAddress) address = g_socket_get_local_address (socket, NULL);
  g_autofree char *place = NULL;

  if (address != NULL)
    place = g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (address));
  g_message ("pages at http://%s/", place != NULL ? place : "?");
}

/* A socket of our own: libsoup 3.2 keeps the address for ever that it tells of one it made. */
static gboolean
listen_on (SoupServer *server, const Wish *wish, GError **error)
{
  g_autoptr (GInetAddress) address = strcmp (wish->host, "localhost") == 0
                                         ? g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4)
                                         : g_inet_address_new_from_string (wish->host);
  g_autoptr (GSocketAddress) place = g_inet_socket_address_new (address, wish->port);
  g_autoptr (GSocket) socket = g_socket_new (g_inet_address_get_family (address),
                                             G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, error);

  if (socket != NULL)
    g_socket_set_listen_backlog (socket, BACKLOG);
  if (socket == NULL || !g_socket_bind (socket, place, TRUE, error) ||
      !g_socket_listen (socket, error) ||
      !soup_server_listen_socket (server, socket, (SoupServerListenOptions)0, error))
    {
      g_prefix_error (error, "no pages at %s, port %u: ", wish->host, wish->port);
      return FALSE;
    }
  tell_where (socket);
  return TRUE;
}

static void
close_pages (DeratedPages *pages)
{
  if (pages->server == NULL)
    return;
  derate_http_unmount (pages->server, pages->wish.prefix);
  soup_server_disconnect (pages->server);
  g_clear_object (&pages->server);
}

static gboolean
is_same_place (const Wish *a, const Wish *b)
{
  return g_strcmp0 (a->host, b->host) == 0 && a->port == b->port;
}

/* Takes @wish over. */
static void
take_wish (DeratedPages *pages, Wish *wish)
{
  wish_clear (&pages->wish);
  pages->wish = *wish;
  *wish = (Wish){ NULL };
}

gboolean
derated_pages_update (DeratedPages *pages, GError **error)
{
  g_auto (Wish) wish = { NULL };
  g_autoptr (SoupServer) server = NULL;

  read_wish (pages, &wish);
  if (wish.host != NULL && is_same_place (&wish, &pages->wish))
    {
      derate_http_unmount (pages->server, pages->wish.prefix);
      derate_http_mount (pages->core, pages->server, wish.prefix, wish.flags);
      take_wish (pages, &wish);
      return TRUE;
    }
  if (wish.host != NULL)
    {
      server = soup_server_new ("server-header", "derated", NULL);
      g_signal_connect (server, "request-started", G_CALLBACK (on_request), NULL);
      derate_http_guard (server, BODY_MAX, HEAD_TIMEOUT);
      derate_http_mount (pages->core, server, wish.prefix, wish.flags);
      if (!listen_on (server, &wish, error))
        return FALSE;
    }
  close_pages (pages);
  pages->server = g_steal_pointer (&server);
  take_wish (pages, &wish);
  return TRUE;
}

gboolean
derated_pages_are_served (DeratedPages *pages)
{
  return pages->server != NULL;
}

DeratedPages *
derated_pages_new (DerateCore *core, const DeratedOptions *options)
{
  DeratedPages *pages = g_new0 (DeratedPages, 1);

  pages->core = g_object_ref (core);
  pages->options = options;
  return pages;
}

void
derated_pages_free (DeratedPages *pages)
{
  close_pages (pages);
  wish_clear (&pages->wish);
  g_object_unref (pages->core);
  g_free (pages);
}
