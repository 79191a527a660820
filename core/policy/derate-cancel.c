/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-policy-private.h"

/* Not g_cancellable_connect (): its disconnect waits for a cancel under way, for ever when it is
 * this thread's own. A plain disconnect does not wait; the closure keeps the child until a
 * handler that runs in another thread has ended. */

static void
on_parent_cancelled (GCancellable *parent, gpointer child)
{
  g_cancellable_cancel (child);
}

gulong
derate_cancellable_chain (GCancellable *parent, GCancellable *child)
{
  gulong id;

  if (parent == NULL)
    return 0;
  id = g_signal_connect_data (parent, "cancelled", G_CALLBACK (on_parent_cancelled),
                              g_object_ref (child), (GClosureNotify)(GCallback)g_object_unref, 0);
  /* Perhaps it was cancelled before the handler was there. */
  if (g_cancellable_is_cancelled (parent))
    g_cancellable_cancel (child);
  return id;
}

void
derate_cancellable_unchain (GCancellable *parent, gulong *id)
{
  if (*id != 0)
    g_clear_signal_handler (id, parent);
}
