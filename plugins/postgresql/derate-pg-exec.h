/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-visibility.h>
#include <glib-object.h>

G_BEGIN_DECLS

/* libpq's, which need not be included for this. */
struct pg_conn;
struct pg_result;

DERATE_AVAILABLE_IN_1_0
gboolean derate_pg_exec_timed (struct pg_conn    *connection,
                               const char        *sql,
                               GVariant          *parameters,
                               struct pg_result **result,
                               double            *elapsed_ms,
                               GError           **error);

G_END_DECLS
