/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"

#include <derate.h>

#include "case-pipeline.h"

#define MANY 10000

static GError *failure;

static gpointer
new_with (DerateBreakerConfig *config)
{
  if (failure == NULL)
    failure = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, "refused");
  return derate_breaker_new ("bench", config);
}

/* Enough calls for the rates to be known. */
static gpointer
warm (DerateBreaker *breaker)
{
  for (guint i = 0; i < 1000; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      if (derate_breaker_acquire (breaker, &permit, NULL))
        derate_permit_succeed (&permit);
    }
  return breaker;
}

static gpointer
set_up_default (void)
{
  return warm (new_with (NULL));
}

static DerateBreakerConfig *
new_full_config (void)
{
  DerateBreakerConfig *config = derate_breaker_config_new ();

  derate_breaker_config_set_window (config, DERATE_BREAKER_WINDOW_TIME);
  derate_breaker_config_set_slow_call_duration (config, G_TIME_SPAN_SECOND);
  derate_breaker_config_set_slow_call_rate_threshold (config, 0.5);
  return config;
}

static gpointer
set_up_full (void)
{
  g_autoptr (DerateBreakerConfig) config = new_full_config ();

  return warm (new_with (config));
}

static void
succeed (gpointer breaker, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      if (derate_breaker_acquire (breaker, &permit, NULL))
        derate_permit_succeed (&permit);
    }
}

static gpointer
set_up_open (void)
{
  gpointer breaker = set_up_default ();

  if (!derate_breaker_open_for (breaker, G_TIME_SPAN_DAY, NULL))
    g_error ("the breaker does not open");
  return breaker;
}

static void
be_refused (gpointer breaker, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      if (derate_breaker_acquire (breaker, &permit, NULL))
        g_error ("the breaker is not open");
    }
}

static void
be_refused_with_error (gpointer breaker, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;
      g_autoptr (GError) error = NULL;

      if (derate_breaker_acquire (breaker, &permit, &error))
        g_error ("the breaker is not open");
    }
}

/* Counts everything and stays closed whatever fails. */
static gpointer
set_up_failing (void)
{
  DerateBreaker *breaker = set_up_default ();

  derate_breaker_set_mode (breaker, DERATE_BREAKER_MODE_METRICS_ONLY);
  return breaker;
}

static void
fail (gpointer breaker, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      if (derate_breaker_acquire (breaker, &permit, NULL))
        derate_permit_fail (&permit, failure);
    }
}

/* A window that always holds a failure, so that each success is written to it. */
static gpointer
set_up_one_percent (void)
{
  g_autoptr (DerateBreakerConfig) config = derate_breaker_config_new ();

  derate_breaker_config_set_window_size (config, 100);
  return warm (new_with (config));
}

static void
fail_one_percent (gpointer breaker, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    {
      g_auto (DeratePermit) permit = DERATE_PERMIT_INIT;

      if (!derate_breaker_acquire (breaker, &permit, NULL))
        g_error ("the breaker is open");
      if (i % 100 == 0)
        derate_permit_fail (&permit, failure);
      else
        derate_permit_succeed (&permit);
    }
}

/* Asynchronous calls that are answered at once, so that what is left is the way there and back. */
static GVariant *answer;

static void
start_call (DerateCall *call, GCancellable *cancellable, gpointer data)
{
  derate_call_succeed (call, answer);
  derate_call_unref (call);
}

static void
on_called (GObject *breaker, GAsyncResult *result, gpointer data)
{
  g_autoptr (GVariant) value = derate_breaker_call_finish (DERATE_BREAKER (breaker), result, NULL);

  *(gboolean *)data = value != NULL;
}

static gpointer
set_up_async (void)
{
  answer = g_variant_ref_sink (g_variant_new_int32 (42));
  return set_up_default ();
}

