/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-service-room-private.h"

#include "derate-debug-private.h"
#include "derate-log-private.h"
#include "derate-names-private.h"
#include "derate-redact.h"
#include "derate-time-span.h"

/* How results, breaker and drill become a status, and who hears of it. Any thread may be here. Each
 * reads the breaker first, then takes the service's mutex and publishes, unless somebody who began
 * to read later was faster: what is published never gets older. */

typedef struct
{
  DerateHealthStatus from;
  DerateHealthStatus to;
  DerateHealthCause cause;
} Step;

const double derate_check_duration_bounds[DERATE_CHECK_DURATION_BOUNDS] = {
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
};

/* Telling: log, notify and signal, in the order of the steps */

static void
emit_step (gpointer owner, gpointer data)
{
  DerateService *service = owner;
  Step *step = data;

  g_object_freeze_notify (G_OBJECT (service));
  if (step->from != step->to)
    g_object_notify (G_OBJECT (service), "status");
  g_object_notify (G_OBJECT (service), "cause");
  g_object_thaw_notify (G_OBJECT (service));
  if (step->from != step->to)
    g_signal_emit_by_name (service, "status-changed", step->from, step->to, step->cause);
}

static void
log_step (DerateService *service, const Step *step)
{
  const char *from = derate_health_status_get_nick (step->from);
  const char *to = derate_health_status_get_nick (step->to);
  const char *cause =
      step->cause != DERATE_HEALTH_CAUSE_NONE ? derate_health_cause_get_nick (step->cause) : NULL;
  gboolean bad = step->to == DERATE_HEALTH_STATUS_DEGRADED || step->to == DERATE_HEALTH_STATUS_DOWN;
  g_autofree char *message =
      g_strdup_printf ("service %s: %s%s%s%s, was %s", service->name, to, cause != NULL ? " (" : "",
                       cause != NULL ? cause : "", cause != NULL ? ")" : "", from);

  derate_log_event (bad ? G_LOG_LEVEL_WARNING : G_LOG_LEVEL_INFO, DERATE_EVENT_SERVICE_STATUS,
                    service->name, message, DERATE_FIELD_PREVIOUS_STATE, from, DERATE_FIELD_STATE,
                    to, DERATE_FIELD_CAUSE, cause, NULL);
}

static void
tell_steps (DerateService *service)
{
  g_mutex_lock (&service->mutex);
  while (!service->telling && !g_queue_is_empty (&service->steps))
    {
      Step *step = g_queue_pop_head (&service->steps);
      g_autoptr (DerateEventQueue) events = derate_event_queue_ref (service->events);

      service->telling = TRUE;
      g_mutex_unlock (&service->mutex);
      if (step->from != step->to)
        log_step (service, step);
      derate_event_queue_push (events, G_OBJECT (service), emit_step, step, g_free);
      g_mutex_lock (&service->mutex);
      service->telling = FALSE;
    }
  g_mutex_unlock (&service->mutex);
}

/* Publishing */

/* Called locked. */
static void
expire_if_stale (DerateService *service, gint64 now)
{
  if (service->streak.status == DERATE_HEALTH_STATUS_UNKNOWN || now < service->fresh_until)
    return;
  derate_health_streak_expire (&service->streak);
  service->stale = TRUE;
  service->good_checks = 0;
}

static void
remember (DerateService *service, const Step *step, gint64 wall)
{
  DerateServiceChange change = { wall, step->from, step->to, step->cause };

  g_queue_push_tail (&service->history, g_memdup2 (&change, sizeof change));
  if (service->history.length > DERATE_SERVICE_HISTORY_MAX)
    g_free (g_queue_pop_head (&service->history));
  service->since_wall = wall;
}

/* Called locked. Returns whether the word changed. */
static gboolean
publish (DerateService *service, const DerateBreakerView *view, gint64 now, gint64 wall)
{
  guint old = g_atomic_int_get (&service->word);
  guint word;
  Step *step;

  /* A monitor knows whether the program stood still, so where there is one it alone says this. */
  if (service->waker == NULL)
    expire_if_stale (service, now);
  if (service->grace_until <= now)
    service->grace_until = 0;
  word = derate_service_word_compute (service->check != NULL ? &service->streak : NULL,
                                      service->stale, service->grace_until != 0, view,
                                      derate_service_get_worst_finding (service), &service->drill);
  if (word == old)
    return FALSE;

  g_atomic_int_set (&service->word, word);
  step = g_new (Step, 1);
  step->from = derate_service_word_get_status (old);
  step->to = derate_service_word_get_status (word);
  step->cause = derate_service_word_get_cause (word);
  if (step->from != step->to)
    remember (service, step, wall);
  if (step->from != step->to || step->cause != derate_service_word_get_cause (old))
    g_queue_push_tail (&service->steps, step);
  else
    g_free (step);
  return TRUE;
}

