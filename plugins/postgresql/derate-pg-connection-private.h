/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-pg-cancel-private.h"
#include "derate-pg-connection.h"
#include "derate-pg-meter-private.h"

#include <derate-clock.h>
#include <glib-unix.h>
#include <libpq-fe.h>

G_BEGIN_DECLS

/* Takes over a session that is connected, and what is known of it: HOST:PORT, and what became of
 * the hosts before that one (nullable). */
DeratePgConnection *derate_pg_connection_new (PGconn *pg,
                                              char   *host,
                                              char   *passed_over);

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

/* How a pool opens its sessions. */
typedef struct
{
  GTimeSpan timeout;     /* of each host, where the URI does not say; 0: 5 seconds */
  const char *first;     /* (nullable): HOST:PORT to begin with */
  gboolean any_role;     /* whatever the URI wants */
  gboolean or_read_only; /* where the URI wants writes and no host takes them */
} DeratePgPreference;

void derate_pg_connection_open_preferring_async (const char               *uri,
                                                 const char               *password,
                                                 const DeratePgPreference *preference,
                                                 GCancellable             *cancellable,
                                                 GAsyncReadyCallback       callback,
                                                 gpointer                  user_data);

/* HOST:PORT, as the preference has it. */
const char *derate_pg_connection_get_host (DeratePgConnection *connection);

/* For a pool, which owns its sessions and lends them to one thread at a time. */

/* Called once, in the context it was started in, never before the function that starts it has
 * returned. One of @result and @error is set, or none where there is nothing to give; both are
 * given away. */
typedef void (*DeratePgDoneFunc) (DeratePgConnection *connection,
                                  DeratePgResult     *result,
                                  GError             *error,
                                  gpointer            data);

/* derate_pg_connection_query_async () without a task. @parameters may be floating. */
void derate_pg_connection_start (DeratePgConnection *connection,
                                 const char         *sql,
                                 GVariant           *parameters,
                                 DeratePgOperation   operation,
                                 GCancellable       *cancellable,
                                 DeratePgDoneFunc    func,
                                 gpointer            data);

/* A session of a pool outlives a query that was cancelled or took too long: it is abandoned, and
 * refuses everything but draining and closing. One without a pool is closed then. Its query timeout
 * is what derate_pg_connection_restore () brings back from here on. */
void derate_pg_connection_set_pooled (DeratePgConnection *connection,
                                      gboolean            pooled);
gboolean derate_pg_connection_is_abandoned (DeratePgConnection *connection);
gboolean derate_pg_connection_is_running (DeratePgConnection *connection);

/* Forgets what the last user set: the query timeout. */
void derate_pg_connection_restore (DeratePgConnection *connection);

/* Whether the next user may have the session as it is, by all that is known without a look at the
 * socket. */
gboolean derate_pg_connection_is_clean (DeratePgConnection *connection);

/* Cancels on the server what an abandoned session was doing, and takes what still comes. Succeeds
 * once the server has nothing more to say and no cancel request of ours is under way, so that it
 * cannot hit what comes next; the session is then like any other, perhaps inside a transaction.
 * Otherwise, and after @limit, it is closed and @func is given the error. */
void derate_pg_connection_drain_async (DeratePgConnection *connection,
                                       GTimeSpan           limit,
                                       DeratePgDoneFunc    func,
                                       gpointer            data);

/* For who may not touch the session later: it is another's then. */
DeratePgCancel *derate_pg_connection_new_cancel (DeratePgConnection *connection);

/* -1 once closed. */
int derate_pg_connection_get_fd (DeratePgConnection *connection);

/* A transaction is open that has not failed. */
gboolean derate_pg_connection_is_in_working_transaction (DeratePgConnection *connection);

/* Whether the session turned read-only since the last look: a write was refused with 25006, or a
 * reported parameter changed (looked at after queries, at most every 50 ms, and whenever it is
 * asked whether the session is usable). A load of one word. */
gboolean derate_pg_connection_saw_read_only (DeratePgConnection *connection);

/* What queries are counted in, and as what where nothing else is said. */
void derate_pg_connection_set_meter (DeratePgConnection *connection,
                                     DeratePgMeter      *meter);
void derate_pg_connection_set_operation (DeratePgConnection *connection,
                                         DeratePgOperation   operation);

/* What time-outs and durations are measured with; the system's unless this says otherwise. The sync
 * forms wait in the kernel, by the system's clock whatever this says. */
void derate_pg_connection_set_clock (DeratePgConnection *connection,
                                     DerateClock        *clock);

/* Called for each notification, in the middle of what the session does: it only takes note. */
typedef void (*DeratePgNotifyFunc) (const char *channel,
                                    const char *payload,
                                    int         pid,
                                    gpointer    data);
void derate_pg_connection_set_notify_func (DeratePgConnection *connection,
                                           DeratePgNotifyFunc  func,
                                           gpointer            data);

/* How many statements are kept prepared; 0 for none. */
void derate_pg_connection_set_statement_cache (DeratePgConnection *connection,
                                               guint               size);

G_END_DECLS
