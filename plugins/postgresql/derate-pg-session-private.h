/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-pg-connection-private.h"
#include "derate-pg-parameters-private.h"
#include "derate-pg-statements-private.h"

#include <derate-clock.h>
#include <glib-unix.h>

G_BEGIN_DECLS

/* The inside of a session, for the files that make it up.
 *
 * A run is what a session does at a time: one call, a statement with its parameters, or many of
 * them in a pipeline. derate-pg-send.c sends and derate-pg-run.c takes what comes; neither waits.
 * Who waits is one of three: a source in a context (derate-pg-query.c), the calling thread
 * (derate-pg-sync.c), or a thread of our own to which a run is lent because it has too much to copy
 * for a loop (derate-pg-lend.c). The session belongs to that one until the run ends, or comes back
 * from being lent. */

typedef struct _DeratePgPlace DeratePgPlace;
typedef struct _DeratePgDrain DeratePgDrain;

typedef enum
{
  DERATE_PG_RUN_GOES_ON,
  DERATE_PG_RUN_ENDED,
  DERATE_PG_RUN_BROKEN,    /* so is the session; the error says why */
  DERATE_PG_RUN_CANCELLED, /* by who waits for it; the server may still be busy with it */
  DERATE_PG_RUN_TIMED_OUT, /* the same */
  DERATE_PG_RUN_CLOSED,    /* by its owner */
} DeratePgRunState;

/* A statement to run, and how it ended. */
typedef struct
{
  const char *sql;
  GVariant *tuple;  /* owned; NULL for none */
  PGresult *result; /* the last good one */
  GError *error;    /* the first: a killed session ends with a second one that says nothing */
  DeratePgStatement *statement; /* NULL: not kept */
  gboolean is_due;
  gboolean is_stale; /* refused for what the server no longer has: it goes again, as it stands */
} DeratePgCall;

/* What the server was sent, in whose order it answers. */
typedef enum
{
  DERATE_PG_SENT_CALL,
  DERATE_PG_SENT_PREPARE, /* for a call */
  DERATE_PG_SENT_FORGET,  /* a statement that was prepared */
  DERATE_PG_SENT_FRAME,   /* of a transaction */
  DERATE_PG_SENT_SYNC,
} DeratePgSentKind;

typedef struct
{
  DeratePgSentKind kind;
  guint call;
} DeratePgSent;

#define DERATE_PG_FEW_SENT 8

typedef struct
{
  DeratePgOperation operation;
  gint64 started;  /* by the session's clock */
  gint64 deadline; /* the same */

  DeratePgCall *calls; /* of a batch, or `one` */
  guint n_calls;
  guint next;        /* to send */
  gboolean is_unsent; /* there is one */
  gboolean is_atomic;
  gboolean is_read_only; /* the same */
  gboolean is_piped;
  gboolean is_second; /* the pass with what was stale */
  gboolean is_undone; /* the transaction was rolled back by a statement of ours */
  gboolean has_stale;
  gboolean takes_big; /* who sends may take long */
  gboolean is_big;    /* and needs to */
  PGTransactionStatusType began_in;
  GError *error;      /* of the whole */
  char *text;         /* of the whole, for the log; NULL: that of the only call */
  DeratePgCall one;
  char *one_sql;

  DeratePgSent *sent; /* `few`, or allocated */
  guint n_sent;
  guint n_room;
  guint n_answered;
  DeratePgSent few[DERATE_PG_FEW_SENT];

  guint n_wakes;
  gsize received; /* about how much, after the first wake */

  DeratePgDoneFunc func;
  gpointer data;
  GCancellable *cancellable;
  gulong cancel_handler;
  DeratePgRunState verdict; /* of who had it before the context; GOES_ON while it goes on */

  /* While it is lent to a thread. */
  GCancellable *stop;          /* NULL: not lent */
  gboolean is_lent;            /* atomic; FALSE again when the thread is done with it */
  DeratePgRunState wanted_end; /* why it was told to stop */
} DeratePgRun;

struct _DeratePgConnection
{
  GObject parent_instance;

  PGconn *pg;  /* NULL once closed */
  char *fatal; /* what the server said when it ended the session */
  int pid;
  DerateClock *clock;
  GTimeSpan query_timeout; /* 0: none */
  GTimeSpan usual_timeout; /* that of a pool */
  DeratePgMeter *meter;    /* NULL: nothing is counted */
  DeratePgOperation operation;
  DeratePgPlace *place; /* where it waits, kept from one query to the next */

  gboolean is_pooled;
  gboolean is_abandoned;
  gboolean is_running;
  gboolean was_read_only;
  gboolean saw_read_only;
  gint64 roles_seen; /* when the reported parameters were last looked at */
  DeratePgNotifyFunc notify; /* NULL: nobody listens */
  gpointer notify_data;
  DeratePgStatements *statements; /* NULL: none are prepared */
  DeratePgRun run;
  DeratePgDrain *drain;
  char *host;        /* HOST:PORT */
  char *passed_over; /* what became of the hosts before it; NULL: it was the first */
};

/* derate-pg-connection.c */

/* FALSE with an error where nothing may be started. */
gboolean derate_pg_connection_may_start (DeratePgConnection *self,
                                         GError            **error);

