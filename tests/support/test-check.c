/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-check.h"

#include "test-tickers.h"

#include <derate-plugin-loader.h>
#include <string.h>

#define HANG_MS 400

static DerateHealthCheck *
create (const char *plugin, va_list args, GError **error)
{
  static DeratePluginLoader *loader;
  GVariantBuilder options;
  const char *key;

  if (loader == NULL)
    {
      loader = derate_plugin_loader_new ();
      derate_plugin_loader_add_path (loader, TEST_PLUGINS);
    }
  g_variant_builder_init (&options, G_VARIANT_TYPE ("a{ss}"));
  while ((key = va_arg (args, const char *)) != NULL)
    g_variant_builder_add (&options, "{ss}", key, va_arg (args, const char *));
  if (derate_plugin_loader_load (loader, plugin, error) == NULL)
    return NULL;
  return derate_plugin_loader_create_check (loader, plugin, plugin,
                                            g_variant_builder_end (&options), error);
}

DerateHealthCheck *
test_check_new (const char *plugin, ...)
{
  DerateHealthCheck *check;
  g_autoptr (GError) error = NULL;
  va_list args;

  va_start (args, plugin);
  check = create (plugin, args, &error);
  va_end (args);
  g_assert_no_error (error);
  g_assert_nonnull (check);
  g_assert_cmpint (derate_health_check_get_threading (check), ==, DERATE_HEALTH_CHECK_ANY_THREAD);
  return check;
}

GError *
test_check_new_fails (const char *plugin, ...)
{
  g_autoptr (DerateHealthCheck) check = NULL;
  GError *error = NULL;
  va_list args;

  va_start (args, plugin);
  check = create (plugin, args, &error);
  va_end (args);
  g_assert_null (check);
  g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
  return error;
}

static void
take_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GAsyncResult **taken = user_data;

  g_assert_null (*taken);
  *taken = g_object_ref (result);
}

DerateHealthReport *
test_check_run (DerateHealthCheck *check)
{
  GMainContext *context = g_main_context_get_thread_default ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  DerateHealthReport *report;

  derate_health_check_run_async (check, NULL, take_result, &result);
  while (result == NULL)
    g_main_context_iteration (context, TRUE);
  report = derate_health_check_run_finish (check, result, &error);
  g_assert_no_error (error);
  g_assert_nonnull (report);
  return report;
}

static const char *
nick (GType type, int value)
{
  g_autoptr (GEnumClass) klass = g_type_class_ref (type);

  return g_enum_get_value (klass, value)->value_nick;
}

char *
test_check_expect (DerateHealthCheck *check, DerateHealthStatus status, DerateHealthCause cause)
{
  g_autoptr (DerateHealthReport) report = test_check_run (check);

  g_test_message ("%s", derate_health_report_get_message (report));
  g_assert_cmpstr (nick (DERATE_TYPE_HEALTH_STATUS, derate_health_report_get_status (report)), ==,
                   nick (DERATE_TYPE_HEALTH_STATUS, status));
  g_assert_cmpstr (nick (DERATE_TYPE_HEALTH_CAUSE, derate_health_report_get_cause (report)), ==,
                   nick (DERATE_TYPE_HEALTH_CAUSE, cause));
  return g_strdup (derate_health_report_get_message (report));
}

void
test_loop_goes_on (void (*func) (gpointer data), gpointer data)
{
  gint64 own = 0;
  gint64 bystander = 0;

  for (guint i = 0; i < TEST_LAG_ATTEMPTS; i++)
    {
      TestTickers *tickers = test_tickers_start ();

      func (data);
      test_tickers_stop (tickers, &own, &bystander);
      if (own < TEST_LAG_MAX + bystander)
        return;
    }
  g_error ("the loop was late each time, at last by %" G_GINT64_FORMAT
           " µs, one beside it by %" G_GINT64_FORMAT,
           own, bystander);
}

