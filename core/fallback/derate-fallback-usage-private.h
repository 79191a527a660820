/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-fallback-request.h"
#include "derate-fallback-usage.h"

G_BEGIN_DECLS

#define DERATE_FALLBACK_N_REASONS (DERATE_FALLBACK_REASON_DRILL + 1)
#define DERATE_FALLBACK_N_BOUNDS 16

/* Of the durations, in seconds. */
extern const double derate_fallback_bounds[DERATE_FALLBACK_N_BOUNDS];

/* What one strategy has done for one service so far. */
typedef struct
{
  const char *strategy; /* the usage's */
  guint64 used[DERATE_FALLBACK_N_REASONS];
  guint64 failures;
  double seconds; /* with and without an answer, as in `buckets` */
  guint64 buckets[DERATE_FALLBACK_N_BOUNDS + 1]; /* each alone, the last above all bounds */
} DerateFallbackCounts;

/* As derate_fallback_usage_note (), with the id of the call that @request stands for: the fallback
 * may end where no thread works for that. */
void derate_fallback_usage_note_request (DerateFallbackUsage   *usage,
                                         DerateFallbackRequest *request,
                                         const char            *name,
                                         const char            *strategy,
                                         GTimeSpan              duration,
                                         gboolean               answered);

/* (element-type DerateFallbackCounts): those of @name. A later one begins with the same ones. */
GArray *derate_fallback_usage_snapshot (DerateFallbackUsage *usage,
                                        const char          *name);

G_END_DECLS
