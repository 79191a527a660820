/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>

/* Callers a, b, c … of one policy that lets some wait. What they do and how they are after each
 * step is a script of words STEP:STATES. A step is one of
 *   a    begins a call
 *   a.   ends its operation
 *   a!   is cancelled
 *   +2s  time passes
 * and there is a state for each who has begun, in the order of the alphabet:
 *   w waits         r its operation runs  S answered
 *   Q queue-full    L rate-limited        C cancelled
 * In the synchronous form each caller is a thread. An operation does not heed its cancellable, so
 * in the asynchronous form it goes on when its call is C already. */
#define N_CALLERS 26

typedef struct _WaitingRoom WaitingRoom;

WaitingRoom *waiting_room_new (DeratePolicy *policy,
                               DerateClock  *clock,
                               gboolean      async);
void waiting_room_free (WaitingRoom *room);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (WaitingRoom, waiting_room_free)

/* A rate limiter's operations end by themselves. */
void waiting_room_end_at_once (WaitingRoom *room);

void waiting_room_play (WaitingRoom *room,
                        const char  *script);
void waiting_room_step (WaitingRoom *room,
                        const char  *step);
void waiting_room_expect (WaitingRoom *room,
                          const char  *states);

/* How many are so. */
guint waiting_room_count (const char *states,
                          char        state);
