/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* One structured event of semantics §14: @event is a DERATE_EVENT_ name (its MESSAGE_ID goes
 * along),
 * @component the breaker, service or hold it is about. Then pairs of DERATE_FIELD_ name and text,
 * ended by NULL; a pair whose text is NULL is left out. Silent with
 * ENABLE_RESILIENCE_LOGGING=false. Never call it under a lock: the program chooses the writer. */
void derate_log_event (GLogLevelFlags level,
                       const char    *event,
                       const char    *component,
                       const char    *message,
                       ...) G_GNUC_NULL_TERMINATED;

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
