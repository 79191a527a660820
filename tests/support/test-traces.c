/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-traces.h"

#include <string.h>

#define PATIENCE G_TIME_SPAN_MINUTE

static guint
count_entries (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) folder = g_dir_open (path, 0, &error);
  guint n = 0;

  g_assert_no_error (error);
  while (g_dir_read_name (folder) != NULL)
    n++;
  return n;
}

static void
tell_descriptors (void)
{
  g_autoptr (GDir) folder = g_dir_open ("/proc/self/fd", 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (folder)) != NULL)
    {
      g_autofree char *path = g_build_filename ("/proc/self/fd", name, NULL);
      g_autofree char *target = g_file_read_link (path, NULL);

      g_test_message ("descriptor %s: %s", name, target != NULL ? target : "the list of them");
    }
}

static gboolean
never_runs (gpointer data)
{
  g_assert_not_reached ();
}

/* A context numbers its sources one by one: those up to the newest are looked for. */
static guint
count_sources (void)
{
  guint newest = g_timeout_add_seconds (3600, never_runs, NULL);
  guint n = 0;

  for (guint id = 1; id < newest; id++)
    n += g_main_context_find_source_by_id (NULL, id) != NULL;
  g_source_remove (newest);
  return n;
}

static TestTraces
look (void)
{
  g_thread_pool_stop_unused_threads ();
  while (g_main_context_iteration (NULL, FALSE))
    ;
  return (TestTraces){ .fds = count_entries ("/proc/self/fd"),
                       .threads = count_entries ("/proc/self/task"),
                       .sources = count_sources () };
}

/* A thread that is told to end takes its time. */
TestTraces
test_traces_take (void)
{
  TestTraces now = look ();
  TestTraces before;

  do
    {
      before = now;
      g_usleep (50 * G_TIME_SPAN_MILLISECOND);
      now = look ();
    }
  while (memcmp (&now, &before, sizeof now) != 0);
  return now;
}

void
test_traces_assert_same (const TestTraces *before)
{
  gint64 end = g_get_monotonic_time () + PATIENCE;
  TestTraces now = look ();

  while (
      (now.fds != before->fds || now.threads > before->threads || now.sources != before->sources) &&
      g_get_monotonic_time () < end)
    {
      g_usleep (10 * G_TIME_SPAN_MILLISECOND);
      now = look ();
    }
  g_test_message ("%u descriptors, %u threads, %u sources; before: %u, %u, %u", now.fds,
                  now.threads, now.sources, before->fds, before->threads, before->sources);
  if (now.fds != before->fds)
    tell_descriptors ();
  g_assert_cmpuint (now.fds, ==, before->fds);
  g_assert_cmpuint (now.threads, <=, before->threads);
  g_assert_cmpuint (now.sources, ==, before->sources);
}
