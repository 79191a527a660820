/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-soup-client.h"

#include <derate-resolver.h>
#include <string.h>

#define BODY_MAX (64 * 1024)
#define READ_SIZE (8 * 1024)

/* “100 Continue” and its like. libsoup reads them in one go for as long as more have come, with the
 * loop waiting, and a deadline that is a timer of that loop never strikes. */
#define INTERIM_MAX 16

struct _DerateSoupClient
{
  SoupSession *session;
};

typedef struct
{
  DerateSoupClient *client;
  SoupMessage *message;
  GInputStream *stream;
  GByteArray *body;
  guint n_interim;
  GCancellable *cancellable; /* of the caller; may be NULL */
  gulong cancelled_id;
  GCancellable *until_head; /* cancelled with the caller's, and by us */
} Request;

void
derate_soup_answer_free (DerateSoupAnswer *answer)
{
  g_free (answer->body);
  soup_message_headers_unref (answer->headers);
  g_free (answer);
}

static void
request_free (gpointer data)
{
  Request *request = data;

  g_clear_object (&request->stream);
  g_signal_handlers_disconnect_by_data (request->message, request);
  g_clear_object (&request->message);
  /* Not g_cancellable_disconnect(): this may run in the handler, which owns all it needs. */
  if (request->cancelled_id != 0)
    g_signal_handler_disconnect (request->cancellable, request->cancelled_id);
  g_clear_object (&request->cancellable);
  g_clear_object (&request->until_head);
  derate_soup_client_unref (request->client);
  g_byte_array_unref (request->body);
  g_free (request);
}

static guint16
port_of (GUri *uri)
{
  int port = g_uri_get_port (uri);

  if (port > 0)
    return (guint16)port;
  return g_str_equal (g_uri_get_scheme (uri), "https") ? 443 : 80;
}

DerateSoupClient *
derate_soup_client_new_at (GUri *server, GSocketConnectable *address, GTlsDatabase *anchors)
{
  DerateSoupClient *self = g_atomic_rc_box_new0 (DerateSoupClient);
  g_autoptr (GSocketConnectable) own = NULL;

  if (address == NULL)
    address = own = derate_network_address_new (g_uri_get_host (server), port_of (server));
  self->session =
      soup_session_new_with_options ("remote-connectable", address, "proxy-resolver", NULL,
                                     "user-agent", "derate/1.0", "timeout", 0u, NULL);
  if (anchors != NULL)
    soup_session_set_tls_database (self->session, anchors);
  /* A check has its credentials; it answers no challenge. */
  soup_session_remove_feature_by_type (self->session, SOUP_TYPE_AUTH_MANAGER);
  /* A few bytes can unpack to gigabytes, or to nothing without end. */
  soup_session_remove_feature_by_type (self->session, SOUP_TYPE_CONTENT_DECODER);
  return self;
}

DerateSoupClient *
derate_soup_client_new (GUri *server)
{
  return derate_soup_client_new_at (server, NULL, NULL);
}

static void
return_answer (GTask *task, gboolean complete)
{
  Request *request = g_task_get_task_data (task);
  SoupMessage *message = request->message;
  DerateSoupAnswer *answer = g_new0 (DerateSoupAnswer, 1);

  answer->status = soup_message_get_status (message);
  answer->body = g_utf8_make_valid ((const char *)request->body->data, request->body->len);
  answer->complete = complete;
  answer->headers = soup_message_headers_ref (soup_message_get_response_headers (message));
  g_task_return_pointer (task, answer, (GDestroyNotify)derate_soup_answer_free);
}

static void read_more (GTask *task);

static void
part_read (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  Request *request = g_task_get_task_data (task);
  g_autoptr (GBytes) part = NULL;
  GError *error = NULL;

  part = g_input_stream_read_bytes_finish (G_INPUT_STREAM (source), result, &error);
  if (part == NULL)
    {
      soup_session_abort (request->client->session);
      g_task_return_error (task, error);
      return;
    }
  g_byte_array_append (request->body, g_bytes_get_data (part, NULL), g_bytes_get_size (part));
  if (g_bytes_get_size (part) == 0)
    return_answer (task, TRUE);
  else if (request->body->len < BODY_MAX)
    read_more (g_steal_pointer (&task));
  else
    {
      /* Whatever is left may be endless: the connection goes, not just the stream. */
      soup_session_abort (request->client->session);
      return_answer (task, FALSE);
    }
}

