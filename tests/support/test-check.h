/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "test-lag.h"

#include <derate.h>

G_BEGIN_DECLS

/* A check made by the real module. Then pairs of option and value, ended by NULL. */
DerateHealthCheck *test_check_new (const char *plugin,
                                   ...) G_GNUC_NULL_TERMINATED;

/* The error of one that cannot be made. */
GError *test_check_new_fails (const char *plugin,
                              ...) G_GNUC_NULL_TERMINATED;

/* Runs it once, in the thread-default context. */
DerateHealthReport *test_check_run (DerateHealthCheck *check);

/* Runs it once and looks at what comes out; gives the message. */
char *test_check_expect (DerateHealthCheck *check,
                         DerateHealthStatus status,
                         DerateHealthCause  cause);

/* Runs it against something that hangs: the loop goes on for a while, nothing is lagged by it, and
 * cancelling ends it. */
void test_check_hangs (DerateHealthCheck *check);

/* Fails where the thread-default context of the caller is late, whenever that runs: later than one
 * beside it by more than the limit. A machine with much to do makes any loop late now and then;
 * what blocks a loop does so each time. */
void test_loop_goes_on (void   (*func) (gpointer data),
                        gpointer data);

#define TEST_LAG_ATTEMPTS 10

/* Turns the context for a while. */
void test_run_for (GMainContext *context,
                   guint         milliseconds);

/* Something that listens on 127.0.0.1, reads, and gives everybody the same answer: what no real
 * server can be made to say. NULL for silence. */
typedef struct _TestStandIn TestStandIn;

TestStandIn *test_stand_in_new (const void *answer,
                                gsize       length);
guint16 test_stand_in_get_port (TestStandIn *stand_in);
char *test_stand_in_dup_heard (TestStandIn *stand_in); /* all that it was sent so far */
void test_stand_in_free (TestStandIn *stand_in);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TestStandIn, test_stand_in_free)

G_END_DECLS
