/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-hold-private.h"

G_BEGIN_DECLS

typedef enum
{
  DERATE_DEGRADATION_EVENT_LEVEL,         /* the level changed, and with it anything else */
  DERATE_DEGRADATION_EVENT_DETAILS,       /* rule, inputs, computed level, gates or flags did */
  DERATE_DEGRADATION_EVENT_HOLD_TAKEN,    /* `hold` */
  DERATE_DEGRADATION_EVENT_HOLD_RELEASED, /* `hold` and `cause` */
} DerateDegradationEventType;

/* Something that happened, with the state right after it. */
typedef struct
{
  DerateDegradationEventType type;
  DerateLevel old_level;
  DerateLevel new_level;
  DerateLevel old_computed;
  DerateLevel computed;
  char *rule;
  gboolean rule_changed;
  gboolean flapping_changed;
  GVariant *inputs;    /* a{ss} */
  char *deciding_hold; /* id of the hold that decides the level; NULL for none */

  DerateHold *hold;
  const char *cause; /* DERATE_HOLD_CAUSE_ */
} DerateDegradationEvent;

DerateDegradationEvent *derate_degradation_event_new_hold (DerateDegradationEventType type,
                                                           const DerateHold          *hold,
                                                           const char                *cause);
void derate_degradation_event_free (DerateDegradationEvent *event);

/* What the log and the journal say of it. Never under a lock. */
void derate_degradation_event_log (const DerateDegradationEvent *event);

G_END_DECLS
