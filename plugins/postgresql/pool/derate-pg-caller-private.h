/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-pg-waiter-private.h"

G_BEGIN_DECLS

/* How the waiting of a task ended, in whichever thread ended it and without the lock: with a
 * session (@slot), or with an error. All but @slot is given away. */
typedef void (*DeratePgServedFunc) (GTask        *task,
                                    DeratePgSlot *slot,
                                    GError       *error);

/* Waits in line for a session on behalf of a task of the pool, without holding its thread. @func is
 * called once, perhaps before this returns. @tag must last as long as the task. */
void derate_pg_pool_wait (DeratePgPool      *pool,
                          DeratePgAccess     access,
                          const char        *tag,
                          GTask             *task,
                          DeratePgServedFunc func);

G_END_DECLS
