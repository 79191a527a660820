/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-tcp-options.h"

#include <gio/gunixsocketaddress.h>
#include <string.h>

#define SECRET "planted-secret"

static DerateTcpOptions *
parse (const char *uri, const char *key, const char *value, GError **error)
{
  g_autoptr (GVariant) values = NULL;
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  if (uri != NULL)
    g_variant_builder_add (&builder, "{ss}", "uri", uri);
  if (key != NULL)
    g_variant_builder_add (&builder, "{ss}", key, value);
  values = g_variant_ref_sink (g_variant_builder_end (&builder));
  return derate_tcp_options_parse (values, error);
}

/* clang-format off */
static const struct
{
  const char *uri;
  const char *host;
  guint16 port;
} places[] = {
  { "tcp://127.0.0.1:6379", "127.0.0.1", 6379 },
  { "tcp://mail.example:25/", "mail.example", 25 },
  { "tcp://[::1]:65535", "::1", 65535 },
};

static const struct
{
  const char *name;
  const char *uri;
  const char *key;
  const char *value;
  const char *part; /* of the error */
} refused[] = {
  { "no-uri", NULL, NULL, NULL, "uri=: not tcp://" },
  { "bare", "127.0.0.1:80", NULL, NULL, "uri=127.0.0.1:80: not tcp://" },
  { "no-port", "tcp://h", NULL, NULL, "uri=tcp://h: " },
  { "port-0", "tcp://h:0", NULL, NULL, "uri=tcp://h:0: " },
  { "port-big", "tcp://h:65536", NULL, NULL, "uri=tcp://h:65536: " },
  { "no-host", "tcp://:80", NULL, NULL, "uri=tcp://:80: " },
  { "path", "tcp://h:80/a", NULL, NULL, "uri=tcp://h:80/a: " },
  { "password", "tcp://u:" SECRET "@h:80", NULL, NULL, "not tcp://" },
  { "query", "tcp://h:80?token=" SECRET, NULL, NULL, "not tcp://" },
  { "udp", "udp://h:80", NULL, NULL, "uri=udp://h:80: " },
  { "unix-host", "unix://run/a", NULL, NULL, "uri=unix://run/a: " },
  { "unknown", "tcp://h:80", "check-role", "yes", "check-role=yes: unknown key" },
  { "empty", "tcp://h:80", "check-send", "", "check-send=***: " },
  { "escape", "tcp://h:80", "check-send", SECRET "\\q", "check-send=***: " },
  { "half-escape", "tcp://h:80", "check-expect", "\\", "check-expect=***: " },
  { "half-hex", "tcp://h:80", "check-expect", "\\x4", "check-expect=***: " },
  { "no-hex", "tcp://h:80", "check-expect", "\\xg0", "check-expect=***: " },
};

static const struct
{
  const char *text;
  const char *bytes;
  gsize length;
} escapes[] = {
  { "PING\\r\\n", "PING\r\n", 6 },
  { "\\0AUTH", "\0AUTH", 5 },
  { "\\x00\\xfF\\t\\\\", "\0\xff\t\\", 4 },
  { "é", "\xc3\xa9", 2 },
};
/* clang-format on */

static void
test_places (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (places); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (DerateTcpOptions) options = parse (places[i].uri, NULL, NULL, &error);
      GNetworkAddress *address;

      g_assert_no_error (error);
      address = G_NETWORK_ADDRESS (options->address);
      g_assert_cmpstr (g_network_address_get_hostname (address), ==, places[i].host);
      g_assert_cmpuint (g_network_address_get_port (address), ==, places[i].port);
      g_assert_null (options->send);
      g_assert_null (options->expect);
    }
}

static void
test_unix (void)
{
  g_autoptr (DerateTcpOptions) options = parse ("unix:///run/a%20b", NULL, NULL, NULL);

  g_assert_nonnull (options);
  g_assert_cmpstr (g_unix_socket_address_get_path (G_UNIX_SOCKET_ADDRESS (options->address)), ==,
                   "/run/a b");
}

static void
test_refused (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateTcpOptions) options =
      parse (refused[i].uri, refused[i].key, refused[i].value, &error);

  g_assert_null (options);
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, refused[i].part));
  g_assert_null (strstr (error->message, SECRET));
}

static void
test_escapes (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (escapes); i++)
    {
      g_autoptr (DerateTcpOptions) options =
          parse ("tcp://h:1", "check-expect", escapes[i].text, NULL);
      gsize length;
      const void *bytes = g_bytes_get_data (options->expect, &length);

      g_assert_cmpmem (bytes, length, escapes[i].bytes, escapes[i].length);
    }
}

static void
test_bounds (void)
{
  g_autofree char *full = g_strnfill (4096, 'x');
  g_autofree char *over = g_strnfill (4097, 'x');
  g_autoptr (DerateTcpOptions) good = parse ("tcp://h:1", "check-send", full, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (good);
  g_assert_null (parse ("tcp://h:1", "check-send", over, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/tcp-options/places", test_places);
  g_test_add_func ("/tcp-options/unix", test_unix);
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      g_autofree char *path = g_strconcat ("/tcp-options/refused/", refused[i].name, NULL);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_refused);
    }
  g_test_add_func ("/tcp-options/escapes", test_escapes);
  g_test_add_func ("/tcp-options/bounds", test_bounds);

  return g_test_run ();
}
