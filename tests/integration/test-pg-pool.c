/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking sessions and giving them back. */
#include "pg-world.h"

/* Fresh ones are lent as soon as they are open, in the order they are asked for. */
static void
test_lend (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 0, "max-size", 2, NULL);
  g_auto (DeratePgLease) first = DERATE_PG_LEASE_INIT;
  g_auto (DeratePgLease) second = DERATE_PG_LEASE_INIT;
  g_autofree char *pid = NULL;
  g_autofree char *other = NULL;

  g_assert_cmpuint (pg_world_stats (pool).total, ==, 0);
  pg_world_acquire (pool, &first);
  pg_world_acquire (pool, &second);
  pid = pg_world_run (&first, "select pg_backend_pid()");
  other = pg_world_run (&second, "select pg_backend_pid()");
  g_assert_cmpstr (pid, !=, other);
  g_assert_cmpuint (pg_world_stats (pool).busy, ==, 2);
  g_assert_true (derate_pg_lease_release (&first, NULL));
  g_assert_null (derate_pg_lease_get_connection (&first));
  g_assert_cmpuint (pg_world_stats (pool).idle, ==, 1);
  g_assert_true (derate_pg_lease_release (&second, NULL));
  pg_world_acquire (pool, &first);
  g_assert_cmpuint (pg_world_stats (pool).opened, ==, 2);
  derate_pg_lease_clear (&first);
  pg_world_end (pool);
}

static gpointer
take_and_give (gpointer data)
{
  DeratePgPool *pool = data;

  for (guint i = 0; i < 2000; i++)
    {
      g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
      g_autoptr (GError) error = NULL;

      derate_pg_pool_acquire (pool, READ, "worker", &lease, NULL, &error);
      g_assert_no_error (error);
      g_assert_true (derate_pg_connection_is_usable (derate_pg_lease_get_connection (&lease)));
    }
  return NULL;
}

static void
test_threads (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 0, "max-size", 3, NULL);
  GThread *threads[16];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("worker", take_and_give, pool);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (pg_world_stats (pool).busy, ==, 0);
  g_assert_cmpuint (pg_world_stats (pool).waiting, ==, 0);
  g_assert_cmpuint (pg_world_sessions (pool), <=, 3);
  pg_world_end (pool);
}

static void
test_timeout (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  DeratePgPool *pool =
      pg_world_pool ("max-size", 2, "acquire-timeout", 200 * MS, "clock", clock, NULL);
  g_auto (DeratePgLease) first = DERATE_PG_LEASE_INIT;
  g_auto (DeratePgLease) second = DERATE_PG_LEASE_INIT;
  g_autoptr (PgCaller) caller = NULL;

  pg_world_acquire (pool, &first);
  pg_world_acquire (pool, &second);
  caller = pg_caller_new (pool, NULL);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 200 * MS - 1);
  g_assert_cmpuint (pg_world_stats (pool).timed_out, ==, 0);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 1);
  g_assert_cmpuint (pg_world_stats (pool).timed_out, ==, 1);
  pg_world_until (pg_caller_is_done (caller));
  g_assert_error (caller->error, DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_TIMEOUT);
  g_assert_nonnull (strstr (caller->error->message, "no connection within 200ms (2 in use, 0 idle, "
                                                    "0 connecting, 1 waiting)"));
  derate_pg_lease_clear (&first);
  derate_pg_lease_clear (&second);
  pg_world_end (pool);
}

static void
test_order (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  PgCaller *callers[4];

  pg_world_acquire (pool, &lease);
  for (guint i = 0; i < 3; i++)
    callers[i] = pg_caller_new (pool, NULL);
  derate_pg_lease_clear (&lease);
  callers[3] = pg_caller_new (pool, NULL);
  for (guint i = 0; i < 4; i++)
    {
      pg_world_until (pg_caller_is_done (callers[i]));
      g_assert_no_error (callers[i]->error);
      for (guint k = i + 1; k < 4; k++)
        g_assert_false (pg_caller_is_done (callers[k]));
      derate_pg_lease_clear (&callers[i]->lease);
    }
  for (guint i = 0; i < 4; i++)
    pg_caller_free (callers[i]);
  pg_world_end (pool);
}

