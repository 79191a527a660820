/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What a program has at one moment: descriptors, threads, and sources of the default context. */
typedef struct
{
  guint fds;
  guint threads;
  guint sources;
} TestTraces;

/* What GLib keeps for whoever comes next is given up first. */
TestTraces test_traces_take (void);

/* Waits until it is as it was, and fails the test after a minute. */
void test_traces_assert_same (const TestTraces *before);

G_END_DECLS
