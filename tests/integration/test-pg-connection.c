/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a program sees of a session. */
#include "pg-client.h"

#include <string.h>

static TestServers *servers;

static void
test_query (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (DeratePgResult) rows = NULL;
  g_autoptr (DeratePgResult) changed = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *sqlstate = NULL;

  rows = pg_query (connection, "select i, null, $1::text as word from generate_series(1, 3) i",
                   g_variant_new ("(s)", "it's"), &error);
  g_assert_no_error (error);
  g_assert_cmpuint (derate_pg_result_get_n_rows (rows), ==, 3);
  g_assert_cmpuint (derate_pg_result_get_n_columns (rows), ==, 3);
  g_assert_cmpstr (derate_pg_result_get_column_name (rows, 2), ==, "word");
  g_assert_cmpuint (derate_pg_result_get_column_type (rows, 0), ==, 23);
  g_assert_cmpstr (derate_pg_result_get_value (rows, 2, 0), ==, "3");
  g_assert_cmpstr (derate_pg_result_get_value (rows, 0, 2), ==, "it's");
  g_assert_true (derate_pg_result_is_null (rows, 0, 1));
  g_assert_null (derate_pg_result_get_value (rows, 3, 0));

  changed =
      pg_query (connection, "create temp table t as select generate_series(1, 7)", NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (derate_pg_result_get_affected (changed), ==, 7);

  g_assert_null (pg_query (connection, "select * from nowhere", NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_QUERY);
  sqlstate = derate_pg_error_get_sqlstate (error);
  g_assert_cmpstr (sqlstate, ==, "42P01");
  g_assert_true (derate_pg_connection_is_usable (connection));
}

/* Each type there and back again: as a value, and as what a row holds, which is a parameter again.
 */
static void
test_types (void)
{
  static const struct
  {
    const char *sql; /* the type that the server is told or finds out */
    const char *sent;
    const char *got; /* NULL: SQL's NULL */
  } cases[] = {
    { "$1", "true", "true" },
    { "$1", "byte 0xff", "int16 255" },
    { "$1", "int16 -32768", "int16 -32768" },
    { "$1", "uint16 65535", "65535" },
    { "$1", "-2147483648", "-2147483648" },
    { "$1", "uint32 4294967295", "int64 4294967295" },
    { "$1", "int64 -9223372036854775808", "int64 -9223372036854775808" },
    { "$1", "uint64 9223372036854775807", "int64 9223372036854775807" },
    { "$1", "0.1", "0.10000000000000001" },
    { "$1::float8 / 0.5", "1e308", NULL }, /* out of range, an error */
    { "$1::float4", "0.5", "0.5" },
    { "'-Infinity'::float8 + $1", "1.0", "-inf" },
    { "$1", "'Año nuevo'", "'Año nuevo'" },
    { "$1::numeric", "'1.50'", "'1.50'" },
    { "$1::date + 1", "'2024-02-28'", "'2024-02-29'" },
    { "$1::int4 + 1", "'41'", "42" },
    { "$1::uuid", "'00000000-0000-0000-0000-0000000000ff'",
      "'00000000-0000-0000-0000-0000000000ff'" },
    { "$1", "[byte 0x01, 0xff]", "[byte 0x01, 0xff]" },
    { "$1", "@ay []", "@ay []" },
    { "array[$1, 2]", "1", "'{1,2}'" },
    { "$1", "@mi nothing", NULL },
    { "$1", "@mx 5", "int64 5" },
    { "$1", "@mv nothing", NULL },
    { "$1", "<<'deep'>>", "'deep'" },
  };
  g_autoptr (DeratePgConnection) connection = pg_open (servers);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *sql = g_strdup_printf ("select %s as value", cases[i].sql);
      g_autoptr (GVariant) sent = g_variant_parse (NULL, cases[i].sent, NULL, NULL, NULL);
      g_autoptr (GError) error = NULL;
      g_autoptr (DeratePgResult) result =
          pg_query (connection, sql, g_variant_new_tuple (&sent, 1), &error);
      g_autoptr (GVariant) got = NULL;
      g_autofree char *text = NULL;

      g_test_message ("%s of %s", cases[i].sql, cases[i].sent);
      if (result == NULL)
        {
          g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_QUERY);
          g_assert_null (cases[i].got);
          continue;
        }
      got = derate_pg_result_dup_value (result, 0, 0);
      text = got != NULL ? g_variant_print (got, TRUE) : NULL;
      g_assert_cmpstr (text, ==, cases[i].got);
    }
}

