/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Against Redis, and a message bus as a server on a unix socket; stand-ins do what those never do.
 */
#include "test-check.h"
#include "test-servers.h"

#include <string.h>

#define NAME "tcp"
#define SECRET "planted-secret"
#define HEALTHY DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE
#define REFUSED DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED
#define PROTOCOL DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL

static TestServers *servers;

static char *
dup_redis_uri (void)
{
  return g_strdup_printf ("tcp://%s",
                          test_servers_get_uri (servers, "redis") + strlen ("redis://"));
}

static void
test_redis (void)
{
  g_autofree char *uri = dup_redis_uri ();
  g_autoptr (DerateHealthCheck) open = test_check_new (NAME, "uri", uri, NULL);
  g_autoptr (DerateHealthCheck) asked =
      test_check_new (NAME, "uri", uri, "check-send", "PING\\r\\n", "check-expect", "+PONG\\r\\n",
                      NULL);
  g_autoptr (DerateHealthCheck) other =
      test_check_new (NAME, "uri", uri, "check-send", "QUIT\\r\\n", "check-expect", "+PONG", NULL);
  g_autofree char *message = NULL;

  for (guint i = 0; i < 3; i++)
    {
      g_free (test_check_expect (open, HEALTHY));
      g_free (test_check_expect (asked, HEALTHY));
    }
  message = test_check_expect (other, PROTOCOL);
  g_assert_cmpstr (message, ==, "check-expect is not in the answer");
}

static void
test_unix (void)
{
  const char *bus = test_servers_get_uri (servers, "dbus") + strlen ("unix:path=");
  g_autofree char *uri = g_strconcat ("unix://", bus, NULL);
  g_autofree char *gone_uri = g_strconcat (uri, "-gone", NULL);
  g_autoptr (DerateHealthCheck) check =
      test_check_new (NAME, "uri", uri, "check-send", "\\0AUTH\\r\\n", "check-expect",
                      "REJECTED EXTERNAL", NULL);
  g_autoptr (DerateHealthCheck) gone = test_check_new (NAME, "uri", gone_uri, NULL);

  g_free (test_check_expect (check, HEALTHY));
  g_free (test_check_expect (check, HEALTHY));
  g_free (test_check_expect (gone, REFUSED));
}

static void
test_stopped (void)
{
  g_autofree char *uri = dup_redis_uri ();
  g_autoptr (DerateHealthCheck) check = test_check_new (NAME, "uri", uri, NULL);

  g_free (test_check_expect (check, HEALTHY));
  test_servers_command (servers, "stop", "redis");
  g_free (test_check_expect (check, REFUSED));
  test_servers_command (servers, "start", "redis");
  g_free (test_check_expect (check, HEALTHY));
}

/* The kernel still lets in who connects to a frozen server: only an answer shows that it lives. */
static void
test_frozen (void)
{
  g_autofree char *uri = dup_redis_uri ();
  g_autoptr (DerateHealthCheck) check =
      test_check_new (NAME, "uri", uri, "check-send", "PING\\r\\n", "check-expect", "PONG", NULL);

  test_servers_command (servers, "freeze", "redis");
  test_check_hangs (check);
  test_check_hangs (check);
  test_servers_command (servers, "thaw", "redis");
  g_free (test_check_expect (check, HEALTHY));
}

static DerateHealthCheck *
new_check_of (TestStandIn *stand_in, const char *expect)
{
  g_autofree char *uri = g_strdup_printf ("tcp://127.0.0.1:%u", test_stand_in_get_port (stand_in));

  return test_check_new (NAME, "uri", uri, "check-send", "login " SECRET "\\n", "check-expect",
                         expect, NULL);
}

static void
test_silent (void)
{
  g_autoptr (TestStandIn) stand_in = test_stand_in_new (NULL, 0);
  g_autoptr (DerateHealthCheck) check = new_check_of (stand_in, "hello");
  g_autofree char *heard = NULL;

  test_check_hangs (check);
  heard = test_stand_in_dup_heard (stand_in);
  g_assert_cmpstr (heard, ==, "login " SECRET "\n");
}

