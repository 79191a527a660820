/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For the files of this room alone: what derate-service*.c and the monitor share. */

#include "derate-breaker-private.h"
#include "derate-check-run-private.h"
#include "derate-delay-policy-private.h"
#include "derate-health-streak-private.h"
#include "derate-service-private.h"
#include "derate-waker-private.h"

G_BEGIN_DECLS

#define DERATE_SERVICE_STALE_INTERVALS 3

/* What a service reads of its breaker, without a lock of its own. */
typedef struct
{
  gboolean present;
  DerateBreakerState state; /* forced-open is open, disabled is closed */
  double failure_rate;      /* NaN while it says nothing */
  double degraded_rate;     /* infinite: off */
  double down_rate;         /* at which it opens */
  gboolean recent_success; /* one within three check intervals */
} DerateBreakerView;

/* A change of the status, for whoever asks later. */
typedef struct
{
  gint64 time; /* of the wall clock */
  DerateHealthStatus from;
  DerateHealthStatus to;
  DerateHealthCause cause;
} DerateServiceChange;

#define DERATE_SERVICE_HISTORY_MAX 20

/* Threads: `word` is atomic; `name`, `role`, `clock` and `delay` never change; the mutex guards the
 * rest. Nothing of another object is called while it is held. */
struct _DerateService
{
  GObject parent_instance;

  char *name;
  DerateServiceRole role;
  DerateClock *clock;
  DerateDelayPolicy *delay;
  guint word; /* status, cause and what unknown counts as: see derate-service-status.c */

  GMutex mutex;
  DerateCriticality criticality;
  char *plugin;
  gboolean remote;
  DerateHealthCheck *check;
  DerateHealthCheckConfig *config;
  DerateBreaker *breaker;
  double breaker_degraded_rate;
  DerateFault drill; /* of a kind that is unknown while there is none */
  GHashTable *findings; /* (nullable) (element-type utf8 DerateHealthReport): by who found it */

  DerateServiceHook hook;
  gpointer hook_data;
  GObject *hook_owner; /* (nullable): the data, where it is to be kept */
  guint64 n_readings;  /* of the breaker, begun */
  guint64 published;   /* the newest of them that was published */
  DerateEventQueue *events;
  GQueue steps; /* (element-type Step): told in this order, by one thread at a time */
  gboolean telling;

  DerateHealthStreak streak;
  gboolean stale;
  gint64 fresh_until;
  gint64 grace_until; /* 0: none */
  gint64 last_result; /* 0: none */
  gint64 last_result_wall;
  gint64 since_wall;
  GQueue history; /* (element-type DerateServiceChange), oldest first */
  char *error;
  guint good_checks; /* in a row, since the breaker opened */
  guint64 good_openings; /* which opening that is */
  DerateServiceCheckStats stats;

  DerateWaker *waker; /* NULL while no monitor has it */
  GMainContext *check_context;
  GMainContext *owner_context;
  DerateCheckRun *run;
  gboolean run_answered;
  guint64 n_answers;
  GPtrArray *waiters; /* (element-type GTask) */
};

/* derate-service-status.c: the word */
typedef struct
{
  DerateHealthStatus status;
  DerateHealthCause cause;
  DerateHealthStatus after_grace; /* what unknown counts as then */
} DerateServiceState;

/* The first without the drill. */
guint derate_service_word (const DerateServiceState *undrilled,
                           const DerateServiceState *state);
DerateHealthStatus derate_service_word_get_status (guint word);
DerateHealthCause derate_service_word_get_cause (guint word);
DerateHealthStatus derate_service_word_get_effective (guint    word,
                                                      gboolean drilled,
                                                      gboolean in_grace);

/* The worst of the inputs. @streak is NULL where there is no check, @finding where there is none.
 * @in_grace: what is unknown does no harm yet. */
guint derate_service_word_compute (const DerateHealthStreak *streak,
                                   gboolean                  stale,
                                   gboolean                  in_grace,
                                   const DerateBreakerView  *view,
                                   DerateHealthReport       *finding,
                                   const DerateFault        *drill);

/* Higher is worse. Unknown is worse than degraded, because it may be down, and better than down,
 * which is certain. */
guint derate_service_rank_status (DerateHealthStatus status);

/* What a drill alone makes of a service; one that only delays makes nothing of it itself. */
DerateHealthStatus derate_service_read_drill (const DerateFault       *drill,
                                              const DerateBreakerView *view);

/* derate-service-breaker.c: all that is asked of a breaker */
typedef struct
{
  DerateServiceRole role;
  double degraded_rate; /* as derate_service_set_breaker_degraded_rate () takes it */
  GTimeSpan window;     /* how far back a call still says something */
} DerateBreakerQuestion;

void derate_service_breaker_read (DerateBreaker               *breaker,
                                  const DerateBreakerQuestion *question,
                                  DerateBreakerView           *view);
gboolean derate_service_breaker_has_changed (DerateBreaker           *breaker,
                                             const DerateBreakerView *view);
guint64 derate_service_breaker_count_openings (DerateBreaker *breaker);

/* derate-service-finding.c: NULL where there is none. Called locked. */
DerateHealthReport *derate_service_get_worst_finding (DerateService *service);

/* derate-service-state.c */
DerateBreaker *derate_service_ref_breaker (DerateService         *service,
                                           DerateBreakerQuestion *question); /* (nullable) */

/* derate_service_update (), and the hook is called in any case. */
void derate_service_tell (DerateService *service);
void derate_service_take_answer (DerateService      *service,
                                 DerateHealthReport *report,
                                 const GError       *error,
                                 GTimeSpan           latency);
void derate_service_breaker_changed (DerateBreaker     *breaker,
                                     DerateBreakerState old_state,
                                     DerateBreakerState new_state,
                                     gpointer           owner);

/* The program stood still for @span: results are not older for it. */
void derate_service_forgive (DerateService *service,
                             GTimeSpan      span);

/* derate-service-check.c: what the monitor asks */
typedef struct
{
  gboolean has_check;
  gboolean running; /* a check that has not been answered */
  gboolean busy;    /* a check that has not ended */
  gboolean wanted;  /* somebody waits for a check that has not begun */
  gboolean undecided;
  gboolean remote;
  DerateHealthStatus last; /* the newest result; unknown where there is none, or a stale one */
  guint64 n_answers;
  gint64 fresh_until; /* while unknown the end of its grace, or NEVER */
  gint64 open_until;  /* NEVER unless its breaker is open and waits */
  GTimeSpan interval;
  GTimeSpan fast_interval;
  double jitter;
} DerateServiceSchedule;

void derate_service_get_schedule (DerateService         *service,
                                  DerateServiceSchedule *schedule);

/* A service is one monitor's at a time. FALSE where it is another's. */
gboolean derate_service_attach (DerateService *service,
                                DerateWaker   *waker,
                                GMainContext  *check_context,
                                GMainContext  *owner_context);

/* Gives up the check that runs and whoever waits for one. */
void derate_service_detach (DerateService *service);

/* A result that is too old counts no more; then derate_service_update (). */
void derate_service_look (DerateService *service);

void derate_service_start_check (DerateService *service);
void derate_service_poll_breaker (DerateService *service);

G_END_DECLS
