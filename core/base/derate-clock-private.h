/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-clock.h"

G_BEGIN_DECLS

/* derate_clock_get_time (), up to a tick of the kernel (1 to 10 ms) ago, at a fraction of its cost
 * where the clock is the system's. */
gint64 derate_clock_read_coarsely (DerateClock *clock);

/* How long the machine has slept since it was started: what CLOCK_BOOTTIME counts and
 * CLOCK_MONOTONIC does not. */
GTimeSpan derate_clock_read_time_asleep (void);

G_END_DECLS
