/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-degradation-manager-private.h"
#include "derate-fallback-usage-private.h"
#include "derate-service-private.h"

G_BEGIN_DECLS

/* What happens while a drill runs: what was counted when it began, and the worst that was seen
 * since. Without a lock. */
typedef struct
{
  DerateLevel before;
  DerateLevel worst;
  char *rule;       /* what decided `worst` */
  GPtrArray *gates; /* (element-type DerateGate) */
  GArray *modes;    /* what each of them was and became */
  guint64 refused;  /* by drills, of the breaker */
  guint64 answers[DERATE_N_ANSWER_SOURCES];
  GPtrArray *fallbacks; /* (element-type GArray) counts of each target */
} DerateDrillRecord;

/* @breaker: nullable. */
void derate_drill_record_begin (DerateDrillRecord        *record,
                                GPtrArray                *targets,
                                DerateBreaker            *breaker,
                                DerateDegradationManager *manager,
                                DerateFallbackUsage      *usage);
void derate_drill_record_clear (DerateDrillRecord *record);

/* The level in force and the gates as they are now. */
void derate_drill_record_note (DerateDrillRecord *record,
                               DerateLevel        level,
                               const char        *rule);

/* Adds `level` to `answers` of a report: what has been counted since begin (). */
void derate_drill_record_report (const DerateDrillRecord  *record,
                                 GPtrArray                *targets,
                                 DerateBreaker            *breaker,
                                 DerateDegradationManager *manager,
                                 DerateFallbackUsage      *usage,
                                 GVariantBuilder          *report);

G_END_DECLS
