/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* An answer that does not end: what is sent waits in memory until the client takes it. All in one
 * context. */
typedef struct _DerateHttpStream DerateHttpStream;

typedef void (*DerateHttpStreamEnded) (DerateHttpStream *stream,
                                       gpointer          data);

/* Sends @head, which may be long; @ended is called once, when the client is gone or was dropped,
 * and never inside this. */
DerateHttpStream *derate_http_stream_new (GIOStream            *connection,
                                          GBytes               *head,
                                          DerateHttpStreamEnded ended,
                                          gpointer              data);

/* Drops the client where more than DERATE_HTTP_STREAM_MAX would wait for it. */
#define DERATE_HTTP_STREAM_MAX (64 * 1024)
void derate_http_stream_send (DerateHttpStream *stream,
                              GBytes           *text);

/* A sign of life, to be sent now and then. Drops a client that has taken nothing since the last
 * one. */
void derate_http_stream_keep_alive (DerateHttpStream *stream);

/* Drops the client; @ended is not called. Frees it. */
void derate_http_stream_free (DerateHttpStream *stream);

G_END_DECLS
