/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-http.h"

G_BEGIN_DECLS

/* `/events` of a core on a server: server-sent events, for up to DERATE_HTTP_EVENTS_MAX clients.
 * All in the server's context, which is the thread-default one where it is made. */
typedef struct _DerateHttpEvents DerateHttpEvents;

#define DERATE_HTTP_EVENTS_MAX 32
#define DERATE_HTTP_EVENTS_KEEP_ALIVE (15 * G_TIME_SPAN_SECOND)

DerateHttpEvents *derate_http_events_new (DerateCore *core,
                                          gboolean    details);

void derate_http_events_respond (DerateHttpEvents  *events,
                                 SoupServerMessage *message);

/* Drops the clients. */
void derate_http_events_close (DerateHttpEvents *events);

G_END_DECLS
