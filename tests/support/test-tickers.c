/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-tickers.h"

#include "test-lag.h"

struct _TestTickers
{
  TestLag *own;
  gint64 bystander; /* its thread's, when that has ended */
  GMainLoop *loop;
  GThread *thread;
};

static gpointer
run_bystander (gpointer data)
{
  TestTickers *tickers = data;
  TestLag *lag = test_lag_start (g_main_loop_get_context (tickers->loop));

  g_main_loop_run (tickers->loop);
  tickers->bystander = test_lag_stop (lag);
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
  tickers->own = test_lag_start (g_main_context_get_thread_default ());
  return tickers;
}

void
test_tickers_stop (TestTickers *tickers, gint64 *own, gint64 *bystander)
{
  *own = test_lag_stop (tickers->own);
  g_main_context_invoke (g_main_loop_get_context (tickers->loop), quit, tickers->loop);
  g_thread_join (tickers->thread);
  *bystander = tickers->bystander;
  g_main_loop_unref (tickers->loop);
  g_free (tickers);
}
