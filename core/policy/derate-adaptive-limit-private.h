/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* How many calls a service bears at once, learnt from how long they take: Gradient2 of Netflix's
 * concurrency-limits with its numbers (smoothing 0.2, queue 4, long window 600, tolerance 1.5), fed
 * with one window of at least 1 s and 10 samples at a time, RTTs under 100 µs left out. When calls
 * take longer than they used to the limit falls in proportion, at most by half, else it grows by
 * the queue. A window with a dropped call takes a tenth off (their AIMD).
 *
 * One thing is ours: the long average learns that calls take longer ten times as slowly as that
 * they do not. With theirs a service kept at its limit teaches that waiting is the rule, and the
 * limit creeps to its maximum in ten minutes.
 *
 * It is told exactly once of each call. All functions may be called from any thread. */
typedef struct _DerateAdaptiveLimit DerateAdaptiveLimit;

typedef enum
{
  DERATE_SAMPLE_SUCCESS = 1,
  DERATE_SAMPLE_IGNORED, /* says nothing of the load */
  DERATE_SAMPLE_DROPPED, /* timed out */
} DerateSample;

DerateAdaptiveLimit *derate_adaptive_limit_new (guint initial,
                                                guint min,
                                                guint max);
void derate_adaptive_limit_free (DerateAdaptiveLimit *limit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateAdaptiveLimit, derate_adaptive_limit_free)

/* TRUE when the limit in force is another now. @in_flight counts the call itself. */
gboolean derate_adaptive_limit_tell (DerateAdaptiveLimit *limit,
                                     DerateSample         sample,
                                     gint64               now,
                                     GTimeSpan            rtt,
                                     guint                in_flight);

guint derate_adaptive_limit_get (DerateAdaptiveLimit *limit);

/* What a call takes in the long run, 0 before that is known. */
GTimeSpan derate_adaptive_limit_get_long_rtt (DerateAdaptiveLimit *limit);

G_END_DECLS
