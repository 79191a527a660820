/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "case-program.h"

static void
add_service (BenchProgram *program, const char *name, DerateServiceRole role)
{
  g_autoptr (DerateBreaker) breaker = derate_breaker_new (name, NULL);
  g_autoptr (DerateService) service =
      derate_service_new (name, role, derate_core_get_clock (program->core));
  g_autoptr (GError) error = NULL;

  derate_service_set_breaker (service, breaker);
  if (!derate_core_add_service (program->core, service, &error))
    g_error ("%s", error->message);
}

/* No tick comes by itself. */
static void
rest (BenchProgram *program)
{
  derate_degradation_manager_set_recovery (program->manager, DERATE_RECOVERY_MODE_DIRECT,
                                           G_TIME_SPAN_DAY, 0, FALSE);
}

static void
ignore_level (DerateDegradationManager *manager,
              DerateLevel old_level,
              DerateLevel new_level,
              const char *rule,
              gpointer data)
{
}

void
bench_program_init (BenchProgram *program, guint n_clients)
{
  g_autoptr (GError) error = NULL;

  program->bus = bench_bus_new ();
  program->connection = bench_bus_connect (bench_bus_get_address (program->bus));
  program->core = derate_core_new ("bench", NULL, &error);
  if (program->core == NULL)
    g_error ("%s", error->message);
  program->manager = derate_core_get_degradation_manager (program->core);
  add_service (program, "database", DERATE_SERVICE_ROLE_DATABASE);
  add_service (program, "redis", DERATE_SERVICE_ROLE_CACHE);
  add_service (program, "openai", DERATE_SERVICE_ROLE_AI);
  add_service (program, "s3", DERATE_SERVICE_ROLE_STORAGE);
  program->breaker = derate_core_lookup_breaker (program->core, "database");
  g_signal_connect (program->manager, "level-changed", G_CALLBACK (ignore_level), NULL);
  rest (program);

  program->exporter = derate_dbus_exporter_new (program->core, program->connection, &error);
  if (program->exporter == NULL)
    g_error ("%s", error->message);
  derate_core_start_async (program->core, NULL, NULL, NULL);
  while (derate_dbus_exporter_get_bus_name (program->exporter) == NULL ||
         !derate_core_is_ready (program->core))
    g_main_context_iteration (NULL, TRUE);
  program->writes = derate_degradation_manager_get_gate (program->manager, "writes");
  bench_bus_start_client (program->bus, derate_dbus_exporter_get_bus_name (program->exporter),
                          n_clients);
}

static void
on_stopped (GObject *core, GAsyncResult *result, gpointer stopped)
{
  *(gboolean *)stopped = TRUE;
}

void
bench_program_clear (BenchProgram *program)
{
  gboolean stopped = FALSE;

  g_clear_object (&program->exporter);
  derate_core_stop_async (program->core, NULL, on_stopped, &stopped);
  while (!stopped)
    g_main_context_iteration (NULL, TRUE);
  g_clear_pointer (&program->writes, derate_gate_unref);
  g_clear_object (&program->breaker);
  g_clear_object (&program->core);
  g_clear_object (&program->connection);
  g_clear_pointer (&program->bus, bench_bus_free);
}

void
bench_program_improve (BenchProgram *program)
{
  derate_degradation_manager_set_recovery (program->manager, DERATE_RECOVERY_MODE_DIRECT,
                                           G_TIME_SPAN_MILLISECOND, 0, FALSE);
  bench_bus_wait_for (program->bus, "optimal");
  rest (program);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

void
bench_program_heal (BenchProgram *program)
{
  bench_bus_wait_for (program->bus, "minimal");
  derate_breaker_reset (program->breaker);
  bench_program_improve (program);
}
