/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Two hundred services and fifty rules beside the default ones. */

/* The level of a set of which no rule holds, so that every term is looked at. */
gpointer bench_rules_new (void);
void bench_rules_evaluate (gpointer rules,
                           guint64  n);
void bench_rules_free (gpointer rules);

/* From texts to a set that is proven. */
void bench_rules_load (gpointer unused,
                       guint64  n);

/* All that a core with these does on news of a service that change nothing; and when a breaker
 * opens and closes again, which makes two turns: the way back tells the state of all services. */
gpointer bench_turn_new (void);
void bench_turn_take (gpointer turn,
                      guint64  n);
void bench_turn_change (gpointer turn,
                        guint64  n);
void bench_turn_free (gpointer turn);
