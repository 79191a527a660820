/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "deratectl.h"

G_BEGIN_DECLS

/* Runs @command while the hold @id, which is bound to our connection, lasts; then releases it.
 * Returns what the command exited with, or 128 and its signal, as a shell does. */
int deratectl_launch (DeratectlProgram *program,
                      const char       *id,
                      char            **command);

G_END_DECLS