/* Ends the session; off the thread where it may have much to free. */
void derate_pg_connection_finish (DeratePgConnection *self);
void derate_pg_connection_look_at_role (DeratePgConnection *self);
void derate_pg_connection_take_notifications (DeratePgConnection *self);

/* derate-pg-send.c */

/* Sends what is due, or some of it. */
DeratePgRunState derate_pg_send_some (DeratePgConnection *self);

/* All that was sent is answered: goes on with what that makes necessary, or ends. */
DeratePgRunState derate_pg_send_rest (DeratePgConnection *self);

/* Leaves a pipeline so that the server will answer what it has. */
DeratePgRunState derate_pg_send_no_more (DeratePgConnection *self);

/* An empty query, which belongs to no call. */
DeratePgRunState derate_pg_send_empty (DeratePgConnection *self);

/* derate-pg-run.c */

/* Begins a run of one statement, or of those of a batch, which lives as long; derate_pg_run_flush
 * () sends. @tuple is taken over; @sql must live as long, or until derate_pg_run_keep_sql (). */
void derate_pg_run_begin (DeratePgConnection *self,
                          const char         *sql,
                          GVariant           *tuple,
                          DeratePgOperation   operation);
void derate_pg_run_begin_batch (DeratePgConnection *self,
                                DeratePgCall       *calls,
                                guint               n_calls,
                                DeratePgBatchFlags  flags);
void derate_pg_run_keep_sql (DeratePgConnection *self);

/* Writes what can be written without waiting; @is_unsent where there is more. */
DeratePgRunState derate_pg_run_flush (DeratePgConnection *self,
                                      gboolean           *is_unsent);

/* Takes what has arrived; may be called when the socket is readable. */
DeratePgRunState derate_pg_run_receive (DeratePgConnection *self);

/* Sends and waits in the kernel, for @cancellable (nullable) or until @deadline of the system's
 * clock. */
DeratePgRunState derate_pg_run_wait (DeratePgConnection *self,
                                     GCancellable       *cancellable,
                                     gint64              deadline);
gint64 derate_pg_run_get_system_time (void);

/* derate-pg-collect.c: takes what libpq has read */
DeratePgRunState derate_pg_collect (DeratePgConnection *self);

/* derate-pg-end.c */

/* The end: the session is free, closed or abandoned. Calls keep what they have; that of a single
 * statement is given. */
void derate_pg_run_end (DeratePgConnection *self,
                        DeratePgRunState    state,
                        DeratePgResult    **result,
                        GError            **error);

/* Lets go of everything that belongs to it. */
void derate_pg_run_forget (DeratePgConnection *self);
void derate_pg_call_reset (DeratePgCall *call);

/* derate-pg-query.c */

/* Sends a run that has begun; it is waited for in the thread-default context of the caller. */
void derate_pg_query_launch (DeratePgConnection *self,
                             GCancellable       *cancellable,
                             DeratePgDoneFunc    func,
                             gpointer            data);
/* The session is closed in the middle of it. */
void derate_pg_query_close (DeratePgConnection *self);
/* Nothing was started: calls @func in a moment, never at once. Takes @error over. */
void derate_pg_connection_refuse (DeratePgConnection *self,
                                  GError             *error,
                                  DeratePgDoneFunc    func,
                                  gpointer            data);

/* derate-pg-sync.c: sends a run that has begun, waits for it and ends it */
void derate_pg_sync_end (DeratePgConnection *self,
                         GCancellable       *cancellable,
                         DeratePgResult    **result,
                         GError            **error);

/* derate-pg-place.c: a source in a context */

/* Called in the context, for the socket (@ready), a deadline or derate_pg_place_wake (). */
void derate_pg_place_dispatched (DeratePgConnection *self,
                                 GIOCondition        ready);
/* In the thread-default context of the caller; nothing is dispatched before _go () and after
 * _rest (). */
void derate_pg_place_hold (DeratePgConnection *self);
void derate_pg_place_go (DeratePgConnection *self);
void derate_pg_place_rest (DeratePgConnection *self);
void derate_pg_place_watch (DeratePgConnection *self,
                            GIOCondition        condition);
void derate_pg_place_set_deadline (DeratePgConnection *self,
                                   gint64              deadline);
/* Before the socket is closed, or another thread waits for it. */
void derate_pg_place_leave (DeratePgConnection *self);
void derate_pg_place_wake (DeratePgPlace *place); /* any thread */
DeratePgPlace *derate_pg_place_ref (DeratePgPlace *place);
void derate_pg_place_unref (DeratePgPlace *place);

/* derate-pg-lend.c */

/* Lends the run to a thread of its own. */
void derate_pg_lend (DeratePgConnection *self);
gboolean derate_pg_lend_is_out (DeratePgConnection *self);
void derate_pg_lend_stop (DeratePgConnection *self,
                          DeratePgRunState    why);
void derate_pg_lend_take_back (DeratePgConnection *self);

/* Where there is much to free, a thread does it. */
void derate_pg_free_result (PGresult *result);
void derate_pg_free_session (PGconn  *pg,
                             gboolean is_big);

/* derate-pg-drain.c */
void derate_pg_drain_dispatched (DeratePgConnection *self,
                                 GIOCondition        ready);
void derate_pg_drain_stop (DeratePgConnection *self);

G_END_DECLS
