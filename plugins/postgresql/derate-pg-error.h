/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

/**
 * DERATE_PG_ERROR:
 *
 * The error domain of the PostgreSQL client. Codes are only ever added. Where the server gave an
 * SQLSTATE it stands in the text, and derate_pg_error_get_sqlstate() finds it.
 *
 * Since: 1.0
 */
#define DERATE_PG_ERROR (derate_pg_error_quark ())

/**
 * DeratePgError:
 * @DERATE_PG_ERROR_FAILED: something else, such as an answer that makes no sense
 * @DERATE_PG_ERROR_CONFIG: the connection URI cannot be used, or names a database that is not there
 * @DERATE_PG_ERROR_CONNECT_REFUSED: nobody listens there
 * @DERATE_PG_ERROR_CONNECT_TIMEOUT: no answer while connecting
 * @DERATE_PG_ERROR_AUTH: the credentials were refused, or are missing
 * @DERATE_PG_ERROR_TOO_MANY_CONNECTIONS: the server has no room for another session
 * @DERATE_PG_ERROR_NOT_READY: the server is starting up, shutting down or in recovery
 * @DERATE_PG_ERROR_READ_ONLY: a write where nothing can be written (SQLSTATE 25006)
 * @DERATE_PG_ERROR_RESOURCES: the server has run out of memory or disk (SQLSTATE class 53)
 * @DERATE_PG_ERROR_QUERY: the server refused the query; the session goes on
 * @DERATE_PG_ERROR_CLOSED: the session has ended
 * @DERATE_PG_ERROR_BUSY: the session is in the middle of another query
 * @DERATE_PG_ERROR_TIMED_OUT: a query took longer than the session's query timeout
 * @DERATE_PG_ERROR_PARAMETER: a parameter has a type that cannot be sent, or a value out of range
 * @DERATE_PG_ERROR_POOL_TIMEOUT: no session of the pool became free in time
 * @DERATE_PG_ERROR_POOL_FULL: as many as the pool allows wait for a session already
 * @DERATE_PG_ERROR_POOL_CLOSED: the pool was closed
 * @DERATE_PG_ERROR_RELEASED: the lease holds no session of this pool: it was released before
 *
 * What can go wrong with PostgreSQL.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_PG_ERROR_FAILED,
  DERATE_PG_ERROR_CONFIG,
  DERATE_PG_ERROR_CONNECT_REFUSED,
  DERATE_PG_ERROR_CONNECT_TIMEOUT,
  DERATE_PG_ERROR_AUTH,
  DERATE_PG_ERROR_TOO_MANY_CONNECTIONS,
  DERATE_PG_ERROR_NOT_READY,
  DERATE_PG_ERROR_READ_ONLY,
  DERATE_PG_ERROR_RESOURCES,
  DERATE_PG_ERROR_QUERY,
  DERATE_PG_ERROR_CLOSED,
  DERATE_PG_ERROR_BUSY,
  DERATE_PG_ERROR_TIMED_OUT,
  DERATE_PG_ERROR_PARAMETER,
  DERATE_PG_ERROR_POOL_TIMEOUT,
  DERATE_PG_ERROR_POOL_FULL,
  DERATE_PG_ERROR_POOL_CLOSED,
  DERATE_PG_ERROR_RELEASED,
} DeratePgError;

DERATE_AVAILABLE_IN_1_0
GQuark derate_pg_error_quark (void);

DERATE_AVAILABLE_IN_1_0
char *derate_pg_error_get_sqlstate (const GError *error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_error_is_failure (const GError *error);

G_END_DECLS
