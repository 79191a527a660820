/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-pg-error-private.h"
#include "derate-pg-meter-private.h"

#include <derate-error.h>
#include <gio/gio.h>
#include <string.h>

/* What was logged since the last look, one line an event: LEVEL COMPONENT EVENT DURATION MESSAGE.
 */
static GString *lines;

static GLogWriterOutput
keep (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data)
{
  static const char *const keys[] = { "COMPONENT", "EVENT", "DURATION_MS", "MESSAGE" };

  g_string_append (lines, level == G_LOG_LEVEL_WARNING ? "W" : "I");
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    for (gsize j = 0; j < n_fields; j++)
      if (g_str_equal (fields[j].key, keys[i]))
        g_string_append_printf (lines, " %s", (const char *)fields[j].value);
  g_string_append_c (lines, '\n');
  return G_LOG_WRITER_HANDLED;
}

static void
expect (const char *text)
{
  g_assert_cmpstr (lines->str, ==, text);
  g_string_truncate (lines, 0);
}

static DeratePgMeter *
make (const char *slow, const char *logs)
{
  g_autoptr (GError) error = NULL;
  DeratePgMeter *meter;

  g_setenv ("SLOW_QUERY_THRESHOLD_MS", slow, TRUE);
  g_setenv ("ENABLE_QUERY_LOGGING", logs, TRUE);
  meter = derate_pg_meter_new ("shop", &error);
  g_assert_no_error (error);
  return meter;
}

static void
query (DeratePgMeter *meter, double seconds, const char *sql)
{
  derate_pg_meter_query (meter, DERATE_PG_OPERATION_READ, seconds, sql, NULL);
}

static void
test_slow (void)
{
  g_autoptr (DeratePgMeter) by_default = make ("", "");
  g_autoptr (DeratePgMeter) meter = make ("50", "false");

  query (by_default, 0.0999, "SELECT 1");
  expect ("");
  query (by_default, 0.1, "SELECT 1");
  expect ("W shop slow_query 100.0 Slow query (100.0ms): SELECT 1\n");
  g_assert_cmpuint (derate_pg_meter_get_slow (by_default), ==, 1);

  query (meter, 0.04, "SELECT 1");
  expect ("");
  query (meter, 0.2453, "\n  SELECT *\t\n  FROM t  \n");
  expect ("W shop slow_query 245.3 Slow query (245.3ms): SELECT * FROM t\n");
  g_assert_cmpuint (derate_pg_meter_get_slow (meter), ==, 1);
}

static void
test_logging (void)
{
  g_autoptr (DeratePgMeter) meter = make ("100", "true");

  query (meter, 0.00123, "SELECT $1");
  expect ("I shop query 1.2 Query (1.2ms): SELECT $1\n");
  query (meter, 0.3, "SELECT $1");
  expect ("W shop slow_query 300.0 Slow query (300.0ms): SELECT $1\n");
}

/* 200 characters, not bytes; what is no text is not left so. */
static void
test_cut (void)
{
  g_autoptr (DeratePgMeter) meter = make ("0", "false");
  g_autofree char *exact = g_strnfill (200, 'x');
  g_autofree char *longer = g_strconcat (exact, "y", NULL);
  g_autofree char *cut =
      g_strconcat ("W shop slow_query 0.0 Slow query (0.0ms): ", exact, "...\n", NULL);
  g_autofree char *whole =
      g_strconcat ("W shop slow_query 0.0 Slow query (0.0ms): ", exact, "\n", NULL);
  g_autofree char *spaced = g_strconcat (exact, "  \n", NULL);
  g_autofree char *more = g_strconcat (exact, " z", NULL);
  g_autoptr (GString) wide = g_string_new (NULL);
  const char *found;

  query (meter, 0, exact);
  expect (whole);
  query (meter, 0, spaced);
  expect (whole);
  query (meter, 0, longer);
  expect (cut);
  query (meter, 0, more);
  expect (cut);
  for (guint i = 0; i < 201; i++)
    g_string_append (wide, "ñ");
  query (meter, 0, wide->str);
  found = strstr (lines->str, "ñ");
  g_assert_cmpint (g_utf8_strlen (found, -1), ==, 200 + (glong)strlen ("...\n"));
  g_string_truncate (lines, 0);
  query (meter, 0, "\xbf\xff SELECT");
  g_assert_true (g_utf8_validate (lines->str, -1, NULL));
  g_string_truncate (lines, 0);
}

