/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-check-run-private.h"

#include "derate-error.h"
#include "derate-time-span.h"

/* Threads: the check runs in one context, its deadline in another, and cancel () comes from
 * anywhere. The mutex guards all that changes; whoever takes the run out of a waiting state is the
 * one who answers. The check may end in another thread meanwhile, so it is the second of those two
 * that tells of the end. */

typedef enum
{
  RUN_WAITING, /* for its context */
  RUN_DELAYED, /* for a drill: as if running, but there is no check that has to end */
  RUN_RUNNING,
  RUN_ABANDONED, /* answered, but the check has not ended */
  RUN_ENDED,
} RunState;

struct _DerateCheckRun
{
  DerateHealthCheck *check;
  DerateCheckRunArgs args;
  GMainContext *context; /* where the check runs */
  GCancellable *cancellable;
  GMutex mutex;
  RunState state;
  gint64 started;
  GSource *timer;
  GSource *begin; /* (nullable) of a run that is delayed */
  gboolean half_done; /* answered, or the check has ended */
};

static void
run_clear (gpointer data)
{
  DerateCheckRun *run = data;

  g_object_unref (run->check);
  g_object_unref (run->args.clock);
  g_object_unref (run->args.data);
  g_main_context_unref (run->args.check_context);
  g_main_context_unref (run->args.owner_context);
  g_object_unref (run->cancellable);
  g_clear_pointer (&run->timer, g_source_unref);
  g_clear_pointer (&run->begin, g_source_unref);
  g_mutex_clear (&run->mutex);
}

DerateCheckRun *
derate_check_run_new (DerateHealthCheck *check, const DerateCheckRunArgs *args)
{
  DerateCheckRun *run = g_atomic_rc_box_new0 (DerateCheckRun);
  gboolean anywhere = derate_health_check_get_threading (check) == DERATE_HEALTH_CHECK_ANY_THREAD;

  run->check = g_object_ref (check);
  run->args = *args;
  g_object_ref (run->args.clock);
  g_object_ref (run->args.data);
  g_main_context_ref (run->args.check_context);
  g_main_context_ref (run->args.owner_context);
  run->context = anywhere ? run->args.check_context : run->args.owner_context;
  run->cancellable = g_cancellable_new ();
  g_mutex_init (&run->mutex);
  return run;
}

DerateCheckRun *
derate_check_run_ref (DerateCheckRun *run)
{
  return g_atomic_rc_box_acquire (run);
}

void
derate_check_run_unref (DerateCheckRun *run)
{
  g_atomic_rc_box_release_full (run, run_clear);
}

static void
stop_timers (DerateCheckRun *run)
{
  g_autoptr (GSource) timer = NULL;
  g_autoptr (GSource) begin = NULL;

  g_mutex_lock (&run->mutex);
  timer = g_steal_pointer (&run->timer);
  begin = g_steal_pointer (&run->begin);
  g_mutex_unlock (&run->mutex);
  if (timer != NULL)
    g_source_destroy (timer);
  if (begin != NULL)
    g_source_destroy (begin);
}

/* It was answered, or the check has ended. */
static void
note_done (DerateCheckRun *run)
{
  gboolean done;

  g_mutex_lock (&run->mutex);
  done = run->half_done;
  run->half_done = TRUE;
  g_mutex_unlock (&run->mutex);
  if (done)
    run->args.ended (run, run->args.data);
}

static void
answer (DerateCheckRun *run, DerateHealthReport *report, const GError *error, gint64 started)
{
  GTimeSpan latency = derate_clock_get_time (run->args.clock) - started;

  stop_timers (run);
  run->args.answer (run, report, error, latency, run->args.data);
  note_done (run);
}

/* Ends the wait of whoever wants the answer. Returns what the run was doing; only for WAITING,
 * DELAYED and RUNNING is the answer the caller's to give. */
static RunState
abandon (DerateCheckRun *run, gint64 *started)
{
  RunState state;

  g_mutex_lock (&run->mutex);
  state = run->state;
  *started = run->started;
  if (state == RUN_WAITING || state == RUN_RUNNING)
    run->state = RUN_ABANDONED;
  else if (state == RUN_DELAYED)
    run->state = RUN_ENDED;
  g_mutex_unlock (&run->mutex);
  return state;
}

static gboolean
cancel_in_context (gpointer data)
{
  DerateCheckRun *run = data;

  g_cancellable_cancel (run->cancellable);
  return G_SOURCE_REMOVE;
}

/* Handlers of the cancellable run in the thread that cancels, so it has to be the check's. One that
 * was delayed is not there to be told. */
static void
stop_check (DerateCheckRun *run, RunState state)
{
  if (state == RUN_DELAYED)
    note_done (run);
  if (state != RUN_RUNNING)
    return;
  g_main_context_invoke_full (run->context, G_PRIORITY_DEFAULT, cancel_in_context,
                              derate_check_run_ref (run), (GDestroyNotify)derate_check_run_unref);
}

/* A check that its context began late has all of its time nevertheless. */
static gboolean
postpone (DerateCheckRun *run)
{
  gint64 now = derate_clock_get_time (run->args.clock);
  g_autoptr (GSource) timer = NULL;
  gint64 deadline;

  g_mutex_lock (&run->mutex);
  deadline = run->started + run->args.timeout;
  if ((run->state == RUN_RUNNING || run->state == RUN_DELAYED) && now < deadline &&
      run->timer != NULL)
    timer = g_source_ref (run->timer);
  g_mutex_unlock (&run->mutex);
  if (timer != NULL)
    derate_clock_source_set_deadline (run->args.clock, timer, deadline);
  return timer != NULL;
}

