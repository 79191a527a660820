/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-notify-socket-private.h"

#include <derate.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Who listens, as systemd does. */
static int
listen_at (const char *address)
{
  struct sockaddr_un name = { .sun_family = AF_UNIX };
  gsize length = strlen (address);
  int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  memcpy (name.sun_path, address, length);
  if (*address == '@')
    name.sun_path[0] = '\0';
  g_assert_cmpint (bind (fd, (struct sockaddr *)&name,
                         (socklen_t)(G_STRUCT_OFFSET (struct sockaddr_un, sun_path) + length)),
                   ==, 0);
  return fd;
}

static char *
hear (int fd)
{
  char buffer[512];
  gssize length = recv (fd, buffer, sizeof buffer, 0);

  return length >= 0 ? g_strndup (buffer, (gsize)length) : NULL;
}

#define assert_heard(fd_, text_)          \
  G_STMT_START                            \
  {                                       \
    g_autofree char *heard_ = hear (fd_); \
    g_assert_cmpstr (heard_, ==, text_);  \
  }                                       \
  G_STMT_END

static char *
new_address (gboolean abstract)
{
  g_autofree char *unique = g_uuid_string_random ();

  return g_strdup_printf (abstract ? "@derate-test-%s" : "/tmp/derate-test-%s", unique);
}

static void
test_sent (gconstpointer data)
{
  g_autofree char *address = new_address (GPOINTER_TO_INT (data));
  DerateNotifySocket *socket;
  int fd = listen_at (address);

  socket = derate_notify_socket_new (address, NULL);
  g_assert_nonnull (socket);
  derate_notify_socket_send (socket, "READY=1\nSTATUS=a");
  derate_notify_socket_ping (socket, "WATCHDOG=1");
  assert_heard (fd, "READY=1\nSTATUS=a");
  assert_heard (fd, "WATCHDOG=1");
  g_assert_false (derate_notify_socket_flush (socket));
  derate_notify_socket_free (socket);
  close (fd);
  g_unlink (address);
}

/* A reader that does not read: nothing waits, what matters is kept in order, a ping is not. */
static void
test_full (void)
{
  g_autofree char *address = new_address (TRUE);
  int fd = listen_at (address);
  DerateNotifySocket *socket = derate_notify_socket_new (address, NULL);
  g_autofree char *text = NULL;
  guint sent = 0;

  for (; !derate_notify_socket_flush (socket); sent++)
    {
      g_autofree char *number = g_strdup_printf ("STATUS=%u", sent);

      g_assert_cmpuint (sent, <, 100000);
      derate_notify_socket_send (socket, number);
    }
  derate_notify_socket_send (socket, "STATUS=last");
  derate_notify_socket_ping (socket, "WATCHDOG=1");
  for (guint i = 0; i + 1 < sent; i++)
    {
      g_autofree char *number = g_strdup_printf ("STATUS=%u", i);

      assert_heard (fd, number);
    }
  g_assert_null (hear (fd));
  g_assert_false (derate_notify_socket_flush (socket));
  text = g_strdup_printf ("STATUS=%u", sent - 1);
  assert_heard (fd, text);
  assert_heard (fd, "STATUS=last");
  g_assert_null (hear (fd));
  derate_notify_socket_free (socket);
  close (fd);
}

/* More than is kept: the newest stays. */
static void
test_much (void)
{
  g_autofree char *address = new_address (TRUE);
  int fd = listen_at (address);
  DerateNotifySocket *socket = derate_notify_socket_new (address, NULL);
  g_autofree char *last = NULL;

  for (guint i = 0; i < 10000; i++)
    {
      g_autofree char *number = g_strdup_printf ("STATUS=%u", i);

      derate_notify_socket_send (socket, number);
    }
  /* The kernel lets a few in at a time. */
  do
    for (char *text = hear (fd); text != NULL; text = hear (fd))
      {
        g_free (last);
        last = text;
      }
  while (derate_notify_socket_flush (socket));
  for (char *text = hear (fd); text != NULL; text = hear (fd))
    {
      g_free (last);
      last = text;
    }
  g_assert_cmpstr (last, ==, "STATUS=9999");
  derate_notify_socket_free (socket);
  close (fd);
}

/* Who is not there misses it. */
static void
test_nobody (void)
{
  g_autofree char *address = new_address (TRUE);
  DerateNotifySocket *socket = derate_notify_socket_new (address, NULL);
  int fd;

  derate_notify_socket_send (socket, "READY=1");
  g_assert_false (derate_notify_socket_flush (socket));
  fd = listen_at (address);
  g_assert_null (hear (fd));
  derate_notify_socket_send (socket, "STATUS=a");
  assert_heard (fd, "STATUS=a");
  derate_notify_socket_free (socket);
  close (fd);
}

static void
test_refused (void)
{
  g_autofree char *name = g_strnfill (200, 'x');
  g_autofree char *path = g_strconcat ("/", name, NULL);
  const char *const refused[] = { "relative", "vsock:2:1234", "/", "@", path, NULL };

  for (guint i = 0; refused[i] != NULL; i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (derate_notify_socket_new (refused[i], &error));
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_assert_nonnull (strstr (error->message, "NOTIFY_SOCKET="));
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/notify-socket/path", GINT_TO_POINTER (FALSE), test_sent);
  g_test_add_data_func ("/notify-socket/abstract", GINT_TO_POINTER (TRUE), test_sent);
  g_test_add_func ("/notify-socket/full", test_full);
  g_test_add_func ("/notify-socket/much", test_much);
  g_test_add_func ("/notify-socket/nobody", test_nobody);
  g_test_add_func ("/notify-socket/refused", test_refused);

  return g_test_run ();
}
