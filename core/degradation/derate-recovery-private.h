/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-level.h"
#include "derate-recovery-mode.h"

G_BEGIN_DECLS

/* When the level may get better: a function of the clock and of what happened, without a timer or a
 * lock of its own. Holds, drills and set_level () are not told to it. */
typedef struct
{
  /* Settings. */
  GTimeSpan interval; /* between ticks */
  GTimeSpan hold;     /* since the last worsening */
  GTimeSpan hold_max;
  GTimeSpan relapse; /* a worsening this soon after an improvement doubles the hold */
  GTimeSpan quiet;   /* without any change, after which the doubling is forgotten */
  DerateRecoveryMode mode;
  gboolean damping;

  /* State. */
  gint64 anchor;        /* ticks are at anchor + n × interval */
  gint64 worsened_at;   /* 0 = never */
  gint64 improved_at;   /* 0 = never */
  gboolean in_incident; /* worsened since it last improved */
  guint doublings;
} DerateRecovery;

void derate_recovery_init (DerateRecovery *recovery,
                           gint64          now);

void derate_recovery_worsened (DerateRecovery *recovery,
                               gint64          now);
void derate_recovery_improved (DerateRecovery *recovery,
                               gint64          now);

/* Where a tick at @now leads from @level when the services allow @target; worse than both never. */
DerateLevel derate_recovery_climb (DerateRecovery *recovery,
                                   DerateLevel     level,
                                   DerateLevel     target,
                                   gint64          now);

/* One step from @level towards the better @target in the set mode. */
DerateLevel derate_recovery_step (const DerateRecovery *recovery,
                                  DerateLevel           level,
                                  DerateLevel           target);

GTimeSpan derate_recovery_get_hold (DerateRecovery *recovery,
                                    gint64          now);
gboolean derate_recovery_is_flapping (DerateRecovery *recovery,
                                      gint64          now);

/* The first tick after @now. */
gint64 derate_recovery_next_tick (const DerateRecovery *recovery,
                                  gint64                now);

G_END_DECLS
