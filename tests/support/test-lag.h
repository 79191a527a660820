/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* How long a context goes without a turn for reasons of its own: time in which the thread could run
 * but another had the processor is not counted. */
typedef struct _TestLag TestLag;

/* To be called in the thread that runs the context. */
TestLag *test_lag_start (GMainContext *context);
gint64 test_lag_stop (TestLag *lag); /* the worst, in microseconds */

#define TEST_LAG_MAX (50 * G_TIME_SPAN_MILLISECOND)

/* Microseconds in which this thread was ready and another had the processor. */
gint64 test_lag_read_wait (void);

G_END_DECLS
