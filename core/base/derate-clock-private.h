/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-clock.h"

G_BEGIN_DECLS

/* How long the machine has slept since it was started: what CLOCK_BOOTTIME counts and
 * CLOCK_MONOTONIC does not. */
GTimeSpan derate_clock_read_time_asleep (void);

G_END_DECLS
