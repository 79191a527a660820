/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-clock.h"

G_BEGIN_DECLS

/* How any thread makes the monitor look again, also one that outlives the monitor. Atomically
 * reference counted. A wake during a look is never lost: the looker calls begin () first and
 * sleep_until () last. */
typedef struct _DerateWaker DerateWaker;

DerateWaker *derate_waker_new (DerateClock *clock);

/* The source to wake, and the context that it is or will be attached to; NULL to wake nothing any
 * more. */
void derate_waker_set_source (DerateWaker  *waker,
                              GSource      *source,
                              GMainContext *context);

void derate_waker_wake (DerateWaker *waker);

void derate_waker_begin (DerateWaker *waker);
void derate_waker_sleep_until (DerateWaker *waker,
                               gint64       deadline);

DerateWaker *derate_waker_ref (DerateWaker *waker);
void derate_waker_unref (DerateWaker *waker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateWaker, derate_waker_unref)

G_END_DECLS
