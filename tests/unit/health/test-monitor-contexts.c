/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "monitor-fixture.h"

/* Contexts */

typedef struct
{
  GMainLoop *loop;
  GMutex mutex;
  GCond cond;
  gboolean owns; /* the context */
  gboolean flushed;
} Thread;

static gpointer
run_loop (gpointer data)
{
  Thread *thread = data;
  GMainContext *context = g_main_loop_get_context (thread->loop);

  g_main_context_push_thread_default (context);
  g_mutex_lock (&thread->mutex);
  thread->owns = TRUE;
  g_cond_signal (&thread->cond);
  g_mutex_unlock (&thread->mutex);
  g_main_loop_run (thread->loop);
  g_main_context_pop_thread_default (context);
  return NULL;
}

static GThread *
start_thread (Thread *thread, GMainContext *context)
{
  GThread *result;

  thread->loop = g_main_loop_new (context, FALSE);
  g_mutex_init (&thread->mutex);
  g_cond_init (&thread->cond);
  result = g_thread_new ("monitor", run_loop, thread);
  g_mutex_lock (&thread->mutex);
  while (!thread->owns)
    g_cond_wait (&thread->cond, &thread->mutex);
  g_mutex_unlock (&thread->mutex);
  return result;
}

static gboolean
on_flushed (gpointer data)
{
  Thread *thread = data;

  g_mutex_lock (&thread->mutex);
  thread->flushed = TRUE;
  g_cond_signal (&thread->cond);
  g_mutex_unlock (&thread->mutex);
  return G_SOURCE_REMOVE;
}

/* Until the other thread has run what it queued for itself: the clock only waits for its sources.
 */
static void
flush_thread (Thread *thread)
{
  thread->flushed = FALSE;
  g_main_context_invoke_full (g_main_loop_get_context (thread->loop), G_PRIORITY_LOW, on_flushed,
                              thread, NULL);
  g_mutex_lock (&thread->mutex);
  while (!thread->flushed)
    g_cond_wait (&thread->cond, &thread->mutex);
  g_mutex_unlock (&thread->mutex);
}

static gboolean
quit_loop (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_REMOVE;
}

static void
stop_thread (Thread *thread, GThread *self)
{
  g_main_context_invoke (g_main_loop_get_context (thread->loop), quit_loop, thread->loop);
  g_thread_join (self);
  g_main_loop_unref (thread->loop);
  g_mutex_clear (&thread->mutex);
  g_cond_clear (&thread->cond);
}

static void
test_threads (void)
{
  MonitorFixture f = { .clock = derate_manual_clock_new () };
  g_autoptr (GMainContext) context = g_main_context_new ();
  Thread loop = { 0 };
  GThread *thread = start_thread (&loop, context);

  monitor_fixture_set_up_monitor (&f, context, NULL);
  monitor_fixture_add_services (&f, 2);
  f.checks[1]->threading = DERATE_HEALTH_CHECK_OWNER_CONTEXT;
  monitor_fixture_start (&f);
  flush_thread (&loop);
  for (guint i = 0; i < 40; i++)
    {
      monitor_fixture_advance (&f, SECOND);
      flush_thread (&loop);
    }
  monitor_fixture_advance (&f, 0);
  g_assert_cmpuint (f.checks[0]->n_started, >=, 4);
  g_assert_cmpuint (f.checks[1]->n_started, >=, 4);
  g_assert_true (derate_monitor_is_ready (f.monitor));
  g_assert_true (f.checks[0]->thread == thread);
  g_assert_true (f.checks[1]->thread == g_thread_self ());
  monitor_fixture_assert_status (f.services[0], DERATE_HEALTH_STATUS_HEALTHY,
                                 DERATE_HEALTH_CAUSE_NONE);
  monitor_fixture_assert_status (f.services[1], DERATE_HEALTH_STATUS_HEALTHY,
                                 DERATE_HEALTH_CAUSE_NONE);

  derate_monitor_stop (f.monitor);
  stop_thread (&loop, thread);
  while (g_main_context_iteration (context, FALSE))
    ;
  monitor_fixture_tear_down (&f, NULL);
}

static void
test_owner_is_stuck (void)
{
  MonitorFixture f = { .clock = derate_manual_clock_new () };
  g_autoptr (GMainContext) owner = g_main_context_new ();

  monitor_fixture_set_up_monitor (&f, NULL, owner);
  monitor_fixture_add_services (&f, 2);
  f.checks[0]->threading = DERATE_HEALTH_CHECK_OWNER_CONTEXT;
  monitor_fixture_start (&f);
  monitor_fixture_advance (&f, 2 * SECOND);

  /* The program's own loop is not the service's fault. */
  monitor_fixture_assert_status (f.services[0], DERATE_HEALTH_STATUS_UNKNOWN,
                                 DERATE_HEALTH_CAUSE_NONE);
  g_assert_cmpuint (derate_service_get_check_errors (f.services[0]), ==, 1);
  g_assert_true (derate_monitor_is_ready (f.monitor));
  monitor_fixture_assert_status (f.services[1], DERATE_HEALTH_STATUS_HEALTHY,
                                 DERATE_HEALTH_CAUSE_NONE);

  /* What was given up is not started late; the next one is on time. */
  while (g_main_context_iteration (owner, FALSE))
    ;
  g_assert_cmpuint (f.checks[0]->n_started, ==, 0);
  monitor_fixture_advance (&f, 8 * SECOND);
  while (g_main_context_iteration (owner, FALSE))
    ;
  g_assert_cmpuint (f.checks[0]->n_started, ==, 1);
  monitor_fixture_assert_status (f.services[0], DERATE_HEALTH_STATUS_HEALTHY,
                                 DERATE_HEALTH_CAUSE_NONE);

  derate_monitor_stop (f.monitor);
  while (g_main_context_iteration (owner, FALSE))
    ;
  monitor_fixture_tear_down (&f, NULL);
}

