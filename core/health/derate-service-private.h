/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-event-queue-private.h"
#include "derate-fault-private.h"
#include "derate-policy.h"
#include "derate-service.h"

G_BEGIN_DECLS

/* What other rooms of the library use of a service. */

/* Called in whatever thread changed the status, without a lock, before fail () of the call that
 * caused it returns. A hint: re-read the status. @data must stay valid until no thread can be
 * inside any more: unbind while nothing calls, or never. */
typedef void (*DerateServiceHook) (DerateService *service,
                                   gpointer       data);

void derate_service_set_hook (DerateService    *service,
                              DerateServiceHook hook,
                              gpointer          data);

/* The same, and @owner is the data: kept until the hook is another, and while a thread is inside.
 */
void derate_service_set_hook_owner (DerateService    *service,
                                    DerateServiceHook hook,
                                    GObject          *owner);

/* Where signals and notify go; without it the thread-default context of derate_service_new (). */
void derate_service_set_event_queue (DerateService    *service,
                                     DerateEventQueue *events);

/* The status as rules take it, never unknown: unknown counts as degraded during the grace of the
 * start, and after it as degraded while the breaker recorded a success within three check
 * intervals, else as down. One atomic load; the hook is also called when only this changes. */
DerateHealthStatus derate_service_get_effective_status (DerateService *service,
                                                        gboolean       in_grace);

/* The same as it would be without the drill; the hook is called when this changes, too. */
DerateHealthStatus derate_service_get_undrilled_status (DerateService *service,
                                                        gboolean       in_grace);

/* (transfer full) (nullable): its breaker, which a configuration that is read again may change
 * while another thread asks. */
DerateBreaker *derate_service_dup_breaker (DerateService *service);

/* From now on the service is at least as bad as @fault makes it, which derate_fault_check ()
 * accepts, and its calls and checks are as late; NULL: no more. The cause is drill only where it
 * would be better without. Its breaker is not touched: derate_breaker_set_drill (). Checks go on,
 * so that afterwards it is at once what they say; one that is late begins when nothing delays it
 * any more. The hook has been called when this returns. From any thread. */
void derate_service_set_drill (DerateService     *service,
                               const DerateFault *fault);

/* The status that @fault would come to, were nothing else wrong. One of latency comes to nothing
 * here but to what the checks will find: nothing where there is no check. */
DerateHealthStatus derate_service_judge_fault (DerateService     *service,
                                               const DerateFault *fault);

/* (transfer none): what delays calls during a drill of latency, to stand innermost in each
 * pipeline. The service's own, made with it. */
DeratePolicy *derate_service_get_delay (DerateService *service);

/* For a service that comes, or gets its check, while others run: until a check has been answered,
 * for @span at most, an unknown status counts as healthy, so that not to know yet makes no level
 * worse. */
void derate_service_begin_grace (DerateService *service,
                                 GTimeSpan      span);

/* Reads breaker and clock again; the hook hears of what changed. */
void derate_service_update (DerateService *service);

#define DERATE_CHECK_DURATION_BOUNDS 12

/* Durations of checks, counted since the service was made; seconds. */
typedef struct
{
  guint64 buckets[DERATE_CHECK_DURATION_BOUNDS + 1]; /* each alone, the last above all bounds */
  guint64 count;
  double sum;
  guint64 errors;
} DerateServiceCheckStats;

extern const double derate_check_duration_bounds[DERATE_CHECK_DURATION_BOUNDS];

void derate_service_get_check_stats (DerateService           *service,
                                     DerateServiceCheckStats *stats);

G_END_DECLS
