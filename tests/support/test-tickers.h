/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The lag of the thread-default context's loop, beside that of a thread which has nothing to do:
 * what that one is late is the machine's doing. */
typedef struct _TestTickers TestTickers;

TestTickers *test_tickers_start (void);

/* The worst of both, in microseconds. */
void test_tickers_stop (TestTickers *tickers,
                        gint64      *own,
                        gint64      *bystander);

G_END_DECLS
