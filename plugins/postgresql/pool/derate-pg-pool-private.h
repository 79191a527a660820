/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-pg-connection-private.h"
#include "derate-pg-meter-private.h"
#include "derate-pg-slot-private.h"

#include <derate-service.h>

G_BEGIN_DECLS

/* Why an acquire must look closer. One word, which is 0 while all is well. */
enum
{
  GATE_UNOPENED = 1 << 0,
  GATE_CLOSED = 1 << 1,
  GATE_PAUSED = 1 << 2,
  GATE_WAITERS = 1 << 3,   /* somebody waits: newcomers queue, returns are handed over */
  GATE_READ_ONLY = 1 << 4, /* writes are refused */
  GATE_FULL_RESET = 1 << 5, /* each return goes by the pool thread */
};
#define GATE_TAKE (GATE_UNOPENED | GATE_CLOSED | GATE_PAUSED | GATE_WAITERS)
#define GATE_GIVE (GATE_CLOSED | GATE_WAITERS | GATE_FULL_RESET)

#define MAX_SLOTS 1024

/* Between two looks for idle sessions that are not watched; a session is at its second. */
#define SWEEP_PERIOD (25 * G_TIME_SPAN_MILLISECOND)

typedef struct _DeratePgWaiter DeratePgWaiter;

/* What is set before the pool opens, and is only read from then on. */
typedef struct
{
  char *name;
  char *uri;
  char *password;
  guint max_waiters;
  GTimeSpan acquire_timeout;
  GTimeSpan connect_timeout;
  GTimeSpan validate_after;
  GTimeSpan validation_timeout;
  GTimeSpan max_lifetime;
  GTimeSpan idle_timeout;
  GTimeSpan leak_threshold;
  GTimeSpan query_timeout;
  guint statement_cache_size;
  DeratePgReset reset;
  gboolean auto_size;
} DeratePgPoolSettings;

/* What is going on with connects; the pool thread's, but for what the lock guards. */
typedef struct
{
  guint n_connecting; /* under the lock */
  guint window;       /* how many may be under way for waiters: doubles while they go on waiting */
  GTimeSpan backoff;  /* 0 while all is well */
  gint64 retry_at;
  GError *error;      /* under the lock: why the last attempt failed; NULL once one succeeded */
} DeratePgGrowth;

/* Which hosts there are and what they take; the pool thread's. */
typedef struct
{
  GError *refusal;          /* never changes */
  gboolean wants_writes;    /* the URI does not ask for a standby */
  gboolean has_other_hosts; /* one of several is wanted for its role */
  char *host;               /* HOST:PORT of the newest session */
  char *passed_over;        /* what became of the hosts before it; NULL: it was the first */
  GTimeSpan pause;          /* the last one between two looks */
  gint64 probe_at;
  gboolean is_probing;
} DeratePgRoles;

/* The service that it tells of itself; the pool thread's. */
typedef struct
{
  DerateService *service; /* NULL: none */
  guint64 timed_out;      /* callers, when it was last looked */
  gint64 last_bad;        /* check interval in which some were, counted from the clock's zero */
  guint n_bad;            /* how many such intervals there were in a row */
  gboolean was_down;      /* at the last look while attempts to connect failed */
} DeratePgAttachment;

/* How many sessions there may be now. Under the lock. */
typedef struct
{
  guint limit;      /* max, unless the pool finds its size by itself */
  gint64 began;     /* of the period that is looked at */
  gint64 next;      /* its end; NEVER while there is nothing to look at */
  GTimeSpan waited; /* in it, by all who wait no longer */
  guint n_calm;     /* periods in which hardly anything was in use */
  gint64 believed_until; /* the server said that it has no room for more */
} DeratePgSizing;

struct _DeratePgPool
{
  GObject parent_instance;

  /* Read by each acquire and return, and hardly ever written. */
  guint32 gate;     /* atomic; written under the lock */
  guint32 n_slots;  /* atomic: one past the last slot in use so far; written by the pool thread */
  guint32 is_swept; /* atomic: the pool thread will look for idle sessions that are not watched */
  DeratePgSlot *slots;
  DeratePgPoolSettings settings;
  DerateClock *clock;
  DeratePgMeter *meter;
  DerateBreaker *breaker; /* (nullable) */
  guint8 apart[64];