static void
test_rows (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (DeratePgResult) result = NULL;
  g_autoptr (GVariant) row = NULL;
  g_autoptr (GVariant) rows = NULL;
  g_autofree char *text = NULL;

  result = pg_query (connection,
                     "select i, nullif(i, 2) as n, null::bytea as b, 'x' || i as s"
                     " from generate_series(1, 2) i",
                     NULL, NULL);
  row = derate_pg_result_dup_row (result, 0);
  text = g_variant_print (row, TRUE);
  g_assert_cmpstr (text, ==, "{'i': <1>, 'n': <1>, 'b': <@may nothing>, 's': <'x1'>}");
  g_assert_null (derate_pg_result_dup_row (result, 2));
  rows = derate_pg_result_to_variant (result);
  g_free (text);
  text = g_variant_print (rows, FALSE);
  g_assert_cmpstr (text, ==,
                   "[{'i': <1>, 'n': <1>, 'b': <@may nothing>, 's': <'x1'>}, "
                   "{'i': <2>, 'n': <@mi nothing>, 'b': <@may nothing>, 's': <'x2'>}]");
  g_assert_nonnull (derate_pg_result_get_pg (result));
}

/* The caller hears what is wrong with a parameter, and the session goes on. */
static void
test_wrong_parameters (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (GError) error = NULL;

  g_assert_null (pg_query (connection, "select $1", g_variant_new ("(as)", NULL), &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_PARAMETER);
  g_clear_error (&error);
  g_assert_null (
      derate_pg_connection_query (connection, "select $1", g_variant_new ("i", 1), NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_PARAMETER);
  g_clear_error (&error);
  g_assert_null (pg_query (connection, "select $1::int4", NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_QUERY);
  g_clear_error (&error);
  derate_pg_result_unref (pg_query (connection, "", NULL, &error));
  g_assert_no_error (error);
}

static void
test_transaction (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);

  g_assert_false (derate_pg_connection_is_in_transaction (connection));
  derate_pg_result_unref (pg_query (connection, "begin", NULL, NULL));
  g_assert_true (derate_pg_connection_is_in_transaction (connection));
  g_assert_null (pg_query (connection, "select 1/0", NULL, NULL));
  g_assert_true (derate_pg_connection_is_in_transaction (connection));
  derate_pg_result_unref (pg_query (connection, "rollback", NULL, NULL));
  g_assert_false (derate_pg_connection_is_in_transaction (connection));
}

/* More than any socket buffer, in both directions. */
static void
test_big_value (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autofree char *big = g_strnfill (16 * 1024 * 1024, 'x');
  g_autoptr (DeratePgResult) result = NULL;
  g_autoptr (GError) error = NULL;

  result = pg_query (connection, "select $1::text", g_variant_new ("(s)", big), &error);
  g_assert_no_error (error);
  g_assert_cmpuint (strlen (derate_pg_result_get_value (result, 0, 0)), ==, strlen (big));
}

static void
test_busy_and_cancelled (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) slow = NULL;
  g_autoptr (GError) error = NULL;

  derate_pg_connection_query_async (connection, "select pg_sleep(600)", NULL, cancellable,
                                    pg_take_result, &slow);
  g_assert_null (pg_query (connection, "", NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_BUSY);
  g_clear_error (&error);
  g_assert_null (slow);
  g_cancellable_cancel (cancellable);
  pg_wait (&slow);
  g_assert_null (derate_pg_connection_query_finish (connection, slow, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_false (derate_pg_connection_is_usable (connection));
  g_assert_null (pg_query (connection, "", NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
}

static gpointer
cancel_soon (gpointer data)
{
  pg_expect (servers,
             "select count(*) from pg_stat_activity where state = 'active' and query like 'select "
             "pg_sl%'",
             "1");
  g_cancellable_cancel (data);
  return NULL;
}

/* The form that waits, in a thread that has no loop. */
static void
test_sync (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree char *big = g_strnfill (16 * 1024 * 1024, 'x');
  g_autoptr (DeratePgResult) result = NULL;
  g_autoptr (GError) error = NULL;
  GThread *thread;

  result = derate_pg_connection_query (connection, "select $1::text || 'y'",
                                       g_variant_new ("(s)", big), cancellable, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (strlen (derate_pg_result_get_value (result, 0, 0)), ==, strlen (big) + 1);
  g_assert_null (derate_pg_connection_query (connection, "select 1/0", NULL, NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_QUERY);
  g_clear_error (&error);

  thread = g_thread_new ("cancel", cancel_soon, cancellable);
  g_assert_null (
      derate_pg_connection_query (connection, "select pg_sleep(600)", NULL, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_thread_join (thread);
  g_clear_error (&error);
  g_assert_null (derate_pg_connection_query (connection, "select 1", NULL, NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
}

static void
test_sync_timeout (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (GError) error = NULL;

  derate_pg_connection_set_query_timeout (connection, 20 * G_TIME_SPAN_MILLISECOND);
  g_assert_null (
      derate_pg_connection_query (connection, "select pg_sleep(600)", NULL, NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_TIMED_OUT);
  g_assert_cmpstr (error->message, ==, "no answer within 20ms");
  g_assert_false (derate_pg_connection_is_usable (connection));
}

static void
test_sync_killed (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (GError) error = NULL;
  g_autofree char *sqlstate = NULL;

  g_assert_null (derate_pg_connection_query (connection,
                                             "select pg_terminate_backend(pg_backend_pid())", NULL,
                                             NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
  sqlstate = derate_pg_error_get_sqlstate (error);
  g_assert_cmpstr (sqlstate, ==, "57P01");
}

static void
test_killed_query (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (GAsyncResult) slow = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *sqlstate = NULL;

  derate_pg_connection_query_async (connection, "select pg_sleep(600)", NULL, NULL, pg_take_result,
                                    &slow);
  while (slow == NULL)
    pg_execute (servers, "select pg_terminate_backend(pid) from pg_stat_activity where query like "
                         "'select pg_sl%'");
  g_assert_null (derate_pg_connection_query_finish (connection, slow, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
  sqlstate = derate_pg_error_get_sqlstate (error);
  g_assert_cmpstr (sqlstate, ==, "57P01");
  g_assert_false (derate_pg_connection_is_usable (connection));
}

static void
test_copy (void)
{
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (GError) error = NULL;

  g_assert_null (pg_query (connection, "copy (select 1) to stdout", NULL, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_FAILED);
  g_assert_false (derate_pg_connection_is_usable (connection));
}

/* Nor does the server go on with it. */
static void
test_close (void)
{
  static const char sleepers[] = "select count(*) from pg_stat_activity where "
                                 "wait_event = 'PgSleep' and query = 'select pg_sleep(601)'";
  g_autoptr (DeratePgConnection) connection = pg_open (servers);
  g_autoptr (GAsyncResult) slow = NULL;
  g_autoptr (GError) error = NULL;

  derate_pg_connection_query_async (connection, "select pg_sleep(601)", NULL, NULL, pg_take_result,
                                    &slow);
  pg_expect (servers, sleepers, "1");
  derate_pg_connection_close (connection);
  pg_wait (&slow);
  g_assert_null (derate_pg_connection_query_finish (connection, slow, &error));
  g_assert_error (error, DERATE_PG_ERROR, DERATE_PG_ERROR_CLOSED);
  pg_expect (servers, sleepers, "0");
}

int
main (int argc, char *argv[])
{
  int status;

  g_test_init (&argc, &argv, NULL);
  servers = test_servers_new ((const char *const[]){ "postgresql", NULL });

  g_test_add_func ("/pg-connection/query", test_query);
  g_test_add_func ("/pg-connection/types", test_types);
  g_test_add_func ("/pg-connection/rows", test_rows);
  g_test_add_func ("/pg-connection/wrong-parameters", test_wrong_parameters);
  g_test_add_func ("/pg-connection/transaction", test_transaction);
  g_test_add_func ("/pg-connection/big-value", test_big_value);
  g_test_add_func ("/pg-connection/busy-and-cancelled", test_busy_and_cancelled);
  g_test_add_func ("/pg-connection/behaviour-24-killed-query", test_killed_query);
  g_test_add_func ("/pg-connection/sync", test_sync);
  g_test_add_func ("/pg-connection/sync-timeout", test_sync_timeout);
  g_test_add_func ("/pg-connection/sync-killed", test_sync_killed);
  g_test_add_func ("/pg-connection/copy", test_copy);
  g_test_add_func ("/pg-connection/close", test_close);

  status = g_test_run ();
  test_servers_free (servers);
  return status;
}