/* A clock that jumps: as for a process that was stopped, nothing runs in between. */

#define JUMP_TYPE_CLOCK (jump_clock_get_type ())
G_DECLARE_FINAL_TYPE (JumpClock, jump_clock, JUMP, CLOCK, DerateClock)

struct _JumpClock
{
  DerateClock parent_instance;
  gint64 now;
};

G_DEFINE_FINAL_TYPE (JumpClock, jump_clock, DERATE_TYPE_CLOCK)

typedef struct
{
  GSource source;
  JumpClock *clock; /* outlives its sources */
  gint64 deadline;
} JumpSource;

static gboolean
jump_source_check (GSource *base)
{
  JumpSource *source = (JumpSource *)base;

  return source->deadline <= source->clock->now;
}

static gboolean
jump_source_prepare (GSource *base, gint *timeout)
{
  *timeout = -1;
  return jump_source_check (base);
}

static gboolean
jump_source_dispatch (GSource *base, GSourceFunc callback, gpointer data)
{
  ((JumpSource *)base)->deadline = DERATE_CLOCK_NEVER;
  return callback (data);
}

static GSourceFuncs jump_source_funcs = {
  .prepare = jump_source_prepare,
  .check = jump_source_check,
  .dispatch = jump_source_dispatch,
};

static GSource *
jump_clock_create_source (DerateClock *clock, gint64 deadline)
{
  GSource *source = g_source_new (&jump_source_funcs, sizeof (JumpSource));

  ((JumpSource *)source)->clock = JUMP_CLOCK (clock);
  ((JumpSource *)source)->deadline = deadline;
  return source;
}

static void
jump_clock_set_deadline (DerateClock *clock, GSource *source, gint64 deadline)
{
  ((JumpSource *)source)->deadline = deadline;
}

static gint64
jump_clock_get_time (DerateClock *clock)
{
  return JUMP_CLOCK (clock)->now;
}

static void
jump_clock_class_init (JumpClockClass *klass)
{
  DERATE_CLOCK_CLASS (klass)->get_time = jump_clock_get_time;
  DERATE_CLOCK_CLASS (klass)->get_real_time = jump_clock_get_time;
  DERATE_CLOCK_CLASS (klass)->create_source = jump_clock_create_source;
  DERATE_CLOCK_CLASS (klass)->set_deadline = jump_clock_set_deadline;
}

static void
jump_clock_init (JumpClock *clock)
{
  clock->now = SECOND;
}

static void
jump (MonitorFixture *f, GTimeSpan span)
{
  JUMP_CLOCK (f->clock)->now += span;
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
count_change (DerateService *service, gpointer data)
{
  (*(guint *)data)++;
}

static void
test_stand_still (void)
{
  MonitorFixture f = { .clock = g_object_new (JUMP_TYPE_CLOCK, NULL) };
  guint n_changes = 0;

  monitor_fixture_set_up_monitor (&f, NULL, NULL);
  monitor_fixture_add_services (&f, 6);
  derate_monitor_start (f.monitor);
  jump (&f, 0);
  for (guint i = 0; i < 10; i++)
    jump (&f, SECOND);
  for (guint i = 0; i < 6; i++)
    {
      g_assert_cmpuint (f.checks[i]->n_started, ==, 2); /* at 1, 11 */
      derate_service_set_hook (f.services[i], count_change, &n_changes);
    }

  /* Another thread of the program may have news of a service before the monitor has woken up. */
  JUMP_CLOCK (f.clock)->now += 600 * SECOND;
  derate_service_update (f.services[0]);
  monitor_fixture_assert_status (f.services[0], DERATE_HEALTH_STATUS_HEALTHY,
                                 DERATE_HEALTH_CAUSE_NONE);
  jump (&f, SECOND / 2);
  for (guint i = 0; i < 6; i++)
    {
      g_assert_cmpuint (f.checks[i]->n_started, ==, 3);
      monitor_fixture_assert_status (f.services[i], DERATE_HEALTH_STATUS_HEALTHY,
                                     DERATE_HEALTH_CAUSE_NONE);
    }
  g_assert_cmpuint (n_changes, ==, 0);

  /* And on it goes on the old schedule: 611 was done at 611.5, 621 is next. */
  for (guint i = 0; i < 19; i++)
    jump (&f, SECOND / 2);
  g_assert_cmpuint (f.checks[0]->n_started, ==, 4);

  for (guint i = 0; i < 6; i++)
    derate_service_set_hook (f.services[i], NULL, NULL);
  monitor_fixture_tear_down (&f, NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (monitor_fixture_drop_log, NULL, NULL);
  g_test_add_func ("/health/behaviour/19-ten-minutes-asleep", test_stand_still);
  g_test_add_func ("/health/monitor/contexts/threads", test_threads);
  g_test_add_func ("/health/monitor/contexts/owner-is-stuck", test_owner_is_stuck);
  return g_test_run ();
}
