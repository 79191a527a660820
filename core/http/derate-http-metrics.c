/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-accept-private.h"
#include "derate-http-private.h"

/* Threads: the text is made in a thread of the registry's, and compressed in one of GIO's where it
 * is long; all else happens in the server's context.
 *
 * Scrapes that come while the loop is busy are answered with one text, which is begun after the
 * last of them has come: so many clients cost little more than one. */

/* So much is compressed within a tenth of a millisecond or so. */
#define COMPRESS_AT_ONCE 4096

/* A scrape is made anew each time: what the better levels save is not worth their time. */
#define COMPRESSION_LEVEL 1

/* How long a text waits for a loop that is busy. */
#define PATIENCE (2 * G_TIME_SPAN_MILLISECOND)

#define N_FORMATS (DERATE_METRICS_FORMAT_OPENMETRICS + 1)

typedef struct
{
  SoupServerMessage *message; /* paused */
  gboolean is_gone; /* the client is, or its server */
  gulong handlers[2];
  const DerateHttpExposition *exposition;
  gboolean gzip;
} Scrape;

/* Scrapes that share a text. */
typedef struct
{
  DerateHttpScrapes *owner; /* NULL once it is begun, or the owner is gone */
  DerateMetricsRegistry *registry;
  DerateMetricsFormat format;
  GPtrArray *scrapes; /* (element-type Scrape) */
  GSource *starts[2]; /* the first of them begins it */
} Batch;

struct _DerateHttpScrapes
{
  DerateMetricsRegistry *registry;
  Batch *next[N_FORMATS]; /* (nullable) what the next scrape joins */
};

DerateHttpScrapes *
derate_http_scrapes_new (DerateMetricsRegistry *registry)
{
  DerateHttpScrapes *scrapes = g_new0 (DerateHttpScrapes, 1);

  scrapes->registry = g_object_ref (registry);
  return scrapes;
}

/* Those that have come are answered still. */
void
derate_http_scrapes_free (DerateHttpScrapes *scrapes)
{
  for (guint i = 0; i < N_FORMATS; i++)
    if (scrapes->next[i] != NULL)
      scrapes->next[i]->owner = NULL;
  g_object_unref (scrapes->registry);
  g_free (scrapes);
}

static void
on_gone (Scrape *scrape)
{
  scrape->is_gone = TRUE;
}

static Scrape *
scrape_new (SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  Scrape *scrape = g_new0 (Scrape, 1);

  scrape->message = g_object_ref (message);
  scrape->exposition = derate_http_negotiate (soup_message_headers_get_list (headers, "Accept"));
  scrape->gzip =
      derate_http_accepts_gzip (soup_message_headers_get_list (headers, "Accept-Encoding"));
  scrape->handlers[0] =
      g_signal_connect_swapped (message, "finished", G_CALLBACK (on_gone), scrape);
  scrape->handlers[1] =
      g_signal_connect_swapped (message, "disconnected", G_CALLBACK (on_gone), scrape);
  return scrape;
}

static void
scrape_free (gpointer data)
{
  Scrape *scrape = data;

  for (guint i = 0; i < G_N_ELEMENTS (scrape->handlers); i++)
    g_signal_handler_disconnect (scrape->message, scrape->handlers[i]);
  g_object_unref (scrape->message);
  g_free (scrape);
}

static void
batch_free (Batch *batch)
{
  g_ptr_array_unref (batch->scrapes);
  g_object_unref (batch->registry);
  g_free (batch);
}

/* Answers those who wait for this form of the text. */
static void
answer (Batch *batch, gboolean gzip, GBytes *body)
{
  for (guint i = 0; i < batch->scrapes->len; i++)
    {
      const Scrape *scrape = g_ptr_array_index (batch->scrapes, i);

      if (scrape->is_gone || scrape->gzip != gzip)
        continue;
      if (gzip)
        soup_message_headers_replace (soup_server_message_get_response_headers (scrape->message),
                                      "Content-Encoding", "gzip");
      derate_http_send (scrape->message, SOUP_STATUS_OK, scrape->exposition->type, body);
      soup_server_message_unpause (scrape->message);
    }
}

static gboolean
wants_gzip (const Batch *batch)
{
  for (guint i = 0; i < batch->scrapes->len; i++)
    {
      const Scrape *scrape = g_ptr_array_index (batch->scrapes, i);

      if (scrape->gzip && !scrape->is_gone)
        return TRUE;
    }
  return FALSE;
}

