/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-breaker-config-private.h"
#include "derate-breaker-private.h"
#include "derate-breaker-window-private.h"
#include "derate-event-queue-private.h"
#include "derate-shard-private.h"

G_BEGIN_DECLS

/* Threads. `word`, `open_until`, `quiet_until`, `slow_after`, `durations`, `judges`,
 * `judges_answers` and `drill` are read by any thread without a lock, and written under the
 * mutex, with the __atomic builtins; what a drill counts is counted with them by any thread. The
 * mutex guards all else that changes, except `queue`, which belongs to whoever has set
 * `delivering`. Functions named _locked are called with the mutex held; whoever takes it gives it
 * back by derate_breaker_unlock (), which tells of the transitions once it is free.
 *
 * The files: -outcome lets calls through and takes their ends, and is the hot path; -rates has the
 * window and what its rates demand, over -window (by count) and -time-window; -machine has the
 * states; -half-open the probes and -ramp what follows them; -control is what is done by hand, and
 * -drill what is only played; -totals what is told, and -notify who hears of it.
 *
 * The word says all a call needs to know while nothing is wrong: the generation, which changes
 * whenever permits given out so far stop to count, and what to do. */
#define WORD_STATE_MASK G_GUINT64_CONSTANT (0x3)
#define WORD_MODE_SHIFT 2
#define WORD_MODE_MASK G_GUINT64_CONSTANT (0x7)
#define WORD_ADMITS (G_GUINT64_CONSTANT (1) << 5)    /* calls are let through */
#define WORD_QUIET (G_GUINT64_CONSTANT (1) << 6)     /* another success changes nothing */
#define WORD_MEASURES (G_GUINT64_CONSTANT (1) << 7)  /* calls are timed */
#define WORD_UNCOUNTED (G_GUINT64_CONSTANT (1) << 8) /* nothing is counted */
#define WORD_REFUSES (G_GUINT64_CONSTANT (1) << 9)   /* until open_until */
#define WORD_TIMED (G_GUINT64_CONSTANT (1) << 10)    /* as quiet, but only before quiet_until */
#define WORD_PLAIN (G_GUINT64_CONSTANT (1) << 11)    /* let through, counted and not measured */
#define WORD_SMOOTH (G_GUINT64_CONSTANT (1) << 12)   /* quiet and not measured */
#define WORD_SHARED (G_GUINT64_CONSTANT (1) << 13)   /* in permits: many hands hold it */
#define WORD_DRILLED (G_GUINT64_CONSTANT (1) << 14)  /* a drill refuses before anything else */
#define WORD_GENERATION_SHIFT 16

/* Counted by each thread on its own. */
enum
{
  CELL_ADMITTED,
  CELL_SUCCESS, /* but not the slow ones */
  CELL_NEUTRAL,
  CELL_BLOCKED,
  N_CELLS
};

typedef enum
{
  OUTCOME_SUCCESS,
  OUTCOME_FAILURE,
  OUTCOME_NEUTRAL,
} DerateOutcome;

/* What a DeratePermit holds, which the user sees as words. One that has ended is all zero but for
 * the word, so that a plain one only has two of them to write. */
typedef struct __attribute__ ((may_alias))
{
  DerateBreaker *breaker; /* NULL once ended */
  guint64 word;
  gint64 start;  /* 0: not measured */
  guint32 probe; /* 1 + its place among the leases, 0: not let through while half-open */
} DeratePermitData;
G_STATIC_ASSERT (sizeof (DeratePermitData) <= sizeof (DeratePermit));

/* A transition, or an alert, on its way to those who want to hear of it. */
typedef struct _DerateBreakerEvent DerateBreakerEvent;
struct _DerateBreakerEvent
{
  DerateBreakerEvent *next;
  DerateBreakerState old_state;
  DerateBreakerState new_state; /* the same: no transition */
  DerateBreakerCounters counters;
  GTimeSpan span; /* open: how long; closed: how long it was not */
  guint failure_threshold;
  gboolean alert;
  gboolean recovered;
  gboolean reset;
};

typedef struct
{
  guint64 admitted;
  guint64 blocked;
  guint64 successes;
  guint64 failures;
  guint64 slow;
} DerateBreakerMarks;

/* The probes of a half-open breaker: see derate-breaker-half-open.c. */
typedef struct
{
  guint n;
  guint successes;
  guint failures;
  guint slow;
  gint64 leases[];
} DerateBreakerProbes;

