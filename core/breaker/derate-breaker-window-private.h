/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What a window adds up to. */
typedef struct
{
  guint64 calls;
  guint64 failures;
  guint64 slow; /* of both kinds */
} DerateBreakerSums;

/* The last @size outcomes as bits, two each, and roughly when they came. Guarded by the breaker. */
typedef struct
{
  guint size;
  guint fill;
  guint head; /* where the next outcome goes */
  guint failures;
  guint slow;
  gboolean unjudged; /* the settings have changed, and no outcome has been judged since */
  guint32 data[]; /* bits of failures, bits of slow calls, a stamp each */
} DerateBreakerCounts;

DerateBreakerCounts *derate_breaker_counts_new (guint size);

/* A window of another size with the newest outcomes of @counts, which is freed. */
DerateBreakerCounts *derate_breaker_counts_resize (DerateBreakerCounts *counts,
                                                   guint                size);

void derate_breaker_counts_clear (DerateBreakerCounts *counts);

void derate_breaker_counts_add (DerateBreakerCounts *counts,
                                gboolean             failed,
                                gboolean             slow,
                                gint64               now);

/* Whether another good outcome would change nothing. */
gboolean derate_breaker_counts_is_quiet (const DerateBreakerCounts *counts);

/* @n good outcomes came since @time without being added, because the window was quiet. */
void derate_breaker_counts_restamp (DerateBreakerCounts *counts,
                                    guint64              n,
                                    gint64               time);

/* How many outcomes came at or after @time. */
guint derate_breaker_counts_since (const DerateBreakerCounts *counts,
                                   gint64                     time);

#define DERATE_BREAKER_SLICES 10

/* The outcomes of the last @span in slices of a tenth of it: see
 * derate_breaker_config_set_window_duration (). Guarded by the breaker. Successes are counted
 * outside, by each thread in its own cell: whoever looks gives the sum of the cells, and what came
 * since somebody looked last is attributed to the newest slice. So the first outcome after a slice
 * has ended must look before it is counted, and no success needs a look before that. */
typedef struct
{
  gint64 start;
  DerateBreakerSums sums;
} DerateBreakerSlice;

typedef struct
{
  GTimeSpan span;
  GTimeSpan slice_span;
  guint64 seen;           /* of the successes, are attributed or are none of this window's */
  DerateBreakerSums sums; /* of all slices */
  gboolean unjudged;      /* as above, also because slices have left */
  guint first;
  guint n;
  DerateBreakerSlice slices[DERATE_BREAKER_SLICES];
} DerateBreakerSlices;

DerateBreakerSlices *derate_breaker_slices_new (GTimeSpan span,
                                                guint64   successes);

void derate_breaker_slices_clear (DerateBreakerSlices *slices,
                                  guint64              successes);

/* Attributes the successes, then lets go of the slices that are too old at @now. */
void derate_breaker_slices_look (DerateBreakerSlices *slices,
                                 guint64              successes,
                                 gint64               now);

/* The same, before an outcome is counted at @now: there is a slice for it then. */
void derate_breaker_slices_turn (DerateBreakerSlices *slices,
                                 guint64              successes,
                                 gint64               now);

/* An outcome that is not among the successes, into the newest slice. */
void derate_breaker_slices_add (DerateBreakerSlices *slices,
                                gboolean             failed,
                                gboolean             slow);

/* Up to when another good outcome changes nothing but the count; G_MININT64: not at all.
 * @minimum is how many calls must be in the window for its rates to be known. */
gint64 derate_breaker_slices_get_quiet_until (const DerateBreakerSlices *slices,
                                              guint                      minimum);

/* Whether the newest slice is there and has not ended at @now. */
gboolean derate_breaker_slices_are_current (const DerateBreakerSlices *slices,
                                            gint64                     now);

/* How many outcomes are known to have come at or after @time. */
guint64 derate_breaker_slices_since (const DerateBreakerSlices *slices,
                                     gint64                     time);

/* Other windows with the newest outcomes of the one given, which is freed. The rates of two windows
 * that hold the same outcomes are the same. */
DerateBreakerSlices *derate_breaker_slices_resize (DerateBreakerSlices *slices,
                                                   GTimeSpan            span,
                                                   gint64               now);
DerateBreakerSlices *derate_breaker_slices_from_counts (DerateBreakerCounts *counts,
                                                        GTimeSpan            span,
                                                        guint64              successes,
                                                        gint64               now);
DerateBreakerCounts *derate_breaker_counts_from_slices (DerateBreakerSlices *slices,
                                                        guint                size);

/* For the functions above: the @i'th oldest of the outcomes that @counts holds. */
void derate_breaker_counts_get (const DerateBreakerCounts *counts,
                                guint                      i,
                                gboolean                  *failed,
                                gboolean                  *slow,
                                gint64                    *time);

G_END_DECLS
