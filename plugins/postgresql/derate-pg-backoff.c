/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-pg-backoff-private.h"

GTimeSpan
derate_pg_backoff_grow (GTimeSpan *span, GTimeSpan min, GTimeSpan max)
{
  *span = CLAMP (*span * 2, min, max);
  return *span / 2 + (GTimeSpan)(g_random_double () * (double)(*span / 2));
}
