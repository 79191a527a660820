/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-degradation-event-private.h"
#include "derate-degradation-manager.h"
#include "derate-event-queue-private.h"
#include "derate-hold-set-private.h"
#include "derate-rule-set.h"

G_BEGIN_DECLS

/* What core, D-Bus and HTTP use of the manager. From any thread, unless said otherwise. */

/* The status of a service as rules take it, with what drills pretend or without: an atomic load, no
 * lock. */
typedef DerateHealthStatus (*DerateStatusFunc) (gpointer service,
                                                gboolean in_grace,
                                                gboolean with_drills);

/* @services (element-type GObject): those of the inputs of @rules, in that order. @features: own
 * ones, nullable. Checked first; on FALSE nothing has changed. */
gboolean derate_degradation_manager_set_inputs (DerateDegradationManager *manager,
                                                DerateRuleSet            *rules,
                                                GPtrArray                *services,
                                                DerateStatusFunc          read,
                                                GPtrArray                *features,
                                                GError                  **error);

/* The same checks, for a configuration that is to be applied later. */
gboolean derate_degradation_manager_check_features (DerateRuleSet *rules,
                                                    GPtrArray     *features,
                                                    GError       **error);

/* Attaches recovery tick and expiry to @context; the first tick is an interval from now. Once. */
void derate_degradation_manager_start (DerateDegradationManager *manager,
                                       GMainContext             *context);
void derate_degradation_manager_stop (DerateDegradationManager *manager);

/* Publishes the first level. */
void derate_degradation_manager_first_sweep_done (DerateDegradationManager *manager);
gboolean derate_degradation_manager_is_ready (DerateDegradationManager *manager);

/* A hint: reads all services again. What is worse applies before it returns. */
void derate_degradation_manager_service_changed (DerateDegradationManager *manager);

/* Where signals and notify go, instead of to a queue of its own; before anything happens. */
void derate_degradation_manager_set_event_queue (DerateDegradationManager *manager,
                                                 DerateEventQueue         *events);

void derate_degradation_manager_set_local_suspect (DerateDegradationManager *manager,
                                                   gboolean                  suspect);

/* Called in the thread that changed something, without a lock, in the order of what happened. May
 * call anything of the manager. After remove () a call in another thread may still be under way;
 * @destroy runs after the last one. */
typedef void (*DerateDegradationListener) (DerateDegradationManager     *manager,
                                           const DerateDegradationEvent *event,
                                           gpointer                      data);
guint derate_degradation_manager_add_listener (DerateDegradationManager *manager,
                                               DerateDegradationListener listener,
                                               gpointer                  data,
                                               GDestroyNotify            destroy);
void derate_degradation_manager_remove_listener (DerateDegradationManager *manager,
                                                 guint                     id);

/* An id, or NULL with UNKNOWN_LEVEL, UNKNOWN_MODE, INVALID_REASON, INVALID_TTL, LIMIT_EXCEEDED; and
 * with G_IO_ERROR_PERMISSION_DENIED where an exact hold is better than the computed level and
 * request->may_mask is FALSE. */
char *derate_degradation_manager_take_hold (DerateDegradationManager *manager,
                                            const DerateHoldRequest  *request,
                                            GError                  **error);

/* FALSE with NO_SUCH_HOLD, NOT_OWNER or INVALID_TTL. Somebody else's release is an override. */
gboolean derate_degradation_manager_renew_hold (DerateDegradationManager *manager,
                                                const char               *id,
                                                GTimeSpan                 ttl,
                                                const DerateHoldCaller   *caller,
                                                GError                  **error);
gboolean derate_degradation_manager_release_hold (DerateDegradationManager *manager,
                                                  const char               *id,
                                                  const DerateHoldCaller   *caller,
                                                  GError                  **error);

/* All that @caller may release; how many. */
guint derate_degradation_manager_release_holds (DerateDegradationManager *manager,
                                                const DerateHoldCaller   *caller);

/* Ends the holds that are bound to @owner. */
void derate_degradation_manager_owner_vanished (DerateDegradationManager *manager,
                                                const char               *owner);

/* The holds there are, oldest first: (element-type DerateHold) (transfer full). */
GPtrArray *derate_degradation_manager_copy_holds (DerateDegradationManager *manager);

/* The id of the hold that decides the level, NULL for none. (transfer full) */
char *derate_degradation_manager_dup_deciding_hold (DerateDegradationManager *manager);

/* Adds `level` to `history` in the order of the surface; @drills (aa{sv}) and @services (a{sv}),
 * both floating or not, NULL = empty, go between. */
void derate_degradation_manager_add_status (DerateDegradationManager *manager,
                                            GVariantBuilder          *builder,
                                            GVariant                 *drills,
                                            GVariant                 *services,
                                            gboolean                  details);

/* derate-degradation-drills.c: what drills need. */

/* The level that it would be now if @services (element-type GObject) had @statuses, those of them
 * that are not worse already; without waiting and without holds. @rule: (transfer full). */
DerateLevel derate_degradation_manager_what_if (DerateDegradationManager *manager,
                                                GPtrArray                *services,
                                                const DerateHealthStatus *statuses,
                                                char                    **rule);

/* Between them drills are told from what is real, and make the level no worse than @limit; of
 * several limits the strictest counts for all. So each drill has one, from before it begins until
 * it is over. */
void derate_degradation_manager_add_drill_limit (DerateDegradationManager *manager,
                                                 DerateLevel               limit);
void derate_degradation_manager_remove_drill_limit (DerateDegradationManager *manager,
                                                    DerateLevel               limit);

/* What the services would make of the level with all drills, past their limit or not. */
DerateLevel derate_degradation_manager_get_drill_level (DerateDegradationManager *manager);

/* What services, drills and holds allow, without waiting for a tick. */
DerateLevel derate_degradation_manager_get_allowed_level (DerateDegradationManager *manager);

/* (element-type DerateGate) (transfer full) in the order of report. */
GPtrArray *derate_degradation_manager_copy_gates (DerateDegradationManager *manager);

#define DERATE_N_ANSWER_SOURCES 3

/* Answers since the start, by DerateAnswerSource. */
void derate_degradation_manager_count_answers (DerateDegradationManager *manager,
                                               guint64                  *answers);

G_END_DECLS
