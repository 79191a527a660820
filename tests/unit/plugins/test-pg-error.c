/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-pg-error-private.h"

#include <gio/gio.h>

/* clang-format off */
static const struct
{
  const char *message;
  DeratePgError code;
  gboolean is_failure;
} errors[] = {
  { "nonsense", DERATE_PG_ERROR_FAILED, TRUE },
  { "cannot connect: no such database [3D000]", DERATE_PG_ERROR_CONFIG, TRUE },
  { "cannot connect: refused", DERATE_PG_ERROR_CONNECT_REFUSED, TRUE },
  { "cannot connect: silence", DERATE_PG_ERROR_CONNECT_TIMEOUT, TRUE },
  { "cannot connect: who are you", DERATE_PG_ERROR_AUTH, TRUE },
  { "sorry, too many clients already [53300]", DERATE_PG_ERROR_TOO_MANY_CONNECTIONS, TRUE },
  { "starting up [57P03]", DERATE_PG_ERROR_NOT_READY, TRUE },
  { "cannot execute INSERT in a read-only transaction [25006]", DERATE_PG_ERROR_READ_ONLY, FALSE },
  { "out of memory [53200]", DERATE_PG_ERROR_RESOURCES, TRUE },
  { "duplicate key value [23505]", DERATE_PG_ERROR_QUERY, FALSE },
  { "could not serialize access [40001]", DERATE_PG_ERROR_QUERY, FALSE },
  { "deadlock detected [40P01]", DERATE_PG_ERROR_QUERY, FALSE },
  { "canceling statement due to statement timeout [57014]", DERATE_PG_ERROR_QUERY, TRUE },
  { "the session has ended", DERATE_PG_ERROR_CLOSED, TRUE },
  { "in the middle of another query", DERATE_PG_ERROR_BUSY, FALSE },
  { "no answer within 30s", DERATE_PG_ERROR_TIMED_OUT, TRUE },
  { "parameter 1", DERATE_PG_ERROR_PARAMETER, FALSE },
  { "pool p: no connection within 1s (2 in use)", DERATE_PG_ERROR_POOL_TIMEOUT, FALSE },
  { "pool p: no connection within 1s (0 in use): cannot connect: x", DERATE_PG_ERROR_POOL_TIMEOUT, TRUE },
  { "pool p: 5 wait already", DERATE_PG_ERROR_POOL_FULL, FALSE },
  { "pool p was closed", DERATE_PG_ERROR_POOL_CLOSED, FALSE },
  { "released before", DERATE_PG_ERROR_RELEASED, FALSE },
};
/* clang-format on */

static void
test_failures (void)
{
  g_autoptr (GError) cancelled = g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "no more");
  g_autoptr (GError) lookup =
      g_error_new (G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND, "no address");
  g_autoptr (GError) theirs = g_error_new (G_FILE_ERROR, G_FILE_ERROR_NOENT, "no file");

  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    {
      g_autoptr (GError) error =
          g_error_new (DERATE_PG_ERROR, errors[i].code, "%s", errors[i].message);

      g_test_message ("%s", errors[i].message);
      g_assert_cmpint (derate_pg_error_is_failure (error), ==, errors[i].is_failure);
    }
  g_assert_false (derate_pg_error_is_failure (cancelled));
  g_assert_true (derate_pg_error_is_failure (lookup));
  g_assert_false (derate_pg_error_is_failure (theirs));
}

/* Of who sends a value that looks like the SQLSTATE of a server that goes down. */
static void
test_forged (void)
{
  static const char *const values[] = { "[57014]", "x:  57014: y", "[57P01]: [57014]" };

  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    {
      g_autoptr (GError) error =
          g_error_new (DERATE_PG_ERROR, DERATE_PG_ERROR_QUERY,
                       "the server refused: invalid input syntax for type date: \"%s\" [22007]",
                       values[i]);
      g_autofree char *state = derate_pg_error_get_sqlstate (error);

      g_assert_cmpstr (state, ==, "22007");
      g_assert_false (derate_pg_error_is_failure (error));
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pg-error/is-failure", test_failures);
  g_test_add_func ("/pg-error/forged", test_forged);

  return g_test_run ();
}
