/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statements that a session keeps prepared, as the server sees them. */
#include "pg-client.h"

#include "derate-pg-connection-private.h"

#define KEPT "/**/ select count(*) from pg_prepared_statements where name like 'derate%'"

static TestServers *servers;

static DeratePgConnection *
open_caching (guint size)
{
  DeratePgConnection *connection = pg_open (servers);

  derate_pg_connection_set_statement_cache (connection, size);
  return connection;
}

static char *
ask_with (DeratePgConnection *connection, const char *sql, GVariant *parameters)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DeratePgResult) result = pg_query (connection, sql, parameters, &error);

  g_assert_no_error (error);
  return g_strdup (derate_pg_result_get_value (result, 0, 0));
}

static char *
ask (DeratePgConnection *connection, const char *sql)
{
  return ask_with (connection, sql, NULL);
}

static void
expect (DeratePgConnection *connection, const char *sql, const char *value)
{
  g_autofree char *found = ask (connection, sql);

  g_assert_cmpstr (found, ==, value);
}

static void
expect_error (DeratePgConnection *connection, const char *sql, const char *sqlstate)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *state = NULL;

  g_assert_null (pg_query (connection, sql, NULL, &error));
  state = derate_pg_error_get_sqlstate (error);
  g_assert_cmpstr (state, ==, sqlstate);
}

/* The second time, and then it is the server's. */
static void
test_second_use (void)
{
  g_autoptr (DeratePgConnection) connection = open_caching (10);
  g_autofree char *text = NULL;

  expect (connection, "select 1", "1");
  expect (connection, KEPT, "0");
  expect (connection, "select 1", "1");
  expect (connection, KEPT, "1");
  expect (connection, "select 1", "1");
  expect (connection, KEPT, "1");
  /* Used for good: the plan is looked up by its name. */
  expect (connection,
          "/**/ select generic_plans + custom_plans from pg_prepared_statements"
          " where statement = 'select 1'",
          "2");
}

static void
test_off (void)
{
  g_autoptr (DeratePgConnection) connection = open_caching (0);

  for (guint i = 0; i < 3; i++)
    expect (connection, "select 1", "1");
  expect (connection, KEPT, "0");
}

/* The same text with other types is another statement. */
static void
test_types (void)
{
  g_autoptr (DeratePgConnection) connection = open_caching (10);

  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *number = ask_with (connection, "select $1 + 1", g_variant_new ("(i)", 1));
      g_autofree char *more = ask_with (connection, "select $1 + 1", g_variant_new ("(d)", 1.5));
      g_autofree char *none = ask_with (connection, "select $1 + 1", g_variant_new ("(mi)", NULL));

      g_assert_cmpstr (number, ==, "2");
      g_assert_cmpstr (more, ==, "2.5");
      g_assert_null (none);
    }
  expect (connection, KEPT, "2");
}

static void
test_worth_it (void)
{
  static const char *const words[] = { "begin", "commit", "set local x.y = 1", "select 1" };
  g_autoptr (DeratePgConnection) connection = open_caching (10);

  for (guint i = 0; i < 3; i++)
    for (guint j = 0; j < G_N_ELEMENTS (words); j++)
      g_free (ask (connection, words[j]));
  expect (connection, KEPT, "1");
}

/* The least used makes room, and the server lets go of it. */
static void
test_evicted (void)
{
  g_autoptr (DeratePgConnection) connection = open_caching (2);

  for (guint round = 0; round < 3; round++)
    for (guint i = 0; i < 4; i++)
      {
        g_autofree char *sql = g_strdup_printf ("select %u", i);

        for (guint j = 0; j < 3; j++)
          g_free (ask (connection, sql));
      }
  expect (connection, KEPT, "2");
}

static void
test_discarded (void)
{
  static const char *const words[] = { "discard all", "deallocate all", "discard all" };
  g_autoptr (DeratePgConnection) connection = open_caching (10);

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    {
      for (guint j = 0; j < 3; j++)
        expect (connection, "select 1", "1");
      expect (connection, KEPT, "1");
      g_free (ask (connection, words[i]));
    }
}

/* Behind our back, where no tag tells. */
static void
test_lost (void)
{
  g_autoptr (DeratePgConnection) connection = open_caching (10);

  pg_execute (servers, "create or replace function lose() returns void language plpgsql as"
                       " $$begin deallocate all; end$$");
  for (guint i = 0; i < 3; i++)
    {
      for (guint j = 0; j < 3; j++)
        expect (connection, "select 1", "1");
      g_free (ask (connection, "do 'begin perform lose(); end'"));
    }
  expect (connection, "select 1", "1");
  /* Inside a transaction the server has ended it by then. */
  for (guint j = 0; j < 3; j++)
    expect (connection, "select 1", "1");
  g_free (ask (connection, "begin"));
  g_free (ask (connection, "do 'begin perform lose(); end'"));
  expect_error (connection, "select 1", "26000");
  g_free (ask (connection, "rollback"));
  expect (connection, "select 1", "1");
}

