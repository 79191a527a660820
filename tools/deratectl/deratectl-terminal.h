/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A whole screen that is drawn again and again. From enter () to leave () the terminal is ours:
 * each way out of the program must go through leave (). */
gboolean deratectl_terminal_is_live (void);
void deratectl_terminal_enter (void);
void deratectl_terminal_leave (void);
void deratectl_terminal_draw (const char *page);

G_END_DECLS
