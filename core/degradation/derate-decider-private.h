/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-degradation-event-private.h"
#include "derate-degradation-history-private.h"
#include "derate-gate-set-private.h"
#include "derate-hold-set-private.h"
#include "derate-recovery-private.h"
#include "derate-rule-set-private.h"

G_BEGIN_DECLS

/* Reported instead of a rule where a hold or set_level () decides. */
#define DERATE_RULE_HOLD "hold"
#define DERATE_RULE_SET_LEVEL "set-level"

/* A level and what decided it. */
typedef struct
{
  DerateLevel level;
  char *rule;
  GVariant *inputs; /* a{ss} */
} DerateDecision;

/* From the states of the services, the holds and the time to the level. Without a lock, a timer or
 * a thread: the manager has those, and guards it.
 *
 * Three levels follow each other: `computed` is the pure function of the states; `damped` worsens
 * with it at once and improves at a tick that the recovery allows; `published` has the holds on
 * top, and where they end improves at a tick as well.
 *
 * What a drill pretends is in `computed`, and stands on top of `damped` as a floor would: recovery
 * and its damping know the states without drills alone. */
typedef struct
{
  DerateRuleSet *rules;
  DerateGateSet *gates;
  DerateHoldSet holds;
  DerateRecovery recovery;
  DerateDegradationHistory history;
  gboolean enforced;
  gboolean ready; /* the first sweep is done */

  DerateHealthStatus *statuses; /* behind `computed`; NULL where it has to be found anew */
  DerateDecision computed;
  DerateHealthStatus *undrilled_statuses; /* the same of `undrilled` */
  DerateDecision undrilled;               /* without what drills pretend; where `drilled` alone */
  DerateDecision damped;
  DerateDecision published;
  char *deciding_hold; /* id of the hold behind `published` */
  gint64 since; /* wall clock, of published.level */
  gint64 evaluated_at; /* wall clock */
  gboolean flapping;

  DerateLevel drill_limit; /* what drills may make of it at worst; UNKNOWN: there is none */
  DerateLevel drill_level; /* what they would make of it; past the limit they count no more */
  gboolean drilled;        /* `computed` is what they make of it */
} DerateDecider;

/* What happened since, for the manager to tell; (element-type DerateDegradationEvent). */
typedef struct
{
  const DerateHealthStatus *statuses;  /* of the inputs of `rules` */
  const DerateHealthStatus *undrilled; /* the same without drills; NULL: there is none */
  gint64 now;
  gint64 real_now;
  gboolean tick;
} DerateDeciderTurn;

void derate_decider_init (DerateDecider *decider,
                          gint64         now);
void derate_decider_clear (DerateDecider *decider);

/* @features: own ones, checked before; nullable. */
void derate_decider_set_rules (DerateDecider *decider,
                               DerateRuleSet *rules,
                               GPtrArray     *features);

/* Decides anew and puts what changed at the end of @events. */
void derate_decider_decide (DerateDecider           *decider,
                            const DerateDeciderTurn *turn,
                            GQueue                  *events);

/* The level and (transfer none) rule that states would come to. */
DerateLevel derate_decider_what_if (const DerateDecider      *decider,
                                    const DerateHealthStatus *statuses,
                                    DerateRule              **rule);

/* The level that services and holds allow now, without waiting for a tick; what set_level () asks
 * for ends with it. */
DerateLevel derate_decider_get_allowed (const DerateDecider *decider);

/* Whether drills would make it worse than they may. */
gboolean derate_decider_is_past_limit (const DerateDecider *decider);

/* Whether an exact hold shows a better level than the services have; what drills pretend is no
 * outage. */
gboolean derate_decider_masks_outage (const DerateDecider *decider);

G_END_DECLS
