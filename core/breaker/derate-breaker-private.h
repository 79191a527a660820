/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "derate-breaker.h"
#include "derate-histogram.h"

G_BEGIN_DECLS

/* What the rooms below need of a breaker beyond its public face. All of it from any thread, with no
 * lock held. */

/* Hears of a transition in the thread that caused it, before fail () or whatever caused it
 * returns and before any listener. Also when the failure rate may have risen: the states are the
 * same then. A hint: re-read the breaker. When two threads cause transitions at the same moment a
 * hook may be called twice for one of them. */
typedef void (*DerateBreakerHook) (DerateBreaker     *breaker,
                                   DerateBreakerState old_state,
                                   DerateBreakerState new_state,
                                   gpointer           owner);

/* @owner is a GObject, held weakly and kept alive during each call: the service. */
void derate_breaker_bind (DerateBreaker    *breaker,
                          DerateBreakerHook func,
                          gpointer          owner);

/* A call that has begun in another thread may still be running after it. */
void derate_breaker_unbind (DerateBreaker    *breaker,
                            DerateBreakerHook func,
                            gpointer          owner);

/* Ends a permit with an answer, of which the breaker's config may have an opinion. */
void derate_permit_answer (DeratePermit *permit,
                           GVariant     *answer);

/* Does what time alone demands: an expired open becomes half-open, a probe past its lease fails. */
void derate_breaker_poll (DerateBreaker *breaker);

/* When poll () is next worth calling, in the breaker's clock: the end of open or of the earliest
 * lease, DERATE_CLOCK_NEVER when closed or forced. */
gint64 derate_breaker_get_open_until (DerateBreaker *breaker);

/* A health check went well, the @good_checks'th in a row since the breaker opened: see semantics
 * §3. Nothing follows from it during a drill: the check is not drilled, and would say that calls
 * are well of which there are none. */
void derate_breaker_note_good_check (DerateBreaker *breaker,
                                     guint          good_checks,
                                     guint          rise);

/* The window's failure rate (NaN while unknown) and how many of its outcomes are known to be
 * from the last @span. Both may be NULL. */
void derate_breaker_get_window (DerateBreaker *breaker,
                                GTimeSpan      span,
                                double        *failure_rate,
                                guint         *outcomes);

/* When a success was last seen, in the breaker's clock; 0 when never. */
gint64 derate_breaker_get_last_success (DerateBreaker *breaker);

DerateClock *derate_breaker_get_clock (DerateBreaker *breaker);

/* From now on @share of the calls, 0 (none) to 1 (all), is refused with DERATE_ERROR_DRILL in every
 * mode and state; how else it decides, and what it counts of permits that are out, stays as it is.
 * The refusals count as blocked, and in no window. There is one such share: who sets it last is
 * obeyed. */
void derate_breaker_set_drill (DerateBreaker *breaker,
                               double         share);

/* Calls that drills have refused since the breaker was made. */
guint64 derate_breaker_count_drilled (DerateBreaker *breaker);

/* What Prometheus shows: these never fall, whatever is reset. */
typedef struct
{
  guint64 requests;
  guint64 blocked;
  guint64 success;
  guint64 failure;
  guint64 neutral;
  guint64 slow_success;
  guint64 slow_failure;
  guint64 edges[4][4]; /* [from][to], by DerateBreakerState */
  double failure_rate;
  double slow_call_rate;
  DerateBreakerState state;
} DerateBreakerTotals;

void derate_breaker_get_totals (DerateBreaker       *breaker,
                                DerateBreakerTotals *totals);

/* How long calls took; NULL where slow calls are not and were never watched for. */
DerateHistogram *derate_breaker_get_durations (DerateBreaker *breaker);

/* Whether a call that ended with @error counts as a failure. */
gboolean derate_breaker_is_failure (DerateBreaker *breaker,
                                    const GError  *error);

/* Calls let through and not ended yet. */
guint64 derate_breaker_get_in_flight (DerateBreaker *breaker);

/* Whether there is an edge from @from to @to in the state machine. */
gboolean derate_breaker_has_edge (DerateBreakerState from,
                                  DerateBreakerState to);

/* Moves along an edge; DERATE_ERROR_INVALID_STATE when there is none, or the mode is against it:
 * only a breaker in its normal mode becomes half-open, and to close one ends forced-open. To stay
 * is not an edge, and no error either: nothing happens. */
gboolean derate_breaker_move (DerateBreaker     *breaker,
                              DerateBreakerState state,
                              GError           **error);

G_END_DECLS
