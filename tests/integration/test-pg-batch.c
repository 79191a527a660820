/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statements in a pipeline, in both forms of each call. */
#include "pg-client.h"

#include "derate-pg-connection-private.h"

#include <string.h>

#define KEPT "/**/ select count(*) from pg_prepared_statements where name like 'derate%'"

static TestServers *servers;

static gboolean
run (DeratePgConnection *connection,
     DeratePgBatch *batch,
     DeratePgBatchFlags flags,
     gboolean waits,
     GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  if (waits)
    return derate_pg_connection_run (connection, batch, flags, NULL, error);
  derate_pg_connection_run_async (connection, batch, flags, NULL, pg_take_result, &result);
  pg_wait (&result);
  return derate_pg_connection_run_finish (connection, result, error);
}

static void
expect (DeratePgBatch *batch, guint i, const char *value)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgResult) result = derate_pg_batch_get_result (batch, i, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (derate_pg_result_get_value (result, 0, 0), ==, value);
}

static void
expect_error (DeratePgBatch *batch, guint i, DeratePgError code, const char *sqlstate)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *state = NULL;

  g_assert_null (derate_pg_batch_get_result (batch, i, &error));
  g_assert_error (error, DERATE_PG_ERROR, (int)code);
  state = derate_pg_error_get_sqlstate (error);
  g_assert_cmpstr (state, ==, sqlstate);
}

static void
expect_rows (const char *value)
{
  g_autofree char *n = pg_run (servers, "select count(*) from item");

  g_assert_cmpstr (n, ==, value);
}

/* Each has its own answer, whatever becomes of the others. */
static void
test_independent (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (DeratePgBatch) batch = derate_pg_batch_new ();

  g_assert_cmpuint (derate_pg_batch_add (batch, "select $1 + 1", g_variant_new ("(i)", 1)), ==, 0);
  derate_pg_batch_add (batch, "select 1/0", NULL);
  derate_pg_batch_add (batch, "insert into item values (1)", NULL);
  derate_pg_batch_add (batch, "select $1", g_variant_new ("(as)", NULL));
  derate_pg_batch_add (batch, "select from from", NULL);
  g_assert_cmpuint (derate_pg_batch_add (batch, "select count(*) from item", NULL), ==, 5);
  g_assert_cmpuint (derate_pg_batch_get_size (batch), ==, 6);
  expect_error (batch, 0, DERATE_PG_ERROR_FAILED, NULL);
  for (guint waits = 0; waits < 2; waits++)
    {
      g_autoptr (GError) error = NULL;

      pg_execute (servers, "truncate item");
      g_assert_true (run (connection, batch, DERATE_PG_BATCH_NONE, waits, &error));
      g_assert_no_error (error);
      expect (batch, 0, "2");
      expect_error (batch, 1, DERATE_PG_ERROR_QUERY, "22012");
      expect (batch, 2, NULL);
      expect_error (batch, 3, DERATE_PG_ERROR_PARAMETER, NULL);
      expect_error (batch, 4, DERATE_PG_ERROR_QUERY, "42601");
      expect (batch, 5, "1");
      expect_rows ("1");
      g_assert_true (derate_pg_connection_is_usable (connection));
    }
}

static void
test_atomic (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (DeratePgBatch) batch = derate_pg_batch_new ();

  derate_pg_batch_add (batch, "insert into item values ($1)", g_variant_new ("(i)", 1));
  derate_pg_batch_add (batch, "insert into item values ($1)", g_variant_new ("(i)", 2));
  derate_pg_batch_add (batch, "select count(*) from item", NULL);
  for (guint waits = 0; waits < 2; waits++)
    {
      g_autoptr (GError) error = NULL;

      pg_execute (servers, "truncate item");
      g_assert_true (run (connection, batch, DERATE_PG_BATCH_ATOMIC, waits, &error));
      g_assert_no_error (error);
      expect (batch, 2, "2");
      expect_rows ("2");
      g_assert_false (derate_pg_connection_is_in_transaction (connection));
    }
}

