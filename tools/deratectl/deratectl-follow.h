/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "deratectl.h"

G_BEGIN_DECLS

/* What to do while a program is followed; each may be NULL. */
typedef struct
{
  /* The program is there: at first, and each time it is again. */
  void (*came) (gpointer data);
  void (*gone) (gpointer data);
  /* It emitted a signal. What it answers to a call that was sent before is heard before. */
  void (*heard) (const char *path,
                 const char *interface,
                 const char *signal,
                 GVariant   *parameters,
                 gpointer    data);
} DeratectlFollower;

/* Runs @loop until it is quit, which INT, TERM and HUP do, too. FALSE if the bus went away. */
gboolean deratectl_follow (DeratectlProgram        *program,
                           GMainLoop               *loop,
                           const DeratectlFollower *follower,
                           gpointer                 data,
                           GError                 **error);

G_END_DECLS
