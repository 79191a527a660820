/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "metrics-fixture.h"

/* Collectors that misbehave, threads that count meanwhile, and those who wait for a rendering. The
 * limits are short where somebody hangs, and nothing that is shown depends on them: who hangs,
 * hangs until it is let go, and who does not is done long before. */

#define DEADLINE G_TIME_SPAN_SECOND
#define PATIENCE (5 * G_TIME_SPAN_MILLISECOND)
#define ERRORS "derate_metrics_collector_errors_total{collector=\"TestCollector\"}"

static DerateMetricsRegistry *
new_registry (GTimeSpan deadline)
{
  DerateMetricsRegistry *registry = derate_metrics_registry_new ();

  derate_metrics_registry_set_limits (registry, deadline, PATIENCE);
  return registry;
}

static void
write_gauge (DerateMetricsWriter *writer, const char *name, double value)
{
  derate_metrics_writer_begin_family (writer, name, DERATE_METRIC_TYPE_GAUGE, "Help.", NULL);
  derate_metrics_writer_sample (writer, NULL, value);
}

static void
write_well (DerateMetricsWriter *writer, gpointer data)
{
  write_gauge (writer, "well", 1);
}

/* Where a collector stands still until the test lets it go. */
typedef struct
{
  GMutex mutex;
  GCond cond;
  gboolean is_inside;
  gboolean is_free;
} Trap;

static void
hang (DerateMetricsWriter *writer, gpointer data)
{
  Trap *trap = data;

  write_gauge (writer, "hangs", 1);
  g_mutex_lock (&trap->mutex);
  trap->is_inside = TRUE;
  g_cond_broadcast (&trap->cond);
  while (!trap->is_free)
    g_cond_wait (&trap->cond, &trap->mutex);
  trap->is_inside = FALSE;
  g_cond_broadcast (&trap->cond);
  g_mutex_unlock (&trap->mutex);
  write_gauge (writer, "hangs_no_more", 1);
}

static void
trap_wait (Trap *trap, gboolean is_inside)
{
  g_mutex_lock (&trap->mutex);
  while (trap->is_inside != is_inside)
    g_cond_wait (&trap->cond, &trap->mutex);
  g_mutex_unlock (&trap->mutex);
}

static void
trap_open (Trap *trap)
{
  g_mutex_lock (&trap->mutex);
  trap->is_free = TRUE;
  g_cond_broadcast (&trap->cond);
  g_mutex_unlock (&trap->mutex);
}

/* One that hangs costs its own families and one thread, and shows nothing old as new. */
static void
test_hangs (void)
{
  static Trap trap;
  g_autoptr (DerateMetricsRegistry) registry = new_registry (DEADLINE);
  g_autoptr (TestCollector) before = test_collector_add (registry, write_well, NULL);
  g_autoptr (TestCollector) stuck = test_collector_add (registry, hang, &trap);
  gint64 begun = g_get_monotonic_time ();
  g_autofree char *text = derate_metrics_registry_render (registry);
  g_autofree char *again = NULL;
  guint64 n;

  /* It is late at once, and not asked again, so the others wait no more. */
  g_assert_cmpint (g_get_monotonic_time () - begun, >=, DEADLINE);
  assert_line (text, "well 1");
  g_assert_null (strstr (text, "hangs"));
  g_assert_cmpuint (read_value (text, ERRORS), ==, 1);
  for (n = 2; n <= 5; n++)
    {
      g_free (text);
      text = derate_metrics_registry_render (registry);
      assert_line (text, "well 1");
      g_assert_null (strstr (text, "hangs"));
      g_assert_cmpuint (read_value (text, ERRORS), ==, n);
    }
  g_assert_cmpint (g_atomic_int_get (&stuck->n_calls), ==, 1);
  g_assert_cmpint (g_atomic_int_get (&before->n_calls), ==, 5);

  /* Let go, it is asked again as soon as it has come back. */
  trap_open (&trap);
  trap_wait (&trap, FALSE);
  do
    {
      g_free (again);
      again = derate_metrics_registry_render (registry);
    }
  while (strstr (again, "hangs_no_more 1") == NULL);
  g_assert_cmpuint (read_value (again, ERRORS), >=, n - 1);
}