static gboolean
on_deadline (gpointer data)
{
  DerateCheckRun *run = data;
  gint64 started;
  RunState state;

  if (postpone (run))
    return G_SOURCE_CONTINUE;
  state = abandon (run, &started);
  if (state == RUN_RUNNING || state == RUN_DELAYED)
    {
      g_autofree char *span = derate_time_span_to_string (run->args.timeout);
      g_autofree char *message = g_strdup_printf ("no answer within %s", span);
      g_autoptr (DerateHealthReport) report =
          derate_health_report_new (DERATE_HEALTH_STATUS_DOWN, DERATE_HEALTH_CAUSE_TIMEOUT,
                                    message);

      answer (run, report, NULL, started);
      stop_check (run, state);
    }
  else if (state == RUN_WAITING)
    {
      g_autoptr (GError) error =
          g_error_new_literal (DERATE_ERROR, DERATE_ERROR_TIMED_OUT,
                               "the program's main loop did not start the check");

      answer (run, NULL, error, started);
    }
  return G_SOURCE_REMOVE;
}

static void
on_check_ended (GObject *object, GAsyncResult *result, gpointer data)
{
  g_autoptr (DerateCheckRun) run = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (DerateHealthReport) report =
      derate_health_check_run_finish (run->check, result, &error);
  gint64 started;
  gboolean wanted;

  g_mutex_lock (&run->mutex);
  wanted = run->state == RUN_RUNNING;
  started = run->started;
  run->state = RUN_ENDED;
  g_mutex_unlock (&run->mutex);

  if (wanted && report == NULL && error == NULL)
    g_set_error_literal (&error, DERATE_ERROR, DERATE_ERROR_FAILED,
                         "the check failed without saying why");
  if (wanted)
    answer (run, report, error, started);
  note_done (run);
}

static void
run_check (DerateCheckRun *run)
{
  g_main_context_push_thread_default (run->context);
  derate_health_check_run_async (run->check, run->cancellable, on_check_ended,
                                 derate_check_run_ref (run));
  g_main_context_pop_thread_default (run->context);
}

static gboolean
on_delayed (gpointer data)
{
  DerateCheckRun *run = data;
  gboolean go;

  g_mutex_lock (&run->mutex);
  go = run->state == RUN_DELAYED;
  if (go)
    run->state = RUN_RUNNING;
  g_mutex_unlock (&run->mutex);
  if (go)
    run_check (run);
  return G_SOURCE_REMOVE;
}

/* What begins a run that is delayed. */
static GSource *
make_begin (DerateCheckRun *run, gint64 time)
{
  GSource *begin = derate_clock_source_new (run->args.clock, time);

  g_source_set_callback (begin, on_delayed, derate_check_run_ref (run),
                         (GDestroyNotify)derate_check_run_unref);
  return begin;
}

static GTimeSpan
get_delay (DerateCheckRun *run)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&run->mutex);

  return run->args.delay;
}

/* A check that would begin too late is left to its deadline. */
static gboolean
begin_in_context (gpointer data)
{
  DerateCheckRun *run = data;
  gint64 now = derate_clock_get_time (run->args.clock);
  GTimeSpan delay = get_delay (run);
  g_autoptr (GSource) begin =
      delay > 0 && delay < run->args.timeout ? make_begin (run, now + delay) : NULL;
  gboolean delayed;
  gboolean go;

  g_mutex_lock (&run->mutex);
  delayed = run->args.delay > 0; /* it may have been hurried */
  go = run->state == RUN_WAITING;
  run->state = go ? (delayed ? RUN_DELAYED : RUN_RUNNING) : RUN_ENDED;
  run->started = now;
  if (go && delayed && begin != NULL)
    {
      /* Nobody can end the run before its source has a context. */
      g_source_attach (begin, run->context);
      run->begin = g_steal_pointer (&begin);
    }
  g_mutex_unlock (&run->mutex);

  if (!go)
    note_done (run);
  else if (!delayed)
    run_check (run);
  return G_SOURCE_REMOVE;
}

void
derate_check_run_hurry (DerateCheckRun *run)
{
  gint64 now = derate_clock_get_time (run->args.clock);
  g_autoptr (GSource) begin = make_begin (run, now);
  g_autoptr (GSource) late = NULL;

  g_mutex_lock (&run->mutex);
  run->args.delay = 0;
  if (run->state == RUN_DELAYED)
    {
      run->started = now;
      g_source_attach (begin, run->context);
      late = g_steal_pointer (&run->begin);
      run->begin = g_steal_pointer (&begin);
    }
  g_mutex_unlock (&run->mutex);
  if (late != NULL)
    g_source_destroy (late);
}

void
derate_check_run_begin (DerateCheckRun *run)
{
  gint64 now = derate_clock_get_time (run->args.clock);
  g_autoptr (GSource) timer = derate_clock_source_new (run->args.clock, now + run->args.timeout);

  g_source_set_callback (timer, on_deadline, derate_check_run_ref (run),
                         (GDestroyNotify)derate_check_run_unref);
  g_source_attach (timer, run->args.check_context);
  g_mutex_lock (&run->mutex);
  run->started = now;
  run->timer = g_source_ref (timer);
  g_mutex_unlock (&run->mutex);

  g_main_context_invoke_full (run->context, G_PRIORITY_DEFAULT, begin_in_context,
                              derate_check_run_ref (run), (GDestroyNotify)derate_check_run_unref);
}

void
derate_check_run_cancel (DerateCheckRun *run)
{
  gint64 started;
  RunState state = abandon (run, &started);

  if (state == RUN_WAITING || state == RUN_DELAYED || state == RUN_RUNNING)
    {
      g_autoptr (GError) error =
          g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the check was given up");

      answer (run, NULL, error, started);
    }
  stop_check (run, state);
}
