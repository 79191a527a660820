/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "pg-client.h"

#include <derate-manual-clock.h>

G_BEGIN_DECLS

/* A PostgreSQL server for the tests of pools, and somebody who looks at it from outside. */
#define READ  DERATE_PG_ACCESS_READ
#define WRITE DERATE_PG_ACCESS_WRITE
#define MS    G_TIME_SPAN_MILLISECOND
#define S     G_TIME_SPAN_SECOND

/* The head of a main (): g_test_init (), and the server. */
void pg_world_start (int    *argc,
                     char ***argv);
void pg_world_start_pair (int    *argc,
                          char ***argv); /* and a standby */

/* Its end: runs the tests, and looks whether descriptors, threads and sources are those of the
 * start. */
int pg_world_run_tests (void);
TestServers *pg_world_get_servers (void);
const char *pg_world_get_uri (void);

/* Asks the server, in a session of the tests' own: the first value; "" for none. */
char *pg_world_ask (const char *sql);
gint64 pg_world_count (const char *sql);

/* How many sessions of a pool (of pg_world_pool ()) the server has. */
guint pg_world_sessions (DeratePgPool *pool);

/* Ends them there. */
void pg_world_kill (DeratePgPool *pool);

/* A pool whose sessions bear its name: as application_name. Then pairs of property and value, ended
 * by NULL. */
DeratePgPool *pg_world_pool (const char *first_property,
                             ...) G_GNUC_NULL_TERMINATED;
DeratePgPool *pg_world_pool_at (const char *uri,
                                const char *first_property,
                                ...) G_GNUC_NULL_TERMINATED;

/* Opens it, and waits for its sessions. */
void pg_world_open (DeratePgPool *pool);

/* Closes it, and drops the last reference. */
void pg_world_close (DeratePgPool *pool);

/* The same, and looks whether the server has none of its sessions. */
void pg_world_end (DeratePgPool *pool);

DeratePgPoolStats pg_world_stats (DeratePgPool *pool);

/* Takes a session in whatever way the pool's clock allows; fails the test where there is none. */
void pg_world_acquire (DeratePgPool  *pool,
                       DeratePgLease *lease);

/* The error of an acquire that fails. */
GError *pg_world_acquire_fails (DeratePgPool *pool);

/* One query in it, by the server's own text. */
char *pg_world_run (DeratePgLease *lease,
                    const char    *sql);

guint pg_world_pid (DeratePgLease *lease);

/* Turns the context until it is so. It says nothing of how long that may take: after a minute,
 * which no machine is busy for, it will never be so. */
#define pg_world_until(condition)                                                                 \
  G_STMT_START                                                                                    \
  {                                                                                               \
    gint64 pg_world_end_ = g_get_monotonic_time () + G_TIME_SPAN_MINUTE;                          \
    while (!(condition))                                                                          \
      {                                                                                           \
        if (g_get_monotonic_time () > pg_world_end_)                                              \
          g_error ("%s:%d: never: %s", __FILE__, __LINE__, #condition);                           \
        pg_world_turn ();                                                                         \
      }                                                                                           \
  }                                                                                               \
  G_STMT_END

void pg_world_turn (void);

/* One that waits for a session. */
typedef struct
{
  gboolean is_done;
  DeratePgLease lease;
  GError *error;
  guint order; /* the how manieth to end, from 1 */
} PgCaller;

PgCaller *pg_caller_new (DeratePgPool *pool,
                         GCancellable *cancellable);
PgCaller *pg_caller_new_for (DeratePgPool  *pool,
                             DeratePgAccess access,
                             GCancellable  *cancellable);
gboolean pg_caller_is_done (PgCaller *caller);
void pg_caller_free (PgCaller *caller);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PgCaller, pg_caller_free)

/* What became of a query, of a pool or of a session. */
typedef struct
{
  gboolean is_done;
  DeratePgResult *result;
  GError *error;
} PgAnswer;

void pg_answer_take (GObject      *source,
                     GAsyncResult *result,
                     gpointer      answer);
void pg_answer_clear (PgAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (PgAnswer, pg_answer_clear)

G_END_DECLS
