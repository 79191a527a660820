/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-drill-record-private.h"
#include "derate-fault-private.h"

G_BEGIN_DECLS

#define DERATE_DRILL_DURATION_MIN G_TIME_SPAN_SECOND
#define DERATE_DRILL_DURATION_MAX G_TIME_SPAN_HOUR

/* Why a drill ended, as its report says. */
#define DERATE_DRILL_CAUSE_EXPIRED "expired"
#define DERATE_DRILL_CAUSE_STOPPED "stopped"
#define DERATE_DRILL_CAUSE_VANISHED "vanished" /* its owner left the bus */
#define DERATE_DRILL_CAUSE_LIMIT "limit"       /* something real made it worse than its limit */
#define DERATE_DRILL_CAUSE_REMOVED "removed"   /* the service has gone, or has another breaker */
#define DERATE_DRILL_CAUSE_SHUTDOWN "shutdown"

/* What somebody asks for. */
typedef struct
{
  const char *service;
  DerateFault fault;
  GTimeSpan duration;
  DerateLevel limit;
  const char *reason; /* nullable */
  const char *who;
  const char *owner; /* opaque, such as a unique bus name; NULL = this program */
  guint uid;         /* of the owner */
} DerateDrillRequest;

/* Atomically reference counted. What stands below the line is guarded by the mutex of its set. */
typedef struct
{
  char *id;
  char *service;
  DerateFault fault;
  DerateLevel limit;
  char *reason; /* nullable */
  char *who;
  char *owner; /* nullable */
  guint uid;
  gint64 since;       /* wall clock, µs */
  gint64 began;       /* of the clock */
  gint64 deadline;    /* of the clock */
  GPtrArray *targets; /* (element-type DerateService): it, then all that share its breaker */
  DerateBreaker *breaker; /* nullable */

  const char *cause; /* DERATE_DRILL_CAUSE_; NULL while it runs */
  gint64 ended;      /* of the clock */
  GVariant *report;  /* a{sv}, once it is over */
  guint n_busy;      /* threads that begin or end it */
  DerateDrillRecord record;
} DerateDrill;

/* Checks all but what the level would be. NULL with NO_SUCH_SERVICE, INVALID_ARGUMENT, INVALID_TTL,
 * INVALID_REASON or UNKNOWN_LEVEL, in this order. @services (element-type DerateService): all there
 * are. */
DerateDrill *derate_drill_new (const DerateDrillRequest *request,
                               GPtrArray                *services,
                               DerateClock              *clock,
                               GError                  **error);
DerateDrill *derate_drill_ref (DerateDrill *drill);
void derate_drill_unref (DerateDrill *drill);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DerateDrill, derate_drill_unref)

/* The service of that name and all that share its breaker: they all would be hit. NULL where there
 * is none. @breaker: (transfer full) (nullable) */
GPtrArray *derate_drill_find_targets (GPtrArray      *services,
                                      const char     *name,
                                      DerateBreaker **breaker);

/* What each target comes to with the fault, as rules take it. (transfer full) */
DerateHealthStatus *derate_drill_judge (const DerateDrill *drill);

/* Without a lock: hooks run. As often as wanted. */
void derate_drill_apply (DerateDrill *drill);
void derate_drill_unapply (DerateDrill *drill);

/* Of a running drill, as `/degradation` has it; a{sv}, floating. */
GVariant *derate_drill_to_variant (const DerateDrill *drill,
                                   gint64             now,
                                   gboolean           details);

/* Of one whose `cause` is set, and which has been taken back; a{sv}, sunk. */
GVariant *derate_drill_build_report (const DerateDrill        *drill,
                                     DerateDegradationManager *manager,
                                     DerateFallbackUsage      *usage);

void derate_drill_log_started (const DerateDrill *drill);
void derate_drill_log_ended (const DerateDrill *drill);

G_END_DECLS
