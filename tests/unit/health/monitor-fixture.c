/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "monitor-fixture.h"

GLogWriterOutput
monitor_fixture_drop_log (GLogLevelFlags level,
                          const GLogField *fields,
                          gsize n_fields,
                          gpointer data)
{
  if (level & (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR))
    return g_log_writer_default (level, fields, n_fields, data);
  return G_LOG_WRITER_HANDLED;
}

static void
on_hook (DerateMonitor *monitor, gpointer data)
{
  ((MonitorFixture *)data)->n_hooks++;
}

void
monitor_fixture_advance (MonitorFixture *f, GTimeSpan span)
{
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (f->clock), span);
}

void
monitor_fixture_set_up_monitor (MonitorFixture *f,
                                GMainContext *check_context,
                                GMainContext *owner_context)
{
  f->monitor = derate_monitor_new (f->clock, check_context, owner_context);
  derate_monitor_set_seed (f->monitor, 1);
  derate_monitor_set_hook (f->monitor, on_hook, f);
}

void
monitor_fixture_set_up (MonitorFixture *f, gconstpointer data)
{
  f->clock = derate_manual_clock_new ();
  monitor_fixture_set_up_monitor (f, NULL, NULL);
}

/* Services that answer well and at once, on the second. */
void
monitor_fixture_add_services (MonitorFixture *f, guint n)
{
  g_autoptr (DerateHealthCheckConfig) config = derate_health_check_config_new ();

  derate_health_check_config_set_jitter (config, 0);
  for (; n > 0; n--, f->n++)
    {
      g_autofree char *name = g_strdup_printf ("s%u", f->n);

      f->checks[f->n] = fake_check_new (f->clock);
      f->services[f->n] = derate_service_new (name, DERATE_SERVICE_ROLE_NONE, f->clock);
      derate_service_set_health_check (f->services[f->n], DERATE_HEALTH_CHECK (f->checks[f->n]));
      derate_service_set_check_config (f->services[f->n], config);
      derate_monitor_add_service (f->monitor, f->services[f->n]);
    }
}

void
monitor_fixture_start (MonitorFixture *f)
{
  derate_monitor_start (f->monitor);
  monitor_fixture_advance (f, 0);
}

void
monitor_fixture_tear_down (MonitorFixture *f, gconstpointer data)
{
  derate_monitor_stop (f->monitor);
  if (DERATE_IS_MANUAL_CLOCK (f->clock))
    monitor_fixture_advance (f, 5 * SECOND); /* checks that only wait for the time end */
  while (g_main_context_iteration (NULL, FALSE))
    ;
  derate_monitor_unref (f->monitor);
  for (guint i = 0; i < f->n; i++)
    {
      if (f->checks[i]->kept != NULL)
        fake_check_let_go (f->checks[i]);
      while (g_main_context_iteration (NULL, FALSE))
        ;
      g_assert_finalize_object (f->services[i]);
      g_assert_finalize_object (f->checks[i]);
    }
  g_object_unref (f->clock);
}

void
monitor_fixture_assert_status (DerateService *service,
                               DerateHealthStatus status,
                               DerateHealthCause cause)
{
  g_assert_cmpstr (derate_health_status_get_nick (derate_service_get_status (service)), ==,
                   derate_health_status_get_nick (status));
  g_assert_cmpstr (derate_health_cause_get_nick (derate_service_get_cause (service)), ==,
                   derate_health_cause_get_nick (cause));
}