DerateBreaker *
derate_service_ref_breaker (DerateService *service, DerateBreakerQuestion *question)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&service->mutex);

  question->role = service->role;
  question->degraded_rate = service->breaker_degraded_rate;
  question->window =
      DERATE_SERVICE_STALE_INTERVALS * derate_health_check_config_get_interval (service->config);
  return service->breaker != NULL ? g_object_ref (service->breaker) : NULL;
}

static guint64
begin_reading (DerateService *service)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&service->mutex);

  return ++service->n_readings;
}

/* @always: the hook is called even if nothing changed here: another thread may have published what
 * this one is to tell of, and not have told it yet. */
static void
update (DerateService *service, gboolean always)
{
  DerateBreakerQuestion question;
  g_autoptr (DerateBreaker) breaker = derate_service_ref_breaker (service, &question);
  g_autoptr (GObject) owner = NULL;
  DerateBreakerView view;
  gboolean changed = always;
  DerateServiceHook hook;
  gpointer hook_data;

  do
    {
      gint64 now = derate_clock_get_time (service->clock);
      gint64 wall = derate_clock_get_real_time (service->clock);
      guint64 reading = begin_reading (service);

      derate_service_breaker_read (breaker, &question, &view);
      g_mutex_lock (&service->mutex);
      /* Who began to read later has published something newer. */
      if (reading > service->published)
        {
          service->published = reading;
          changed |= publish (service, &view, now, wall);
        }
      hook = service->hook;
      hook_data = service->hook_data;
      g_set_object (&owner, service->hook_owner);
      g_mutex_unlock (&service->mutex);
    }
  while (derate_service_breaker_has_changed (breaker, &view));

  if (changed && hook != NULL)
    hook (service, hook_data);
  tell_steps (service);
}

void
derate_service_update (DerateService *service)
{
  update (service, FALSE);
}

void
derate_service_tell (DerateService *service)
{
  update (service, TRUE);
}

void
derate_service_look (DerateService *service)
{
  gint64 now = derate_clock_get_time (service->clock);

  g_mutex_lock (&service->mutex);
  expire_if_stale (service, now);
  g_mutex_unlock (&service->mutex);
  update (service, FALSE);
}

static void
wake_monitor (DerateService *service)
{
  g_autoptr (DerateWaker) waker = NULL;

  g_mutex_lock (&service->mutex);
  if (service->waker != NULL)
    waker = derate_waker_ref (service->waker);
  g_mutex_unlock (&service->mutex);
  if (waker != NULL)
    derate_waker_wake (waker);
}

void
derate_service_begin_grace (DerateService *service, GTimeSpan span)
{
  gint64 now = derate_clock_get_time (service->clock);

  g_mutex_lock (&service->mutex);
  service->grace_until = now + span;
  g_mutex_unlock (&service->mutex);
  derate_service_update (service);
  wake_monitor (service); /* its end is to be looked at */
}

/* A DerateBreakerHook: what it is told may be old, so it looks itself. */
void
derate_service_breaker_changed (DerateBreaker *breaker,
                                DerateBreakerState old_state,
                                DerateBreakerState new_state,
                                gpointer owner)
{
  DerateService *service = owner;

  if (new_state == old_state)
    {
      derate_service_update (service);
      return;
    }
  update (service, TRUE);
  wake_monitor (service); /* the open-until that it waits for may be another */
}

void
derate_service_forgive (DerateService *service, GTimeSpan span)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&service->mutex);

  if (service->fresh_until < DERATE_CLOCK_NEVER - span)
    service->fresh_until += span;
}

/* Results */

static void
count_duration (DerateServiceCheckStats *stats, GTimeSpan latency)
{
  double seconds = latency / (double)G_TIME_SPAN_SECOND;
  guint i = 0;

  while (i < DERATE_CHECK_DURATION_BOUNDS && seconds > derate_check_duration_bounds[i])
    i++;
  stats->buckets[i]++;
  stats->count++;
  stats->sum += seconds;
}

/* A healthy answer at or after check-slow is a degraded one. */
static DerateHealthReport *
judge_latency (DerateService *service, DerateHealthReport *report, GTimeSpan latency)
{
  g_autofree char *span = NULL;
  g_autofree char *message = NULL;
  GTimeSpan slow;

  g_mutex_lock (&service->mutex);
  slow = derate_health_check_config_get_slow (service->config);
  g_mutex_unlock (&service->mutex);

  if (derate_health_report_get_status (report) != DERATE_HEALTH_STATUS_HEALTHY || latency < slow)
    return derate_health_report_ref (report);
  span = derate_time_span_to_string (latency);
  message = g_strdup_printf ("answered after %s", span);
  return derate_health_report_new (DERATE_HEALTH_STATUS_DEGRADED, DERATE_HEALTH_CAUSE_SLOW,
                                   message);
}

