/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-pg-exec.h"

#include "derate-pg-error-private.h"
#include "derate-pg-meter-private.h"
#include "derate-pg-parameters-private.h"

#include <derate-clock.h>

static gboolean
is_bad (const PGresult *result)
{
  ExecStatusType status = PQresultStatus (result);

  return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE;
}

static PGresult *
run (PGconn *pg, const char *sql, const DeratePgParameters *parameters)
{
  if (parameters->n == 0)
    return PQexec (pg, sql);
  return PQexecParams (pg, sql, parameters->n, parameters->types, parameters->values,
                       parameters->lengths, parameters->formats, 0);
}

/**
 * derate_pg_exec_timed: (skip)
 * @connection: a session of the caller's own, libpq's `PGconn`
 * @sql: a statement, with `$1`, `$2` … for the parameters
 * @parameters: (nullable): a tuple of their values, as derate_pg_connection_query_async() takes
 * them
 * @result: (out) (optional) (transfer full): what it gave, libpq's `PGresult`, in text format; to
 * be freed with `PQclear ()`. %NULL on an error
 * @elapsed_ms: (out) (optional): how long it took, in milliseconds, also on an error
 * @error: where to put the error
 *
 * Runs a statement on a session that a program made by itself, without a pool, and measures it. It
 * counts in `db_query_duration_seconds` and `db_slow_queries_total` of the pool `default`, and is
 * logged as `slow_query` from `SLOW_QUERY_THRESHOLD_MS` (100) on, or as `query` with
 * `ENABLE_QUERY_LOGGING`; parameters never are.
 *
 * It blocks, as libpq's own `PQexec ()` and `PQexecParams ()` do: for threads that have no loop to
 * serve. May be called from any thread, for each session by one at a time.
 *
 * Returns: %TRUE if the statement went well, otherwise %FALSE with a %DERATE_PG_ERROR, or
 *   %DERATE_ERROR_INVALID_CONFIG where one of the variables does not parse: then nothing was run
 *
 * Since: 1.0
 */
gboolean
derate_pg_exec_timed (struct pg_conn *connection,
                      const char *sql,
                      GVariant *parameters,
                      struct pg_result **result,
                      double *elapsed_ms,
                      GError **error)
{
  g_autoptr (GVariant) tuple = parameters != NULL ? g_variant_ref_sink (parameters) : NULL;
  g_auto (DeratePgParameters) encoded = { 0 };
  DeratePgMeter *meter = derate_pg_meter_get_default (error);
  DerateClock *clock = derate_clock_get_system ();
  GError *why = NULL;
  PGresult *answer;
  gint64 start, end;

  if (result != NULL)
    *result = NULL;
  if (elapsed_ms != NULL)
    *elapsed_ms = 0;
  if (meter == NULL || !derate_pg_parameters_init (&encoded, tuple, TRUE, error))
    return FALSE;
  start = derate_clock_get_time (clock);
  answer = run (connection, sql, &encoded);
  end = derate_clock_get_time (clock);
  if (answer == NULL)
    why = derate_pg_error_from_broken (connection, NULL);
  else if (is_bad (answer))
    why = derate_pg_error_from_result (answer);
  derate_pg_meter_query (meter, DERATE_PG_OPERATION_OTHER, (double)(end - start) / 1e6, sql, why);
  if (elapsed_ms != NULL)
    *elapsed_ms = (double)(end - start) / 1e3;
  if (result != NULL && why == NULL)
    *result = g_steal_pointer (&answer);
  g_clear_pointer (&answer, PQclear);
  if (why != NULL)
    g_propagate_error (error, why);
  return why == NULL;
}
