/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-tickers.h"

#include <stdio.h>

#define TICK_MS 2

typedef struct
{
  GSource *source;
  gint64 last;
  gint64 waited; /* for a processor, until `last` */
  gint64 worst;
} Ticker;

struct _TestTickers
{
  Ticker own;
  Ticker bystander; /* its thread's */
  GMainLoop *loop;
  GThread *thread;
};

/* Microseconds in which this thread was ready and another had the processor. */
static gint64
read_wait (void)
{
  g_autofree char *text = NULL;
  guint64 running, waiting;

  if (g_file_get_contents ("/proc/thread-self/schedstat", &text, NULL, NULL) &&
      sscanf (text, "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, &running, &waiting) == 2)
    return (gint64)(waiting / 1000);
  return 0;
}

static gboolean
tick (gpointer data)
{
  Ticker *ticker = data;
  gint64 now = g_get_monotonic_time ();
  gint64 waited = read_wait ();
  gint64 late = now - ticker->last - TICK_MS * G_TIME_SPAN_MILLISECOND - (waited - ticker->waited);

  ticker->worst = MAX (ticker->worst, late);
  ticker->last = now;
  ticker->waited = waited;
  return G_SOURCE_CONTINUE;
}

/* In the thread that runs the context. */
static void
ticker_start (Ticker *ticker, GMainContext *context)
{
  ticker->last = g_get_monotonic_time ();
  ticker->waited = read_wait ();
  ticker->source = g_timeout_source_new (TICK_MS);
  g_source_set_priority (ticker->source, G_PRIORITY_HIGH);
  g_source_set_callback (ticker->source, tick, ticker, NULL);
  g_source_attach (ticker->source, context);
}

static void
ticker_stop (Ticker *ticker)
{
  tick (ticker); /* the one that is due counts, too */
  g_source_destroy (ticker->source);
  g_source_unref (ticker->source);
}

static gpointer
run_bystander (gpointer data)
{
  TestTickers *tickers = data;

  ticker_start (&tickers->bystander, g_main_loop_get_context (tickers->loop));
  g_main_loop_run (tickers->loop);
  ticker_stop (&tickers->bystander);
  return NULL;
}

static gboolean
quit (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_REMOVE;
}

TestTickers *
test_tickers_start (void)
{
  TestTickers *tickers = g_new0 (TestTickers, 1);
  g_autoptr (GMainContext) context = g_main_context_new ();

  tickers->loop = g_main_loop_new (context, FALSE);
  tickers->thread = g_thread_new ("bystander", run_bystander, tickers);
  ticker_start (&tickers->own, NULL);
  return tickers;
}

void
test_tickers_stop (TestTickers *tickers, gint64 *own, gint64 *bystander)
{
  ticker_stop (&tickers->own);
  g_main_context_invoke (g_main_loop_get_context (tickers->loop), quit, tickers->loop);
  g_thread_join (tickers->thread);
  *own = tickers->own.worst;
  *bystander = tickers->bystander.worst;
  g_main_loop_unref (tickers->loop);
  g_free (tickers);
}
