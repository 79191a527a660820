/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-pg-result.h"

#include <libpq-fe.h>

G_BEGIN_DECLS

/* Takes @result over. */
DeratePgResult *derate_pg_result_new (PGresult *result);

G_END_DECLS
