/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-pg-cancel-private.h"
#include "derate-pg-pool.h"

G_BEGIN_DECLS

/* One place for a session. Its word says in which state it is and how often it was acquired, so
 * that what has changed in between is never mistaken for what was seen. Who moves a word out of
 * IDLE owns the session, and everything here but the word, until it moves the word on. */
typedef enum
{
  DERATE_PG_SLOT_EMPTY,
  DERATE_PG_SLOT_CONNECTING, /* the pool thread's */
  DERATE_PG_SLOT_IDLE,       /* nobody's */
  DERATE_PG_SLOT_BUSY,       /* the lease's */
  DERATE_PG_SLOT_RESERVED,   /* of who looks after it, for the most part the pool thread */
  DERATE_PG_SLOT_DRAINING,   /* the pool thread's */
  DERATE_PG_SLOT_DEAD,       /* the pool thread's: closed, but its backend may not be gone */
  DERATE_PG_SLOT_N_STATES,
} DeratePgSlotState;

#define SLOT_STATE_MASK G_GUINT64_CONSTANT (0x07)
#define SLOT_STALE      G_GUINT64_CONSTANT (0x08) /* idle for so long that it must be validated */
#define SLOT_RETIRE     G_GUINT64_CONSTANT (0x10) /* to be closed as soon as it is free */
#define SLOT_WRITABLE   G_GUINT64_CONSTANT (0x20) /* its server takes writes */
#define SLOT_FLAGS      G_GUINT64_CONSTANT (0xf8)
#define SLOT_ACQUIRED   G_GUINT64_CONSTANT (0x100) /* one more acquisition */

/* What is to be done before a session may be used, and what is known of it. */
#define CARE_DISCARD  1u
#define CARE_CHECK    2u
#define CARE_CHECKING 4u /* being checked because somebody waits */
#define CARE_REPLACED 8u /* it is getting old, and another one was opened for it */

typedef struct _DeratePgSlot DeratePgSlot;
typedef struct _DeratePgHolder DeratePgHolder;

/* A pair of cache lines of its own. */
struct _DeratePgSlot
{
  guint64 word; /* atomic */
  DeratePgConnection *connection; /* the owner's; NULL from EMPTY to CONNECTING, and while DEAD */
  DeratePgPool *pool;
  DeratePgSlot *next_posted; /* under the lock */
  DeratePgHolder *holder;    /* under the lock; NULL unless leaks are watched for */

  /* The pool thread's alone. */
  int fd;             /* our duplicate of the session's socket, -1: watched, cut off, seen off */
  guint care;         /* CARE_… */
  gboolean is_armed;  /* fd is watched until something happens */
  guint64 seen;       /* the word when it was last looked at */
  gint64 seen_at;     /* when it was first seen so */
  gint64 heard_at;    /* when its server last gave a sign of life to us */
  gint64 began_at;    /* when what is being done began */
  gint64 due;         /* when it must have ended */
  gint64 retire_at;   /* when it is too old */
  GCancellable *cancellable; /* of what is being done */
  DeratePgCancel *cancel;    /* stops what its holder runs, once; NULL without a session */
} __attribute__ ((aligned (128)));

/* What is in a lease. */
typedef struct
{
  guint64 slot; /* DeratePgSlot; 0 once given back */
  guint64 word; /* as it was when acquired, without flags */
} DeratePgLeaseData;

G_STATIC_ASSERT (sizeof (DeratePgLeaseData) <= sizeof (DeratePgLease));

static inline DeratePgSlotState
derate_pg_slot_state (guint64 word)
{
  return (DeratePgSlotState)(word & SLOT_STATE_MASK);
}

static inline guint64
derate_pg_slot_read (const DeratePgSlot *slot)
{
  return __atomic_load_n (&slot->word, __ATOMIC_ACQUIRE);
}

/* Whether two words are of the same acquisition. */
static inline gboolean
derate_pg_slot_same (guint64 a,
                     guint64 b)
{
  return ((a ^ b) & ~SLOT_FLAGS) == 0;
}

/* Sequentially consistent, so that who publishes a word and then looks at the gate, and who closes
 * the gate and then looks at the words, cannot both miss each other. */
static inline gboolean
derate_pg_slot_swap (DeratePgSlot *slot,
                     guint64       from,
                     guint64       to)
{
  return __atomic_compare_exchange_n (&slot->word, &from, to, FALSE, __ATOMIC_SEQ_CST,
                                      __ATOMIC_RELAXED);
}

/* Moves along an edge of the table, keeping the flags in @keep. TRUE if the word was in state @from
 * and of the acquisition of @word until then; another flag is no hindrance. */
gboolean derate_pg_slot_move (DeratePgSlot     *slot,
                              guint64           word,
                              DeratePgSlotState from,
                              DeratePgSlotState to);

/* The same for who owns it: it cannot fail. */
void derate_pg_slot_pass (DeratePgSlot     *slot,
                          DeratePgSlotState from,
                          DeratePgSlotState to);

/* Sets and clears flags, whatever the state. */
void derate_pg_slot_flag (DeratePgSlot *slot,
                          guint64       set,
                          guint64       clear);

static inline void
derate_pg_slot_fill_lease (DeratePgSlot  *slot,
                           DeratePgLease *lease)
{
  DeratePgLeaseData *data = (DeratePgLeaseData *)lease;

  data->slot = (guintptr)slot;
  data->word = derate_pg_slot_read (slot) & ~SLOT_FLAGS;
}

/* Empties a lease without giving anything back. */
static inline DeratePgSlot *
derate_pg_slot_steal_lease (DeratePgLease *lease)
{
  DeratePgLeaseData *data = (DeratePgLeaseData *)lease;
  DeratePgSlot *slot = (DeratePgSlot *)(guintptr)data->slot;

  data->slot = 0;
  return slot;
}

G_END_DECLS
