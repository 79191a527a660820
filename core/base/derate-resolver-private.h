/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-clock.h"

G_BEGIN_DECLS

/* For tests: forgets the addresses of finished look-ups and tells their age by @clock from here on.
 */
void derate_resolver_reset (DerateClock *clock);

G_END_DECLS
