/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-core-apply-private.h"

#include <string.h>

/* Whether a service is on another machine, as far as its `uri` tells: when all that are fail at
 * once, the network of this one is suspected. */

static gboolean
is_local_host (const char *host)
{
  g_autoptr (GInetAddress) address = NULL;

  /* No host is a socket of this machine, and so are a path and an abstract name. */
  if (*host == '\0' || *host == '/' || *host == '@')
    return TRUE;
  if (g_ascii_strcasecmp (host, "localhost") == 0)
    return TRUE;
  address = g_inet_address_new_from_string (host);
  return address != NULL && g_inet_address_get_is_loopback (address);
}

/* @hosts: one, or several with commas between. */
static gboolean
are_local (const char *hosts)
{
  g_auto (GStrv) list = g_strsplit (hosts, ",", -1);

  for (guint i = 0; list[i] != NULL; i++)
    if (!is_local_host (list[i]))
      return FALSE;
  return TRUE;
}

static GHashTable *
parse_query (GUri *uri)
{
  const char *query = g_uri_get_query (uri);

  return query != NULL ? g_uri_parse_params (query, -1, "&", G_URI_PARAMS_NONE, NULL) : NULL;
}

gboolean
derate_core_is_remote (const char *text)
{
  g_autoptr (GUri) uri = NULL;
  g_autoptr (GHashTable) query = NULL;
  const char *endpoint = NULL;
  const char *host = NULL;

  if (text == NULL)
    return TRUE;
  uri = g_uri_parse (text, G_URI_FLAGS_NON_DNS | G_URI_FLAGS_ENCODED_QUERY, NULL);
  if (uri == NULL)
    return TRUE;
  if (strstr (g_uri_get_scheme (uri), "unix") != NULL)
    return FALSE;

  query = parse_query (uri);
  if (query != NULL)
    {
      endpoint = g_hash_table_lookup (query, "endpoint");
      host = g_hash_table_lookup (query, "host");
    }
  /* The host of an s3: is a bucket. */
  if (strcmp (g_uri_get_scheme (uri), "s3") == 0)
    return derate_core_is_remote (endpoint);
  if (host == NULL)
    host = g_uri_get_host (uri);
  return host != NULL && !are_local (host);
}
