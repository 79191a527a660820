/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-pg-error.h"

#include <libpq-fe.h>

G_BEGIN_DECLS

/* From the text of a failed attempt to connect, which is all that libpq 15 gives. PQERRORS_VERBOSE
 * must be set: then the SQLSTATE is in the text, whatever its language. */
GError *derate_pg_error_from_connect (const char *text);

/* From a result that is an error. */
GError *derate_pg_error_from_result (const PGresult *result);

/* From a session that broke; @notice is the last FATAL notice or NULL. */
GError *derate_pg_error_from_broken (PGconn     *pg,
                                     const char *notice);

G_END_DECLS
