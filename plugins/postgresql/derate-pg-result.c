/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-pg-result-private.h"

#include "derate-pg-session-private.h"

/**
 * DeratePgResult:
 *
 * What a query gave: rows of values, or the number of rows it changed. Immutable, so it may be
 * shared by any number of threads.
 *
 * Since: 1.0
 */
struct _DeratePgResult
{
  PGresult *pg;
};

G_DEFINE_BOXED_TYPE (DeratePgResult, derate_pg_result, derate_pg_result_ref, derate_pg_result_unref)

DeratePgResult *
derate_pg_result_new (PGresult *pg)
{
  DeratePgResult *result = g_atomic_rc_box_new (DeratePgResult);

  result->pg = pg;
  return result;
}

/**
 * derate_pg_result_ref:
 * @result: a result
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @result
 *
 * Since: 1.0
 */
DeratePgResult *
derate_pg_result_ref (DeratePgResult *result)
{
  return g_atomic_rc_box_acquire (result);
}

static void
result_clear (gpointer data)
{
  derate_pg_free_result (((DeratePgResult *)data)->pg);
}

/**
 * derate_pg_result_unref:
 * @result: (transfer full): a result
 *
 * Drops a reference. What has many rows is freed by a thread of its own.
 *
 * Since: 1.0
 */
void
derate_pg_result_unref (DeratePgResult *result)
{
  g_atomic_rc_box_release_full (result, result_clear);
}

/**
 * derate_pg_result_get_n_rows:
 * @result: a result
 *
 * How many rows there are.
 *
 * Returns: the number of rows; 0 for a query that gives none
 *
 * Since: 1.0
 */
guint
derate_pg_result_get_n_rows (DeratePgResult *result)
{
  return (guint)PQntuples (result->pg);
}

/**
 * derate_pg_result_get_n_columns:
 * @result: a result
 *
 * How many columns each row has.
 *
 * Returns: the number of columns
 *
 * Since: 1.0
 */
guint
derate_pg_result_get_n_columns (DeratePgResult *result)
{
  return (guint)PQnfields (result->pg);
}

/**
 * derate_pg_result_get_column_name:
 * @result: a result
 * @column: a column, from 0
 *
 * The name of a column.
 *
 * Returns: (nullable): the name, %NULL where there is no such column
 *
 * Since: 1.0
 */
const char *
derate_pg_result_get_column_name (DeratePgResult *result, guint column)
{
  return PQfname (result->pg, (int)column);
}

/**
 * derate_pg_result_get_column_type:
 * @result: a result
 * @column: a column, from 0
 *
 * The type of a column as the number (OID) that PostgreSQL's catalogue `pg_type` has for it, such
 * as 23 for `int4`.
 *
 * Returns: the type, 0 where there is no such column
 *
 * Since: 1.0
 */
guint32
derate_pg_result_get_column_type (DeratePgResult *result, guint column)
{
  return PQftype (result->pg, (int)column);
}

/**
 * derate_pg_result_is_null:
 * @result: a result
 * @row: a row, from 0
 * @column: a column, from 0
 *
 * Whether a value is SQL's NULL.
 *
 * Returns: %TRUE if it is, or if there is no such row or column
 *
 * Since: 1.0
 */
gboolean
derate_pg_result_is_null (DeratePgResult *result, guint row, guint column)
{
  return row >= derate_pg_result_get_n_rows (result) ||
         column >= derate_pg_result_get_n_columns (result) ||
         PQgetisnull (result->pg, (int)row, (int)column);
}

/**
 * derate_pg_result_get_value:
 * @result: a result
 * @row: a row, from 0
 * @column: a column, from 0
 *
 * A value as text, as PostgreSQL writes it.
 *
 * Returns: (nullable): the text, %NULL for SQL's NULL
 *
 * Since: 1.0
 */
const char *
derate_pg_result_get_value (DeratePgResult *result, guint row, guint column)
{
  if (derate_pg_result_is_null (result, row, column))
    return NULL;
  return PQgetvalue (result->pg, (int)row, (int)column);
}

/**
 * derate_pg_result_get_pg:
 * @result: a result
 *
 * libpq's own object (`PGresult`), for what this type does not show. All values are in text format.
 *
 * Returns: (transfer none): libpq's result, which lives as long as @result
 *
 * Since: 1.0
 */
struct pg_result *
derate_pg_result_get_pg (DeratePgResult *result)
{
  return result->pg;
}

/**
 * derate_pg_result_get_affected:
 * @result: a result
 *
 * How many rows were read or changed, as the server counted them.
 *
 * Returns: the number of rows; 0 where the command has no such number
 *
 * Since: 1.0
 */
guint64
derate_pg_result_get_affected (DeratePgResult *result)
{
  return g_ascii_strtoull (PQcmdTuples (result->pg), NULL, 10);
}
