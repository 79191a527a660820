/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-service-room-private.h"

#include "derate-error.h"

/* Running a service's check: one at a time, for everybody who asked. */

static void
on_answer (DerateCheckRun *run,
           DerateHealthReport *report,
           const GError *error,
           GTimeSpan latency,
           gpointer data)
{
  derate_service_take_answer (data, report, error, latency);
}

static void
on_ended (DerateCheckRun *run, gpointer data)
{
  DerateService *service = data;
  g_autoptr (DerateCheckRun) ended = NULL;
  g_autoptr (DerateWaker) waker = NULL;

  g_mutex_lock (&service->mutex);
  if (service->run == run)
    {
      ended = g_steal_pointer (&service->run);
      service->run_answered = FALSE;
    }
  if (service->waker != NULL)
    waker = derate_waker_ref (service->waker);
  g_mutex_unlock (&service->mutex);
  if (waker != NULL)
    derate_waker_wake (waker);
}

/* Called locked. NULL where there is nothing to start. */
static DerateCheckRun *
make_run (DerateService *service, GMainContext *check_context, GMainContext *owner_context)
{
  DerateCheckRunArgs args = {
    .clock = service->clock,
    .timeout = derate_health_check_config_get_timeout (service->config),
    .delay = derate_delay_policy_get (service->delay),
    .check_context = check_context,
    .owner_context = owner_context,
    .answer = on_answer,
    .ended = on_ended,
    .data = G_OBJECT (service),
  };

  if (service->check == NULL || service->run != NULL)
    return NULL;
  service->run = derate_check_run_new (service->check, &args);
  service->run_answered = FALSE;
  return derate_check_run_ref (service->run);
}

void
derate_service_start_check (DerateService *service)
{
  g_autoptr (DerateCheckRun) run = NULL;

  g_mutex_lock (&service->mutex);
  if (service->waker != NULL)
    run = make_run (service, service->check_context, service->owner_context);
  g_mutex_unlock (&service->mutex);
  if (run != NULL)
    derate_check_run_begin (run);
}

/**
 * derate_service_check_async:
 * @service: a service
 * @cancellable: (nullable): ends the wait, not the check, which others may wait for
 * @callback: called once, in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * Runs the health check now. Requests made while one runs share it. The result counts as any other:
 * it takes as many in a row as the configuration says to change the status. Started by the monitor
 * where the service has one, else in the thread-default context of the caller, which must then run.
 * May be called from any thread.
 *
 * Since: 1.0
 */
void
derate_service_check_async (DerateService *service,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (service, cancellable, callback, user_data);
  g_autoptr (GMainContext) own = g_main_context_ref_thread_default ();
  g_autoptr (DerateCheckRun) run = NULL;
  g_autoptr (DerateWaker) waker = NULL;
  const char *refusal = NULL;

  g_return_if_fail (DERATE_IS_SERVICE (service));

  g_task_set_source_tag (task, derate_service_check_async);
  g_mutex_lock (&service->mutex);
  if (service->check == NULL)
    refusal = "it has no health check";
  else if (service->run != NULL && service->run_answered)
    refusal = "its last check was given up and has not ended";
  else
    {
      g_ptr_array_add (service->waiters, g_object_ref (task));
      if (service->waker != NULL)
        waker = derate_waker_ref (service->waker);
      else
        run = make_run (service, own, derate_event_queue_get_context (service->events));
    }
  g_mutex_unlock (&service->mutex);

  if (refusal != NULL)
    g_task_return_new_error (task, DERATE_ERROR, DERATE_ERROR_INVALID_STATE,
                             "service %s was not checked: %s", service->name, refusal);
  else if (waker != NULL)
    derate_waker_wake (waker);
  else if (run != NULL)
    derate_check_run_begin (run);
}

/**
 * derate_service_check_finish:
 * @service: a service
 * @result: what the callback was given
 * @error: where to put the error
 *
 * Ends derate_service_check_async().
 *
 * Returns: (transfer full): what was found, or %NULL with the check's own failure, with
 *   %DERATE_ERROR_INVALID_STATE where it could not be run, or with %G_IO_ERROR_CANCELLED
 *
 * Since: 1.0
 */
DerateHealthReport *
derate_service_check_finish (DerateService *service, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, service), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/* For the monitor */

gboolean
derate_service_attach (DerateService *service,
                       DerateWaker *waker,
                       GMainContext *check_context,
                       GMainContext *owner_context)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&service->mutex);

  if (service->waker != NULL)
    return FALSE;
  service->waker = derate_waker_ref (waker);
  service->check_context = g_main_context_ref (check_context);
  service->owner_context = g_main_context_ref (owner_context);
  return TRUE;
}

void
derate_service_detach (DerateService *service)
{
  g_autoptr (DerateWaker) waker = NULL;
  g_autoptr (GMainContext) check_context = NULL;
  g_autoptr (GMainContext) owner_context = NULL;
  g_autoptr (DerateCheckRun) run = NULL;
  g_autoptr (GPtrArray) waiters = NULL;

  g_mutex_lock (&service->mutex);
  waker = g_steal_pointer (&service->waker);
  check_context = g_steal_pointer (&service->check_context);
  owner_context = g_steal_pointer (&service->owner_context);
  if (service->run != NULL)
    run = derate_check_run_ref (service->run);
  else
    {
      waiters = g_steal_pointer (&service->waiters);
      service->waiters = g_ptr_array_new_with_free_func (g_object_unref);
    }
  g_mutex_unlock (&service->mutex);

  if (run != NULL)
    derate_check_run_cancel (run); /* answers those who wait */
  for (guint i = 0; waiters != NULL && i < waiters->len; i++)
    g_task_return_new_error (g_ptr_array_index (waiters, i), G_IO_ERROR, G_IO_ERROR_CANCELLED,
                             "checking service %s was given up", service->name);
}

void
derate_service_poll_breaker (DerateService *service)
{
  g_autoptr (DerateBreaker) breaker = NULL;

  g_mutex_lock (&service->mutex);
  g_set_object (&breaker, service->breaker);
  g_mutex_unlock (&service->mutex);
  if (breaker != NULL)
    derate_breaker_poll (breaker);
}

/* Called locked. When the status becomes another without anything happening. */
static gint64
get_fresh_until (DerateService *service)
{
  if (service->streak.status != DERATE_HEALTH_STATUS_UNKNOWN)
    return service->fresh_until;
  return service->grace_until != 0 ? service->grace_until : DERATE_CLOCK_NEVER;
}

void
derate_service_get_schedule (DerateService *service, DerateServiceSchedule *schedule)
{
  g_autoptr (DerateBreaker) breaker = NULL;
  const DerateHealthStreak *streak = &service->streak;

  g_mutex_lock (&service->mutex);
  *schedule = (DerateServiceSchedule){
    .has_check = service->check != NULL,
    .running = service->run != NULL && !service->run_answered,
    .busy = service->run != NULL,
    .wanted = service->run == NULL && service->waiters->len > 0,
    .undecided = derate_health_streak_is_undecided (streak),
    .remote = service->remote,
    .last = streak->last,
    .n_answers = service->n_answers,
    .fresh_until = get_fresh_until (service),
    .open_until = DERATE_CLOCK_NEVER,
    .interval = derate_health_check_config_get_interval (service->config),
    .fast_interval = derate_health_check_config_get_fast_interval (service->config),
    .jitter = derate_health_check_config_get_jitter (service->config),
  };
  g_set_object (&breaker, service->breaker);
  g_mutex_unlock (&service->mutex);
  if (breaker != NULL)
    schedule->open_until = derate_breaker_get_open_until (breaker);
}
