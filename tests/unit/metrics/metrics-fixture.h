/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-metrics-registry-private.h"

G_BEGIN_DECLS

/* A collector whose work the test gives. */
#define TEST_TYPE_COLLECTOR (test_collector_get_type ())
G_DECLARE_FINAL_TYPE (TestCollector, test_collector, TEST, COLLECTOR, GObject)

typedef void (*TestWork) (DerateMetricsWriter *writer,
                          gpointer             data);

struct _TestCollector
{
  GObject parent_instance;
  TestWork work;
  gpointer data;
  int n_calls; /* atomic */
};

TestCollector *test_collector_add (DerateMetricsRegistry *registry,
                                   TestWork               work,
                                   gpointer               data);

void assert_line (const char *text,
                  const char *line);

/* The number behind @series, of which there is one. */
guint64 read_value (const char *text,
                    const char *series);

char *render_openmetrics (DerateMetricsRegistry *registry);

G_END_DECLS
