/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-drill-private.h"
#include "derate-waker-private.h"

G_BEGIN_DECLS

/* So many reports of drills that are over are kept. */
#define DERATE_DRILL_SET_MAX_REPORTS 16

/* The drills of a program. Atomically reference counted; from any thread, but for start () and
 * stop (), which are the core's. */
typedef struct _DerateDrillSet DerateDrillSet;

DerateDrillSet *derate_drill_set_new (DerateClock              *clock,
                                      DerateDegradationManager *manager,
                                      DerateFallbackUsage      *usage);
DerateDrillSet *derate_drill_set_ref (DerateDrillSet *set);
void derate_drill_set_unref (DerateDrillSet *set);

/* From now on drills may begin; they expire in @context. Once. */
void derate_drill_set_start (DerateDrillSet *set,
                             GMainContext   *context);

/* Ends all drills; no other begins. Safe to call again. */
void derate_drill_set_stop (DerateDrillSet *set);

/* Begins a drill and gives its id. NULL with an error of derate_drill_new (); INVALID_STATE where
 * there is no level yet or any more; EXISTS where one of the services that would be hit is drilled;
 * LIMIT_EXCEEDED where the level would be worse than its limit. */
char *derate_drill_set_begin (DerateDrillSet           *set,
                              GPtrArray                *services,
                              const DerateDrillRequest *request,
                              GError                  **error);

/* Ends a drill, if it has not ended by itself, and gives its report (transfer full). NULL with
 * NO_SUCH_DRILL or NOT_OWNER. */
GVariant *derate_drill_set_end (DerateDrillSet         *set,
                                const char             *id,
                                const DerateHoldCaller *caller,
                                GError                **error);

void derate_drill_set_owner_vanished (DerateDrillSet *set,
                                      const char     *owner);

/* Ends the drills that would hit others than they do, now that there are @services. */
void derate_drill_set_check_services (DerateDrillSet *set,
                                      GPtrArray      *services);

/* Is woken when a drill has begun or ended, from when it is added until it is removed. */
void derate_drill_set_add_waker (DerateDrillSet *set,
                                 DerateWaker    *waker);
void derate_drill_set_remove_waker (DerateDrillSet *set,
                                    DerateWaker    *waker);

/* Those that run, oldest first: (element-type DerateDrill). */
GPtrArray *derate_drill_set_list (DerateDrillSet *set);

/* The same as aa{sv}, floating. */
GVariant *derate_drill_set_to_variant (DerateDrillSet *set,
                                       gboolean        details);

G_END_DECLS
