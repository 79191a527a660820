/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-check-run-private.h"
#include "derate-service-room-private.h"
#include "fake-check.h"

/* What must hold however threads fall, and whoever goes first. */

/* What stands behind a hook: as the manager, it reads the status under a mutex of its own. */
typedef struct
{
  GMutex mutex;
  DerateHealthStatus seen;
  gint stop; /* atomic */
  DerateService *service;
} Reader;

static void
read_again (DerateService *service, gpointer data)
{
  Reader *reader = data;

  g_mutex_lock (&reader->mutex);
  reader->seen = derate_service_get_status (service);
  g_mutex_unlock (&reader->mutex);
}

static gpointer
update_all_the_time (gpointer data)
{
  Reader *reader = data;

  while (!g_atomic_int_get (&reader->stop))
    derate_service_update (reader->service);
  return NULL;
}

static DerateHealthStatus
get_seen (Reader *reader)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&reader->mutex);

  return reader->seen;
}

/* Another thread that read the breaker before it opened neither publishes that afterwards nor
 * keeps those below from hearing of the opening in time. */
static void
test_open_at_once (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  g_autoptr (DerateBreaker) breaker = derate_breaker_new_with_clock ("redis", NULL, clock);
  g_autoptr (DerateService) service =
      derate_service_new ("redis", DERATE_SERVICE_ROLE_CACHE, clock);
  Reader reader = { .service = service };
  GThread *threads[2];

  derate_service_set_breaker (service, breaker);
  derate_service_set_hook (service, read_again, &reader);
  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("reader", update_all_the_time, &reader);
  for (guint i = 0; i < 20000; i++)
    {
      g_assert_true (derate_breaker_trip (breaker, NULL));
      g_assert_cmpint (derate_service_get_status (service), ==, DERATE_HEALTH_STATUS_DOWN);
      g_assert_cmpint (get_seen (&reader), ==, DERATE_HEALTH_STATUS_DOWN);
      derate_breaker_close (breaker);
      if (i % 1000 == 0)
        derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 0);
    }
  g_atomic_int_set (&reader.stop, TRUE);
  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
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
  g_test_add_func ("/health/service/threads/open-at-once", test_open_at_once);
  g_test_add_func ("/health/service/threads/owner-ends-inside", test_owner_ends_inside);
  g_test_add_func ("/health/check-run/begun-late", test_begun_late);
  return g_test_run ();
}