/* Where the last of three goes wrong: at once, at the end of the transaction, before it is sent. */
static void
test_rolled_back (void)
{
  static const struct
  {
    const char *sql;
    const char *parameters;
    DeratePgError code;
    const char *sqlstate;
    const char *named;
  } cases[] = {
    { "select 1/0", NULL, DERATE_PG_ERROR_QUERY, "22012", "statement 2 of 3: " },
    { "insert into item values (1)", NULL, DERATE_PG_ERROR_QUERY, "23505", "" },
    { "select $1", "({'a': 1},)", DERATE_PG_ERROR_PARAMETER, NULL, "statement 2 of 3: " },
  };
  g_autoptr (DeratePgConnection) connection = pg_open (servers);

  for (guint i = 0; i < 2 * G_N_ELEMENTS (cases); i++)
    {
      const char *parameters = cases[i / 2].parameters;
      g_autoptr (DeratePgBatch) batch = derate_pg_batch_new ();
      g_autoptr (GError) error = NULL;
      g_autofree char *state = NULL;

      pg_execute (servers, "truncate item");
      derate_pg_batch_add (batch, "insert into item values (1)", NULL);
      derate_pg_batch_add (batch, cases[i / 2].sql,
                           parameters != NULL ? g_variant_new_parsed (parameters) : NULL);
      derate_pg_batch_add (batch, "insert into item values (3)", NULL);
      g_assert_false (run (connection, batch, DERATE_PG_BATCH_ATOMIC, i % 2, &error));
      g_test_message ("%s", error->message);
      g_assert_error (error, DERATE_PG_ERROR, (int)cases[i / 2].code);
      g_assert_nonnull (strstr (error->message, cases[i / 2].named));
      state = derate_pg_error_get_sqlstate (error);
      g_assert_cmpstr (state, ==, cases[i / 2].sqlstate);
      for (guint j = 0; j < 3; j++)
        {
          g_autoptr (GError) own = NULL;

          g_assert_null (derate_pg_batch_get_result (batch, j, &own));
          g_assert_nonnull (own);
        }
      expect_rows ("0");
      g_assert_false (derate_pg_connection_is_in_transaction (connection));
      g_assert_true (derate_pg_connection_is_usable (connection));
    }
}

/* More than the buffers of both sides hold, with as much coming back. */
static void
test_many (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (DeratePgBatch) batch = derate_pg_batch_new ();
  g_autofree char *text = g_strnfill (2000, 'x');

  for (guint i = 0; i < 3000; i++)
    derate_pg_batch_add (batch, "select $1 || $2", g_variant_new ("(ss)", i % 7 ? "1" : "2", text));
  for (guint i = 0; i < 4; i++)
    {
      g_autoptr (GError) error = NULL;

      derate_pg_connection_set_statement_cache (connection, i < 2 ? 0 : 10);
      g_assert_true (run (connection, batch, i == 3 ? DERATE_PG_BATCH_ATOMIC : DERATE_PG_BATCH_NONE,
                          i % 2, &error));
      for (guint j = 0; j < 3000; j++)
        {
          g_autoptr (DeratePgResult) result = derate_pg_batch_get_result (batch, j, &error);

          g_assert_no_error (error);
          g_assert_cmpint (derate_pg_result_get_value (result, 0, 0)[0], ==, j % 7 ? '1' : '2');
        }
    }
}

static void
test_big (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (DeratePgBatch) batch = derate_pg_batch_new ();
  g_autofree char *text = g_strnfill (8 * 1024 * 1024, 'x');

  derate_pg_batch_add (batch, "select 'first'", NULL);
  derate_pg_batch_add (batch, "select length($1)", g_variant_new ("(s)", text));
  derate_pg_batch_add (batch, "select 'last'", NULL);
  for (guint waits = 0; waits < 2; waits++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_true (run (connection, batch, DERATE_PG_BATCH_NONE, waits, &error));
      g_assert_no_error (error);
      expect (batch, 0, "first");
      expect (batch, 1, "8388608");
      expect (batch, 2, "last");
    }
}

/* The same statement many times is prepared by the second; what is stale is found out. */
static void
test_prepared (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);

  derate_pg_connection_set_statement_cache (connection, 10);
  pg_execute (servers, "create table thing as select 1 as a");
  for (guint i = 0; i < 8; i++)
    {
      g_autoptr (DeratePgBatch) batch = derate_pg_batch_new ();
      g_autoptr (DeratePgResult) kept = NULL;
      g_autoptr (GError) error = NULL;
      DeratePgBatchFlags flags = i % 2 ? DERATE_PG_BATCH_ATOMIC : DERATE_PG_BATCH_NONE;
      g_autofree char *type = g_strdup_printf ("alter table thing alter a type %s using %u",
                                               i % 4 < 2 ? "int" : "text", i);
      g_autofree char *value = g_strdup_printf ("%u", i);

      pg_execute (servers, type);
      if (i == 5 || i == 6)
        derate_pg_result_unref (
            pg_query (connection, "do 'begin deallocate all; end'", NULL, NULL));
      for (guint j = 0; j < 4; j++)
        {
          derate_pg_batch_add (batch, "select * from thing", NULL);
          derate_pg_batch_add (batch, "select $1 + 1", g_variant_new ("(i)", j));
        }
      g_assert_true (run (connection, batch, flags, i / 4, &error));
      g_assert_no_error (error);
      for (guint j = 0; j < 8; j += 2)
        expect (batch, j, value);
      expect (batch, 7, "4");
      kept = pg_query (connection, KEPT, NULL, &error);
      g_assert_no_error (error);
    }
}

