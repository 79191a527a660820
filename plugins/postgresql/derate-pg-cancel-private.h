/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libpq-fe.h>

G_BEGIN_DECLS

/* A cancel request for what a session runs. It is a copy of what that takes: the session may be in
 * use elsewhere when it is sent, or gone. */
typedef struct _DeratePgCancel DeratePgCancel;

DeratePgCancel *derate_pg_cancel_new (PGconn *pg);
void derate_pg_cancel_unref (DeratePgCancel *cancel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeratePgCancel, derate_pg_cancel_unref)

/* Sends it, once, in a thread of its own. @wake is called there with @data when that has ended,
 * whether it came through or not. */
void derate_pg_cancel_start (DeratePgCancel *cancel,
                             GDestroyNotify  wake,
                             gpointer        data);
gboolean derate_pg_cancel_is_done (DeratePgCancel *cancel);

G_END_DECLS
