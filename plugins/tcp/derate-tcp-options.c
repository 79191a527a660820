/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-tcp-options.h"

#include "derate-check-options.h"

#include <derate-network-address.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>

#define BYTES_MAX 4096

static gboolean
refuse (GError **error, const char *key, const char *value, const char *problem)
{
  derate_check_options_set_error (error, key, value, problem);
  return FALSE;
}

/* Nothing but what a place has. */
static gboolean
is_plain (GUri *uri)
{
  return g_uri_get_userinfo (uri) == NULL && g_uri_get_query (uri) == NULL &&
         g_uri_get_fragment (uri) == NULL;
}

static GSocketConnectable *
parse_place (const char *text)
{
  g_autoptr (GUri) uri = g_uri_parse (text, G_URI_FLAGS_NONE, NULL);
  const char *host = uri != NULL ? g_uri_get_host (uri) : NULL;
  const char *path = uri != NULL ? g_uri_get_path (uri) : "";
  int port = uri != NULL ? g_uri_get_port (uri) : 0;

  if (uri == NULL || !is_plain (uri))
    return NULL;
  if (g_str_equal (g_uri_get_scheme (uri), "unix"))
    return *path == '/' && (host == NULL || *host == '\0')
               ? G_SOCKET_CONNECTABLE (g_unix_socket_address_new (path))
               : NULL;
  if (!g_str_equal (g_uri_get_scheme (uri), "tcp") || host == NULL || *host == '\0' || port <= 0 ||
      port > G_MAXUINT16 || (*path != '\0' && !g_str_equal (path, "/")))
    return NULL;
  return derate_network_address_new (host, (guint16)port);
}

/* What stands behind a backslash at *@p, which moves behind it. */
static gboolean
parse_escape (const char **p, guint8 *byte)
{
  static const char letters[] = "rnt0\\";
  static const char bytes[] = "\r\n\t\0\\";
  const char *letter = **p != '\0' ? strchr (letters, **p) : NULL;
  int high;
  int low;

  if (letter != NULL)
    {
      *byte = (guint8)bytes[letter - letters];
      (*p)++;
      return TRUE;
    }
  if (**p != 'x')
    return FALSE;
  high = g_ascii_xdigit_value ((*p)[1]);
  low = high >= 0 ? g_ascii_xdigit_value ((*p)[2]) : -1;
  if (low < 0)
    return FALSE;
  *byte = (guint8)(high * 16 + low);
  *p += 3;
  return TRUE;
}

/* A configuration file has no escapes of its own, so what cannot be typed is written \r \n \t \0 \\
 * and \xHH. */
static GBytes *
parse_bytes (const char *text)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  for (const char *p = text; *p != '\0';)
    {
      guint8 byte = (guint8)*p++;

      if (byte == '\\' && !parse_escape (&p, &byte))
        return NULL;
      g_byte_array_append (bytes, &byte, 1);
    }
  if (bytes->len == 0 || bytes->len > BYTES_MAX)
    return NULL;
  return g_byte_array_free_to_bytes (g_steal_pointer (&bytes));
}

/* What is sent may hold a password, and is not shown. */
static gboolean
read_bytes (GVariant *values, const char *key, GBytes **bytes, GError **error)
{
  const char *text = derate_check_options_get (values, key);

  *bytes = text != NULL ? parse_bytes (text) : NULL;
  return text == NULL || *bytes != NULL ||
         refuse (error, key, "***",
                 "not 1 to 4096 bytes, with \\r \\n \\t \\0 \\\\ or \\xHH for what is no text");
}

DerateTcpOptions *
derate_tcp_options_parse (GVariant *values, GError **error)
{
  static const char *const known[] = { "uri", "check-send", "check-expect", NULL };
  g_autoptr (DerateTcpOptions) options = g_new0 (DerateTcpOptions, 1);
  const char *uri = derate_check_options_get (values, "uri");

  if (!derate_check_options_validate (values, known, error))
    return NULL;
  options->address = uri != NULL ? parse_place (uri) : NULL;
  if (options->address == NULL)
    {
      refuse (error, "uri", uri != NULL ? uri : "", "not tcp://HOST:PORT or unix:///PATH");
      return NULL;
    }
  if (!read_bytes (values, "check-send", &options->send, error) ||
      !read_bytes (values, "check-expect", &options->expect, error))
    return NULL;
  return g_steal_pointer (&options);
}

void
derate_tcp_options_free (DerateTcpOptions *options)
{
  g_clear_object (&options->address);
  g_clear_pointer (&options->send, g_bytes_unref);
  g_clear_pointer (&options->expect, g_bytes_unref);
  g_free (options);
}