  gpointer slots_memory;
  GMutex lock;
  GQueue waiters;       /* under the lock, linked by the waiters' own link */
  DeratePgSlot *posted; /* under the lock: RESERVED ones for the pool thread to look after */
  gboolean is_kicked;   /* under the lock: the pool thread must take a turn */
  guint min;            /* under the lock */
  guint max;            /* under the lock */
  guint n_live;         /* under the lock: slots that are not EMPTY */
  guint n_dead;         /* under the lock: those of them that are DEAD */
  guint n_cancels;      /* under the lock: under way, for sessions that were cut off */
  gint64 paused_at;     /* under the lock */
  DeratePgPoolStats counts; /* under the lock: only what is counted */
  GPtrArray *openings;  /* under the lock: tasks of open_async () */
  GPtrArray *drains;    /* under the lock: tasks of drain_async () */
  GPtrArray *closings;  /* under the lock: tasks of close_async () */
  gint64 close_by;      /* under the lock: when busy sessions are cut off */

  GMainContext *owner_context; /* of whoever made the pool */
  GMainContext *context;       /* the pool thread's, or the owner's with a manual clock */
  gboolean has_thread;         /* not with a manual clock */
  GThread *thread;             /* under the lock: NULL without one, or once it was joined */
  GSource *alarm;              /* the next turn; under the lock; NULL before and after */
  gint64 alarm_at;             /* under the lock */
  GSource *watch;              /* of epoll */
  int epoll;                   /* -1 while not open */
  DeratePgGrowth growth;
  DeratePgSizing sizing; /* under the lock */
  DeratePgRoles roles;
  DeratePgAttachment attachment;
  gint64 sweep_at;       /* the pool thread's: DERATE_CLOCK_NEVER while nothing is to be swept */
};

static inline gint64
derate_pg_pool_now (DeratePgPool *pool)
{
  return derate_clock_get_time (pool->clock);
}

/* How many sessions there are or will be, without those that are closed. Under the lock. */
static inline guint
derate_pg_pool_count_alive (DeratePgPool *pool)
{
  return pool->n_live - pool->n_dead;
}

static inline gboolean
derate_pg_pool_is_paused (DeratePgPool *pool)
{
  return (__atomic_load_n (&pool->gate, __ATOMIC_RELAXED) & GATE_PAUSED) != 0;
}

static inline DeratePgOperation
derate_pg_access_to_operation (DeratePgAccess access)
{
  return access == DERATE_PG_ACCESS_WRITE ? DERATE_PG_OPERATION_WRITE : DERATE_PG_OPERATION_READ;
}

/* derate-pg-pool-properties.c */
void derate_pg_pool_install_properties (GObjectClass *klass);
void derate_pg_pool_init_properties (DeratePgPool *pool);

/* derate-pg-pool-turn.c: the pool thread. */

/* Opens the pool if it was not. Under the lock. */
void derate_pg_pool_start (DeratePgPool *pool);

/* Has the pool thread take a turn soon, or by then. Under the lock. */
void derate_pg_pool_kick (DeratePgPool *pool);
void derate_pg_pool_wake_by (DeratePgPool *pool,
                             gint64        deadline);

/* The same for a session that the caller owns (RESERVED) and leaves to it. Under the lock. */
void derate_pg_pool_post (DeratePgPool *pool,
                          DeratePgSlot *slot);

/* derate-pg-pool-slots.c */

/* Takes an idle session that needs nothing done; NULL if there is none. */
DeratePgSlot *derate_pg_pool_take (DeratePgPool  *pool,
                                   DeratePgAccess access);

/* Acquires one, unless somebody waits or there is another reason not to. Counts it. */
gboolean derate_pg_pool_try_acquire (DeratePgPool  *pool,
                                     DeratePgAccess access,
                                     const char    *tag,
                                     DeratePgLease *lease);

/* There is one whenever there may be one session more. Under the lock. */
DeratePgSlot *derate_pg_pool_find_empty (DeratePgPool *pool);

/* Whether a session is idle that must be asked for a sign of life before it is lent. */
gboolean derate_pg_pool_has_stale (DeratePgPool *pool);

/* Moves between EMPTY and the rest, under the lock: what is counted against max. */
void derate_pg_pool_enlist (DeratePgPool *pool,
                            DeratePgSlot *slot);