static void
call_async (gpointer breaker, guint64 n)
{
  g_autoptr (GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  for (guint64 i = 0; i < n; i++)
    {
      gboolean done = FALSE;

      derate_breaker_call_async (breaker, start_call, NULL, NULL, NULL, on_called, &done);
      while (!done)
        g_main_context_iteration (context, TRUE);
    }
  g_main_context_pop_thread_default (context);
}

static void
on_task (GObject *breaker, GAsyncResult *result, gpointer data)
{
  g_autoptr (GVariant) value = g_task_propagate_pointer (G_TASK (result), NULL);

  *(gboolean *)data = value != NULL;
}

/* The same without a breaker's help. */
static void
call_task (gpointer breaker, guint64 n)
{
  g_autoptr (GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  for (guint64 i = 0; i < n; i++)
    {
      g_autoptr (GTask) task = NULL;
      gboolean done = FALSE;

      task = g_task_new (breaker, NULL, on_task, &done);
      g_task_set_source_tag (task, call_task);
      g_task_set_check_cancellable (task, FALSE);
      g_task_return_pointer (task, g_variant_ref (answer), (GDestroyNotify)g_variant_unref);
      g_clear_object (&task);
      while (!done)
        g_main_context_iteration (context, TRUE);
    }
  g_main_context_pop_thread_default (context);
}

static const BenchCase cases[] = {
  { "closed-default", 2, set_up_default, succeed, g_object_unref, "atomic-own", 0.8, 1.2 },
  { "closed-full", 2, set_up_full, succeed, g_object_unref, "clock-twice", 1.2, 1.2 },
  { "open-refusal", 2, set_up_open, be_refused, g_object_unref, "clock", 0.6 },
  { "open-refusal-error", 2, set_up_open, be_refused_with_error, g_object_unref, "clock",
    .max_ns = 250 },
  { "failure", 2, set_up_failing, fail, g_object_unref, "mutex", .max_ns = 60 },
  { "closed-1pct", 2, set_up_one_percent, fail_one_percent, g_object_unref, "mutex", .max_ns = 60 },
  { "call-task", 1, set_up_async, call_task, g_object_unref },
  { "call-async", 1, set_up_async, call_async, g_object_unref, "call-task", 1.1 },
  { "pipeline-sync", 1, bench_pipeline_new, bench_pipeline_call, g_object_unref, "clock-twice",
    .max_ns = 150 },
  { NULL },
};

static gpointer
use_all (gpointer breakers)
{
  for (guint i = 0; i < MANY; i++)
    succeed (((gpointer *)breakers)[i], 1);
  return NULL;
}

static DerateBreaker **
new_many (DerateBreakerConfig *config)
{
  DerateBreaker **breakers = g_new (DerateBreaker *, MANY);

  for (guint i = 0; i < MANY; i++)
    {
      g_autofree char *name = g_strdup_printf ("service-%05u", i);

      breakers[i] = derate_breaker_new (name, config);
    }
  return breakers;
}

static void
free_many (DerateBreaker **breakers)
{
  for (guint i = 0; i < MANY; i++)
    g_object_unref (breakers[i]);
  g_free (breakers);
}

static double
measure_made (DerateBreakerConfig *config)
{
  gsize before = bench_allocated ();
  DerateBreaker **breakers = new_many (config);
  gsize made = bench_allocated () - before - MANY * sizeof *breakers;

  free_many (breakers);
  return (double)made / MANY;
}

/* What one more thread adds. Cells do not come from malloc (). */
static double
measure_used (DerateBreakerConfig *config)
{
  DerateBreaker **breakers = new_many (config);
  gsize before;
  gsize used;

  use_all (breakers);
  before = bench_resident ();
  g_thread_join (g_thread_new ("user", use_all, breakers));
  used = bench_resident () - before;
  free_many (breakers);
  return (double)used / MANY;
}

static double
measure_bytes_new (void)
{
  return measure_made (NULL);
}

static double
measure_bytes_thread (void)
{
  return measure_used (NULL);
}

static double
measure_bytes_new_full (void)
{
  g_autoptr (DerateBreakerConfig) config = new_full_config ();

  return measure_made (config);
}

static double
measure_bytes_thread_full (void)
{
  g_autoptr (DerateBreakerConfig) config = new_full_config ();

  return measure_used (config);
}

static guint
count_entries (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  guint n = 0;

  while (dir != NULL && g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

/* Threads that came with breakers of which half are open. */
static double
measure_idle_threads (void)
{
  guint before = count_entries ("/proc/self/task");
  DerateBreaker **breakers = new_many (NULL);
  guint after;

  for (guint i = 0; i < MANY; i += 2)
    derate_breaker_open_for (breakers[i], G_TIME_SPAN_HOUR, NULL);
  after = count_entries ("/proc/self/task");
  free_many (breakers);
  return after - before;
}

/* Whether the main loop has anything to wait for, and file descriptors: a timer would be either. */
static double
measure_idle_timers (void)
{
  GMainContext *context = g_main_context_default ();
  guint before = count_entries ("/proc/self/fd");
  DerateBreaker **breakers = new_many (NULL);
  int priority = G_MAXINT;
  int timeout = -1;
  GPollFD fds[8];
  guint after;

  for (guint i = 0; i < MANY; i += 2)
    derate_breaker_open_for (breakers[i], G_TIME_SPAN_HOUR, NULL);
  while (g_main_context_iteration (context, FALSE))
    ;
  if (!g_main_context_acquire (context))
    g_error ("the main context is taken");
  g_main_context_prepare (context, &priority);
  g_main_context_query (context, G_MAXINT, &timeout, fds, G_N_ELEMENTS (fds));
  g_main_context_release (context);
  after = count_entries ("/proc/self/fd");
  free_many (breakers);
  return (timeout >= 0 ? 1 : 0) + (double)after - before;
}

static const BenchFigure figures[] = {
  { "bytes-new", measure_bytes_new, 640 },
  { "bytes-thread", measure_bytes_thread, 128 },
  { "bytes-new-full", measure_bytes_new_full, -1 },
  { "bytes-thread-full", measure_bytes_thread_full, -1 },
  { "idle-threads", measure_idle_threads },
  { "idle-timers", measure_idle_timers },
  { "pipeline-allocations", bench_pipeline_count_allocations },
  { NULL },
};

int
main (int argc, char **argv)
{
  return bench_main (argc, argv, cases, figures);
}