/* Half of what is waited for is no answer. */
static void
test_half (void)
{
  g_autoptr (TestStandIn) stand_in = test_stand_in_new ("hel", 3);
  g_autoptr (DerateHealthCheck) check = new_check_of (stand_in, "hello");

  test_check_hangs (check);
}

static void
test_bytes (void)
{
  g_autoptr (TestStandIn) stand_in = test_stand_in_new ("a\0b\xff", 4);
  g_autoptr (DerateHealthCheck) check = new_check_of (stand_in, "\\0b\\xff");

  g_free (test_check_expect (check, HEALTHY));
}

static void
look_at_flood (gpointer check)
{
  g_autofree char *message = test_check_expect (check, PROTOCOL);

  g_assert_cmpstr (message, ==, "check-expect is not in the answer");
  g_assert_null (strstr (message, SECRET));
}

/* As much is read as is of use, and nothing of it or of what was sent is shown. */
static void
test_flood (void)
{
  g_autofree char *much = g_strnfill (1 << 20, 'x');
  g_autoptr (TestStandIn) stand_in = test_stand_in_new (much, strlen (much));
  g_autoptr (DerateHealthCheck) check = new_check_of (stand_in, "hello");

  test_loop_goes_on (look_at_flood, check);
}

/* Lets nobody in once those that wait fill its queue: connecting itself takes for ever. */
static void
test_full_queue (void)
{
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GInetAddress) loopback = g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4);
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new (loopback, 0);
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GPtrArray) waiting = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (DerateHealthCheck) check = NULL;
  g_autofree char *uri = NULL;

  socket = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL);
  g_socket_set_listen_backlog (socket, 0);
  g_assert_true (g_socket_bind (socket, any, TRUE, NULL));
  g_assert_true (g_socket_listen (socket, NULL));
  address = g_socket_get_local_address (socket, NULL);
  for (guint i = 0; i < 4; i++)
    {
      GSocket *client =
          g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL);

      g_ptr_array_add (waiting, client);
      g_socket_set_blocking (client, FALSE);
      g_socket_connect (client, address, NULL, NULL);
    }
  uri = g_strdup_printf ("tcp://127.0.0.1:%u",
                         g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address)));
  check = test_check_new (NAME, "uri", uri, NULL);
  test_check_hangs (check);
}

static void
test_options (void)
{
  g_autoptr (GError) uri = test_check_new_fails (NAME, "uri", "tcp://u:" SECRET "@h:1", NULL);
  g_autoptr (GError) key =
      test_check_new_fails (NAME, "uri", "tcp://h:1", "check-role", "yes", NULL);

  g_assert_nonnull (strstr (uri->message, "not tcp://HOST:PORT"));
  g_assert_null (strstr (uri->message, SECRET));
  g_assert_nonnull (strstr (key->message, "check-role=yes: unknown key"));
}

int
main (int argc, char *argv[])
{
  const char *const names[] = { "redis", "dbus", NULL };
  int status;

  g_test_init (&argc, &argv, NULL);
  servers = test_servers_new (names);

  g_test_add_func ("/tcp/check/redis", test_redis);
  g_test_add_func ("/tcp/check/unix", test_unix);
  g_test_add_func ("/tcp/check/stopped", test_stopped);
  g_test_add_func ("/tcp/check/frozen", test_frozen);
  g_test_add_func ("/tcp/check/silent", test_silent);
  g_test_add_func ("/tcp/check/half", test_half);
  g_test_add_func ("/tcp/check/bytes", test_bytes);
  g_test_add_func ("/tcp/check/flood", test_flood);
  g_test_add_func ("/tcp/check/full-queue", test_full_queue);
  g_test_add_func ("/tcp/check/options", test_options);

  status = g_test_run ();
  test_servers_free (servers);
  return status;
}