void derate_pg_pool_delist (DeratePgPool     *pool,
                            DeratePgSlot     *slot,
                            DeratePgSlotState from);

/* How many slots are in each state. Exact in what is counted against max under the lock. */
void derate_pg_pool_count (DeratePgPool *pool,
                           guint         counts[DERATE_PG_SLOT_N_STATES]);

/* derate-pg-pool-release.c */

/* Gives a session that the caller owns (RESERVED) and that needs nothing done to the first waiter
 * that can use it, or makes it idle. */
void derate_pg_pool_put (DeratePgPool *pool,
                         DeratePgSlot *slot);

/* Hands idle sessions to waiters. Under the lock; who was served is added to @served. */
void derate_pg_pool_serve (DeratePgPool *pool,
                           GQueue       *served);

/* After a return: somebody waits, the pool was closed meanwhile, or nobody sweeps. */
void derate_pg_pool_was_given (DeratePgPool *pool);

/* The slow half of a return. The caller owns @slot (RESERVED). */
void derate_pg_pool_take_back (DeratePgPool *pool,
                               DeratePgSlot *slot);

/* derate-pg-pool-growth.c: the pool thread's. */
void derate_pg_growth_turn (DeratePgPool *pool,
                            gint64        now);
gint64 derate_pg_growth_next (DeratePgPool *pool,
                              gint64        now);

/* A session that was opened for a slot that is CONNECTING. */
void derate_pg_growth_adopt (DeratePgPool       *pool,
                             DeratePgSlot       *slot,
                             DeratePgConnection *connection);

/* Tells it, from any thread under the lock, that somebody waits. */
void derate_pg_growth_ask (DeratePgPool *pool);

/* Whether there is no session and there will be none, for what the configuration says. Under the
 * lock. */
gboolean derate_pg_growth_is_hopeless (DeratePgPool *pool);

/* derate-pg-pool-care.c: what is done to a session that nobody has acquired; the pool thread's. */
void derate_pg_pool_look_after (DeratePgPool *pool,
                                DeratePgSlot *slot);

/* Takes a session that is idle, as of @word, and asks it for a sign of life; it is lent after that.
 * FALSE if it is idle no more. */
gboolean derate_pg_pool_check_idle (DeratePgPool *pool,
                                    DeratePgSlot *slot,
                                    guint64       word,
                                    guint         care);

typedef enum
{
  DERATE_PG_CLOSE_LOST,
  DERATE_PG_CLOSE_RETIRED,
  DERATE_PG_CLOSE_BROKEN,
  DERATE_PG_CLOSE_SILENT, /* broken, and not worth waiting for */
} DeratePgClose;

/* Closes a session that the pool thread owns (@from), and frees its slot once its backend is gone.
 */
void derate_pg_pool_close_slot (DeratePgPool     *pool,
                                DeratePgSlot     *slot,
                                DeratePgSlotState from,
                                DeratePgClose     why);

/* Frees the slot of a session that was closed. */
void derate_pg_pool_slot_gone (DeratePgPool *pool,
                               DeratePgSlot *slot);

/* derate-pg-pool-watch.c: the pool thread's. */
void derate_pg_pool_watch_start (DeratePgPool *pool);
void derate_pg_pool_watch_stop (DeratePgPool *pool);
void derate_pg_pool_watch_add (DeratePgPool *pool,
                               DeratePgSlot *slot);
void derate_pg_pool_watch_arm (DeratePgPool *pool,
                               DeratePgSlot *slot);
void derate_pg_pool_sweep (DeratePgPool *pool,
                           gint64        now);

/* derate-pg-pool-lifetime.c: the pool thread's. */

/* Whether an owned or idle session must be closed. */
gboolean derate_pg_pool_must_go (DeratePgPool *pool,
                                 DeratePgSlot *slot);

/* Whether it ends so soon that another one should be there. */
gboolean derate_pg_pool_is_old (DeratePgPool *pool,
                                DeratePgSlot *slot,
                                gint64        now);

/* What time does to a session; when to look again. */
gint64 derate_pg_pool_turn_slot (DeratePgPool *pool,
                                 DeratePgSlot *slot,
                                 gint64        now);

/* derate-pg-pool-roles.c: the pool thread's. */
void derate_pg_roles_init (DeratePgPool *pool);
void derate_pg_roles_clear (DeratePgPool *pool);

