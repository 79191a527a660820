/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* How long to wait before the next attempt of a row that fails. *@span, 0 before the first, doubles
 * from @min to @max; what is answered lies between its half and all of it, so that programs that
 * lost the same server do not come back in step, and yet ever more seldom. */
GTimeSpan derate_pg_backoff_grow (GTimeSpan *span,
                                  GTimeSpan  min,
                                  GTimeSpan  max);

/* Between attempts to connect, as HikariCP has it. */
#define DERATE_PG_CONNECT_BACKOFF_MIN (10 * G_TIME_SPAN_MILLISECOND)
#define DERATE_PG_CONNECT_BACKOFF_MAX (5 * G_TIME_SPAN_SECOND)

G_END_DECLS