static GBytes *
compress (GBytes *body)
{
  g_autoptr (GZlibCompressor) compressor =
      g_zlib_compressor_new (G_ZLIB_COMPRESSOR_FORMAT_GZIP, COMPRESSION_LEVEL);
  gsize left;
  const char *in = g_bytes_get_data (body, &left);
  GByteArray *out = g_byte_array_new ();
  GConverterResult result;

  do
    {
      guint start = out->len;
      gsize room = left / 4 + 1024;
      gsize n_read = 0;
      gsize n_written = 0;

      g_byte_array_set_size (out, start + (guint)room);
      result = g_converter_convert (G_CONVERTER (compressor), in, left, out->data + start, room,
                                    G_CONVERTER_INPUT_AT_END, &n_read, &n_written, NULL);
      g_byte_array_set_size (out, start + (guint)n_written);
      in += n_read;
      left -= n_read;
    }
  while (result == G_CONVERTER_CONVERTED);
  return g_byte_array_free_to_bytes (out);
}

static void
compress_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  g_task_return_pointer (task, compress (data), (GDestroyNotify)g_bytes_unref);
}

static void
on_compressed (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GBytes) body = g_task_propagate_pointer (G_TASK (result), NULL);

  answer (data, TRUE, body);
  batch_free (data);
}

static void
on_rendered (GObject *source, GAsyncResult *result, gpointer data)
{
  Batch *batch = data;
  g_autoptr (GBytes) body = derate_metrics_registry_render_finish (batch->registry, result, NULL);

  answer (batch, FALSE, body);
  if (!wants_gzip (batch))
    batch_free (batch);
  else if (g_bytes_get_size (body) <= COMPRESS_AT_ONCE)
    {
      g_autoptr (GBytes) compressed = compress (body);

      answer (batch, TRUE, compressed);
      batch_free (batch);
    }
  else
    {
      g_autoptr (GTask) task = g_task_new (NULL, NULL, on_compressed, batch);

      g_task_set_source_tag (task, on_rendered);
      g_task_set_task_data (task, g_bytes_ref (body), (GDestroyNotify)g_bytes_unref);
      g_task_run_in_thread (task, compress_in_thread);
    }
}

static gboolean
on_start (gpointer data)
{
  Batch *batch = data;

  for (guint i = 0; i < G_N_ELEMENTS (batch->starts); i++)
    {
      g_source_destroy (batch->starts[i]);
      g_source_unref (batch->starts[i]);
    }
  if (batch->owner != NULL)
    batch->owner->next[batch->format] = NULL;
  batch->owner = NULL;
  derate_metrics_registry_render_async (batch->registry, batch->format, NULL, on_rendered, batch);
  return G_SOURCE_REMOVE;
}

/* Begins once the loop has nothing else to do at the priority of its connections, or soon. */
static Batch *
batch_new (DerateHttpScrapes *owner, DerateMetricsFormat format)
{
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();
  DerateClock *clock = derate_clock_get_system ();
  Batch *batch = g_new0 (Batch, 1);

  batch->owner = owner;
  batch->registry = g_object_ref (owner->registry);
  batch->format = format;
  batch->scrapes = g_ptr_array_new_with_free_func (scrape_free);
  batch->starts[0] = g_idle_source_new ();
  g_source_set_priority (batch->starts[0], G_PRIORITY_DEFAULT + 1);
  batch->starts[1] = derate_clock_source_new (clock, derate_clock_get_time (clock) + PATIENCE);
  for (guint i = 0; i < G_N_ELEMENTS (batch->starts); i++)
    {
      g_source_set_callback (batch->starts[i], on_start, batch, NULL);
      g_source_attach (batch->starts[i], context);
    }
  return batch;
}

void
derate_http_scrapes_respond (DerateHttpScrapes *scrapes, SoupServerMessage *message)
{
  Scrape *scrape = scrape_new (message);
  DerateMetricsFormat format = scrape->exposition->format;

  if (scrapes->next[format] == NULL)
    scrapes->next[format] = batch_new (scrapes, format);
  g_ptr_array_add (scrapes->next[format]->scrapes, scrape);
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Vary",
                                "Accept, Accept-Encoding");
  soup_server_message_pause (message);
}
