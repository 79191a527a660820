/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-core-run-private.h"

#include "derate-degradation-manager-private.h"
#include "derate-error.h"
#include "derate-manual-clock.h"
#include "derate-service-private.h"

/* Starting and stopping. The monitor's hook runs in the monitor's context; the end of the start is
 * told in the owner's. */

static void
finish_start (gpointer owner, gpointer data)
{
  DerateCore *core = DERATE_CORE (owner);
  g_autoptr (GTask) task = g_steal_pointer (&core->starting);

  if (task == NULL)
    return;
  g_atomic_int_set (&core->state, DERATE_CORE_RUNNING);
  derate_core_systemd_ready (core->systemd);
  g_task_return_boolean (task, TRUE);
}

static void
on_monitor_changed (DerateMonitor *monitor, gpointer data)
{
  DerateCore *core = data;

  derate_degradation_manager_set_local_suspect (core->manager,
                                                derate_monitor_get_local_suspect (monitor));
  if (!derate_monitor_is_ready (monitor) || derate_degradation_manager_is_ready (core->manager))
    return;
  derate_degradation_manager_first_sweep_done (core->manager);
  derate_event_queue_push (core->owner_queue, G_OBJECT (core), finish_start, NULL, NULL);
}

/**
 * derate_core_start_async:
 * @core: a core
 * @cancellable: (nullable): not used yet
 * @callback: (scope async): called when the first level is published
 * @user_data: data for @callback
 *
 * Starts checks, the recovery loop and expiries. The first level is published, and @callback
 * called, when every service has been looked at once, at the latest after the grace of five
 * seconds.
 *
 * Since: 1.0
 */
void
derate_core_start_async (DerateCore *core,
                         GCancellable *cancellable,
                         GAsyncReadyCallback callback,
                         gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  g_autoptr (GError) error = NULL;

  g_return_if_fail (DERATE_IS_CORE (core));

  task = g_task_new (core, NULL, callback, user_data);
  g_task_set_source_tag (task, derate_core_start_async);
  if (derate_core_get_state (core) != DERATE_CORE_IDLE)
    {
      g_task_return_new_error (task, DERATE_ERROR, DERATE_ERROR_INVALID_STATE,
                               "core “%s” was started before", core->name);
      return;
    }
  if (!derate_core_update_inputs (core, &error))
    {
      g_task_return_error (task, g_steal_pointer (&error));
      return;
    }
  g_atomic_int_set (&core->state, DERATE_CORE_STARTING);
  core->starting = g_steal_pointer (&task);
  core->lag = derate_loop_lag_new (core->clock, core->monitor_context, core->owner_queue);
  derate_core_systemd_starting (core->systemd);
  derate_monitor_set_hook (core->monitor, on_monitor_changed, core);
  derate_degradation_manager_start (core->manager, core->monitor_context);
  derate_drill_set_start (core->drills, core->monitor_context);
  derate_monitor_start (core->monitor);
  if (!DERATE_IS_MANUAL_CLOCK (core->clock))
    core->thread = derate_monitor_thread_start (core->monitor_context);
}

/**
 * derate_core_start_finish:
 * @core: a core
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends the start.
 *
 * Returns: %FALSE with %DERATE_ERROR_INVALID_STATE where it was started before, or
 *   %DERATE_ERROR_INVALID_CONFIG where the rules do not hold together
 *
 * Since: 1.0
 */
gboolean
derate_core_start_finish (DerateCore *core, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, core), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

void
derate_core_shut_down (DerateCore *core)
{
  g_autoptr (GPtrArray) services = derate_core_snapshot_services (core);
  g_autoptr (GTask) starting = g_steal_pointer (&core->starting);

  g_atomic_int_set (&core->state, DERATE_CORE_STOPPED);
  derate_core_end_watches (core);
  derate_core_systemd_stopping (core->systemd);
  if (core->drills != NULL)
    derate_drill_set_stop (core->drills);
  if (core->monitor != NULL)
    derate_monitor_stop (core->monitor);
  if (core->manager != NULL)
    derate_degradation_manager_stop (core->manager);
  g_clear_pointer (&core->thread, derate_monitor_thread_stop);
  derate_core_systemd_stopped (core->systemd);
  g_clear_pointer (&core->lag, derate_loop_lag_free);
  for (guint i = 0; i < services->len; i++)
    derate_service_set_hook (g_ptr_array_index (services, i), NULL, NULL);
  if (starting != NULL)
    g_task_return_new_error (starting, G_IO_ERROR, G_IO_ERROR_CANCELLED,
                             "core “%s” was stopped while it started", core->name);
}

