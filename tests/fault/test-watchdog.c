/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program whose own loop is stuck, and who watches it: the thread that feeds the watchdog is
 * another than the one that is stuck, so this takes real time. */
#include <derate.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WATCHDOG_MS 1000
#define PATIENCE_MS 20000

static int
listen_at (const char *address)
{
  struct sockaddr_un name = { .sun_family = AF_UNIX };
  gsize length = strlen (address);
  int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  memcpy (name.sun_path, address, length);
  name.sun_path[0] = '\0';
  g_assert_cmpint (bind (fd, (struct sockaddr *)&name,
                         (socklen_t)(G_STRUCT_OFFSET (struct sockaddr_un, sun_path) + length)),
                   ==, 0);
  return fd;
}

/* What is told within @ms; NULL for nothing. This thread does nothing else meanwhile. */
static char *
hear (int fd, int ms)
{
  struct pollfd wait = { .fd = fd, .events = POLLIN };
  char buffer[512];
  gssize length;

  if (poll (&wait, 1, ms) <= 0)
    return NULL;
  length = recv (fd, buffer, sizeof buffer, 0);
  return g_strndup (buffer, length > 0 ? (gsize)length : 0);
}

/* Turns the loop until it is told that. */
static void
await (int fd, const char *wanted)
{
  gint64 end = g_get_monotonic_time () + PATIENCE_MS * G_TIME_SPAN_MILLISECOND;
  gboolean heard = FALSE;

  while (!heard && g_get_monotonic_time () < end)
    {
      g_autofree char *text = hear (fd, 1);

      heard = text != NULL && strstr (text, wanted) != NULL;
      while (g_main_context_iteration (NULL, FALSE))
        ;
    }
  g_assert_true (heard);
}

static void
test_stalled (void)
{
  g_autoptr (DerateConfig) config = NULL;
  g_autoptr (DerateCore) core = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *address = NULL;
  g_autofree char *unique = g_uuid_string_random ();
  gint64 stalled;
  int fd;

  address = g_strconcat ("@derate-test-", unique, NULL);
  fd = listen_at (address);
  g_setenv ("NOTIFY_SOCKET", address, TRUE);
  g_setenv ("WATCHDOG_USEC", "1000000", TRUE);
  config = derate_config_new_from_data ("[derate]\nname=stalled\n", "stalled.conf", &error);
  g_assert_no_error (error);
  core = derate_core_new_from_config (config, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (derate_core_notify_systemd (core, &error));
  derate_core_start_async (core, NULL, NULL, NULL);
  await (fd, "READY=1");
  for (guint i = 0; i < 3; i++)
    await (fd, "WATCHDOG=1");

  /* From here on the loop does not turn. */
  stalled = g_get_monotonic_time ();
  for (char *text = hear (fd, 2 * WATCHDOG_MS); text != NULL; text = hear (fd, 2 * WATCHDOG_MS))
    g_free (text);
  g_test_message ("the last was fed %" G_GINT64_FORMAT " ms after the loop had stopped",
                  (g_get_monotonic_time () - stalled) / 1000 - 2 * WATCHDOG_MS);
  g_assert_cmpint (g_get_monotonic_time () - stalled, <, PATIENCE_MS * G_TIME_SPAN_MILLISECOND);
  g_assert_cmpint (derate_core_get_loop_lag (core), >=, WATCHDOG_MS * G_TIME_SPAN_MILLISECOND / 2);

  await (fd, "WATCHDOG=1");
  derate_core_stop_async (core, NULL, NULL, NULL);
  await (fd, "STOPPING=1");
  close (fd);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/core/behaviour/29-watchdog-of-a-stalled-loop", test_stalled);

  return g_test_run ();
}
