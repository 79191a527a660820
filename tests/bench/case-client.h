/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The other process of case-bus.h: says when it received what, and makes a storm of holds when it
 * is told to. */
int bench_client_main (const char *address,
                       const char *name,
                       const char *n_connections);

/* The signal that has nothing behind it. */
#define BENCH_INTERFACE "org.derate.Bench"
#define BENCH_SIGNAL "Bare"
