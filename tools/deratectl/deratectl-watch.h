/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "deratectl.h"

G_BEGIN_DECLS

/* `status --watch`: shows the status until it is told to stop; gives what to exit with. */
int deratectl_watch (DeratectlProgram *program,
                     gboolean          as_json);

G_END_DECLS
