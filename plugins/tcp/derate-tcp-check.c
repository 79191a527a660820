/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A new connection in each run: to be let in is what is looked at. Then, where the options say so,
 * some bytes go out and others must come back. Runs never overlap and stay in one thread. */
#define _GNU_SOURCE /* memmem */
#include "derate-tcp-check.h"

#include "derate-check-report.h"
#include "derate-tcp-options.h"

#include <string.h>

#define ANSWER_MAX (64 * 1024)
#define READ_SIZE 4096

struct _DerateTcpCheck
{
  GObject parent_instance;

  DerateTcpOptions *options;
};

typedef struct
{
  GSocketConnection *connection;
  GByteArray *answer;
} Run;

static void derate_tcp_check_iface_init (DerateHealthCheckInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DerateTcpCheck,
                               derate_tcp_check,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DERATE_TYPE_HEALTH_CHECK,
                                                      derate_tcp_check_iface_init))

static void read_more (GTask *task);

static void
run_free (gpointer data)
{
  Run *run = data;

  g_clear_object (&run->connection);
  g_byte_array_unref (run->answer);
  g_free (run);
}

static void
return_report (GTask *task, DerateHealthStatus status, DerateHealthCause cause, const char *message)
{
  derate_check_return_report (task, derate_health_report_new (status, cause, message));
}

static gboolean
is_found (DerateTcpCheck *self, Run *run)
{
  gsize size;
  const void *wanted = g_bytes_get_data (self->options->expect, &size);

  return run->answer->len > 0 && memmem (run->answer->data, run->answer->len, wanted, size) != NULL;
}

static void
part_read (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  DerateTcpCheck *self = g_task_get_source_object (task);
  Run *run = g_task_get_task_data (task);
  g_autoptr (GBytes) part = NULL;
  GError *error = NULL;

  part = g_input_stream_read_bytes_finish (G_INPUT_STREAM (source), result, &error);
  if (part == NULL)
    {
      derate_check_return_error (task, error);
      return;
    }
  g_byte_array_append (run->answer, g_bytes_get_data (part, NULL), g_bytes_get_size (part));
  if (is_found (self, run))
    return_report (task, DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL);
  else if (g_bytes_get_size (part) == 0 && run->answer->len == 0)
    return_report (task, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_REFUSED,
                   "the connection was closed without a word");
  else if (g_bytes_get_size (part) == 0 || run->answer->len >= ANSWER_MAX)
    return_report (task, DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_PROTOCOL,
                   "check-expect is not in the answer");
  else
    read_more (g_steal_pointer (&task));
}

/* Takes @task over. */
static void
read_more (GTask *task)
{
  Run *run = g_task_get_task_data (task);

  g_input_stream_read_bytes_async (g_io_stream_get_input_stream (G_IO_STREAM (run->connection)),
                                   READ_SIZE, G_PRIORITY_DEFAULT, g_task_get_cancellable (task),
                                   part_read, task);
}

/* Takes @task over. */
static void
listen_for_answer (GTask *owned)
{
  g_autoptr (GTask) task = owned;
  DerateTcpCheck *self = g_task_get_source_object (task);

  if (self->options->expect != NULL)
    read_more (g_steal_pointer (&task));
  else
    return_report (task, DERATE_HEALTH_STATUS_HEALTHY, DERATE_HEALTH_CAUSE_NONE, NULL);
}

static void
sent (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  GError *error = NULL;

  if (g_output_stream_write_all_finish (G_OUTPUT_STREAM (source), result, NULL, &error))
    listen_for_answer (g_steal_pointer (&task));
  else
    derate_check_return_error (task, error);
}

static void
connected (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  DerateTcpCheck *self = g_task_get_source_object (task);
  Run *run = g_task_get_task_data (task);
  GBytes *bytes = self->options->send;
  GError *error = NULL;

  run->connection = g_socket_client_connect_finish (G_SOCKET_CLIENT (source), result, &error);
  if (run->connection == NULL)
    {
      derate_check_return_error (task, error);
      return;
    }
  if (bytes == NULL)
    {
      listen_for_answer (g_steal_pointer (&task));
      return;
    }
  g_output_stream_write_all_async (g_io_stream_get_output_stream (G_IO_STREAM (run->connection)),
                                   g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes),
                                   G_PRIORITY_DEFAULT, g_task_get_cancellable (task), sent,
                                   g_object_ref (task));
}

static void
derate_tcp_check_run_async (DerateHealthCheck *check,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  DerateTcpCheck *self = DERATE_TCP_CHECK (check);
  GTask *task = g_task_new (self, cancellable, callback, user_data);
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  Run *run = g_new0 (Run, 1);

  g_task_set_source_tag (task, derate_tcp_check_run_async);
  run->answer = g_byte_array_new ();
  g_task_set_task_data (task, run, run_free);
  g_socket_client_set_enable_proxy (client, FALSE);
  g_socket_client_connect_async (client, self->options->address, cancellable, connected, task);
}

static void
derate_tcp_check_iface_init (DerateHealthCheckInterface *iface)
{
  derate_check_iface_fill (iface);
  iface->run_async = derate_tcp_check_run_async;
}

static void
derate_tcp_check_finalize (GObject *object)
{
  DerateTcpCheck *self = DERATE_TCP_CHECK (object);

  g_clear_pointer (&self->options, derate_tcp_options_free);

  G_OBJECT_CLASS (derate_tcp_check_parent_class)->finalize (object);
}

static void
derate_tcp_check_class_init (DerateTcpCheckClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = derate_tcp_check_finalize;
}

static void
derate_tcp_check_init (DerateTcpCheck *self)
{
}

DerateHealthCheck *
derate_tcp_check_new (const char *service, GVariant *options, gpointer user_data, GError **error)
{
  g_autoptr (DerateTcpCheck) self = g_object_new (DERATE_TYPE_TCP_CHECK, NULL);

  self->options = derate_tcp_options_parse (options, error);
  return self->options != NULL ? DERATE_HEALTH_CHECK (g_steal_pointer (&self)) : NULL;
}