/* Many that hang are waited for at once: one after the other they would take the sum. */
static void
test_many_hang (void)
{
  static Trap traps[20];
  g_autoptr (DerateMetricsRegistry) registry = new_registry (DEADLINE);
  g_autoptr (TestCollector) last = NULL;
  g_autofree char *text = NULL;
  gint64 begun;

  for (guint i = 0; i < G_N_ELEMENTS (traps); i++)
    g_object_unref (test_collector_add (registry, hang, &traps[i]));
  last = test_collector_add (registry, write_well, NULL);
  begun = g_get_monotonic_time ();
  text = derate_metrics_registry_render (registry);
  g_assert_cmpint (g_get_monotonic_time () - begun, <, G_N_ELEMENTS (traps) * DEADLINE);
  assert_line (text, "well 1");
  g_assert_cmpuint (read_value (text, ERRORS), ==, G_N_ELEMENTS (traps));
  for (guint i = 0; i < G_N_ELEMENTS (traps); i++)
    {
      trap_open (&traps[i]);
      trap_wait (&traps[i], FALSE);
    }
}

static void
fail (DerateMetricsWriter *writer, gpointer data)
{
  write_gauge (writer, "half", 1);
  derate_metrics_writer_fail (writer, "no answer from the meter");
}

static void
write_bad_name (DerateMetricsWriter *writer, gpointer data)
{
  write_gauge (writer, "half", 1);
  write_gauge (writer, "no name", 1);
}

static void
write_counter (DerateMetricsWriter *writer, double value)
{
  derate_metrics_writer_begin_family (writer, "half_total", DERATE_METRIC_TYPE_COUNTER, "H.", NULL);
  derate_metrics_writer_sample (writer, NULL, value);
}

static void
write_negative (DerateMetricsWriter *writer, gpointer data)
{
  write_counter (writer, -1);
}

static void
write_no_number (DerateMetricsWriter *writer, gpointer data)
{
  write_counter (writer, 0.0 / 0.0);
}

static void
write_twice (DerateMetricsWriter *writer, gpointer data)
{
  write_gauge (writer, "half", 1);
  g_assert_false (derate_metrics_writer_begin_family (writer, "half", DERATE_METRIC_TYPE_HISTOGRAM,
                                                      "Help.", NULL));
}

static void
test_fails (void)
{
  static const TestWork works[] = { fail, write_bad_name, write_negative, write_no_number,
                                    write_twice };

  for (guint i = 0; i < G_N_ELEMENTS (works); i++)
    {
      g_autoptr (DerateMetricsRegistry) registry = new_registry (G_TIME_SPAN_MINUTE);
      g_autoptr (TestCollector) bad = test_collector_add (registry, works[i], NULL);
      g_autoptr (TestCollector) good = test_collector_add (registry, write_well, NULL);

      for (guint n = 1; n <= 2; n++)
        {
          g_autofree char *text = derate_metrics_registry_render (registry);

          assert_line (text, "well 1");
          g_assert_null (strstr (text, "half"));
          g_assert_cmpuint (read_value (text, ERRORS), ==, n);
        }
    }
}

static void
remove_self (DerateMetricsWriter *writer, gpointer data)
{
  TestCollector **self = data;

  write_gauge (writer, "leaves", 1);
  derate_metrics_registry_remove_collector (g_object_get_data (G_OBJECT (*self), "registry"),
                                            DERATE_METRICS_COLLECTOR (*self));
  g_clear_object (self);
}