static void
test_double_release (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);
  DeratePgLease lease = DERATE_PG_LEASE_INIT;
  DeratePgLease copy;
  DeratePgLease next = DERATE_PG_LEASE_INIT;
  g_autoptr (GError) error = NULL;

  pg_world_acquire (pool, &lease);
  copy = lease;
  g_assert_true (derate_pg_lease_release (&lease, NULL));
  g_assert_false (derate_pg_lease_release (&lease, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_RELEASED);
  g_clear_error (&error);
  /* The copy knows the slot; the session is another's by now. */
  pg_world_acquire (pool, &next);
  g_assert_null (derate_pg_lease_get_connection (&copy));
  g_assert_false (derate_pg_lease_release (&copy, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_RELEASED);
  g_assert_cmpuint (pg_world_stats (pool).busy, ==, 1);
  g_assert_nonnull (derate_pg_lease_get_connection (&next));
  g_assert_true (derate_pg_lease_release (&next, NULL));
  pg_world_end (pool);
}

/* Who gave up, or whose time was over, is handed nothing that would be lost with them: the return
 * comes in the very moment in which the pool thread ends the waiting. */
static void
test_late_waiter (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, "acquire-timeout", 1 * MS,
                                      "validate-after", 3600 * S, NULL);
  guint served = 0;

  pg_world_open (pool);
  /* Until both have happened, too, on a machine that has no time for one of them. */
  for (guint i = 0; i < 1000 || served == 0 || pg_world_stats (pool).timed_out == 0; i++)
    {
      g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      g_autoptr (PgCaller) caller = NULL;
      gint64 until;

      pg_world_acquire (pool, &lease);
      until = g_get_monotonic_time () + g_test_rand_int_range (900, 1300);
      caller = pg_caller_new (pool, cancellable);
      while (g_get_monotonic_time () < until)
        ;
      if (i % 3 == 0)
        g_cancellable_cancel (cancellable);
      derate_pg_lease_clear (&lease);
      pg_world_until (pg_caller_is_done (caller));
      served += caller->error == NULL ? 1 : 0;
      derate_pg_lease_clear (&caller->lease);
      g_assert_cmpuint (pg_world_stats (pool).waiting, ==, 0);
      g_assert_cmpuint (pg_world_stats (pool).idle, ==, 1);
    }
  g_test_message ("%u were served, %lu too late", served, (gulong)pg_world_stats (pool).timed_out);
  g_assert_cmpuint (pg_world_stats (pool).opened, ==, 1);
  pg_world_end (pool);
}

typedef struct
{
  DeratePgPool *pool;
  GCancellable *cancellable;
  GError *error;
} Sleeper;

static gpointer
sleep_for_one (gpointer data)
{
  Sleeper *sleeper = data;
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;

  derate_pg_pool_acquire (sleeper->pool, READ, NULL, &lease, sleeper->cancellable, &sleeper->error);
  return NULL;
}

static void
test_cancelled (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Sleeper sleeper = { .pool = pool, .cancellable = cancellable };
  g_autoptr (GThread) thread = NULL;

  pg_world_acquire (pool, &lease);
  thread = g_thread_new ("sleeper", sleep_for_one, &sleeper);
  pg_world_until (pg_world_stats (pool).waiting == 1);
  {
    g_autoptr (PgCaller) caller = pg_caller_new (pool, cancellable);

    g_cancellable_cancel (cancellable);
    pg_world_until (pg_caller_is_done (caller));
    g_assert_error (caller->error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  }
  g_thread_join (g_steal_pointer (&thread));
  g_assert_error (sleeper.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&sleeper.error);
  g_assert_cmpuint (pg_world_stats (pool).cancelled, ==, 2);
  g_assert_cmpuint (pg_world_stats (pool).waiting, ==, 0);

  /* From the beginning. */
  sleep_for_one (&sleeper);
  g_assert_error (sleeper.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&sleeper.error);
  derate_pg_lease_clear (&lease);
  pg_world_end (pool);
}

static void
test_max_waiters (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, "max-waiters", 2, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;

  pg_world_acquire (pool, &lease);
  {
    g_autoptr (PgCaller) first = pg_caller_new (pool, NULL);
    g_autoptr (PgCaller) second = pg_caller_new (pool, NULL);
    g_autoptr (GError) error = pg_world_acquire_fails (pool);

    g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_POOL_FULL);
    g_assert_cmpuint (pg_world_stats (pool).refused, ==, 1);
    derate_pg_lease_clear (&lease);
    pg_world_until (pg_caller_is_done (first));
    derate_pg_lease_clear (&first->lease);
    pg_world_until (pg_caller_is_done (second));
    g_assert_no_error (second->error);
  }
  pg_world_end (pool);
}

