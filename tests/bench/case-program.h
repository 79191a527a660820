/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-dbus-exporter.h>
#include <derate.h>

#include "case-bus.h"

/* A program with four services on a bus of its own, and another process that hears it. */
typedef struct
{
  BenchBus *bus;
  GDBusConnection *connection;
  DerateCore *core;
  DerateDbusExporter *exporter;
  DerateDegradationManager *manager;
  DerateBreaker *breaker; /* of the database */
  DerateGate *writes;
} BenchProgram;

void bench_program_init (BenchProgram *program,
                         guint         n_clients);
void bench_program_clear (BenchProgram *program);

/* Waits until the other process has heard that the database is down, heals it, and improves. */
void bench_program_heal (BenchProgram *program);

/* Lets the level be as good as it can, and waits until the other process has heard that it is
 * optimal. */
void bench_program_improve (BenchProgram *program);
