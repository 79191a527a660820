/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SECOND G_TIME_SPAN_SECOND

/* A core on a manual clock, and who stands in for systemd. */
typedef struct
{
  char *folder;
  char *file;
  int fd;
  DerateClock *clock;
  DerateCore *core;
  guint reloads;
} Fixture;

static const char CONFIG[] = "[derate]\nname=shop\n[service redis]\nrole=cache\n";

static int
listen_at (const char *path)
{
  struct sockaddr_un name = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  g_strlcpy (name.sun_path, path, sizeof name.sun_path);
  g_assert_cmpint (bind (fd, (struct sockaddr *)&name, sizeof name), ==, 0);
  return fd;
}

static char *
hear (Fixture *fixture)
{
  char buffer[512];
  gssize length = recv (fixture->fd, buffer, sizeof buffer, 0);

  return length >= 0 ? g_strndup (buffer, (gsize)length) : NULL;
}

static void
assert_heard (Fixture *fixture, const char *text)
{
  g_autofree char *heard = hear (fixture);

  g_assert_cmpstr (heard, ==, text);
}

static void
write_config (Fixture *fixture, const char *text)
{
  g_autoptr (GError) error = NULL;

  g_file_set_contents (fixture->file, text, -1, &error);
  g_assert_no_error (error);
}

static void
on_reloaded (DerateCore *core, gpointer data)
{
  ((Fixture *)data)->reloads++;
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  const char *watchdog = data;
  g_autofree char *socket = NULL;
  g_autoptr (GError) error = NULL;

  fixture->folder = g_dir_make_tmp ("derate-test-XXXXXX", NULL);
  fixture->file = g_build_filename (fixture->folder, "shop.conf", NULL);
  socket = g_build_filename (fixture->folder, "notify", NULL);
  fixture->fd = listen_at (socket);
  g_setenv ("NOTIFY_SOCKET", socket, TRUE);
  g_unsetenv ("WATCHDOG_PID");
  if (watchdog != NULL)
    g_setenv ("WATCHDOG_USEC", watchdog, TRUE);
  else
    g_unsetenv ("WATCHDOG_USEC");
  write_config (fixture, CONFIG);
  fixture->clock = derate_manual_clock_new ();
  fixture->core = derate_core_new_from_file (fixture->file, fixture->clock, &error);
  g_assert_no_error (error);
  g_signal_connect (fixture->core, "reloaded", G_CALLBACK (on_reloaded), fixture);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_autofree char *socket = g_build_filename (fixture->folder, "notify", NULL);

  if (fixture->core != NULL)
    g_assert_finalize_object (fixture->core);
  g_object_unref (fixture->clock);
  close (fixture->fd);
  g_unlink (socket);
  g_unlink (fixture->file);
  g_rmdir (fixture->folder);
  g_free (fixture->folder);
  g_free (fixture->file);
  g_unsetenv ("NOTIFY_SOCKET");
  g_unsetenv ("WATCHDOG_USEC");
  g_unsetenv ("WATCHDOG_PID");
}

static void
advance (Fixture *fixture, GTimeSpan span)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (fixture->clock), span);
}

static void
begin (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  derate_core_notify_systemd (fixture->core, &error);
  g_assert_no_error (error);
  derate_core_start_async (fixture->core, NULL, NULL, NULL);
  advance (fixture, 0);
}

/* Up to READY. */
static void
begin_unwatched (Fixture *fixture)
{
  begin (fixture);
  assert_heard (fixture, "STATUS=Looking at the services");
  assert_heard (fixture, "STATUS=Level optimal, all-well");
  assert_heard (fixture, "READY=1\nSTATUS=Level optimal, all-well");
  assert_heard (fixture, NULL);
}

static void
fail_redis (Fixture *fixture)
{
  g_autoptr (DerateBreaker) breaker = derate_core_lookup_breaker (fixture->core, "redis");

  derate_breaker_trip (breaker, NULL);
}

static void
test_level (Fixture *fixture, gconstpointer data)
{
  begin_unwatched (fixture);
  fail_redis (fixture);
  assert_heard (fixture, "STATUS=Level degraded, dependency-down: redis down");
  assert_heard (fixture, NULL);
  advance (fixture, 5 * SECOND);
  assert_heard (fixture, NULL);
}

static void
test_hold (Fixture *fixture, gconstpointer data)
{
  DerateDegradationManager *manager = derate_core_get_degradation_manager (fixture->core);
  g_autofree char *id = NULL;

  begin_unwatched (fixture);
  id = derate_degradation_manager_hold (manager, DERATE_LEVEL_MINIMAL, DERATE_HOLD_MODE_AT_LEAST,
                                        "ana", "maintenance", 10 * SECOND, NULL);
  assert_heard (fixture, "STATUS=Level minimal, hold");
}

