/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-pg-connection.h"

#include <glib-unix.h>
#include <libpq-fe.h>

G_BEGIN_DECLS

/* Takes over a session that is connected. */
DeratePgConnection *derate_pg_connection_new (PGconn *pg);

/* What the server says aside goes nowhere: libpq would print it. */
void derate_pg_connection_mute (PGconn *pg);

/* Attaches a source for the socket of @pg to the thread-default context. It must be destroyed
 * before the next PQconnectPoll (), which may replace the socket by another one of the same
 * number. */
GSource *derate_pg_connection_watch (PGconn             *pg,
                                     GIOCondition        condition,
                                     GUnixFDSourceFunc   func,
                                     gpointer            data);

/* Attaches a source for the cancellable, NULL where there is none. */
GSource *derate_pg_connection_watch_cancellable (GCancellable          *cancellable,
                                                 GCancellableSourceFunc func,
                                                 gpointer               data);

void derate_pg_connection_drop_source (GSource **source);

G_END_DECLS
