/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-check-run-private.h"
#include "derate-service-room-private.h"
#include "fake-check.h"

/* What must hold however threads fall, and whoever goes first. */

/* A clock that stops one thread at each look, until it is let go. */
#define STEP_TYPE_CLOCK (step_clock_get_type ())
G_DECLARE_FINAL_TYPE (StepClock, step_clock, STEP, CLOCK, DerateClock)

struct _StepClock
{
  DerateClock parent_instance;

  GMutex mutex;
  GCond cond;
  GThread *stopped;
  guint n_looks; /* of that thread */
  guint n_let_go;
  gboolean ended;
};

G_DEFINE_FINAL_TYPE (StepClock, step_clock, DERATE_TYPE_CLOCK)

static gint64
step_clock_get_time (DerateClock *base)
{
  StepClock *clock = STEP_CLOCK (base);

  g_mutex_lock (&clock->mutex);
  if (clock->stopped == g_thread_self ())
    {
      clock->n_looks++;
      g_cond_broadcast (&clock->cond);
      while (clock->n_let_go < clock->n_looks)
        g_cond_wait (&clock->cond, &clock->mutex);
    }
  g_mutex_unlock (&clock->mutex);
  return G_TIME_SPAN_SECOND;
}

static gint64
step_clock_get_real_time (DerateClock *base)
{
  return G_TIME_SPAN_SECOND;
}

static void
step_clock_class_init (StepClockClass *klass)
{
  DERATE_CLOCK_CLASS (klass)->get_time = step_clock_get_time;
  DERATE_CLOCK_CLASS (klass)->get_real_time = step_clock_get_real_time;
}

static void
step_clock_init (StepClock *clock)
{
}

static void
wait_for_first_look (StepClock *clock)
{
  g_mutex_lock (&clock->mutex);
  while (clock->n_looks == 0)
    g_cond_wait (&clock->cond, &clock->mutex);
  g_mutex_unlock (&clock->mutex);
}

/* Lets the thread go on to its next look; FALSE when it has ended. */
static gboolean
step (StepClock *clock)
{
  gboolean goes_on;
  guint n_looks;

  g_mutex_lock (&clock->mutex);
  n_looks = clock->n_looks;
  clock->n_let_go = n_looks;
  g_cond_broadcast (&clock->cond);
  while (clock->n_looks == n_looks && !clock->ended)
    g_cond_wait (&clock->cond, &clock->mutex);
  goes_on = !clock->ended;
  g_mutex_unlock (&clock->mutex);
  return goes_on;
}

typedef struct
{
  StepClock *clock;
  DerateService *service;
} Stepper;

static gpointer
update_in_steps (gpointer data)
{
  Stepper *stepper = data;
  StepClock *clock = stepper->clock;

  g_mutex_lock (&clock->mutex);
  clock->stopped = g_thread_self ();
  g_mutex_unlock (&clock->mutex);
  derate_service_update (stepper->service);
  g_mutex_lock (&clock->mutex);
  clock->ended = TRUE;
  g_cond_broadcast (&clock->cond);
  g_mutex_unlock (&clock->mutex);
  return NULL;
}

/* A breaker opens while another thread is anywhere in reading it: what that one saw before is never
 * published afterwards. */
static void
test_never_older (gconstpointer data)
{
  guint look = GPOINTER_TO_UINT (data);
  g_autoptr (StepClock) clock = g_object_new (STEP_TYPE_CLOCK, NULL);
  g_autoptr (DerateBreaker) breaker =
      derate_breaker_new_with_clock ("redis", NULL, DERATE_CLOCK (clock));
  g_autoptr (DerateService) service =
      derate_service_new ("redis", DERATE_SERVICE_ROLE_CACHE, DERATE_CLOCK (clock));
  Stepper stepper = { clock, service };
  GThread *thread;

  derate_service_set_breaker (service, breaker);
  thread = g_thread_new ("reader", update_in_steps, &stepper);
  wait_for_first_look (clock);
  for (guint i = 1; i < look; i++)
    g_assert_true (step (clock));
  g_assert_true (derate_breaker_trip (breaker, NULL));
  do
    g_assert_cmpint (derate_service_get_status (service), ==, DERATE_HEALTH_STATUS_DOWN);
  while (step (clock));
  g_thread_join (thread);
  g_assert_cmpint (derate_service_get_status (service), ==, DERATE_HEALTH_STATUS_DOWN);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

typedef struct
{
  DerateService *service;
  GMutex mutex;
  GCond cond;
  GThread *thread;
  GThread *other; /* the same, once it runs */
  gboolean is_inside; /* the other thread, in the hook */
  gboolean is_told; /* this one */
} Meeting;

static void
meet (DerateService *service, gpointer data)
{
  Meeting *meeting = data;

  g_mutex_lock (&meeting->mutex);
  if (g_thread_self () == meeting->other)
    {
      meeting->is_inside = TRUE;
      g_cond_broadcast (&meeting->cond);
      while (!meeting->is_told)
        g_cond_wait (&meeting->cond, &meeting->mutex);
    }
  else
    {
      meeting->is_told = TRUE;
      g_cond_broadcast (&meeting->cond);
    }
  g_mutex_unlock (&meeting->mutex);
}

static gpointer
update_once (gpointer data)
{
  Meeting *meeting = data;

  g_mutex_lock (&meeting->mutex);
  meeting->other = g_thread_self ();
  g_mutex_unlock (&meeting->mutex);
  derate_service_update (meeting->service);
  return NULL;
}

/* Hears of the opening before the service does. */
static void
let_other_be_first (DerateBreaker *breaker,
                    DerateBreakerState old_state,
                    DerateBreakerState new_state,
                    gpointer owner)
{
  Meeting *meeting = g_object_get_data (owner, "meeting");

  meeting->thread = g_thread_new ("other", update_once, meeting);
  g_mutex_lock (&meeting->mutex);
  while (!meeting->is_inside)
    g_cond_wait (&meeting->cond, &meeting->mutex);
  g_mutex_unlock (&meeting->mutex);
}

/* Another thread that happens to publish the opening first does not keep those below from hearing
 * of it before the call that caused it returns. */
static void
test_told_at_once (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = derate_breaker_new_with_clock ("redis", NULL, clock);
  g_autoptr (DerateService) service =
      derate_service_new ("redis", DERATE_SERVICE_ROLE_CACHE, clock);
  Meeting meeting = { .service = service };

  g_object_set_data (G_OBJECT (service), "meeting", &meeting);
  derate_breaker_bind (breaker, let_other_be_first, service);
  derate_service_set_breaker (service, breaker);
  derate_service_set_hook (service, meet, &meeting);
  g_assert_true (derate_breaker_trip (breaker, NULL));
  g_mutex_lock (&meeting.mutex);
  g_assert_true (meeting.is_told);
  g_mutex_unlock (&meeting.mutex);
  g_thread_join (meeting.thread);
  derate_breaker_unbind (breaker, let_other_be_first, service);
  derate_service_set_hook (service, NULL, NULL);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 0);
}

