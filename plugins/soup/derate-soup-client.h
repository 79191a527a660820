/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>
#include <libsoup/soup.h>

G_BEGIN_DECLS

/* What came back. The body is what fitted under the cap; `complete` says whether that was all. */
typedef struct
{
  guint status;
  char *body; /* valid UTF-8, never NULL */
  gboolean complete;
  SoupMessageHeaders *headers;
} DerateSoupAnswer;

void derate_soup_answer_free (DerateSoupAnswer *answer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateSoupAnswer, derate_soup_answer_free)

/* Requests to one server, in one session of its own: another session's slow calls cannot starve it,
 * and it can never send a secret anywhere else, as it follows no redirect and knows one address. No
 * GType: each module that links this piece has a copy of it, and a type's name is the program's. */
typedef struct _DerateSoupClient DerateSoupClient;

/* @server: http or https; only scheme, host and port count. To be used by one thread. */
DerateSoupClient *derate_soup_client_new (GUri *server);

/* The same with the place of the server (a unix socket; NULL: its host and port), and those whose
 * certificates are good (NULL: the system's). */
DerateSoupClient *derate_soup_client_new_at (GUri               *server,
                                             GSocketConnectable *address,
                                             GTlsDatabase       *anchors);
DerateSoupClient *derate_soup_client_ref (DerateSoupClient *client);
void derate_soup_client_unref (DerateSoupClient *client);

/* Takes no deadline: whoever calls cancels. One request at a time. */
void derate_soup_client_send_async (DerateSoupClient   *client,
                                    SoupMessage        *message,
                                    GCancellable       *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer            user_data);
DerateSoupAnswer *derate_soup_client_send_finish (GAsyncResult *result,
                                                  GError      **error);

/* How long a server asks to be left alone, by retry-after-ms or retry-after (seconds or a date), in
 * microseconds; -1 when it does not say, or not so that it can be read. @now: the wall clock. */
GTimeSpan derate_soup_parse_retry_after (const char *milliseconds,
                                         const char *text,
                                         gint64      now);
GTimeSpan derate_soup_answer_get_retry_after (const DerateSoupAnswer *answer);

/* http or https, with a host. */
GUri *derate_soup_parse_uri (const char *text);

/* As it stands in the header Host. */
char *derate_soup_uri_dup_host (GUri *uri);

G_END_DECLS