/* See derate-breaker-ramp.c. */
typedef struct
{
  gint64 end;
  GTimeSpan span;
  guint64 owed;
} DerateBreakerRamp;

/* See derate-breaker-drill.c. */
typedef struct _DerateBreakerDrill DerateBreakerDrill;

struct _DerateBreaker
{
  GObject parent_instance;

  /* What each call reads stands together, away from what is written while calls fail. */
  guint64 word;
  DerateShardSlot cells;
  guint8 judges;         /* atomic: the settings have an opinion on errors */
  guint8 judges_answers; /* atomic: the same on answers */
  gint64 open_until;  /* DERATE_CLOCK_NEVER while forced */
  gint64 quiet_until; /* of a time window: when its slice ends, G_MININT64 while it is not quiet */
  GTimeSpan slow_after;       /* 0: calls are not timed */
  DerateHistogram *durations; /* (nullable) atomic: made once calls are timed */
  char **refusals; /* (nullable) atomic: what is said of a refusal, made once */

  char *name;
  DerateClock *clock;
  GMainContext *context;

  GMutex mutex;
  DerateBreakerSettings *settings;
  DerateBreakerCounts *counts; /* (nullable) the window, if it is by count */
  DerateBreakerSlices *slices; /* (nullable) the same by time */
  guint64 generation;
  guint8 state;
  guint8 mode;
  guint8 state_before_forced;
  guint8 until_fixed : 1;   /* open_until () said so: checks do not shorten it */
  guint8 has_opened : 1;    /* since the reset */
  guint8 alerted : 1;
  guint8 asked_for : 1;     /* a permit was asked for since the last good check */
  guint8 delivering : 1;
  guint8 fresh : 1;         /* this thread has pushed an event */
  guint8 rate_rose : 1;     /* perhaps, or was forgotten; under this thread */
  guint8 drilled : 1;
  guint step;               /* of the backoff */
  DerateBreakerProbes *probes; /* (nullable) while half-open */
  DerateBreakerRamp *ramp;     /* (nullable) while not every call is let through although closed */

  guint64 failures;
  guint64 slow_failures;
  guint64 slow_successes;
  guint64 failure_streak; /* kept until closed */
  guint64 consecutive_failures;
  guint64 success_mark; /* all successes, when the streak of successes began */
  guint64 seen_successes;
  gint64 seen_time;

  gint64 state_since;
  gint64 real_offset; /* from the clock to the wall, for what is shown */
  gint64 incident_since;
  gint64 last_failure;
  gint64 last_success;
  guint32 edges[4][4];
  DerateBreakerMarks marks;   /* when the state began */
  DerateBreakerTotals *zero;  /* (nullable) at the last reset */

  GPtrArray *hooks;     /* (nullable) immutable: replaced when it changes */
  GPtrArray *listeners; /* (nullable) the same */
  guint last_listener;
  DerateBreakerEvent *events;
  DerateBreakerEvent **events_tail;
  DerateEventQueue *queue; /* (nullable) made for the first signal */
  DerateBreakerDrill *drill; /* (nullable) atomic: made for the first drill */
};

static inline guint64
derate_breaker_load_word (DerateBreaker *self)
{
  return __atomic_load_n (&self->word, __ATOMIC_ACQUIRE);
}

/* derate-breaker-machine.c */
void derate_breaker_init_locked (DerateBreaker *self,
                                 gint64         now);
void derate_breaker_open_locked (DerateBreaker *self,
                                 gint64         now,
                                 gint64         until); /* 0: as configured */
void derate_breaker_close_locked (DerateBreaker *self,
                                  gint64         now);
void derate_breaker_recover_locked (DerateBreaker *self,
                                    gint64         now);
DerateBreakerEvent *derate_breaker_transit_locked (DerateBreaker     *self,
                                                   DerateBreakerState to,
                                                   gint64             now,
                                                   GError           **error);
void derate_breaker_empty_locked (DerateBreaker *self);
void derate_breaker_advance_locked (DerateBreaker *self,
                                    gint64         now);
void derate_breaker_publish_locked (DerateBreaker *self);
void derate_breaker_renew_locked (DerateBreaker *self); /* a new generation */
const char *derate_breaker_check_table (void);

