/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-clock.h>
#include <derate-gate.h>
#include <derate-hold.h>
#include <derate-recovery-mode.h>
#include <derate-rule-set.h>

G_BEGIN_DECLS

/**
 * DerateAnswerSource:
 * @DERATE_ANSWER_SOURCE_REAL: what was asked for
 * @DERATE_ANSWER_SOURCE_FALLBACK: what a fallback gave instead
 * @DERATE_ANSWER_SOURCE_REFUSED: nothing
 *
 * Where an answer came from, for `degradation_answers_total`.
 *
 * Since: 1.0
 */
typedef enum
{
  DERATE_ANSWER_SOURCE_REAL,
  DERATE_ANSWER_SOURCE_FALLBACK,
  DERATE_ANSWER_SOURCE_REFUSED,
} DerateAnswerSource;

#define DERATE_TYPE_DEGRADATION_MANAGER (derate_degradation_manager_get_type ())

DERATE_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DerateDegradationManager,
                      derate_degradation_manager,
                      DERATE,
                      DEGRADATION_MANAGER,
                      GObject)

DERATE_AVAILABLE_IN_1_0
DerateDegradationManager *derate_degradation_manager_new (DerateClock  *clock,
                                                          GMainContext *owner);

DERATE_AVAILABLE_IN_1_0
gboolean derate_degradation_manager_set_services (DerateDegradationManager *manager,
                                                  GPtrArray                *services,
                                                  GPtrArray                *rules,
                                                  DerateRuleSetMode         mode,
                                                  GPtrArray                *features,
                                                  GError                  **error);

DERATE_AVAILABLE_IN_1_0
DerateLevel derate_degradation_manager_get_level (DerateDegradationManager *manager);

DERATE_AVAILABLE_IN_1_0
DerateLevel derate_degradation_manager_get_enforced_level (DerateDegradationManager *manager);

DERATE_AVAILABLE_IN_1_0
DerateLevel derate_degradation_manager_get_computed_level (DerateDegradationManager *manager);

DERATE_AVAILABLE_IN_1_0
char *derate_degradation_manager_dup_rule (DerateDegradationManager *manager);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_degradation_manager_dup_inputs (DerateDegradationManager *manager);

DERATE_AVAILABLE_IN_1_0
char *derate_degradation_manager_dup_explanation (DerateDegradationManager *manager);

DERATE_AVAILABLE_IN_1_0
gint64 derate_degradation_manager_get_since (DerateDegradationManager *manager);

DERATE_AVAILABLE_IN_1_0
gboolean derate_degradation_manager_get_flapping (DerateDegradationManager *manager);

DERATE_AVAILABLE_IN_1_0
GTimeSpan derate_degradation_manager_get_next_tick (DerateDegradationManager *manager);

DERATE_AVAILABLE_IN_1_0
DerateGate *derate_degradation_manager_get_gate (DerateDegradationManager *manager,
                                                 const char               *feature);

DERATE_AVAILABLE_IN_1_0
gboolean derate_degradation_manager_set_level (DerateDegradationManager *manager,
                                               DerateLevel               level,
                                               GError                  **error);

DERATE_AVAILABLE_IN_1_0
char *derate_degradation_manager_hold (DerateDegradationManager *manager,
                                       DerateLevel               level,
                                       DerateHoldMode            mode,
                                       const char               *who,
                                       const char               *reason,
                                       GTimeSpan                 ttl,
                                       GError                  **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_degradation_manager_renew (DerateDegradationManager *manager,
                                           const char               *id,
                                           GTimeSpan                 ttl,
                                           GError                  **error);

DERATE_AVAILABLE_IN_1_0
gboolean derate_degradation_manager_release (DerateDegradationManager *manager,
                                             const char               *id,
                                             GError                  **error);

DERATE_AVAILABLE_IN_1_0
guint derate_degradation_manager_release_all (DerateDegradationManager *manager);

DERATE_AVAILABLE_IN_1_0
gboolean derate_degradation_manager_set_state_dir (DerateDegradationManager *manager,
                                                   const char               *folder,
                                                   GError                  **error);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_degradation_manager_dup_holds (DerateDegradationManager *manager,
                                                gboolean                  details);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_degradation_manager_dup_features (DerateDegradationManager *manager);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_degradation_manager_dup_history (DerateDegradationManager *manager,
                                                  guint                     max);

DERATE_AVAILABLE_IN_1_0
GVariant *derate_degradation_manager_to_variant (DerateDegradationManager *manager,
                                                 gboolean                  details);

DERATE_AVAILABLE_IN_1_0
void derate_degradation_manager_set_enforced (DerateDegradationManager *manager,
                                              gboolean                  enforced);

DERATE_AVAILABLE_IN_1_0
gboolean derate_degradation_manager_get_enforced (DerateDegradationManager *manager);

DERATE_AVAILABLE_IN_1_0
void derate_degradation_manager_set_recovery (DerateDegradationManager *manager,
                                              DerateRecoveryMode        mode,
                                              GTimeSpan                 interval,
                                              GTimeSpan                 hold,
                                              gboolean                  damping);

DERATE_AVAILABLE_IN_1_0
void derate_degradation_manager_note_answer (DerateDegradationManager *manager,
                                             DerateAnswerSource        source);

G_END_DECLS
