/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-http-accept-private.h"
#include "derate-http-private.h"

/* Threads: the text is made in a thread of the registry's, and compressed in one of GIO's where it
 * is long; all else happens in the server's context. */

/* So much is compressed within a tenth of a millisecond or so. */
#define COMPRESS_AT_ONCE 4096

/* A scrape is made anew each time: what the better levels save is not worth their time. */
#define COMPRESSION_LEVEL 1

typedef struct
{
  SoupServerMessage *message; /* paused */
  gboolean is_gone; /* the client is, or its server */
  gulong handlers[2];
  const DerateHttpExposition *exposition;
  gboolean gzip;
} Scrape;

static void
on_gone (Scrape *scrape)
{
  scrape->is_gone = TRUE;
}

static void
scrape_free (Scrape *scrape)
{
  for (guint i = 0; i < G_N_ELEMENTS (scrape->handlers); i++)
    g_signal_handler_disconnect (scrape->message, scrape->handlers[i]);
  g_object_unref (scrape->message);
  g_free (scrape);
}

static void
answer (Scrape *scrape, GBytes *body)
{
  if (!scrape->is_gone)
    {
      if (scrape->gzip)
        soup_message_headers_replace (soup_server_message_get_response_headers (scrape->message),
                                      "Content-Encoding", "gzip");
      derate_http_send (scrape->message, SOUP_STATUS_OK, scrape->exposition->type, body);
      soup_server_message_unpause (scrape->message);
    }
  scrape_free (scrape);
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

  answer (data, body);
}

static void
on_rendered (GObject *source, GAsyncResult *result, gpointer data)
{
  Scrape *scrape = data;
  g_autoptr (GBytes) body =
      derate_metrics_registry_render_finish (DERATE_METRICS_REGISTRY (source), result, NULL);
  g_autoptr (GBytes) compressed = NULL;

  if (!scrape->gzip || scrape->is_gone)
    answer (scrape, body);
  else if (g_bytes_get_size (body) <= COMPRESS_AT_ONCE)
    {
      compressed = compress (body);
      answer (scrape, compressed);
    }
  else
    {
      g_autoptr (GTask) task = g_task_new (NULL, NULL, on_compressed, scrape);

      g_task_set_source_tag (task, on_rendered);
      g_task_set_task_data (task, g_bytes_ref (body), (GDestroyNotify)g_bytes_unref);
      g_task_run_in_thread (task, compress_in_thread);
    }
}

void
derate_http_respond_metrics (DerateMetricsRegistry *registry, SoupServerMessage *message)
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
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Vary",
                                "Accept, Accept-Encoding");
  soup_server_message_pause (message);
  derate_metrics_registry_render_async (registry, scrape->exposition->format, NULL, on_rendered,
                                        scrape);
}