/* derate-breaker-half-open.c */
gboolean derate_breaker_half_open_locked (DerateBreaker *self,
                                          gint64         now,
                                          GError       **error);
void derate_breaker_adopt_probes_locked (DerateBreaker               *self,
                                         const DerateBreakerSettings *old);
gboolean derate_breaker_has_probe_locked (DerateBreaker *self);
guint32 derate_breaker_take_probe_locked (DerateBreaker *self,
                                          gint64         now);
gboolean derate_breaker_probe_is_out_locked (DerateBreaker *self,
                                             guint32        probe);
gint64 derate_breaker_get_earliest_lease_locked (DerateBreaker *self);
double derate_breaker_get_probe_rate_locked (DerateBreaker *self);
void derate_breaker_expire_leases_locked (DerateBreaker *self,
                                          gint64         now);
void derate_breaker_decide_locked (DerateBreaker *self,
                                   gint64         now);
void derate_breaker_take_answer_locked (DerateBreaker *self,
                                        guint32        probe,
                                        DerateOutcome  outcome,
                                        gboolean       slow,
                                        gint64         now);
void derate_breaker_take_good_check_locked (DerateBreaker *self,
                                            gint64         now);

/* derate-breaker-ramp.c */
void derate_breaker_set_ramp_locked (DerateBreaker *self,
                                     gint64         now,
                                     GTimeSpan      span,
                                     GTimeSpan      left);
gboolean derate_breaker_take_ramp_locked (DerateBreaker *self,
                                          gint64         now);

/* derate-breaker-control.c */
void derate_breaker_adopt_settings_locked (DerateBreaker *self,
                                           gint64         now);

/* derate-breaker-drill.c */
gboolean derate_breaker_take_drill (DerateBreaker *self);

/* derate-breaker-outcome.c */
void derate_breaker_record (DerateBreaker          *self,
                            const DeratePermitData *permit,
                            DerateOutcome           outcome);
void derate_breaker_record_measured (DerateBreaker    *self,
                                     DeratePermitData *data);
DerateOutcome derate_breaker_judge (DerateBreaker *self,
                                    const GError  *error);

/* derate-breaker-rates.c */
void derate_breaker_adopt_window_locked (DerateBreaker *self,
                                         gint64         now);
void derate_breaker_empty_window_locked (DerateBreaker *self);
void derate_breaker_look_at_window_locked (DerateBreaker *self,
                                           gint64         now,
                                           guint64        unseen); /* successes */
gboolean derate_breaker_window_is_quiet (DerateBreaker *self);
void derate_breaker_publish_quiet_until_locked (DerateBreaker *self);
void derate_breaker_turn_window_locked (DerateBreaker *self,
                                        gint64         now);
gboolean derate_breaker_add_to_window_locked (DerateBreaker *self,
                                              gboolean       failed,
                                              gboolean       slow,
                                              gint64         now);
gboolean derate_breaker_must_open_locked (DerateBreaker *self);
void derate_breaker_alert_on_rate_locked (DerateBreaker *self,
                                          gint64         now);
gboolean derate_breaker_reaches (guint64 part,
                                 guint64 whole,
                                 double  rate);
double derate_breaker_get_failure_rate_locked (DerateBreaker *self);
double derate_breaker_get_slow_rate_locked (DerateBreaker *self);

/* derate-breaker-totals.c */
guint64 derate_breaker_sum (DerateBreaker *self,
                            guint          cell);
guint64 derate_breaker_count_successes_locked (DerateBreaker *self);
void derate_breaker_observe_locked (DerateBreaker *self,
                                    gint64         now);
void derate_breaker_read_totals_locked (DerateBreaker       *self,
                                        DerateBreakerTotals *totals);
void derate_breaker_mark_locked (DerateBreaker *self);
void derate_breaker_count_state_locked (DerateBreaker         *self,
                                        gint64                 now,
                                        DerateBreakerCounters *counters);

/* derate-breaker-notify.c */
void derate_breaker_notify_class_init (GObjectClass *klass);
DerateBreakerEvent *derate_breaker_push_event_locked (DerateBreaker *self,
                                                      gint64         now);
void derate_breaker_unlock (DerateBreaker *self);
void derate_breaker_log_init (DerateBreaker *self);
void derate_breaker_clear_listeners (DerateBreaker *self);

G_END_DECLS