/* With a manual clock there is no thread: who waits turns the pool itself. */
static void
test_manual_wait (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  DeratePgPool *pool = pg_world_pool ("min-size", 0, "max-size", 1, "clock", clock, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_autoptr (GError) error = NULL;

  g_assert_true (derate_pg_pool_acquire (pool, WRITE, NULL, &lease, NULL, &error));
  g_assert_no_error (error);
  g_free (pg_world_run (&lease, "select 1"));
  derate_pg_lease_clear (&lease);
  pg_world_end (pool);
}

/* Nobody takes what a task came to. */
static void
ignore (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(gboolean *)user_data = TRUE;
}

static void
test_unclaimed (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);

  for (guint i = 0; i < 3; i++)
    {
      gboolean is_done = FALSE;

      derate_pg_pool_acquire_async (pool, READ, NULL, NULL, ignore, &is_done);
      pg_world_until (is_done);
    }
  pg_world_until (pg_world_stats (pool).idle == 1);
  pg_world_end (pool);
}

static char *warning;

/* Only that case lets the pool warn. */
static GLogWriterOutput
keep_warning (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data)
{
  if (level != G_LOG_LEVEL_WARNING)
    return g_log_writer_default (level, fields, n_fields, user_data);
  g_assert_null (warning);
  for (gsize i = 0; i < n_fields; i++)
    {
      if (g_str_equal (fields[i].key, "MESSAGE"))
        warning = g_strdup (fields[i].value);
      if (g_str_equal (fields[i].key, "EVENT"))
        g_assert_cmpstr (fields[i].value, ==, "session_leaked");
    }
  return G_LOG_WRITER_HANDLED;
}

static void
test_leak (void)
{
  g_autoptr (DerateClock) clock = derate_manual_clock_new ();
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 2, "leak-threshold", 10 * S,
                                      "acquire-timeout", (gint64)0, "clock", clock, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_auto (DeratePgLease) brief = DERATE_PG_LEASE_INIT;
  g_autoptr (GError) error = NULL;

  pg_world_open (pool);
  g_assert_true (derate_pg_pool_acquire (pool, READ, "report of the month", &lease, NULL, &error));
  pg_world_acquire (pool, &brief);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 10 * S - 1);
  derate_pg_lease_clear (&brief);
  g_assert_cmpuint (pg_world_stats (pool).leaked, ==, 0);
  g_assert_null (warning);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 1);
  g_assert_true (g_str_has_prefix (warning, "A session of pool pool-"));
  g_assert_true (g_str_has_suffix (warning, " is held for more than 10s: report of the month"));
  g_clear_pointer (&warning, g_free);
  g_assert_cmpuint (pg_world_stats (pool).leaked, ==, 1);
  derate_manual_clock_advance (DERATE_MANUAL_CLOCK (clock), 100 * S);
  g_assert_cmpuint (pg_world_stats (pool).leaked, ==, 1);
  g_assert_null (warning);
  derate_pg_lease_clear (&lease);
  pg_world_end (pool);
}

