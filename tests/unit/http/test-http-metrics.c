/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "http-world.h"

/* A scrape as its client sees it: what it wants, how long it takes, and what if it does not wait.
 */

static char *
gunzip (Answer *answer)
{
  g_autoptr (GZlibDecompressor) decompressor =
      g_zlib_decompressor_new (G_ZLIB_COMPRESSOR_FORMAT_GZIP);
  g_autoptr (GInputStream) bytes =
      g_memory_input_stream_new_from_data (answer->body, (gssize)answer->body_size, NULL);
  g_autoptr (GInputStream) stream =
      g_converter_input_stream_new (bytes, G_CONVERTER (decompressor));
  g_autoptr (GOutputStream) out = g_memory_output_stream_new_resizable ();
  g_autoptr (GError) error = NULL;

  g_output_stream_splice (out, stream, G_OUTPUT_STREAM_SPLICE_CLOSE_SOURCE, NULL, &error);
  g_assert_no_error (error);
  g_output_stream_write_all (out, "", 1, NULL, NULL, &error);
  g_output_stream_close (out, NULL, NULL);
  return g_memory_output_stream_steal_data (G_MEMORY_OUTPUT_STREAM (out));
}

static Answer *
scrape (World *world, const char *accept, const char *encoding)
{
  const char *headers[] = { "Accept", accept, "Accept-Encoding", encoding, NULL };

  return world_ask_with (world, SOUP_METHOD_GET, "/metrics", headers);
}

static void
test_openmetrics (World *world, gconstpointer data)
{
  g_autoptr (Answer) answer = NULL;

  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_METRICS);
  answer =
      scrape (world, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "identity");
  g_assert_cmpuint (answer->status, ==, 200);
  g_assert_cmpstr (answer->type, ==, "application/openmetrics-text; version=1.0.0; charset=utf-8");
  g_assert_cmpstr (answer->vary, ==, "Accept, Accept-Encoding");
  g_assert_null (answer->encoding);
  g_assert_true (g_str_has_suffix (answer->body, "\n# EOF\n"));
  g_assert_nonnull (strstr (answer->body, "# TYPE circuit_breaker_requests counter\n"));
  g_assert_nonnull (strstr (answer->body, "\ncircuit_breaker_requests_total{name=\"redis\"} 0\n"));
}

static void
test_gzip (World *world, gconstpointer data)
{
  g_autoptr (Answer) plain = NULL;
  g_autoptr (Answer) packed = NULL;
  g_autoptr (Answer) small = NULL;
  g_autofree char *text = NULL;
  g_autofree char *small_text = NULL;

  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_METRICS);
  plain = scrape (world, "text/plain", "gzip;q=0");
  packed = scrape (world, "text/plain", "gzip");
  g_assert_null (plain->encoding);
  g_assert_cmpstr (packed->encoding, ==, "gzip");
  g_assert_cmpuint (packed->body_size, <, plain->body_size / 3);
  g_assert_cmpint (packed->length, ==, (goffset)packed->body_size);
  text = gunzip (packed);
  g_assert_nonnull (strstr (text, "\ncircuit_breaker_state{name=\"redis\"} 0\n"));

  /* A short one is packed on the spot. */
  derate_metrics_registry_set_enabled (derate_core_get_metrics (world->core), FALSE);
  small = scrape (world, "text/plain", "gzip");
  g_assert_cmpstr (small->encoding, ==, "gzip");
  small_text = gunzip (small);
  g_assert_nonnull (strstr (small_text, "\nprocess_open_fds "));
  g_assert_cmpuint (strlen (small_text), <, 4096);
}

/* A collector that waits in its thread until the test lets it go on. */
#define TEST_TYPE_SLOW (test_slow_get_type ())
G_DECLARE_FINAL_TYPE (TestSlow, test_slow, TEST, SLOW, GObject)

struct _TestSlow
{
  GObject parent_instance;
  GMutex mutex;
  GCond cond;
  gboolean is_asked;
  gboolean may_answer;
};

static void
test_slow_collect (DerateMetricsCollector *collector, DerateMetricsWriter *writer)
{
  TestSlow *slow = TEST_SLOW (collector);

  g_mutex_lock (&slow->mutex);
  slow->is_asked = TRUE;
  while (!slow->may_answer)
    g_cond_wait (&slow->cond, &slow->mutex);
  g_mutex_unlock (&slow->mutex);
  derate_metrics_writer_begin_family (writer, "slow", DERATE_METRIC_TYPE_GAUGE, "Slow.", NULL);
  derate_metrics_writer_sample (writer, NULL, 1);
}

static void
slow_iface_init (DerateMetricsCollectorInterface *iface)
{
  iface->collect = test_slow_collect;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (TestSlow,
                               test_slow,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_METRICS_COLLECTOR,
                                                      slow_iface_init))

static void
test_slow_class_init (TestSlowClass *klass)
{
}

static void
test_slow_init (TestSlow *slow)
{
  g_mutex_init (&slow->mutex);
  g_cond_init (&slow->cond);
}

static gboolean
slow_is_asked (TestSlow *slow)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&slow->mutex);

  return slow->is_asked;
}

static void
slow_let_go (TestSlow *slow)
{
  g_mutex_lock (&slow->mutex);
  slow->may_answer = TRUE;
  g_cond_broadcast (&slow->cond);
  g_mutex_unlock (&slow->mutex);
}

static TestSlow *
add_slow (World *world)
{
  TestSlow *slow = g_object_new (TEST_TYPE_SLOW, NULL);

  derate_metrics_registry_add_collector (derate_core_get_metrics (world->core),
                                         DERATE_METRICS_COLLECTOR (slow));
  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_ALL);
  return slow;
}