static void
test_removes_itself (void)
{
  static TestCollector *leaving;
  g_autoptr (DerateMetricsRegistry) registry = new_registry (G_TIME_SPAN_MINUTE);
  g_autofree char *with = NULL;
  g_autofree char *without = NULL;

  leaving = test_collector_add (registry, remove_self, &leaving);
  g_object_set_data (G_OBJECT (leaving), "registry", registry);
  g_object_unref (test_collector_add (registry, write_well, NULL));
  with = derate_metrics_registry_render (registry);
  without = derate_metrics_registry_render (registry);
  assert_line (with, "leaves 1");
  assert_line (with, "well 1");
  g_assert_null (strstr (without, "leaves"));
  assert_line (without, "well 1");
  g_assert_cmpuint (read_value (without, ERRORS), ==, 0);
}

/* A collector that asks for a rendering itself would wait for itself: it is given up. */
static void
render_within (DerateMetricsWriter *writer, gpointer data)
{
  g_free (derate_metrics_registry_render (data));
}

static void
test_renders_within (void)
{
  g_autoptr (DerateMetricsRegistry) registry = new_registry (DEADLINE);
  g_autofree char *text = NULL;

  g_object_unref (test_collector_add (registry, render_within, registry));
  text = derate_metrics_registry_render (registry);
  g_assert_cmpuint (read_value (text, ERRORS), ==, 1);
  /* The inner one shows that it is over when it is asked no more. */
  g_free (derate_metrics_registry_render (registry));
}

typedef struct
{
  GMainLoop *loop;
  guint n_wanted;
  GPtrArray *texts; /* (element-type GBytes) */
} Answers;

static void
on_rendered (GObject *source, GAsyncResult *result, gpointer data)
{
  Answers *answers = data;
  g_autoptr (GError) error = NULL;
  GBytes *bytes =
      derate_metrics_registry_render_finish (DERATE_METRICS_REGISTRY (source), result, &error);

  g_assert_no_error (error);
  g_assert_true (g_main_context_is_owner (NULL));
  g_ptr_array_add (answers->texts, bytes);
  if (answers->texts->len == answers->n_wanted)
    g_main_loop_quit (answers->loop);
}

static void
answers_init (Answers *answers, guint n)
{
  answers->loop = g_main_loop_new (NULL, FALSE);
  answers->n_wanted = n;
  answers->texts = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);
}

static void
answers_clear (Answers *answers)
{
  g_main_loop_unref (answers->loop);
  g_ptr_array_unref (answers->texts);
}

/* All who come while one rendering goes on share the next, which shows what happened before it. */
static void
test_shared (void)
{
  static Trap trap;
  g_autoptr (DerateMetricsRegistry) registry = new_registry (G_TIME_SPAN_MINUTE);
  g_autoptr (DerateCounter) counter =
      derate_metrics_registry_add_counter (registry, "a_total", "Help.", NULL, NULL);
  g_autoptr (TestCollector) collector = test_collector_add (registry, hang, &trap);
  Answers answers;
  guint n_om = 0;

  answers_init (&answers, 11);
  derate_metrics_registry_render_async (registry, DERATE_METRICS_FORMAT_TEXT, NULL, on_rendered,
                                        &answers);
  trap_wait (&trap, TRUE);
  derate_counter_inc (counter);
  for (guint i = 0; i < 10; i++)
    derate_metrics_registry_render_async (registry,
                                          i % 2 ? DERATE_METRICS_FORMAT_OPENMETRICS
                                                : DERATE_METRICS_FORMAT_TEXT,
                                          NULL, on_rendered, &answers);
  trap_open (&trap);
  g_main_loop_run (answers.loop);
  g_assert_cmpint (g_atomic_int_get (&collector->n_calls), ==, 3);
  for (guint i = 1; i < 11; i++)
    {
      gsize size;
      const char *text = g_bytes_get_data (g_ptr_array_index (answers.texts, i), &size);
      gboolean is_om = g_str_has_prefix (text + size - 6, "# EOF\n");

      n_om += is_om;
      g_assert_nonnull (g_strstr_len (text, (gssize)size, "\na_total 1\n"));
    }
  g_assert_cmpuint (n_om, ==, 5);
  answers_clear (&answers);
}

