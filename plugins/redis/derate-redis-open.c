/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening a connection: connect, then AUTH and SELECT where the URI asks for them, sent together.
 */
#include "derate-redis-address-private.h"
#include "derate-redis-connection-private.h"

#include <string.h>

typedef struct
{
  DerateRedisAddress *address;
  DerateRedisConnection *connection;
  guint awaited;
  GError *error; /* the first */
} Opening;

static void
opening_free (gpointer data)
{
  Opening *opening = data;

  derate_redis_address_free (opening->address);
  g_clear_object (&opening->connection);
  g_clear_error (&opening->error);
  g_free (opening);
}

static void
opening_end (GTask *task)
{
  Opening *opening = g_task_get_task_data (task);

  if (opening->error != NULL)
    g_task_return_error (task, g_steal_pointer (&opening->error));
  else
    g_task_return_pointer (task, g_steal_pointer (&opening->connection), g_object_unref);
}

/* A server that does not know AUTH, as where it was renamed, quotes what it was sent, or the first
 * part of it. */
static void
hide_password (GError *error, const char *password)
{
  g_autoptr (GString) text = g_string_new (error->message);
  const char *quote = strstr (text->str, ", with args");

  if (quote != NULL)
    g_string_truncate (text, (gsize)(quote - text->str));
  if (password != NULL && *password != '\0')
    g_string_replace (text, password, "***", 0);
  g_free (error->message);
  error->message = g_string_free (g_steal_pointer (&text), FALSE);
}

static void
greeting_answered (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  Opening *opening = g_task_get_task_data (task);
  g_autoptr (DerateRedisReply) reply = NULL;
  g_autoptr (GError) error = NULL;

  reply = derate_redis_connection_command_finish (DERATE_REDIS_CONNECTION (source), result, &error);
  if (reply == NULL && opening->error == NULL)
    {
      hide_password (error, opening->address->password);
      opening->error = g_steal_pointer (&error);
    }
  opening->awaited--;
  if (opening->awaited == 0)
    opening_end (task);
}

static void
greet (GTask *task, const char *const *arguments)
{
  Opening *opening = g_task_get_task_data (task);

  opening->awaited++;
  derate_redis_connection_command_async (opening->connection, arguments,
                                         g_task_get_cancellable (task), greeting_answered,
                                         g_object_ref (task));
}

static void
connected (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  Opening *opening = g_task_get_task_data (task);
  const DerateRedisAddress *address = opening->address;
  g_autoptr (GSocketConnection) stream = NULL;
  GError *error = NULL;

  stream = g_socket_client_connect_finish (G_SOCKET_CLIENT (source), result, &error);
  if (stream == NULL)
    {
      g_task_return_error (task, error);
      return;
    }
  opening->connection = derate_redis_connection_new (stream);
  if (address->user != NULL)
    greet (task, (const char *const[]){ "AUTH", address->user, address->password, NULL });
  else if (address->password != NULL)
    greet (task, (const char *const[]){ "AUTH", address->password, NULL });
  if (address->database != NULL)
    greet (task, (const char *const[]){ "SELECT", address->database, NULL });
  if (opening->awaited == 0)
    opening_end (task);
}

/**
 * derate_redis_connection_open_async:
 * @uri: `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, `rediss://` for TLS, or `unix:///PATH[?db=DB]`
 * @password: (nullable): the password, where it does not stand in @uri
 * @cancellable: (nullable): ends it at once
 * @callback: (scope async): called once, in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * Opens a connection without ever blocking: names are looked up beside the loop. There is no limit
 * of time but @cancellable. May be called from any thread that runs a context.
 *
 * Since: 1.0
 */
void
derate_redis_connection_open_async (const char *uri,
                                    const char *password,
                                    GCancellable *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, user_data);
  g_autoptr (GSocketClient) client = NULL;
  DerateRedisAddress *address;
  Opening *opening;
  GError *error = NULL;

  g_return_if_fail (uri != NULL);

  g_task_set_source_tag (task, derate_redis_connection_open_async);
  address = derate_redis_address_parse (uri, password, &error);
  if (address == NULL)
    {
      g_task_return_error (task, error);
      return;
    }
  opening = g_new0 (Opening, 1);
  opening->address = address;
  g_task_set_task_data (task, opening, opening_free);
  client = g_socket_client_new ();
  g_socket_client_set_enable_proxy (client, FALSE);
  g_socket_client_set_tls (client, address->tls);
  g_socket_client_connect_async (client, address->connectable, cancellable, connected,
                                 g_steal_pointer (&task));
}

/**
 * derate_redis_connection_open_finish:
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends derate_redis_connection_open_async(). Errors are of %DERATE_REDIS_ERROR, %G_IO_ERROR,
 * %G_RESOLVER_ERROR or %G_TLS_ERROR.
 *
 * Returns: (transfer full): the connection
 *
 * Since: 1.0
 */
DerateRedisConnection *
derate_redis_connection_open_finish (GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, NULL), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * derate_redis_connection_check_uri:
 * @uri: a URI
 * @error: where to put the error
 *
 * Whether derate_redis_connection_open_async() could use @uri. Nothing is connected. The error
 * never holds the password. May be called from any thread.
 *
 * Returns: %TRUE if so, %FALSE with %DERATE_REDIS_ERROR_CONFIG otherwise
 *
 * Since: 1.0
 */
gboolean
derate_redis_connection_check_uri (const char *uri, GError **error)
{
  g_autoptr (DerateRedisAddress) address = derate_redis_address_parse (uri, NULL, error);

  return address != NULL;
}
