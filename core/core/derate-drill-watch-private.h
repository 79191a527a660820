/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-drill-set-private.h"

G_BEGIN_DECLS

/* Who hears of drills that begin and end. @ended is NULL or the cause. Called in the context of the
 * watch. */
typedef struct _DerateDrillWatch DerateDrillWatch;

typedef void (*DerateDrillWatchFunc) (const DerateDrill *drill,
                                      const char        *ended,
                                      gpointer           data);

DerateDrillWatch *derate_drill_watch_new (DerateDrillSet      *set,
                                          DerateClock         *clock,
                                          GMainContext        *context,
                                          DerateDrillWatchFunc func,
                                          gpointer             data,
                                          GDestroyNotify       destroy);

/* A call in another thread may still be under way; the data is freed after it. */
void derate_drill_watch_free (DerateDrillWatch *watch);

G_END_DECLS
