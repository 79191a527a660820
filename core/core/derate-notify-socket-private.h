/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* Where a service manager hears of a program, as sd_notify(3) has it: datagrams on a unix socket.
 * It never waits: what finds no room is kept, in order, and sent with what comes next. From any
 * thread. */
typedef struct _DerateNotifySocket DerateNotifySocket;

/* @address: a path, or an abstract name after an @. NULL with DERATE_ERROR_INVALID_CONFIG for
 * anything else. Whether somebody listens there is not looked at. */
DerateNotifySocket *derate_notify_socket_new (const char *address,
                                              GError    **error);

/* @text: lines of NAME=value. Where it finds no room it is kept. */
void derate_notify_socket_send (DerateNotifySocket *socket,
                                const char         *text);

/* The same for what is worth nothing later: it is dropped. */
void derate_notify_socket_ping (DerateNotifySocket *socket,
                                const char         *text);

/* Sends what is kept; whether some still is. */
gboolean derate_notify_socket_flush (DerateNotifySocket *socket);

void derate_notify_socket_free (DerateNotifySocket *socket);

G_END_DECLS