static char *
make_error_text (DerateHealthReport *report, const GError *error)
{
  const char *text = error != NULL ? error->message : derate_health_report_get_message (report);

  return text != NULL ? derate_redact (text) : NULL;
}

/* Called locked. */
static void
take_report (DerateService *service, DerateHealthReport *report, gint64 now, gint64 wall)
{
  DerateHealthStatus result = derate_health_report_get_status (report);

  service->last_result = now;
  service->last_result_wall = wall;
  service->fresh_until = now + DERATE_SERVICE_STALE_INTERVALS *
                                   derate_health_check_config_get_interval (service->config);
  service->stale = FALSE;
  derate_health_streak_add (&service->streak, result, derate_health_report_get_cause (report),
                            derate_health_check_config_get_fall (service->config),
                            derate_health_check_config_get_rise (service->config));
}

static void
return_waiters (GPtrArray *waiters, DerateHealthReport *report, const GError *error)
{
  for (guint i = 0; i < waiters->len; i++)
    {
      GTask *task = g_ptr_array_index (waiters, i);

      if (error != NULL)
        g_task_return_error (task, g_error_copy (error));
      else
        g_task_return_pointer (task, derate_health_report_ref (report),
                               (GDestroyNotify)derate_health_report_unref);
    }
}

/* What the breaker is told of a check, which goes round it. */
static void
tell_breaker (DerateService *service, gboolean good)
{
  DerateBreakerQuestion question;
  g_autoptr (DerateBreaker) breaker = derate_service_ref_breaker (service, &question);
  guint64 openings;
  guint n_good;
  guint rise;

  if (breaker == NULL)
    return;
  openings = derate_service_breaker_count_openings (breaker);

  g_mutex_lock (&service->mutex);
  if (!good || service->good_openings != openings)
    service->good_checks = 0;
  service->good_openings = openings;
  n_good = good ? ++service->good_checks : 0;
  rise = derate_health_check_config_get_rise (service->config);
  g_mutex_unlock (&service->mutex);

  derate_breaker_note_good_check (breaker, n_good, rise);
}

static void
note_answer (DerateService *service,
             DerateHealthReport *report,
             const GError *error,
             GTimeSpan latency)
{
  g_autofree char *span = derate_time_span_to_string (latency);
  const char *message = report != NULL ? derate_health_report_get_message (report) : NULL;

  if (report == NULL)
    derate_debug_note (DERATE_DEBUG_HEALTH, "service %s: no answer after %s: %s", service->name,
                       span, error->message);
  else
    derate_debug_note (DERATE_DEBUG_HEALTH, "service %s: %s after %s%s%s", service->name,
                       derate_health_status_get_nick (derate_health_report_get_status (report)),
                       span, message != NULL ? ": " : "", message != NULL ? message : "");
}

void
derate_service_take_answer (DerateService *service,
                            DerateHealthReport *raw,
                            const GError *error,
                            GTimeSpan latency)
{
  gint64 now = derate_clock_get_time (service->clock);
  gint64 wall = derate_clock_get_real_time (service->clock);
  gboolean given_up = g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_autoptr (DerateHealthReport) report =
      raw != NULL ? judge_latency (service, raw, latency) : NULL;
  gboolean good =
      report != NULL && derate_health_report_get_status (report) == DERATE_HEALTH_STATUS_HEALTHY;
  g_autofree char *text = good ? NULL : make_error_text (report, error);
  g_autofree char *old_text = NULL;
  g_autoptr (GPtrArray) waiters = NULL;

  g_mutex_lock (&service->mutex);
  waiters = g_steal_pointer (&service->waiters);
  service->waiters = g_ptr_array_new_with_free_func (g_object_unref);
  service->run_answered = TRUE;
  service->n_answers++;
  if (!given_up)
    service->grace_until = 0;
  if (report != NULL)
    {
      count_duration (&service->stats, latency);
      take_report (service, report, now, wall);
    }
  else if (!given_up)
    service->stats.errors++;
  if (!given_up && (!good || service->streak.status == DERATE_HEALTH_STATUS_HEALTHY))
    {
      old_text = g_steal_pointer (&service->error);
      service->error = g_steal_pointer (&text);
    }
  g_mutex_unlock (&service->mutex);

  if (derate_debug_is_on (DERATE_DEBUG_HEALTH))
    note_answer (service, report, error, latency);
  if (report != NULL)
    tell_breaker (service, good);
  derate_service_update (service);
  return_waiters (waiters, report, error);
  wake_monitor (service);
}
