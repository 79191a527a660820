/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <derate.h>
#include <string.h>
#include <sys/resource.h>

#include "bench.h"
#include "case-client.h"
#include "case-rules.h"
#include "case-trip.h"

/* One that rules a database, for there to be gates. */
static gpointer
set_up_manager (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (GPtrArray) services = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GError) error = NULL;
  DerateDegradationManager *manager = derate_degradation_manager_new (clock, NULL);

  g_ptr_array_add (services, derate_service_new ("database", DERATE_SERVICE_ROLE_DATABASE, clock));
  if (!derate_degradation_manager_set_services (manager, services, NULL,
                                                DERATE_RULE_SET_MODE_EXTEND, NULL, &error))
    g_error ("%s", error->message);
  return manager;
}

static void
get_level (gpointer manager, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    BENCH_KEEP (derate_degradation_manager_get_level (manager));
}

static void
get_enforced_level (gpointer manager, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    BENCH_KEEP (derate_degradation_manager_get_enforced_level (manager));
}

/* As a program that does not keep the gate asks whether it is to be read-only. */
static void
check_mode (gpointer manager, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    {
      g_autoptr (DerateGate) gate = derate_degradation_manager_get_gate (manager, "writes");

      BENCH_KEEP (derate_gate_is_open (gate));
    }
}

static gpointer
set_up_gate (void)
{
  g_autoptr (DerateDegradationManager) manager = set_up_manager ();

  return derate_degradation_manager_get_gate (manager, "writes");
}

static void
tear_down_gate (gpointer gate)
{
  derate_gate_unref (gate);
}

static void
ask_gate (gpointer gate, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    BENCH_KEEP (derate_gate_is_open (gate));
}

static void
ask_gate_mode (gpointer gate, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    {
      DerateGateReason reason;

      BENCH_KEEP (derate_gate_get_mode (gate, &reason));
      BENCH_KEEP (reason);
    }
}

static const BenchCase cases[] = {
  { "get-level", 2, set_up_manager, get_level, g_object_unref, "call", .max_over = 2,
    .max_pair = 1.2 },
  { "get-level-enforced", 2, set_up_manager, get_enforced_level, g_object_unref, "call",
    .max_over = 2, .max_pair = 1.2 },
  { "gate", 2, set_up_gate, ask_gate, tear_down_gate, "call", .max_over = 2, .max_pair = 1.2 },
  { "gate-mode", 2, set_up_gate, ask_gate_mode, tear_down_gate, "call", .max_over = 2,
    .max_pair = 1.2 },
  { "mode-check", 2, set_up_manager, check_mode, g_object_unref, "mutex", .max_ns = 1e5 },
  { "evaluate", 1, bench_rules_new, bench_rules_evaluate, bench_rules_free, .max_ns = 1e5,
    .counted = 400 },
  { "turn-same", 1, bench_turn_new, bench_turn_take, bench_turn_free, .max_ns = 1e5,
    .counted = 400 },
  { "turn-twice", 1, bench_turn_new, bench_turn_change, bench_turn_free, .max_ns = 2e5,
    .counted = 40 },
  { "load", 1, NULL, bench_rules_load, NULL, .max_ns = 5e7, .counted = 10 },
  { "toggle", .set_up = bench_trip_new, .tear_down = bench_trip_free, .floor = "breaker-alone",
    .max_ns = 1e6, .sample = bench_trip_toggle, .sample_floor = bench_trip_toggle_alone,
    .samples = 400 },
  { "trip-to-caller", .set_up = bench_trip_new, .tear_down = bench_trip_free,
    .floor = "breaker-alone", .sample = bench_trip_to_caller, .sample_floor = bench_trip_alone,
    .samples = 400 },
  { "trip-to-thread", .set_up = bench_trip_new, .tear_down = bench_trip_free, .floor = "word",
    .max_ns = 5e4, .sample = bench_trip_to_thread, .sample_floor = bench_trip_word,
    .samples = 400 },
  { "trip-to-signal", .set_up = bench_trip_new, .tear_down = bench_trip_free, .floor = "signal",
    .max_ns = 2e6, .sample = bench_trip_to_signal, .sample_floor = bench_trip_signal,
    .samples = 400 },
  { "hold-storm", .set_up = bench_storm_new, .tear_down = bench_storm_free, .floor = "no-storm",
    .max_ns = 2e7, .sample = bench_storm_stall, .sample_floor = bench_storm_calm, .samples = 5 },
  { NULL },
};

static const BenchFigure figures[] = {
  { NULL },
};

/* A thousand callers of the bus need as many descriptors, theirs and its own. */
static void
raise_limit (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) == 0)
    {
      limit.rlim_cur = limit.rlim_max;
      setrlimit (RLIMIT_NOFILE, &limit);
    }
}

int
main (int argc, char **argv)
{
  raise_limit ();
  if (argc == 5 && strcmp (argv[1], "--client") == 0)
    return bench_client_main (argv[2], argv[3], argv[4]);
  return bench_main (argc, argv, cases, figures);
}
