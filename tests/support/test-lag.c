/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-lag.h"

#include <stdio.h>

#define TICK_MS 2

struct _TestLag
{
  GSource *source;
  gint64 last;
  gint64 waited; /* for a processor, until `last` */
  gint64 worst;
};

gint64
test_lag_read_wait (void)
{
  g_autofree char *text = NULL;
  guint64 running = 0;
  guint64 waiting = 0;

  if (g_file_get_contents ("/proc/thread-self/schedstat", &text, NULL, NULL) &&
      sscanf (text, "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, &running, &waiting) == 2)
    return (gint64)(waiting / 1000);
  return 0;
}

static gboolean
tick (gpointer user_data)
{
  TestLag *lag = user_data;
  gint64 now = g_get_monotonic_time ();
  gint64 waited = test_lag_read_wait ();
  gint64 late = now - lag->last - TICK_MS * G_TIME_SPAN_MILLISECOND - (waited - lag->waited);

  lag->worst = MAX (lag->worst, late);
  lag->last = now;
  lag->waited = waited;
  return G_SOURCE_CONTINUE;
}

TestLag *
test_lag_start (GMainContext *context)
{
  TestLag *lag = g_new0 (TestLag, 1);

  lag->source = g_timeout_source_new (TICK_MS);
  lag->last = g_get_monotonic_time ();
  lag->waited = test_lag_read_wait ();
  g_source_set_priority (lag->source, G_PRIORITY_HIGH);
  g_source_set_callback (lag->source, tick, lag, NULL);
  g_source_attach (lag->source, context);
  return lag;
}

gint64
test_lag_stop (TestLag *lag)
{
  gint64 worst;

  tick (lag); /* the one that is due counts, too */
  worst = lag->worst;
  g_source_destroy (lag->source);
  g_source_unref (lag->source);
  g_free (lag);
  return worst;
}
