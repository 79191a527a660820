/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A call through retry, breaker, timeout and bulkhead, of which nothing fails. */
gpointer bench_pipeline_new (void);
void bench_pipeline_call (gpointer pipeline,
                          guint64  n);

/* Times malloc and its like were asked in a thousand such calls. */
double bench_pipeline_count_allocations (void);
