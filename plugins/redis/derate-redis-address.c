/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-redis-address-private.h"

#include "derate-redis-error.h"

#include <derate-resolver.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>

#define DEFAULT_PORT 6379
#define MAX_DATABASE 65535

static void
secret_free (char *secret)
{
  if (secret != NULL)
    explicit_bzero (secret, strlen (secret));
  g_free (secret);
}

static gboolean
refuse (GError **error, const char *problem)
{
  g_set_error_literal (error, DERATE_REDIS_ERROR, DERATE_REDIS_ERROR_CONFIG, problem);
  return FALSE;
}

static char *
find_database (GUri *uri, gboolean is_unix)
{
  const char *path = g_uri_get_path (uri);
  g_autoptr (GHashTable) query = NULL;

  if (!is_unix)
    return *path == '\0' || g_str_equal (path, "/") ? NULL : g_strdup (path + 1);
  if (g_uri_get_query (uri) == NULL)
    return NULL;
  query = g_uri_parse_params (g_uri_get_query (uri), -1, "&", G_URI_PARAMS_NONE, NULL);
  return query != NULL ? g_strdup (g_hash_table_lookup (query, "db")) : g_strdup ("");
}

static gboolean
read_database (DerateRedisAddress *address, GUri *uri, gboolean is_unix, GError **error)
{
  address->database = find_database (uri, is_unix);
  return address->database == NULL ||
         g_ascii_string_to_unsigned (address->database, 10, 0, MAX_DATABASE, NULL, NULL) ||
         refuse (error, "the database is not a number");
}

static gboolean
read_place (DerateRedisAddress *address, GUri *uri, gboolean is_unix, GError **error)
{
  const char *host = g_uri_get_host (uri);
  int port = g_uri_get_port (uri);

  if (is_unix)
    {
      if (*g_uri_get_path (uri) != '/')
        return refuse (error, "a unix socket is given as unix:///path");
      address->connectable =
          G_SOCKET_CONNECTABLE (g_unix_socket_address_new (g_uri_get_path (uri)));
      return TRUE;
    }
  if (host == NULL || *host == '\0')
    return refuse (error, "there is no host in it");
  if (g_uri_get_query (uri) != NULL)
    return refuse (error, "it has parameters, of which none is known");
  address->connectable = derate_network_address_new (host, port > 0 ? (guint16)port : DEFAULT_PORT);
  return TRUE;
}

DerateRedisAddress *
derate_redis_address_parse (const char *text, const char *password, GError **error)
{
  g_autoptr (DerateRedisAddress) address = g_new0 (DerateRedisAddress, 1);
  g_autoptr (GUri) uri = g_uri_parse (text, G_URI_FLAGS_HAS_PASSWORD, NULL);
  const char *scheme = uri != NULL ? g_uri_get_scheme (uri) : "";
  gboolean is_unix = g_str_equal (scheme, "unix") || g_str_equal (scheme, "redis+unix");

  address->tls = g_str_equal (scheme, "rediss");
  if (!is_unix && !address->tls && !g_str_equal (scheme, "redis"))
    {
      refuse (error, "not a redis://, rediss:// or unix:// URI");
      return NULL;
    }
  if (!read_place (address, uri, is_unix, error) || !read_database (address, uri, is_unix, error))
    return NULL;
  if (g_uri_get_user (uri) != NULL && *g_uri_get_user (uri) != '\0')
    address->user = g_strdup (g_uri_get_user (uri));
  address->password = g_strdup (password != NULL ? password : g_uri_get_password (uri));
  if (address->user != NULL && address->password == NULL)
    {
      refuse (error, "there is a user without a password");
      return NULL;
    }
  return g_steal_pointer (&address);
}

void
derate_redis_address_free (DerateRedisAddress *address)
{
  g_clear_object (&address->connectable);
  g_free (address->user);
  secret_free (address->password);
  g_free (address->database);
  g_free (address);
}