/* A statement that is not one spoils nothing but itself, also where it is prepared. */
static void
test_prepared_wrong (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (DeratePgBatch) batch = derate_pg_batch_new ();

  derate_pg_connection_set_statement_cache (connection, 10);
  for (guint i = 0; i < 4; i++)
    {
      derate_pg_batch_add (batch, "select 1", NULL);
      derate_pg_batch_add (batch, "select nothing", NULL);
    }
  for (guint waits = 0; waits < 2; waits++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_true (run (connection, batch, DERATE_PG_BATCH_NONE, waits, &error));
      g_assert_no_error (error);
      for (guint i = 0; i < 8; i += 2)
        {
          expect (batch, i, "1");
          expect_error (batch, i + 1, DERATE_PG_ERROR_QUERY, "42703");
        }
    }
}

static void
test_refused (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (DeratePgConnection) holder = pg_open (servers);
  g_autoptr (DeratePgBatch) batch = derate_pg_batch_new ();
  g_autoptr (DeratePgBatch) slow = derate_pg_batch_new ();
  g_autoptr (GAsyncResult) running = NULL;
  g_autoptr (GError) error = NULL;

  /* Nothing to do is soon done. */
  for (guint i = 0; i < 4; i++)
    {
      g_assert_true (run (connection, batch, i & 1 ? DERATE_PG_BATCH_ATOMIC : DERATE_PG_BATCH_NONE,
                          i >> 1, &error));
      g_assert_no_error (error);
    }
  derate_pg_result_unref (pg_query (holder, "select pg_advisory_lock(7)", NULL, NULL));
  derate_pg_batch_add (slow, "select pg_advisory_lock_shared(7)", NULL);
  derate_pg_connection_run_async (connection, slow, DERATE_PG_BATCH_NONE, NULL, pg_take_result,
                                  &running);
  for (guint waits = 0; waits < 2; waits++)
    {
      g_assert_false (run (connection, batch, DERATE_PG_BATCH_NONE, waits, &error));
      g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_BUSY);
      g_clear_error (&error);
      g_assert_false (run (holder, slow, DERATE_PG_BATCH_NONE, waits, &error));
      g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_BUSY);
      g_clear_error (&error);
    }
  derate_pg_result_unref (pg_query (holder, "select pg_advisory_unlock(7)", NULL, NULL));
  pg_wait (&running);
  g_assert_true (derate_pg_connection_run_finish (connection, running, &error));
  derate_pg_result_unref (pg_query (connection, "begin", NULL, NULL));
  g_assert_false (run (connection, slow, DERATE_PG_BATCH_ATOMIC, FALSE, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_BUSY);
  g_clear_error (&error);
  g_assert_true (run (connection, slow, DERATE_PG_BATCH_NONE, FALSE, &error));
}

static void
done (DeratePgConnection *connection, DeratePgResult *result, GError *error, gpointer data)
{
  g_assert_null (result);
  g_assert_no_error (error);
  *(gboolean *)data = TRUE;
}

/* Given up in the middle, whatever of it was under way: the next user finds a session like any
 * other, and of an atomic one nothing was done. */