/* How to connect next. */
void derate_pg_roles_prefer (DeratePgPool       *pool,
                             DeratePgPreference *preference);

/* A session is there; or it may have another role than when it was looked at last. */
void derate_pg_roles_connected (DeratePgPool *pool,
                                DeratePgSlot *slot);
void derate_pg_roles_look (DeratePgPool *pool,
                           DeratePgSlot *slot);
/* Any thread: whether there is no use in waiting, because it is a write that nobody would take. */
gboolean derate_pg_roles_refuse (DeratePgPool  *pool,
                                 DeratePgAccess access,
                                 GError       **error);
void derate_pg_roles_turn (DeratePgPool *pool,
                           gint64        now);
gint64 derate_pg_roles_next (DeratePgPool *pool);

/* derate-pg-pool-query.c: the breaker, if there is one. Any thread. */
gboolean derate_pg_pool_permit (DeratePgPool *pool,
                                DeratePermit *permit,
                                GError      **error);

/* Takes @error for what it says of the database: a failure, or an answer, or nothing. */
void derate_pg_pool_conclude (DeratePgPool *pool,
                              DeratePermit *permit,
                              const GError *error);

/* derate-pg-pool-attach.c: the pool thread's. */
void derate_pg_attachment_tell (DeratePgPool *pool);
gint64 derate_pg_attachment_turn (DeratePgPool *pool,
                                  gint64        now);
void derate_pg_attachment_clear (DeratePgPool *pool);

/* Whether the service was found to be there again since the last look: then nobody has to wait for
 * the rest of a pause between two attempts. */
gboolean derate_pg_attachment_is_back (DeratePgPool *pool);

/* derate-pg-pool-leak.c */

/* Under the lock, by who has just acquired. */
void derate_pg_leak_note (DeratePgPool *pool,
                          DeratePgSlot *slot,
                          const char   *tag);

/* When to look again. The pool thread's. */
gint64 derate_pg_leak_look (DeratePgPool *pool,
                            DeratePgSlot *slot,
                            guint64       word,
                            gint64        now);

/* derate-pg-pool-stats.c */
void derate_pg_pool_read_stats (DeratePgPool      *pool,
                                DeratePgPoolStats *stats);

/* derate-pg-pool-tasks.c: under the lock, but for the last. */

/* Takes @task over; its cancellable takes it out of @list (openings, drains) again. */
void derate_pg_pool_add_task (DeratePgPool *pool,
                              GPtrArray    *list,
                              GTask        *task);
GPtrArray *derate_pg_pool_steal_tasks (GPtrArray *list);
void derate_pg_pool_return_tasks (GPtrArray    *tasks,
                                  const GError *error);

/* derate-pg-pool-resize.c */

/* Marks what is too much. Under the lock. */
void derate_pg_resize_shrink (DeratePgPool *pool);

/* The pool thread's. */
void derate_pg_resize_turn (DeratePgPool *pool);

/* derate-pg-pool-sizing.c: under the lock. */
void derate_pg_sizing_start (DeratePgPool *pool);

/* After the minimum or the maximum changed. */
void derate_pg_sizing_clamp (DeratePgPool *pool);
void derate_pg_sizing_wait_begins (DeratePgPool *pool,
                                   gint64        now);
void derate_pg_sizing_wait_ends (DeratePgPool *pool,
                                 gint64        since);

/* No session could be opened. */
void derate_pg_sizing_refused (DeratePgPool *pool,
                               const GError *error);

/* The pool thread's, without the lock. */
void derate_pg_sizing_turn (DeratePgPool *pool,
                            gint64        now);

/* derate-pg-pool-control.c */
GError *derate_pg_pool_make_closed (DeratePgPool *pool);

/* Closes it to everybody: no caller waits from then on (they are added to @ended), and it keeps
 * itself until nothing of it is left. Under the lock. */
void derate_pg_pool_shut (DeratePgPool *pool,
                          gint64        close_by,
                          GQueue       *ended);

/* The pool thread's. */
gint64 derate_pg_control_turn (DeratePgPool *pool,
                               gint64        now);
gboolean derate_pg_control_is_ended (DeratePgPool *pool);
void derate_pg_control_end (DeratePgPool *pool);

G_END_DECLS
