/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-clock.h>

G_BEGIN_DECLS

#define DERATE_TYPE_MANUAL_CLOCK (derate_manual_clock_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateManualClock, derate_manual_clock, DERATE, MANUAL_CLOCK, DerateClock)

DERATE_AVAILABLE_IN_1_0
DerateClock *derate_manual_clock_new (void);

DERATE_AVAILABLE_IN_1_0
void derate_manual_clock_advance (DerateManualClock *clock,
                                  GTimeSpan          span);

DERATE_AVAILABLE_IN_1_0
void derate_manual_clock_step_real_time (DerateManualClock *clock,
                                         GTimeSpan          offset);

G_END_DECLS