static void
test_given_up (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autofree char *text = g_strnfill (2000, 'x');

  derate_pg_connection_set_pooled (connection, TRUE);
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (DeratePgBatch) batch = derate_pg_batch_new ();
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      g_autoptr (GAsyncResult) result = NULL;
      g_autoptr (DeratePgResult) after = NULL;
      g_autoptr (GError) error = NULL;
      gboolean is_done = FALSE;

      pg_execute (servers, "truncate item");
      derate_pg_batch_add (batch, "insert into item values (1)", NULL);
      derate_pg_batch_add (batch, "select pg_sleep(600)", NULL);
      for (guint j = 0; j < 5000; j++)
        derate_pg_batch_add (batch, "select $1", g_variant_new ("(s)", text));
      derate_pg_connection_run_async (connection, batch,
                                      i > 0 ? DERATE_PG_BATCH_ATOMIC : DERATE_PG_BATCH_NONE,
                                      cancellable, pg_take_result, &result);
      for (guint j = 0; j < 10; j++)
        g_main_context_iteration (NULL, FALSE);
      g_cancellable_cancel (cancellable);
      pg_wait (&result);
      g_assert_false (derate_pg_connection_run_finish (connection, result, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_error (&error);
      g_clear_pointer (&batch, derate_pg_batch_unref);
      derate_pg_connection_drain_async (connection, G_TIME_SPAN_MINUTE, done, &is_done);
      while (!is_done)
        g_main_context_iteration (NULL, TRUE);
      g_assert_true (derate_pg_connection_is_usable (connection));
      g_assert_false (derate_pg_connection_is_in_transaction (connection));
      after = pg_query (connection, "select 1", NULL, &error);
      g_assert_no_error (error);
      if (i > 0)
        expect_rows ("0");
    }
}

static void
test_killed (void)
{
  for (guint i = 0; i < 4; i++)
    {
      g_autoptr (DeratePgConnection) connection = pg_open (servers);
      g_autoptr (DeratePgBatch) batch = derate_pg_batch_new ();
      g_autoptr (GError) error = NULL;

      derate_pg_batch_add (batch, "select 1", NULL);
      derate_pg_batch_add (batch, "select pg_terminate_backend(pg_backend_pid())", NULL);
      derate_pg_batch_add (batch, "select 3", NULL);
      g_assert_false (run (connection, batch, i > 1 ? DERATE_PG_BATCH_ATOMIC : DERATE_PG_BATCH_NONE,
                           i % 2, &error));
      g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
      if (i < 2)
        expect (batch, 0, "1");
      expect_error (batch, 1, DERATE_PG_ERROR_CLOSED, "57P01");
      if (i < 2)
        expect_error (batch, 2, DERATE_PG_ERROR_CLOSED, "57P01");
      else
        expect_error (batch, 2, DERATE_PG_ERROR_QUERY, NULL);
      g_assert_false (derate_pg_connection_is_usable (connection));
    }
}

/* Counted once, as what it is. */
static void
test_meter (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (DeratePgMeter) meter = derate_pg_meter_new ("shop", NULL);
  g_autoptr (DeratePgBatch) good = derate_pg_batch_new ();
  g_autoptr (DeratePgBatch) bad = derate_pg_batch_new ();

  derate_pg_connection_set_meter (connection, meter);
  derate_pg_batch_add (good, "select 1", NULL);
  derate_pg_batch_add (good, "select 2", NULL);
  derate_pg_batch_add (bad, "select 1/0", NULL);
  run (connection, good, DERATE_PG_BATCH_NONE, FALSE, NULL);
  run (connection, good, DERATE_PG_BATCH_ATOMIC, FALSE, NULL);
  run (connection, bad, DERATE_PG_BATCH_ATOMIC, TRUE, NULL);
  g_assert_cmpuint (derate_histogram_get_count (
                        derate_pg_meter_get_queries (meter, DERATE_PG_OPERATION_OTHER,
                                                     DERATE_PG_STATUS_OK)),
                    ==, 1);
  g_assert_cmpuint (derate_histogram_get_count (
                        derate_pg_meter_get_queries (meter, DERATE_PG_OPERATION_TRANSACTION,
                                                     DERATE_PG_STATUS_OK)),
                    ==, 1);
  g_assert_cmpuint (derate_histogram_get_count (
                        derate_pg_meter_get_queries (meter, DERATE_PG_OPERATION_TRANSACTION,
                                                     DERATE_PG_STATUS_ERROR)),
                    ==, 1);
}

int
main (int argc, char *argv[])
{
  int status;

  g_test_init (&argc, &argv, NULL);
  servers = test_servers_new ((const char *const[]){ "postgresql", NULL });
  /* What is not unique shows at the end of the transaction alone. */
  pg_execute (servers, "create table item (n int unique deferrable initially deferred)");

  g_test_add_func ("/pg-batch/independent", test_independent);
  g_test_add_func ("/pg-batch/atomic", test_atomic);
  g_test_add_func ("/pg-batch/rolled-back", test_rolled_back);
  g_test_add_func ("/pg-batch/many", test_many);
  g_test_add_func ("/pg-batch/big", test_big);
  g_test_add_func ("/pg-batch/prepared", test_prepared);
  g_test_add_func ("/pg-batch/prepared-wrong", test_prepared_wrong);
  g_test_add_func ("/pg-batch/refused", test_refused);
  g_test_add_func ("/pg-batch/given-up", test_given_up);
  g_test_add_func ("/pg-batch/killed", test_killed);
  g_test_add_func ("/pg-batch/meter", test_meter);

  status = g_test_run ();
  test_servers_free (servers);
  return status;
}