static void
on_cancelled (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (
      derate_metrics_registry_render_finish (DERATE_METRICS_REGISTRY (source), result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_main_loop_quit (data);
}

/* The last reference of a registry is the rendering's own; its late collector outlives both. */
static void
test_dropped (void)
{
  static Trap trap;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  DerateMetricsRegistry *registry = new_registry (DEADLINE);
  TestCollector *collector = test_collector_add (registry, hang, &trap);
  gpointer weak = registry;

  g_object_add_weak_pointer (G_OBJECT (registry), &weak);
  derate_metrics_registry_render_async (registry, DERATE_METRICS_FORMAT_TEXT, cancellable,
                                        on_cancelled, loop);
  g_cancellable_cancel (cancellable);
  g_object_unref (registry);
  g_main_loop_run (loop);
  while (weak != NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (g_atomic_int_get (&collector->n_calls), ==, 1);
  trap_open (&trap);
  trap_wait (&trap, FALSE);
  g_object_unref (collector);
}

/* Threads that count against two that read: in each text +Inf is _count, and no count falls. */
#define N_OBSERVERS 8
#define N_READERS 2
#define N_OBSERVATIONS 20000

typedef struct
{
  DerateMetricsRegistry *registry;
  DerateHistogram *histogram;
  DerateCounter *counter;
  guint index;
  int *is_over; /* atomic */
} Party;

static gpointer
observe (gpointer data)
{
  Party *party = data;
  g_autofree char *name = g_strdup_printf ("t%u", party->index % 3);
  g_autofree char *id = g_strdup_printf ("call-%u", party->index);
  const char *const values[] = { name, NULL };

  for (guint i = 0; i < N_OBSERVATIONS; i++)
    {
      if (i % 64 == 0)
        derate_histogram_observe_with_exemplar (party->histogram, (i % 13) * 0.5, "trace_id", id);
      else
        derate_histogram_observe (party->histogram, (i % 13) * 0.5);
      derate_counter_inc (derate_counter_with (party->counter, values));
    }
  return NULL;
}

/* Each bucket has at least what the one before has, and an exemplar its bucket's value. */
static void
check_buckets (const char *text)
{
  guint64 last = 0;
  guint n = 0;

  for (const char *p = text; (p = strstr (p, "\nh_seconds_bucket{le=\"")) != NULL; p++, n++)
    {
      const char *end = strstr (p, "} ");
      char *rest;
      guint64 count = g_ascii_strtoull (end + 2, &rest, 10);

      g_assert_cmpuint (count, >=, last);
      if (g_str_has_prefix (rest, " # {trace_id=\"call-"))
        {
          double value = g_ascii_strtod (strstr (rest, "\"} ") + 3, NULL);

          g_assert_cmpuint (count, >, last);
          if (n < 12)
            g_assert_cmpfloat (value, <=,
                               g_ascii_strtod (p + strlen ("\nh_seconds_bucket{le=\""), NULL));
        }
      last = count;
    }
  g_assert_cmpuint (n, ==, 13);
}

static guint64
check_rendering (DerateMetricsRegistry *registry, guint64 before)
{
  g_autofree char *text = render_openmetrics (registry);
  guint64 count = read_value (text, "h_seconds_count");

  g_assert_cmpuint (read_value (text, "h_seconds_bucket{le=\"+Inf\"}"), ==, count);
  g_assert_cmpuint (count, >=, before);
  check_buckets (text);
  return count;
}

static gpointer
read_all (gpointer data)
{
  Party *party = data;
  guint64 count = 0;

  while (!g_atomic_int_get (party->is_over))
    count = check_rendering (party->registry, count);
  return NULL;
}

static void
test_concurrent (void)
{
  static const char *const labels[] = { "name", NULL };
  g_autoptr (DerateMetricsRegistry) registry = new_registry (G_TIME_SPAN_MINUTE);
  g_autoptr (DerateHistogram) histogram =
      derate_metrics_registry_add_histogram (registry, "h_seconds", "Help.", NULL, NULL, 0, NULL);
  g_autoptr (DerateCounter) counter =
      derate_metrics_registry_add_counter (registry, "a_total", "Help.", labels, NULL);
  Party parties[N_OBSERVERS + N_READERS];
  GThread *threads[N_OBSERVERS + N_READERS];
  g_autofree char *text = NULL;
  int is_over = FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    {
      parties[i] = (Party){ registry, histogram, counter, i, &is_over };
      threads[i] = g_thread_new ("party", i < N_OBSERVERS ? observe : read_all, &parties[i]);
    }
  for (guint i = 0; i < N_OBSERVERS; i++)
    g_thread_join (threads[i]);
  g_atomic_int_set (&is_over, TRUE);
  for (guint i = N_OBSERVERS; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);

  g_assert_cmpuint (check_rendering (registry, 0), ==, N_OBSERVERS * N_OBSERVATIONS);
  text = derate_metrics_registry_render (registry);
  g_assert_cmpuint (read_value (text, "a_total{name=\"t0\"}") +
                        read_value (text, "a_total{name=\"t1\"}") +
                        read_value (text, "a_total{name=\"t2\"}"),
                    ==, N_OBSERVERS * N_OBSERVATIONS);
}

/* Collectors that come and go while others read: what one has is gone with it. */
static void
write_owned (DerateMetricsWriter *writer, gpointer data)
{
  write_gauge (writer, "owned", *(double *)data);
}

static gpointer
come_and_go (gpointer data)
{
  Party *party = data;

  for (guint i = 0; i < 300; i++)
    {
      double *own = g_new (double, 1);
      TestCollector *collector;

      *own = i;
      collector = test_collector_add (party->registry, write_owned, own);
      g_object_set_data_full (G_OBJECT (collector), "own", own, g_free);
      if (i % 3 == 0)
        g_free (derate_metrics_registry_render (party->registry));
      derate_metrics_registry_remove_collector (party->registry,
                                                DERATE_METRICS_COLLECTOR (collector));
      g_object_unref (collector);
    }
  g_atomic_int_set (party->is_over, TRUE);
  return NULL;
}

static gpointer
read_errors (gpointer data)
{
  Party *party = data;
  guint64 errors = 0;

  while (!g_atomic_int_get (party->is_over))
    {
      g_autofree char *text = derate_metrics_registry_render (party->registry);
      guint64 now = read_value (text, ERRORS);

      g_assert_cmpuint (now, >=, errors);
      errors = now;
    }
  return NULL;
}

static void
test_removed_meanwhile (void)
{
  g_autoptr (DerateMetricsRegistry) registry = new_registry (G_TIME_SPAN_MINUTE);
  g_autoptr (TestCollector) failing = test_collector_add (registry, fail, NULL);
  int is_over = FALSE;
  Party party = { registry, NULL, NULL, 0, &is_over };
  GThread *reader = g_thread_new ("reader", read_errors, &party);
  GThread *thread = g_thread_new ("owner", come_and_go, &party);

  g_thread_join (thread);
  g_thread_join (reader);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* A collector that fails is told of. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  g_test_add_func ("/metrics/behaviour/41-hangs", test_hangs);
  g_test_add_func ("/metrics/behaviour/41-many-hang", test_many_hang);
  g_test_add_func ("/metrics/behaviour/41-fails", test_fails);
  g_test_add_func ("/metrics/behaviour/41-removes-itself", test_removes_itself);
  g_test_add_func ("/metrics/behaviour/41-renders-within", test_renders_within);
  g_test_add_func ("/metrics/trap/25-shared", test_shared);
  g_test_add_func ("/metrics/dropped", test_dropped);
  g_test_add_func ("/metrics/behaviour/43-removed-meanwhile", test_removed_meanwhile);
  g_test_add_func ("/metrics/trap/23-concurrent", test_concurrent);
  return g_test_run ();
}
