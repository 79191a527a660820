/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The last @size outcomes as bits, two each, and roughly when they came. Guarded by the breaker. */
typedef struct
{
  guint size;
  guint fill;
  guint head; /* where the next outcome goes */
  guint failures;
  guint slow;
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

G_END_DECLS
