/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-recovery-private.h"

/* Numbers of semantics §4. */
#define DEFAULT_INTERVAL (30 * G_TIME_SPAN_SECOND)
#define DEFAULT_HOLD (30 * G_TIME_SPAN_SECOND)
#define DEFAULT_HOLD_MAX (10 * G_TIME_SPAN_MINUTE)
#define DEFAULT_RELAPSE (120 * G_TIME_SPAN_SECOND)
#define DEFAULT_QUIET (15 * G_TIME_SPAN_MINUTE)

void
derate_recovery_init (DerateRecovery *recovery, gint64 now)
{
  *recovery = (DerateRecovery){
    .interval = DEFAULT_INTERVAL,
    .hold = DEFAULT_HOLD,
    .hold_max = DEFAULT_HOLD_MAX,
    .relapse = DEFAULT_RELAPSE,
    .quiet = DEFAULT_QUIET,
    .mode = DERATE_RECOVERY_MODE_DIRECT,
    .damping = TRUE,
    .anchor = now,
  };
}

/* Quiet is counted from the last change of either kind. */
static void
forget_when_quiet (DerateRecovery *recovery, gint64 now)
{
  if (now - MAX (recovery->worsened_at, recovery->improved_at) >= recovery->quiet)
    recovery->doublings = 0;
}

void
derate_recovery_worsened (DerateRecovery *recovery, gint64 now)
{
  forget_when_quiet (recovery, now);
  if (recovery->damping && !recovery->in_incident && recovery->improved_at != 0 &&
      now - recovery->improved_at <= recovery->relapse)
    recovery->doublings = MIN (recovery->doublings + 1, 30);
  recovery->in_incident = TRUE;
  recovery->worsened_at = now;
}

void
derate_recovery_improved (DerateRecovery *recovery, gint64 now)
{
  recovery->in_incident = FALSE;
  recovery->improved_at = now;
}

GTimeSpan
derate_recovery_get_hold (DerateRecovery *recovery, gint64 now)
{
  GTimeSpan hold = recovery->hold;

  forget_when_quiet (recovery, now);
  if (!recovery->damping || recovery->doublings == 0)
    return hold;
  for (guint i = 0; i < recovery->doublings && hold < recovery->hold_max; i++)
    hold = hold > recovery->hold_max / 2 ? recovery->hold_max : hold * 2;
  return hold;
}

gboolean
derate_recovery_is_flapping (DerateRecovery *recovery, gint64 now)
{
  forget_when_quiet (recovery, now);
  return recovery->damping && recovery->doublings > 0;
}

static DerateLevel
one_better (DerateLevel level)
{
  if (level > DERATE_LEVEL_MINIMAL)
    return DERATE_LEVEL_MINIMAL;
  if (level > DERATE_LEVEL_LIMITED)
    return DERATE_LEVEL_LIMITED;
  if (level > DERATE_LEVEL_DEGRADED)
    return DERATE_LEVEL_DEGRADED;
  return DERATE_LEVEL_OPTIMAL;
}

DerateLevel
derate_recovery_step (const DerateRecovery *recovery, DerateLevel level, DerateLevel target)
{
  if (recovery->mode == DERATE_RECOVERY_MODE_DIRECT)
    return target;
  return MAX (one_better (level), target);
}

DerateLevel
derate_recovery_climb (DerateRecovery *recovery, DerateLevel level, DerateLevel target, gint64 now)
{
  if (target >= level)
    return level;
  if (recovery->worsened_at != 0 &&
      now - recovery->worsened_at < derate_recovery_get_hold (recovery, now))
    return level;
  return derate_recovery_step (recovery, level, target);
}

gint64
derate_recovery_next_tick (const DerateRecovery *recovery, gint64 now)
{
  gint64 passed = MAX (now - recovery->anchor, 0);

  return recovery->anchor + (passed / recovery->interval + 1) * recovery->interval;
}