static void
test_changed_table (void)
{
  g_autoptr (DeratePgConnection) connection = open_caching (10);

  pg_execute (servers, "create table thing as select 1 as a");
  for (guint j = 0; j < 3; j++)
    expect (connection, "select * from thing", "1");
  pg_execute (servers, "alter table thing alter a type text using 'one'");
  expect (connection, "select * from thing", "one");
  for (guint j = 0; j < 3; j++)
    expect (connection, "select * from thing", "one");
  /* Inside a transaction the server has ended it by then; after it all is well again. */
  pg_execute (servers, "alter table thing alter a type int using 2");
  g_free (ask (connection, "begin"));
  expect_error (connection, "select * from thing", "0A000");
  expect_error (connection, "select * from thing", "25P02");
  g_free (ask (connection, "rollback"));
  expect (connection, "select * from thing", "2");
  /* Also in the form that waits. */
  for (guint j = 0; j < 2; j++)
    expect (connection, "select * from thing", "2");
  pg_execute (servers, "alter table thing alter a type text using 'three'");
  {
    g_autoptr (GError) error = NULL;
    g_autoptr (DeratePgResult) result =
        derate_pg_connection_query (connection, "select * from thing", NULL, NULL, &error);

    g_assert_no_error (error);
    g_assert_cmpstr (derate_pg_result_get_value (result, 0, 0), ==, "three");
  }
}

/* What is wrong is as wrong the second time, and says the same. */
static void
test_wrong (void)
{
  g_autoptr (DeratePgConnection) connection = open_caching (10);

  for (guint i = 0; i < 4; i++)
    {
      expect_error (connection, "select nothing", "42703");
      expect_error (connection, "select 1/0", "22012");
    }
  expect (connection, "select 1", "1");
  g_free (ask (connection, "begin"));
  expect_error (connection, "select nothing", "42703");
  for (guint i = 0; i < 3; i++)
    expect_error (connection, "select 2", "25P02");
  g_free (ask (connection, "rollback"));
  for (guint i = 0; i < 3; i++)
    expect (connection, "select 2", "2");
}

/* A session whose first use by name was given up knows no more whether the server has it. */
static void
done (DeratePgConnection *connection, DeratePgResult *result, GError *error, gpointer data)
{
  g_clear_pointer (&result, derate_pg_result_unref);
  g_clear_error (&error);
  *(gboolean *)data = TRUE;
}

static void
test_given_up (void)
{
  g_autoptr (DeratePgConnection) connection = open_caching (10);

  derate_pg_connection_set_pooled (connection, TRUE);
  for (guint i = 0; i < 5; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      gboolean is_done = FALSE;

      g_free (ask (connection, "select pg_sleep(0.001)"));
      derate_pg_connection_start (connection, "select pg_sleep(0.001)", NULL,
                                  DERATE_PG_OPERATION_READ, cancellable, done, &is_done);
      g_cancellable_cancel (cancellable);
      while (!is_done)
        g_main_context_iteration (NULL, TRUE);
      if (derate_pg_connection_is_abandoned (connection))
        {
          is_done = FALSE;
          derate_pg_connection_drain_async (connection, G_TIME_SPAN_MINUTE, done, &is_done);
          while (!is_done)
            g_main_context_iteration (NULL, TRUE);
        }
      for (guint j = 0; j < 3; j++)
        {
          g_free (ask (connection, "select pg_sleep(0.001)"));
          expect (connection, "select 1", "1");
        }
    }
}

int
main (int argc, char *argv[])
{
  int status;

  g_test_init (&argc, &argv, NULL);
  servers = test_servers_new ((const char *const[]){ "postgresql", NULL });

  g_test_add_func ("/pg-statements/second-use", test_second_use);
  g_test_add_func ("/pg-statements/off", test_off);
  g_test_add_func ("/pg-statements/types", test_types);
  g_test_add_func ("/pg-statements/worth-it", test_worth_it);
  g_test_add_func ("/pg-statements/evicted", test_evicted);
  g_test_add_func ("/pg-statements/discarded", test_discarded);
  g_test_add_func ("/pg-statements/lost", test_lost);
  g_test_add_func ("/pg-statements/changed-table", test_changed_table);
  g_test_add_func ("/pg-statements/wrong", test_wrong);
  g_test_add_func ("/pg-statements/given-up", test_given_up);

  status = g_test_run ();
  test_servers_free (servers);
  return status;
}
