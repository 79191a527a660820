/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/* A bus of our own, and another process on it: this program again, as `bench-level --client`. */
typedef struct _BenchBus BenchBus;

BenchBus *bench_bus_new (void);
void bench_bus_free (BenchBus *bus);
const char *bench_bus_get_folder (BenchBus *bus);
GDBusConnection *bench_bus_connect (const char *address);
const char *bench_bus_get_address (BenchBus *bus);

/* The process hears what @name says on the bus, and has so many connections to call it by. Returns
 * when it is there. */
void bench_bus_start_client (BenchBus   *bus,
                             const char *name,
                             guint       n_connections);
int bench_bus_get_client_fd (BenchBus *bus);
void bench_bus_tell_client (BenchBus   *bus,
                            const char *line);

/* Waits until the process has said a line that begins with @word; the time that it told, in ns. */
gint64 bench_bus_wait_for (BenchBus   *bus,
                           const char *word);