static GObject *ending_owner;
static gboolean ending_gone;

static void
note_gone (gpointer data, GObject *gone)
{
  ending_gone = TRUE;
}

/* As a core that ends in another thread does, in the worst moment. */
static void
end_inside (DerateService *service, gpointer data)
{
  g_assert_true (data == ending_owner);
  derate_service_set_hook (service, NULL, NULL);
  g_clear_object (&ending_owner);
  g_assert_false (ending_gone);
  g_assert_true (G_IS_OBJECT (data));
}

static void
test_owner_ends_inside (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = derate_breaker_new_with_clock ("redis", NULL, clock);
  g_autoptr (DerateService) service =
      derate_service_new ("redis", DERATE_SERVICE_ROLE_CACHE, clock);

  derate_service_set_breaker (service, breaker);
  ending_owner = G_OBJECT (derate_manual_clock_new ());
  g_object_weak_ref (ending_owner, note_gone, NULL);
  derate_service_set_hook_owner (service, end_inside, ending_owner);
  g_assert_true (derate_breaker_trip (breaker, NULL));
  g_assert_null (ending_owner);
  g_assert_true (ending_gone);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 0);
}

typedef struct
{
  guint n_answers;
  DerateHealthStatus status;
} Answers;

static Answers answers;

static void
on_answer (DerateCheckRun *run,
           DerateHealthReport *report,
           const GError *error,
           GTimeSpan latency,
           gpointer data)
{
  answers.n_answers++;
  answers.status =
      report != NULL ? derate_health_report_get_status (report) : DERATE_HEALTH_STATUS_UNKNOWN;
}

static void
on_ended (DerateCheckRun *run, gpointer data)
{
}

static void
iterate (GMainContext *context)
{
  while (g_main_context_iteration (context, FALSE))
    ;
}

/* A program whose loop begins the check late takes that time from nobody: the service has the whole
 * timeout to answer in. */
static void
test_begun_late (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (GMainContext) owner_context = g_main_context_new ();
  g_autoptr (FakeCheck) check = fake_check_new (clock);
  g_autoptr (DerateCheckRun) run = NULL;
  DerateCheckRunArgs args = {
    .clock = clock,
    .timeout = 2 * G_TIME_SPAN_SECOND,
    .check_context = g_main_context_default (),
    .owner_context = owner_context,
    .answer = on_answer,
    .ended = on_ended,
    .data = G_OBJECT (check),
  };

  check->threading = DERATE_HEALTH_CHECK_OWNER_CONTEXT;
  check->behaviour = FAKE_HANG;
  run = derate_check_run_new (DERATE_HEALTH_CHECK (check), &args);
  derate_check_run_begin (run);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 1900 * G_TIME_SPAN_MILLISECOND);
  g_assert_cmpuint (check->n_started, ==, 0);
  iterate (owner_context);
  g_assert_cmpuint (check->n_started, ==, 1);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 1899 * G_TIME_SPAN_MILLISECOND);
  g_assert_cmpuint (answers.n_answers, ==, 0);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 101 * G_TIME_SPAN_MILLISECOND);
  g_assert_cmpuint (answers.n_answers, ==, 1);
  g_assert_cmpint (answers.status, ==, DERATE_HEALTH_STATUS_DOWN);
  iterate (owner_context);
  g_assert_cmpuint (check->n_cancelled, ==, 1);
}

static GLogWriterOutput
drop_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  if (level & (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR))
    return g_log_writer_default (level, fields, n_fields, data);
  return G_LOG_WRITER_HANDLED;
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (drop_log, NULL, NULL);
  for (guint i = 1; i <= 4; i++)
    {
      g_autofree char *path = g_strdup_printf ("/health/service/threads/never-older/%u", i);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_never_older);
    }
  g_test_add_func ("/health/service/threads/told-at-once", test_told_at_once);
  g_test_add_func ("/health/service/threads/owner-ends-inside", test_owner_ends_inside);
  g_test_add_func ("/health/check-run/begun-late", test_begun_late);
  return g_test_run ();
}