static void
read_more (GTask *task)
{
  Request *request = g_task_get_task_data (task);

  g_input_stream_read_bytes_async (request->stream, READ_SIZE, G_PRIORITY_DEFAULT,
                                   g_task_get_cancellable (task), part_read, task);
}

static void
head_read (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  Request *request = g_task_get_task_data (task);
  GError *error = NULL;

  request->stream = soup_session_send_finish (SOUP_SESSION (source), result, &error);
  if (request->stream == NULL && request->n_interim > INTERIM_MAX)
    {
      g_error_free (error);
      g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                               "over %d interim answers and no real one", INTERIM_MAX);
    }
  else if (request->stream == NULL)
    g_task_return_error (task, error);
  else
    read_more (g_steal_pointer (&task));
}

static void
got_interim (SoupMessage *message, gpointer user_data)
{
  Request *request = user_data;

  if (++request->n_interim > INTERIM_MAX)
    g_cancellable_cancel (request->until_head);
}

static void
pass_on (GCancellable *cancellable, gpointer user_data)
{
  g_cancellable_cancel (user_data);
}

void
derate_soup_client_send_async (DerateSoupClient *self,
                               SoupMessage *message,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data)
{
  GTask *task = g_task_new (NULL, cancellable, callback, user_data);
  Request *request = g_new0 (Request, 1);

  request->client = derate_soup_client_ref (self);
  request->message = g_object_ref (message);
  request->body = g_byte_array_sized_new (1); /* its data is never NULL, for an empty body */
  g_task_set_source_tag (task, derate_soup_client_send_async);
  g_task_set_task_data (task, request, request_free);
  request->until_head = g_cancellable_new ();
  if (cancellable != NULL)
    {
      request->cancellable = g_object_ref (cancellable);
      request->cancelled_id =
          g_cancellable_connect (cancellable, G_CALLBACK (pass_on),
                                 g_object_ref (request->until_head), g_object_unref);
    }
  soup_message_add_flags (message, SOUP_MESSAGE_NO_REDIRECT);
  g_signal_connect (message, "got-informational", G_CALLBACK (got_interim), request);
  soup_session_send_async (self->session, message, G_PRIORITY_DEFAULT, request->until_head,
                           head_read, task);
}

DerateSoupAnswer *
derate_soup_client_send_finish (GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, NULL), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

DerateSoupClient *
derate_soup_client_ref (DerateSoupClient *self)
{
  return g_atomic_rc_box_acquire (self);
}

static void
client_clear (gpointer data)
{
  g_object_unref (((DerateSoupClient *)data)->session);
}

void
derate_soup_client_unref (DerateSoupClient *self)
{
  g_atomic_rc_box_release_full (self, client_clear);
}

GUri *
derate_soup_parse_uri (const char *text)
{
  g_autoptr (GUri) uri = g_uri_parse (text, SOUP_HTTP_URI_FLAGS, NULL);

  if (uri == NULL || g_uri_get_host (uri) == NULL || *g_uri_get_host (uri) == '\0')
    return NULL;
  if (!g_str_equal (g_uri_get_scheme (uri), "http") &&
      !g_str_equal (g_uri_get_scheme (uri), "https"))
    return NULL;
  return g_steal_pointer (&uri);
}

char *
derate_soup_uri_dup_host (GUri *uri)
{
  const char *host = g_uri_get_host (uri);
  gboolean is_ipv6 = strchr (host, ':') != NULL;
  gboolean is_default = port_of (uri) == (g_str_equal (g_uri_get_scheme (uri), "https") ? 443 : 80);
  g_autofree char *shown = is_ipv6 ? g_strdup_printf ("[%s]", host) : g_strdup (host);

  return is_default ? g_steal_pointer (&shown) : g_strdup_printf ("%s:%u", shown, port_of (uri));
}
