/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-limits.h"

#include "agent.h"

/* What is still to come is read and thrown away: libsoup answers after it. A client that waits for
 * “100 Continue” is answered at once. */
static void
refuse (SoupServerMessage *message)
{
  SoupMessageBody *body = soup_server_message_get_request_body (message);

  soup_message_body_set_accumulate (body, FALSE);
  soup_message_body_truncate (body);
  agent_reply_bad (message, SOUP_STATUS_REQUEST_ENTITY_TOO_LARGE, "the body is over 64 KiB");
}

static void
on_headers (SoupServerMessage *message, gpointer data)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);

  if (soup_message_headers_get_encoding (headers) == SOUP_ENCODING_CONTENT_LENGTH &&
      soup_message_headers_get_content_length (headers) > AGENT_BODY_MAX)
    refuse (message);
}

/* A body in chunks does not say how long it will be. */
static void
on_chunk (SoupServerMessage *message, GBytes *chunk, gpointer data)
{
  SoupMessageBody *body = soup_server_message_get_request_body (message);

  if (soup_message_body_get_accumulate (body) && body->length > AGENT_BODY_MAX)
    refuse (message);
}

static void
on_request (SoupServer *server, SoupServerMessage *message, gpointer data)
{
  g_signal_connect (message, "got-headers", G_CALLBACK (on_headers), NULL);
  g_signal_connect (message, "got-chunk", G_CALLBACK (on_chunk), NULL);
}

void
agent_limits_add (SoupServer *server)
{
  g_signal_connect (server, "request-started", G_CALLBACK (on_request), NULL);
}
