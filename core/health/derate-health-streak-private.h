/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-health-report.h"

G_BEGIN_DECLS

/* Rise and fall over the results of one service's checks. No lock of its own. */
typedef struct
{
  DerateHealthStatus status; /* what the results amount to */
  DerateHealthCause cause;
  DerateHealthStatus last; /* the newest result */
  DerateHealthCause degraded_cause; /* of the newest degraded result */
  DerateHealthCause down_cause;     /* of the newest result that was down */
  guint n_healthy;         /* how many of the newest results in a row were healthy … */
  guint n_not_down;        /* … healthy or degraded */
  guint n_not_healthy;     /* … degraded or down */
  guint n_down;            /* … down */
} DerateHealthStreak;

/* Returns whether status or cause changed. */
gboolean derate_health_streak_add (DerateHealthStreak *streak,
                                   DerateHealthStatus  result,
                                   DerateHealthCause   cause,
                                   guint               fall,
                                   guint               rise);

/* The results are too old: what comes next decides alone. */
void derate_health_streak_expire (DerateHealthStreak *streak);

/* Whether the newest result differs from what all of them amount to. */
gboolean derate_health_streak_is_undecided (const DerateHealthStreak *streak);

G_END_DECLS