static void
hang (gpointer check)
{
  GMainContext *context = g_main_context_get_thread_default ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (DerateHealthReport) report = NULL;
  g_autoptr (GError) error = NULL;

  derate_health_check_run_async (check, cancellable, take_result, &result);
  test_run_for (context, HANG_MS);
  g_assert_null (result);
  g_cancellable_cancel (cancellable);
  while (result == NULL)
    g_main_context_iteration (context, TRUE);
  report = derate_health_check_run_finish (check, result, &error);
  g_assert_null (report);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  /* What the cancelled run leaves behind must not block either. */
  test_run_for (context, 50);
}

void
test_check_hangs (DerateHealthCheck *check)
{
  test_loop_goes_on (hang, check);
}

static gboolean
set_flag (gpointer user_data)
{
  *(gboolean *)user_data = TRUE;
  return G_SOURCE_REMOVE;
}

void
test_run_for (GMainContext *context, guint milliseconds)
{
  GSource *source = g_timeout_source_new (milliseconds);
  gboolean over = FALSE;

  g_source_set_callback (source, set_flag, &over, NULL);
  g_source_attach (source, context);
  while (!over)
    g_main_context_iteration (context, TRUE);
  g_source_unref (source);
}

struct _TestStandIn
{
  GBytes *answer; /* NULL: silence */
  GSocketListener *listener;
  GCancellable *end;
  GThread *thread;
  guint16 port;
  GMutex mutex;
  GString *heard; /* by the mutex */
};

/* One peer at a time, until it hangs up. */
static void
serve_peer (TestStandIn *self, GSocketConnection *peer)
{
  GInputStream *input = g_io_stream_get_input_stream (G_IO_STREAM (peer));
  GOutputStream *output = g_io_stream_get_output_stream (G_IO_STREAM (peer));
  char buffer[4096];
  gssize length;

  while ((length = g_input_stream_read (input, buffer, sizeof buffer, self->end, NULL)) > 0)
    {
      g_mutex_lock (&self->mutex);
      g_string_append_len (self->heard, buffer, length);
      g_mutex_unlock (&self->mutex);
      if (self->answer != NULL)
        g_output_stream_write_all (output, g_bytes_get_data (self->answer, NULL),
                                   g_bytes_get_size (self->answer), NULL, self->end, NULL);
    }
}

static gpointer
stand_in_main (gpointer user_data)
{
  TestStandIn *self = user_data;

  while (TRUE)
    {
      g_autoptr (GSocketConnection) peer = NULL;

      peer = g_socket_listener_accept (self->listener, NULL, self->end, NULL);
      if (peer == NULL)
        return NULL;
      serve_peer (self, peer);
    }
}

TestStandIn *
test_stand_in_new (const void *answer, gsize length)
{
  TestStandIn *self = g_new0 (TestStandIn, 1);
  g_autoptr (GInetAddress) loopback = g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4);
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new (loopback, 0);
  g_autoptr (GSocketAddress) bound = NULL;
  g_autoptr (GError) error = NULL;

  self->answer = answer != NULL ? g_bytes_new (answer, length) : NULL;
  self->end = g_cancellable_new ();
  self->heard = g_string_new (NULL);
  g_mutex_init (&self->mutex);
  self->listener = g_socket_listener_new ();
  g_socket_listener_add_address (self->listener, address, G_SOCKET_TYPE_STREAM,
                                 G_SOCKET_PROTOCOL_TCP, NULL, &bound, &error);
  g_assert_no_error (error);
  self->port = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (bound));
  self->thread = g_thread_new ("stand-in", stand_in_main, self);
  return self;
}

guint16
test_stand_in_get_port (TestStandIn *self)
{
  return self->port;
}

char *
test_stand_in_dup_heard (TestStandIn *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->mutex);

  return g_strdup (self->heard->str);
}

void
test_stand_in_free (TestStandIn *self)
{
  g_cancellable_cancel (self->end);
  g_thread_join (self->thread);
  g_object_unref (self->listener);
  g_object_unref (self->end);
  g_clear_pointer (&self->answer, g_bytes_unref);
  g_string_free (self->heard, TRUE);
  g_mutex_clear (&self->mutex);
  g_free (self);
}