static void
test_stop (Fixture *fixture, gconstpointer data)
{
  begin_unwatched (fixture);
  derate_core_stop_async (fixture->core, NULL, NULL, NULL);
  assert_heard (fixture, "STOPPING=1\nSTATUS=Stopping");
  /* Nothing after that, and it is told once. */
  fail_redis (fixture);
  advance (fixture, 60 * SECOND);
  g_assert_finalize_object (g_steal_pointer (&fixture->core));
  assert_heard (fixture, NULL);
}

/* Without a stop of its own. */
static void
test_dropped (Fixture *fixture, gconstpointer data)
{
  begin_unwatched (fixture);
  g_assert_finalize_object (g_steal_pointer (&fixture->core));
  assert_heard (fixture, "STOPPING=1\nSTATUS=Stopping");
  assert_heard (fixture, NULL);
}

static void
test_never_started (Fixture *fixture, gconstpointer data)
{
  g_assert_true (derate_core_notify_systemd (fixture->core, NULL));
  g_assert_finalize_object (g_steal_pointer (&fixture->core));
  assert_heard (fixture, NULL);
}

static void
assert_reloading (Fixture *fixture)
{
  g_autofree char *heard = hear (fixture);
  g_auto (GStrv) lines = g_strsplit (heard, "\n", -1);
  gint64 usec;

  g_assert_cmpstr (lines[0], ==, "RELOADING=1");
  g_assert_true (g_str_has_prefix (lines[1], "MONOTONIC_USEC="));
  usec = g_ascii_strtoll (lines[1] + strlen ("MONOTONIC_USEC="), NULL, 10);
  g_assert_cmpint (usec, <=, g_get_monotonic_time ());
  g_assert_cmpint (usec, >, g_get_monotonic_time () - 10 * SECOND);
}