static void
test_query (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  PgAnswer answers[3] = { 0 };
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgResult) result = NULL;

  for (guint i = 0; i < 3; i++)
    derate_pg_pool_query_async (pool, READ, "select $1 * 2", g_variant_new ("(i)", i), NULL,
                                pg_answer_take, &answers[i]);
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *wanted = g_strdup_printf ("%u", i * 2);

      pg_world_until (answers[i].is_done);
      g_assert_no_error (answers[i].error);
      g_assert_cmpstr (derate_pg_result_get_value (answers[i].result, 0, 0), ==, wanted);
      pg_answer_clear (&answers[i]);
    }
  g_assert_cmpuint (pg_world_stats (pool).idle, ==, 1);

  result =
      derate_pg_pool_query (pool, READ, "select $1", g_variant_new ("(s)", "one"), NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (derate_pg_result_get_value (result, 0, 0), ==, "one");
  g_assert_null (derate_pg_pool_query (pool, READ, "select 1 / 0", NULL, NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_QUERY);
  g_assert_cmpuint (pg_world_stats (pool).idle, ==, 1);
  g_assert_cmpuint (pg_world_stats (pool).opened, ==, 1);
  pg_world_end (pool);
}

/* While it waits in line, and while it runs. */
/* A statement that waits is sent by who gives a session back: no turn of the context is in between.
 */
static void
test_query_handed_over (void)
{
  const char *sent = "select count(*) from pg_stat_activity where query = 'select ''handed over'''";
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  gint64 end = g_get_monotonic_time () + G_TIME_SPAN_MINUTE;
  PgAnswer answer = { 0 };

  pg_world_acquire (pool, &lease);
  derate_pg_pool_query_async (pool, READ, "select 'handed over'", NULL, NULL, pg_answer_take,
                              &answer);
  derate_pg_lease_clear (&lease);
  while (pg_world_count (sent) == 0)
    g_assert_cmpint (g_get_monotonic_time (), <, end);
  g_assert_false (answer.is_done);
  pg_world_until (answer.is_done);
  g_assert_no_error (answer.error);
  g_assert_cmpstr (derate_pg_result_get_value (answer.result, 0, 0), ==, "handed over");
  pg_answer_clear (&answer);
  pg_world_end (pool);
}

static void
test_query_cancelled (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 1, "max-size", 1, NULL);
  g_auto (DeratePgLease) lease = DERATE_PG_LEASE_INIT;
  g_autoptr (GCancellable) early = g_cancellable_new ();
  g_autoptr (GCancellable) late = g_cancellable_new ();
  PgAnswer answers[2] = { 0 };

  pg_world_acquire (pool, &lease);
  derate_pg_pool_query_async (pool, READ, "select 1", NULL, early, pg_answer_take, &answers[0]);
  g_assert_cmpuint (pg_world_stats (pool).waiting, ==, 1);
  g_cancellable_cancel (early);
  pg_world_until (answers[0].is_done);
  g_assert_error (answers[0].error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  pg_answer_clear (&answers[0]);
  derate_pg_lease_clear (&lease);

  derate_pg_pool_query_async (pool, READ, "select pg_sleep(60)", NULL, late, pg_answer_take,
                              &answers[1]);
  pg_world_until (pg_world_count ("select count(*) from pg_stat_activity "
                                  "where query = 'select pg_sleep(60)' and state = 'active'") == 1);
  g_cancellable_cancel (late);
  pg_world_until (answers[1].is_done);
  g_assert_error (answers[1].error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  pg_answer_clear (&answers[1]);
  pg_world_until (pg_world_stats (pool).idle == 1);
  g_assert_cmpuint (pg_world_stats (pool).opened, ==, 1);
  pg_world_end (pool);
}

/* Asks in contexts of its own, which a session that comes free must find. */
static gpointer
ask_in_context (gpointer data)
{
  DeratePgPool *pool = data;
  g_autoptr (GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  for (guint i = 0; i < 100; i++)
    {
      g_auto (PgAnswer) answer = { 0 };

      derate_pg_pool_query_async (pool, READ, "select 1", NULL, NULL, pg_answer_take, &answer);
      while (!answer.is_done)
        g_main_context_iteration (context, TRUE);
      g_assert_no_error (answer.error);
    }
  g_main_context_pop_thread_default (context);
  return NULL;
}

static void
test_query_contexts (void)
{
  DeratePgPool *pool = pg_world_pool ("min-size", 0, "max-size", 2, NULL);
  GThread *threads[6];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("asker", ask_in_context, pool);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (pg_world_stats (pool).busy, ==, 0);
  pg_world_end (pool);
}

int
main (int argc, char *argv[])
{
  g_log_set_writer_func (keep_warning, NULL, NULL);
  pg_world_start (&argc, &argv);

  g_test_add_func ("/pool/lend", test_lend);
  g_test_add_func ("/pool/threads", test_threads);
  g_test_add_func ("/pool/behaviour/01-timeout", test_timeout);
  g_test_add_func ("/pool/behaviour/02-order", test_order);
  g_test_add_func ("/pool/behaviour/28-double-release", test_double_release);
  g_test_add_func ("/pool/trap/02-late-waiter", test_late_waiter);
  g_test_add_func ("/pool/acquire/cancelled", test_cancelled);
  g_test_add_func ("/pool/acquire/max-waiters", test_max_waiters);
  g_test_add_func ("/pool/acquire/manual-wait", test_manual_wait);
  g_test_add_func ("/pool/acquire/unclaimed", test_unclaimed);
  g_test_add_func ("/pool/acquire/leak", test_leak);
  g_test_add_func ("/pool/query", test_query);
  g_test_add_func ("/pool/query/handed-over", test_query_handed_over);
  g_test_add_func ("/pool/query/cancelled", test_query_cancelled);
  g_test_add_func ("/pool/query/contexts", test_query_contexts);

  return pg_world_run_tests ();
}