static void
test_counts (void)
{
  g_autoptr (DeratePgMeter) meter = make ("", "");
  g_autoptr (DeratePgMeter) again = derate_pg_meter_ref (meter);
  static const struct
  {
    DeratePgStatus status;
    GQuark (*domain) (void);
    int code;
  } ends[] = {
    { DERATE_PG_STATUS_OK, NULL, 0 },
    { DERATE_PG_STATUS_ERROR, derate_pg_error_quark, DERATE_PG_ERROR_QUERY },
    { DERATE_PG_STATUS_TIMEOUT, derate_pg_error_quark, DERATE_PG_ERROR_TIMED_OUT },
    { DERATE_PG_STATUS_CANCELLED, g_io_error_quark, G_IO_ERROR_CANCELLED },
  };

  g_assert_cmpstr (derate_pg_meter_get_name (meter), ==, "shop");
  derate_pg_meter_acquired (meter, 0.5);
  g_assert_cmpfloat (derate_histogram_get_sum (derate_pg_meter_get_acquires (again)), ==, 0.5);
  for (guint i = 0; i < G_N_ELEMENTS (ends); i++)
    {
      g_autoptr (GError) error = NULL;

      if (ends[i].domain != NULL)
        error = g_error_new (ends[i].domain (), ends[i].code, "no");
      for (guint j = 0; j <= i; j++)
        derate_pg_meter_query (meter, DERATE_PG_OPERATION_WRITE, 0.01, "INSERT", error);
    }
  for (guint op = 0; op < DERATE_PG_N_OPERATIONS; op++)
    for (guint i = 0; i < DERATE_PG_N_STATUSES; i++)
      g_assert_cmpuint (derate_histogram_get_count (derate_pg_meter_get_queries (meter, op, i)), ==,
                        op == DERATE_PG_OPERATION_WRITE ? i + 1 : 0);
}

/* A variable that does not parse is refused by name. */
static void
test_environment (void)
{
  static const struct
  {
    const char *slow, *logs, *named;
  } cases[] = {
    { "soon", "false", "SLOW_QUERY_THRESHOLD_MS" },
    { "-1", "false", "SLOW_QUERY_THRESHOLD_MS" },
    { "100", "maybe", "ENABLE_QUERY_LOGGING" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;

      g_setenv ("SLOW_QUERY_THRESHOLD_MS", cases[i].slow, TRUE);
      g_setenv ("ENABLE_QUERY_LOGGING", cases[i].logs, TRUE);
      g_assert_null (derate_pg_meter_new ("shop", &error));
      g_assert_error (error, DERATE_ERROR, DERATE_ERROR_INVALID_CONFIG);
      g_assert_nonnull (strstr (error->message, cases[i].named));
    }
}

int
main (int argc, char *argv[])
{
  int status;

  g_test_init (&argc, &argv, NULL);
  lines = g_string_new (NULL);
  g_log_set_writer_func (keep, NULL, NULL);

  g_test_add_func ("/pg-meter/behaviour-25-slow-threshold", test_slow);
  g_test_add_func ("/pg-meter/query-logging", test_logging);
  g_test_add_func ("/pg-meter/cut", test_cut);
  g_test_add_func ("/pg-meter/counts", test_counts);
  g_test_add_func ("/pg-meter/environment", test_environment);

  status = g_test_run ();
  g_string_free (lines, TRUE);
  return status;
}