/**
 * derate_core_stop_async:
 * @core: a core
 * @cancellable: (nullable): not used yet
 * @callback: (scope async): called when everything has ended
 * @user_data: data for @callback
 *
 * Ends checks, timers and the core's thread. derate_core_is_ready() is %FALSE from now on. The
 * level stays what it was, and breakers go on working. A core is not started again.
 *
 * Since: 1.0
 */
void
derate_core_stop_async (DerateCore *core,
                        GCancellable *cancellable,
                        GAsyncReadyCallback callback,
                        gpointer user_data)
{
  g_autoptr (GTask) task = NULL;

  g_return_if_fail (DERATE_IS_CORE (core));

  task = g_task_new (core, cancellable, callback, user_data);
  g_task_set_source_tag (task, derate_core_stop_async);
  derate_core_shut_down (core);
  g_task_return_boolean (task, TRUE);
}

/**
 * derate_core_stop_finish:
 * @core: a core
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends the stop.
 *
 * Returns: %TRUE
 *
 * Since: 1.0
 */
gboolean
derate_core_stop_finish (DerateCore *core, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, core), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * derate_core_is_ready:
 * @core: a core
 *
 * Whether the program can serve what its level allows: from the first level on until it is stopped.
 * May be called from any thread.
 *
 * Returns: whether it is ready
 *
 * Since: 1.0
 */
gboolean
derate_core_is_ready (DerateCore *core)
{
  g_return_val_if_fail (DERATE_IS_CORE (core), FALSE);

  return derate_core_get_state (core) != DERATE_CORE_STOPPED &&
         derate_degradation_manager_is_ready (core->manager);
}

/**
 * derate_core_get_loop_lag:
 * @core: a core
 *
 * How late the loop of the core's owner is, asked once a second. May be called from any thread
 * while the core runs.
 *
 * Returns: microseconds; 0 while the core does not run
 *
 * Since: 1.0
 */
GTimeSpan
derate_core_get_loop_lag (DerateCore *core)
{
  g_return_val_if_fail (DERATE_IS_CORE (core), 0);

  return core->lag != NULL ? derate_loop_lag_get (core->lag) : 0;
}

static void
on_checked (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  g_autoptr (GError) error = NULL;
  DerateHealthReport *report =
      derate_service_check_finish (DERATE_SERVICE (source), result, &error);

  if (report == NULL)
    g_task_return_error (task, g_steal_pointer (&error));
  else
    g_task_return_pointer (task, report, (GDestroyNotify)derate_health_report_unref);
}

static gboolean
check_now (gpointer data)
{
  GTask *task = data;

  derate_service_check_async (g_task_get_task_data (task), g_task_get_cancellable (task),
                              on_checked, g_object_ref (task));
  return G_SOURCE_REMOVE;
}

void
derate_core_check_service_async (DerateCore *core,
                                 const char *name,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (core, cancellable, callback, user_data);
  DerateService *service = derate_core_lookup_service (core, name);

  g_task_set_source_tag (task, derate_core_check_service_async);
  if (service == NULL)
    {
      g_task_return_new_error (task, DERATE_ERROR, DERATE_ERROR_NO_SUCH_SERVICE, "no service “%s”",
                               name);
      return;
    }
  g_task_set_task_data (task, service, g_object_unref);
  g_main_context_invoke_full (core->monitor_context, G_PRIORITY_DEFAULT, check_now,
                              g_object_ref (task), g_object_unref);
}

DerateHealthReport *
derate_core_check_service_finish (DerateCore *core, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}
