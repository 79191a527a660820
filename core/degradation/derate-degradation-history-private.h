/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-level.h"

G_BEGIN_DECLS

#define DERATE_DEGRADATION_HISTORY_MAX 100
#define DERATE_N_LEVELS 5

/* The last transitions, and counts over all of them. Without a lock. */
typedef struct
{
  GQueue entries;        /* of Entry, oldest first */
  GHashTable *decisions; /* rule id → guint64 * */
  guint64 transitions[DERATE_N_LEVELS][DERATE_N_LEVELS]; /* [from][to], by number − 1 */
  gint64 spent[DERATE_N_LEVELS];                         /* µs in each level, but for the present */
  DerateLevel level;
  gint64 entered; /* of the clock, when `level` began */
} DerateDegradationHistory;

void derate_degradation_history_init (DerateDegradationHistory *history);
void derate_degradation_history_clear (DerateDegradationHistory *history);

/* So that the counter of @rule is there before its first decision. */
void derate_degradation_history_know_rule (DerateDegradationHistory *history,
                                           const char               *rule);
void derate_degradation_history_count_rule (DerateDegradationHistory *history,
                                            const char               *rule);

/* The first level is no transition. */
void derate_degradation_history_enter (DerateDegradationHistory *history,
                                       DerateLevel               level,
                                       const char               *rule,
                                       gint64                    now,
                                       gint64                    real_now);

/* Seconds in @level until @now. */
double derate_degradation_history_get_seconds (const DerateDegradationHistory *history,
                                               DerateLevel                     level,
                                               gint64                          now);

/* The newest @max (0 = all), oldest first, aa{sv} with time, from, to, rule; floating. */
GVariant *derate_degradation_history_to_variant (const DerateDegradationHistory *history,
                                                 guint                           max);

G_END_DECLS
