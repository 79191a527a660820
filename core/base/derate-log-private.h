/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-log.h"

G_BEGIN_DECLS

/* Who knows the id (nullable) of the request that this thread works for: it becomes a field of each
 * event. One for the process. */
void derate_log_set_request_id_func (const char *(*func) (void));

/* That id, for an exemplar beside a number; NULL for none. */
const char *derate_log_get_request_id (void);

/* The line that derate_log_writer_json () writes, without its end. */
char *derate_log_format_json (const GLogField *fields,
                              gsize            n_fields,
                              gint64           unix_seconds);

G_END_DECLS
