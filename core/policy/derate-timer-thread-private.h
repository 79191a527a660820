/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The context of a thread that does nothing but dispatch timers, for calls whose own thread is
 * busy. It is started by the first who asks and stays; what runs in it must be short. From any
 * thread. (transfer none) */
GMainContext *derate_timer_thread_get_context (void);

G_END_DECLS