static void
on_answered (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

/* A scrape that another loop waits for. */
static void
begin_scrape (World *world, SoupMessage **message, GCancellable *cancellable, GAsyncResult **result)
{
  g_autofree char *uri = g_strconcat (world->base, "/metrics", NULL);

  *message = soup_message_new (SOUP_METHOD_GET, uri);
  soup_session_send_and_read_async (world->session, *message, G_PRIORITY_DEFAULT, cancellable,
                                    on_answered, result);
}

/* The loop answers others while a collector takes its time, and a late one is left out. */
static void
test_hangs (World *world, gconstpointer data)
{
  g_autoptr (TestSlow) slow = add_slow (world);
  g_autoptr (SoupMessage) message = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GBytes) bytes = NULL;
  g_autofree char *text = NULL;

  begin_scrape (world, &message, NULL, &result);
  for (guint i = 0; i < 5; i++)
    {
      g_autoptr (Answer) other = world_get (world, "/health/live");

      g_assert_cmpuint (other->status, ==, 200);
    }
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  bytes = soup_session_send_and_read_finish (world->session, result, NULL);
  g_assert_cmpuint (soup_message_get_status (message), ==, 200);
  text = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  g_assert_nonnull (strstr (text, "_collector_errors_total{collector=\"TestSlow\"} 1\n"));
  g_assert_nonnull (strstr (text, "\ncircuit_breaker_state{name=\"redis\"} 0\n"));
  g_assert_null (strstr (text, "\nslow "));
  slow_let_go (slow);
}

/* A client that does not wait, pages that are taken away and a server that goes, each while a
 * collector is asked: the answer has no one to go to. */
static void
test_gone (World *world, gconstpointer data)
{
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (TestSlow) slow = add_slow (world);
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      g_autoptr (SoupMessage) message = NULL;
      g_autoptr (GAsyncResult) result = NULL;
      g_autoptr (GBytes) bytes = NULL;

      begin_scrape (world, &message, cancellable, &result);
      while (!slow_is_asked (slow))
        g_main_context_iteration (NULL, FALSE);
      if (i == 0)
        g_cancellable_cancel (cancellable);
      else if (i == 1)
        derate_http_unmount (world->server, NULL);
      else
        soup_server_disconnect (world->server);
      if (i != 1)
        while (result == NULL)
          g_main_context_iteration (NULL, TRUE);
      slow_let_go (slow);
      while (result == NULL)
        g_main_context_iteration (NULL, TRUE);
      bytes = soup_session_send_and_read_finish (world->session, result, NULL);
      g_assert_true ((bytes != NULL) == (i == 1));
      derate_metrics_registry_remove_collector (derate_core_get_metrics (world->core),
                                                DERATE_METRICS_COLLECTOR (slow));
    }
  /* What was rendered for nobody comes to its end. */
  g_free (derate_metrics_registry_render (derate_core_get_metrics (world->core)));
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

#define N_CLIENTS 64

/* As a program's own code does that takes its time in the loop; half of the scrapes have come. */
static void
on_request (SoupServer *server, SoupServerMessage *message, guint *n_requests)
{
  if (++*n_requests == N_CLIENTS / 2)
    g_usleep (G_USEC_PER_SEC);
}

/* Many clients, everything down and a loop that stands still: answers are late, and right. */
static void
test_late (World *world, gconstpointer data)
{
  g_autoptr (SoupSession) session =
      soup_session_new_with_options ("max-conns", N_CLIENTS, "max-conns-per-host", N_CLIENTS, NULL);
  SoupMessage *messages[N_CLIENTS];
  GAsyncResult *results[N_CLIENTS] = { NULL };
  guint n_requests = 0;

  g_set_object (&world->session, session);
  world_start (world->core);
  world_fail_calls (world->core, "redis", 5);
  world_fail_calls (world->core, "database", 3);
  derate_http_mount (world->core, world->server, NULL, DERATE_HTTP_METRICS);
  for (guint i = 0; i < N_CLIENTS; i++)
    begin_scrape (world, &messages[i], NULL, &results[i]);
  g_signal_connect (world->server, "request-started", G_CALLBACK (on_request), &n_requests);
  for (guint i = 0; i < N_CLIENTS; i++)
    {
      g_autoptr (GBytes) bytes = NULL;
      g_autofree char *text = NULL;

      while (results[i] == NULL)
        g_main_context_iteration (NULL, TRUE);
      bytes = soup_session_send_and_read_finish (session, results[i], NULL);
      g_assert_cmpuint (soup_message_get_status (messages[i]), ==, 200);
      text = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
      g_assert_nonnull (strstr (text, "\ndegradation_level 5\n"));
      g_assert_nonnull (strstr (text, "\ncircuit_breaker_state{name=\"redis\"} 1\n"));
      g_assert_false (g_regex_match_simple ("_collector_errors_total\\{.*\\} [1-9]", text, 0, 0));
      g_object_unref (results[i]);
      g_object_unref (messages[i]);
    }
  g_assert_cmpuint (n_requests, ==, N_CLIENTS);
  g_signal_handlers_disconnect_by_data (world->server, &n_requests);
  world_stop (world->core);
}

static void
add (const char *path, void (*func) (World *, gconstpointer))
{
  g_test_add (path, World, NULL, world_set_up, func, world_tear_down);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* Derate warns of what these tests do to it. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  add ("/scrape/behaviour/38-openmetrics", test_openmetrics);
  add ("/scrape/behaviour/38-gzip", test_gzip);
  add ("/scrape/behaviour/41-hangs", test_hangs);
  add ("/http-metrics/gone", test_gone);
  add ("/http-metrics/late", test_late);
  return g_test_run ();
}