static void
test_reload (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) changes = NULL;
  g_auto (GStrv) again = NULL;

  begin_unwatched (fixture);
  write_config (fixture, "[derate]\nname=shop\n[service redis]\nrole=cache\n[service s3]\n"
                         "role=storage\n");
  changes = derate_core_reload (fixture->core, &error);
  g_assert_no_error (error);
  assert_reloading (fixture);
  assert_heard (fixture, "READY=1\nSTATUS=Level optimal, all-well");
  assert_heard (fixture, NULL);
  g_assert_cmpuint (fixture->reloads, ==, 1);

  write_config (fixture, "[derate]\nname=shop\n[service redis]\nplugin=nonsense\n");
  g_assert_null (derate_core_reload (fixture->core, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  assert_reloading (fixture);
  assert_heard (fixture, "READY=1\nSTATUS=Level optimal, all-well (the last reload was refused)");
  g_assert_cmpuint (fixture->reloads, ==, 1);
  fail_redis (fixture);
  assert_heard (fixture, "STATUS=Level degraded, dependency-down: redis down (the last reload was "
                         "refused)");

  write_config (fixture, CONFIG);
  again = derate_core_reload (fixture->core, NULL);
  g_assert_nonnull (again);
  assert_reloading (fixture);
  assert_heard (fixture, "READY=1\nSTATUS=Level degraded, dependency-down: redis down");
}

/* The bus is one of the things that cannot change. */
static void
test_reload_bus (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  begin_unwatched (fixture);
  write_config (fixture, "[derate]\nname=shop\n[service redis]\nrole=cache\n[dbus]\nbus=system\n");
  g_assert_null (derate_core_reload (fixture->core, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  g_assert_nonnull (strstr (error->message, "[dbus], bus"));
  g_assert_nonnull (strstr (error->message, "cannot change while the program runs"));
}

static guint
count_pings (Fixture *fixture)
{
  guint pings = 0;

  for (char *heard = hear (fixture); heard != NULL; heard = hear (fixture))
    {
      pings += strcmp (heard, "WATCHDOG=1") == 0;
      g_free (heard);
    }
  return pings;
}

static void
test_watchdog (Fixture *fixture, gconstpointer data)
{
  begin (fixture);
  g_assert_cmpuint (count_pings (fixture), ==, 1);
  for (guint i = 0; i < 40; i++)
    advance (fixture, SECOND / 2);
  /* 20 seconds, one each two. */
  g_assert_cmpuint (count_pings (fixture), ==, 10);
}

static void
test_other_pid (Fixture *fixture, gconstpointer data)
{
  g_setenv ("WATCHDOG_PID", "1", TRUE);
  begin (fixture);
  for (guint i = 0; i < 40; i++)
    advance (fixture, SECOND / 2);
  g_assert_cmpuint (count_pings (fixture), ==, 0);
}

static void
test_own_pid (Fixture *fixture, gconstpointer data)
{
  g_autofree char *pid = g_strdup_printf ("%d", (int)getpid ());

  g_setenv ("WATCHDOG_PID", pid, TRUE);
  begin (fixture);
  g_assert_cmpuint (count_pings (fixture), ==, 1);
}

/* What found no room comes later, without anybody having waited. */
static void
test_full (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DerateBreaker) breaker = NULL;
  g_autofree char *last = NULL;

  begin_unwatched (fixture);
  breaker = derate_core_lookup_breaker (fixture->core, "redis");
  for (guint i = 0; i < 2000; i++)
    {
      derate_degradation_manager_set_level (derate_core_get_degradation_manager (fixture->core),
                                            i % 2 == 0 ? DERATE_LEVEL_LIMITED
                                                       : DERATE_LEVEL_MINIMAL,
                                            NULL);
    }
  derate_breaker_trip (breaker, NULL);
  for (guint i = 0; i < 60; i++)
    {
      for (char *heard = hear (fixture); heard != NULL; heard = hear (fixture))
        {
          g_free (last);
          last = heard;
        }
      advance (fixture, SECOND / 4);
    }
  g_assert_nonnull (last);
  g_assert_true (g_str_has_prefix (last, "STATUS=Level minimal, set-level"));
}

static void
test_nobody (void)
{
  g_autoptr (DerateCore) core = derate_core_new ("shop", NULL, NULL);
  g_autoptr (GError) error = NULL;

  g_unsetenv ("NOTIFY_SOCKET");
  g_setenv ("WATCHDOG_USEC", "nonsense", TRUE);
  g_assert_true (derate_core_notify_systemd (core, &error));
  g_assert_no_error (error);
  g_unsetenv ("WATCHDOG_USEC");
}

static const struct
{
  const char *name;
  const char *value;
} wrong[] = {
  { "NOTIFY_SOCKET", "relative" }, { "WATCHDOG_USEC", "3s" },  { "WATCHDOG_USEC", "0" },
  { "WATCHDOG_USEC", "-1" },       { "WATCHDOG_PID", "mine" },
};

static void
test_wrong (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autoptr (DerateCore) core = derate_core_new ("shop", NULL, NULL);
      g_autoptr (GError) error = NULL;

      g_setenv ("NOTIFY_SOCKET", "@derate-test-nobody", TRUE);
      g_setenv ("WATCHDOG_USEC", "1000000", TRUE);
      g_setenv ("WATCHDOG_PID", "1", TRUE);
      g_setenv (wrong[i].name, wrong[i].value, TRUE);
      g_assert_false (derate_core_notify_systemd (core, &error));
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_assert_true (g_str_has_prefix (error->message, wrong[i].name));
    }
  g_unsetenv ("NOTIFY_SOCKET");
  g_unsetenv ("WATCHDOG_USEC");
  g_unsetenv ("WATCHDOG_PID");
}

static void
test_twice (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (derate_core_notify_systemd (fixture->core, NULL));
  g_assert_false (derate_core_notify_systemd (fixture->core, &error));
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_STATE);
}

#define ADD(path_, data_, test_) g_test_add (path_, Fixture, data_, set_up, test_, tear_down)

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  /* A refused file and a worse level are warnings, and here they are what must happen. */
  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);

  ADD ("/core-systemd/level", NULL, test_level);
  ADD ("/core-systemd/hold", NULL, test_hold);
  ADD ("/core-systemd/stop", NULL, test_stop);
  ADD ("/core-systemd/dropped", NULL, test_dropped);
  ADD ("/core-systemd/never-started", NULL, test_never_started);
  ADD ("/core-systemd/reload", NULL, test_reload);
  ADD ("/core-systemd/reload-bus", NULL, test_reload_bus);
  ADD ("/core-systemd/watchdog", "4000000", test_watchdog);
  ADD ("/core-systemd/other-pid", "4000000", test_other_pid);
  ADD ("/core-systemd/own-pid", "4000000", test_own_pid);
  ADD ("/core-systemd/full", NULL, test_full);
  ADD ("/core-systemd/twice", NULL, test_twice);
  g_test_add_func ("/core-systemd/nobody", test_nobody);
  g_test_add_func ("/core-systemd/wrong", test_wrong);

  return g_test_run ();
}
