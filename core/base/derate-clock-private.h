/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <time.h>

#include "derate-clock.h"

G_BEGIN_DECLS

static inline gint64
derate_clock_read_kernel (clockid_t id)
{
  struct timespec time = { 0 };

  clock_gettime (id, &time);
  return (gint64)time.tv_sec * G_USEC_PER_SEC + (guint32)time.tv_nsec / 1000;
}

/* What the system's clock has for get_time (). */
gint64 derate_clock_get_system_time (DerateClock *clock);

/* derate_clock_get_time () where a function call counts: each call that is measured reads the clock
 * twice. */
static inline gint64
derate_clock_read (DerateClock *clock)
{
  DerateClockClass *klass = DERATE_CLOCK_GET_CLASS (clock);

  if (G_LIKELY (klass->get_time == derate_clock_get_system_time))
    return derate_clock_read_kernel (CLOCK_MONOTONIC);
  return klass->get_time (clock);
}

/* derate_clock_get_time (), up to a tick of the kernel (1 to 10 ms) ago, at a fraction of its cost
 * where the clock is the system's. */
gint64 derate_clock_read_coarsely (DerateClock *clock);

/* How long the machine has slept since it was started: what CLOCK_BOOTTIME counts and
 * CLOCK_MONOTONIC does not. */
GTimeSpan derate_clock_read_time_asleep (void);

G_END_DECLS
